//! The client of Algolia, against a stand-in that is checked with the vendor's own client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::time::Duration;

use segno_crawl_clients::{
    Confidential,
    algolia::{Algolia, Operation, Options, Record},
};
use segno_crawl_stand_ins::{
    Fault,
    algolia::{self as application},
};
use segno_test_support::free_port;
use serde_json::{Value, json};

const PARTIAL: &str = "POST /1/indexes/{index}/{id}/partial";

fn client(hosts: &[&application::Algolia]) -> Algolia {
    with_hosts(hosts.iter().map(|host| host.url()).collect())
}

fn with_hosts(hosts: Vec<String>) -> Algolia {
    let options = Options {
        app_id: application::APP_ID.to_owned(),
        api_key: Confidential::from(application::API_KEY.to_owned()),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        timeout: Some(Duration::from_millis(500)),
    };
    Algolia::new(&options).unwrap()
}

fn record(value: Value) -> Record {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn records_are_changed_in_part() {
    let application = application::Algolia::start().await.unwrap();
    let algolia = client(&[&application]);
    application.put("projects", "7", &json!({ "name": "Prices", "reports": ["old"] }));
    let reports = record(json!({ "reports": ["a", "b"] }));
    let task = algolia
        .partial_update("projects", "7", &reports, false)
        .await
        .unwrap();
    algolia.wait_for("projects", task).await.unwrap();
    assert_eq!(
        application.record("projects", "7").unwrap(),
        json!({ "objectID": "7", "name": "Prices", "reports": ["a", "b"] })
    );
    algolia
        .partial_update("projects", "8", &reports, false)
        .await
        .unwrap();
    assert_eq!(algolia.record("projects", "8").await.unwrap(), None);
    algolia
        .partial_update("projects", "8", &reports, true)
        .await
        .unwrap();
    let made = algolia.record("projects", "8").await.unwrap().unwrap();
    assert_eq!(
        Value::Object(made),
        json!({ "objectID": "8", "reports": ["a", "b"] })
    );
    assert_eq!(algolia.record("nowhere", "8").await.unwrap(), None);
}

#[tokio::test]
async fn operations_are_carried_out_in_their_order() {
    let application = application::Algolia::start().await.unwrap();
    let algolia = client(&[&application]);
    assert_eq!(algolia.batch("runs", &[]).await.unwrap(), None);
    let mut operations: Vec<_> = (0..1_500)
        .map(|n| Operation::Save(n.to_string(), record(json!({ "n": n }))))
        .collect();
    operations.push(Operation::PartialUpdate(
        "0".to_owned(),
        record(json!({ "m": 1 })),
    ));
    operations.push(Operation::PartialUpdateIfThere(
        "x".to_owned(),
        record(json!({ "m": 1 })),
    ));
    operations.push(Operation::Delete("1".to_owned()));
    algolia.batch("runs", &operations).await.unwrap().unwrap();
    assert_eq!(application.control().calls("POST /1/indexes/{index}/batch"), 2);
    assert_eq!(application.records("runs").len(), 1_499);
    assert_eq!(
        application.record("runs", "0").unwrap(),
        json!({ "objectID": "0", "n": 0, "m": 1 })
    );
    algolia
        .save("runs", "0", &record(json!({ "n": 2 })))
        .await
        .unwrap();
    algolia.delete("runs", "2").await.unwrap();
    algolia.delete("runs", "2").await.unwrap();
    assert_eq!(application.records("runs").len(), 1_498);
    assert_eq!(
        application.record("runs", "0").unwrap(),
        json!({ "objectID": "0", "n": 2 })
    );
}

#[tokio::test]
async fn the_next_host_is_asked_when_one_does_not_answer() {
    let (first, second) = (
        application::Algolia::start().await.unwrap(),
        application::Algolia::start().await.unwrap(),
    );
    let attributes = record(json!({ "a": 1 }));
    for fault in [Fault::Status(503), Fault::DroppedBefore, Fault::Silence] {
        let algolia = client(&[&first, &second]);
        let before = second.control().calls(PARTIAL);
        first.control().fail_next(PARTIAL, 1, fault);
        algolia.partial_update("i", "1", &attributes, true).await.unwrap();
        assert_eq!(second.control().calls(PARTIAL), before + 1, "{fault:?}");
        // It is remembered which of them does not answer.
        algolia.partial_update("i", "1", &attributes, true).await.unwrap();
        assert_eq!(second.control().calls(PARTIAL), before + 2, "{fault:?}");
    }
    assert_eq!(first.control().calls(PARTIAL), 3);

    let dead = || format!("http://127.0.0.1:{}", free_port());
    let algolia = with_hosts(vec![dead(), second.url()]);
    algolia.partial_update("i", "2", &attributes, true).await.unwrap();
    let error = with_hosts(vec![dead(), dead()])
        .partial_update("i", "2", &attributes, true)
        .await
        .unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("cannot connect"),
        "{error}"
    );
}

#[tokio::test]
async fn what_the_service_refuses_is_asked_of_no_other_host() {
    let (first, second) = (
        application::Algolia::start().await.unwrap(),
        application::Algolia::start().await.unwrap(),
    );
    let algolia = client(&[&first, &second]);
    let large = record(json!({ "text": "x".repeat(200_000) }));
    let error = algolia.save("i", "1", &large).await.unwrap_err();
    assert_eq!((error.status(), error.is_retryable()), (Some(400), false));
    assert!(error.to_string().contains("too big"), "{error}");
    first
        .control()
        .fail_next("*", 1, Fault::RateLimited { retry_after: 2 });
    let limited = algolia.save("i", "1", &Record::new()).await.unwrap_err();
    assert_eq!(limited.retry_after(), Some(Duration::from_secs(2)));
    assert_eq!(second.control().calls("*"), 0);
    let options = Options {
        app_id: application::APP_ID.to_owned(),
        api_key: Confidential::from("hunter2".to_owned()),
        hosts: vec![first.url().parse().unwrap()],
        timeout: None,
    };
    let error = Algolia::new(&options)
        .unwrap()
        .record("i", "1")
        .await
        .unwrap_err();
    assert_eq!((error.status(), error.is_retryable()), (Some(403), false));
    assert!(!format!("{error:?}").contains("hunter2"));
}
