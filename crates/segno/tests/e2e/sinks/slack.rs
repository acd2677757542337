use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};

use super::{TestEngine, completed, fails};
use crate::support::{App, only_execution, order};

on_every_engine!(orders_are_told_of_in_a_channel);

async fn orders_are_told_of_in_a_channel(engine: TestEngine) {
    let receiver = Receiver::sequence([
        Answer::status(503),
        Answer::status(429).retry_after("1"),
        Answer::status(200).body("ok"),
        Answer::status(404).body("channel_not_found"),
    ])
    .await;
    let config = format!(
        "[sinks.target.slack]\nurl = \"{}\"\nallow_private = true\n{}",
        receiver.url("/services/T/B/X"),
        super::route(r##"{channel: "#orders", title: "Order \(.data.id)", color: "good", data}"##)
    );
    let app = App::start(&engine, &config).await;
    let accepted = app.accept(&order("1", 5)).await;
    completed(&app, only_execution(&accepted)).await;
    let bodies: Vec<Value> = receiver.requests().iter().map(|request| request.json()).collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies[0], bodies[2]);
    assert_eq!(bodies[2]["channel"], "#orders");
    let attachment = &bodies[2]["attachments"][0];
    assert_eq!(attachment["title"], "Order 1");
    assert_eq!(
        attachment["fields"][1],
        json!({ "title": "total", "value": "5", "short": true })
    );
    // Slack's word that it will never take it.
    let (message, attempts) = fails(&app, &order("2", 5)).await;
    assert!(message.contains("channel_not_found"), "{message}");
    assert_eq!(attempts, 1);
    app.stop().await;
}
