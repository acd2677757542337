//! Workflow ids.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use proptest::prelude::*;
use segno_event::Event;
use segno_routing::{MAX_WORKFLOW_ID, workflow_id};

fn id(route: &str, source: &str, id: &str) -> String {
    workflow_id(route, &Event::new(source, id, "t"))
}

#[test]
fn ids_are_readable() {
    assert_eq!(id("big-orders", "/shop", "o-1"), "big-orders//shop/o-1");
    assert_eq!(
        id("r", "https://a.example/x?y", "50%/2"),
        "r/https://a.example/x?y/50%25%2F2"
    );
}

#[test]
fn what_does_not_fit_is_hashed() {
    let long = id("r", "s", &"x".repeat(996));
    assert_eq!(long.len(), MAX_WORKFLOW_ID);
    let longer = id("r", "s", &"x".repeat(997));
    // The SHA-256 of "s", NUL and 997 times "x".
    assert_eq!(
        longer,
        "r/sha256/87662aec2996a120d2fa478ccbb9000591bfaa5def2dfcb215efebcf30eb04d7"
    );
    assert_eq!(id("r", "s", &"x".repeat(2000)).len(), "r/sha256/".len() + 64);
}

#[test]
fn no_event_can_pass_for_a_hashed_one() {
    let hashed = id("r", "s", &"x".repeat(997));
    let hex = hashed.strip_prefix("r/sha256/").expect("a hashed id");
    assert_ne!(id("r", "sha256", hex), hashed);
    assert_eq!(id("r", "sha256", "o-1"), "r/sha256/o-1");
}

/// Texts that are apt to be confused: few characters, slashes and percent signs among them, some very long.
fn tricky() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("/".to_owned()),
        Just("%".to_owned()),
        Just("%2F".to_owned()),
        Just("%25".to_owned()),
        Just("sha256".to_owned()),
        Just("a".to_owned()),
        Just("é".to_owned()),
        Just("a".repeat(64)),
        Just("b".repeat(600)),
    ];
    proptest::collection::vec(part, 1..5).prop_map(|parts| parts.concat())
}

fn route() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("sha256"), Just("a.a")]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn distinct_pairs_have_distinct_ids(
        left in (route(), tricky(), tricky()),
        right in (route(), tricky(), tricky()),
    ) {
        let ids = [id(left.0, &left.1, &left.2), id(right.0, &right.1, &right.2)];
        prop_assert_eq!(ids[0] == ids[1], left == right);
        prop_assert!(ids.iter().all(|id| id.len() <= MAX_WORKFLOW_ID));
        prop_assert_eq!(ids[0].split('/').next(), Some(left.0));
    }
}
