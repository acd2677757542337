//! The end of a run that another follows, for clients that do not look for the follower in it.
//!
//! A run of a cron schedule or a retry policy ends with its own outcome, and names the run that
//! follows. Clients from before that was so know only one event that names another run,
//! continued-as-new; so this is what a client is told that does not say by the header
//! `supported-features` that it knows better. The SDKs for TypeScript and Python do not say so.

use temporalio_protos::temporal::api::{
    enums::v1::EventType,
    failure::v1::Failure,
    history::v1::{HistoryEvent, WorkflowExecutionContinuedAsNewEventAttributes, history_event::Attributes},
};

use crate::core::workflow_timed_out;

/// The event that closed a run, as an old client is told of it.
pub(super) fn for_old_client(event: &HistoryEvent) -> HistoryEvent {
    let followed = match event.attributes.as_ref() {
        Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => {
            let mut followed = followed_by(&completed.new_execution_run_id, None);
            followed.last_completion_result.clone_from(&completed.result);
            followed
        }
        Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) => {
            followed_by(&failed.new_execution_run_id, failed.failure.clone())
        }
        Some(Attributes::WorkflowExecutionTimedOutEventAttributes(timed_out)) => {
            followed_by(&timed_out.new_execution_run_id, Some(workflow_timed_out()))
        }
        _ => return event.clone(),
    };
    if followed.new_execution_run_id.is_empty() {
        return event.clone();
    }
    HistoryEvent {
        event_type: EventType::WorkflowExecutionContinuedAsNew as i32,
        attributes: Some(Attributes::WorkflowExecutionContinuedAsNewEventAttributes(
            followed,
        )),
        ..event.clone()
    }
}

#[allow(deprecated, reason = "old clients are told the failure in it")]
fn followed_by(run_id: &str, failure: Option<Failure>) -> WorkflowExecutionContinuedAsNewEventAttributes {
    WorkflowExecutionContinuedAsNewEventAttributes {
        new_execution_run_id: run_id.to_owned(),
        failure,
        ..Default::default()
    }
}
