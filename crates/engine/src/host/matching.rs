//! Task queues: tasks that wait for a worker, and workers that wait for a task. In memory alone;
//! rebuilt from the file when the engine starts.

use std::collections::{BTreeSet, HashMap, VecDeque};

use temporalio_protos::temporal::api::{
    deployment::v1::WorkerDeploymentOptions, enums::v1::TaskQueueType, query::v1::WorkflowQuery,
    taskqueue::v1::TaskQueueConfig, workflowservice::v1::PollActivityTaskQueueResponse,
};
use tokio::sync::oneshot;

use super::{
    delivery::WorkflowTaskAnswer,
    task_queue::{POLLER_SHOWN, SeenPoller, TaskQueue},
};
use crate::{
    clock::{Nanos, SECOND},
    core::{Rank, RunKey, Version},
    rpc::RpcError,
};

/// A sticky queue counts as alive this long after its worker's last poll.
const STICKY_ALIVE: Nanos = 10 * SECOND;
/// Identities shown of one queue at most.
const POLLERS_SHOWN: usize = 1_000;
/// A worker that shut down gets no tasks so long, should a poll of its come late.
const SHUT_DOWN_KNOWN: Nanos = 120 * SECOND;

/// Which queue: they are apart by namespace, by what they hold, and by the version of the workers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueId {
    pub(crate) namespace: u32,
    pub(crate) kind: QueueKind,
    pub(crate) name: String,
    /// None: workers without a version, and the queue that clients mean by the name.
    pub(crate) version: Option<Box<Version>>,
}

impl QueueId {
    /// The queue of workers without a version.
    pub(crate) fn new(namespace: u32, kind: QueueKind, name: String) -> Self {
        Self {
            namespace,
            kind,
            name,
            version: None,
        }
    }

    /// The same for workers of this version.
    pub(crate) fn of_version(self, version: Option<Version>) -> Self {
        Self {
            version: version.map(Box::new),
            ..self
        }
    }

    /// Whether both are the same to clients.
    fn is_part_of(&self, whole: &Self) -> bool {
        self.namespace == whole.namespace && self.kind == whole.kind && self.name == whole.name
    }
}

/// What a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum QueueKind {
    Workflow,
    Activity,
    /// Nothing ever, as the engine has no Nexus endpoints. But workers that could serve them poll it.
    Nexus,
}

