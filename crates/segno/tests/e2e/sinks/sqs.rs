use segno_test_support::servers::Ministack;
use serde_json::Value;

use super::{TestEngine, aws, deliver_across_an_outage, totals};

on_every_engine!(orders_reach_a_fifo_queue);

async fn orders_reach_a_fifo_queue(engine: TestEngine) {
    let mut server = Ministack::start().await;
    server.kill();
    let sink = format!("sqs = {{ queue = \"orders.fifo\", {} }}", aws(&server.url()));
    deliver_across_an_outage(&engine, &sink, async || {
        server.start_again().await;
        server.queue("orders.fifo").await;
    })
    .await;
    let queue = server.queue("orders.fifo").await;
    let messages = server.drain(&queue).await;
    let bodies: Vec<Value> = messages
        .iter()
        .map(|message| serde_json::from_str(message["Body"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(totals(&bodies), [1, 2, 3, 4]);
    for message in &messages {
        assert_eq!(message["Attributes"]["MessageGroupId"], "customer-7");
        let key = message["Attributes"]["MessageDeduplicationId"].as_str().unwrap();
        assert!(key.starts_with("all//shop/"), "{key}");
    }
}
