//! The engine loses nothing: seeded simulations of clients, workers, crashes and failing disks. See `sim`.
//!
//! For hours: `cargo run -p segno-engine --example simulate -- --seed 1 --seconds 3600`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod ahead;
mod sim;

use std::collections::BTreeSet;

use sim::{
    Failure, Outcome,
    plan::{Plan, Step},
    report, run, run_with, shrink, to_be_seen,
};

/// Steps of each plan.
const STEPS: usize = 400;

/// Answers what these plans have come to.
fn survive(seeds: std::ops::Range<u64>) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    for seed in seeds {
        let plan = Plan::new(seed, STEPS);
        match run(&plan) {
            Ok(outcome) => seen.extend(outcome.seen),
            Err(failure) => panic!("{}", report(&plan, &failure)),
        }
    }
    seen
}

#[test]
fn nothing_is_lost_one() {
    let seen = survive(1..15);
    let missing: Vec<_> = to_be_seen().difference(&seen).copied().collect();
    assert!(missing.is_empty(), "no plan comes to where {missing:?}");
}

#[test]
fn nothing_is_lost_two() {
    survive(101..115);
}

#[test]
fn every_image_between_two_writes_is_whole() {
    let mut images = 0;
    for seed in 1_001..1_003 {
        let mut plan = Plan::new(seed, 300);
        // Small steps of the log into the file, and a crash in every eighth batch.
        plan.checkpoint_pages = 20;
        let mut batches = 0;
        for step in &mut plan.steps {
            if matches!(step, Step::Work) {
                batches += 1;
                if u64::is_multiple_of(batches, 8) {
                    *step = Step::Crash { tear: batches };
                }
            }
        }
        match run_with(&plan, true) {
            Ok(outcome) => images += outcome.images,
            Err(failure) => panic!("{}", report(&plan, &failure)),
        }
    }
    assert!(images > 200, "{images} images");
}

#[test]
fn a_seed_repeats() {
    let plan = Plan::new(7_001, 250);
    let one = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
    let other: Result<Outcome, Failure> = run(&plan);
    assert_eq!(one, other.unwrap_or_else(|failure| panic!("{failure}")));
}

#[test]
fn a_failing_plan_is_made_short() {
    // Not each of these plans has a run in the file by then.
    let sabotaged = (7_002..7_032).find_map(|seed| {
        let mut plan = Plan::new(seed, 120);
        plan.steps.insert(60, Step::Sabotage);
        for _ in 0..3 {
            plan.steps.insert(61, Step::Work);
        }
        let failure = run(&plan).err()?;
        failure.what.contains("damaged").then_some((plan, failure))
    });
    let (plan, failure) = sabotaged.expect("a run is gone");
    let (short, again) = shrink(&plan, &failure, 400);
    assert!(short.steps.len() < 12, "{short:#?}");
    assert!(short.steps.iter().any(|step| matches!(step, Step::Sabotage)));
    assert!(again.what.contains("damaged"), "{again}");
}
