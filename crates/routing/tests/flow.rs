//! What a flow decides, case by case.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::num::NonZeroU32;

use segno_event::Event;
use segno_routing::flow::{
    Action, Arrival, BATCH_SOURCE, Batch, Debounce, Ended, Flow, Key, Limits, Outcome, Per, Policy, Rate,
    Scope, Standing, State, Why, batch_event, flow_id,
};
use segno_routing::workflow_id;
use serde_json::json;

fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn ordered() -> Policy {
    Policy {
        order: true,
        ..Policy::default()
    }
}

fn limited(concurrency: Option<u32>, rate: Option<Rate>) -> Policy {
    Policy {
        limits: Some(Limits {
            concurrency: concurrency.map(count),
            rate,
            per: Per::Route,
        }),
        ..Policy::default()
    }
}

struct Driver {
    state: State,
    policy: Policy,
}

impl Driver {
    fn new(policy: Policy) -> Self {
        Self {
            state: State::new("orders"),
            policy,
        }
    }

    fn arrive(&mut self, now: u64, id: &str, key: &str) {
        self.arrive_of(now, id, key, 100);
    }

    fn arrive_of(&mut self, now: u64, id: &str, key: &str, bytes: u64) {
        let arrival = Arrival {
            id: id.to_owned(),
            key: key.to_owned(),
            bytes,
            policy: self.policy.clone(),
        };
        self.state.arrive(now, arrival);
    }

    fn end(&mut self, now: u64, id: &str, key: &str, outcome: Outcome) {
        let ended = Ended {
            id: id.to_owned(),
            key: key.to_owned(),
            outcome,
        };
        self.state.ended(now, ended);
    }

    /// What may run now.
    fn go(&mut self, now: u64) -> Vec<String> {
        let told = |action| match action {
            Action::Go { id } => id,
            other => panic!("{other:?}"),
        };
        self.state.decide(now).into_iter().map(told).collect()
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        cause: "the receiver refuses".to_owned(),
    }
}

#[test]
fn events_of_a_key_run_one_after_the_other() {
    let mut flow = Driver::new(ordered());
    flow.arrive(0, "a1", "a");
    flow.arrive(0, "a2", "a");
    flow.arrive(0, "b1", "b");
    assert_eq!(flow.go(0), ["a1", "b1"]);
    assert!(flow.go(1).is_empty());
    flow.end(2, "a1", "a", Outcome::Done);
    assert_eq!(flow.go(2), ["a2"]);
    flow.end(3, "a2", "a", Outcome::Done);
    flow.end(3, "b1", "b", Outcome::Done);
    assert!(flow.state.is_done(3));
}

#[test]
fn a_second_arrival_changes_nothing_but_repeats_the_word() {
    let mut flow = Driver::new(ordered());
    for _ in 0..2 {
        flow.arrive(0, "a1", "a");
        flow.arrive(0, "a2", "a");
    }
    assert_eq!(flow.go(0), ["a1"]);
    flow.arrive(1, "a1", "a");
    flow.arrive(1, "a2", "a");
    assert_eq!(flow.go(1), ["a1"], "it runs and has not heard so");
    flow.end(2, "a1", "a", Outcome::Done);
    assert_eq!(flow.go(2), ["a2"]);
}

#[test]
fn a_failure_parks_its_key_and_no_other() {
    let mut flow = Driver::new(ordered());
    for id in ["a1", "a2", "a3"] {
        flow.arrive(0, id, "a");
    }
    assert_eq!(flow.go(0), ["a1"]);
    flow.end(5, "a1", "a", failed());
    flow.arrive(6, "b1", "b");
    assert_eq!(flow.go(6), ["b1"]);
    assert_eq!(flow.state.parked(), 1);
    assert!(matches!(
        flow.state.standing(7, "a2"),
        Standing::Waits { before: 0, why: Why::Parked { by, .. }, .. } if by == "a1"
    ));

    // Tried again, it goes alone; failed again, the key stays parked.
    flow.arrive(8, "a1", "a");
    assert_eq!(flow.go(8), ["a1"]);
    flow.end(9, "a1", "a", failed());
    assert!(flow.go(9).is_empty());
    flow.arrive(10, "a1", "a");
    assert_eq!(flow.go(10), ["a1"]);
    flow.end(11, "a1", "a", Outcome::Done);
    assert_eq!(flow.go(11), ["a2"], "in order");
    assert_eq!(flow.state.parked(), 0);
}

