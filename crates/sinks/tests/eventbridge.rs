//! The EventBridge sink against an emulator of AWS, and against answers that it does not give.
#![cfg(feature = "eventbridge")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use segno_event::Event;
use segno_sinks::{Delivered, Delivery, Failure, Sinks};
use segno_test_support::{Answer, Cut, Receiver, servers::Ministack};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);
const TAKEN: Result<Delivered, Failure> = Ok(Delivered { status: Some(200) });

/// A sink named `bus`.
fn sink(endpoint: &str, options: &str) -> Sinks {
    let text = format!(
        "bus.eventbridge = {{ endpoint = \"{endpoint}\", region = \"us-east-1\", \
        credentials = {{ access_key_id = \"id\", secret_access_key = \"secret\" }}, {options} }}"
    );
    Sinks::new(toml::from_str(&text).unwrap(), "/nowhere".as_ref()).unwrap()
}

async fn deliver(sinks: &Sinks, payload: &Value) -> Result<Delivered, Failure> {
    sinks.deliver("bus", Delivery::new("key", payload)).await
}

fn event() -> Event {
    serde_json::from_value(json!({
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed",
        "time": "2026-03-01T12:00:00.5+02:00", "data": {"n": 1},
    }))
    .unwrap()
}

/// The events of a bus's rule for `pattern` go to a queue.
async fn rule(aws: &Ministack, bus: &str, pattern: Value) -> String {
    let queue = aws.queue("events").await;
    if bus != "default" {
        aws.call("AWSEvents.CreateEventBus", json!({ "Name": bus })).await;
    }
    let rule = json!({"Name": "all", "EventBusName": bus, "EventPattern": pattern.to_string()});
    aws.call("AWSEvents.PutRule", rule).await;
    let arn = "arn:aws:sqs:us-east-1:000000000000:events";
    let targets = json!({"Rule": "all", "EventBusName": bus, "Targets": [{"Id": "1", "Arn": arn}]});
    aws.call("AWSEvents.PutTargets", targets).await;
    queue
}

