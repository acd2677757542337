//! The SQS source against an emulator of AWS.

#![cfg(feature = "sqs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{Message, MessageAttributeValue, QueueAttributeName},
};
use segno_sources::{Outcome, REJECTED};
use segno_test_support::{Answer, Cut, Receiver, servers::Ministack};
use serde_json::json;
use support::{Run, Taker, build, until};

/// A queue and a client of it.
struct Queue {
    client: Client,
    url: String,
}

fn client(url: &str) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url)
        .http_client(http)
        .build();
    Client::from_conf(config)
}

impl Queue {
    async fn make(server: &Ministack, name: &str) -> Self {
        let client = client(&server.url());
        let mut call = client.create_queue().queue_name(name);
        if name.ends_with(".fifo") {
            call = call.attributes(QueueAttributeName::FifoQueue, "true");
        }
        let url = call.send().await.unwrap().queue_url.unwrap();
        Self { client, url }
    }

    async fn send(&self, body: &str) -> String {
        let sent = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await;
        sent.unwrap().message_id.unwrap()
    }

    async fn send_in_group(&self, body: &str, group: &str, id: &str) {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_group_id(group)
            .message_deduplication_id(id)
            .send()
            .await
            .unwrap();
    }

    /// Visible and invisible messages.
    async fn counts(&self) -> (usize, usize) {
        let attributes = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .unwrap()
            .attributes
            .unwrap();
        let count = |name| attributes[&name].parse().unwrap();
        (
            count(QueueAttributeName::ApproximateNumberOfMessages),
            count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        )
    }

    async fn is_empty(&self) {
        until("an empty queue", async || self.counts().await == (0, 0)).await;
    }

    async fn receive(&self) -> Message {
        loop {
            let received = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .wait_time_seconds(5)
                .message_attribute_names("All")
                .send()
                .await
                .unwrap();
            if let Some(message) = received.messages.unwrap_or_default().pop() {
                return message;
            }
        }
    }
}

fn options(url: &str, queue: &str, more: &str) -> String {
    format!(
        "queue = {queue:?}\nendpoint = {url:?}\nregion = \"us-east-1\"\n\
         credentials = {{ access_key_id = \"test\", secret_access_key = \"test\" }}\n{more}"
    )
}

fn order(id: &str, subject: &str) -> String {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order.placed", "subject": subject})
        .to_string()
}

#[tokio::test]
async fn what_is_durable_is_deleted_and_nothing_else() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders").await;
    let taker = Taker::new();
    taker.answer(|event, times| match event.id.as_str() {
        // The engine is down for a while.
        "7" if times < 3 => Outcome::Later("down".to_owned()),
        _ => Outcome::Durable,
    });
    for n in 0..25 {
        queue.send(&order(&n.to_string(), &n.to_string())).await;
    }
    let run = Run::start("sqs", &options(&server.url(), "orders", ""), &taker);
    let taken = taker.wait_for(25).await;
    assert_eq!(taken.len(), 25);
    assert_eq!(taker.given("7"), 3);
    queue.is_empty().await;
    run.stop().await;
}

#[tokio::test]
async fn envelopes_and_attributes_are_recognised() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders").await;
    let taker = Taker::new();
    let run = Run::start("sqs", &options(&server.url(), &queue.url, ""), &taker);
    queue
        .send(&json!({
            "version": "0", "id": "e-1", "detail-type": "ReportRunStoppedEvent", "source": "phoenix", "account": "1",
            "time": "2030-04-05T17:31:00Z", "region": "us-east-1", "resources": [], "detail": {"run": 3},
        }).to_string())
        .await;
    queue
        .send(
            &json!({
                "event_name": "lead.created", "guid": "0a1b2c3d-0000-4000-8000-000000000001", "actor": "",
                "created_at": "2017-05-04T12:30:00", "request_id": "r-1", "data": {},
            })
            .to_string(),
        )
        .await;
    let mut call = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("{\"total\": 3}");
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", "b-1"),
        ("source", "/shop"),
        ("type", "order.placed"),
    ] {
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build()
            .unwrap();
        call = call.message_attributes(format!("ce-{name}"), value);
    }
    call.send().await.unwrap();
    let mut types: Vec<_> = taker
        .wait_for(3)
        .await
        .into_iter()
        .map(|event| event.ty)
        .collect();
    types.sort();
    assert_eq!(types, ["ReportRunStoppedEvent", "lead.created", "order.placed"]);
    queue.is_empty().await;
    run.stop().await;
}

