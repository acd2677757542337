//! The same random story on both engines: they must tell it in the same words.
//!
//! A seed makes a plan: starts, messages, updates, workflow tasks with their commands, results of activities. It is carried out
//! on the embedded engine and on a real Temporal server by a worker made of single RPCs, and every answer, every task
//! and in the end every run's history and description are written down, without what may differ (times, run ids, tokens). The two transcripts
//! must be equal.
//!
//! Two variables choose other plans: `SEGNO_DIFFERENTIAL_SEED` one seed, whose transcripts are printed too, and
//! `SEGNO_DIFFERENTIAL_SEEDS` how many, from 0 on.

mod description;
mod plan;
mod runner;
mod settle;
mod transcript;
mod updates;

use futures::{StreamExt, stream};

use crate::bed::Bed;

/// As many as take half a minute on a small machine.
const SEEDS: u64 = 40;
/// Plans that are under way at once: they mostly wait.
const TOGETHER: usize = 10;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}

/// Where two transcripts part, with what was common before.
fn difference(ours: &[String], theirs: &[String]) -> Option<String> {
    let common = ours
        .iter()
        .zip(theirs)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    if common == ours.len() && common == theirs.len() {
        return None;
    }
    let context: Vec<String> = ours[common.saturating_sub(12)..common]
        .iter()
        .map(|line| line.chars().take(160).collect())
        .collect();
    let (ours, theirs) = (ours.get(common), theirs.get(common));
    let same = ours.zip(theirs).map_or(0, |(ours, theirs)| {
        ours.chars()
            .zip(theirs.chars())
            .take_while(|(a, b)| a == b)
            .count()
    });
    // Lines are long: what is around the first difference will do.
    let around = |line: Option<&String>| match line {
        Some(line) => line.chars().skip(same.saturating_sub(100)).take(400).collect(),
        None => "(nothing more)".to_owned(),
    };
    Some(format!(
        "  {}\nembedded: {}\ntemporal: {}",
        context.join("\n  "),
        around(ours),
        around(theirs)
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_tell_the_same_story() {
    let (embedded, temporal) = tokio::join!(Bed::embedded(), Bed::temporal());
    let only = variable("SEGNO_DIFFERENTIAL_SEED");
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..variable("SEGNO_DIFFERENTIAL_SEEDS").unwrap_or(SEEDS),
    };
    let differences: Vec<String> = stream::iter(seeds)
        .map(|seed| {
            let (embedded, temporal) = (&embedded, &temporal);
            async move {
                let plan = plan::generate(seed);
                let (ours, theirs) = tokio::join!(
                    runner::run(embedded, seed, &plan),
                    runner::run(temporal, seed, &plan)
                );
                if only.is_some() {
                    println!(
                        "{plan:#?}\n--- embedded\n{}\n--- temporal\n{}",
                        ours.join("\n"),
                        theirs.join("\n")
                    );
                }
                difference(&ours, &theirs).map(|what| format!("=== SEGNO_DIFFERENTIAL_SEED={seed}\n{what}"))
            }
        })
        .buffered(TOGETHER)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        differences.is_empty(),
        "the engines differ:\n{}",
        differences.join("\n")
    );
}
