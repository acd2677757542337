//! The life of a workflow task: scheduled, and started; `workflow_task_end` has how it ends.
//!
//! At most one is pending in a run. A task that failed is tried again at once; from the second
//! attempt on it is *transient*: its events are made up for the worker and written only when it
//! completes, so that a workflow whose code is broken does not fill its history. A task for nothing but
//! updates is *speculative*: made up in the same way, and forgotten if the worker rejects them all.

use temporalio_protos::temporal::api::{
    enums::v1::TaskQueueKind,
    history::v1::{
        HistoryEvent, WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes,
        history_event::Attributes,
    },
    taskqueue::v1::TaskQueue,
};

use super::{
    history,
    run::{Queue, Run, Task},
    state::{StartedTask, WorkflowTask},
};
use crate::{
    clock::{Nanos, SECOND, duration},
    rpc::RpcError,
};

/// How long a speculative task waits for a worker before a written one takes its place.
const SPECULATIVE_TIMEOUT: Nanos = 5 * SECOND;
/// From this attempt on, a failing task gets more time, and so waits longer where its worker is lost.
const LONGER_TIMEOUT_FROM_ATTEMPT: i32 = 4;
/// How much more at first; it doubles with each attempt.
const FIRST_EXTENSION: Nanos = 5 * SECOND;
/// How much more at most.
const LONGEST_EXTENSION: Nanos = 600 * SECOND;

impl Run {
    /// Schedules a workflow task unless one is pending or the run waits for its delayed first one.
    pub(super) fn schedule_workflow_task(&mut self, now: Nanos) {
        if self.is_running() && self.state.workflow_task.is_none() && self.state.first_task_at == 0 {
            self.schedule_attempt(now, 1, now);
        }
    }

    /// Schedules the first task of a run that was not to begin before. One that brings updates may be pending: it is
    /// in memory alone, and must not be forgotten any more.
    pub(super) fn schedule_first_task(&mut self, now: Nanos) {
        self.keep_speculative_task();
        self.schedule_workflow_task(now);
    }

    /// Schedules the task by which a worker goes on with what it is at since `original_scheduled_at`.
    pub(super) fn schedule_task_after_heartbeat(&mut self, now: Nanos, original_scheduled_at: Nanos) {
        if self.state.workflow_task.is_none() {
            self.schedule_attempt(now, 1, original_scheduled_at);
        }
    }

    /// Schedules a task that brings a worker updates, unless one is pending.
    pub(super) fn schedule_speculative_task(&mut self, now: Nanos) {
        if !self.is_running() || self.state.workflow_task.is_some() {
            return;
        }
        self.state.workflow_task = Some(WorkflowTask {
            attempt: 1,
            scheduled_at: now,
            original_scheduled_at: now,
            scheduled_before: self.state.next_event_id,
            speculative: true,
            ..Default::default()
        });
        self.offer_workflow_task();
    }

    /// Makes a normal task of a pending speculative one, because events come in which it is there for
    /// as well. Its scheduled event gets the id that a worker may have been told already.
    pub(super) fn keep_speculative_task(&mut self) {
        let Some(task) = self.state.workflow_task.as_mut().filter(|task| task.speculative) else {
            return;
        };
        task.speculative = false;
        let (attempt, scheduled_at) = (task.attempt, task.scheduled_at);
        let attributes = self.task_scheduled(attempt);
        let scheduled_event_id = self.append(scheduled_at, attributes);
        if let Some(task) = &mut self.state.workflow_task {
            task.scheduled_event_id = scheduled_event_id;
        }
    }

    pub(super) fn schedule_attempt(&mut self, now: Nanos, attempt: i32, original_scheduled_at: Nanos) {
        let scheduled_before = self.state.next_event_id;
        let scheduled_event_id = if attempt == 1 {
            let attributes = self.task_scheduled(attempt);
            self.append(now, attributes)
        } else {
            0
        };
        self.state.workflow_task = Some(WorkflowTask {
            scheduled_event_id,
            attempt,
            scheduled_at: now,
            original_scheduled_at,
            scheduled_before,
            speculative: false,
        });
        self.offer_workflow_task();
    }

