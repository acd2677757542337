//! A simulation of everything that can happen to an engine, made from a seed.
//!
//! Clients and workers call the real services, which ask a real host over a real SQLite file. The host has no
//! thread, the clock no hands and the disk no sync: the simulation decides when a batch is taken, what time it
//! is, and what is left on the disk after a crash. So a seed gives the same run each time.
//!
//! | file | what |
//! |---|---|
//! | `plan` | the steps of a seed |
//! | `world` | the engine, its file, the clock, and what is under way |
//! | `client`, `operator` | who asks for workflows, and who steps in: updates, resets, deletes, activities, schedules |
//! | `worker`, `workflow`, `updates` | who does the work |
//! | `disk` | what a crash leaves |
//! | `ledger` | what callers were told |
//! | `file`, `others`, `lineage` | what the file says, and what has to hold of it: of a run, of what runs do to each other, and of parents and resets |
//! | `shrink` | a failing plan made short |

mod client;
mod disk;
mod file;
mod ledger;
mod lineage;
mod operator;
mod others;
pub(crate) mod plan;
mod rng;
mod shrink;
mod updates;
mod worker;
pub(crate) mod workflow;
mod world;

use std::{collections::BTreeSet, fmt};

#[allow(unused_imports, reason = "the command line has no use for it")]
pub(crate) use lineage::to_be_seen;
use plan::Plan;
pub(crate) use shrink::shrink;
use world::World;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// A sum of all that has happened.
    pub(crate) trace: u64,
    /// Images of crashes that were opened and found right.
    pub(crate) images: usize,
    /// What of [`to_be_seen`] it has come to.
    #[allow(dead_code, reason = "the command line has no use for it")]
    pub(crate) seen: BTreeSet<&'static str>,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The step of the plan; one past the last in what comes after it.
    pub(crate) step: usize,
    pub(crate) what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.what)
    }
}

/// Does what the plan says, and then lets all runs come to their ends.
pub(crate) fn run(plan: &Plan) -> Result<Outcome, Failure> {
    run_with(plan, false)
}

/// The same; with `every_write`, each crash is looked at between any two writes of its batch.
pub(crate) fn run_with(plan: &Plan, every_write: bool) -> Result<Outcome, Failure> {
    let failed = |step, what| Failure { step, what };
    let mut world = World::new(plan).map_err(|what| failed(0, what))?;
    world.every_write = every_write;
    for (number, step) in plan.steps.iter().enumerate() {
        world.apply(step).map_err(|what| failed(number, what))?;
    }
    let last = plan.steps.len();
    world.run_to_the_end().map_err(|what| failed(last, what))?;
    Ok(Outcome {
        trace: world.trace,
        images: world.images,
        seen: world.seen,
    })
}

/// What a person needs of a failure: the shortest plan, and how to see it again.
pub(crate) fn report(plan: &Plan, failure: &Failure) -> String {
    let (shortest, last) = shrink(plan, failure, 400);
    format!(
        "seed {} of {} steps fails at {failure}\n\
         shrunk to {} steps, it fails at {last}\n{:#?}\n\
         again: cargo run -p segno-engine --example simulate -- --seed {} --steps {}",
        plan.seed,
        plan.steps.len(),
        shortest.steps.len(),
        shortest,
        plan.seed,
        plan.steps.len(),
    )
}
