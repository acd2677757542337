//! Sources run, or cannot.

use std::time::Duration;

use crate::telemetry::{Metrics, Observation};

/// A source runs.
pub(crate) struct SourceStarted<'a> {
    pub(crate) source: &'a str,
}

impl Observation for SourceStarted<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics.source_up.with_label_values(&[self.source]).set(1.0);
        // So that it is there before anything is wrong.
        metrics
            .source_failures
            .with_label_values(&[self.source])
            .inc_by(0);
        metrics
            .source_rejected
            .with_label_values(&[self.source])
            .inc_by(0);
    }

    fn log(&self) {
        tracing::info!(source = self.source, "a source starts");
    }
}

/// A source cannot go on.
pub(crate) struct SourceFailed<'a> {
    pub(crate) source: &'a str,
    pub(crate) error: &'a str,
    pub(crate) again_in: Duration,
}

impl Observation for SourceFailed<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics.source_up.with_label_values(&[self.source]).set(0.0);
        metrics.source_failures.with_label_values(&[self.source]).inc();
    }

    fn log(&self) {
        tracing::warn!(source = self.source, error = self.error, again_in = ?self.again_in, "a source does not go on");
    }
}

/// A source was told to stop, and has.
pub(crate) struct SourceEnded<'a> {
    pub(crate) source: &'a str,
}

impl Observation for SourceEnded<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics.source_up.with_label_values(&[self.source]).set(0.0);
    }

    fn log(&self) {
        tracing::info!(source = self.source, "a source has ended");
    }
}

/// Messages of a source were rejected.
pub(crate) struct MessagesRejected<'a> {
    pub(crate) source: &'a str,
    pub(crate) count: u64,
}

impl Observation for MessagesRejected<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics
            .source_rejected
            .with_label_values(&[self.source])
            .inc_by(self.count);
    }
}

/// A broker said how many messages of a source wait.
pub(crate) struct MessagesWaiting<'a> {
    pub(crate) source: &'a str,
    pub(crate) messages: u64,
}

impl Observation for MessagesWaiting<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics
            .source_lag
            .with_label_values(&[self.source])
            .set(self.messages as f64);
    }
}
