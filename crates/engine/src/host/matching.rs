//! Task queues: tasks that wait for a worker, and workers that wait for a task. In memory alone;
//! rebuilt from the file when the engine starts.

use std::collections::{HashMap, VecDeque};

use temporalio_protos::temporal::api::{
    query::v1::WorkflowQuery,
    workflowservice::v1::{PollActivityTaskQueueResponse, PollWorkflowTaskQueueResponse},
};
use tokio::sync::oneshot;

use crate::{
    clock::{Nanos, SECOND},
    core::RunKey,
    rpc::RpcError,
};

/// A sticky queue counts as alive this long after its worker's last poll.
const STICKY_ALIVE: Nanos = 10 * SECOND;

/// Which queue: they are apart by namespace and by what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueueId {
    pub(crate) namespace: u32,
    pub(crate) kind: QueueKind,
    pub(crate) name: String,
}

/// What a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QueueKind {
    Workflow,
    Activity,
}

/// A task as it waits. It may be stale when its turn comes; the run knows.
#[derive(Debug)]
pub(crate) enum Waiting {
    Workflow {
        key: RunKey,
        scheduled_at: Nanos,
    },
    Activity {
        key: RunKey,
        scheduled_event_id: i64,
        attempt: i32,
    },
    Query {
        key: RunKey,
        query: DirectQuery,
    },
}

/// A query that goes to a worker by itself, not along with a workflow task.
#[derive(Debug)]
pub(crate) struct DirectQuery {
    pub(crate) id: u64,
    pub(crate) query: WorkflowQuery,
}

/// What a poll gets.
#[derive(Debug)]
pub(crate) enum Delivery {
    Workflow {
        task: Box<PollWorkflowTaskQueueResponse>,
        origin: Origin,
    },
    Activity {
        task: Box<PollActivityTaskQueueResponse>,
        origin: Origin,
    },
    /// No task: the worker is being shut down.
    Nothing,
    /// The poll itself is wrong.
    Refused(RpcError),
}

/// Where a delivered task came from, to give it back if it does not arrive.
#[derive(Debug)]
pub(crate) enum Origin {
    Workflow {
        key: RunKey,
        started_event_id: i64,
        attempt: i32,
    },
    Activity {
        key: RunKey,
        scheduled_event_id: i64,
        attempt: i32,
    },
    Query {
        id: u64,
    },
}

/// A worker that waits for a task.
#[derive(Debug)]
pub(crate) struct Poller {
    pub(crate) identity: String,
    pub(crate) worker_instance_key: String,
    pub(crate) in_process: bool,
    pub(crate) reply: oneshot::Sender<Delivery>,
}

/// One task queue.
#[derive(Debug, Default)]
pub(crate) struct TaskQueue {
    tasks: VecDeque<Waiting>,
    pollers: VecDeque<Poller>,
    last_poll_at: Nanos,
}

impl TaskQueue {
    /// The worker that has waited longest and still waits.
    pub(crate) fn take_poller(&mut self) -> Option<Poller> {
        while let Some(poller) = self.pollers.pop_front() {
            if !poller.reply.is_closed() {
                return Some(poller);
            }
        }
        None
    }

    pub(crate) fn take_task(&mut self) -> Option<Waiting> {
        self.tasks.pop_front()
    }

    pub(crate) fn backlog(&self) -> usize {
        self.tasks.len()
    }
}

/// All task queues.
#[derive(Debug, Default)]
pub(crate) struct TaskQueues {
    queues: HashMap<QueueId, TaskQueue>,
}

impl TaskQueues {
    pub(crate) fn queue(&mut self, id: &QueueId) -> &mut TaskQueue {
        self.queues.entry(id.clone()).or_default()
    }

    pub(crate) fn note_poll(&mut self, id: &QueueId, now: Nanos) {
        self.queue(id).last_poll_at = now;
    }

    pub(crate) fn wait_for_task(&mut self, id: &QueueId, poller: Poller) {
        self.queue(id).pollers.push_back(poller);
    }

    pub(crate) fn wait_for_worker(&mut self, id: &QueueId, task: Waiting) {
        self.queue(id).tasks.push_back(task);
    }

    /// Whether a sticky queue's worker can still be expected to come.
    pub(crate) fn is_alive(&self, id: &QueueId, now: Nanos) -> bool {
        self.queues.get(id).is_some_and(|queue| {
            queue.last_poll_at != 0 && queue.last_poll_at.saturating_add(STICKY_ALIVE) > now
                || queue.pollers.iter().any(|poller| !poller.reply.is_closed())
        })
    }

    /// Whether a worker is waiting at this moment.
    pub(crate) fn has_poller(&self, id: &QueueId) -> bool {
        self.queues
            .get(id)
            .is_some_and(|queue| queue.pollers.iter().any(|poller| !poller.reply.is_closed()))
    }

    /// Ends the polls of a worker that shuts down.
    pub(crate) fn end_polls(&mut self, worker_instance_key: &str) {
        for queue in self.queues.values_mut() {
            let (ended, kept): (Vec<_>, _) = std::mem::take(&mut queue.pollers)
                .into_iter()
                .partition(|poller| poller.worker_instance_key == worker_instance_key);
            queue.pollers = kept.into();
            for poller in ended {
                // A poll that is gone already needs no answer.
                let _ = poller.reply.send(Delivery::Nothing);
            }
        }
    }

    /// Forgets a sticky queue, and answers what waited there.
    pub(crate) fn remove(&mut self, id: &QueueId) -> VecDeque<Waiting> {
        self.queues
            .remove(id)
            .map(|queue| queue.tasks)
            .unwrap_or_default()
    }

    /// Forgets queues that nobody uses: sticky ones are named anew by each worker.
    pub(crate) fn forget_unused(&mut self, now: Nanos) {
        self.queues.retain(|_, queue| {
            queue.pollers.retain(|poller| !poller.reply.is_closed());
            !queue.tasks.is_empty()
                || !queue.pollers.is_empty()
                || queue.last_poll_at.saturating_add(6 * STICKY_ALIVE) > now
        });
    }

    pub(crate) fn clear(&mut self) {
        self.queues.clear();
    }
}
