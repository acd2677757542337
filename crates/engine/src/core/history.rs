//! Appending events: ids without gaps, times that never go back, and the buffer for what comes in
//! while a worker has the workflow task.
//!
//! An event that a command or a workflow task makes is appended at once. One from outside (signal,
//! activity result, fired timer) is buffered while a workflow task is in a worker's hands, because
//! the worker's view of the history must end with its `WorkflowTaskStarted`; it is appended right
//! after the task's end.

use std::collections::HashMap;

use temporalio_protos::temporal::api::{
    common::v1::Link,
    enums::v1::EventType,
    history::v1::{HistoryEvent, WorkflowExecutionStartedEventAttributes, history_event::Attributes},
    sdk::v1::{EventGroupMarker, UserMetadata},
};

use super::run::Run;
use crate::clock::{Nanos, timestamp};

impl Run {
    /// Appends an event and answers its id.
    pub(super) fn append(&mut self, now: Nanos, attributes: Attributes) -> i64 {
        self.append_with(now, attributes, None, Vec::new())
    }

    /// Appends an event that carries a summary or details for people, and the groups that it belongs to.
    pub(super) fn append_with(
        &mut self,
        now: Nanos,
        attributes: Attributes,
        user_metadata: Option<UserMetadata>,
        event_group_markers: Vec<EventGroupMarker>,
    ) -> i64 {
        self.push(HistoryEvent {
            user_metadata,
            event_group_markers,
            ..event(now, attributes)
        })
    }

    /// Appends event 1.
    pub(super) fn append_start(
        &mut self,
        now: Nanos,
        started: WorkflowExecutionStartedEventAttributes,
        user_metadata: Option<UserMetadata>,
        links: Vec<Link>,
    ) {
        self.push(HistoryEvent {
            user_metadata,
            links,
            ..event(now, Attributes::WorkflowExecutionStartedEventAttributes(started))
        });
    }

    /// Appends an event that links to where it came from.
    pub(super) fn append_linked(&mut self, now: Nanos, attributes: Attributes, links: Vec<Link>) {
        self.push(HistoryEvent {
            links,
            ..event(now, attributes)
        });
    }

    /// Appends an event from outside, or buffers it while a worker has the workflow task.
    pub(super) fn append_external(&mut self, now: Nanos, attributes: Attributes) {
        self.append_external_with(now, attributes, Vec::new());
    }

    /// The same for an event that links to where it came from.
    pub(super) fn append_external_with(&mut self, now: Nanos, attributes: Attributes, links: Vec<Link>) {
        self.keep_speculative_task();
        let event = HistoryEvent {
            links,
            ..event(now, attributes)
        };
        if self.started_task.is_some() {
            self.state.buffered.push(event);
        } else {
            self.push(event);
        }
    }

    /// Buffers an event from outside that a command caused; it follows the command's own events.
    pub(super) fn buffer(&mut self, now: Nanos, attributes: Attributes) {
        self.state.buffered.push(event(now, attributes));
    }

    /// Appends the buffered events: results of activities and children after everything else, so that
    /// a worker sees a signal before the result which came in at the same time. Answers whether there
    /// were any.
    pub(super) fn flush_buffered(&mut self) -> bool {
        if self.state.buffered.is_empty() {
            return false;
        }
        let (results, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.state.buffered)
            .into_iter()
            .partition(is_result);
        let mut started = HashMap::new();
        for event in others {
            let scheduled = match &event.attributes {
                Some(Attributes::ActivityTaskStartedEventAttributes(a)) => Some(a.scheduled_event_id),
                Some(Attributes::ChildWorkflowExecutionStartedEventAttributes(a)) => {
                    Some(a.initiated_event_id)
                }
                _ => None,
            };
            let id = self.push(event);
            if let Some(scheduled) = scheduled {
                self.name_child_started(scheduled, id);
                started.insert(scheduled, id);
            }
        }
        for mut event in results {
            set_started_event_id(&mut event, &started);
            self.push(event);
        }
        true
    }

    fn push(&mut self, mut event: HistoryEvent) -> i64 {
        let id = self.state.next_event_id;
        event.event_id = id;
        event.task_id = self.key.wrapping_shl(20).wrapping_add(id);
        event.event_time = self.history.not_before_last(event.event_time);
        self.state.next_event_id += 1;
        self.state.history_size += self.history.push(&event) as i64;
        self.state.count_external_payloads(&event);
        id
    }
}