#[test]
fn a_person_releases_a_key_once() {
    let mut flow = Driver::new(ordered());
    flow.arrive(0, "a1", "a");
    flow.arrive(0, "a2", "a");
    flow.go(0);
    flow.end(1, "a1", "a", failed());
    assert!(flow.state.release("a"));
    assert!(!flow.state.release("a"), "it was");
    assert!(!flow.state.release("nobody"));
    assert_eq!(flow.go(2), ["a2"]);
}

#[test]
fn a_paused_key_waits_and_goes_on_in_order() {
    let mut flow = Driver::new(ordered());
    assert!(flow.state.pause(0, "a"));
    assert!(!flow.state.pause(1, "a"));
    flow.arrive(2, "a1", "a");
    flow.arrive(2, "a2", "a");
    flow.arrive(2, "b1", "b");
    assert_eq!(flow.go(2), ["b1"]);
    assert!(!flow.state.is_done(2));
    assert!(flow.state.resume("a"));
    assert!(!flow.state.resume("a"));
    assert_eq!(flow.go(3), ["a1"]);
    flow.end(4, "a1", "a", Outcome::Withdrawn);
    assert_eq!(flow.go(4), ["a2"]);
}

#[test]
fn one_that_waits_can_be_withdrawn() {
    let mut flow = Driver::new(ordered());
    for id in ["a1", "a2", "a3"] {
        flow.arrive(0, id, "a");
    }
    flow.go(0);
    flow.end(1, "a2", "a", Outcome::Withdrawn);
    flow.end(2, "a1", "a", Outcome::Done);
    assert_eq!(flow.go(2), ["a3"]);
}

#[test]
fn no_more_run_at_once_than_may() {
    let mut flow = Driver::new(limited(Some(2), None));
    for id in ["1", "2", "3", "4"] {
        flow.arrive(0, id, "");
    }
    assert_eq!(flow.go(0), ["1", "2"]);
    assert_eq!(
        flow.state.standing(0, "3"),
        Standing::Waits {
            key: String::new(),
            before: 0,
            since: 0,
            why: Why::Concurrency { limit: 2 }
        }
    );
    flow.end(1, "2", "", failed());
    assert_eq!(flow.go(1), ["3"], "without order a failure parks nothing");
    assert_eq!(flow.state.parked(), 0);
}

#[test]
fn no_more_start_in_a_span_than_may() {
    let rate = Rate {
        count: count(2),
        millis: 1_000,
    };
    let mut flow = Driver::new(limited(None, Some(rate)));
    for id in ["1", "2", "3"] {
        flow.arrive(0, id, "");
    }
    assert_eq!(flow.go(500), ["1", "2"]);
    assert_eq!(flow.state.wake_at(500), Some(1_500));
    assert!(flow.go(1_499).is_empty());
    assert_eq!(flow.go(1_500), ["3"]);
    for id in ["1", "2", "3"] {
        flow.end(1_600, id, "", Outcome::Done);
    }
    assert!(!flow.state.is_done(2_000), "the rate is not to be forgotten");
    assert_eq!(flow.state.wake_at(2_000), Some(2_500));
    assert!(flow.state.is_done(2_500));
}

#[test]
fn the_last_of_several_runs_after_some_quiet() {
    let mut flow = Driver::new(Policy {
        debounce: Some(Debounce { quiet: 100, max: 250 }),
        ..Policy::default()
    });
    flow.arrive(0, "1", "a");
    assert!(flow.go(0).is_empty());
    assert_eq!(flow.state.wake_at(0), Some(100));
    flow.arrive(90, "2", "a");
    let superseded = |id: &str, by: &str| Action::Supersede {
        id: id.to_owned(),
        by: by.to_owned(),
    };
    assert_eq!(flow.state.decide(90), [superseded("1", "2")]);
    flow.arrive(180, "3", "a");
    assert_eq!(flow.state.decide(180), [superseded("2", "3")]);
    assert_eq!(
        flow.state.wake_at(180),
        Some(250),
        "the first of them is so old then"
    );
    assert_eq!(flow.go(250), ["3"]);
}

fn batched(size: u32, within: u64) -> Policy {
    Policy {
        batch: Some(Batch {
            size: count(size),
            within,
        }),
        ..Policy::default()
    }
}

fn members(actions: Vec<Action>) -> Vec<Vec<String>> {
    let told = |action| match action {
        Action::Batch { members, .. } => members,
        other => panic!("{other:?}"),
    };
    actions.into_iter().map(told).collect()
}

