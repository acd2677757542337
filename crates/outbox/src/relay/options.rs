//! How a relay works.

use std::time::Duration;

/// How a [`Relay`](crate::Relay) works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayOptions {
    /// Rows that are published and marked together, at most; from 1. Default: 100.
    pub batch: u32,
    /// First pause when there is nothing to do; it doubles up to `max_pause`. Default: 10 ms.
    pub min_pause: Duration,
    /// Longest pause between two looks at the outbox. Where the database notifies (PostgreSQL), it only matters for rows
    /// that are tried again. Default: 1 s.
    pub max_pause: Duration,
    /// How long publishing a batch may take. Default: 30 s.
    pub publish_timeout: Duration,
    /// First pause before a row is tried again; it doubles up to `max_backoff`. Default: 1 s.
    pub backoff: Duration,
    /// Longest pause before a row is tried again. Default: 1 min.
    pub max_backoff: Duration,
    /// After so many attempts a row is parked. None: only when its failure is permanent, so that a bus that is away for
    /// long parks nothing. Default: none.
    pub max_attempts: Option<u32>,
    /// How long published rows are kept. Default: 7 days.
    pub retention: Duration,
    /// How often rows are purged. Default: 1 min.
    pub purge_every: Duration,
    /// Rows that are purged at once, at most; from 1. Default: 1,000.
    pub purge_batch: u32,
    /// The age at which a pending row counts as stranded. Default: 1 min.
    pub stranded_after: Duration,
    /// How often the outbox's state is written to the log. Default: 15 s.
    pub look_every: Duration,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            batch: 100,
            min_pause: Duration::from_millis(10),
            max_pause: Duration::from_secs(1),
            publish_timeout: Duration::from_secs(30),
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            max_attempts: None,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            purge_every: Duration::from_secs(60),
            purge_batch: 1_000,
            stranded_after: Duration::from_secs(60),
            look_every: Duration::from_secs(15),
        }
    }
}

impl RelayOptions {
    /// The pause after this many attempts.
    pub(crate) fn backoff_after(&self, attempts: u32) -> Duration {
        let factor = 2_u32.saturating_pow(attempts.saturating_sub(1).min(30));
        self.backoff.saturating_mul(factor).min(self.max_backoff)
    }
}
