//! Timers fire.

use std::time::Duration;

use super::NONE;
use crate::telemetry::{Metrics, Observation};

/// A timer is called for the first time.
pub(crate) struct TimerFired {
    /// So long after its deadline.
    pub(crate) late: Duration,
}

impl Observation for TimerFired {
    fn count(&self, metrics: &Metrics) {
        metrics
            .timer_lateness
            .with_label_values(&NONE)
            .observe(self.late.as_secs_f64());
    }
}
