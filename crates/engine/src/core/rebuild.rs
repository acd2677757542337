//! The state of a run made from its history alone.
//!
//! A reset begins a run with another run's events: what that run then has pending is what these
//! events say. It is also a check of the transitions, whose state must be the one that the history
//! they leave tells: `tests/properties` holds them to it.
//!
//! What no event tells stays as at the beginning: attempts of pending activities, events that are
//! buffered, request ids of cancel requests, the number of transitions.

use prost::Message as _;
use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::WorkflowExecutionStatus as Status,
    history::v1::{
        ActivityTaskScheduledEventAttributes, HistoryEvent, TimerStartedEventAttributes,
        WorkflowExecutionStartedEventAttributes, history_event::Attributes,
    },
};

use super::{
    attributes::merge,
    events::Events,
    state::{Activity, ChangedOptions, Child, Parent, RunState, Timer, WorkflowTask},
};
use crate::{
    clock::{Nanos, nanos, nanos_of},
    rpc::RpcError,
};

/// What a run is beside its history.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    pub namespace_key: u32,
    pub run_id: String,
    pub start_request_id: String,
    pub parent: Option<Parent>,
}

/// A state, and how far the pending workflow task is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rebuilt {
    pub state: RunState,
    /// The `WorkflowTaskStarted` event of the pending task, where the history has it; else 0.
    pub started_event_id: i64,
}

/// The state that `history`, from event 1 on, leaves.
///
/// # Errors
/// When it does not begin with a start, or has an event that cannot be replayed.
pub fn rebuild(identity: Identity, history: &Events) -> Result<Rebuilt, RpcError> {
    let Some(first) = history.first() else {
        return Err(RpcError::Internal(
            "a run without events cannot be rebuilt".into(),
        ));
    };
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = &first.attributes else {
        return Err(RpcError::Internal(
            "a history that does not begin with a start cannot be rebuilt".into(),
        ));
    };
    let mut rebuilt = Rebuilt {
        state: begun(identity, time(&first), started),
        started_event_id: 0,
    };
    rebuilt.count(&first);
    for event in history.from(1) {
        rebuilt.replay(&event)?;
        rebuilt.count(&event);
    }
    Ok(rebuilt)
}

fn time(event: &HistoryEvent) -> Nanos {
    event.event_time.as_ref().map_or(0, nanos_of)
}

/// The state after event 1.
fn begun(identity: Identity, at: Nanos, started: &WorkflowExecutionStartedEventAttributes) -> RunState {
    let delay = nanos(started.first_workflow_task_backoff.as_ref());
    let execution_time = at.saturating_add(delay.max(0));
    let run_timeout = nanos(started.workflow_run_timeout.as_ref());
    // A run without a parent is at the top itself, and its start does not say so.
    let root = started
        .root_workflow_execution
        .clone()
        .unwrap_or_else(|| WorkflowExecution {
            workflow_id: started.workflow_id.clone(),
            run_id: identity.run_id.clone(),
        });
    let mut state = RunState {
        namespace_key: identity.namespace_key,
        workflow_id: started.workflow_id.clone(),
        run_id: identity.run_id,
        first_run_id: started.first_execution_run_id.clone(),
        workflow_type: started.workflow_type.clone().unwrap_or_default().name,
        task_queue: started.task_queue.clone().unwrap_or_default().name,
        status: Status::Running as i32,
        start_time: at,
        execution_time,
        execution_expiration: started
            .workflow_execution_expiration_time
            .as_ref()
            .map_or(0, nanos_of),
        run_expiration: if run_timeout == 0 {
            0
        } else {
            execution_time.saturating_add(run_timeout)
        },
        execution_timeout: nanos(started.workflow_execution_timeout.as_ref()),
        run_timeout,
        task_timeout: nanos(started.workflow_task_timeout.as_ref()),
        start_request_id: identity.start_request_id,
        memo: started.memo.clone(),
        search_attributes: started.search_attributes.clone(),
        retry_policy: started.retry_policy.clone(),
        attempt: started.attempt,
        cron_schedule: started.cron_schedule.clone(),
        first_task_at: if delay > 0 { execution_time } else { 0 },
        parent: identity.parent,
        root: Some(root),
        transition_count: 1,
        ..Default::default()
    };
    state.begin_versioning(started);
    state
}

impl Rebuilt {
    fn count(&mut self, event: &HistoryEvent) {
        self.state.next_event_id = event.event_id + 1;
        self.state.history_size += event.encoded_len() as i64;
        self.state.count_external_payloads(event);
    }

