//! Simulates what can happen to an engine, seed after seed, until one breaks a rule or the time is over.
//!
//! `cargo run -p segno-engine --example simulate -- --seed 1 --seconds 3600 --steps 400`
#![allow(clippy::disallowed_methods, reason = "it counts the seconds of a person")]

#[path = "../tests/simulation/sim/mod.rs"]
mod sim;

use std::{
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use sim::{plan::Plan, report, run_with};

fn main() -> ExitCode {
    let mut seed = 1;
    let mut seconds = 0;
    let mut steps = 400;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (name.as_str(), value) {
            ("--seed", Some(value)) => seed = value,
            ("--seconds", Some(value)) => seconds = value,
            ("--steps", Some(value)) => steps = value,
            _ => {
                say("simulate [--seed N] [--seconds S] [--steps N]");
                return ExitCode::FAILURE;
            }
        }
    }
    let steps = usize::try_from(steps).unwrap_or(usize::MAX);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (first, mut images) = (seed, 0);
    loop {
        let plan = Plan::new(seed, steps);
        match run_with(&plan, seed.is_multiple_of(16)) {
            Ok(outcome) => images += outcome.images,
            Err(failure) => {
                say(&report(&plan, &failure));
                return ExitCode::FAILURE;
            }
        }
        if Instant::now() >= until {
            say(&format!(
                "seeds {first} to {seed} hold, {images} images of crashes among them"
            ));
            return ExitCode::SUCCESS;
        }
        seed += 1;
    }
}

fn say(text: &str) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stdout(), "{text}");
}
