//! The platform's clock: by it, it writes down when what happened, and judges for how long something has been so.
//!
//! The engine has a clock of its own for timers and schedules. In a process they are the same, the machine's; a test that moves
//! the engine's clock gives this one the same time, or else days would pass for workflows and none for what they look after.

use std::{fmt, sync::Arc};

use time::OffsetDateTime;

/// Where the platform reads the time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> OffsetDateTime + Send + Sync>);

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self::new(OffsetDateTime::now_utc)
    }

    /// One that tells what this does.
    pub fn new(now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now, in UTC.
    pub fn now(&self) -> OffsetDateTime {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
