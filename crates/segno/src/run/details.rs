//! What a history event says, as JSON that people can read.

use serde_json::{Map, Value, json};
use temporalio_common::protos::temporal::api::{
    common::v1::{Memo, Payload, Payloads, RetryPolicy, SearchAttributes, WorkflowExecution},
    enums::v1::WorkflowTaskFailedCause,
    failure::v1::Failure as ProtoFailure,
    history::v1::history_event::Attributes,
    update::v1::outcome,
};

use super::{failure::Failure, payload::value};

/// The details of a history event under Temporal's names, Payloads decoded. What is empty is left out, and so is what
/// matters to SDKs alone (headers, versions, sequence numbers).
pub(crate) fn event_details(attributes: Attributes) -> Value {
    let told = tell(attributes);
    match told {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, value)| says(value)).collect()),
        other => other,
    }
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn tell(attributes: Attributes) -> Value {
    match attributes {
        Attributes::WorkflowExecutionStartedEventAttributes(a) => json!({
            "workflow_type": a.workflow_type.unwrap_or_default().name,
            "task_queue": a.task_queue.unwrap_or_default().name,
            "input": value(a.input),
            "parent": a.parent_workflow_execution.map(execution),
            "continued_execution_run_id": a.continued_execution_run_id,
            "first_execution_run_id": a.first_execution_run_id,
            "attempt": a.attempt,
            "cron_schedule": a.cron_schedule,
            "first_workflow_task_backoff": seconds(a.first_workflow_task_backoff),
            "workflow_execution_timeout": seconds(a.workflow_execution_timeout),
            "workflow_run_timeout": seconds(a.workflow_run_timeout),
            "retry_policy": a.retry_policy.map(retry),
            "memo": a.memo.map(memo),
            "search_attributes": a.search_attributes.map(search_attributes),
            "identity": a.identity,
        }),
        Attributes::WorkflowExecutionCompletedEventAttributes(a) => json!({
            "result": value(a.result), "new_execution_run_id": a.new_execution_run_id,
        }),
        Attributes::WorkflowExecutionFailedEventAttributes(a) => json!({
            "failure": failure(a.failure), "new_execution_run_id": a.new_execution_run_id,
        }),
        Attributes::WorkflowExecutionTimedOutEventAttributes(a) => {
            json!({ "new_execution_run_id": a.new_execution_run_id })
        }
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(a) => json!({
            "new_execution_run_id": a.new_execution_run_id,
            "workflow_type": a.workflow_type.unwrap_or_default().name,
            "input": value(a.input),
            "backoff_start_interval": seconds(a.backoff_start_interval),
        }),
        Attributes::WorkflowExecutionCanceledEventAttributes(a) => json!({ "details": value(a.details) }),
        Attributes::WorkflowExecutionTerminatedEventAttributes(a) => json!({
            "reason": a.reason, "details": value(a.details), "identity": a.identity,
        }),
        Attributes::WorkflowExecutionCancelRequestedEventAttributes(a) => json!({
            "cause": a.cause, "identity": a.identity, "by": a.external_workflow_execution.map(execution),
        }),
        Attributes::WorkflowExecutionSignaledEventAttributes(a) => json!({
            "signal_name": a.signal_name,
            "input": value(a.input),
            "identity": a.identity,
            "by": a.external_workflow_execution.map(execution),
        }),
        Attributes::WorkflowExecutionPausedEventAttributes(a) => {
            json!({ "reason": a.reason, "identity": a.identity })
        }
        Attributes::WorkflowExecutionUnpausedEventAttributes(a) => {
            json!({ "reason": a.reason, "identity": a.identity })
        }
        Attributes::MarkerRecordedEventAttributes(a) => {
            let details: Map<_, _> = a
                .details
                .into_iter()
                .map(|(name, payloads)| (name, value(Some(payloads))))
                .collect();
            json!({ "marker_name": a.marker_name, "details": details, "failure": failure(a.failure) })
        }
        Attributes::UpsertWorkflowSearchAttributesEventAttributes(a) => {
            json!({ "search_attributes": a.search_attributes.map(search_attributes) })
        }
        Attributes::WorkflowPropertiesModifiedEventAttributes(a) => {
            json!({ "upserted_memo": a.upserted_memo.map(memo) })
        }
        other => tasks(other),
    }
}

