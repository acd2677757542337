//! How an outbox does.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What waits in an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Rows that are not published yet and not parked.
    pub pending: u64,
    /// Those of them that have been tried.
    pub retrying: u64,
    /// Rows that cannot be published until somebody does something.
    pub parked: u64,
    /// Pending rows whose key waits for a parked one.
    pub held: u64,
    /// Pending rows that are older than they should be: no relay runs, or what it publishes to is away.
    pub stranded: u64,
    /// The age of the oldest pending row; zero if there is none.
    pub lag: Duration,
}

/// What a relay has done since it was made.
#[derive(Debug, Default)]
pub struct Counters {
    published: AtomicU64,
    failed: AtomicU64,
    parked: AtomicU64,
    purged: AtomicU64,
    errors: AtomicU64,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident, $add:ident;)+) => {
        impl Counters {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> u64 {
                    self.$name.load(Ordering::Relaxed)
                }

                pub(crate) fn $add(&self, count: u64) {
                    self.$name.fetch_add(count, Ordering::Relaxed);
                }
            )+
        }
    };
}

counters! {
    /// Rows published and marked.
    published, add_published;
    /// Attempts that failed and are made again.
    failed, add_failed;
    /// Rows parked.
    parked, add_parked;
    /// Rows deleted after their retention.
    purged, add_purged;
    /// Errors of the database.
    errors, add_errors;
}
