//! What only a Temporal cluster has: it can be away, refuse, and be named by the environment.

use std::time::Duration;

use reqwest::StatusCode;
use segno::Segno;
use segno_test_support::{Options, Receiver, TemporalServer, free_port};
use temporalio_common::protos::temporal::api::enums::v1::IndexedValueType;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::support::{App, DEADLINE, Launch, TestEngine, json_of, only_execution, order};

fn config(receiver: &Receiver) -> String {
    format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "*"
        actions = [{{ name = "tell", to = "notify" }}]
        "#,
        receiver.url("/hook")
    )
}

/// While the cluster is away callers are told to come back; then everything goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        db: Some(folder.path().join("temporal.db")),
        port: Some(free_port()),
        ..Default::default()
    };
    let server = TemporalServer::start_with(options.clone()).await;
    let mut engine = TestEngine::of(server, "default");
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    app.closed(only_execution(&app.accept(&order("1", 1)).await))
        .await;

    engine.stop_server();
    let response = app.send(&order("2", 2)).await;
    let retry_after: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(retry_after >= 1);
    let problem = json_of(response, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(problem["code"], "engine-unavailable");
    let ready = app.get("/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(app.get("/livez").send().await.unwrap().status(), StatusCode::OK);

    let _server = TemporalServer::start_with(options).await;
    let deadline = Instant::now() + DEADLINE;
    loop {
        let response = app.send(&order("2", 2)).await;
        if response.status() == StatusCode::ACCEPTED {
            break;
        }
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(200)).await;
    }
    let execution = app.closed("all//shop/2").await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(app.get("/readyz").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(app.accept(&order("1", 1)).await["duplicate"], true);
    app.stop().await;
}

/// A refusal ends in the command that an operator has to run, and the command is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_search_attributes() {
    let server = TemporalServer::start().await;
    // As many keywords as the server takes: it refuses further ones.
    let names: Vec<_> = (0..10).map(|n| format!("Keyword{n}")).collect();
    let full: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), IndexedValueType::Keyword))
        .collect();
    let full = server.namespace_with(&full).await;
    let fresh = server.namespace().await;
    let address = server.address().to_owned();

    let engine = TestEngine::of(server, &full);
    let error = Segno::builder()
        .config(engine.parse(""))
        .http(([127, 0, 0, 1], 0).into())
        .start()
        .await;
    let error = error.err().expect("it is refused").to_string();
    let command = error
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("temporal "))
        .expect("a command");
    assert!(
        command.contains(&format!("--address {address} --namespace {full} ")),
        "{command}"
    );

    let program = std::env::var_os("SEGNO_TEMPORAL_BIN").unwrap_or_else(|| "temporal".into());
    let command = command.replace(&full, &fresh);
    let done = Command::new(program)
        .args(command.split(' ').skip(1))
        .output()
        .await
        .unwrap();
    assert!(
        done.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    let app = App::start(&engine.in_namespace(&fresh), "").await;
    app.stop().await;
}

/// A namespace that is not there is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_namespace() {
    let engine = TestEngine::of(TemporalServer::start().await, "nowhere");
    let error = Segno::builder()
        .config(engine.parse(""))
        .http(([127, 0, 0, 1], 0).into())
        .start()
        .await;
    let error = error.err().expect("it cannot start").to_string();
    assert!(error.contains("no namespace \"nowhere\""), "{error}");
}

/// Temporal's variables win over the configuration, and the process keeps no state of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environment_wins() {
    let engine = TestEngine::temporal().await;
    let receiver = Receiver::start().await;
    let config = format!(
        "engine = {{ temporal = {{ address = \"127.0.0.1:1\" }} }}\n{}",
        config(&receiver)
    );
    let path = engine.folder().join("elsewhere.toml");
    std::fs::write(&path, config).unwrap();
    // The variables of the test's engine are set by the launch.
    let mut launch = Launch::segno("up", &engine, &["--config", path.to_str().unwrap()]);
    let program = launch.start().await;
    let response = reqwest::Client::new()
        .post(program.url("/events"))
        .header("content-type", "application/cloudevents+json")
        .body(order("1", 1).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let execution = program.closed("all//shop/1").await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert!(
        !engine.folder().join("data").exists(),
        "it opens no file of its own"
    );
}