    /// Puts the pending workflow task on its task queue: the sticky one if there is one.
    pub(crate) fn offer_workflow_task(&mut self) {
        let Some(task) = &self.state.workflow_task else {
            return;
        };
        let normal = self.state.task_queue.clone();
        let queue = match &self.sticky {
            Some(sticky) => Queue::Sticky {
                queue: sticky.task_queue.clone(),
                normal,
            },
            None => Queue::Normal(normal),
        };
        self.effects.tasks.push(Task::Workflow {
            queue,
            scheduled_at: task.scheduled_at,
        });
    }

    /// Forgets which worker has the run at hand. A task that waits for that one is for any: nobody else would look whether it
    /// comes.
    pub(crate) fn leave_its_worker(&mut self) {
        if self.sticky.take().is_some() {
            self.offer_workflow_task();
        }
    }

    /// Whether the pending workflow task may still be started: it is the one scheduled at
    /// `scheduled_at`, and no worker has it.
    pub fn can_start_workflow_task(&self, scheduled_at: Nanos) -> bool {
        self.is_running()
            && self.started_task.is_none()
            && self
                .state
                .workflow_task
                .as_ref()
                .is_some_and(|task| task.scheduled_at == scheduled_at)
    }

    /// The started event and the attempt of the pending task, if it were started now.
    pub(super) fn next_started_task(&self) -> Option<(i64, i32)> {
        let task = self.state.workflow_task.as_ref()?;
        let next = self.state.next_event_id;
        Some(match task.scheduled_event_id {
            0 if task.scheduled_before != next => (next + 1, 1),
            0 => (next + 1, task.attempt),
            _ => (next, task.attempt),
        })
    }

    /// Hands the pending workflow task to a worker.
    ///
    /// # Errors
    /// When there is none, or a worker has it.
    pub fn start_workflow_task(
        &mut self,
        now: Nanos,
        identity: &str,
        request_id: String,
    ) -> Result<&StartedTask, RpcError> {
        if self.started_task.is_some() {
            return Err(RpcError::NotFound("Workflow task already started.".into()));
        }
        let Some(mut task) = self.state.workflow_task.take() else {
            return Err(RpcError::NotFound("Workflow task not found.".into()));
        };
        if task.scheduled_event_id == 0 && task.scheduled_before != self.state.next_event_id {
            // Events came since the failed attempt: this is a new, normal task now.
            task.attempt = 1;
            task.speculative = false;
            let attributes = self.task_scheduled(1);
            task.scheduled_event_id = self.append(task.scheduled_at, attributes);
        }
        let next = self.state.next_event_id;
        let (scheduled_event_id, started_event_id) = if task.scheduled_event_id == 0 {
            (next, next + 1)
        } else {
            (task.scheduled_event_id, next)
        };
        let timeout = self.task_timeout(task.attempt);
        let size = self.state.history_size;
        let suggest_reasons = self.reasons_to_continue_as_new();
        let started = StartedTask {
            scheduled_event_id,
            started_event_id,
            attempt: task.attempt,
            at: now.max(task.scheduled_at),
            identity: identity.to_owned(),
            request_id,
            history_size: size,
            suggest_continue_as_new: !suggest_reasons.is_empty(),
            suggest_reasons,
            target_changed: false,
            deadline: now.saturating_add(timeout),
            life: self.state.life,
        };
        self.state.workflow_task = Some(task);
        Ok(self.started_task.insert(started))
    }

    /// Takes a started task back that never reached its worker, and offers it again.
    pub fn return_workflow_task(&mut self, now: Nanos, started_event_id: i64, attempt: i32) {
        let is_it = self
            .started_task
            .as_ref()
            .is_some_and(|task| task.started_event_id == started_event_id && task.attempt == attempt);
        if !is_it {
            return;
        }
        self.started_task = None;
        if self.flush_buffered() {
            // The task scheduled before those events stands for them as well.
            self.state.transition_count += 1;
        }
        if let Some(task) = &mut self.state.workflow_task {
            task.scheduled_at = now.max(task.scheduled_at + 1);
        }
        self.sticky = None;
        self.offer_workflow_task();
    }

