//! Sources end to end: broker, Segno, route, file; while Segno and the broker are killed.

mod emit;
mod http;
mod nats;
mod redis;
mod sqs;

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::TestEngine;

/// How long everything may take to be written: a Temporal server shared by many tests is slow.
const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks at the file.
const POLL: Duration = Duration::from_millis(30);

/// A configuration that writes what the source `in` brings to a file.
fn config(source: &str) -> String {
    format!(
        r#"
        [sinks]
        out = {{ file = {{ path = "out.jsonl" }} }}

        [[routes]]
        name = "all"
        on = "*"
        actions = [{{ name = "write", to = "out", transform = "{{id, type, data}}" }}]

        [sources.in]
        {source}
        "#
    )
}

/// What was written, each event once.
fn written(engine: &TestEngine) -> Vec<Value> {
    let text = std::fs::read_to_string(engine.folder().join("out.jsonl")).unwrap_or_default();
    let mut seen = HashSet::new();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let payloads = lines.map(|line| line["payload"].clone());
    payloads
        .filter(|payload| seen.insert(payload["id"].to_string()))
        .collect()
}

/// Waits until so many events are written.
async fn until_written(engine: &TestEngine, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let written = written(engine);
        if written.len() >= count {
            return written;
        }
        assert!(
            Instant::now() < deadline,
            "{} of {count} events within {PATIENCE:?}",
            written.len()
        );
        sleep(POLL).await;
    }
}

/// The body of the event `n`; some are no events.
fn body(n: usize) -> String {
    if n % 10 == 3 {
        return format!("{{\"no\": \"event {n}\"}}");
    }
    json!({
        "specversion": "1.0", "id": n.to_string(), "source": "/shop", "type": "order.placed",
        "subject": format!("customer-{}", n % 7), "data": {"n": n},
    })
    .to_string()
}

/// Checks that of the first `count` bodies each that is an event was written, and each that is none was told of.
fn check(written: &[Value], count: usize) {
    let ids: HashSet<_> = written
        .iter()
        .filter_map(|payload| payload["id"].as_str())
        .collect();
    for n in (0..count).filter(|n| n % 10 != 3) {
        assert!(ids.contains(n.to_string().as_str()), "the event {n} is lost");
    }
    let told: HashSet<_> = written
        .iter()
        .filter(|payload| payload["type"] == "segno.message.rejected")
        .map(|payload| payload["data"]["body"].as_str().unwrap_or_default())
        .collect();
    for n in (0..count).filter(|n| n % 10 == 3) {
        assert!(
            told.contains(body(n).as_str()),
            "nothing tells of the message {n}"
        );
    }
    assert_eq!(ids.len(), count);
}
