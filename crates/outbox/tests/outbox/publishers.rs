//! The publishers: a Segno elsewhere, over HTTP, and Segno's sinks.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use segno_outbox::publisher::{Http, ToSink};
use segno_sinks::{Delivered, Delivery, Failure, Sink};
use segno_test_support::{Answer, Cut, Received, Receiver};
use serde_json::{Value, json};

use crate::support::{Db as _, File, World, event, until};

const BATCH: &str = "application/cloudevents-batch+json";

async fn world() -> World<File> {
    let world = World::<File>::new().await;
    for (id, key) in [("1", "a"), ("2", "b"), ("3", "a")] {
        world.emit(event(id, key)).await;
    }
    world
}

fn ids(batch: &Value) -> Vec<&str> {
    let events = batch.as_array().unwrap();
    events.iter().map(|event| event["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_one_request() {
    let world = world().await;
    let receiver = Receiver::answering(|_| Answer::status(202)).await;
    let http = Arc::new(Http::new(&receiver.url("/events")).unwrap());
    let relay = world.relay(&http).await;
    assert_eq!(relay.drain().await.unwrap(), 3);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("content-type"), Some(BATCH));
    assert_eq!(ids(&requests[0].json()), ["1", "2", "3"]);
    assert_eq!(
        requests[0].json()[0],
        serde_json::to_value(event("1", "a")).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_refused_batch_only_what_is_refused_alone_is_parked() {
    let world = world().await;
    let receiver = Receiver::answering(|request| {
        let refused = request.header("content-type") == Some(BATCH) || request.json()["id"] == "1";
        Answer::status(if refused { 400 } else { 202 })
    })
    .await;
    let http = Arc::new(Http::new(&receiver.url("/events")).unwrap());
    let relay = world.relay(&http).await;
    assert_eq!(relay.drain().await.unwrap(), 1);
    let parked = world.outbox.parked(&world.pool, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (parked[0].id.as_str(), parked[0].reason.as_str()),
        ("1", "HTTP 400")
    );
    assert_eq!(relay.stats().await.unwrap().held, 1, "3 has the key of 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_parks_nothing() {
    let world = world().await;
    let receiver = Receiver::sequence([Answer::status(503), Answer::status(401), Answer::status(202)]).await;
    let http = Arc::new(Http::new(&receiver.url("/events")).unwrap());
    let relay = world.relay(&http).await;
    until("all are published", async || {
        relay.drain().await.unwrap();
        relay.counters().published() == 3
    })
    .await;
    assert_eq!(relay.counters().parked(), 0);
    let published = "SELECT id FROM segno_outbox WHERE state = 'published' ORDER BY position";
    assert_eq!(File::texts(&world.pool, published).await, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_cut_network_a_batch_comes_again_under_its_ids() {
    let world = world().await;
    let receiver = Receiver::answering(|_| Answer::status(202)).await;
    let cut = Cut::to(receiver.address().port()).await;
    let url = format!("http://127.0.0.1:{}/events", cut.port());
    let relay = world.relay(&Arc::new(Http::new(&url).unwrap())).await;
    cut.cut();
    assert_eq!(relay.drain().await.unwrap(), 0);
    assert!(receiver.requests().is_empty());
    // It arrives, and the relay does not hear of it.
    cut.cut_answers();
    until("it arrived", async || {
        relay.drain().await.unwrap();
        !receiver.requests().is_empty()
    })
    .await;
    assert_eq!(relay.counters().published(), 0);
    cut.mend();
    until("all are published", async || {
        relay.drain().await.unwrap();
        relay.counters().published() == 3
    })
    .await;
    assert_eq!(relay.counters().parked(), 0);
    let requests = receiver.requests();
    let bodies: Vec<_> = requests.iter().map(Received::json).collect();
    // One event that goes alone is no batch.
    let events = bodies
        .iter()
        .flat_map(|body| body.as_array().map_or(std::slice::from_ref(body), Vec::as_slice));
    let seen: Vec<_> = events.filter_map(|event| event["id"].as_str()).collect();
    // What had arrived came again, and nothing else came.
    assert!(seen.len() > 3, "{seen:?}");
    assert_eq!(BTreeSet::from_iter(seen), BTreeSet::from(["1", "2", "3"]));
}

/// A sink that fails once, and refuses the event 2.
#[derive(Debug, Default)]
struct Picky(Mutex<Vec<(String, Value)>>);

#[async_trait]
impl Sink for Picky {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let id = delivery.event.map(|event| event.id.as_str());
        if id == Some("2") {
            return Err(Failure::permanent("not this one"));
        }
        let mut taken = self.0.lock().unwrap();
        taken.push((delivery.key.to_owned(), delivery.payload.clone()));
        if taken.len() == 1 {
            return Err(Failure::retryable("the answer was lost"));
        }
        Ok(Delivered { status: None })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_takes_events_under_their_keys() {
    let world = world().await;
    let sink = Arc::new(Picky::default());
    let relay = world.relay(&Arc::new(ToSink::new(sink.clone()))).await;
    until("both are published", async || {
        relay.drain().await.unwrap();
        relay.counters().published() == 2
    })
    .await;
    let taken = sink.0.lock().unwrap().clone();
    let keys: Vec<_> = taken.iter().map(|(key, _)| key.as_str()).collect();
    let (first, third) = ("outbox//families/1", "outbox//families/3");
    assert_eq!(
        keys,
        [first, first, third],
        "again under the same key, and in order"
    );
    assert_eq!(taken[2].1["data"], json!({"familyId": 100, "name": "Quill"}));
    let parked = world.outbox.parked(&world.pool, 10).await.unwrap();
    assert_eq!(
        (parked[0].id.as_str(), parked[0].reason.as_str()),
        ("2", "not this one")
    );
}