/// An event that has no id yet.
pub(super) fn event(now: Nanos, attributes: Attributes) -> HistoryEvent {
    let event_type = event_type(&attributes);
    HistoryEvent {
        event_time: Some(timestamp(now)),
        event_type: event_type as i32,
        worker_may_ignore: event_type == EventType::WorkflowExecutionOptionsUpdated,
        attributes: Some(attributes),
        ..Default::default()
    }
}

fn is_result(event: &HistoryEvent) -> bool {
    matches!(
        event.event_type(),
        EventType::ActivityTaskCompleted
            | EventType::ActivityTaskFailed
            | EventType::ActivityTaskTimedOut
            | EventType::ActivityTaskCanceled
            | EventType::ChildWorkflowExecutionCompleted
            | EventType::ChildWorkflowExecutionFailed
            | EventType::ChildWorkflowExecutionTimedOut
            | EventType::ChildWorkflowExecutionCanceled
            | EventType::ChildWorkflowExecutionTerminated
    )
}

/// Names the started event of a buffered result, which got its id only now.
fn set_started_event_id(event: &mut HistoryEvent, started: &HashMap<i64, i64>) {
    let (scheduled, slot) = match &mut event.attributes {
        Some(Attributes::ChildWorkflowExecutionCompletedEventAttributes(a)) => {
            (a.initiated_event_id, &mut a.started_event_id)
        }
        Some(Attributes::ChildWorkflowExecutionFailedEventAttributes(a)) => {
            (a.initiated_event_id, &mut a.started_event_id)
        }
        Some(Attributes::ChildWorkflowExecutionTimedOutEventAttributes(a)) => {
            (a.initiated_event_id, &mut a.started_event_id)
        }
        Some(Attributes::ChildWorkflowExecutionCanceledEventAttributes(a)) => {
            (a.initiated_event_id, &mut a.started_event_id)
        }
        Some(Attributes::ChildWorkflowExecutionTerminatedEventAttributes(a)) => {
            (a.initiated_event_id, &mut a.started_event_id)
        }
        Some(Attributes::ActivityTaskCompletedEventAttributes(a)) => {
            (a.scheduled_event_id, &mut a.started_event_id)
        }
        Some(Attributes::ActivityTaskFailedEventAttributes(a)) => {
            (a.scheduled_event_id, &mut a.started_event_id)
        }
        Some(Attributes::ActivityTaskTimedOutEventAttributes(a)) => {
            (a.scheduled_event_id, &mut a.started_event_id)
        }
        Some(Attributes::ActivityTaskCanceledEventAttributes(a)) => {
            (a.scheduled_event_id, &mut a.started_event_id)
        }
        _ => return,
    };
    if let Some(id) = started.get(&scheduled) {
        *slot = *id;
    }
}

