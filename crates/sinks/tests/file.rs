//! The file sink on a real file system.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::collections::BTreeSet;

use futures::future::join_all;
use segno_sinks::{Delivered, Delivery, Failure, Sinks};
use serde_json::{Value, json};

fn sinks(folder: &std::path::Path) -> Sinks {
    let options = toml::from_str("log.file = { path = \"out/deliveries.jsonl\" }").unwrap();
    Sinks::new(options, folder).unwrap()
}

fn lines(folder: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("out/deliveries.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_many_writers_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    // Two sinks on one file stand for two processes.
    let both = [sinks(folder.path()), sinks(folder.path())];
    let payload = json!({"text": "a\nb", "filler": "x".repeat(10_000)});
    let deliveries = (0..300).map(|n| {
        let (sinks, payload) = (both[n % 2].clone(), payload.clone());
        tokio::spawn(async move {
            sinks
                .deliver("log", Delivery::new(&format!("key/{n}"), &payload))
                .await
        })
    });
    for delivered in join_all(deliveries).await {
        assert_eq!(delivered.unwrap(), Ok(Delivered { status: None }));
    }
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 300);
    let keys: BTreeSet<_> = lines.iter().map(|line| line["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 300);
    assert!(
        lines
            .iter()
            .all(|line| line["sink"] == "log" && line["payload"] == payload)
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_tried_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("out");
    std::fs::write(&in_the_way, "no folder").unwrap();
    let sinks = sinks(folder.path());
    let failure = sinks
        .deliver("log", Delivery::new("key", &json!(1)))
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    assert!(
        failure.to_string().starts_with("the file cannot be written: "),
        "{failure}"
    );
    std::fs::remove_file(&in_the_way).unwrap();
    sinks
        .deliver("log", Delivery::new("key", &json!(1)))
        .await
        .unwrap();
    assert_eq!(
        lines(folder.path()),
        [json!({"key": "key", "sink": "log", "payload": 1})]
    );
}