#[test]
fn a_batch_runs_when_it_is_full_or_its_time_has_come() {
    let mut flow = Driver::new(batched(2, 1_000));
    for id in ["1", "2", "3"] {
        flow.arrive(0, id, "");
    }
    let actions = flow.state.decide(0);
    let Action::Batch { id, .. } = &actions[0] else {
        panic!("{actions:?}")
    };
    let event = batch_event("1", "", Vec::new());
    assert_eq!(event.source, BATCH_SOURCE);
    assert_eq!(event.validate(), Ok(()));
    assert_eq!(*id, workflow_id("orders", &event));
    let id = id.clone();
    assert_eq!(members(actions), [["1", "2"]]);
    assert_eq!(flow.state.wake_at(0), Some(1_000));
    assert_eq!(members(flow.state.decide(1_000)), [["3"]]);
    flow.end(1_001, &id, "", Outcome::Done);
    assert!(!flow.state.is_done(1_001));
}

#[test]
fn a_batch_is_no_larger_than_an_execution_takes() {
    let mut flow = Driver::new(batched(100, 1_000));
    for (id, bytes) in [("1", 600_000), ("2", 600_000), ("3", 2_000_000), ("4", 10)] {
        flow.arrive_of(0, id, "", bytes);
    }
    assert_eq!(members(flow.state.decide(0)), [["1"], ["2"], ["3"]]);
    assert_eq!(members(flow.state.decide(1_000)), [["4"]]);
}

#[test]
fn batches_of_a_key_keep_their_order_and_park_it() {
    let mut flow = Driver::new(Policy {
        order: true,
        ..batched(2, 1_000)
    });
    for id in ["1", "2", "3", "4"] {
        flow.arrive(0, id, "a");
    }
    let actions = flow.state.decide(0);
    let Action::Batch { id, .. } = actions[0].clone() else {
        panic!("{actions:?}")
    };
    assert_eq!(members(actions), [["1", "2"]]);
    flow.end(1, &id, "a", failed());
    assert!(flow.state.decide(1).is_empty());
    // It was started again and reports its end.
    flow.end(2, &id, "a", Outcome::Done);
    assert_eq!(members(flow.state.decide(2)), [["3", "4"]]);
}

#[test]
fn what_runs_for_long_is_looked_after() {
    let mut flow = Driver::new(ordered());
    flow.arrive(0, "a1", "a");
    flow.go(1_000);
    assert_eq!(flow.state.wake_at(1_000), Some(61_000));
    assert!(flow.state.look(60_999).is_empty());
    assert_eq!(flow.state.look(61_000), ["a1"]);
    assert!(flow.state.look(61_001).is_empty());
    assert_eq!(flow.state.wake_at(61_001), Some(121_000));
}

#[test]
fn a_state_is_the_same_after_it_was_written() {
    let mut flow = Driver::new(Policy {
        order: true,
        ..limited(
            Some(3),
            Some(Rate {
                count: count(10),
                millis: 1_000,
            }),
        )
    });
    for id in ["a1", "a2", "b1"] {
        flow.arrive(0, id, &id[..1]);
    }
    flow.go(0);
    flow.end(1, "a1", "a", failed());
    flow.state.pause(2, "c");
    let text = serde_json::to_string(&flow.state).unwrap();
    let mut read: State = serde_json::from_str(&text).unwrap();
    assert_eq!(read, flow.state);
    // And still knows what it holds.
    flow.state = read.clone();
    flow.arrive(3, "a2", "a");
    assert_eq!(flow.state.keys(), read.keys());
    assert_eq!(read.decide(3), []);
}

#[test]
fn keys_are_attributes_or_expressions() {
    let mut event =
        Event::new("/shop", "1", "order.placed").with_data(json!({"customer": {"id": 7}, "e": ""}));
    event.subject = Some("s".to_owned());
    event.extensions.insert("tenant".to_owned(), "t".into());
    let key = |text: &str| Key::compile(text).unwrap().of(&event);
    assert_eq!(key("subject").unwrap().as_deref(), Some("s"));
    assert_eq!(key("tenant").unwrap().as_deref(), Some("t"));
    assert_eq!(key("nothing").unwrap(), None);
    assert_eq!(key("event.data.customer.id").unwrap().as_deref(), Some("7"));
    assert_eq!(key("event.data.e").unwrap(), None);
    assert_eq!(
        key("event.type + '/' + event.subject").unwrap().as_deref(),
        Some("order.placed/s")
    );
    assert!(key("event.data.nothing").is_err());
    assert!(Key::compile("event.data[").is_err());
    event.subject = Some("é".repeat(300));
    let long = Key::default().of(&event).unwrap().unwrap();
    assert_eq!(long.len(), 254, "cut between characters");
}

