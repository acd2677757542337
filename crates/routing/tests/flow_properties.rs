//! What holds of a flow whatever happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use proptest::prelude::*;
use segno_routing::flow::{
    Action, Arrival, Batch, Debounce, Ended, Limits, Outcome, Per, Policy, Rate, Standing, State, Why,
};

#[derive(Clone, Debug)]
enum Step {
    Arrive { key: u8 },
    Again { n: usize },
    End { n: usize, outcome: u8 },
    Retry { n: usize },
    Pause { key: u8 },
    Resume { key: u8 },
    Release { key: u8 },
    Withdraw { n: usize },
    Pass { millis: u64 },
    Write,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4u8).prop_map(|key| Step::Arrive { key }),
        2 => (0..50usize).prop_map(|n| Step::Again { n }),
        8 => (0..50usize, 0..5u8).prop_map(|(n, outcome)| Step::End { n, outcome }),
        2 => (0..50usize).prop_map(|n| Step::Retry { n }),
        1 => (0..4u8).prop_map(|key| Step::Pause { key }),
        1 => (0..4u8).prop_map(|key| Step::Resume { key }),
        1 => (0..4u8).prop_map(|key| Step::Release { key }),
        1 => (0..50usize).prop_map(|n| Step::Withdraw { n }),
        4 => (0..400u64).prop_map(|millis| Step::Pass { millis }),
        1 => Just(Step::Write),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let limits = (
        proptest::option::of(1..4u32),
        proptest::option::of((1..5u32, 50..500u64)),
    );
    let grouping = prop_oneof![
        2 => Just((None, None)),
        1 => (1..200u64, 200..500u64).prop_map(|(quiet, max)| (Some(Debounce { quiet, max }), None)),
        1 => (1..5u32, 1..500u64).prop_map(|(size, within)| {
            let size = NonZeroU32::new(size).unwrap();
            (None, Some(Batch { size, within }))
        }),
    ];
    (any::<bool>(), proptest::option::of(limits), grouping).prop_map(|(order, limits, (debounce, batch))| {
        Policy {
            order,
            limits: limits.map(|(concurrency, rate)| Limits {
                concurrency: concurrency.and_then(NonZeroU32::new),
                rate: rate.map(|(count, millis)| Rate {
                    count: NonZeroU32::new(count).unwrap(),
                    millis,
                }),
                per: Per::Route,
            }),
            debounce,
            batch,
            max_waiting: None,
        }
    })
}

/// What has become of each execution, as those see it that the flow speaks to.
#[derive(Default)]
struct World {
    now: u64,
    /// By id: its key and number.
    arrived: BTreeMap<String, (String, u64)>,
    waiting: BTreeSet<String>,
    running: BTreeMap<String, (String, Vec<String>)>,
    superseded: BTreeMap<String, String>,
    failed: BTreeSet<String>,
    done: BTreeSet<String>,
    /// The numbers of what has run of each key, in their order; retries do not count.
    order: BTreeMap<String, Vec<u64>>,
    starts: Vec<u64>,
    parked: BTreeMap<String, String>,
    paused: BTreeSet<String>,
}

impl World {
    fn pick(&self, from: impl Iterator<Item = String>, n: usize) -> Option<String> {
        let all: Vec<_> = from.collect();
        (!all.is_empty()).then(|| all[n % all.len()].clone())
    }

    fn take(&mut self, policy: &Policy, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Go { id } if self.running.contains_key(&id) => {}
                Action::Go { id } => self.run(policy, &id.clone(), &[id]),
                Action::Supersede { id, by } => {
                    assert!(self.waiting.remove(&id), "{id} waited");
                    assert_eq!(self.arrived[&id].0, self.arrived[&by].0);
                    assert!(self.arrived[&id].1 < self.arrived[&by].1);
                    self.superseded.insert(id, by);
                }
                Action::Batch { id, members, .. } => {
                    let size = policy.batch.unwrap().size.get() as usize;
                    assert!((1..=size).contains(&members.len()));
                    self.run(policy, &id, &members);
                }
            }
        }
    }

    fn run(&mut self, policy: &Policy, id: &str, members: &[String]) {
        let key = self.arrived[&members[0]].0.clone();
        assert!(!self.paused.contains(&key), "{key} is paused");
        if let Some(by) = self.parked.get(&key) {
            assert_eq!(by, id, "{key} is parked");
        }
        if policy.order && !key.is_empty() {
            assert!(
                self.running.values().all(|(other, _)| *other != key),
                "one of {key} at a time"
            );
        }
        for member in members {
            assert!(self.waiting.remove(member), "{member} waited");
            assert_eq!(self.arrived[member].0, key);
            let numbers = self.order.entry(key.clone()).or_default();
            let number = self.arrived[member].1;
            if !self.failed.contains(member) {
                assert!(
                    numbers.iter().all(|before| *before < number),
                    "{key}: {number} after {numbers:?}"
                );
                numbers.push(number);
            }
        }
        self.running.insert(id.to_owned(), (key, members.to_vec()));
        self.starts.push(self.now);
        let limits = policy.limits.as_ref();
        if let Some(limit) = limits.and_then(|limits| limits.concurrency) {
            assert!(self.running.len() <= limit.get() as usize);
        }
        if let Some(rate) = limits.and_then(|limits| limits.rate) {
            let span = self
                .starts
                .iter()
                .filter(|at| **at + rate.millis > self.now)
                .count();
            assert!(span <= rate.count.get() as usize, "{span} in {} ms", rate.millis);
        }
    }

    fn end(&mut self, policy: &Policy, id: &str, outcome: &Outcome) -> String {
        let (key, members) = self.running.remove(id).unwrap();
        if matches!(outcome, Outcome::Failed { .. }) {
            self.failed.extend(members);
            self.failed.insert(id.to_owned());
            if policy.order && !key.is_empty() {
                self.parked.entry(key.clone()).or_insert_with(|| id.to_owned());
            }
        } else {
            self.done.extend(members);
            if self.parked.get(&key).is_some_and(|by| by == id) {
                self.parked.remove(&key);
            }
        }
        key
    }

    /// Everything that has arrived is somewhere, and the flow says the same.
    fn check(&self, state: &State) {
        for id in self.arrived.keys() {
            let runs = self.running.values().any(|(_, members)| members.contains(id));
            let waits = self.waiting.contains(id);
            assert!(
                runs || waits
                    || self.done.contains(id)
                    || self.failed.contains(id)
                    || self.superseded.contains_key(id),
                "{id} is lost"
            );
            match state.standing(self.now, id) {
                Standing::Waits { why, .. } => {
                    assert!(waits);
                    assert_ne!(why, Why::Turn, "{id} could run");
                }
                Standing::Runs => assert!(runs),
                _ => assert!(!waits),
            }
        }
    }
}

