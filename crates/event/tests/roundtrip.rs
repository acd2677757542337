//! What is written is read back the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

mod common;

use std::collections::BTreeMap;

use proptest::prelude::*;
use segno_event::{Event, http};
use serde_json::Value;

/// The extensions as binary mode delivers them.
fn as_strings(event: &Event) -> BTreeMap<String, Value> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    event
        .extensions
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(text(value))))
        .collect()
}

proptest! {
    #[test]
    fn json(event in common::event()) {
        let written = serde_json::to_string(&event).expect("serializes");
        prop_assert_eq!(&serde_json::from_str::<Event>(&written).expect("deserializes"), &event);
        // The same through a parsed value, as the contents of a larger document.
        let value = serde_json::to_value(&event).expect("serializes");
        prop_assert_eq!(serde_json::from_value::<Event>(value).expect("deserializes"), event);
    }

    #[test]
    fn structured_and_batched_mode(events in proptest::collection::vec(common::event(), 0..4)) {
        let mut headers = ::http::HeaderMap::new();
        headers.insert("content-type", "application/cloudevents-batch+json".parse().expect("a value"));
        let body = serde_json::to_vec(&events).expect("serializes");
        prop_assert_eq!(http::parse(&headers, &body).expect("a batch"), events.clone());

        headers.insert("content-type", "Application/CloudEvents+JSON; charset=UTF-8".parse().expect("a value"));
        for event in events {
            let body = serde_json::to_vec(&event).expect("serializes");
            prop_assert_eq!(http::parse(&headers, &body).expect("an event"), vec![event]);
        }
    }

    #[test]
    fn binary_mode(event in common::event()) {
        let (headers, body) = http::encode_binary(&event).expect("a valid event");
        let expected = Event { extensions: as_strings(&event), ..event };
        prop_assert_eq!(http::parse(&headers, &body).expect("an event"), vec![expected]);
    }

    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..80), mode in 0..4usize) {
        let mut headers = ::http::HeaderMap::new();
        let content_type =
            ["application/cloudevents+json", "application/cloudevents-batch+json", "text/plain", "application/json"];
        headers.insert("content-type", content_type[mode].parse().expect("a value"));
        headers.insert("ce-id", ::http::HeaderValue::from_bytes(b"%ff\"x").expect("a value"));
        prop_assert!(http::parse(&headers, &body).is_err());
    }
}
