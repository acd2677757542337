//! The three modes of the HTTP binding.

use reqwest::StatusCode;
use segno_test_support::Receiver;
use serde_json::json;

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution, order};

on_every_engine!(structured, binary, batch, no_route);

fn config(receiver: &Receiver) -> String {
    format!(
        r#"
        [sinks.notify]
        webhook = {{ url = "{}", allow_private = true }}

        [[routes]]
        name = "big-orders"
        on = "order.*"
        when = "event.data.total > 100"

        [[routes.actions]]
        name = "tell"
        to = "notify"
        transform = "{{order: .data.id, total: .data.total, via: .type}}"
        "#,
        receiver.url("/hook")
    )
}

async fn structured(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    let accepted = app.accept(&order("1", 250)).await;
    assert_eq!(accepted["id"], "1");
    assert_eq!(accepted["source"], "/shop");
    assert_eq!(accepted["duplicate"], false);
    let id = only_execution(&accepted);
    assert_eq!(id, "big-orders//shop/1");
    assert_eq!(accepted["executions"][0]["route"], "big-orders");
    assert_eq!(accepted["executions"][0]["duplicate"], false);

    let execution = app.closed(id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["run_id"], accepted["executions"][0]["run_id"]);
    let requests = receiver.wait_for(1, DEADLINE).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].json(),
        json!({"order": "1", "total": 250, "via": "order.placed"})
    );
    assert_eq!(
        requests[0].header("webhook-id"),
        Some("big-orders//shop/1/tell/0")
    );
    app.stop().await;
}

async fn binary(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    let response = app
        .post("/events")
        .header("ce-specversion", "1.0")
        .header("ce-id", "2")
        .header("ce-source", "/shop")
        .header("ce-type", "order.changed")
        .header("content-type", "application/json")
        .body(r#"{"id": "2", "total": 101}"#)
        .send()
        .await
        .unwrap();
    let reply = json_of(response, StatusCode::ACCEPTED).await;
    assert_eq!(only_execution(&reply["events"][0]), "big-orders//shop/2");
    let requests = receiver.wait_for(1, DEADLINE).await;
    assert_eq!(
        requests[0].json(),
        json!({"order": "2", "total": 101, "via": "order.changed"})
    );
    app.stop().await;
}

async fn batch(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    let mut events: Vec<_> = (0..40).map(|n| order(&n.to_string(), 200 + n)).collect();
    events.push(order("small", 5));
    let reply = json_of(app.send_batch(&json!(events)).await, StatusCode::ACCEPTED).await;
    let accepted = reply["events"].as_array().unwrap();
    assert_eq!(accepted.len(), 41);
    for (n, event) in accepted[..40].iter().enumerate() {
        assert_eq!(event["id"], n.to_string());
        assert_eq!(only_execution(event), format!("big-orders//shop/{n}"));
    }
    assert_eq!(accepted[40]["executions"], json!([]));
    let requests = receiver.wait_for(40, DEADLINE).await;
    let mut totals: Vec<_> = requests
        .iter()
        .map(|r| r.json()["total"].as_u64().unwrap())
        .collect();
    totals.sort_unstable();
    assert_eq!(totals, (200..240).collect::<Vec<_>>());
    app.stop().await;
}

async fn no_route(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    for event in [
        // The filter says no.
        order("3", 100),
        // The filter fails: there is no data.
        json!({"specversion": "1.0", "id": "4", "source": "/shop", "type": "order.placed"}),
        // The type is another.
        json!({"specversion": "1.0", "id": "5", "source": "/shop", "type": "comment.created"}),
    ] {
        let accepted = app.accept(&event).await;
        assert_eq!(accepted["executions"], json!([]), "{event}");
        assert_eq!(accepted["message"], "no route matched");
        assert_eq!(accepted["duplicate"], false);
    }
    app.stop().await;
    assert!(receiver.requests().is_empty());
}
