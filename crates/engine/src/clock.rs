//! Time, as the engine reads it. The pure core is only ever given a time; this is where it comes from.

use std::sync::{Arc, Mutex, PoisonError};

use prost_types::{Duration, Timestamp};

/// Nanoseconds since the Unix epoch.
pub type Nanos = i64;

/// Nanoseconds in a second.
pub const SECOND: Nanos = 1_000_000_000;

/// Where the engine reads the time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Nanos;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Nanos {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since_epoch.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// A clock that a test moves by hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Nanos>>);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Nanos) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Moves the clock on. The engine notices with the next request, or when it is woken.
    pub fn advance(&self, by: std::time::Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Nanos {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A protobuf timestamp.
pub(crate) fn timestamp(at: Nanos) -> Timestamp {
    Timestamp {
        seconds: at.div_euclid(SECOND),
        nanos: at.rem_euclid(SECOND) as i32,
    }
}

/// A protobuf timestamp, none for the engine's "never" (0).
pub(crate) fn timestamp_opt(at: Nanos) -> Option<Timestamp> {
    (at != 0).then(|| timestamp(at))
}

/// A protobuf duration.
pub(crate) fn duration(of: Nanos) -> Duration {
    Duration {
        seconds: of / SECOND,
        nanos: (of % SECOND) as i32,
    }
}

/// A protobuf duration; absent for 0.
pub(crate) fn duration_opt(of: Nanos) -> Option<Duration> {
    (of != 0).then(|| duration(of))
}

/// The length of a protobuf duration; 0 where it is absent, the longest there is where it overflows.
pub(crate) fn nanos(of: Option<&Duration>) -> Nanos {
    of.map_or(0, |d| {
        d.seconds
            .saturating_mul(SECOND)
            .saturating_add(i64::from(d.nanos))
    })
}

/// The time that a protobuf timestamp names.
pub(crate) fn nanos_of(at: &Timestamp) -> Nanos {
    at.seconds
        .saturating_mul(SECOND)
        .saturating_add(i64::from(at.nanos))
}
