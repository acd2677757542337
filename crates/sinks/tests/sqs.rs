//! The SQS sink against an emulator of AWS, and against answers that it does not give.
#![cfg(feature = "sqs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::join_all;
use segno_event::Event;
use segno_sinks::{Delivered, Delivery, Failure, Options, Sinks};
use segno_test_support::{Answer, Cut, Receiver, servers::Ministack};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);
const TAKEN: Result<Delivered, Failure> = Ok(Delivered { status: Some(200) });

/// A sink named `queue`.
fn sink(endpoint: &str, options: &str) -> Sinks {
    let text = format!(
        "queue.sqs = {{ endpoint = \"{endpoint}\", region = \"us-east-1\", \
        credentials = {{ access_key_id = \"id\", secret_access_key = \"secret\" }}, {options} }}"
    );
    Sinks::new(toml::from_str(&text).unwrap(), "/nowhere".as_ref()).unwrap()
}

async fn deliver(sinks: &Sinks, key: &str, payload: &Value) -> Result<Delivered, Failure> {
    sinks.deliver("queue", Delivery::new(key, payload)).await
}

fn event(subject: Option<&str>) -> Event {
    let mut event =
        json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed", "data": {"n": 1}});
    if let Some(subject) = subject {
        event["subject"] = subject.into();
    }
    serde_json::from_value(event).unwrap()
}

fn bodies(messages: &[Value]) -> Vec<Value> {
    let body = |message: &Value| serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
    messages.iter().map(body).collect()
}

#[tokio::test]
async fn messages_arrive_whole_in_batches() {
    let aws = Ministack::start().await;
    let queue = aws.queue("orders").await;
    let sinks = sink(
        &aws.url(),
        r#"queue = "orders", attributes = { tenant = "{{ payload.tenant }}", none = "{{ payload.none or '' }}" }"#,
    );
    let payloads: Vec<_> = (0..100)
        .map(|n| json!({"n": n, "tenant": format!("t{}", n % 3), "text": "ä\u{ffff}\n"}))
        .collect();
    let deliveries = payloads.iter().map(|payload| deliver(&sinks, "key", payload));
    for outcome in join_all(deliveries).await {
        assert_eq!(outcome, TAKEN);
    }
    let messages = aws.drain(&queue).await;
    let arrived: BTreeSet<_> = bodies(&messages).iter().map(Value::to_string).collect();
    assert_eq!(arrived, payloads.iter().map(Value::to_string).collect());
    for message in &messages {
        let body: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        let attributes = message["MessageAttributes"].as_object().unwrap();
        assert_eq!(attributes.len(), 1, "an empty one is left out: {attributes:?}");
        assert_eq!(attributes["tenant"]["StringValue"], body["tenant"]);
    }
}

