//! Payload encryption at rest: what the engine stores is nothing that one can read, and everything goes on as without.

use std::{fs, process::Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use segno::Segno;
use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};
use temporalio_client::{NamespacedClient, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, history::v1::history_event::Attributes,
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::support::{App, DEADLINE, Launch, TestEngine, json_of, only_execution};

on_every_engine!(
    no_word_of_it_is_stored,
    keys_are_rotated_and_missed,
    killed_and_rotated,
);

/// What is in every payload of these tests and nowhere else.
const WORD: &str = "Zwetschgendatschi";

/// The table of the configuration with these keys, each of one repeated byte, in files.
pub(crate) fn encryption(engine: &TestEngine, keys: &[(&str, u8)]) -> String {
    let entries: Vec<_> = keys
        .iter()
        .map(|(name, byte)| {
            let file = engine.folder().join(format!("{name}-{byte}.key"));
            fs::write(&file, STANDARD.encode([*byte; 32])).unwrap();
            format!("{{ name = {name:?}, file = {:?} }}", file.display().to_string())
        })
        .collect();
    format!("[encryption]\nkeys = [{}]\n", entries.join(", "))
}

fn config(receiver: &Receiver) -> String {
    format!(
        r#"
        [timers]
        allow_private = true

        [sinks]
        hook = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "order.*"
        actions = [{{ name = "tell", to = "hook", retry = {{ initial = "10ms", max_interval = "50ms", max_attempts = 3 }} }}]
        "#,
        receiver.url("/hook")
    )
}

fn event(id: &str, ty: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/shop", "type": ty, "subject": "customer-7",
        "data": { "dish": WORD, "id": id },
    })
}

fn escaped(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

/// A receiver that quotes what it gets and refuses it.
async fn refusing() -> Receiver {
    Receiver::answering(|request| {
        let body = request.body.clone();
        Answer::status(500).body(body)
    })
    .await
}

/// What the `temporal` program prints of the engine that the app runs on.
pub(crate) async fn temporal(engine: &TestEngine, app: &App, arguments: &[&str]) -> String {
    let program = std::env::var_os("SEGNO_TEMPORAL_BIN").unwrap_or_else(|| "temporal".into());
    let printed = Command::new(program)
        .args(arguments)
        .args(["--address", app.engine_address()])
        .envs(engine.environment())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&printed.stderr).into_owned();
    assert!(printed.status.success(), "{arguments:?}: {error}");
    String::from_utf8(printed.stdout).unwrap()
}

/// Whether a text, or what any string in it is in base64, has a word.
pub(crate) fn stands(word: &str, printed: &str) -> bool {
    let decoded = printed.split('"').filter_map(|text| STANDARD.decode(text).ok());
    let has = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    has(printed.as_bytes()) || decoded.into_iter().any(|bytes| has(&bytes))
}

fn tells(printed: &str) -> bool {
    stands(WORD, printed)
}

/// The ids of all executions, once there are as many as these.
async fn listed(engine: &TestEngine, app: &App, wanted: &[&str]) -> Vec<String> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let printed = temporal(engine, app, &["workflow", "list", "-o", "json"]).await;
        assert!(!tells(&printed), "{printed}");
        let printed: Value = serde_json::from_str(&printed).unwrap();
        let id = |info: &Value| info["execution"]["workflowId"].as_str().unwrap().to_owned();
        let ids: Vec<_> = printed.as_array().unwrap().iter().map(id).collect();
        if wanted.iter().all(|wanted| ids.iter().any(|id| id == wanted)) {
            return ids;
        }
        assert!(Instant::now() < deadline, "{wanted:?} of {ids:?}");
        sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// The name of the key that the input of an execution is encrypted with.
async fn key_of(app: &App, workflow_id: &str) -> String {
    let request = GetWorkflowExecutionHistoryRequest {
        namespace: app.client().namespace(),
        execution: Some(WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            run_id: String::new(),
        }),
        ..Default::default()
    };
    let mut service = app.client().connection().workflow_service();
    let reply = service
        .get_workflow_execution_history(request.into_request())
        .await;
    let first = reply.unwrap().into_inner().history.unwrap().events.remove(0);
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = first.attributes else {
        panic!("{first:?}");
    };
    let input = &started.input.unwrap().payloads[0];
    assert_eq!(input.metadata["encoding"], b"binary/encrypted");
    String::from_utf8(input.metadata["encryption-key-id"].clone()).unwrap()
}

