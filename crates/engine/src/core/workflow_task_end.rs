//! How a workflow task ends: completed, failed, timed out, or as if it had never been.

use temporalio_protos::temporal::api::{
    enums::v1::{TimeoutType, WorkflowTaskFailedCause},
    failure::v1::Failure,
    history::v1::{
        WorkflowTaskFailedEventAttributes, WorkflowTaskTimedOutEventAttributes, history_event::Attributes,
    },
};

use super::{
    external::ENGINE_IDENTITY,
    own_attributes::TaskProblem,
    run::Run,
    state::{StartedTask, WorkflowTask},
    workflow_task::task_started,
};
use crate::{clock::Nanos, rpc::RpcError};

impl Run {
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
        self.note_task_problem(attempt, TaskProblem::Failed(cause));
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
        self.note_task_problem(started.attempt, TaskProblem::TimedOut(TimeoutType::StartToClose));
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
}
