//! What a route asks for.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a route asks of its flow. It travels with each event; the newest event's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Events of one key run one after the other, in the order in which they came, and one that fails for good parks
    /// its key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub order: bool,
    /// How many run at once, and how many start in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Of events of one key that come close together only the last runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Debounce>,
    /// Several events run as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// How many may wait in one flow before no more are taken in. None: [`MAX_WAITING`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_waiting: Option<NonZeroU32>,
}

/// How many may wait in one flow, unless its route says so.
pub const MAX_WAITING: u32 = 10_000;

/// Limits of a route, or of each of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How many run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
    /// How many start in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// What the limits are counted for.
    #[serde(default)]
    pub per: Per,
}

/// What limits are counted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// All of a route's events together.
    #[default]
    Route,
    /// The events of each key.
    Key,
}

/// So many in each span of this length, wherever it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how many milliseconds, at least 1.
    pub millis: u64,
}

/// A text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number, a slash and s, m, h or d, as in \"100/s\"")]
pub struct RateError;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, unit) = text.split_once('/').ok_or(RateError)?;
        let count = count.trim().parse().map_err(|_| RateError)?;
        let millis = match unit.trim() {
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(RateError),
        };
        Ok(Self { count, millis })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millis {
            1_000 => write!(f, "{}/s", self.count),
            60_000 => write!(f, "{}/m", self.count),
            3_600_000 => write!(f, "{}/h", self.count),
            86_400_000 => write!(f, "{}/d", self.count),
            millis => write!(f, "{} in {millis} ms", self.count),
        }
    }
}

/// When the last of several events runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debounce {
    /// So many milliseconds after an event that none has followed.
    pub quiet: u64,
    /// So many milliseconds after the first of them at the latest.
    pub max: u64,
}

/// When events that wait run as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// When they are so many.
    pub size: NonZeroU32,
    /// So many milliseconds after the first of them at the latest.
    pub within: u64,
}

/// What one flow decides for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All events of the route.
    Route,
    /// The events of one key.
    Key,
}

impl Policy {
    /// What one flow of this policy decides for. `keyed`: whether the route names a key for its events.
    pub fn scope(&self, keyed: bool) -> Scope {
        let of_route = self
            .limits
            .as_ref()
            .is_some_and(|limits| limits.per == Per::Route);
        if of_route || (self.batch.is_some() && !keyed) {
            Scope::Route
        } else {
            Scope::Key
        }
    }

    /// How many may run at once.
    pub(super) fn concurrency(&self) -> usize {
        let limit = self.limits.as_ref().and_then(|limits| limits.concurrency);
        limit.map_or(usize::MAX, |limit| limit.get() as usize)
    }

    /// How many may wait before no more are taken in.
    pub(super) fn max_waiting(&self) -> usize {
        self.max_waiting.map_or(MAX_WAITING, NonZeroU32::get) as usize
    }

    pub(super) fn rate(&self) -> Option<Rate> {
        self.limits.as_ref().and_then(|limits| limits.rate)
    }
}

impl fmt::Display for Policy {
    /// What the route asks for, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.order {
            parts.push("in order".to_owned());
        }
        if let Some(limits) = &self.limits {
            let of = match limits.per {
                Per::Route => "",
                Per::Key => " of a key",
            };
            parts.extend(
                limits
                    .concurrency
                    .map(|count| format!("at most {count}{of} at once")),
            );
            parts.extend(limits.rate.map(|rate| format!("at most {rate}{of}")));
        }
        let human = |millis| humantime::format_duration(Duration::from_millis(millis));
        if let Some(Debounce { quiet, max }) = self.debounce {
            parts.push(format!(
                "the last after {} of quiet, {} at most",
                human(quiet),
                human(max)
            ));
        }
        if let Some(Batch { size, within }) = self.batch {
            parts.push(format!("in batches of {size}, or after {}", human(within)));
        }
        f.write_str(&parts.join(", "))
    }
}
