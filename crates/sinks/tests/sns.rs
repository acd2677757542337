//! The SNS sink against an emulator of AWS, and against answers that it does not give.
#![cfg(feature = "sns")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use segno_event::Event;
use segno_sinks::{Delivered, Delivery, Failure, Options, Sinks};
use segno_test_support::{Answer, Cut, Receiver, servers::Ministack};
use serde_json::{Value, json};

const TAKEN: Result<Delivered, Failure> = Ok(Delivered { status: Some(200) });

/// A sink named `topic`.
fn sink(endpoint: &str, options: &str) -> Sinks {
    let text = format!(
        "topic.sns = {{ endpoint = \"{endpoint}\", \
        credentials = {{ access_key_id = \"id\", secret_access_key = \"secret\" }}, {options} }}"
    );
    Sinks::new(toml::from_str(&text).unwrap(), "/nowhere".as_ref()).unwrap()
}

async fn deliver(sinks: &Sinks, key: &str, payload: &Value) -> Result<Delivered, Failure> {
    sinks.deliver("topic", Delivery::new(key, payload)).await
}

/// A topic, and a queue that has its messages; their ARN and URL.
async fn topic(aws: &Ministack, name: &str) -> (String, String) {
    let mut fields = vec![
        ("Action", "CreateTopic"),
        ("Version", "2010-03-31"),
        ("Name", name),
    ];
    if name.ends_with(".fifo") {
        fields.extend([
            ("Attributes.entry.1.key", "FifoTopic"),
            ("Attributes.entry.1.value", "true"),
        ]);
    }
    let topic = aws.form(&fields, "TopicArn").await;
    let queue = aws.queue(name).await;
    let queue_arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    let fields = [
        ("Action", "Subscribe"),
        ("Version", "2010-03-31"),
        ("TopicArn", &topic),
        ("Protocol", "sqs"),
        ("Endpoint", &queue_arn),
    ];
    aws.form(&fields, "SubscriptionArn").await;
    (topic, queue)
}

/// The notifications in the queue.
async fn arrived(aws: &Ministack, queue: &str) -> Vec<Value> {
    let messages = aws.drain(queue).await;
    let body = |message: &Value| serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
    messages.iter().map(body).collect()
}

