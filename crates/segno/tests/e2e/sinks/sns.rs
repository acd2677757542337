use segno_test_support::{Cut, servers::Ministack};
use serde_json::Value;

use super::{TestEngine, aws, deliver_across_an_outage, totals};

on_every_engine!(orders_reach_a_topic);

async fn orders_reach_a_topic(engine: TestEngine) {
    let mut server = Ministack::start().await;
    server.kill();
    // A message without a subscriber goes nowhere: the way to the server is open when the topic has one.
    let proxy = Cut::to(server.port()).await;
    proxy.cut();
    let topic = "arn:aws:sns:us-east-1:000000000000:orders";
    let endpoint = format!("http://127.0.0.1:{}", proxy.port());
    let sink = format!("sns = {{ topic = \"{topic}\", {} }}", aws(&endpoint));
    deliver_across_an_outage(&engine, &sink, async || {
        server.start_again().await;
        server.queue("orders").await;
        let create = [
            ("Action", "CreateTopic"),
            ("Version", "2010-03-31"),
            ("Name", "orders"),
        ];
        assert_eq!(server.form(&create, "TopicArn").await, topic);
        let subscribe = [
            ("Action", "Subscribe"),
            ("Version", "2010-03-31"),
            ("TopicArn", topic),
            ("Protocol", "sqs"),
            ("Endpoint", "arn:aws:sqs:us-east-1:000000000000:orders"),
        ];
        server.form(&subscribe, "SubscriptionArn").await;
        proxy.mend();
    })
    .await;
    let queue = server.queue("orders").await;
    let payload = |message: &Value| -> Value {
        let notification: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        serde_json::from_str(notification["Message"].as_str().unwrap()).unwrap()
    };
    let payloads: Vec<_> = server.drain(&queue).await.iter().map(payload).collect();
    assert_eq!(totals(&payloads), [1, 2, 3, 4]);
}