    /// The task's events that are not in the history yet, as the worker sees them.
    pub fn unwritten_task_events(&self) -> Vec<HistoryEvent> {
        let Some(task) = &self.state.workflow_task else {
            return Vec::new();
        };
        let Some(started) = &self.started_task else {
            return self.waiting_attempt().into_iter().collect();
        };
        let mut events = Vec::with_capacity(2);
        if task.scheduled_event_id == 0 {
            events.push(self.made_up_scheduled(task, started.scheduled_event_id));
        }
        let mut event = history::event(started.at, task_started(started));
        event.event_id = started.started_event_id;
        events.push(event);
        events
    }

    /// The event that a further attempt of a failed task was scheduled by, while it waits for a worker.
    pub fn waiting_attempt(&self) -> Option<HistoryEvent> {
        let task = self.state.workflow_task.as_ref()?;
        if self.started_task.is_some() || task.scheduled_event_id != 0 || task.speculative {
            return None;
        }
        Some(self.made_up_scheduled(task, self.state.next_event_id))
    }

    fn made_up_scheduled(&self, task: &WorkflowTask, event_id: i64) -> HistoryEvent {
        HistoryEvent {
            event_id,
            ..history::event(task.scheduled_at, self.task_scheduled(task.attempt))
        }
    }

    pub(super) fn original_scheduled_at(&self, now: Nanos) -> Nanos {
        self.state
            .workflow_task
            .as_ref()
            .map_or(now, |task| task.original_scheduled_at)
    }

    /// When the pending task must be looked at: its worker's deadline, or the sticky worker's.
    pub(super) fn workflow_task_deadline(&self) -> Option<Nanos> {
        if let Some(started) = &self.started_task {
            return Some(started.deadline);
        }
        let task = self.state.workflow_task.as_ref()?;
        let wait = match &self.sticky {
            Some(sticky) => sticky.schedule_to_start,
            None if task.speculative => SPECULATIVE_TIMEOUT,
            None => return None,
        };
        Some(task.scheduled_at.saturating_add(wait))
    }

    fn task_timeout(&self, attempt: i32) -> Nanos {
        let doublings = attempt - LONGER_TIMEOUT_FROM_ATTEMPT;
        if doublings < 0 {
            return self.state.task_timeout;
        }
        let extension = FIRST_EXTENSION.saturating_mul(1 << doublings.min(20));
        self.state
            .task_timeout
            .saturating_add(extension.min(LONGEST_EXTENSION))
    }

    pub(super) fn task_scheduled(&self, attempt: i32) -> Attributes {
        let task_queue = match &self.sticky {
            Some(sticky) => TaskQueue {
                name: sticky.task_queue.clone(),
                kind: TaskQueueKind::Sticky as i32,
                normal_name: self.state.task_queue.clone(),
            },
            None => normal_queue(&self.state.task_queue),
        };
        Attributes::WorkflowTaskScheduledEventAttributes(WorkflowTaskScheduledEventAttributes {
            task_queue: Some(task_queue),
            start_to_close_timeout: Some(duration(self.task_timeout(attempt))),
            attempt,
        })
    }
}

pub(super) fn task_started(started: &StartedTask) -> Attributes {
    Attributes::WorkflowTaskStartedEventAttributes(WorkflowTaskStartedEventAttributes {
        scheduled_event_id: started.scheduled_event_id,
        identity: started.identity.clone(),
        request_id: started.request_id.clone(),
        suggest_continue_as_new: started.suggest_continue_as_new,
        suggest_continue_as_new_reasons: started.suggest_reasons.clone(),
        history_size_bytes: started.history_size,
        target_worker_deployment_version_changed: started.target_changed,
        ..Default::default()
    })
}

/// A task queue of the normal kind.
pub(crate) fn normal_queue(name: &str) -> TaskQueue {
    TaskQueue {
        name: name.to_owned(),
        kind: TaskQueueKind::Normal as i32,
        normal_name: String::new(),
    }
}
