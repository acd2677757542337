//! How much an execution may hold.

use std::sync::{Arc, LazyLock};

/// What one run may hold at most, and from when on it is told to continue as new. The defaults are
/// the real server's.
///
/// Sizes of single payloads and lengths of ids are not among them: clients are told the former by
/// `DescribeNamespace` and rely on both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events in a run's history; a run with more is terminated. 51,200.
    pub history_events: i64,
    /// Bytes of a run's history; a run with more is terminated. 50 MiB.
    pub history_size: i64,
    /// Events from which on a workflow is told to continue as new. 4,096.
    pub suggest_continue_as_new_events: i64,
    /// Bytes from which on a workflow is told to continue as new. 4 MiB.
    pub suggest_continue_as_new_size: i64,
    /// Activities that may be pending; a workflow task that schedules more fails. 2,000.
    pub pending_activities: usize,
    /// Child workflows that may be pending. 2,000.
    pub pending_children: usize,
    /// Signals to other executions that may be on their way. 2,000.
    pub pending_signals: usize,
    /// Cancel requests to other executions that may be on their way. 2,000.
    pub pending_cancels: usize,
    /// Signals that a run takes; more are refused. 10,000.
    pub signals: i64,
}

impl Limits {
    /// Bytes of one payload field.
    pub(crate) const BLOB: usize = 2 * 1024 * 1024;
    /// Bytes of one payload field from which on there is a warning in the log.
    pub(crate) const BLOB_WARNING: usize = 256 * 1024;
    /// Characters of an id or a name.
    pub(crate) const ID: usize = 1_000;

    /// The defaults, shared.
    pub(crate) fn usual() -> Arc<Self> {
        static USUAL: LazyLock<Arc<Limits>> = LazyLock::new(Arc::default);
        USUAL.clone()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            history_events: 50 * 1_024,
            history_size: 50 * 1_024 * 1_024,
            suggest_continue_as_new_events: 4 * 1_024,
            suggest_continue_as_new_size: 4 * 1_024 * 1_024,
            pending_activities: 2_000,
            pending_children: 2_000,
            pending_signals: 2_000,
            pending_cancels: 2_000,
            signals: 10_000,
        }
    }
}