#[tokio::test]
async fn malformed_messages_go_to_the_dead_letters_and_block_nothing() {
    let server = Ministack::start().await;
    let (queue, dead) = (
        Queue::make(&server, "orders").await,
        Queue::make(&server, "dead").await,
    );
    let taker = Taker::new();
    queue.send(&order("1", "a")).await;
    let bad = queue.send("{\"specversion\": \"1.0\"}").await;
    queue.send(&order("2", "a")).await;
    let run = Run::start(
        "sqs",
        &options(&server.url(), "orders", "dead_letter = \"dead\""),
        &taker,
    );
    taker.wait_for(2).await;
    let message = dead.receive().await;
    assert_eq!(message.body.as_deref(), Some("{\"specversion\": \"1.0\"}"));
    let attribute = |name: &str| {
        let attributes = message.message_attributes.as_ref().unwrap();
        attributes[name].string_value.clone().unwrap()
    };
    assert!(
        attribute("SegnoReason").contains("id: is required and missing"),
        "{}",
        attribute("SegnoReason")
    );
    assert_eq!(attribute("SegnoMessageId"), bad);
    assert_eq!(attribute("SegnoSource"), "/sources/test");
    queue.is_empty().await;
    run.stop().await;
}

#[tokio::test]
async fn without_dead_letters_they_are_recorded_and_deleted() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders").await;
    let taker = Taker::new();
    taker.answer(|event, _| match event.id.as_str() {
        "huge" => Outcome::Refused("the event is too large".to_owned()),
        _ => Outcome::Durable,
    });
    queue.send("not json").await;
    queue.send(&order("huge", "a")).await;
    let run = Run::start("sqs", &options(&server.url(), "orders", ""), &taker);
    let mut reasons: Vec<_> = taker
        .wait_for(2)
        .await
        .into_iter()
        .map(|event| {
            assert_eq!(
                (event.ty.as_str(), event.source.as_str()),
                (REJECTED, "/sources/test")
            );
            let Some(segno_event::Data::Json(data)) = event.data else {
                panic!("no data")
            };
            data["reason"].as_str().unwrap().to_owned()
        })
        .collect();
    reasons.sort();
    assert_eq!(reasons[1], "the event is too large");
    assert!(reasons[0].starts_with("the body is not JSON"), "{reasons:?}");
    queue.is_empty().await;
    run.stop().await;
}

#[tokio::test]
async fn groups_of_a_fifo_queue_keep_their_order() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders.fifo").await;
    let taker = Taker::new();
    taker.answer(|event, times| match event.id.as_str() {
        "a-1" | "b-0" if times < 3 => Outcome::Later("down".to_owned()),
        _ => Outcome::Durable,
    });
    for n in 0..8 {
        for group in ["a", "b", "c"] {
            // Each about something else: the group alone says what belongs together.
            let id = format!("{group}-{n}");
            queue.send_in_group(&order(&id, &id), group, &id).await;
        }
        if n == 3 {
            queue.send_in_group("not json", "a", "bad").await;
        }
    }
    let run = Run::start("sqs", &options(&server.url(), "orders.fifo", ""), &taker);
    taker.wait_for(25).await;
    for group in ["a", "b", "c"] {
        let ids = taker
            .ids()
            .into_iter()
            .filter(|id| id.starts_with(&format!("{group}-")));
        let expected: Vec<_> = (0..8).map(|n| format!("{group}-{n}")).collect();
        assert_eq!(ids.collect::<Vec<_>>(), expected);
    }
    queue.is_empty().await;
    run.stop().await;
}

