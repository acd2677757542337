//! The example program, as it is built and with its own configuration.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Launch, TestEngine, order};

on_every_engine!(ledger);

async fn ledger(engine: TestEngine) {
    let mut launch = Launch::example("ledger", &engine);
    let program = launch.start().await;
    let http = reqwest::Client::new();
    let send = async |event: Value| {
        let response = http
            .post(program.url("/events"))
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let reply: Value = response.json().await.unwrap();
        reply["events"][0]["executions"].as_array().unwrap().clone()
    };

    let executions = send(order("1", 250)).await;
    let routes: Vec<_> = executions
        .iter()
        .map(|execution| execution["route"].as_str().unwrap())
        .collect();
    assert_eq!(routes, ["book", "fulfil"]);
    let booked = program
        .closed(executions[0]["workflow_id"].as_str().unwrap())
        .await;
    assert_eq!(booked["status"], "Completed", "{booked:#}");
    let fulfilled = program
        .closed(executions[1]["workflow_id"].as_str().unwrap())
        .await;
    assert_eq!(fulfilled["status"], "Completed", "{fulfilled:#}");
    assert_eq!(fulfilled["type"], "Fulfilment");
    assert_eq!(fulfilled["result"], "parcel for customer-7");

    let mut without_total = order("2", 0);
    without_total["data"] = json!({});
    without_total.as_object_mut().unwrap().remove("subject");
    let executions = send(without_total).await;
    assert_eq!(
        executions.len(),
        1,
        "without a subject there is nobody to fulfil for"
    );
    let dead = program
        .closed(executions[0]["workflow_id"].as_str().unwrap())
        .await;
    assert_eq!(dead["status"], "Failed", "{dead:#}");
    assert!(
        dead["failure"]["message"]
            .as_str()
            .unwrap()
            .contains("the order has no total"),
        "{dead:#}"
    );
}
