//! The time, as servers have it.

use std::time::{SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "servers have clocks of their own")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// In seconds since 1970, as tokens have it.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
