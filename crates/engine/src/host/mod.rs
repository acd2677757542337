//! The host of the pure core: it owns all state, applies requests in batches, one at a time, and puts
//! each batch on disk before anybody is answered.
//!
//! | file | what |
//! |---|---|
//! | `handle`, `seat` | how the rest of the process reaches the host, and who works on it when |
//! | `thread` | the engine's thread |
//! | `stepped` | a host without a thread, for the simulator |
//! | `activity` | standalone activities by their ids |
//! | `attributes` | search attributes |
//! | `audit` | whether memory and file say the same |
//! | `batch` | a batch's writes, its commit, its answers |
//! | `batch_operations` | batch operations, a few executions at a time; `batch_one`: what is done to one |
//! | `cache` | runs in memory |
//! | `cleaning` | what is deleted in the background |
//! | `matching`, `task_queue`, `backlog`, `fifo`, `rates` | task queues |
//! | `deployments` | worker deployments, and which version a task goes to |
//! | `messages` | messages from run to run |
//! | `filing`, `filing_round`, `rows` | from the journal to the tables |
//! | `damage` | what is done where a part of the file is damaged |
//! | `dispatch` | tasks and polls meet |
//! | `delivery` | tasks as workers get them |
//! | `queries` | queries on their way |
//! | `workers` | the workers that report themselves |
//! | `updates` | whoever waits for an update |
//! | `start` | starts, by the rules of workflow ids |
//! | `schedules` | schedules, and what they start |
//! | `namespaces` | namespaces and their search attributes |
//! | `reset` | resets: which runs they concern |
//! | `recover` | from the file to memory, when the engine opens |

pub(crate) mod activity;
mod attributes;
mod audit;
pub(crate) mod backlog;
mod batch;
mod batch_one;
pub(crate) mod batch_operations;
mod cache;
mod cleaning;
mod damage;
pub(crate) mod delivery;
pub(crate) mod deployments;
mod dispatch;
mod fifo;
mod filing;
mod filing_round;
mod handle;
pub(crate) mod matching;
mod messages;
mod namespaces;
pub(crate) mod queries;
mod rates;
mod recover;
mod reset;
mod rows;
pub(crate) mod schedules;
mod seat;
pub(crate) mod start;
mod stepped;
pub(crate) mod task_queue;
mod thread;
pub(crate) mod updates;
mod workers;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use temporalio_protos::temporal::api::common::v1::WorkflowExecution;
use tokio::sync::oneshot;

use self::{
    batch_operations::BatchOperations,
    cache::{Cache, Slot},
    cleaning::Cleaning,
    damage::Damage,
    deployments::Deployments,
    filing::Unfiled,
    filing_round::Filed,
    matching::{Delivery, Poller, TaskQueues},
    queries::Queries,
    schedules::Schedules,
    updates::Waiters,
    workers::Workers,
};
pub(crate) use self::{
    filing_round::Pace,
    handle::Handle,
    namespaces::{Namespace, Namespaces},
    stepped::SteppedHost,
    thread::HostThread,
};
use crate::{
    clock::{Clock, Nanos},
    core::{Message, NewRun, Run, RunKey, id_space},
    figures::Counters,
    rpc::RpcError,
    store::{self, ScheduleKey, Store},
};

/// What is done once a batch is on disk, or could not be put there.
type AfterCommit = Box<dyn FnOnce(&mut Host, bool) + Send>;

/// A batch on its way to the disk.
struct InFlight {
    since: Nanos,
    /// What is done once it is there.
    waiting: Vec<AfterCommit>,
    /// The runs that are filed with it.
    filed: Vec<Filed>,
}

