//! The Slack sink, against receivers that answer as Slack does.
#![cfg(feature = "slack")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::{path::Path, time::Duration};

use segno_sinks::{Delivered, Delivery, Failure, Sinks};
use segno_test_support::{Answer, Cut, Receiver, free_port};
use serde_json::{Value, json};

fn sinks(url: &str, more: &str) -> Sinks {
    let options = format!("[chat.slack]\nurl = \"{url}\"\nallow_private = true\n{more}");
    Sinks::new(toml::from_str(&options).unwrap(), Path::new("/nowhere")).unwrap()
}

async fn deliver(sinks: &Sinks, payload: &Value) -> Result<Delivered, Failure> {
    sinks
        .deliver("chat", Delivery::new("leads/shop/1/tell/0", payload))
        .await
}

/// As a choreographer of another make fills its queue of messages.
fn payload() -> Value {
    json!({
        "event_name": "lead.created",
        "entity": "lead",
        "guid": "0a6a1a0e-54d0-4d0c-9a63-3d4e3c6c1f5e",
        "channel": "#leads",
        "title": "A new lead",
        "text": "*Ann* asks for <https://example.com|this>",
        "color": "#36a64f",
        "icon": "tada",
        "username": "choreographer",
        "data": { "a": "<!channel> & co", "b": 7, "c": null, "d": "x".repeat(41) },
    })
}

#[tokio::test]
async fn a_payload_of_parts_is_a_message() {
    let receiver = Receiver::start().await;
    let sinks = sinks(&receiver.url("/services/T/B/X"), "");
    assert_eq!(
        deliver(&sinks, &payload()).await,
        Ok(Delivered { status: Some(200) })
    );
    let [request] = &receiver.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.uri.path(), "/services/T/B/X");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        request.json(),
        json!({
            "channel": "#leads",
            "username": "choreographer",
            "icon_emoji": ":tada:",
            "attachments": [{
                "fallback": "A new lead",
                "title": "A new lead",
                "text": "*Ann* asks for <https://example.com|this>",
                "color": "#36a64f",
                "fields": [
                    { "title": "a", "value": "&lt;!channel&gt; &amp; co", "short": true },
                    { "title": "b", "value": "7", "short": true },
                    { "title": "d", "value": "x".repeat(41), "short": false },
                ],
                "mrkdwn_in": ["text"],
            }],
        })
    );
}

#[tokio::test]
async fn options_take_the_place_of_parts() {
    let receiver = Receiver::start().await;
    let more = "text = \"Lead {{ payload.guid[:4] }}\"\nchannel = \"\"\nicon = \"https://example.com/i.png\"\ncolor = \"good\"";
    let mut payload = payload();
    payload["data"] = Value::Null;
    deliver(&sinks(&receiver.url("/"), more), &payload).await.unwrap();
    let message = receiver.requests()[0].json();
    assert_eq!(message["attachments"][0]["text"], "Lead 0a6a");
    assert_eq!(message["attachments"][0]["color"], "good");
    assert_eq!(message["attachments"][0]["fields"], Value::Null);
    assert_eq!(message["icon_url"], "https://example.com/i.png");
    assert_eq!(message["channel"], Value::Null, "an empty one is none");
}

#[tokio::test]
async fn a_raw_payload_goes_as_it_is() {
    let receiver = Receiver::start().await;
    let sinks = sinks(&receiver.url("/"), "raw = true");
    let message = json!({ "text": "hi", "blocks": [{ "type": "divider" }] });
    deliver(&sinks, &message).await.unwrap();
    assert_eq!(receiver.requests()[0].json(), message);
    for payload in [json!({ "title": "no message" }), json!([1]), json!(null)] {
        let failure = deliver(&sinks, &payload).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Permanent { status: None, .. }),
            "{failure:?}"
        );
    }
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn slacks_own_errors_are_permanent_and_named() {
    for (status, body, told, permanent) in [
        (400, "invalid_payload", "400 Bad Request: invalid_payload", true),
        (403, "action_prohibited", "403 Forbidden: action_prohibited", true),
        (404, "channel_not_found", "404 Not Found: channel_not_found", true),
        (410, "channel_is_archived", "410 Gone: channel_is_archived", true),
        (400, "Your payload: T0KEN", "400 Bad Request", true),
        (
            500,
            "rollup_error",
            "500 Internal Server Error: rollup_error",
            false,
        ),
        (503, "<html>", "503 Service Unavailable", false),
        (408, "", "408 Request Timeout", false),
    ] {
        let receiver = Receiver::answering(move |_| Answer::status(status).body(body)).await;
        let failure = deliver(&sinks(&receiver.url("/"), ""), &payload())
            .await
            .unwrap_err();
        assert_eq!(failure.to_string(), format!("the receiver answered {told}"));
        assert_eq!(
            matches!(failure, Failure::Permanent { .. }),
            permanent,
            "{failure:?}"
        );
        assert_eq!(failure.status(), Some(status));
    }
}

#[tokio::test]
async fn a_busy_slack_says_how_long_to_wait_and_is_there_again() {
    let receiver = Receiver::sequence([Answer::status(429).retry_after("30").body("rate_limited")]).await;
    let sinks = sinks(&receiver.url("/"), "");
    let failure = deliver(&sinks, &payload()).await.unwrap_err();
    let wait = match failure {
        Failure::Retryable { retry_after, .. } => retry_after,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait, Some(Duration::from_secs(30)));
    deliver(&sinks, &payload()).await.unwrap();
    let requests = receiver.requests();
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn over_a_cut_network_no_message_is_lost() {
    let receiver = Receiver::start().await;
    let cut = Cut::to(receiver.address().port()).await;
    let sinks = sinks(&format!("http://127.0.0.1:{}/", cut.port()), "");
    cut.cut();
    let failure = deliver(&sinks, &payload()).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    cut.cut_answers();
    let failure = deliver(&sinks, &payload()).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    cut.mend();
    deliver(&sinks, &payload()).await.unwrap();
    // Slack takes no key: a message whose answer is lost comes again.
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn parts_that_make_no_message_are_permanent_failures() {
    let receiver = Receiver::start().await;
    let sinks = sinks(&receiver.url("/"), "");
    for payload in [
        json!({}),
        json!({ "text": 7 }),
        json!({ "text": "x", "data": [] }),
        json!("x"),
    ] {
        let failure = deliver(&sinks, &payload).await.unwrap_err();
        assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
    }
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn the_url_is_a_secret_and_private_addresses_are_refused() {
    let url = format!("http://127.0.0.1:{}/services/T0KEN", free_port());
    let failure = deliver(&sinks(&url, ""), &payload()).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    assert!(!format!("{failure:?}").contains("T0KEN"), "{failure:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = segno_test_support::write_file(folder.path(), "url", &url);
    let options = format!("[chat.slack]\nurl = {{ file = {file:?} }}");
    let options: std::collections::BTreeMap<_, segno_sinks::Options> = toml::from_str(&options).unwrap();
    assert!(!format!("{options:?}").contains("T0KEN"), "{options:?}");
    let guarded = Sinks::new(options, Path::new("/nowhere")).unwrap();
    let failure = deliver(&guarded, &payload()).await.unwrap_err();
    assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
    let error = toml::from_str::<std::collections::BTreeMap<String, segno_sinks::Options>>(
        "[chat.slack]\nurl = \"T0KEN\"",
    );
    assert!(!error.unwrap_err().message().contains("T0KEN"));
}
