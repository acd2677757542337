//! What an engine has done and holds, in numbers: for whoever watches it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What an engine has done since it was opened, and what it holds now.
///
/// The numbers are of one moment each, not all of the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Requests that were applied.
    pub requests: u64,
    /// Batches of changes that were put on disk.
    pub batches: u64,
    /// Batches that could not be: everybody in them was answered with `UNAVAILABLE`.
    pub failed_batches: u64,
    /// How long it took all batches together to get to the disk.
    pub write_time: Duration,
    /// Executions in memory: those that are at work, and some that were.
    pub in_memory: u64,
    /// Executions and schedules that wait for a time: timers, time-outs, retries.
    pub waiting_for_time: u64,
    /// Bytes of changes that are on disk in the journal and not yet in the tables.
    pub journal_bytes: u64,
}

/// [`Figures`] that one at a time writes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    batches: AtomicU64,
    failed_batches: AtomicU64,
    write_nanos: AtomicU64,
    in_memory: AtomicU64,
    waiting_for_time: AtomicU64,
    journal_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Figures {
        Figures {
            requests: self.requests.load(Relaxed),
            batches: self.batches.load(Relaxed),
            failed_batches: self.failed_batches.load(Relaxed),
            write_time: Duration::from_nanos(self.write_nanos.load(Relaxed)),
            in_memory: self.in_memory.load(Relaxed),
            waiting_for_time: self.waiting_for_time.load(Relaxed),
            journal_bytes: self.journal_bytes.load(Relaxed),
        }
    }

    /// How much has been done: it changes with every request and batch.
    pub(crate) fn done(&self) -> (u64, u64) {
        (self.requests.load(Relaxed), self.batches.load(Relaxed))
    }

    pub(crate) fn took_requests(&self, count: u64) {
        self.requests.fetch_add(count, Relaxed);
    }

    pub(crate) fn wrote_batch(&self, took: Duration) {
        self.batches.fetch_add(1, Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.write_nanos.fetch_add(nanos, Relaxed);
    }

    pub(crate) fn lost_batch(&self) {
        self.failed_batches.fetch_add(1, Relaxed);
    }

    pub(crate) fn holds(&self, in_memory: usize, waiting_for_time: usize, journal_bytes: usize) {
        self.in_memory.store(in_memory as u64, Relaxed);
        self.waiting_for_time.store(waiting_for_time as u64, Relaxed);
        self.journal_bytes.store(journal_bytes as u64, Relaxed);
    }
}