fn key_of(key: u8) -> String {
    // One of them is none.
    ["", "a", "b", "c"][usize::from(key)].to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn order_limits_and_everything_accounted_for(
        policy in policy(),
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut world = World::default();
        let mut state = State::new("orders");
        let arrival = |id: &str, key: &str| Arrival {
            id: id.to_owned(),
            key: key.to_owned(),
            bytes: 10,
            policy: policy.clone(),
        };
        for step in steps {
            match step {
                Step::Arrive { key } => {
                    let number = world.arrived.len() as u64;
                    let (id, key) = (format!("orders//shop/{number}"), key_of(key));
                    world.arrived.insert(id.clone(), (key.clone(), number));
                    world.waiting.insert(id.clone());
                    state.arrive(world.now, arrival(&id, &key));
                }
                Step::Again { n } => {
                    if let Some(id) = world.pick(world.waiting.iter().cloned(), n) {
                        state.arrive(world.now, arrival(&id, &world.arrived[&id].0));
                    }
                }
                Step::End { n, outcome } => {
                    if let Some(id) = world.pick(world.running.keys().cloned(), n) {
                        let outcome = match outcome {
                            0 => Outcome::Failed { cause: "no".to_owned() },
                            1 => Outcome::Withdrawn,
                            _ => Outcome::Done,
                        };
                        let key = world.end(&policy, &id, &outcome);
                        state.ended(world.now, Ended { id, key, outcome });
                    }
                }
                Step::Retry { n } => {
                    // Only what failed by itself: a batch that is started again asks nobody.
                    let failed = world.failed.iter().filter(|id| world.arrived.contains_key(*id));
                    let failed = failed.filter(|_| policy.batch.is_none() && policy.debounce.is_none());
                    let failed = failed.filter(|id| world.parked.values().any(|by| by == *id)).cloned();
                    if let Some(id) = world.pick(failed, n)
                        && !world.running.contains_key(&id)
                    {
                        world.waiting.insert(id.clone());
                        state.arrive(world.now, arrival(&id, &world.arrived[&id].0));
                    }
                }
                Step::Pause { key } => {
                    prop_assert_eq!(state.pause(world.now, &key_of(key)), world.paused.insert(key_of(key)));
                }
                Step::Resume { key } => {
                    prop_assert_eq!(state.resume(&key_of(key)), world.paused.remove(&key_of(key)));
                }
                Step::Release { key } => {
                    let was = world.parked.remove(&key_of(key)).is_some();
                    prop_assert_eq!(state.release(&key_of(key)), was);
                }
                Step::Withdraw { n } => {
                    let waiting = world.waiting.iter().filter(|id| !world.failed.contains(*id)).cloned();
                    if let Some(id) = world.pick(waiting, n) {
                        world.waiting.remove(&id);
                        world.done.insert(id.clone());
                        let key = world.arrived[&id].0.clone();
                        state.ended(world.now, Ended { id, key, outcome: Outcome::Withdrawn });
                    }
                }
                Step::Pass { millis } => world.now += millis,
                Step::Write => {
                    let text = serde_json::to_string(&state).unwrap();
                    state = serde_json::from_str(&text).unwrap();
                }
            }
            let actions = state.decide(world.now);
            world.take(&policy, actions);
            world.check(&state);
            prop_assert_eq!(state.parked(), world.parked.len());
        }

        // Released, resumed and given time, everything ends and the flow forgets all.
        for key in 0..4 {
            state.release(&key_of(key));
            state.resume(&key_of(key));
        }
        world.parked.clear();
        world.paused.clear();
        let mut rounds = 0;
        loop {
            let actions = state.decide(world.now);
            world.take(&policy, actions);
            world.check(&state);
            if let Some(id) = world.running.keys().next().cloned() {
                let key = world.end(&policy, &id, &Outcome::Done);
                state.ended(world.now, Ended { id, key, outcome: Outcome::Done });
                continue;
            }
            if state.is_done(world.now) {
                break;
            }
            world.now = state.wake_at(world.now).expect("it waits for something").max(world.now + 1);
            rounds += 1;
            prop_assert!(rounds < 10_000);
        }
        prop_assert!(world.waiting.is_empty());
    }
}
