//! Redaction: values that administrators alone see, and everybody's receivers.

use std::fs;

use reqwest::{Client, StatusCode};
use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};

use crate::support::{App, DEADLINE, TestEngine, json_of};

on_every_engine!(only_administrators_see_it);

const CARD: &str = "4111-1111-1111-1111";

async fn only_administrators_see_it(engine: TestEngine) {
    for role in ["admin", "operator", "viewer"] {
        fs::write(engine.folder().join(role), format!("token-of-the-{role}")).unwrap();
    }
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    let config = format!(
        r#"
        [http]
        tokens = [
            {{ name = "a", file = "admin", role = "admin" }},
            {{ name = "o", file = "operator", role = "operator" }},
            {{ name = "v", file = "viewer", role = "viewer" }},
        ]

        [sinks]
        hook = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[redact]]
        on = "order.*"
        paths = ["/data/card", "/data/items/*/price"]

        [[routes]]
        name = "all"
        on = "*"
        actions = [{{ name = "tell", to = "hook", transform = "{{pay: .data.card, total: .data.total}}", retry = {{ initial = "10ms", max_attempts = 2 }} }}]
        "#,
        receiver.url("/hook")
    );
    let app = App::start(&engine, &config).await;
    let client = Client::new();
    let get = async |role: &str, path: &str| -> Value {
        let request = client
            .get(app.url(path))
            .bearer_auth(format!("token-of-the-{role}"));
        json_of(request.send().await.unwrap(), StatusCode::OK).await
    };
    let retry = async |role: &str, body: &Value| {
        let path = app.url("/dead-letters/all%2F%2Fshop%2F1/retry");
        let request = client.post(path).bearer_auth(format!("token-of-the-{role}"));
        request.json(body).send().await.unwrap()
    };
    let sent = client
        .post(app.url("/events"))
        .bearer_auth("token-of-the-operator")
        .header("content-type", "application/cloudevents+json")
        .body(
            json!({
                "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed",
                "data": { "card": CARD, "items": [{ "price": 129_900 }], "total": 129_900, "note": "soon" },
            })
            .to_string(),
        );
    json_of(sent.send().await.unwrap(), StatusCode::ACCEPTED).await;
    let execution = "/executions/all%2F%2Fshop%2F1";
    let until = async |status: &str| {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while get("admin", execution).await["status"] != status {
            assert!(tokio::time::Instant::now() < deadline, "not {status}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    until("Failed").await;

    let paths = [
        execution.to_owned(),
        format!("{execution}/history"),
        format!("{execution}/history?reverse=true&page_size=1"),
        "/events/%2Fshop/1".to_owned(),
        "/dead-letters/all%2F%2Fshop%2F1".to_owned(),
        "/dead-letters".to_owned(),
    ];
    for path in &paths {
        for role in ["operator", "viewer"] {
            let shown = get(role, path).await.to_string();
            assert!(
                !shown.contains(CARD) && !shown.contains("129900"),
                "{role}, {path}: {shown}"
            );
        }
    }
    let shown = get("operator", "/dead-letters/all%2F%2Fshop%2F1").await;
    let data = json!({
        "card": "[redacted]", "items": [{ "price": "[redacted]" }], "total": "[redacted]", "note": "soon",
    });
    assert_eq!(shown["cloud_event"]["data"], data, "{shown:#}");
    let whole = get("admin", "/dead-letters/all%2F%2Fshop%2F1").await;
    assert_eq!(whole["cloud_event"]["data"]["card"], CARD, "{whole:#}");

    // What somebody saw is not written back.
    let edited = retry("operator", &json!({ "data": data })).await;
    let refusal = json_of(edited, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(
        refusal["detail"].as_str().unwrap().contains("/data/card"),
        "{refusal:#}"
    );

    // Receivers get it whole, and what they got is redacted where it is told.
    receiver.set_program(|_| Answer::status(200));
    json_of(retry("operator", &json!({})).await, StatusCode::ACCEPTED).await;
    until("Completed").await;
    let delivered = receiver.requests().pop().unwrap().json();
    assert_eq!(delivered, json!({ "pay": CARD, "total": 129_900 }));
    let story = get("viewer", "/events/%2Fshop/1").await;
    assert_eq!(story["executions"][0]["status"], "Completed", "{story:#}");
    assert!(!story.to_string().contains(CARD), "{story:#}");
    assert!(get("admin", execution).await.to_string().contains(CARD));
    app.stop().await;
}
