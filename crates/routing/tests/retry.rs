//! Retry policies as people write them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::time::Duration;

use proptest::prelude::*;
use segno_routing::{Retry, RetryError};
use serde_json::{Value, json};

fn read(json: Value) -> Result<Retry, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_has_its_default() {
    let default = read(json!({})).expect("a policy");
    assert_eq!(default, Retry::default());
    assert_eq!(
        (
            default.initial,
            default.backoff,
            default.max_interval,
            default.max_attempts
        ),
        (Duration::from_secs(1), 2.0, Duration::from_secs(100), 0)
    );
    let slow = read(json!({"initial": "1m 30s", "max_attempts": 3})).expect("a policy");
    assert_eq!(
        (slow.initial, slow.max_interval),
        (Duration::from_secs(90), Duration::from_secs(9000))
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (json, part) in [
        (json!({"initial": "0s"}), RetryError::Initial.to_string()),
        (json!({"backoff": 0.5}), RetryError::Backoff.to_string()),
        (
            json!({"initial": "1m", "max_interval": "1s"}),
            RetryError::MaxInterval.to_string(),
        ),
        (json!({"initial": "soon"}), "\"soon\"".to_owned()),
        (json!({"initial": 1}), "string".to_owned()),
        (json!({"attempts": 1}), "attempts".to_owned()),
    ] {
        let error = read(json.clone()).expect_err("refused");
        assert!(error.contains(&part), "{json}: {error}");
    }
}

proptest! {
    #[test]
    fn written_and_read_again(
        initial in 1..u64::from(u32::MAX),
        nanos in 0..1_000_000_000_u32,
        factor in 1..1000_u32,
        backoff in 1.0..100.0f64,
        max_attempts: u32,
    ) {
        let initial = Duration::new(initial, nanos);
        let retry = Retry::with(Some(initial), Some(backoff), Some(initial * factor), Some(max_attempts));
        let json = serde_json::to_value(&retry).expect("serializes");
        prop_assert_eq!(read(json), Ok(retry));
    }
}