#[tokio::test]
async fn the_queue_by_its_url_and_a_delay() {
    let aws = Ministack::start().await;
    let queue = aws.queue("orders").await;
    let sinks = sink(&aws.url(), &format!("queue = {queue:?}, delay = \"1s\""));
    assert_eq!(deliver(&sinks, "key", &json!(1)).await, TAKEN);
    assert_eq!(aws.drain(&queue).await, [] as [Value; 0], "it is held back");
    let arrived = tokio::time::timeout(DEADLINE, async {
        loop {
            let messages = aws.drain(&queue).await;
            if !messages.is_empty() {
                return messages;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(bodies(&arrived.await.unwrap()), [json!(1)]);
}

#[tokio::test]
async fn a_fifo_queue_keeps_the_order_of_each_group() {
    let aws = Ministack::start().await;
    let queue = aws.queue("orders.fifo").await;
    let sinks = sink(
        &aws.url(),
        r#"queue = "orders.fifo", group = "{{ payload.customer }}""#,
    );
    let payloads: Vec<_> = (0..200)
        .map(|n| json!({"n": n, "customer": format!("c {}", n % 7)}))
        .collect();
    let keys: Vec<_> = (0..200).map(|n| format!("route//shop/{n}/tell/0")).collect();
    let deliveries = payloads
        .iter()
        .zip(&keys)
        .map(|(payload, key)| deliver(&sinks, key, payload));
    for outcome in join_all(deliveries).await {
        assert_eq!(outcome, TAKEN);
    }
    let messages = bodies(&aws.drain(&queue).await);
    assert_eq!(messages.len(), 200);
    for customer in 0..7 {
        let customer = format!("c {customer}");
        let of_customer = messages
            .iter()
            .filter(|message| message["customer"] == customer.as_str());
        let numbers: Vec<_> = of_customer
            .map(|message| message["n"].as_i64().unwrap())
            .collect();
        assert!(
            numbers.len() >= 28 && numbers.is_sorted(),
            "{customer}: {numbers:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_comes_again_is_one_message_of_its_subject() {
    let aws = Ministack::start().await;
    let queue = aws.queue("orders.fifo").await;
    let sinks = sink(&aws.url(), r#"queue = "orders.fifo""#);
    let event_of_seven = event(Some("customer 7"));
    let without = event(None);
    let long = format!("route//shop/{}/tell/0", "1".repeat(300));
    for key in ["first", "first", &long, &long] {
        let payload = json!({ "key": key });
        let delivery = Delivery::new(key, &payload).of(&event_of_seven);
        assert_eq!(sinks.deliver("queue", delivery).await, TAKEN);
    }
    let payload = json!({"key": "alone"});
    assert_eq!(
        sinks
            .deliver("queue", Delivery::new("alone", &payload).of(&without))
            .await,
        TAKEN
    );
    let messages = aws.drain(&queue).await;
    let keys: Vec<_> = bodies(&messages)
        .iter()
        .map(|body| body["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys, ["first", &long, "alone"]);
    let groups: Vec<_> = messages
        .iter()
        .map(|message| message["Attributes"]["MessageGroupId"].as_str().unwrap())
        .collect();
    assert_eq!(groups, ["customer%207", "customer%207", "alone"]);
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let mut aws = Ministack::start().await;
    aws.kill();
    let sinks = sink(&aws.url(), r#"queue = "orders""#);
    let failure = deliver(&sinks, "key", &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    assert!(
        failure.to_string().starts_with("SQS cannot be reached: "),
        "{failure}"
    );
    aws.start_again().await;
    // It forgets its queues.
    let failure = deliver(&sinks, "key", &json!(1)).await.unwrap_err();
    assert!(
        matches!(
            failure,
            Failure::Retryable {
                status: Some(400),
                ..
            }
        ),
        "{failure:?}"
    );
    assert!(failure.to_string().contains("queue does not exist"), "{failure}");
    let queue = aws.queue("orders").await;
    assert_eq!(deliver(&sinks, "key", &json!(1)).await, TAKEN);
    // While the connections are in use too.
    aws.kill();
    let failure = deliver(&sinks, "key", &json!(2)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    aws.start_again().await;
    assert_eq!(aws.queue("orders").await, queue);
    assert_eq!(deliver(&sinks, "key", &json!(2)).await, TAKEN);
    assert_eq!(bodies(&aws.drain(&queue).await), [json!(2)]);
}

#[tokio::test]
async fn over_a_cut_network_a_message_is_there_once() {
    let aws = Ministack::start().await;
    let queue = aws.queue("orders.fifo").await;
    let cut = Cut::to(aws.port()).await;
    let endpoint = format!("http://127.0.0.1:{}", cut.port());
    let sinks = sink(&endpoint, r#"queue = "orders.fifo", group = "g""#);
    assert_eq!(deliver(&sinks, "0", &json!(0)).await, TAKEN);
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
    let messages = aws.drain(&queue).await;
    assert_eq!(bodies(&messages), [json!(0), json!("1"), json!("2")]);
}

#[tokio::test]
async fn a_message_that_is_too_large_fails_alone() {
    let aws = Ministack::start().await;
    let queue = aws.queue("orders").await;
    let sinks = sink(&aws.url(), r#"queue = "orders""#);
    let (small, large) = (json!("x"), json!("x".repeat(1_048_575)));
    let half = json!("y".repeat(600_000));
    let deliveries = [&small, &large, &half, &half, &small].map(|payload| deliver(&sinks, "key", payload));
    let outcomes = join_all(deliveries).await;
    let failure = outcomes[1].clone().unwrap_err();
    assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
    assert!(failure.to_string().contains("1048577 bytes"), "{failure}");
    for n in [0, 2, 3, 4] {
        assert_eq!(outcomes[n], TAKEN);
    }
    assert_eq!(aws.drain(&queue).await.len(), 4);
}

#[tokio::test]
async fn messages_of_one_call_have_outcomes_of_their_own() {
    let receiver = Receiver::answering(|request| {
        let request = request.json();
        let (mut taken, mut failed) = (Vec::new(), Vec::new());
        for entry in request["Entries"].as_array().unwrap() {
            let mut fail = |code: &str, sender: bool| {
                failed
                    .push(json!({"Id": entry["Id"], "Code": code, "Message": "told", "SenderFault": sender}));
            };
            match entry["MessageBody"].as_str().unwrap() {
                "\"bad\"" => fail("InvalidMessageContents", true),
                "\"hurried\"" => fail("ThrottlingException", true),
                "\"unlucky\"" => fail("InternalError", false),
                "\"forgotten\"" => {}
                _ => taken.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x"})),
            }
        }
        Answer::status(200).body(json!({"Successful": taken, "Failed": failed}).to_string())
    })
    .await;
    let sinks = sink(&receiver.url("/"), r#"queue = "http://sqs.example/1/orders""#);
    let payloads = ["bad", "good", "hurried", "unlucky", "forgotten", "better"].map(Value::from);
    let outcomes = join_all(payloads.iter().map(|payload| deliver(&sinks, "key", payload))).await;
    assert!(receiver.requests().len() <= 2, "they go together");
    let told = outcomes.iter().map(|outcome| match outcome {
        Ok(_) => "taken".to_owned(),
        Err(Failure::Permanent { reason, .. }) => format!("permanent: {reason}"),
        Err(Failure::Retryable { reason, .. }) => format!("retryable: {reason}"),
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "permanent: SQS answers InvalidMessageContents: told",
            "taken",
            "retryable: SQS answers ThrottlingException: told",
            "retryable: SQS answers InternalError: told",
            "retryable: SQS does not say whether it took the message",
            "taken",
        ]
    );
}

#[tokio::test]
async fn a_call_that_is_refused_for_one_message_is_taken_apart() {
    let receiver = Receiver::answering(|request| {
        let request = request.json();
        let entries = request["Entries"].as_array().unwrap();
        if entries.iter().any(|entry| entry["MessageBody"] == "\"bad\"") {
            return Answer::status(400)
                .body(json!({"__type": "InvalidMessageContents", "message": "told"}).to_string());
        }
        let taken = entries
            .iter()
            .map(|entry| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x"}));
        Answer::status(200).body(json!({"Successful": taken.collect::<Vec<_>>()}).to_string())
    })
    .await;
    let sinks = sink(&receiver.url("/"), r#"queue = "http://sqs.example/1/orders""#);
    let payloads = ["a", "b", "bad", "c"].map(Value::from);
    let outcomes = join_all(payloads.iter().map(|payload| deliver(&sinks, "key", payload))).await;
    for (payload, outcome) in payloads.iter().zip(outcomes) {
        match outcome {
            Ok(_) => assert_ne!(payload, "bad"),
            Err(failure) => {
                assert_eq!(payload, "bad");
                assert!(
                    matches!(
                        failure,
                        Failure::Permanent {
                            status: Some(400),
                            ..
                        }
                    ),
                    "{failure:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_mended_without_the_message_is_tried_again() {
    for (status, code) in [
        (403, "AccessDeniedException"),
        (400, "RequestThrottled"),
        (500, "InternalFailure"),
        (403, "InvalidClientTokenId"),
    ] {
        let body = json!({"__type": code, "message": "told"}).to_string();
        let receiver = Receiver::sequence([Answer::status(status).body(body)]).await;
        let sinks = sink(&receiver.url("/"), r#"queue = "http://sqs.example/1/orders""#);
        let failure = deliver(&sinks, "key", &json!(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        assert_eq!(
            (failure.status(), failure.to_string()),
            (Some(status), format!("SQS answers {code}: told"))
        );
        assert_eq!(receiver.requests().len(), 1, "one attempt");
    }
}

#[test]
fn options_that_cannot_be_meant() {
    let many = (0..11)
        .map(|n| format!("a{n} = \"x\""))
        .collect::<Vec<_>>()
        .join(", ");
    for (options, said) in [
        (r#"queue = """#.to_owned(), "`queue` is empty"),
        (
            r#"queue = "a.fifo", delay = "1s""#.to_owned(),
            "FIFO queue takes no delay",
        ),
        (r#"queue = "a", delay = "16m""#.to_owned(), "up to 15 minutes"),
        (
            r#"queue = "a", endpoint = "sqs""#.to_owned(),
            "no http or https URL",
        ),
        (
            r#"queue = "a", attributes = { "AWS.x" = "y" }"#.to_owned(),
            "cannot be named \"AWS.x\"",
        ),
        (
            format!("queue = \"a\", attributes = {{ {many} }}"),
            "11 attributes are too many",
        ),
    ] {
        let error =
            toml::from_str::<BTreeMap<String, Options>>(&format!("queue.sqs = {{ {options} }}")).unwrap_err();
        let error = error.message();
        assert!(error.contains(said), "{error}");
    }
    for (options, said) in [
        ("", "queue"),
        ("queue = \"a\", que = 1", "que"),
        ("queue = \"a\", group = \"{{\"", "template"),
    ] {
        let error = toml::from_str::<BTreeMap<String, Options>>(&format!("queue.sqs = {{ {options} }}"));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let secret = "queue.sqs = { queue = \"a\", credentials = { access_key_id = \"id1\", secret_access_key = \"hunter2\" } }";
    let options: BTreeMap<String, Options> = toml::from_str(secret).unwrap();
    assert!(!format!("{options:?}").contains("hunter2"));
}
