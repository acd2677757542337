use segno_test_support::{Cut, servers::Ministack};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{TestEngine, aws, deliver_across_an_outage, totals};
use crate::support::DEADLINE;

on_every_engine!(orders_reach_a_bus);

async fn orders_reach_a_bus(engine: TestEngine) {
    let mut server = Ministack::start().await;
    server.kill();
    // What comes to a bus without a rule goes nowhere: the way to the server is open when the bus has one.
    let proxy = Cut::to(server.port()).await;
    proxy.cut();
    let endpoint = format!("http://127.0.0.1:{}", proxy.port());
    let sink = format!("eventbridge = {{ {} }}", aws(&endpoint));
    deliver_across_an_outage(&engine, &sink, async || {
        server.start_again().await;
        server.queue("orders").await;
        let rule = json!({"Name": "all", "EventPattern": json!({"source": ["/shop"]}).to_string()});
        server.call("AWSEvents.PutRule", rule).await;
        let queue = "arn:aws:sqs:us-east-1:000000000000:orders";
        let targets = json!({"Rule": "all", "Targets": [{"Id": "1", "Arn": queue}]});
        server.call("AWSEvents.PutTargets", targets).await;
        proxy.mend();
    })
    .await;
    let queue = server.queue("orders").await;
    let mut events: Vec<Value> = Vec::new();
    let arrive = async {
        while events.len() < 4 {
            for message in server.drain(&queue).await {
                events.push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
            }
            sleep(std::time::Duration::from_millis(30)).await;
        }
    };
    timeout(DEADLINE, arrive).await.expect("they arrive");
    assert!(events.iter().all(|event| event["detail-type"] == "order.placed"));
    assert_eq!(totals(events.iter().map(|event| &event["detail"])), [1, 2, 3, 4]);
}
