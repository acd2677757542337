//! The audit log: who has changed what, on disk before it is done.

use reqwest::{RequestBuilder, StatusCode};
use segno::access::Role;
use segno_test_support::{Options, TemporalServer, free_port};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

#[cfg(feature = "embedded")]
use crate::support::Launch;
use crate::{
    access::{client, token, tokens},
    support::{App, DEADLINE, TestEngine, json_of},
};

on_every_engine! {
    changes_are_recorded_with_what_became_of_them,
    without_tokens_the_actor_is_local,
}

const ROUTE: &str = r#"
[sinks.out]
file = { path = "out.jsonl" }
[[routes]]
name = "big-orders"
on = "*"
actions = [{ name = "keep", to = "out" }]
"#;

/// The log, once it has this many entries and each says what became of it.
async fn log(list: impl Fn() -> RequestBuilder, entries: usize) -> Vec<Value> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let page = json_of(list().send().await.unwrap(), StatusCode::OK).await;
        let found = page["entries"].as_array().unwrap().clone();
        if found.len() == entries && found.iter().all(|entry| entry["outcome"].is_object()) {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {found:#?}");
        sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn changes_are_recorded_with_what_became_of_them(engine: TestEngine) {
    let app = App::start(&engine, &format!("{}{ROUTE}", tokens(&engine))).await;
    let client = client();
    let as_role = |request: RequestBuilder, role| request.bearer_auth(token(role));
    let change = |path: &str, role| as_role(client.post(app.url(path)), role);
    let list = |query: &str| as_role(client.get(app.url(&format!("/audit{query}"))), Role::Admin);

    let paused = change("/routes/big-orders/pause", Role::Operator)
        .header("x-request-id", "the-first")
        .send()
        .await
        .unwrap();
    assert_eq!(paused.headers()["x-request-id"], "the-first");
    json_of(paused, StatusCode::OK).await;
    let asked = json!({ "route": "none", "key": "k", "data": { "card": "4111" } });
    let failed = change("/keys/pause", Role::Admin)
        .json(&asked)
        .send()
        .await
        .unwrap();
    assert!(failed.status().is_client_error(), "{failed:?}");
    let refused = change("/routes/big-orders/resume", Role::Viewer)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    json_of(
        change("/routes/big-orders/resume", Role::Admin)
            .send()
            .await
            .unwrap(),
        StatusCode::OK,
    )
    .await;

    // Reading and what was not allowed change nothing.
    let entries = log(|| list(""), 3).await;
    let actions: Vec<_> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let expected = [
        "POST /routes/{name}/resume",
        "POST /keys/pause",
        "POST /routes/{name}/pause",
    ];
    assert_eq!(actions, expected);
    let first = &entries[2];
    assert_eq!(first["who"], "the operator");
    assert_eq!(first["role"], "operator");
    assert_eq!(first["from"], "127.0.0.1");
    assert_eq!(first["path"], "/routes/big-orders/pause");
    assert_eq!(first["request_id"], "the-first");
    assert_eq!(first["outcome"], json!({ "result": "done", "status": 200 }));
    assert!(first["time"].as_str().unwrap() <= entries[0]["time"].as_str().unwrap());
    let second = &entries[1];
    assert_eq!(second["outcome"]["result"], "failed");
    assert_eq!(second["request"]["body"]["route"], "none");
    assert!(!second.to_string().contains("4111"), "{second}");

    // Found by who, action, path and time; page by page.
    for (query, found) in [
        ("?who=the+operator", 1),
        ("?who=the+admin", 2),
        ("?who=the+admin&action=POST+/keys/pause", 1),
        ("?who=nobody", 0),
        ("?path=/routes/big-orders/resume", 1),
        ("?until=2000-01-01T00:00:00Z", 0),
        ("?since=2000-01-01T00:00:00Z", 3),
    ] {
        assert_eq!(log(|| list(query), found).await.len(), found, "{query}");
    }
    let (mut paged, mut query) = (Vec::new(), "?page_size=2".to_owned());
    loop {
        let page = json_of(list(&query).send().await.unwrap(), StatusCode::OK).await;
        paged.extend(
            page["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["id"].clone()),
        );
        let Some(token) = page["next_page_token"].as_str() else {
            break;
        };
        query = format!("?page_size=2&page_token={token}");
    }
    // A list of a server orders by when entries closed, which is not yet known of all when the first list is asked for.
    let sorted = |ids: Vec<Value>| {
        let ids = ids.iter().map(|id| id.as_str().unwrap().to_owned());
        ids.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(paged.len(), entries.len());
    assert_eq!(
        sorted(paged),
        sorted(entries.iter().map(|entry| entry["id"].clone()).collect())
    );
    for wrong in ["?since=yesterday", "?page_size=0", "?page_token=%21", "?whom=ann"] {
        assert_eq!(
            list(wrong).send().await.unwrap().status(),
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }

    // Only administrators see it.
    let operator = as_role(client.get(app.url("/audit")), Role::Operator)
        .send()
        .await
        .unwrap();
    assert_eq!(operator.status(), StatusCode::FORBIDDEN);
    app.stop().await;

    // It is as durable as all else.
    let app = App::start(&engine, &format!("{}{ROUTE}", tokens(&engine))).await;
    let list = || as_role(client.get(app.url("/audit")), Role::Admin);
    assert_eq!(log(list, 3).await, entries);
    app.stop().await;
}

async fn without_tokens_the_actor_is_local(engine: TestEngine) {
    let app = App::start(&engine, ROUTE).await;
    json_of(
        app.post("/routes/big-orders/pause").send().await.unwrap(),
        StatusCode::OK,
    )
    .await;
    let entries = log(|| app.get("/audit"), 1).await;
    assert_eq!(
        (&entries[0]["who"], &entries[0]["role"]),
        (&json!("local"), &json!("admin"))
    );
    let session = json_of(app.get("/session").send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(session, json!({ "name": "local", "role": "admin" }));
    app.stop().await;
}

/// What cannot be recorded is not done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_that_cannot_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        db: Some(folder.path().join("temporal.db")),
        port: Some(free_port()),
        ..Default::default()
    };
    let server = TemporalServer::start_with(options).await;
    let mut engine = TestEngine::of(server, "default");
    let app = App::start(&engine, ROUTE).await;
    engine.stop_server();
    let refused = app.post("/routes/big-orders/pause").send().await.unwrap();
    let problem = json_of(refused, StatusCode::SERVICE_UNAVAILABLE).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("the change was not made"), "{detail}");
}

/// A change whose process is killed is in the log, and after its time it says that nobody knows what became of it.
#[cfg(feature = "embedded")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_a_crash_cuts_off_ends_as_unknown() {
    use segno_engine::clock::{Clock, ManualClock, SystemClock};

    let engine = TestEngine::embedded();
    let mut launch = Launch::up(&engine, ROUTE);
    let program = launch.start().await;
    // Nobody ever writes into this one: taking the configuration on goes no further than opening it.
    let config = engine.folder().join("segno.toml");
    std::fs::remove_file(&config).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&config)
        .status()
        .unwrap();
    assert!(made.success());
    let reload = tokio::spawn(client().post(program.url("/config/reload")).send());
    let deadline = Instant::now() + DEADLINE;
    let begun = loop {
        let list = client().get(program.url("/audit")).send().await.unwrap();
        let page = json_of(list, StatusCode::OK).await;
        if let [entry] = &page["entries"].as_array().unwrap()[..] {
            break entry.clone();
        }
        assert!(Instant::now() < deadline, "{page:#}");
        sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(begun["action"], "POST /config/reload");
    assert!(begun.get("outcome").is_none_or(Value::is_null), "{begun}");
    program.kill().await;
    assert!(reload.await.unwrap().is_err(), "nobody is left to answer");

    // The same file, where the time is this test's.
    let clock = ManualClock::new(SystemClock.now());
    let file = engine.folder().join("data/engine.db");
    let options = segno_engine::Options::new(file).with_clock(clock.clone());
    let opened = segno_engine::Engine::open(options).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handle = opened.handle();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        segno_engine::serve(&handle, listener, async move { drop(stopped.await) }).await
    });
    let place = format!("engine = {{ temporal = {{ address = \"{address}\", namespace = \"default\" }} }}\n");
    let app = App::start(&engine, &format!("{place}{ROUTE}")).await;
    let page = json_of(app.get("/audit").send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(page["entries"], json!([begun]));
    clock.advance(std::time::Duration::from_secs(10 * 60));
    let deadline = Instant::now() + DEADLINE;
    loop {
        let page = json_of(app.get("/audit").send().await.unwrap(), StatusCode::OK).await;
        if page["entries"][0]["outcome"] == json!({ "result": "unknown" }) {
            break;
        }
        assert!(Instant::now() < deadline, "{page:#}");
        sleep(std::time::Duration::from_millis(50)).await;
        // The worker that died is still waited for.
        clock.advance(std::time::Duration::from_secs(1));
    }
    app.stop().await;
    drop(stop);
    served.await.unwrap().unwrap();
    opened.shutdown().await;
}