#[tokio::test]
async fn messages_stay_invisible_while_they_are_stored_and_come_back_after_a_crash() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders").await;
    let taker = Taker::new();
    taker.answer(|_, _| Outcome::Later("down".to_owned()));
    queue.send(&order("1", "a")).await;
    let options = options(&server.url(), "orders", "visibility = \"3s\"\npollers = 2");
    let run = Run::start("sqs", &options, &taker);
    // Far longer than it would be invisible by itself; then another poller would have it as well.
    let began = tokio::time::Instant::now();
    until("tries over a long time", async || {
        began.elapsed() > Duration::from_secs(9)
    })
    .await;
    assert_eq!(queue.counts().await, (0, 1));
    let tries = taker.given("1");
    assert!(tries <= 8, "one poller has it: {tries}");
    run.crash().await;
    assert_eq!(taker.taken(), []);

    taker.answer(|_, _| Outcome::Durable);
    let run = Run::start("sqs", &options, &taker);
    taker.wait_for(1).await;
    queue.is_empty().await;
    run.stop().await;
}

#[tokio::test]
async fn several_pollers_have_messages_in_hand_at_once() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders").await;
    let taker = Taker::new();
    taker.answer(|_, _| Outcome::Later("down".to_owned()));
    for n in 0..25 {
        queue.send(&order(&n.to_string(), &n.to_string())).await;
    }
    let run = Run::start("sqs", &options(&server.url(), "orders", "pollers = 3"), &taker);
    // A poll brings ten at most, and none of them is done.
    until("all are tried", async || {
        (0..25).all(|n| taker.given(&n.to_string()) > 0)
    })
    .await;
    assert_eq!(queue.counts().await, (0, 25));
    taker.answer(|_, _| Outcome::Durable);
    assert_eq!(taker.wait_for(25).await.len(), 25);
    queue.is_empty().await;
    run.stop().await;
}

#[tokio::test]
async fn told_to_stop_it_gives_back_what_it_cannot_store() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders").await;
    let taker = Taker::new();
    taker.answer(|_, _| Outcome::Later("down".to_owned()));
    queue.send(&order("1", "a")).await;
    let run = Run::start("sqs", &options(&server.url(), "orders", ""), &taker);
    until("a try", async || taker.given("1") > 0).await;
    run.stop().await;
    assert_eq!(queue.counts().await, (1, 0));
}

#[tokio::test]
async fn a_cut_network_ends_the_run_and_loses_nothing() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders").await;
    let cut = Cut::to(server.port()).await;
    let url = format!("http://127.0.0.1:{}", cut.port());
    let taker = Taker::new();
    let options = options(&url, "orders", "visibility = \"3s\"");
    let run = Run::start("sqs", &options, &taker);
    queue.send(&order("1", "a")).await;
    taker.wait_for(1).await;
    cut.cut();
    let error = run.ended().await.unwrap_err().to_string();
    assert!(error.contains("messages cannot be received"), "{error}");
    queue.send(&order("2", "a")).await;
    cut.mend();
    let run = Run::start("sqs", &options, &taker);
    taker.wait_for(2).await;
    assert_eq!(taker.ids(), ["1", "2"]);
    queue.is_empty().await;
    run.stop().await;
}

/// The network is cut while a message is in hand: it is not deleted, and is received again.
#[tokio::test]
async fn what_is_in_hand_when_the_network_is_cut_comes_again() {
    let server = Ministack::start().await;
    let queue = Queue::make(&server, "orders").await;
    let cut = Cut::to(server.port()).await;
    let url = format!("http://127.0.0.1:{}", cut.port());
    let options = options(&url, "orders", "visibility = \"3s\"");
    let taker = Taker::new();
    taker.answer(|_, _| Outcome::Later("down".to_owned()));
    queue.send(&order("1", "a")).await;
    let run = Run::start("sqs", &options, &taker);
    until("a try", async || taker.given("1") > 0).await;
    cut.cut();
    taker.answer(|_, _| Outcome::Durable);
    run.ended().await.unwrap_err();
    taker.wait_for(1).await;
    let before = taker.given("1");
    cut.mend();
    let run = Run::start("sqs", &options, &taker);
    until("it again", async || taker.given("1") > before).await;
    queue.is_empty().await;
    // The same event, which whoever takes it knows.
    assert_eq!(taker.ids(), ["1"]);
    run.stop().await;
}

