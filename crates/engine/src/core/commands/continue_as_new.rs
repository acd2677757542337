//! `ContinueAsNewWorkflowExecution`: this run closes, a fresh one of the same id goes on.

use temporalio_protos::temporal::api::{
    command::v1::ContinueAsNewWorkflowExecutionCommandAttributes,
    enums::v1::{ContinueAsNewInitiator, WorkflowExecutionStatus, WorkflowTaskFailedCause as Cause},
    history::v1::{WorkflowExecutionContinuedAsNewEventAttributes, history_event::Attributes},
};

use super::{CommandError, Context, ensure};
use crate::{
    clock::{duration, nanos},
    core::{retry, workflow_task::normal_queue},
};

pub(super) fn apply(
    context: &mut Context<'_>,
    command: ContinueAsNewWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    context.check_nothing_unseen()?;
    let bad = Cause::BadContinueAsNewAttributes;
    ensure(command.cron_schedule.is_empty(), Cause::FeatureDisabled, || {
        "this engine does not implement cron schedules of workflows".into()
    })?;
    context.check_attributes(command.search_attributes.as_ref())?;
    if let Some(policy) = &command.retry_policy {
        retry::check(policy).map_err(|message| CommandError { cause: bad, message })?;
    }
    let run = &mut *context.run;
    let mut next = run
        .successor(ContinueAsNewInitiator::Workflow, 1)
        .map_err(|error| CommandError {
            cause: bad,
            message: error.to_string(),
        })?;

    if let Some(workflow_type) = command.workflow_type.filter(|given| !given.name.is_empty()) {
        next.workflow_type = workflow_type.name;
    }
    if let Some(queue) = command.task_queue.filter(|given| !given.name.is_empty()) {
        next.task_queue = queue.name;
    }
    let run_timeout = nanos(command.workflow_run_timeout.as_ref());
    if run_timeout > 0 {
        next.run_timeout = run_timeout;
    }
    let task_timeout = nanos(command.workflow_task_timeout.as_ref());
    if task_timeout > 0 {
        next.task_timeout = task_timeout;
    }
    next.input = command.input;
    next.header = command.header;
    next.memo = command.memo.or(next.memo);
    next.search_attributes = command.search_attributes.or(next.search_attributes);
    next.retry_policy = command
        .retry_policy
        .map(|policy| retry::with_defaults(Some(policy)));
    next.last_completion_result = command.last_completion_result.or(next.last_completion_result);
    next.first_task_delay = nanos(command.backoff_start_interval.as_ref()).max(0);

    let event = WorkflowExecutionContinuedAsNewEventAttributes {
        new_execution_run_id: next.run_id.clone(),
        workflow_type: Some(temporalio_protos::temporal::api::common::v1::WorkflowType {
            name: next.workflow_type.clone(),
        }),
        task_queue: Some(normal_queue(&next.task_queue)),
        input: next.input.clone(),
        workflow_run_timeout: Some(duration(next.run_timeout)),
        workflow_task_timeout: Some(duration(next.task_timeout)),
        workflow_task_completed_event_id: context.completed_event_id,
        backoff_start_interval: Some(duration(next.first_task_delay)),
        initiator: ContinueAsNewInitiator::Workflow as i32,
        last_completion_result: next.last_completion_result.clone(),
        header: next.header.clone(),
        memo: next.memo.clone(),
        search_attributes: next.search_attributes.clone(),
        ..Default::default()
    };
    run.continue_with(next);
    run.append(
        context.now,
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(event),
    );
    run.close(context.now, WorkflowExecutionStatus::ContinuedAsNew);
    Ok(())
}
