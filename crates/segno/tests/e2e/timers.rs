//! Timers through the same server as everything else.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use segno_test_support::Receiver;
use serde_json::{Value, json};

use crate::support::{App, DEADLINE, TestEngine, json_of};

on_every_engine!(
    fires_and_is_listed,
    idempotency_key,
    private_addresses,
    bad_input,
    signed
);

const PRIVATE: &str = "[timers]\nallow_private = true\n";

async fn fires_and_is_listed(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, PRIVATE).await;
    let began = SystemTime::now();
    let body = json!({"seconds": 1, "url": receiver.url("/timer?x=1")});
    let response = app.post("/timers").json(&body).send().await.unwrap();
    let id = json_of(response, StatusCode::OK).await["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let path = format!("/timers/{id}");
    let left = json_of(app.get(&path).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(left["id"], id.as_str());
    assert!(left["time_left"].as_u64().unwrap() <= 1, "{left}");

    let requests = receiver.wait_for(1, DEADLINE).await;
    assert_eq!(requests[0].uri.to_string(), format!("/timer/{id}?x=1"));
    assert!(requests[0].at.duration_since(began).unwrap() >= Duration::from_secs(1));
    let execution = app.closed(&id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["type"], "SegnoTimer");
    let left = json_of(app.get(&path).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(left, json!({"id": id, "time_left": 0}));
    app.stop().await;
}

async fn idempotency_key(engine: TestEngine) {
    let app = App::start(&engine, PRIVATE).await;
    let send = async |seconds: u32| {
        let body = json!({"seconds": seconds, "hours": 1, "url": "http://127.0.0.1:9/"});
        app.post("/timers")
            .header("idempotency-key", "k-1")
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    let first = json_of(send(1).await, StatusCode::OK).await;
    assert_eq!(json_of(send(1).await, StatusCode::OK).await, first);
    json_of(send(2).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    app.stop().await;
}

async fn private_addresses(engine: TestEngine) {
    let app = App::start(&engine, "").await;
    let body = json!({"seconds": 1, "url": "http://127.0.0.1:9/"});
    let response = app.post("/timers").json(&body).send().await.unwrap();
    let refused = json_of(response, StatusCode::BAD_REQUEST).await;
    assert_eq!(refused["error"], "Validation failed", "{refused:#}");
    app.stop().await;
}

async fn bad_input(engine: TestEngine) {
    let app = App::start(&engine, PRIVATE).await;
    let body = json!({"minutes": 60, "url": "nowhere", "colour": "red"});
    let response = app.post("/timers").json(&body).send().await.unwrap();
    let refused: Value = json_of(response, StatusCode::BAD_REQUEST).await;
    assert_eq!(refused["message"].as_array().unwrap().len(), 3, "{refused:#}");
    let response = app
        .get("/timers/00000000-0000-4000-8000-000000000000")
        .send()
        .await
        .unwrap();
    let missing = json_of(response, StatusCode::NOT_FOUND).await;
    assert_eq!(missing, json!({"message": "Timer not found", "statusCode": 404}));
    json_of(
        app.get("/timers/nonsense").send().await.unwrap(),
        StatusCode::BAD_REQUEST,
    )
    .await;
    app.stop().await;
}

async fn signed(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let config = format!("{PRIVATE}secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n");
    let app = App::start(&engine, &config).await;
    let body = json!({"url": receiver.url("/timer")});
    json_of(
        app.post("/timers").json(&body).send().await.unwrap(),
        StatusCode::OK,
    )
    .await;
    let requests = receiver.wait_for(1, DEADLINE).await;
    assert!(
        requests[0]
            .header("webhook-signature")
            .unwrap()
            .starts_with("v1,")
    );
    app.stop().await;
}