fn payload(notification: &Value) -> Value {
    serde_json::from_str(notification["Message"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn messages_arrive_whole_in_batches() {
    let aws = Ministack::start().await;
    let (topic, queue) = topic(&aws, "orders").await;
    let options = format!(
        "topic = {topic:?}, subject = \"Order {{{{ payload.n }}}}\", \
        attributes = {{ tenant = \"{{{{ payload.tenant }}}}\" }}"
    );
    let sinks = sink(&aws.url(), &options);
    let payloads: Vec<_> = (0..50)
        .map(|n| json!({"n": n, "tenant": format!("t{}", n % 3), "text": "ä\u{ffff}\n"}))
        .collect();
    for outcome in join_all(payloads.iter().map(|payload| deliver(&sinks, "key", payload))).await {
        assert_eq!(outcome, TAKEN);
    }
    let notifications = arrived(&aws, &queue).await;
    let arrived: BTreeSet<_> = notifications.iter().map(|one| payload(one).to_string()).collect();
    assert_eq!(arrived, payloads.iter().map(Value::to_string).collect());
    for notification in &notifications {
        let payload = payload(notification);
        assert_eq!(notification["Subject"], format!("Order {}", payload["n"]));
        assert_eq!(
            notification["MessageAttributes"]["tenant"]["Value"],
            payload["tenant"]
        );
    }
}

#[tokio::test]
async fn a_fifo_topic_keeps_order_and_leaves_out_what_comes_twice() {
    let aws = Ministack::start().await;
    let (topic, queue) = topic(&aws, "orders.fifo").await;
    let sinks = sink(&aws.url(), &format!("topic = {topic:?}"));
    let events: Vec<Event> = (0..3)
        .map(|n| {
            let event = json!({
                "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed", "subject": format!("c{n}"),
            });
            serde_json::from_value(event).unwrap()
        })
        .collect();
    let payloads: Vec<_> = (0..60).map(|n| json!({ "n": n })).collect();
    let keys: Vec<_> = (0..60).map(|n| format!("key/{n}")).collect();
    for _ in 0..2 {
        let deliveries = payloads.iter().zip(&keys).enumerate().map(|(n, (payload, key))| {
            sinks.deliver("topic", Delivery::new(key, payload).of(&events[n % 3]))
        });
        for outcome in join_all(deliveries).await {
            assert_eq!(outcome, TAKEN);
        }
    }
    let numbers: Vec<_> = arrived(&aws, &queue)
        .await
        .iter()
        .map(|one| payload(one)["n"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers.len(), 60, "each once");
    for customer in 0..3 {
        let of_customer: Vec<_> = numbers.iter().filter(|n| *n % 3 == customer).collect();
        assert!(of_customer.is_sorted(), "{of_customer:?}");
    }
}

#[tokio::test]
async fn over_a_cut_network_a_message_is_there_once() {
    let mut aws = Ministack::start().await;
    aws.kill();
    let cut = Cut::to(aws.port()).await;
    let endpoint = format!("http://127.0.0.1:{}", cut.port());
    let arn = "arn:aws:sns:us-east-1:000000000000:orders.fifo";
    let sinks = sink(&endpoint, &format!("topic = {arn:?}, group = \"g\""));
    let failure = deliver(&sinks, "1", &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    aws.start_again().await;
    let (_, queue) = topic(&aws, "orders.fifo").await;
    for (key, answers) in [("1", true), ("2", false)] {
        // The message arrives and nobody hears of it; or it does not.
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        let failure = deliver(&sinks, key, &json!(key)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        cut.mend();
        assert_eq!(deliver(&sinks, key, &json!(key)).await, TAKEN);
    }
    let payloads: Vec<_> = arrived(&aws, &queue).await.iter().map(payload).collect();
    assert_eq!(payloads, [json!("1"), json!("2")]);
}

#[tokio::test]
async fn a_topic_that_is_missing_is_waited_for() {
    let aws = Ministack::start().await;
    let sinks = sink(
        &aws.url(),
        r#"topic = "arn:aws:sns:us-east-1:000000000000:orders""#,
    );
    let failure = deliver(&sinks, "key", &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    assert!(failure.to_string().contains("NotFound"), "{failure}");
    let (_, queue) = topic(&aws, "orders").await;
    assert_eq!(deliver(&sinks, "key", &json!(1)).await, TAKEN);
    assert_eq!(arrived(&aws, &queue).await.len(), 1);
    let large = json!("x".repeat(1_048_575));
    let failure = deliver(&sinks, "key", &large).await.unwrap_err();
    assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
}

#[tokio::test]
async fn messages_of_one_call_have_outcomes_of_their_own() {
    let body = "<PublishBatchResponse><PublishBatchResult><Successful><member><Id>1</Id><MessageId>m</MessageId>\
        </member></Successful><Failed><member><Id>0</Id><Code>InvalidParameter</Code><Message>told</Message>\
        <SenderFault>true</SenderFault></member><member><Id>2</Id><Code>Throttled</Code><Message>told</Message>\
        <SenderFault>true</SenderFault></member></Failed></PublishBatchResult></PublishBatchResponse>";
    let receiver = Receiver::answering(move |request| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        // Only the call with three messages gets this answer.
        if form.contains("member.3.Id") {
            Answer::status(200).body(body)
        } else {
            Answer::status(503)
        }
    })
    .await;
    let sinks = sink(
        &receiver.url("/"),
        r#"topic = "arn:aws:sns:eu-central-1:1:orders""#,
    );
    let payloads = ["bad", "good", "hurried"].map(Value::from);
    let outcomes = join_all(payloads.iter().map(|payload| deliver(&sinks, "key", payload))).await;
    assert_eq!(receiver.requests().len(), 1, "they go together");
    assert!(
        matches!(&outcomes[0], Err(Failure::Permanent { reason, .. }) if reason == "SNS answers InvalidParameter: told")
    );
    assert_eq!(outcomes[1], TAKEN);
    assert!(
        matches!(&outcomes[2], Err(Failure::Retryable { reason, .. }) if reason == "SNS answers Throttled: told")
    );
}

#[test]
fn a_topic_is_an_arn() {
    let error =
        toml::from_str::<BTreeMap<String, Options>>("topic.sns = { topic = \"orders\" }").unwrap_err();
    let error = error.message();
    assert!(error.contains("\"orders\" is no ARN of a topic"), "{error}");
}
