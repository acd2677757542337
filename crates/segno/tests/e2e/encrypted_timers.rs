//! Encryption at rest of timers: what a timer calls, with what, and what came of it is nothing that one can read.

use std::fs;

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    encryption::{encryption, stands, temporal},
    support::{App, DEADLINE, TestEngine, json_of},
};

on_every_engine!(no_word_of_a_timer_is_stored);

/// What is in the URL, a header and the body of each timer of this test, and nowhere else.
const URL: &str = "Zwetschgendatschi";
const HEADER: &str = "Kaiserschmarrn";
const BODY: &str = "Palatschinken";
const WORDS: [&str; 3] = [URL, HEADER, BODY];

/// Which of the words stand in a text, in plain or in base64.
fn words(text: &str) -> Vec<&'static str> {
    WORDS.into_iter().filter(|word| stands(word, text)).collect()
}

async fn no_word_of_a_timer_is_stored(engine: TestEngine) {
    // Quotes what it gets, as receivers do that fail.
    let receiver = Receiver::answering(|request| {
        let status = match request.uri.path().split('/').nth(1) {
            Some("gone") => 410,
            Some("broken") => 503,
            _ => 200,
        };
        Answer::status(status)
            .retry_after("60")
            .body(request.body.clone())
    })
    .await;
    let config = format!(
        "[timers]\nallow_private = true\n{}",
        encryption(&engine, &[("one", 1)])
    );
    let app = App::start(&engine, &config).await;
    let make = async |hours: u32, path: &str| -> String {
        let mut body = json!({
            "url": receiver.url(&format!("/{path}/{URL}?dish={URL}")),
            "method": "PUT",
            "headers": { "X-Dish": HEADER },
            "body": { "dish": BODY },
        });
        if hours > 0 {
            body["hours"] = json!(hours);
        }
        let made = app.post("/timers").json(&body).send().await.unwrap();
        json_of(made, StatusCode::OK).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let ask = async |path: String| json_of(app.get(&path).send().await.unwrap(), StatusCode::OK).await;

    // One that waits, and was moved; one that was cancelled; one that is delivered, one that is refused for good, and one that
    // is tried again.
    let (waits, canceled) = (make(1, "waits").await, make(1, "canceled").await);
    let (fired, failed, firing) = (
        make(0, "fine").await,
        make(0, "gone").await,
        make(0, "broken").await,
    );
    let client = reqwest::Client::new();
    let moved = client
        .put(app.url(&format!("/timers/{waits}/deadline")))
        .json(&json!({ "hours": 2 }));
    let left = json_of(moved.send().await.unwrap(), StatusCode::OK).await;
    assert!(left["time_left"].as_u64().unwrap() > 3_600, "{left}");
    let cancel = client.delete(app.url(&format!("/timers/{canceled}")));
    assert!(cancel.send().await.unwrap().status().is_success());

    // What is delivered is whole.
    for request in receiver.wait_for(3, DEADLINE).await {
        assert!(request.uri.path().contains(URL) && request.uri.query().unwrap().contains(URL));
        assert_eq!(request.header("x-dish"), Some(HEADER));
        assert_eq!(request.json(), json!({ "dish": BODY }));
    }
    // And Segno itself knows what came of them.
    let deadline = Instant::now() + DEADLINE;
    for (id, status, answered) in [
        (&waits, "pending", None),
        (&canceled, "canceled", None),
        (&fired, "fired", Some(200)),
        (&failed, "failed", Some(410)),
        (&firing, "firing", Some(503)),
    ] {
        loop {
            let told = ask(format!("/timers/{id}/deliveries")).await;
            if told["status"] == status && told["attempts"][0]["status_code"] == json!(answered) {
                break;
            }
            assert!(Instant::now() < deadline, "{status}: {told:#}");
            sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    let shown: Value = app.execution(&waits).await;
    assert_eq!(words(&shown.to_string()), WORDS, "{shown:#}");

    for id in [&waits, &canceled, &fired, &failed, &firing] {
        for what in ["show", "describe"] {
            let printed = temporal(&engine, &app, &["workflow", what, "-w", id, "-o", "json"]).await;
            assert!(words(&printed).is_empty(), "{:?}: {printed}", words(&printed));
        }
    }
    let listed = temporal(&engine, &app, &["workflow", "list", "-o", "json"]).await;
    assert!(words(&listed).is_empty(), "{listed}");
    app.stop().await;
    let mut bytes = 0;
    for name in ["engine.db", "engine.db-wal"] {
        let file = fs::read(engine.folder().join("data").join(name)).unwrap_or_default();
        bytes += file.len();
        for word in WORDS {
            let found = file.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{word} is in {name}");
        }
    }
    assert_eq!(bytes > 10_000, engine.is_embedded(), "{bytes} bytes");
}