/// Everything the engine knows.
pub(crate) struct Host {
    store: Store,
    clock: Arc<dyn Clock>,
    now: Nanos,
    pub(crate) namespaces: Namespaces,
    cache: Cache,
    /// When which run or schedule wants to be woken. Entries may be out of date; the run knows.
    wakes: BTreeSet<(Nanos, WakeKey)>,
    pub(crate) queues: TaskQueues,
    pub(crate) queries: Queries,
    pub(crate) workers: Workers,
    pub(crate) update_waiters: Waiters,
    /// Who waits for news of a run.
    watchers: HashMap<RunKey, Vec<oneshot::Sender<()>>>,
    next_key: RunKey,
    /// Messages from run to run, each with its sender, to be delivered with this batch.
    messages: VecDeque<(RunKey, Message)>,
    cleaning: Cleaning,
    batch_operations: BatchOperations,
    touched: Vec<RunKey>,
    unfiled: Unfiled,
    damage: Damage,
    schedules: Schedules,
    pub(crate) deployments: Deployments,
    after_commit: Vec<AfterCommit>,
    /// What workers get before the batch is on disk.
    ahead: Vec<(Poller, Delivery)>,
    /// See `RunState::life`.
    life: u64,
    /// The batch that is on its way to the disk.
    in_flight: Option<InFlight>,
    /// Memory is not what the file says: a batch has failed, and the file could not be read since.
    is_broken: bool,
    /// Why the last batch that failed has failed.
    failure: String,
    /// When the file is read again.
    retry_at: Nanos,
    /// Batches that could not be written, since the last one that could.
    failed_batches: u32,
    counters: Arc<Counters>,
}

/// What can be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum WakeKey {
    Run(RunKey),
    Schedule(ScheduleKey),
}

impl Host {
    /// The file.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// When the next run wants to be woken.
    pub(crate) fn next_wake(&self) -> Option<Nanos> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Counts requests, and notes what is held.
    fn count(&self, requests: u64) {
        self.counters.took_requests(requests);
        self.counters
            .holds(self.cache.len(), self.wakes.len(), self.unfiled.bytes);
    }

    /// The time, which never goes back within one life of the engine.
    pub(crate) fn now(&mut self) -> Nanos {
        self.now = self.now.max(self.clock.now());
        self.now
    }

    /// The run of this key, read from disk if it is not in memory.
    pub(crate) fn run(&mut self, key: RunKey) -> Result<&Run, RpcError> {
        Ok(&self.slot(key)?.run)
    }

    /// What the run's [`life`](crate::core::RunState::life) is on disk once all is there that memory has of the run.
    pub(crate) fn life_of(&mut self, key: RunKey) -> Result<u64, RpcError> {
        let life = self.life;
        let slot = self.slot(key)?;
        Ok(if slot.is_dirty { life } else { slot.run.state.life })
    }

    fn slot(&mut self, key: RunKey) -> Result<&mut Slot, RpcError> {
        if !self.cache.contains(key) {
            let run = self.store.load_run(key).map_err(unreadable)?;
            let run = run.ok_or_else(|| RpcError::NotFound("workflow execution not found".into()))?;
            let open_row = self.store.open_run(key).map_err(unreadable)?;
            self.cache.insert(Slot::stored(run, open_row));
        }
        self.cache.note_use(key);
        self.cache
            .get_mut(key)
            .ok_or_else(|| RpcError::Internal(format!("run {key} is not in memory")))
    }

    /// Applies a transition to a run, and does what it asks for. On an error nothing has changed.
    pub(crate) fn change<R>(
        &mut self,
        key: RunKey,
        transition: impl FnOnce(&mut Run, Nanos) -> Result<R, RpcError>,
    ) -> Result<R, RpcError> {
        let result = self.change_quietly(key, transition)?;
        self.settle(key)?;
        Ok(result)
    }

    /// Applies a transition without yet doing what it asks for: the caller has first use of it, and
    /// then calls `settle`.
    pub(crate) fn change_quietly<R>(
        &mut self,
        key: RunKey,
        transition: impl FnOnce(&mut Run, Nanos) -> Result<R, RpcError>,
    ) -> Result<R, RpcError> {
        let result = self.change_unwritten(key, transition)?;
        self.mark_dirty(key);
        Ok(result)
    }

    /// Applies a transition that may change nothing but what is in memory alone; if it did change more,
    /// the caller calls `mark_dirty`. Then it calls `settle`.
    pub(crate) fn change_unwritten<R>(
        &mut self,
        key: RunKey,
        transition: impl FnOnce(&mut Run, Nanos) -> Result<R, RpcError>,
    ) -> Result<R, RpcError> {
        let now = self.now();
        let result = transition(&mut self.slot(key)?.run, now)?;
        self.touch(key);
        Ok(result)
    }

    /// Notes that a run's state differs from the one on disk.
    pub(crate) fn mark_dirty(&mut self, key: RunKey) {
        if let Some(slot) = self.cache.get_mut(key) {
            slot.is_dirty = true;
        }
    }

    /// Begins a run and makes it findable.
    pub(crate) fn create(&mut self, new: NewRun) -> Result<RunKey, RpcError> {
        let now = self.now();
        let key = self.next_key;
        self.next_key += 1;
        self.adopt(Run::begin(key, new, now))
    }