/// The type that goes with an event's attributes.
fn event_type(attributes: &Attributes) -> EventType {
    use Attributes as A;
    match attributes {
        A::WorkflowExecutionStartedEventAttributes(_) => EventType::WorkflowExecutionStarted,
        A::WorkflowExecutionCompletedEventAttributes(_) => EventType::WorkflowExecutionCompleted,
        A::WorkflowExecutionFailedEventAttributes(_) => EventType::WorkflowExecutionFailed,
        A::WorkflowExecutionTimedOutEventAttributes(_) => EventType::WorkflowExecutionTimedOut,
        A::WorkflowExecutionCanceledEventAttributes(_) => EventType::WorkflowExecutionCanceled,
        A::WorkflowExecutionTerminatedEventAttributes(_) => EventType::WorkflowExecutionTerminated,
        A::WorkflowExecutionContinuedAsNewEventAttributes(_) => EventType::WorkflowExecutionContinuedAsNew,
        A::WorkflowExecutionSignaledEventAttributes(_) => EventType::WorkflowExecutionSignaled,
        A::WorkflowExecutionCancelRequestedEventAttributes(_) => EventType::WorkflowExecutionCancelRequested,
        A::WorkflowExecutionOptionsUpdatedEventAttributes(_) => EventType::WorkflowExecutionOptionsUpdated,
        A::WorkflowTaskScheduledEventAttributes(_) => EventType::WorkflowTaskScheduled,
        A::WorkflowTaskStartedEventAttributes(_) => EventType::WorkflowTaskStarted,
        A::WorkflowTaskCompletedEventAttributes(_) => EventType::WorkflowTaskCompleted,
        A::WorkflowTaskFailedEventAttributes(_) => EventType::WorkflowTaskFailed,
        A::WorkflowTaskTimedOutEventAttributes(_) => EventType::WorkflowTaskTimedOut,
        A::ActivityTaskScheduledEventAttributes(_) => EventType::ActivityTaskScheduled,
        A::ActivityTaskStartedEventAttributes(_) => EventType::ActivityTaskStarted,
        A::ActivityTaskCompletedEventAttributes(_) => EventType::ActivityTaskCompleted,
        A::ActivityTaskFailedEventAttributes(_) => EventType::ActivityTaskFailed,
        A::ActivityTaskTimedOutEventAttributes(_) => EventType::ActivityTaskTimedOut,
        A::ActivityTaskCancelRequestedEventAttributes(_) => EventType::ActivityTaskCancelRequested,
        A::ActivityTaskCanceledEventAttributes(_) => EventType::ActivityTaskCanceled,
        A::TimerStartedEventAttributes(_) => EventType::TimerStarted,
        A::TimerFiredEventAttributes(_) => EventType::TimerFired,
        A::TimerCanceledEventAttributes(_) => EventType::TimerCanceled,
        A::MarkerRecordedEventAttributes(_) => EventType::MarkerRecorded,
        A::UpsertWorkflowSearchAttributesEventAttributes(_) => EventType::UpsertWorkflowSearchAttributes,
        A::WorkflowPropertiesModifiedEventAttributes(_) => EventType::WorkflowPropertiesModified,
        A::StartChildWorkflowExecutionInitiatedEventAttributes(_) => {
            EventType::StartChildWorkflowExecutionInitiated
        }
        A::StartChildWorkflowExecutionFailedEventAttributes(_) => {
            EventType::StartChildWorkflowExecutionFailed
        }
        A::ChildWorkflowExecutionStartedEventAttributes(_) => EventType::ChildWorkflowExecutionStarted,
        A::ChildWorkflowExecutionCompletedEventAttributes(_) => EventType::ChildWorkflowExecutionCompleted,
        A::ChildWorkflowExecutionFailedEventAttributes(_) => EventType::ChildWorkflowExecutionFailed,
        A::ChildWorkflowExecutionTimedOutEventAttributes(_) => EventType::ChildWorkflowExecutionTimedOut,
        A::ChildWorkflowExecutionCanceledEventAttributes(_) => EventType::ChildWorkflowExecutionCanceled,
        A::ChildWorkflowExecutionTerminatedEventAttributes(_) => EventType::ChildWorkflowExecutionTerminated,
        A::SignalExternalWorkflowExecutionInitiatedEventAttributes(_) => {
            EventType::SignalExternalWorkflowExecutionInitiated
        }
        A::SignalExternalWorkflowExecutionFailedEventAttributes(_) => {
            EventType::SignalExternalWorkflowExecutionFailed
        }
        A::ExternalWorkflowExecutionSignaledEventAttributes(_) => {
            EventType::ExternalWorkflowExecutionSignaled
        }
        A::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(_) => {
            EventType::RequestCancelExternalWorkflowExecutionInitiated
        }
        A::RequestCancelExternalWorkflowExecutionFailedEventAttributes(_) => {
            EventType::RequestCancelExternalWorkflowExecutionFailed
        }
        A::ExternalWorkflowExecutionCancelRequestedEventAttributes(_) => {
            EventType::ExternalWorkflowExecutionCancelRequested
        }
        A::WorkflowExecutionUpdateAdmittedEventAttributes(_) => EventType::WorkflowExecutionUpdateAdmitted,
        A::WorkflowExecutionUpdateAcceptedEventAttributes(_) => EventType::WorkflowExecutionUpdateAccepted,
        A::WorkflowExecutionUpdateCompletedEventAttributes(_) => EventType::WorkflowExecutionUpdateCompleted,
        _ => EventType::Unspecified,
    }
}
