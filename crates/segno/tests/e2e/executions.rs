//! What the API shows of executions.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution, order};

on_every_engine!(
    listed_by_query_and_page,
    histories_are_decoded_page_by_page,
    the_api_describes_itself,
);

fn config(engine: &TestEngine) -> String {
    let path = engine.folder().join("log.jsonl");
    format!(
        r#"
        [sinks]
        log = {{ file = {{ path = {path:?} }} }}

        [[routes]]
        name = "orders"
        on = "order.*"
        actions = [{{ name = "log", to = "log" }}]
        "#
    )
}

/// Waits until the list has as many entries as expected: a cluster's visibility lags by moments.
async fn list(app: &App, query: &[(&str, &str)], count: usize) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let response = app.get("/executions").query(query).send().await.unwrap();
        let page = json_of(response, StatusCode::OK).await;
        if page["executions"].as_array().unwrap().len() == count {
            return page;
        }
        assert!(Instant::now() < deadline, "{page:#}");
        sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn listed_by_query_and_page(engine: TestEngine) {
    let app = App::start(&engine, &config(&engine)).await;
    for n in 0..7 {
        let mut event = order(&n.to_string(), n);
        event["subject"] = json!(format!("customer-{}", n % 2));
        app.closed(only_execution(&app.accept(&event).await)).await;
    }
    list(&app, &[], 7).await;
    list(&app, &[("query", "SegnoEventSubject = 'customer-0'")], 4).await;
    list(
        &app,
        &[(
            "query",
            "SegnoEventType = 'order.placed' AND SegnoEventSource = '/shop'",
        )],
        7,
    )
    .await;
    list(
        &app,
        &[("query", "SegnoRoute = 'orders' AND ExecutionStatus = 'Completed'")],
        7,
    )
    .await;
    list(&app, &[("query", "ExecutionStatus = 'Running'")], 0).await;

    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let mut query = vec![("page_size", "3")];
        if !token.is_empty() {
            query.push(("page_token", &token));
        }
        let page = json_of(
            app.get("/executions").query(&query).send().await.unwrap(),
            StatusCode::OK,
        )
        .await;
        let ids = page["executions"].as_array().unwrap().iter();
        seen.extend(ids.map(|execution| execution["workflow_id"].as_str().unwrap().to_owned()));
        match page["next_page_token"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    // Newest first, none twice.
    let expected: Vec<_> = (0..7).rev().map(|n| format!("orders//shop/{n}")).collect();
    assert_eq!(seen, expected);

    let execution = app.execution("orders//shop/3").await;
    assert_eq!(execution["route"], "orders");
    assert_eq!(execution["event_subject"], "customer-1");
    assert_eq!(execution["input"]["event"]["data"]["total"], 3);
    assert_eq!(execution["actions"][0]["name"], "log");
    assert_eq!(execution["actions"][0]["state"], "completed");
    app.stop().await;
}

async fn histories_are_decoded_page_by_page(engine: TestEngine) {
    let app = App::start(&engine, &config(&engine)).await;
    let mut event = order("<b>1</b>", 1);
    event["source"] = json!("https://shop.example/a?b=1");
    let accepted = app.accept(&event).await;
    let id = only_execution(&accepted).to_owned();
    app.closed(&id).await;
    let path: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let path = format!("/executions/{path}/history");
    let read = async |query: &str| {
        json_of(
            app.get(&format!("{path}{query}")).send().await.unwrap(),
            StatusCode::OK,
        )
        .await
    };

    let whole = read("").await;
    let events = whole["events"].as_array().unwrap();
    assert_eq!(events[0]["type"], "WorkflowExecutionStarted");
    assert_eq!(events[0]["details"]["input"]["event"]["id"], "<b>1</b>");
    let done = events
        .iter()
        .find(|event| event["type"] == "ActivityTaskCompleted")
        .unwrap();
    assert_eq!(done["details"]["result"]["attempt"], 1);
    let (mut paged, mut query) = (Vec::new(), "?page_size=3".to_owned());
    loop {
        let page = read(&query).await;
        paged.extend(page["events"].as_array().unwrap().clone());
        let Some(token) = page["next_page_token"].as_str() else {
            break;
        };
        query = format!("?page_size=3&page_token={token}");
    }
    assert_eq!(&paged, events);
    let back = read("?reverse=true").await;
    assert_eq!(back["events"][0], events[events.len() - 1]);
    let bad = app.get(&format!("{path}?page_size=0")).send().await.unwrap();
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    let none = app.get("/executions/none/history").send().await.unwrap();
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    app.stop().await;
}

async fn the_api_describes_itself(engine: TestEngine) {
    let app = App::start(&engine, "").await;
    let document = json_of(app.get("/openapi.json").send().await.unwrap(), StatusCode::OK).await;
    let committed = include_str!("../../openapi.json");
    assert_eq!(document, serde_json::from_str::<Value>(committed).unwrap());
    for path in [
        "/events",
        "/executions",
        "/executions/{workflow_id}",
        "/timers",
        "/timers/{id}",
        "/readyz",
    ] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
    let page = app.get("/api-docs/").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("swagger-ui"));
    // The address without the slash leads there too.
    assert_eq!(
        app.get("/api-docs").send().await.unwrap().status(),
        StatusCode::OK
    );
    app.stop().await;
}
