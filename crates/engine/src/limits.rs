//! How much an execution may hold.

use std::sync::{Arc, LazyLock};

/// What one run may hold at most, from when on it is told to continue as new, and how large the parts of a
/// request may be. The defaults are the real server's. Clients are told the sizes of payloads and memos by
/// `DescribeNamespace`.
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
    /// Updates under way that a run takes at once. 10.
    pub updates_in_flight: usize,
    /// Updates that a run takes in its life. 2,000.
    pub updates: usize,
    /// Bytes of one payload field; a request with more is refused, a command with more ends its run. 2 MiB.
    pub blob_size: usize,
    /// Bytes of one payload field from which on there is a warning in the log. 256 KiB.
    pub blob_warning: usize,
    /// Bytes of a memo. 2 MiB.
    pub memo_size: usize,
    /// Bytes of a memo from which on there is a warning in the log. 2 KiB.
    pub memo_warning: usize,
    /// Characters of an id or a name. 1,000.
    pub id_length: usize,
    /// Search attributes of an execution. 100.
    pub search_attributes: usize,
    /// Bytes of one search attribute's value. 2 KiB.
    pub search_attribute_size: usize,
    /// Bytes of all search attributes of an execution. 40 KiB.
    pub search_attributes_size: usize,
}

impl Limits {
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
            updates_in_flight: 10,
            updates: 2_000,
            blob_size: 2 * 1_024 * 1_024,
            blob_warning: 256 * 1_024,
            memo_size: 2 * 1_024 * 1_024,
            memo_warning: 2 * 1_024,
            id_length: 1_000,
            search_attributes: 100,
            search_attribute_size: 2 * 1_024,
            search_attributes_size: 40 * 1_024,
        }
    }
}
