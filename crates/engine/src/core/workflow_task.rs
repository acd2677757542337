//! The life of a workflow task: scheduled, started, and completed, failed or timed out.
//!
//! At most one is pending in a run. A task that failed is tried again at once; from the second
//! attempt on it is *transient*: its events are made up for the worker and written only when it
//! completes, so that a workflow whose code is broken does not fill its history. A task for nothing but
//! updates is *speculative*: made up in the same way, and forgotten if the worker rejects them all.

use temporalio_protos::temporal::api::{
    enums::v1::{TaskQueueKind, TimeoutType, WorkflowTaskFailedCause},
    failure::v1::Failure,
    history::v1::{
        HistoryEvent, WorkflowTaskFailedEventAttributes, WorkflowTaskScheduledEventAttributes,
        WorkflowTaskStartedEventAttributes, WorkflowTaskTimedOutEventAttributes, history_event::Attributes,
    },
    taskqueue::v1::TaskQueue,
};

use super::{
    external::ENGINE_IDENTITY,
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

    fn schedule_attempt(&mut self, now: Nanos, attempt: i32, original_scheduled_at: Nanos) {
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
    fn next_started_task(&self) -> Option<(i64, i32)> {
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
        let (Some(started), Some(task)) = (&self.started_task, &self.state.workflow_task) else {
            return Vec::new();
        };
        let mut events = Vec::with_capacity(2);
        if task.scheduled_event_id == 0 {
            let mut scheduled = history::event(task.scheduled_at, self.task_scheduled(task.attempt));
            scheduled.event_id = started.scheduled_event_id;
            events.push(scheduled);
        }
        let mut event = history::event(started.at, task_started(started));
        event.event_id = started.started_event_id;
        events.push(event);
        events
    }

    /// Writes the events of the started task and takes it out of the state.
    ///
    /// # Errors
    /// When the task that `scheduled` and `started_event_id` name is not the one in a worker's hands,
    /// nor one that was before the engine started again.
    pub(super) fn end_workflow_task(
        &mut self,
        now: Nanos,
        started_event_id: i64,
        attempt: i32,
        identity: &str,
    ) -> Result<StartedTask, RpcError> {
        let stale = || RpcError::NotFound("Workflow task not found.".into());
        self.check_running()?;
        let is_written = |task: &WorkflowTask| !task.speculative;
        if self.started_task.is_none() && self.state.workflow_task.as_ref().is_some_and(is_written) {
            // The start was forgotten with the last process; it is still the same task if its ids fit.
            if self.next_started_task() != Some((started_event_id, attempt)) {
                return Err(stale());
            }
            self.start_workflow_task(now, identity, String::new())?;
        }
        let task = self
            .started_task
            .take_if(|task| task.started_event_id == started_event_id && task.attempt == attempt);
        let started = task.ok_or_else(stale)?;
        let pending = self.state.workflow_task.take().ok_or_else(stale)?;
        if pending.scheduled_event_id == 0 {
            let attributes = self.task_scheduled(pending.attempt);
            self.append(pending.scheduled_at, attributes);
        }
        self.append(started.at, task_started(&started));
        Ok(started)
    }

    /// Forgets the started speculative task.
    ///
    /// # Errors
    /// When it is not the one in a worker's hands.
    pub(super) fn discard_workflow_task(
        &mut self,
        started_event_id: i64,
        attempt: i32,
    ) -> Result<StartedTask, RpcError> {
        let task = self
            .started_task
            .take_if(|task| task.started_event_id == started_event_id && task.attempt == attempt);
        let started = task.ok_or_else(|| RpcError::NotFound("Workflow task not found.".into()))?;
        self.state.workflow_task = None;
        Ok(started)
    }

    /// Fails the started workflow task and schedules the next attempt.
    ///
    /// # Errors
    /// When the task is not the one in a worker's hands.
    pub fn fail_workflow_task(
        &mut self,
        now: Nanos,
        started_event_id: i64,
        attempt: i32,
        cause: WorkflowTaskFailedCause,
        failure: Option<Failure>,
        identity: &str,
    ) -> Result<(), RpcError> {
        let original = self.original_scheduled_at(now);
        let is_it = |task: &StartedTask| task.started_event_id == started_event_id && task.attempt == attempt;
        let is_it = self.started_task.as_ref().is_some_and(is_it);
        if is_it && cause == WorkflowTaskFailedCause::GrpcMessageTooLarge {
            // The next attempt would say the same, and nobody could read it either.
            let reason = "GrpcMessageTooLarge".to_owned();
            return self.terminate(now, reason, None, ENGINE_IDENTITY.to_owned());
        }
        if attempt > 1 {
            self.check_running()?;
            if !is_it {
                return Err(RpcError::NotFound("Workflow task not found.".into()));
            }
            self.started_task = None;
        } else {
            let started = self.end_workflow_task(now, started_event_id, attempt, identity)?;
            self.append_task_failed(now, &started, cause, failure, identity);
        }
        self.reschedule_failed(now, attempt, original);
        Ok(())
    }

    /// The started task's worker did not answer in time.
    pub(super) fn time_out_workflow_task(&mut self, now: Nanos) {
        let Some(started) = self.started_task.clone() else {
            return;
        };
        let original = self.original_scheduled_at(now);
        if started.attempt > 1 {
            self.started_task = None;
        } else {
            let ended =
                self.end_workflow_task(now, started.started_event_id, started.attempt, &started.identity);
            let Ok(ended) = ended else { return };
            self.append_task_timed_out(
                now,
                ended.scheduled_event_id,
                ended.started_event_id,
                TimeoutType::StartToClose,
            );
        }
        self.reschedule_failed(now, started.attempt, original);
    }

    /// No worker came in time for a sticky or speculative task: the normal queue's workers get it.
    pub(super) fn time_out_waiting_task(&mut self, now: Nanos) {
        // Written with the queue that it waited on.
        self.keep_speculative_task();
        self.sticky = None;
        let Some(task) = self.state.workflow_task.take() else {
            return;
        };
        if task.scheduled_event_id == 0 {
            self.schedule_attempt(now, task.attempt, task.original_scheduled_at);
        } else {
            self.append_task_timed_out(now, task.scheduled_event_id, 0, TimeoutType::ScheduleToStart);
            self.schedule_attempt(now, 1, task.original_scheduled_at);
        }
    }

    /// Ends a started task because the run is being closed from outside. A transient one leaves no trace.
    pub(super) fn force_fail_workflow_task(&mut self, now: Nanos) {
        let is_transient = |task: &WorkflowTask| task.scheduled_event_id == 0 && !task.speculative;
        if self.state.workflow_task.as_ref().is_some_and(is_transient) {
            self.started_task = None;
        }
        if let Some(started) = self.started_task.clone()
            && let Ok(ended) =
                self.end_workflow_task(now, started.started_event_id, started.attempt, &started.identity)
        {
            self.append(
                now,
                Attributes::WorkflowTaskFailedEventAttributes(WorkflowTaskFailedEventAttributes {
                    scheduled_event_id: ended.scheduled_event_id,
                    started_event_id: ended.started_event_id,
                    cause: WorkflowTaskFailedCause::ForceCloseCommand as i32,
                    identity: "history-service".into(),
                    ..Default::default()
                }),
            );
        }
        self.state.workflow_task = None;
    }

    fn reschedule_failed(&mut self, now: Nanos, attempt: i32, original_scheduled_at: Nanos) {
        let buffered = self.flush_buffered();
        // A failure in a sticky worker's cached workflow does not count: the next attempt starts over
        // from the whole history. Nor do earlier failures once there are new events to work on.
        let was_sticky = self.sticky.take().is_some();
        let next = if buffered || was_sticky { 1 } else { attempt + 1 };
        self.schedule_attempt(now, next, original_scheduled_at);
    }

    pub(super) fn append_task_failed(
        &mut self,
        now: Nanos,
        task: &StartedTask,
        cause: WorkflowTaskFailedCause,
        failure: Option<Failure>,
        identity: &str,
    ) {
        self.append(
            now,
            Attributes::WorkflowTaskFailedEventAttributes(WorkflowTaskFailedEventAttributes {
                scheduled_event_id: task.scheduled_event_id,
                started_event_id: task.started_event_id,
                cause: cause as i32,
                failure,
                identity: identity.to_owned(),
                ..Default::default()
            }),
        );
    }

    fn append_task_timed_out(&mut self, now: Nanos, scheduled: i64, started: i64, timeout_type: TimeoutType) {
        self.append(
            now,
            Attributes::WorkflowTaskTimedOutEventAttributes(WorkflowTaskTimedOutEventAttributes {
                scheduled_event_id: scheduled,
                started_event_id: started,
                timeout_type: timeout_type as i32,
            }),
        );
    }

    /// Ends a started task whose worker has been at it for too long, although it answered in time.
    ///
    /// # Errors
    /// When the task is not the one in a worker's hands.
    pub(super) fn time_out_heartbeats(
        &mut self,
        now: Nanos,
        started_event_id: i64,
        attempt: i32,
        identity: &str,
    ) -> Result<(), RpcError> {
        let ended = self.end_workflow_task(now, started_event_id, attempt, identity)?;
        self.append_task_timed_out(
            now,
            ended.scheduled_event_id,
            ended.started_event_id,
            TimeoutType::StartToClose,
        );
        self.reschedule_failed(now, attempt, now);
        Ok(())
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

    fn task_scheduled(&self, attempt: i32) -> Attributes {
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

fn task_started(started: &StartedTask) -> Attributes {
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
