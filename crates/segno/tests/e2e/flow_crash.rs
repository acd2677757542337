//! Order per key through crashes of a process with the engine in it, and failures of the receiver in between.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use segno_test_support::Receiver;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{Launch, TestEngine};

const KEYS: usize = 10;
const EVENTS_OF_A_KEY: usize = 20;
const KILLS: usize = 3;
/// Share of its requests that the receiver answers with an error.
const FAILING: f64 = 0.2;
const PATIENCE: Duration = Duration::from_secs(180);

/// 200 events of ten keys go in, those of a key one after the other, while the process is killed three times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_per_key_holds_through_crashes() {
    let receiver = Receiver::failing(FAILING, 7).await;
    let engine = TestEngine::embedded();
    let config = format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "ordered"
        on = "*"
        order = {{ by = "subject" }}
        actions = [{{ name = "tell", to = "notify", retry = {{ initial = "50ms", max_interval = "1s" }} }}]
        "#,
        receiver.url("/hook")
    );
    let mut launch = Launch::up(&engine, &config);
    let mut program = launch.start().await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let senders: Vec<_> = (0..KEYS)
        .map(|key| {
            let (http, url, acknowledged) = (http.clone(), program.url("/events"), acknowledged.clone());
            tokio::spawn(async move {
                for n in 0..EVENTS_OF_A_KEY {
                    let event = json!({
                        "specversion": "1.0", "id": format!("{key}-{n}"), "source": "/crash", "type": "sample",
                        "subject": format!("key-{key}"), "data": { "n": n },
                    });
                    loop {
                        let sent = http
                            .post(&url)
                            .header("content-type", "application/cloudevents+json")
                            .body(event.to_string())
                            .send()
                            .await;
                        if sent.is_ok_and(|response| response.status() == StatusCode::ACCEPTED) {
                            break;
                        }
                        sleep(Duration::from_millis(20)).await;
                    }
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();

    for kill in 1..=KILLS {
        let moment = KEYS * EVENTS_OF_A_KEY * kill / (KILLS + 1);
        let deadline = Instant::now() + PATIENCE;
        while acknowledged.load(Ordering::SeqCst) < moment {
            assert!(Instant::now() < deadline, "nothing goes on:\n{}", program.log());
            sleep(Duration::from_millis(1)).await;
        }
        program.kill().await;
        program = launch.start().await;
    }
    for sender in senders {
        tokio::time::timeout(PATIENCE, sender).await.unwrap().unwrap();
    }

    // Of each key: the numbers of the events that were asked for, in the order of the requests.
    let deadline = Instant::now() + PATIENCE;
    let requests = loop {
        let mut requests: BTreeMap<String, Vec<(u64, bool)>> = BTreeMap::new();
        for request in receiver.requests() {
            let event = request.json();
            let key = event["subject"].as_str().unwrap().to_owned();
            let n = event["data"]["n"].as_u64().unwrap();
            requests
                .entry(key)
                .or_default()
                .push((n, request.status.is_success()));
        }
        let last = (EVENTS_OF_A_KEY - 1) as u64;
        let through = |of_key: &Vec<(u64, bool)>| of_key.contains(&(last, true));
        if requests.len() == KEYS && requests.values().all(through) {
            break requests;
        }
        assert!(Instant::now() < deadline, "{requests:?}\n{}", program.log());
        sleep(Duration::from_millis(100)).await;
    };
    for (key, requests) in requests {
        let mut delivered = None;
        for (n, success) in requests {
            // A number is asked for again until it was taken, and only then the next one is. One that was taken and not
            // reported before a crash comes once more.
            let next = delivered.map_or(0, |last: u64| last + 1);
            assert!(
                n == next || Some(n) == delivered,
                "{key}: {n} after {delivered:?}"
            );
            if success {
                delivered = Some(n);
            }
        }
        assert_eq!(delivered, Some((EVENTS_OF_A_KEY - 1) as u64), "{key}");
    }
    program.kill().await;
}