/// Workflow tasks, activities and timers.
fn tasks(attributes: Attributes) -> Value {
    match attributes {
        Attributes::WorkflowTaskScheduledEventAttributes(a) => json!({
            "task_queue": a.task_queue.unwrap_or_default().name, "attempt": a.attempt,
        }),
        Attributes::WorkflowTaskStartedEventAttributes(a) => json!({
            "scheduled_event_id": a.scheduled_event_id, "identity": a.identity,
            "history_size_bytes": a.history_size_bytes,
        }),
        Attributes::WorkflowTaskCompletedEventAttributes(a) => json!({
            "scheduled_event_id": a.scheduled_event_id, "started_event_id": a.started_event_id,
            "identity": a.identity,
        }),
        Attributes::WorkflowTaskTimedOutEventAttributes(a) => json!({
            "scheduled_event_id": a.scheduled_event_id, "started_event_id": a.started_event_id,
        }),
        Attributes::WorkflowTaskFailedEventAttributes(a) => {
            let cause = WorkflowTaskFailedCause::try_from(a.cause).unwrap_or_default();
            let cause = cause.as_str_name();
            json!({
                "scheduled_event_id": a.scheduled_event_id,
                "started_event_id": a.started_event_id,
                "cause": cause.strip_prefix("WORKFLOW_TASK_FAILED_CAUSE_").unwrap_or(cause),
                "failure": failure(a.failure),
                "base_run_id": a.base_run_id,
                "new_run_id": a.new_run_id,
                "identity": a.identity,
            })
        }
        Attributes::ActivityTaskScheduledEventAttributes(a) => json!({
            "activity_id": a.activity_id,
            "activity_type": a.activity_type.unwrap_or_default().name,
            "task_queue": a.task_queue.unwrap_or_default().name,
            "input": value(a.input),
            "schedule_to_close_timeout": seconds(a.schedule_to_close_timeout),
            "start_to_close_timeout": seconds(a.start_to_close_timeout),
            "heartbeat_timeout": seconds(a.heartbeat_timeout),
            "retry_policy": a.retry_policy.map(retry),
        }),
        Attributes::ActivityTaskStartedEventAttributes(a) => json!({
            "scheduled_event_id": a.scheduled_event_id, "attempt": a.attempt, "identity": a.identity,
            "last_failure": failure(a.last_failure),
        }),
        Attributes::ActivityTaskCompletedEventAttributes(a) => json!({
            "scheduled_event_id": a.scheduled_event_id, "started_event_id": a.started_event_id,
            "result": value(a.result), "identity": a.identity,
        }),
        Attributes::ActivityTaskFailedEventAttributes(a) => json!({
            "scheduled_event_id": a.scheduled_event_id, "started_event_id": a.started_event_id,
            "failure": failure(a.failure), "identity": a.identity,
        }),
        Attributes::ActivityTaskTimedOutEventAttributes(a) => json!({
            "scheduled_event_id": a.scheduled_event_id, "started_event_id": a.started_event_id,
            "failure": failure(a.failure),
        }),
        Attributes::ActivityTaskCancelRequestedEventAttributes(a) => {
            json!({ "scheduled_event_id": a.scheduled_event_id })
        }
        Attributes::ActivityTaskCanceledEventAttributes(a) => json!({
            "scheduled_event_id": a.scheduled_event_id, "started_event_id": a.started_event_id,
            "details": value(a.details), "identity": a.identity,
        }),
        Attributes::TimerStartedEventAttributes(a) => json!({
            "timer_id": a.timer_id, "start_to_fire_timeout": seconds(a.start_to_fire_timeout),
        }),
        Attributes::TimerFiredEventAttributes(a) => json!({
            "timer_id": a.timer_id, "started_event_id": a.started_event_id,
        }),
        Attributes::TimerCanceledEventAttributes(a) => json!({
            "timer_id": a.timer_id, "started_event_id": a.started_event_id,
        }),
        other => others(other),
    }
}

