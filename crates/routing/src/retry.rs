//! How often and how fast a failed activity is tried again.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A retry policy with exponential backoff.
///
/// In JSON and TOML durations are written for people: `"1s"`, `"500ms"`, `"1m 30s"`. What is left out has its default;
/// `max_interval` left out is 100 times `initial`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Retry {
    /// The wait before the first retry. Default 1 s.
    #[serde(serialize_with = "write")]
    pub initial: Duration,
    /// By how much each wait is longer than the one before, at least 1. Default 2.
    pub backoff: f64,
    /// The longest wait. Default 100 times `initial`.
    #[serde(serialize_with = "write")]
    pub max_interval: Duration,
    /// How many attempts in all, the first included. 0, the default: no limit.
    pub max_attempts: u32,
}

/// A retry policy that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// Waits of no length would be a busy loop.
    #[error("`initial` must be longer than 0s")]
    Initial,
    /// Waits must not get shorter.
    #[error("`backoff` must be a number of at least 1")]
    Backoff,
    /// The limit is under the first wait.
    #[error("`max_interval` must not be shorter than `initial`")]
    MaxInterval,
}

impl Default for Retry {
    fn default() -> Self {
        Self::with(None, None, None, None)
    }
}

impl Retry {
    /// A policy of the given parts, with the default for each that is `None`.
    pub fn with(
        initial: Option<Duration>,
        backoff: Option<f64>,
        max_interval: Option<Duration>,
        max_attempts: Option<u32>,
    ) -> Self {
        let initial = initial.unwrap_or(Duration::from_secs(1));
        Self {
            initial,
            backoff: backoff.unwrap_or(2.0),
            max_interval: max_interval.unwrap_or(initial.saturating_mul(100)),
            max_attempts: max_attempts.unwrap_or(0),
        }
    }

    /// Whether the parts make sense.
    ///
    /// # Errors
    /// The first part that does not.
    pub fn validate(&self) -> Result<(), RetryError> {
        if self.initial.is_zero() {
            return Err(RetryError::Initial);
        }
        if !(self.backoff.is_finite() && self.backoff >= 1.0) {
            return Err(RetryError::Backoff);
        }
        if self.max_interval < self.initial {
            return Err(RetryError::MaxInterval);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Retry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Parts {
            #[serde(default, deserialize_with = "read")]
            initial: Option<Duration>,
            backoff: Option<f64>,
            #[serde(default, deserialize_with = "read")]
            max_interval: Option<Duration>,
            max_attempts: Option<u32>,
        }
        let parts = Parts::deserialize(deserializer)?;
        let retry = Self::with(
            parts.initial,
            parts.backoff,
            parts.max_interval,
            parts.max_attempts,
        );
        retry.validate().map_err(serde::de::Error::custom)?;
        Ok(retry)
    }
}

fn write<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let duration = humantime::parse_duration(&text)
        .map_err(|error| serde::de::Error::custom(format_args!("duration {text:?}: {error}")))?;
    Ok(Some(duration))
}