async fn no_word_of_it_is_stored(engine: TestEngine) {
    let receiver = refusing().await;
    let config = format!("{}{}", encryption(&engine, &[("one", 1)]), config(&receiver));
    let app = App::start(&engine, &config).await;

    // One that fails, and whose receiver quotes it in its answer; one that no route takes; a timer.
    let failed = only_execution(&app.accept(&event("1", "order.placed")).await).to_owned();
    app.accept(&event("2", "other")).await;
    let body = json!({"hours": 1, "url": format!("http://127.0.0.1:9/{WORD}")});
    let timer = json_of(
        app.post("/timers").json(&body).send().await.unwrap(),
        StatusCode::OK,
    )
    .await;
    let timer = timer["id"].as_str().unwrap().to_owned();
    let dead = app.closed(&failed).await;
    assert_eq!(dead["status"], "Failed", "{dead:#}");
    assert_eq!(dead["input"]["event"]["data"]["dish"], WORD, "{dead:#}");

    // Segno itself shows all of it.
    let letter = app.get(&format!("/dead-letters/{}", escaped(&failed)));
    let letter = json_of(letter.send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(letter["cloud_event"]["data"]["dish"], WORD, "{letter:#}");
    let error = letter["failed"][0]["error"].as_str().unwrap();
    assert!(error.contains("500"), "{letter:#}");
    let history = app.get(&format!("/executions/{}/history", escaped(&failed)));
    let history = json_of(history.send().await.unwrap(), StatusCode::OK).await;
    assert!(history.to_string().contains(WORD), "{history:#}");
    for id in ["1", "2"] {
        let story = app.get(&format!("/events/{}/{id}", escaped("/shop")));
        let story = json_of(story.send().await.unwrap(), StatusCode::OK).await;
        assert_eq!(story["event"]["data"]["dish"], WORD, "{story:#}");
    }
    let shown = app.get(&format!("/timers/{timer}")).send().await.unwrap();
    json_of(shown, StatusCode::OK).await;

    // Retried, with a note that is kept as well, and delivered.
    receiver.set_program(|_| Answer::status(200));
    let note = json!({"by": "me", "note": WORD});
    let retry = app
        .post(&format!("/dead-letters/{}/retry", escaped(&failed)))
        .json(&note);
    json_of(retry.send().await.unwrap(), StatusCode::ACCEPTED).await;
    let done = app.closed(&failed).await;
    assert_eq!(done["status"], "Completed", "{done:#}");
    let delivered = receiver.requests().pop().unwrap();
    assert_eq!(delivered.json()["data"]["dish"], WORD);

    // And the engine knows no word of it.
    let key = "segno-encryption-key/one";
    for id in listed(&engine, &app, &[&failed, &timer, key]).await {
        for what in ["show", "describe"] {
            let printed = temporal(&engine, &app, &["workflow", what, "-w", &id, "-o", "json"]).await;
            assert!(!tells(&printed), "{id}: {printed}");
        }
    }
    assert_eq!(key_of(&app, &failed).await, "one");
    // Unless it is told to ask Segno.
    let codec = app.url("/codec");
    let show = [
        "workflow",
        "show",
        "-w",
        &failed,
        "-o",
        "json",
        "--codec-endpoint",
        &codec,
    ];
    let printed = temporal(&engine, &app, &show).await;
    assert!(
        tells(&printed) && !printed.contains("binary/encrypted"),
        "{printed}"
    );
    app.stop().await;
    let mut bytes = 0;
    for name in ["engine.db", "engine.db-wal"] {
        let file = fs::read(engine.folder().join("data").join(name)).unwrap_or_default();
        bytes += file.len();
        assert!(
            !file.windows(WORD.len()).any(|window| window == WORD.as_bytes()),
            "the word is in {name}"
        );
    }
    assert_eq!(bytes > 10_000, engine.is_embedded(), "{bytes} bytes");
}

/// Starts with a configuration that does not fit the engine; returns what is said of it.
async fn refused(engine: &TestEngine, config: &str) -> String {
    let free = ([127, 0, 0, 1], 0).into();
    let builder = Segno::builder()
        .config(engine.parse(config))
        .data(engine.folder().join("data"))
        .http(free)
        .grpc(free);
    let error = builder.start().await.err().expect("it does not start");
    error.to_string()
}

async fn keys_are_rotated_and_missed(engine: TestEngine) {
    let receiver = refusing().await;
    let routes = config(&receiver);
    let with = |keys: &[(&str, u8)]| format!("{}{routes}", encryption(&engine, keys));
    let app = App::start(&engine, &with(&[("old", 1)])).await;
    let old = only_execution(&app.accept(&event("1", "order.placed")).await).to_owned();
    let kept = only_execution(&app.accept(&event("2", "order.placed")).await).to_owned();
    for id in [&old, &kept] {
        assert_eq!(app.closed(id).await["status"], "Failed");
    }
    app.stop().await;

    // A key more, in front: what the old one wrote goes on, and what is new has the new one.
    receiver.set_program(|_| Answer::status(200));
    let app = App::start(&engine, &with(&[("new", 2), ("old", 1)])).await;
    let retry = app
        .post(&format!("/dead-letters/{}/retry", escaped(&old)))
        .json(&json!({}));
    json_of(retry.send().await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!(app.closed(&old).await["status"], "Completed");
    assert_eq!(key_of(&app, &old).await, "new");
    assert_eq!(key_of(&app, &kept).await, "old");
    app.stop().await;

    // Without the old one: what it wrote is there, and says so.
    let app = App::start(&engine, &with(&[("new", 2)])).await;
    let missed = "encrypted with key \"old\", which is not configured";
    let shown = app.execution(&kept).await;
    assert_eq!(shown["input"], json!({"encrypted": missed}), "{shown:#}");
    let path = format!("/dead-letters/{}", escaped(&kept));
    let letter = json_of(app.get(&path).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(
        (letter["error"].as_str(), letter["route"].as_str()),
        (Some(missed), Some("all")),
        "{letter:#}"
    );
    let retry = app.post(&format!("{path}/retry")).json(&json!({}));
    let refusal = json_of(retry.send().await.unwrap(), StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(
        refusal["detail"].as_str().unwrap().contains(missed),
        "{refusal:#}"
    );
    let story = app.get(&format!("/events/{}/2", escaped("/shop")));
    let story = json_of(story.send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(story["executions"][0]["state"], missed, "{story:#}");
    app.stop().await;

    // Another key under the same name, and none at all: told at the start.
    let wrong = refused(&engine, &with(&[("new", 3)])).await;
    assert!(wrong.contains("SG0121") && wrong.contains("\"new\""), "{wrong}");
    let none = refused(&engine, &routes).await;
    assert!(none.contains("SG0122") && none.contains("new"), "{none}");

    // With the old one back, it is what it was.
    let app = App::start(&engine, &with(&[("new", 2), ("old", 1)])).await;
    let retry = app.post(&format!("{path}/retry")).json(&json!({}));
    json_of(retry.send().await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!(app.closed(&kept).await["status"], "Completed");
    app.stop().await;
}

/// What was acknowledged is delivered once the process is there again, with another key before the one that wrote it.
async fn killed_and_rotated(engine: TestEngine) {
    let receiver = refusing().await;
    let patient = config(&receiver).replace("max_attempts = 3", "max_attempts = 10000");
    let config = |keys: &[(&str, u8)]| format!("{}{patient}", encryption(&engine, keys));
    let mut launch = Launch::up(&engine, &config(&[("old", 1)]));
    let program = launch.start().await;
    let client = reqwest::Client::new();
    let mut sent = Vec::new();
    for n in 0..20 {
        let request = client
            .post(program.url("/events"))
            .header("content-type", "application/cloudevents+json")
            .body(event(&n.to_string(), "order.placed").to_string());
        let accepted = json_of(request.send().await.unwrap(), StatusCode::ACCEPTED).await;
        sent.push(only_execution(&accepted["events"][0]).to_owned());
    }
    receiver.wait_for(5, DEADLINE).await;
    program.kill().await;

    receiver.set_program(|_| Answer::status(200));
    let mut launch = Launch::up(&engine, &config(&[("new", 2), ("old", 1)]));
    let program = launch.start().await;
    for id in &sent {
        assert_eq!(program.closed(id).await["status"], "Completed");
    }
    program.kill().await;
}