#[test]
fn a_flow_is_of_a_route_or_of_a_key() {
    assert_eq!(flow_id("orders", None), "flow:orders");
    assert_eq!(flow_id("orders", Some("a/b%")), "flow:orders/a%2Fb%25");
    assert!(flow_id("orders", Some("a\n")).starts_with("flow:orders/sha256/"));
    assert_eq!(ordered().scope(true), Scope::Key);
    assert_eq!(limited(Some(1), None).scope(true), Scope::Route);
    assert_eq!(batched(1, 1).scope(false), Scope::Route);
    assert_eq!(batched(1, 1).scope(true), Scope::Key);

    let flow = Flow {
        key: Some(Key::default()),
        policy: ordered(),
    };
    let mut event = Event::new("/shop", "1", "order.placed");
    assert_eq!(flow.plan("orders", &event).0, None, "no key, no order");
    event.subject = Some("s".to_owned());
    let planned = flow.plan("orders", &event).0.unwrap();
    assert_eq!(
        (planned.id.as_str(), planned.key.as_str()),
        ("flow:orders/s", "s")
    );
}

#[test]
fn rates_are_written_for_people() {
    let rate: Rate = "100/s".parse().unwrap();
    assert_eq!((rate.count.get(), rate.millis), (100, 1_000));
    assert_eq!(rate.to_string(), "100/s");
    assert_eq!("5 / min".parse::<Rate>().unwrap().to_string(), "5/m");
    for wrong in ["", "5", "0/s", "-1/s", "5/week", "1.5/s", "5//s"] {
        assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
    }
}

#[test]
fn a_flow_is_full_until_it_is_a_tenth_less() {
    let mut flow = Driver::new(Policy {
        max_waiting: Some(count(10)),
        ..limited(Some(1), None)
    });
    for n in 0..10 {
        flow.arrive(n, &format!("e{n}"), "");
        flow.state.decide(n);
        assert!(!flow.state.is_full(), "one runs, {n} wait");
    }
    flow.arrive(10, "e10", "");
    flow.state.decide(10);
    assert!(flow.state.is_full());
    let done = |id: &str| Ended {
        id: id.to_owned(),
        key: String::new(),
        outcome: Outcome::Done,
    };
    flow.state.ended(11, done("e0"));
    flow.state.decide(11);
    assert!(flow.state.is_full(), "nine wait");
    flow.state.ended(12, done("e1"));
    flow.state.decide(12);
    assert!(!flow.state.is_full(), "eight wait");
}

#[test]
fn what_comes_to_a_flow_that_is_far_too_full_asks_again() {
    let mut flow = Driver::new(Policy {
        max_waiting: Some(count(2)),
        ..limited(Some(1), None)
    });
    for n in 0..9 {
        flow.arrive(n, &format!("e{n}"), "");
        flow.state.decide(n);
    }
    assert_eq!(flow.state.keys()[0].waiting, 4, "twice as many as should");
    assert_eq!(flow.state.standing(9, "e8"), Standing::Unknown);
    let ended = |id: &str| Ended {
        id: id.to_owned(),
        key: String::new(),
        outcome: Outcome::Done,
    };
    for (n, id) in ["e0", "e1", "e2"].into_iter().enumerate() {
        flow.state.ended(10 + n as u64, ended(id));
        flow.state.decide(10 + n as u64);
    }
    flow.arrive(20, "e8", "");
    assert!(matches!(flow.state.standing(20, "e8"), Standing::Waits { .. }));
}

#[test]
fn long_ids_fill_a_flow_sooner() {
    let mut flow = Driver::new(limited(Some(1), None));
    let mut count = 0;
    while !flow.state.is_full() {
        flow.arrive(0, &format!("{count}-{}", "x".repeat(1_000)), "");
        flow.state.decide(0);
        count += 1;
        assert!(count < 2_000, "{count} of them are larger than a state may be");
    }
    let state = serde_json::to_vec(&flow.state).unwrap();
    assert!(state.len() < 1 << 20, "{}", state.len());
}
