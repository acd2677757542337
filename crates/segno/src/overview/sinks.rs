//! How sinks do, as this process has seen it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use segno_sinks::{Delivered, Failure};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::{pauses::Pauses, run::format};

/// Attempts that are remembered of a sink.
const REMEMBERED: usize = 200;
/// For how long.
const RECENT: Duration = Duration::from_secs(300);
/// Longest reason that is kept, in bytes.
const MAX_REASON: usize = 500;

/// How a sink does, by the attempts that this process made in the last five minutes, 200 at most.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SinkHealth {
    name: String,
    /// `idle` where nothing was delivered lately, `ok`, `failing` where the latest attempt failed, `degraded` where it did
    /// not but others did, or `paused`.
    #[schema(example = "ok")]
    state: &'static str,
    /// Attempts that succeeded.
    delivered: usize,
    /// Attempts that failed.
    failed: usize,
    /// How long an attempt took in the middle, in milliseconds.
    milliseconds: f64,
    /// The latest failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<LastFailure>,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = SinkFailure)]
pub(crate) struct LastFailure {
    /// When (RFC 3339).
    at: String,
    /// Why.
    reason: String,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    at: Instant,
    took: Duration,
    ok: bool,
}

#[derive(Debug, Default)]
struct Seen {
    attempts: VecDeque<Attempt>,
    last_failure: Option<LastFailure>,
}

/// What became of the attempts to deliver. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<BTreeMap<String, Seen>>>);

impl Health {
    /// Takes note of an attempt at a sink of a configuration, and of how long it took.
    pub(crate) fn saw(&self, sink: &str, took: Duration, outcome: &Result<Delivered, Failure>) {
        let now = Instant::now();
        let mut all = self.0.lock();
        let seen = all.entry(sink.to_owned()).or_default();
        if let Err(failure) = outcome {
            let mut reason = failure.to_string();
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            seen.last_failure = Some(LastFailure {
                at: format(OffsetDateTime::now_utc()),
                reason,
            });
        }
        seen.attempts.push_back(Attempt {
            at: now,
            took,
            ok: outcome.is_ok(),
        });
        if seen.attempts.len() > REMEMBERED {
            seen.attempts.pop_front();
        }
    }

    /// How these do.
    pub(super) fn of(&self, names: &[String], pauses: &Pauses) -> Vec<SinkHealth> {
        let now = Instant::now();
        let mut all = self.0.lock();
        let told = names.iter().map(|name| {
            let seen = all.entry(name.clone()).or_default();
            seen.attempts.retain(|attempt| now - attempt.at < RECENT);
            tell(name, seen, pauses.of_sink(name).is_some())
        });
        told.collect()
    }
}

fn tell(name: &str, seen: &Seen, paused: bool) -> SinkHealth {
    let failed = seen.attempts.iter().filter(|attempt| !attempt.ok).count();
    let state = match seen.attempts.back() {
        _ if paused => "paused",
        None => "idle",
        Some(attempt) if !attempt.ok => "failing",
        Some(_) if failed > 0 => "degraded",
        Some(_) => "ok",
    };
    let mut took: Vec<_> = seen.attempts.iter().map(|attempt| attempt.took).collect();
    took.sort_unstable();
    let middle = took.get(took.len() / 2).copied().unwrap_or_default();
    SinkHealth {
        name: name.to_owned(),
        state,
        delivered: seen.attempts.len() - failed,
        failed,
        milliseconds: middle.as_secs_f64() * 1000.0,
        last_failure: seen.last_failure.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(health: &Health) -> SinkHealth {
        let mut told = health.of(&["a".to_owned()], &Pauses::default());
        assert_eq!(told.len(), 1);
        told.remove(0)
    }

    fn attempt(health: &Health, ok: bool) -> String {
        let outcome = if ok {
            Ok(Delivered { status: None })
        } else {
            Err(Failure::retryable("no"))
        };
        health.saw("a", Duration::ZERO, &outcome);
        told(health).state.to_owned()
    }

    #[test]
    fn the_latest_attempt_decides() {
        let health = Health::default();
        assert_eq!(told(&health).state, "idle");
        assert_eq!(attempt(&health, true), "ok");
        assert_eq!(attempt(&health, false), "failing");
        assert_eq!(attempt(&health, true), "degraded");
        let told = told(&health);
        assert_eq!((told.delivered, told.failed), (2, 1));
        assert!(told.last_failure.is_some());
    }

    #[test]
    fn only_so_much_is_remembered() {
        let health = Health::default();
        for _ in 0..REMEMBERED {
            attempt(&health, false);
        }
        for _ in 0..REMEMBERED - 1 {
            assert_ne!(attempt(&health, true), "ok");
        }
        assert_eq!(attempt(&health, true), "ok");
    }
}