    /// Takes in a run that is not on disk yet, and makes it findable.
    fn adopt(&mut self, run: Run) -> Result<RunKey, RpcError> {
        let key = run.key;
        self.unfiled.note_new(&run);
        self.cache.insert(Slot::new(run));
        self.cache.note_use(key);
        self.settle(key)?;
        Ok(key)
    }

    /// Notes that a run is to be written with this batch, creates its successor, takes over its
    /// messages, and offers its tasks to workers.
    pub(crate) fn settle(&mut self, key: RunKey) -> Result<(), RpcError> {
        self.touch(key);
        let now = self.now;
        let Some(slot) = self.cache.get_mut(key) else {
            return Ok(());
        };
        slot.is_dirty |= slot.run.terminate_excessive(now);
        let successor = slot.run.effects.successor.take();
        let tasks = std::mem::take(&mut slot.run.effects.tasks);
        let tells_schedule = std::mem::take(&mut slot.run.effects.tells_schedule);
        let messages = slot.run.effects.messages.drain(..);
        self.messages.extend(messages.map(|message| (key, message)));
        let update_ends = std::mem::take(&mut slot.run.effects.update_ends);
        if self.update_waiters.are_there_for(key) {
            self.tell_update_waiters(key, update_ends)?;
        }
        if let Some(mut successor) = successor {
            self.inherit_version(key, &mut successor)?;
            self.create(*successor)?;
        }
        for task in tasks {
            self.offer(key, task)?;
        }
        if tells_schedule {
            self.tell_schedule(key)?;
        }
        Ok(())
    }

    fn touch(&mut self, key: RunKey) {
        if let Some(slot) = self.cache.get_mut(key)
            && !slot.is_touched
        {
            slot.is_touched = true;
            self.touched.push(key);
        }
    }

    /// The key of an execution: of the given run, or of the newest one of the workflow id.
    pub(crate) fn find(&self, namespace: u32, execution: &WorkflowExecution) -> Result<RunKey, RpcError> {
        let id = &execution.workflow_id;
        if id.is_empty() {
            return Err(RpcError::InvalidArgument(
                "WorkflowId is not set on request.".into(),
            ));
        }
        if !execution.run_id.is_empty() && uuid::Uuid::try_parse(&execution.run_id).is_err() {
            return Err(RpcError::InvalidArgument("Invalid RunId.".into()));
        }
        let found = self.lookup(id_space(namespace, false), id, &execution.run_id);
        let found = found.map_err(unreadable)?;
        found
            .map(|run| run.key)
            .ok_or_else(|| match execution.run_id.as_str() {
                "" => RpcError::workflow_not_found(id),
                run_id => RpcError::NotFound(format!(
                    "workflow execution not found for workflow ID {id:?} and run ID {run_id:?}"
                )),
            })
    }

    /// Answers when something has been written for the run, or it has closed.
    pub(crate) fn watch(&mut self, key: RunKey) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let watchers = self.watchers.entry(key).or_default();
        watchers.retain(|watcher| !watcher.is_closed());
        watchers.push(sender);
        receiver
    }

    /// Does this once the current batch is on disk (`true`), or has failed (`false`).
    fn after_commit(&mut self, then: impl FnOnce(&mut Host, bool) + Send + 'static) {
        self.after_commit.push(Box::new(then));
    }
}

fn unreadable(error: store::Error) -> RpcError {
    if let store::Error::Damaged { .. } = error {
        tracing::error!(%error, "the engine's file is damaged");
        return RpcError::Internal(error.to_string());
    }
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "reading the engine's file failed"
    );
    refusal(&error, "the engine's file cannot be read")
}

fn unwritable(error: store::Error) -> RpcError {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "writing the engine's file failed"
    );
    refusal(&error, "the engine's file cannot be written")
}

/// What the caller is told. To try again helps, unless part of the file is lost.
fn refusal(error: &store::Error, otherwise: &str) -> RpcError {
    match error.problem() {
        Some(_) if error.is_damage() => RpcError::DataLoss(error.to_string()),
        Some(_) => RpcError::Unavailable(error.to_string()),
        None => RpcError::Unavailable(otherwise.to_owned()),
    }
}

#[cfg(test)]
mod cleaning_tests;
#[cfg(test)]
mod reset_tests;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod tests;