/// Other executions, and updates.
fn others(attributes: Attributes) -> Value {
    match attributes {
        Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(a) => json!({
            "workflow_id": a.workflow_id,
            "workflow_type": a.workflow_type.unwrap_or_default().name,
            "task_queue": a.task_queue.unwrap_or_default().name,
            "input": value(a.input),
        }),
        Attributes::StartChildWorkflowExecutionFailedEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "workflow_id": a.workflow_id,
            "workflow_type": a.workflow_type.unwrap_or_default().name,
        }),
        Attributes::ChildWorkflowExecutionStartedEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "execution": a.workflow_execution.map(execution),
        }),
        Attributes::ChildWorkflowExecutionCompletedEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "started_event_id": a.started_event_id,
            "execution": a.workflow_execution.map(execution), "result": value(a.result),
        }),
        Attributes::ChildWorkflowExecutionFailedEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "started_event_id": a.started_event_id,
            "execution": a.workflow_execution.map(execution), "failure": failure(a.failure),
        }),
        Attributes::ChildWorkflowExecutionCanceledEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "started_event_id": a.started_event_id,
            "execution": a.workflow_execution.map(execution), "details": value(a.details),
        }),
        Attributes::ChildWorkflowExecutionTimedOutEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "started_event_id": a.started_event_id,
            "execution": a.workflow_execution.map(execution),
        }),
        Attributes::ChildWorkflowExecutionTerminatedEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "started_event_id": a.started_event_id,
            "execution": a.workflow_execution.map(execution),
        }),
        Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(a) => json!({
            "signal_name": a.signal_name, "input": value(a.input),
            "execution": a.workflow_execution.map(execution),
        }),
        Attributes::SignalExternalWorkflowExecutionFailedEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "execution": a.workflow_execution.map(execution),
        }),
        Attributes::ExternalWorkflowExecutionSignaledEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "execution": a.workflow_execution.map(execution),
        }),
        Attributes::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(a) => json!({
            "execution": a.workflow_execution.map(execution), "reason": a.reason,
        }),
        Attributes::RequestCancelExternalWorkflowExecutionFailedEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "execution": a.workflow_execution.map(execution),
        }),
        Attributes::ExternalWorkflowExecutionCancelRequestedEventAttributes(a) => json!({
            "initiated_event_id": a.initiated_event_id, "execution": a.workflow_execution.map(execution),
        }),
        Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(a) => {
            let request = a.accepted_request.unwrap_or_default();
            let input = request.input.unwrap_or_default();
            json!({
                "update_id": request.meta.unwrap_or_default().update_id,
                "name": input.name,
                "input": value(input.args),
            })
        }
        Attributes::WorkflowExecutionUpdateCompletedEventAttributes(a) => {
            let told = match a.outcome.and_then(|outcome| outcome.value) {
                Some(outcome::Value::Success(result)) => json!({ "result": value(Some(result)) }),
                Some(outcome::Value::Failure(told)) => json!({ "failure": failure(Some(told)) }),
                None => Value::Null,
            };
            json!({
                "update_id": a.meta.unwrap_or_default().update_id,
                "accepted_event_id": a.accepted_event_id,
                "outcome": told,
            })
        }
        // Nothing in them is for people.
        _ => json!({}),
    }
}

fn execution(execution: WorkflowExecution) -> Value {
    json!({ "workflow_id": execution.workflow_id, "run_id": execution.run_id })
}

fn failure(failure: Option<ProtoFailure>) -> Value {
    failure
        .map(Failure::of)
        .and_then(|failure| serde_json::to_value(failure).ok())
        .unwrap_or_default()
}

/// A duration in seconds; none where there is none.
fn seconds(duration: Option<prost_types::Duration>) -> Option<f64> {
    let duration = std::time::Duration::try_from(duration?).ok()?;
    (!duration.is_zero()).then_some(duration.as_secs_f64())
}

fn retry(policy: RetryPolicy) -> Value {
    json!({
        "initial_interval": seconds(policy.initial_interval),
        "backoff_coefficient": policy.backoff_coefficient,
        "maximum_interval": seconds(policy.maximum_interval),
        "maximum_attempts": policy.maximum_attempts,
    })
}

fn decoded(fields: impl IntoIterator<Item = (String, Payload)>) -> Map<String, Value> {
    let one = |payload| {
        value(Some(Payloads {
            payloads: vec![payload],
        }))
    };
    fields
        .into_iter()
        .map(|(name, payload)| (name, one(payload)))
        .collect()
}

/// A memo by its names.
pub(crate) fn memo(memo: Memo) -> Map<String, Value> {
    decoded(memo.fields)
}

/// Search attributes by their names.
pub(crate) fn search_attributes(attributes: SearchAttributes) -> Map<String, Value> {
    decoded(attributes.indexed_fields)
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::history::v1::{
        ActivityTaskStartedEventAttributes, TimerStartedEventAttributes,
    };

    use super::*;

    #[test]
    fn what_is_empty_is_left_out() {
        let started = ActivityTaskStartedEventAttributes {
            scheduled_event_id: 5,
            attempt: 2,
            ..Default::default()
        };
        let told = event_details(Attributes::ActivityTaskStartedEventAttributes(started));
        assert_eq!(told, json!({ "scheduled_event_id": 5, "attempt": 2 }));
    }

    #[test]
    fn durations_are_seconds() {
        let started = TimerStartedEventAttributes {
            timer_id: "1".into(),
            start_to_fire_timeout: Some(prost_types::Duration {
                seconds: 1,
                nanos: 500_000_000,
            }),
            ..Default::default()
        };
        let told = event_details(Attributes::TimerStartedEventAttributes(started));
        assert_eq!(told, json!({ "timer_id": "1", "start_to_fire_timeout": 1.5 }));
    }
}
