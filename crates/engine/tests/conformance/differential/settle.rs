//! Waiting until an engine has done all that it does by itself, so that the next step finds the same on both.

use std::time::Duration;

use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, WorkflowExecutionStatus},
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::DescribeWorkflowExecutionResponse,
};

use super::runner::{HURRIED, SHORT, UNWANTED};

/// Whether something is still to happen to a run without anybody's doing.
pub(super) fn is_restless(described: &DescribeWorkflowExecutionResponse, history: &[HistoryEvent]) -> bool {
    let info = described.workflow_execution_info.as_ref();
    if info.is_none_or(|info| info.status() != WorkflowExecutionStatus::Running) {
        return false;
    }
    let waits_to_begin = !history
        .iter()
        .any(|event| event.event_type() == EventType::WorkflowTaskScheduled);
    let unwanted = described.pending_activities.iter().any(|activity| {
        let kind = activity
            .activity_type
            .as_ref()
            .map_or("", |kind| kind.name.as_str());
        kind == UNWANTED || kind == HURRIED && activity.last_started_time.is_some()
    });
    waits_to_begin || unwanted || has_short_timer(history) || times_out(history)
}

fn has_short_timer(history: &[HistoryEvent]) -> bool {
    let mut open = Vec::new();
    for event in history {
        match &event.attributes {
            Some(Attributes::TimerStartedEventAttributes(started)) if started.timer_id.starts_with(SHORT) => {
                open.push(started.timer_id.clone());
            }
            Some(Attributes::TimerFiredEventAttributes(fired)) => open.retain(|id| *id != fired.timer_id),
            Some(Attributes::TimerCanceledEventAttributes(canceled)) => {
                open.retain(|id| *id != canceled.timer_id)
            }
            _ => {}
        }
    }
    !open.is_empty()
}

/// Whether the run has so little time that it is not to be waited for.
fn times_out(history: &[HistoryEvent]) -> bool {
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) =
        history.first().and_then(|event| event.attributes.as_ref())
    else {
        return false;
    };
    let timeout = started.workflow_run_timeout.as_ref();
    timeout.is_some_and(|timeout| (1..60).contains(&timeout.seconds))
}

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(25);
