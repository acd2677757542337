//! What came of it.

use std::{
    collections::HashSet,
    io::{self, Write},
    time::Duration,
};

use serde::Serialize;

use super::{Options, receiver::Receiver};

/// What memory and files may be more in the second half of a run than in the first, as a share.
const GROWTH: f64 = 0.25;
/// What they may be more in any case, in bytes: pages of a file are given back in steps, and a small process varies.
const SLACK: u64 = 24 << 20;
/// Numbers that are named of those that are missing.
const NAMED: usize = 20;

/// How it stood at one time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// Since the start.
    #[serde(with = "in_seconds")]
    pub(crate) at: Duration,
    /// Events accepted until then.
    pub(crate) accepted: usize,
    /// Events arrived until then.
    pub(crate) arrived: usize,
    /// The process's resident memory, in bytes.
    pub(crate) memory: u64,
    /// Its files, in bytes.
    pub(crate) files: u64,
}

mod in_seconds {
    use std::time::Duration;

    pub(super) fn serialize<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }
}

/// The largest of something in each half of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Halves {
    pub(crate) first: u64,
    pub(crate) second: u64,
}

impl Halves {
    /// What came while there was less than `kept` of time behind it is left out: till then files are to grow.
    fn of(samples: &[Sample], kept: Duration, value: impl Fn(&Sample) -> u64) -> Self {
        let settled: Vec<_> = samples.iter().filter(|sample| sample.at >= kept).collect();
        let (first, second) = settled.split_at(settled.len() / 2);
        let most = |half: &[&Sample]| half.iter().map(|sample| value(sample)).max().unwrap_or(0);
        Self {
            first: most(first),
            second: most(second),
        }
    }

    fn grows(self) -> bool {
        let bound = (self.first as f64 * (1.0 + GROWTH)) as u64;
        self.second > bound.max(self.first + SLACK)
    }
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    /// Events that were accepted.
    pub(crate) accepted: usize,
    /// Events that arrived.
    pub(crate) arrived: usize,
    /// Of these, events that arrived more than once.
    pub(crate) again: usize,
    /// Events that are dead letters.
    pub(crate) dead_letters: usize,
    /// Deliveries that were refused for a while.
    pub(crate) refused: u64,
    pub(crate) kills: u32,
    /// Accepted events a second.
    pub(crate) per_second: f64,
    /// Bytes of memory, the most of each half.
    pub(crate) memory: Halves,
    /// Bytes of files, the most of each half.
    pub(crate) files: Halves,
    /// What is wrong; nothing, if all is well.
    pub(crate) wrong: Vec<String>,
    pub(crate) samples: Vec<Sample>,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        accepted: HashSet<u64>,
        letters: HashSet<u64>,
        receiver: &Receiver,
        samples: Vec<Sample>,
        kills: u32,
    ) -> Self {
        let (taken, dead, refused) = receiver.all();
        let missing = accepted
            .iter()
            .filter(|n| !taken.contains_key(n) && !letters.contains(n));
        let invented = taken.keys().filter(|n| !accepted.contains(n));
        // Nothing else than what the receiver never takes is to fail for good.
        let unfounded = letters.difference(&dead);
        let kept = options.retention + options.retention / 4;
        let memory = Halves::of(&samples, kept, |sample| sample.memory);
        let files = Halves::of(&samples, kept, |sample| sample.files);
        let mut wrong = Vec::new();
        wrong.extend(named("accepted, and neither arrived nor a dead letter", missing));
        wrong.extend(named("arrived and never accepted", invented));
        wrong.extend(named("dead letters without a cause", unfounded));
        for (what, halves) in [("memory", memory), ("files", files)] {
            if halves.grows() {
                let Halves { first, second } = halves;
                wrong.push(format!(
                    "{what}: {second} bytes in the second half, {first} in the first"
                ));
            }
        }
        Self {
            seconds: options.duration.as_secs_f64(),
            accepted: accepted.len(),
            arrived: taken.len(),
            again: taken.values().filter(|times| **times > 1).count(),
            dead_letters: letters.len(),
            refused,
            kills,
            per_second: accepted.len() as f64 / options.duration.as_secs_f64(),
            memory,
            files,
            wrong,
            samples,
        }
    }

    /// For people.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        writeln!(
            out,
            "{} events in {:.0} s ({:.0} a second), killed {} times, {} deliveries refused\n\
             {} arrived ({} of them more than once), {} are dead letters\n\
             memory   {:.0} MiB at most in the first half, {:.0} in the second\n\
             files    {:.0} MiB at most in the first half, {:.0} in the second",
            self.accepted,
            self.seconds,
            self.per_second,
            self.kills,
            self.refused,
            self.arrived,
            self.again,
            self.dead_letters,
            mib(self.memory.first),
            mib(self.memory.second),
            mib(self.files.first),
            mib(self.files.second),
        )?;
        for wrong in &self.wrong {
            writeln!(out, "WRONG    {wrong}")?;
        }
        if self.wrong.is_empty() {
            writeln!(out, "nothing is lost, and nothing grows")?;
        }
        Ok(())
    }
}

/// A sentence on these events, if there are any.
fn named<'a>(what: &str, events: impl Iterator<Item = &'a u64>) -> Option<String> {
    let mut events: Vec<_> = events.collect();
    events.sort();
    let first: Vec<_> = events.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if events.len() > NAMED { ", …" } else { "" };
    (!events.is_empty()).then(|| format!("{} {what}: {}{more}", events.len(), first.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[u64]) -> Vec<Sample> {
        let sample = |(n, value): (usize, &u64)| Sample {
            at: Duration::from_secs(n as u64),
            accepted: 0,
            arrived: 0,
            memory: *value,
            files: 0,
        };
        values.iter().enumerate().map(sample).collect()
    }

    fn memory(values: &[u64], kept: u64) -> Halves {
        Halves::of(&samples(values), Duration::from_secs(kept), |sample| {
            sample.memory
        })
    }

    #[test]
    fn what_came_while_files_were_to_grow_does_not_count() {
        let halves = memory(&[900, 1, 5, 3, 4, 2, 6], 1);
        assert_eq!(halves, Halves { first: 5, second: 6 });
    }

    #[test]
    fn a_second_half_that_is_much_larger_grows() {
        let mib = |n: u64| n << 20;
        let grows = |first, second| Halves { first, second }.grows();
        assert!(!grows(mib(10), mib(34)));
        assert!(grows(mib(10), mib(35)));
        assert!(!grows(mib(1_000), mib(1_250)));
        assert!(grows(mib(1_000), mib(1_251)));
        assert!(!grows(mib(1_000), mib(10)));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(named("missing", [].iter()), None);
        assert_eq!(named("missing", [7, 3].iter()).unwrap(), "2 missing: 3, 7");
        let many: Vec<u64> = (0..30).collect();
        let told = named("missing", many.iter()).unwrap();
        assert!(
            told.starts_with("30 missing: 0, 1") && told.ends_with("19, …"),
            "{told}"
        );
    }
}
