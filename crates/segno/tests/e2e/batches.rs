//! Limits of batches.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{App, TestEngine, json_of, order};

on_every_engine!(one_event_too_large, empty);

const CONFIG: &str = r#"
    [http]
    max_event_bytes = 1000

    [sinks.log]
    file = { path = "log.jsonl" }

    [[routes]]
    name = "none"
    on = "none"
    actions = [{ name = "log", to = "log" }]
    "#;

async fn one_event_too_large(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    let mut large = order("2", 2);
    large["data"]["note"] = json!("x".repeat(1000));
    let response = app.send_batch(&json!([order("1", 1), large])).await;
    let problem = json_of(response, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(problem["errors"][0]["event"], 1);

    // Each within the limit, all together far beyond it.
    let many: Vec<_> = (0..50).map(|n| order(&n.to_string(), n)).collect();
    let body = json!(many).to_string();
    assert!(body.len() > 5_000 && body.len() < 16_000, "{}", body.len());
    let reply = json_of(app.send_batch(&json!(many)).await, StatusCode::ACCEPTED).await;
    assert_eq!(reply["events"].as_array().unwrap().len(), 50);

    // A body beyond any batch.
    let many: Vec<_> = (0..500).map(|n| order(&n.to_string(), n)).collect();
    json_of(app.send_batch(&json!(many)).await, StatusCode::PAYLOAD_TOO_LARGE).await;
    app.stop().await;
}

async fn empty(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    let reply = json_of(app.send_batch(&json!([])).await, StatusCode::ACCEPTED).await;
    assert_eq!(reply["events"], json!([]));
    app.stop().await;
}
