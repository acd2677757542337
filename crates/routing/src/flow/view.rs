//! What a flow tells of itself.

use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::state::{Lane, State};
use super::{Millis, Parked};

/// The last moment that can be written, in milliseconds since 1970.
const END_OF_9999: Millis = 253_402_300_799_999;

/// Waiting executions of a key that are named.
const NAMED: usize = 100;

/// A key, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// The key; empty for events without one.
    pub key: String,
    /// How many events wait.
    pub waiting: usize,
    /// Since when the first of them waits, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
    /// Workflow ids of the first that wait, 100 at most, in their order.
    pub next: Vec<String>,
    /// Workflow ids of what runs.
    pub running: Vec<String>,
    /// The execution that the key is parked behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// Since when a person has paused it, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Millis>,
}

/// Where an execution stands in its flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// It may run.
    Runs,
    /// It waits.
    Waits {
        /// Its event's key; empty if it has none.
        key: String,
        /// How many of the key are before it.
        before: usize,
        /// Since when, in milliseconds since 1970.
        since: Millis,
        /// What for.
        why: Why,
    },
    /// The flow does not know it: it has ended, or has not asked yet.
    Unknown,
}

/// What an execution waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// Its key is paused.
    Paused {
        /// Since when, in milliseconds since 1970.
        paused_since: Millis,
    },
    /// Its key is parked behind an execution that failed for good.
    Parked {
        /// That execution's workflow id.
        by: String,
        /// Why it failed.
        cause: String,
    },
    /// Earlier events of its key.
    Order {
        /// The execution that runs or is next.
        behind: String,
    },
    /// More events, or the time, for its batch.
    Batch {
        /// When it runs at the latest, in milliseconds since 1970.
        until: Millis,
    },
    /// No further event of its key for some time.
    Debounce {
        /// When it runs if none comes, in milliseconds since 1970.
        until: Millis,
    },
    /// So many run already.
    Concurrency {
        /// How many.
        limit: usize,
    },
    /// So many have started already.
    Rate {
        /// When the next may, in milliseconds since 1970.
        until: Millis,
    },
    /// Its turn, which comes at once.
    Turn,
}

impl State {
    /// The keys of which there is something to know, those that are parked or paused first.
    pub fn keys(&self) -> Vec<KeyView> {
        let mut keys: Vec<_> = self.lanes.iter().map(|(key, lane)| self.key(key, lane)).collect();
        keys.sort_by_key(|key| (key.parked.is_none(), key.paused.is_none()));
        keys
    }

    fn key(&self, key: &str, lane: &Lane) -> KeyView {
        let running = self.running.iter().filter(|(_, running)| running.key == key);
        KeyView {
            key: key.to_owned(),
            waiting: lane.waiting.len(),
            since: lane.waiting.iter().map(|waiting| waiting.since).min(),
            next: lane
                .waiting
                .iter()
                .take(NAMED)
                .map(|waiting| waiting.id.clone())
                .collect(),
            running: running.map(|(id, _)| id.clone()).collect(),
            parked: lane.parked.clone(),
            paused: lane.paused,
        }
    }

    /// Where an execution stands, and why.
    pub fn standing(&self, now: Millis, id: &str) -> Standing {
        if self.running.contains_key(id) {
            return Standing::Runs;
        }
        if !self.held.contains(id) {
            return Standing::Unknown;
        }
        for (key, lane) in &self.lanes {
            let Some(before) = lane.waiting.iter().position(|waiting| waiting.id == id) else {
                continue;
            };
            return Standing::Waits {
                key: key.clone(),
                before,
                since: lane.waiting.get(before).map_or(now, |waiting| waiting.since),
                why: self.why(now, key, lane, before),
            };
        }
        Standing::Unknown
    }

    fn why(&self, now: Millis, key: &str, lane: &Lane, before: usize) -> Why {
        let retry = before == 0 && lane.waiting.front().is_some_and(|waiting| waiting.retry);
        if let Some(paused_since) = lane.paused {
            return Why::Paused { paused_since };
        }
        if let Some(parked) = lane.parked.as_ref().filter(|_| !retry) {
            return Why::Parked {
                by: parked.by.clone(),
                cause: parked.cause.clone(),
            };
        }
        if self.policy.order && !key.is_empty() {
            let running = self.running.iter().find(|(_, running)| running.key == key);
            let running = running.map(|(id, _)| id.clone());
            let first = lane
                .waiting
                .front()
                .filter(|_| before > 0 && self.policy.batch.is_none())
                .map(|first| first.id.clone());
            if let Some(behind) = running.or(first) {
                return Why::Order { behind };
            }
        }
        if let Some(until) = self.ready_at(lane).filter(|until| *until > now) {
            return match self.policy.batch {
                Some(_) => Why::Batch { until },
                None => Why::Debounce { until },
            };
        }
        if self.running.len() >= self.policy.concurrency() {
            return Why::Concurrency {
                limit: self.policy.concurrency(),
            };
        }
        if let Some(rate) = self.policy.rate()
            && self.starts.room(rate) == 0
            && let Some(until) = self.starts.next(rate)
        {
            return Why::Rate { until };
        }
        Why::Turn
    }
}

/// A moment as people read it.
fn moment(millis: Millis) -> impl fmt::Display {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis.min(END_OF_9999)))
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs => f.write_str("it may run"),
            Self::Unknown => f.write_str("its flow does not know it yet"),
            Self::Waits { key, before, why, .. } => {
                match why {
                    Why::Paused { .. } => f.write_str("it waits until its key is resumed")?,
                    Why::Parked { by, cause } => {
                        write!(f, "it is parked behind {by}, which failed: {cause}")?
                    }
                    Why::Order { behind } => write!(f, "it waits for its turn, behind {behind}")?,
                    Why::Batch { until } => write!(
                        f,
                        "it waits for its batch to be full, or until {}",
                        moment(*until)
                    )?,
                    Why::Debounce { until } => write!(
                        f,
                        "it waits until {} whether another of its key comes",
                        moment(*until)
                    )?,
                    Why::Concurrency { limit } => write!(f, "it waits for one of the {limit} that run")?,
                    Why::Rate { until } => write!(f, "it waits for the rate, until {}", moment(*until))?,
                    Why::Turn => f.write_str("it is the next")?,
                }
                if !key.is_empty() {
                    write!(f, " (key {key:?})")?;
                }
                match before {
                    0 => Ok(()),
                    before => write!(f, ", with {before} of its key before it"),
                }
            }
        }
    }
}
