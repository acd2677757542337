//! One run in memory: its state, its history, and what the last transitions ask the host to do.

use std::{cell::OnceCell, sync::Arc};

use temporalio_protos::temporal::api::{
    enums::v1::WorkflowExecutionStatus,
    history::v1::{HistoryEvent, WorkflowExecutionStartedEventAttributes, history_event::Attributes},
};

use super::{
    child::ChildClosed,
    events::Events,
    start::NewRun,
    state::{Child, RunState, StartedTask},
    update::{UpdateEnd, Updates},
};
use crate::{clock::Nanos, limits::Limits, rpc::RpcError};

/// The engine's own number of a run: its row in the file.
pub type RunKey = i64;

/// One run: the pure core's unit. Every transition is a method that takes what came in and the time,
/// changes the run, and leaves in `effects` what the host must do beyond writing the run down.
#[derive(Clone, Debug)]
pub struct Run {
    pub key: RunKey,
    pub state: RunState,
    /// The whole history, from event 1.
    pub history: Events,
    /// The attributes of event 1, once somebody has wanted them.
    pub(super) started: OnceCell<Box<WorkflowExecutionStartedEventAttributes>>,
    /// How many events of `history` are on disk.
    pub stored: usize,
    /// The workflow task in a worker's hands.
    pub started_task: Option<StartedTask>,
    /// The worker that wants this run's next workflow tasks; forgotten with the process.
    pub sticky: Option<Sticky>,
    /// Its updates; none as long as nobody asks for any.
    pub updates: Option<Box<Updates>>,
    pub effects: Effects,
    /// What the run may hold.
    pub limits: Arc<Limits>,
}

/// A worker's own task queue, and how long a task may wait there for the worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Sticky {
    pub task_queue: String,
    pub schedule_to_start: Nanos,
}

/// What a transition asks of the host.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Tasks for the task queues.
    pub tasks: Vec<Task>,
    /// The run that goes on after this one closed, to be created in the same write.
    pub successor: Option<Box<NewRun>>,
    /// Search attributes or memo have changed.
    pub attributes_changed: bool,
    /// Updates that ended and leave no trace in the history.
    pub update_ends: Vec<(String, UpdateEnd)>,
    /// The run has closed with nothing to go on after it, and a schedule waits for that.
    pub tells_schedule: bool,
    /// What is to be done to other runs.
    pub messages: Vec<Message>,
}

/// What a run asks to be done to another one. Those that name an event of the run are looked up
/// there when their turn comes, and are void if the run has closed by then.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Start the child that this event initiated.
    StartChild { initiated_event_id: i64 },
    /// Deliver the signal that this event initiated.
    Signal { initiated_event_id: i64 },
    /// Deliver the cancel request that this event initiated.
    RequestCancel { initiated_event_id: i64 },
    /// Tell the parent that this run, the last of its chain, has closed.
    ChildClosed(Box<ChildClosed>),
    /// Do to a child what its parent close policy says: this run has closed.
    CloseChild(Box<Child>),
}

/// A task for a task queue.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// The run's pending workflow task; `attempt` and `scheduled_at` tell it from a later one.
    Workflow { queue: Queue, scheduled_at: Nanos },
    /// An attempt of an activity.
    Activity {
        queue: String,
        scheduled_event_id: i64,
        attempt: i32,
    },
}

/// Where a workflow task waits for a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Queue {
    Normal(String),
    Sticky { queue: String, normal: String },
}

impl Run {
    /// A run as it was read from disk, after a start of the engine or when it is wanted again.
    pub fn load(key: RunKey, state: RunState, history: Events) -> Self {
        let stored = history.len();
        Self {
            key,
            state,
            history,
            started: OnceCell::new(),
            stored,
            started_task: None,
            sticky: None,
            updates: None,
            effects: Effects::default(),
            limits: Limits::usual(),
        }
    }

    /// Whether something of the run is in memory alone and needed: a worker's task, or updates that
    /// wait for one.
    pub fn is_held_in_memory(&self) -> bool {
        self.started_task.is_some()
            || self
                .updates
                .as_ref()
                .is_some_and(|updates| updates.has_admitted())
    }

    /// Gives `write` the state as it is to be on disk, the history, and how many events of it are there.
    ///
    /// A speculative task is in memory alone: after a crash its updates are sent again, and bring a new one.
    pub(crate) fn durably<R>(&mut self, write: impl FnOnce(&RunState, &Events, usize) -> R) -> R {
        let speculative = self.state.workflow_task.take_if(|task| task.speculative);
        let written = write(&self.state, &self.history, self.stored);
        if speculative.is_some() {
            self.state.workflow_task = speculative;
        }
        written
    }

    /// Whether the run is still open.
    pub fn is_running(&self) -> bool {
        self.state.status == WorkflowExecutionStatus::Running as i32
    }

    /// Fails unless the run is still open.
    pub fn check_running(&self) -> Result<(), RpcError> {
        if self.is_running() {
            Ok(())
        } else {
            Err(RpcError::already_completed())
        }
    }

    /// The attributes of event 1.
    pub fn started_attributes(&self) -> Result<&WorkflowExecutionStartedEventAttributes, RpcError> {
        if let Some(started) = self.started.get() {
            return Ok(started);
        }
        match self.history.first().and_then(|event| event.attributes) {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                Ok(self.started.get_or_init(|| Box::new(started)))
            }
            _ => Err(RpcError::Internal(format!(
                "the history of run {} has no start",
                self.state.run_id
            ))),
        }
    }

    /// The event of this id.
    pub fn event(&self, id: i64) -> Option<HistoryEvent> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.history.get(index)
    }

    /// The last event, if the run is closed.
    pub fn close_event(&self) -> Option<HistoryEvent> {
        if self.is_running() {
            None
        } else {
            self.history.last()
        }
    }

    /// When the run next wants to be woken; none: only a request moves it.
    pub fn next_wake(&self) -> Option<Nanos> {
        if !self.is_running() {
            return None;
        }
        let state = &self.state;
        let mut next = Nanos::MAX;
        for at in [
            state.run_expiration,
            state.execution_expiration,
            state.first_task_at,
        ] {
            if at != 0 {
                next = next.min(at);
            }
        }
        if let Some(at) = self.workflow_task_deadline() {
            next = next.min(at);
        }
        for timer in &state.timers {
            next = next.min(timer.fire_at);
        }
        for activity in &state.activities {
            next = next.min(activity.next_wake());
        }
        (next != Nanos::MAX).then_some(next)
    }
}
