//! The RPCs, one file a group. Each checks its request, asks the host, and shapes the answer; what
//! a run does with it is the core's.

mod activity;
mod activity_control;
mod activity_execution;
mod activity_list;
mod batch;
mod delete;
mod deployments;
mod describe;
mod disabled;
mod history;
mod history_reverse;
mod limits;
mod links;
mod lists;
mod message;
mod multi_operation;
mod namespace;
mod operator;
mod options;
mod oversize;
mod poll;
mod query;
mod reset;
mod schedule_reads;
mod schedules;
mod start;
mod successor;
mod system;
mod task_queue;
mod traits;
mod update;
mod visibility;
mod worker;
mod worker_query;
mod workflow_task;

use std::{sync::Arc, time::Duration};

use crate::{figures::Figures, host::Handle, limits::Limits, rpc::Call, store::Readers};

/// The longest that a long poll waits.
const LONGEST_POLL: Duration = Duration::from_secs(60);
/// An answer leaves this long before the caller gives up.
const MARGIN: Duration = Duration::from_secs(1);

/// Temporal's services over one engine. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    host: Handle,
    readers: Readers,
    cluster_id: Arc<str>,
    /// What requests may hold.
    limits: Arc<Limits>,
}

impl Service {
    pub(crate) fn new(host: Handle, readers: Readers, cluster_id: Arc<str>, limits: Arc<Limits>) -> Self {
        Self {
            host,
            readers,
            cluster_id,
            limits,
        }
    }

    /// What the engine has done and holds.
    pub(crate) fn figures(&self) -> Figures {
        self.host.figures()
    }

    /// The same services for calls from outside: no more than `most` requests wait for the host.
    pub(crate) fn with_bounded_queue(&self, most: usize) -> Self {
        Self {
            host: self.host.bounded(most),
            ..self.clone()
        }
    }
}

/// How long a long poll of this call may wait, at most `longest`.
fn poll_time(call: &Call, longest: Duration) -> Duration {
    match call.timeout {
        None => longest,
        Some(timeout) if timeout > 2 * MARGIN => (timeout - MARGIN).min(longest),
        Some(timeout) => (timeout / 2).min(longest),
    }
}
