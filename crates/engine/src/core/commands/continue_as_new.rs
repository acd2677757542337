//! `ContinueAsNewWorkflowExecution`: this run closes, a fresh one of the same id goes on.

use temporalio_protos::temporal::api::{
    command::v1::ContinueAsNewWorkflowExecutionCommandAttributes,
    common::v1::WorkflowType,
    enums::v1::{ContinueAsNewInitiator, WorkflowExecutionStatus, WorkflowTaskFailedCause as Cause},
    history::v1::{WorkflowExecutionContinuedAsNewEventAttributes, history_event::Attributes},
};

use super::{CommandError, Context, ensure, size_of};
use crate::{
    clock::{Nanos, duration, nanos},
    core::{
        retry,
        start::{bounded_run_timeout, bounded_task_timeout},
        workflow_task::normal_queue,
    },
    cron,
};

/// What the command does not say is not carried over, except type, task queue, time-outs and
/// priority: whoever wants memo or search attributes kept repeats them, as the SDKs do.
pub(super) fn apply(
    context: &mut Context<'_>,
    mut command: ContinueAsNewWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    context.check_nothing_unseen()?;
    let bad = Cause::BadContinueAsNewAttributes;
    let refused = |message: String| CommandError { cause: bad, message };
    let length = |what: &str, given: Option<&prost_types::Duration>| -> Result<Nanos, CommandError> {
        let given = nanos(given);
        ensure(given >= 0, bad, || {
            format!("Invalid {what} on ContinueAsNewWorkflowExecutionCommand: negative duration.")
        })?;
        Ok(given)
    };
    let run_timeout = length("WorkflowRunTimeout", command.workflow_run_timeout.as_ref())?;
    let task_timeout = length("WorkflowTaskTimeout", command.workflow_task_timeout.as_ref())?;
    let delay = length("BackoffStartInterval", command.backoff_start_interval.as_ref())?;
    if let Some(policy) = &command.retry_policy {
        retry::check(policy).map_err(|message| {
            refused(format!(
                "invalid WorkflowRetryPolicy on ContinueAsNewWorkflowExecutionCommand: {message}"
            ))
        })?;
    }
    cron::check(&command.cron_schedule, context.now).map_err(refused)?;
    let input = "ContinueAsNewWorkflowExecutionCommandAttributes. Input";
    context.check_size(input, size_of(command.input.as_ref()), bad)?;
    let memo = "ContinueAsNewWorkflowExecutionCommandAttributes. Memo";
    context.check_size(memo, size_of(command.memo.as_ref()), bad)?;
    context.accept_attributes(command.search_attributes.as_mut())?;

    // The event repeats what was said, the new run what it means.
    let said = command.initiator;
    let initiator = match command.initiator() {
        ContinueAsNewInitiator::Unspecified => ContinueAsNewInitiator::Workflow,
        given => given,
    };
    let run = &mut *context.run;
    let mut next = run
        .successor(context.now, initiator, delay)
        .map_err(|error| refused(error.to_string()))?;
    if let Some(workflow_type) = command.workflow_type.filter(|given| !given.name.is_empty()) {
        next.workflow_type = workflow_type.name;
    }
    if let Some(queue) = command.task_queue.filter(|given| !given.name.is_empty()) {
        next.task_queue = queue.name;
    }
    if run_timeout > 0 {
        next.run_timeout = run_timeout;
    }
    if task_timeout > 0 {
        next.task_timeout = task_timeout;
    }
    next.run_timeout = bounded_run_timeout(next.run_timeout, next.execution_timeout);
    next.task_timeout = bounded_task_timeout(next.task_timeout, next.run_timeout);
    next.input = command.input;
    next.header = command.header;
    next.memo = command.memo;
    next.search_attributes = command.search_attributes;
    next.retry_policy = command
        .retry_policy
        .map(|policy| retry::with_defaults(Some(policy)));
    next.cron_schedule = command.cron_schedule;
    next.first_behavior = command.initial_versioning_behavior;
    next.last_completion_result = command.last_completion_result;
    next.continued_failure = command.failure;

    #[allow(deprecated, reason = "clients still read it")]
    let event = WorkflowExecutionContinuedAsNewEventAttributes {
        new_execution_run_id: next.run_id.clone(),
        workflow_type: Some(WorkflowType {
            name: next.workflow_type.clone(),
        }),
        task_queue: Some(normal_queue(&next.task_queue)),
        input: next.input.clone(),
        workflow_run_timeout: Some(duration(next.run_timeout)),
        workflow_task_timeout: Some(duration(next.task_timeout)),
        workflow_task_completed_event_id: context.completed_event_id,
        backoff_start_interval: command.backoff_start_interval,
        initiator: said,
        failure: next.continued_failure.clone(),
        last_completion_result: next.last_completion_result.clone(),
        header: next.header.clone(),
        memo: next.memo.clone(),
        search_attributes: next.search_attributes.clone(),
        ..Default::default()
    };
    run.continue_with(next);
    context.append(Attributes::WorkflowExecutionContinuedAsNewEventAttributes(event));
    context
        .run
        .close(context.now, WorkflowExecutionStatus::ContinuedAsNew);
    Ok(())
}
