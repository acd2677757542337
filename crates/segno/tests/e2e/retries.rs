//! Retries are the engine's, by each action's policy and by what the receiver asks for.

use std::time::Duration;

use segno_test_support::{Answer, Receiver};
use serde_json::json;

use crate::support::{App, DEADLINE, TestEngine, only_execution, order};

on_every_engine!(until_it_works, retry_after, gone, progress_is_kept);

fn config(receiver: &Receiver, action: &str) -> String {
    format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "*"
        actions = [{{ name = "tell", to = "notify", {action} }}]
        "#,
        receiver.url("/hook")
    )
}

async fn until_it_works(engine: TestEngine) {
    let receiver = Receiver::sequence([500, 503, 302, 404].map(Answer::status)).await;
    let app = App::start(
        &engine,
        &config(&receiver, r#"retry = { initial = "20ms", backoff = 1.5 }"#),
    )
    .await;
    let execution = app
        .closed(only_execution(&app.accept(&order("1", 1)).await))
        .await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["actions"][0]["attempts"], 5);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 5);
    let keys: Vec<_> = requests
        .iter()
        .map(|request| request.header("webhook-id").unwrap())
        .collect();
    assert_eq!(keys, ["all//shop/1/tell/0"; 5], "every attempt has the same key");
    app.stop().await;
}

async fn retry_after(engine: TestEngine) {
    // The policy would wait for an hour.
    let receiver = Receiver::sequence([Answer::status(429).retry_after("2")]).await;
    let app = App::start(&engine, &config(&receiver, r#"retry = { initial = "1h" }"#)).await;
    let execution = app
        .closed(only_execution(&app.accept(&order("1", 1)).await))
        .await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    let waited = requests[1].at.duration_since(requests[0].at).unwrap();
    assert!(waited >= Duration::from_millis(1900), "{waited:?}");
    app.stop().await;
}

async fn gone(engine: TestEngine) {
    let receiver = Receiver::answering(|_| Answer::status(410)).await;
    let app = App::start(&engine, &config(&receiver, r#"retry = { initial = "10ms" }"#)).await;
    let execution = app
        .closed(only_execution(&app.accept(&order("1", 1)).await))
        .await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    assert_eq!(
        execution["actions"][0]["attempts"], 1,
        "nobody is there: {execution:#}"
    );
    assert!(
        execution["failure"]["message"].as_str().unwrap().contains("410"),
        "{execution:#}"
    );
    assert_eq!(receiver.requests().len(), 1);
    app.stop().await;
}

async fn progress_is_kept(engine: TestEngine) {
    // Of five payloads the third fails once.
    let mut failed = false;
    let receiver = Receiver::answering(move |request| {
        let fail = request.json() == 3 && !std::mem::replace(&mut failed, request.json() == 3);
        Answer::status(if fail { 500 } else { 200 })
    })
    .await;
    let action = r#"transform = ".data[]", retry = { initial = "10ms" }"#;
    let app = App::start(&engine, &config(&receiver, action)).await;
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": [1, 2, 3, 4, 5],
    });
    let execution = app.closed(only_execution(&app.accept(&event).await)).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    let told = &execution["story"][0];
    assert_eq!(
        (&told["delivered"], &told["attempts"]),
        (&json!(5), &json!(2)),
        "{execution:#}"
    );
    let attempts: Vec<_> = told["payloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sent| sent["attempt"].as_u64())
        .collect();
    assert_eq!(attempts, [None, None, Some(2), Some(2), Some(2)], "{told:#}");
    let payloads: Vec<_> = receiver
        .wait_for(6, DEADLINE)
        .await
        .iter()
        .map(|r| r.json().as_u64().unwrap())
        .collect();
    assert_eq!(
        payloads,
        [1, 2, 3, 3, 4, 5],
        "a retry goes on at the first undelivered payload"
    );
    app.stop().await;
}
