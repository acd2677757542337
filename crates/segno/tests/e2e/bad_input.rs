//! What is malformed is answered with what is wrong, and nothing of it is taken in.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{App, TestEngine, json_of, order};

on_every_engine!(structured, binary, batch, not_events, unknown_path);

const CONFIG: &str = r#"
    [sinks.log]
    file = { path = "log.jsonl" }

    [[routes]]
    name = "all"
    on = "*"
    actions = [{ name = "log", to = "log" }]
    "#;

async fn problem(response: Response, status: StatusCode) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem = json_of(response, status).await;
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem["title"], status.canonical_reason().unwrap());
    problem
}

/// No execution was started: a query that finds any finds none.
async fn nothing_started(app: &App) {
    let response = app.get("/executions").send().await.unwrap();
    let page = json_of(response, StatusCode::OK).await;
    assert_eq!(page["executions"], json!([]));
}

async fn structured(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    let event = json!({"specversion": "0.3", "source": "", "type": "x", "time": "yesterday", "Bad": 1});
    let problem = problem(app.send(&event).await, StatusCode::BAD_REQUEST).await;
    assert_eq!(problem["code"], "invalid-event");
    let mut attributes: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["attribute"].as_str().unwrap())
        .collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["Bad", "id", "source", "specversion", "time"]);
    for error in problem["errors"].as_array().unwrap() {
        assert!(error.get("event").is_none());
        assert!(!error["rule"].as_str().unwrap().is_empty());
    }
    nothing_started(&app).await;
    app.stop().await;
}

async fn binary(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    let request = app
        .post("/events")
        .header("ce-specversion", "1.0")
        .header("ce-source", "/shop")
        .body("{}");
    let problem = problem(request.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    let mut attributes: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["attribute"].as_str().unwrap())
        .collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["id", "type"]);
    nothing_started(&app).await;
    app.stop().await;
}

async fn batch(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    let mut bad = order("2", 2);
    bad["type"] = json!("");
    let events = json!([order("1", 1), bad, order("3", 3), {"id": "4"}]);
    let problem = problem(app.send_batch(&events).await, StatusCode::BAD_REQUEST).await;
    let errors = problem["errors"].as_array().unwrap();
    assert!(
        errors.iter().any(|e| e["event"] == 1 && e["attribute"] == "type"),
        "{problem:#}"
    );
    assert!(
        errors
            .iter()
            .any(|e| e["event"] == 3 && e["attribute"] == "source"),
        "{problem:#}"
    );
    assert!(
        errors.iter().all(|e| e["event"] == 1 || e["event"] == 3),
        "{problem:#}"
    );
    // The good ones of a bad batch are not taken in either: it is all or nothing.
    nothing_started(&app).await;
    app.stop().await;
}

async fn not_events(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    for (content_type, body, status) in [
        (
            "application/cloudevents+json",
            "{\"id\": ",
            StatusCode::BAD_REQUEST,
        ),
        (
            "application/cloudevents+json",
            "\u{feff}",
            StatusCode::BAD_REQUEST,
        ),
        (
            "application/cloudevents-batch+json",
            "{}",
            StatusCode::BAD_REQUEST,
        ),
        (
            "application/cloudevents+xml",
            "<event/>",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        ("application/json", "{}", StatusCode::BAD_REQUEST),
        ("text/plain", "hello", StatusCode::BAD_REQUEST),
    ] {
        let request = app
            .post("/events")
            .header("content-type", content_type)
            .body(body);
        let problem = problem(request.send().await.unwrap(), status).await;
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{content_type}");
    }
    let invalid_utf8 = b"{\"id\": \"\xff\"}".to_vec();
    let request = app
        .post("/events")
        .header("content-type", "application/cloudevents+json")
        .body(invalid_utf8);
    problem(request.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    nothing_started(&app).await;
    app.stop().await;
}

async fn unknown_path(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    problem(app.get("/nothing").send().await.unwrap(), StatusCode::NOT_FOUND).await;
    problem(
        app.get("/executions/none").send().await.unwrap(),
        StatusCode::NOT_FOUND,
    )
    .await;
    let response = app
        .get("/executions?query=Nonsense%20%3D%20%27x%27")
        .send()
        .await
        .unwrap();
    let refused = problem(response, StatusCode::BAD_REQUEST).await;
    assert!(
        refused["detail"].as_str().unwrap().contains("Nonsense"),
        "{refused:#}"
    );
    for bad in ["page_size=0", "page_size=1001", "page_token=%2F%2F"] {
        let response = app.get(&format!("/executions?{bad}")).send().await.unwrap();
        problem(response, StatusCode::BAD_REQUEST).await;
    }
    app.stop().await;
}