    pub(super) fn replay(&mut self, event: &HistoryEvent) -> Result<(), RpcError> {
        use Attributes as A;
        let (id, at) = (event.event_id, time(event));
        let state = &mut self.state;
        match &event.attributes {
            Some(A::WorkflowTaskScheduledEventAttributes(a)) => {
                state.first_task_at = 0;
                self.started_event_id = 0;
                state.workflow_task = Some(WorkflowTask {
                    scheduled_event_id: id,
                    attempt: a.attempt,
                    scheduled_at: at,
                    original_scheduled_at: at,
                    scheduled_before: id,
                    ..Default::default()
                });
            }
            Some(A::WorkflowTaskStartedEventAttributes(_)) => self.started_event_id = id,
            Some(A::WorkflowTaskCompletedEventAttributes(a)) => {
                state.last_started_event_id = a.started_event_id;
                state.note_completed_by(a);
                self.end_task();
            }
            Some(A::WorkflowTaskFailedEventAttributes(_) | A::WorkflowTaskTimedOutEventAttributes(_)) => {
                self.end_task();
            }
            Some(A::ActivityTaskScheduledEventAttributes(a)) => state.activities.push(activity(id, at, a)),
            // Written only together with the event that closes the activity.
            Some(A::ActivityTaskStartedEventAttributes(_)) => {}
            Some(A::ActivityTaskCompletedEventAttributes(a)) => self.close_activity(a.scheduled_event_id),
            Some(A::ActivityTaskFailedEventAttributes(a)) => self.close_activity(a.scheduled_event_id),
            Some(A::ActivityTaskTimedOutEventAttributes(a)) => self.close_activity(a.scheduled_event_id),
            Some(A::ActivityTaskCanceledEventAttributes(a)) => self.close_activity(a.scheduled_event_id),
            Some(A::ActivityTaskCancelRequestedEventAttributes(a)) => {
                for activity in &mut state.activities {
                    if activity.scheduled_event_id == a.scheduled_event_id {
                        activity.cancel_requested_event_id = id;
                    }
                }
            }
            Some(A::TimerStartedEventAttributes(a)) => state.timers.push(timer(id, at, a)),
            Some(A::TimerFiredEventAttributes(a)) => self.close_timer(a.started_event_id),
            Some(A::TimerCanceledEventAttributes(a)) => self.close_timer(a.started_event_id),
            Some(A::WorkflowExecutionSignaledEventAttributes(a)) => {
                if !a.request_id.is_empty() {
                    state.request_ids.push(a.request_id.clone());
                }
                state.signal_count += 1;
            }
            Some(A::WorkflowExecutionCancelRequestedEventAttributes(_)) => state.cancel_requested = true,
            Some(A::UpsertWorkflowSearchAttributesEventAttributes(a)) => {
                let new = a.search_attributes.clone().unwrap_or_default();
                merge(
                    &mut state.search_attributes.get_or_insert_default().indexed_fields,
                    new.indexed_fields,
                );
            }
            Some(A::WorkflowPropertiesModifiedEventAttributes(a)) => {
                let new = a.upserted_memo.clone().unwrap_or_default();
                merge(&mut state.memo.get_or_insert_default().fields, new.fields);
            }
            Some(A::WorkflowExecutionOptionsUpdatedEventAttributes(a)) => {
                state.options = Some(ChangedOptions {
                    priority: a.priority.clone(),
                    versioning_override: a
                        .versioning_override
                        .clone()
                        .filter(|_| !a.unset_versioning_override),
                });
            }
            Some(A::StartChildWorkflowExecutionInitiatedEventAttributes(a)) => state.children.push(Child {
                initiated_event_id: id,
                workflow_id: a.workflow_id.clone(),
                parent_close_policy: a.parent_close_policy,
                ..Default::default()
            }),
            Some(A::ChildWorkflowExecutionStartedEventAttributes(a)) => {
                for child in &mut state.children {
                    if child.initiated_event_id == a.initiated_event_id {
                        let execution = a.workflow_execution.clone().unwrap_or_default();
                        child.run_id = execution.run_id;
                        child.started_event_id = id;
                    }
                }
            }
            Some(A::StartChildWorkflowExecutionFailedEventAttributes(a)) => {
                self.close_child(a.initiated_event_id);
            }
            Some(A::ChildWorkflowExecutionCompletedEventAttributes(a)) => {
                self.close_child(a.initiated_event_id)
            }
            Some(A::ChildWorkflowExecutionFailedEventAttributes(a)) => self.close_child(a.initiated_event_id),
            Some(A::ChildWorkflowExecutionTimedOutEventAttributes(a)) => {
                self.close_child(a.initiated_event_id)
            }
            Some(A::ChildWorkflowExecutionCanceledEventAttributes(a)) => {
                self.close_child(a.initiated_event_id)
            }
            Some(A::ChildWorkflowExecutionTerminatedEventAttributes(a)) => {
                self.close_child(a.initiated_event_id);
            }
            Some(A::SignalExternalWorkflowExecutionInitiatedEventAttributes(_)) => {
                state.outgoing_signals.push(id);
            }
            Some(A::ExternalWorkflowExecutionSignaledEventAttributes(a)) => {
                state
                    .outgoing_signals
                    .retain(|other| *other != a.initiated_event_id);
            }
            Some(A::SignalExternalWorkflowExecutionFailedEventAttributes(a)) => {
                state
                    .outgoing_signals
                    .retain(|other| *other != a.initiated_event_id);
            }
            Some(A::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(_)) => {
                state.outgoing_cancels.push(id);
            }
            Some(A::ExternalWorkflowExecutionCancelRequestedEventAttributes(a)) => {
                state
                    .outgoing_cancels
                    .retain(|other| *other != a.initiated_event_id);
            }
            Some(A::RequestCancelExternalWorkflowExecutionFailedEventAttributes(a)) => {
                state
                    .outgoing_cancels
                    .retain(|other| *other != a.initiated_event_id);
            }
            // What is known of updates is read from the history itself.
            Some(
                A::MarkerRecordedEventAttributes(_)
                | A::WorkflowExecutionUpdateAdmittedEventAttributes(_)
                | A::WorkflowExecutionUpdateAcceptedEventAttributes(_)
                | A::WorkflowExecutionUpdateCompletedEventAttributes(_),
            ) => {}
            Some(A::WorkflowExecutionCompletedEventAttributes(a)) => {
                state.successor_run_id.clone_from(&a.new_execution_run_id);
                self.close(at, Status::Completed);
            }
            Some(A::WorkflowExecutionFailedEventAttributes(a)) => {
                state.successor_run_id.clone_from(&a.new_execution_run_id);
                self.close(at, Status::Failed);
            }
            Some(A::WorkflowExecutionTimedOutEventAttributes(a)) => {
                state.successor_run_id.clone_from(&a.new_execution_run_id);
                self.close(at, Status::TimedOut);
            }
            Some(A::WorkflowExecutionContinuedAsNewEventAttributes(a)) => {
                state.successor_run_id.clone_from(&a.new_execution_run_id);
                self.close(at, Status::ContinuedAsNew);
            }
            Some(A::WorkflowExecutionCanceledEventAttributes(_)) => self.close(at, Status::Canceled),
            Some(A::WorkflowExecutionTerminatedEventAttributes(_)) => self.close(at, Status::Terminated),
            _ => {
                return Err(RpcError::Unimplemented(format!(
                    "this engine does not implement rebuilding a run from {}",
                    event.event_type().as_str_name()
                )));
            }
        }
        Ok(())
    }