impl QueueKind {
    /// `TaskQueueType`.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Workflow => TaskQueueType::Workflow as i32,
            Self::Activity => TaskQueueType::Activity as i32,
            Self::Nexus => TaskQueueType::Nexus as i32,
        }
    }

    /// The kind with this `TaskQueueType`.
    pub(super) fn from_number(number: i32) -> Option<Self> {
        [Self::Workflow, Self::Activity, Self::Nexus]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
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

impl Waiting {
    fn run(&self) -> RunKey {
        match self {
            Self::Workflow { key, .. } | Self::Activity { key, .. } | Self::Query { key, .. } => *key,
        }
    }
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
        task: Box<WorkflowTaskAnswer>,
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
    /// Tasks a second that the worker asks for at most, of the whole queue.
    pub(crate) rate: Option<f64>,
    pub(crate) deployment: Option<WorkerDeploymentOptions>,
    /// Since when it waits.
    pub(crate) since: Nanos,
    pub(crate) reply: oneshot::Sender<Delivery>,
}

/// All task queues.
#[derive(Debug, Default)]
pub(crate) struct TaskQueues {
    queues: HashMap<QueueId, TaskQueue>,
    /// What people have configured.
    configs: HashMap<QueueId, TaskQueueConfig>,
    /// Queues whose rate limit holds tasks back although workers wait, and until when.
    held: BTreeSet<(Nanos, QueueId)>,
    /// Workers that have shut down, by instance key, and when.
    shut_down: HashMap<String, Nanos>,
}

impl TaskQueues {
    pub(crate) fn queue(&mut self, id: &QueueId) -> &mut TaskQueue {
        self.queues.entry(id.clone()).or_default()
    }

    pub(crate) fn get(&self, id: &QueueId) -> Option<&TaskQueue> {
        self.queues.get(id)
    }

    /// What people have configured of a queue.
    pub(crate) fn config(&self, id: &QueueId) -> Option<&TaskQueueConfig> {
        self.configs.get(id)
    }

    pub(super) fn set_config(&mut self, id: &QueueId, config: TaskQueueConfig, now: Nanos) {
        self.configs.insert(id.clone(), config);
        let parts: Vec<QueueId> = self.parts(id).map(|(part, _)| part.clone()).collect();
        for part in parts {
            self.apply_limit(&part, now);
        }
    }

    /// The queues of all versions that are this one to clients.
    pub(crate) fn parts(&self, id: &QueueId) -> impl Iterator<Item = (&QueueId, &TaskQueue)> {
        self.queues.iter().filter(|(part, _)| part.is_part_of(id))
    }

    /// Takes tasks that wait in the queues of all versions: of this run, or (none) all.
    pub(super) fn take_waiting(&mut self, id: &QueueId, run: Option<RunKey>) -> Vec<Waiting> {
        let parts = self.queues.iter_mut().filter(|(part, _)| part.is_part_of(id));
        let mut taken = Vec::new();
        for (_, queue) in parts {
            match run {
                Some(run) => taken.extend(queue.backlog.take(|task| task.run() == run)),
                None => taken.extend(std::mem::take(&mut queue.backlog).into_tasks()),
            }
        }
        taken
    }

    /// What a person has configured goes before what a worker asks for.
    fn apply_limit(&mut self, id: &QueueId, now: Nanos) {
        let config = match &id.version {
            None => self.configs.get(id),
            Some(_) if self.configs.is_empty() => None,
            Some(_) => self.configs.get(&id.clone().of_version(None)),
        };
        let configured = config.and_then(|config| config.queue_rate_limit.as_ref());
        let configured = configured.and_then(|limit| limit.rate_limit);
        if let Some(queue) = self.queues.get_mut(id) {
            let limit = configured.map(|rate| f64::from(rate.requests_per_second));
            queue.set_limit(limit.or(queue.worker_rate), now);
        }
    }

    /// Takes note of who polls; and whether the queue's rate limit may be another one with that.
    pub(super) fn note_poll(&mut self, id: &QueueId, poller: &Poller, now: Nanos) -> bool {
        let has_config = !self.configs.is_empty();
        let queue = self.queue(id);
        let is_new = queue.last_poll_at == 0;
        queue.last_poll_at = now;
        let has_room = queue.seen.len() < POLLERS_SHOWN;
        if let Some(seen) = queue.seen.get_mut(&poller.identity) {
            seen.at = now;
            seen.rate = poller.rate;
            if seen.deployment != poller.deployment {
                seen.deployment.clone_from(&poller.deployment);
            }
        } else if has_room {
            let seen = SeenPoller {
                at: now,
                rate: poller.rate,
                deployment: poller.deployment.clone(),
            };
            queue.seen.insert(poller.identity.clone(), seen);
        }
        if queue.worker_rate != poller.rate || is_new && has_config {
            queue.worker_rate = poller.rate;
            self.apply_limit(id, now);
            return true;
        }
        false
    }

    /// Tasks of this queue are to be handed out again at `at`.
    pub(super) fn hold(&mut self, id: &QueueId, at: Nanos) {
        if at != Nanos::MAX {
            self.held.insert((at, id.clone()));
        }
    }

    /// When the next rate limit lets a task go.
    pub(super) fn next_release(&self) -> Option<Nanos> {
        self.held.first().map(|(at, _)| *at)
    }

    /// A queue whose rate limit lets a task go.
    pub(super) fn take_released(&mut self, now: Nanos) -> Option<QueueId> {
        if self.next_release()? > now {
            return None;
        }
        self.held.pop_first().map(|(_, id)| id)
    }

    pub(crate) fn wait_for_task(&mut self, id: &QueueId, poller: Poller) {
        self.queue(id).pollers.push_back(poller);
    }

    /// A worker goes on waiting, before the others.
    pub(super) fn wait_for_task_first(&mut self, id: &QueueId, poller: Poller) {
        self.queue(id).pollers.push_front(poller);
    }

    pub(super) fn wait_for_worker(&mut self, id: &QueueId, rank: Rank, now: Nanos, task: Waiting) {
        self.queue(id).backlog.push(rank, now, task);
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

    /// Whether this worker has said that it ends.
    pub(super) fn has_shut_down(&self, worker_instance_key: &str) -> bool {
        !self.shut_down.is_empty() && self.shut_down.contains_key(worker_instance_key)
    }

    /// Ends the polls of a worker that shuts down; those still on their way get no task either.
    pub(super) fn end_polls(&mut self, worker_instance_key: &str, now: Nanos) {
        self.shut_down.insert(worker_instance_key.to_owned(), now);
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
            .map(|queue| queue.backlog.into_tasks().collect())
            .unwrap_or_default()
    }

    /// Forgets the queues of a namespace that is gone: another one may get its key.
    pub(super) fn remove_namespace(&mut self, namespace: u32) {
        self.queues.retain(|id, _| id.namespace != namespace);
        self.configs.retain(|id, _| id.namespace != namespace);
        self.held.retain(|(_, id)| id.namespace != namespace);
    }

    /// Forgets queues that nobody uses: sticky ones are named anew by each worker.
    pub(crate) fn forget_unused(&mut self, now: Nanos) {
        self.queues.retain(|_, queue| {
            queue.pollers.retain(|poller| !poller.reply.is_closed());
            queue
                .seen
                .retain(|_, seen| seen.at.saturating_add(POLLER_SHOWN) > now);
            !queue.is_unused(now)
        });
        self.shut_down
            .retain(|_, at| at.saturating_add(SHUT_DOWN_KNOWN) > now);
    }

    /// Every task that waits for a worker, with its queue.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&QueueId, &Waiting)> {
        self.queues
            .iter()
            .flat_map(|(id, queue)| queue.backlog.tasks().map(move |task| (id, task)))
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
