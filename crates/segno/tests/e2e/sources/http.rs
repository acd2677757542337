//! The sources that are called: webhooks and EventBridge.

use serde_json::{Value, json};

use super::{config, until_written};
use crate::support::{App, TestEngine};

on_every_engine!(webhooks, put_events_and_api_destinations);

/// A segno with the source `in`; its folder is where it runs.
async fn start(engine: &TestEngine, source: &str) -> App {
    App::start(engine, &config(source)).await
}

async fn webhooks(engine: TestEngine) {
    let source = r#"webhook = { scheme = { token = { header = "X-Token" } }, secrets = ["hunter2"], id_header = "X-Id",
                    codec = { map = "{type: .body.kind, data: .body}" } }"#;
    let source = source.replace('\n', " ");
    let app = start(&engine, &source).await;
    let call = async |token: &str, id: &str, body: Value| {
        let request = app
            .post("/webhooks/in")
            .header("x-token", token)
            .header("x-id", id);
        let response = request.body(body.to_string()).send().await.unwrap();
        response.status().as_u16()
    };
    assert_eq!(call("hunter2", "d-1", json!({"kind": "order.paid"})).await, 202);
    assert_eq!(
        call("hunter2", "d-1", json!({"kind": "order.paid"})).await,
        202,
        "delivered again"
    );
    assert_eq!(call("wrong", "d-2", json!({"kind": "order.paid"})).await, 401);
    assert_eq!(call("hunter2", "d-3", json!({})).await, 400);
    assert_eq!(call("hunter2", "d-4", json!({"kind": "order.sent"})).await, 202);
    assert_eq!(
        app.post("/webhooks/other")
            .send()
            .await
            .unwrap()
            .status()
            .as_u16(),
        404
    );
    let mut types: Vec<_> = until_written(&engine, 2)
        .await
        .iter()
        .map(|one| one["type"].clone())
        .collect();
    types.sort_by_key(Value::to_string);
    assert_eq!(types, ["order.paid", "order.sent"]);
    app.stop().await;
}

async fn put_events_and_api_destinations(engine: TestEngine) {
    let app = start(&engine, "eventbridge = {}").await;
    let entry = json!({"Source": "shop", "DetailType": "OrderPlaced", "Detail": "{\"n\": 1}"});
    let response = app
        .post("/eventbridge/in/")
        .header("x-amz-target", "AWSEvents.PutEvents")
        .body(json!({"Entries": [entry]}).to_string())
        .send()
        .await
        .unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    let envelope = json!({
        "version": "0", "id": "e-1", "detail-type": "OrderSent", "source": "shop", "account": "1", "resources": [],
        "time": "2030-04-05T17:31:00Z", "region": "us-east-1", "detail": {"n": 2},
    });
    let response = app.post("/eventbridge/in").json(&envelope).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 202);
    let written = until_written(&engine, 2).await;
    let find = |ty: &str| written.iter().find(|one| one["type"] == ty).unwrap();
    assert_eq!(find("OrderPlaced")["id"], answer["Entries"][0]["EventId"]);
    assert_eq!(find("OrderSent")["data"], json!({"n": 2}));
    app.stop().await;
}