    fn end_task(&mut self) {
        self.state.workflow_task = None;
        self.started_event_id = 0;
    }

    fn close_activity(&mut self, scheduled_event_id: i64) {
        let is_other = |activity: &Activity| activity.scheduled_event_id != scheduled_event_id;
        self.state.activities.retain(is_other);
    }

    fn close_timer(&mut self, started_event_id: i64) {
        let is_other = |timer: &Timer| timer.started_event_id != started_event_id;
        self.state.timers.retain(is_other);
    }

    fn close_child(&mut self, initiated_event_id: i64) {
        let is_other = |child: &Child| child.initiated_event_id != initiated_event_id;
        self.state.children.retain(is_other);
    }

    fn close(&mut self, at: Nanos, status: Status) {
        self.end_task();
        let state = &mut self.state;
        state.status = status as i32;
        state.close_time = at.max(state.start_time);
        state.activities.clear();
        state.timers.clear();
        state.children.clear();
        state.outgoing_signals.clear();
        state.outgoing_cancels.clear();
        state.first_task_at = 0;
    }
}

fn activity(id: i64, at: Nanos, scheduled: &ActivityTaskScheduledEventAttributes) -> Activity {
    Activity {
        scheduled_event_id: id,
        id: scheduled.activity_id.clone(),
        activity_type: scheduled.activity_type.clone().unwrap_or_default().name,
        task_queue: scheduled.task_queue.clone().unwrap_or_default().name,
        attempt: 1,
        scheduled_at: at,
        attempt_at: at,
        schedule_to_start: nanos(scheduled.schedule_to_start_timeout.as_ref()),
        schedule_to_close: nanos(scheduled.schedule_to_close_timeout.as_ref()),
        start_to_close: nanos(scheduled.start_to_close_timeout.as_ref()),
        heartbeat: nanos(scheduled.heartbeat_timeout.as_ref()),
        retry_policy: scheduled.retry_policy.clone(),
        priority: scheduled.priority.clone(),
        ..Default::default()
    }
}

fn timer(id: i64, at: Nanos, started: &TimerStartedEventAttributes) -> Timer {
    Timer {
        id: started.timer_id.clone(),
        started_event_id: id,
        fire_at: at.saturating_add(nanos(started.start_to_fire_timeout.as_ref())),
    }
}