/// The events that are in the queue once there are `n`.
async fn arrived(aws: &Ministack, queue: &str, n: usize) -> Vec<Value> {
    let wait = async {
        let mut events = Vec::new();
        while events.len() < n {
            for message in aws.drain(queue).await {
                events.push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        events
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap()
}

#[tokio::test]
async fn an_event_is_what_it_was_made_of() {
    let aws = Ministack::start().await;
    let queue = rule(&aws, "default", json!({"source": ["/shop"]})).await;
    let sinks = sink(&aws.url(), "");
    let (event, payload) = (event(), json!({"total": 3, "text": "ä"}));
    let delivery = Delivery::new("key", &payload).of(&event);
    assert_eq!(sinks.deliver("bus", delivery).await, TAKEN);
    let events = arrived(&aws, &queue, 1).await;
    assert_eq!(events[0]["detail"], payload);
    assert_eq!(events[0]["source"], "/shop");
    assert_eq!(events[0]["detail-type"], "order.placed");
    // The emulator has its own idea of the time.
    let receiver = Receiver::sequence([Answer::status(500)]).await;
    let failure = sink(&receiver.url("/"), "")
        .deliver("bus", delivery)
        .await
        .unwrap_err();
    assert!(
        matches!(
            failure,
            Failure::Retryable {
                status: Some(500),
                ..
            }
        ),
        "{failure:?}"
    );
    let sent = receiver.requests()[0].json();
    assert_eq!(sent["Entries"][0]["Time"], 1_772_359_200.5);
}

#[tokio::test]
async fn events_of_many_deliveries_on_a_bus_by_its_name() {
    let aws = Ministack::start().await;
    let queue = rule(&aws, "orders", json!({"source": ["shop"]})).await;
    let sinks = sink(
        &aws.url(),
        r#"bus = "{{ payload.bus }}", source = "shop", detail_type = "order {{ payload.kind }}""#,
    );
    let payloads: Vec<_> = (0..100)
        .map(|n| json!({"bus": "orders", "kind": n % 3, "n": n}))
        .collect();
    for outcome in join_all(payloads.iter().map(|payload| deliver(&sinks, payload))).await {
        assert_eq!(outcome, TAKEN);
    }
    let events = arrived(&aws, &queue, 100).await;
    let numbers: BTreeSet<_> = events
        .iter()
        .map(|event| event["detail"]["n"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (0..100).collect());
    for event in events {
        assert_eq!(event["detail-type"], format!("order {}", event["detail"]["kind"]));
    }
}

#[tokio::test]
async fn what_no_attempt_mends_is_permanent() {
    let receiver = Receiver::start().await;
    let sinks = sink(
        &receiver.url("/"),
        r#"source = "{{ payload.source }}", detail_type = "t""#,
    );
    let bare = sink(&receiver.url("/"), "");
    for (sinks, payload, said) in [
        (&sinks, json!("text"), "no object"),
        (&sinks, json!({}), "a template of the sink fails"),
        (&sinks, json!({"source": ""}), "the source comes out empty"),
        (&bare, json!({}), "set `source` of the sink"),
        (
            &sinks,
            json!({"source": "s", "text": "x".repeat(1_048_576)}),
            "EventBridge takes 1048576",
        ),
    ] {
        let failure = deliver(sinks, &payload).await.unwrap_err();
        assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
        assert!(failure.to_string().contains(said), "{failure}");
    }
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn events_of_one_call_have_outcomes_of_their_own() {
    let receiver = Receiver::answering(|request| {
        let request = request.json();
        let entries = request["Entries"].as_array().unwrap().iter();
        let answers = entries.map(|entry| match entry["DetailType"].as_str().unwrap() {
            "good" => json!({"EventId": "1"}),
            code => json!({"ErrorCode": code, "ErrorMessage": "told"}),
        });
        let answers: Vec<_> = answers.collect();
        Answer::status(200).body(json!({"FailedEntryCount": 3, "Entries": answers}).to_string())
    })
    .await;
    let sinks = sink(
        &receiver.url("/"),
        r#"source = "s", detail_type = "{{ payload.code }}""#,
    );
    let codes = [
        "MalformedDetail",
        "good",
        "ThrottlingException",
        "InternalFailure",
    ];
    let payloads = codes.map(|code| json!({ "code": code }));
    let outcomes = join_all(payloads.iter().map(|payload| deliver(&sinks, payload))).await;
    assert!(receiver.requests().len() <= 2, "they go together");
    for (code, outcome) in codes.into_iter().zip(outcomes) {
        match (code, outcome) {
            ("good", outcome) => assert_eq!(outcome, TAKEN),
            ("MalformedDetail", Err(failure @ Failure::Permanent { .. }))
            | (_, Err(failure @ Failure::Retryable { .. })) => {
                assert_eq!(failure.to_string(), format!("EventBridge answers {code}: told"));
            }
            (code, outcome) => panic!("{code}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let mut aws = Ministack::start().await;
    aws.kill();
    let sinks = sink(&aws.url(), r#"source = "shop", detail_type = "t""#);
    let failure = deliver(&sinks, &json!({})).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    aws.start_again().await;
    let queue = rule(&aws, "default", json!({"source": ["shop"]})).await;
    assert_eq!(deliver(&sinks, &json!({"n": 1})).await, TAKEN);
    assert_eq!(arrived(&aws, &queue, 1).await[0]["detail"], json!({"n": 1}));
}

/// EventBridge takes no key: an event whose answer is lost comes again.
#[tokio::test]
async fn over_a_cut_network_no_event_is_lost() {
    let aws = Ministack::start().await;
    let queue = rule(&aws, "default", json!({"source": ["shop"]})).await;
    let cut = Cut::to(aws.port()).await;
    let endpoint = format!("http://127.0.0.1:{}", cut.port());
    let sinks = sink(&endpoint, r#"source = "shop", detail_type = "t""#);
    for answers in [true, false] {
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        let payload = json!({ "answers": answers });
        let failure = deliver(&sinks, &payload).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        cut.mend();
        assert_eq!(deliver(&sinks, &payload).await, TAKEN);
    }
    let events = arrived(&aws, &queue, 3).await;
    let lost = events.iter().filter(|event| event["detail"]["answers"] == true);
    assert_eq!((events.len(), lost.count()), (3, 2));
}