/// A stand-in: the emulator deletes everything at once.
#[tokio::test]
async fn what_is_not_deleted_with_the_others_is_deleted_again() {
    let (mut received, mut deleted) = (0, 0);
    let server = Receiver::answering(move |request| {
        let target = request.header("x-amz-target").unwrap_or_default();
        let answer = match target.strip_prefix("AmazonSQS.") {
            Some("ReceiveMessage") => {
                received += 1;
                let message = |n: u32| {
                    let body = order(&n.to_string(), "a");
                    json!({"MessageId": n.to_string(), "ReceiptHandle": format!("r-{n}"), "Body": body})
                };
                match received {
                    1 => json!({"Messages": (0..3).map(message).collect::<Vec<_>>()}),
                    _ => json!({}),
                }
            }
            Some("DeleteMessageBatch") => {
                deleted += 1;
                let failed = |id: &str, sender: bool| json!({"Id": id, "SenderFault": sender, "Code": "Error"});
                match deleted {
                    // One is done, one may be tried again, and of one the receipt is wrong for good.
                    1 => json!({"Successful": [{"Id": "0"}], "Failed": [failed("1", false), failed("2", true)]}),
                    2 => return Answer::status(500).body("{}"),
                    _ => json!({"Successful": [{"Id": "0"}], "Failed": []}),
                }
            }
            _ => json!({"Successful": [], "Failed": []}),
        };
        Answer::status(200)
            .header("content-type", "application/x-amz-json-1.0")
            .body(answer.to_string())
            .after(Duration::from_millis(20))
    })
    .await;
    let taker = Taker::new();
    let queue = server.url("/queue");
    let run = Run::start("sqs", &options(&server.url(""), &queue, "pollers = 1"), &taker);
    let deletions = || {
        let requests = server.requests().into_iter();
        let deletions =
            requests.filter(|one| one.header("x-amz-target") == Some("AmazonSQS.DeleteMessageBatch"));
        deletions
            .filter(|one| one.status == 200)
            .map(|one| {
                let entries = one.json()["Entries"].clone();
                let entries = entries.as_array().unwrap().iter();
                entries
                    .map(|entry| entry["ReceiptHandle"].as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    until("a second deletion", async || deletions().len() >= 2).await;
    assert_eq!(deletions(), [vec!["r-0", "r-1", "r-2"], vec!["r-1"]]);
    assert_eq!(taker.ids(), ["0", "1", "2"]);
    run.stop().await;
}

#[tokio::test]
async fn options_that_cannot_be_meant() {
    let intake: std::sync::Arc<dyn segno_sources::Intake> = Taker::new();
    for (options, reason) in [
        ("queue = \"\"", "`queue` is empty"),
        ("queue = \"a\"\npollers = 0", "from 1 to 64"),
        ("queue = \"a\"\nvisibility = \"1s\"", "from 3 seconds"),
        ("queue = \"a\"\nvisibility = \"soon\"", "no duration"),
        ("queue = \"a\"\ncodec = \"xml\"", "one of auto"),
        ("queue = \"a\"\ncodec = { map = \".a |\" }", "not jq"),
        ("queue = \"a\"\nqueues = 3", "unknown field"),
        ("", "missing field"),
    ] {
        let error = build("sqs", options, &intake).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let run = Run::start("sqs", &options("http://127.0.0.1:9", "orders", ""), &Taker::new());
    let error = run.ended().await.unwrap_err().to_string();
    assert!(error.contains("the queue orders cannot be found"), "{error}");
}
