//! `CompleteWorkflowExecution`, `FailWorkflowExecution` and `CancelWorkflowExecution`.

use temporalio_protos::temporal::api::{
    command::v1::{
        CancelWorkflowExecutionCommandAttributes, CompleteWorkflowExecutionCommandAttributes,
        FailWorkflowExecutionCommandAttributes,
    },
    enums::v1::{RetryState, WorkflowExecutionStatus, WorkflowTaskFailedCause as Cause},
    history::v1::{
        WorkflowExecutionCanceledEventAttributes, WorkflowExecutionCompletedEventAttributes,
        WorkflowExecutionFailedEventAttributes, history_event::Attributes,
    },
};

use super::{CommandError, Context};

pub(super) fn complete(
    context: &mut Context<'_>,
    command: CompleteWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    context.check_nothing_unseen()?;
    context.run.append(
        context.now,
        Attributes::WorkflowExecutionCompletedEventAttributes(WorkflowExecutionCompletedEventAttributes {
            result: command.result,
            workflow_task_completed_event_id: context.completed_event_id,
            new_execution_run_id: String::new(),
        }),
    );
    context.run.close(context.now, WorkflowExecutionStatus::Completed);
    Ok(())
}

pub(super) fn fail(
    context: &mut Context<'_>,
    command: FailWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    context.check_nothing_unseen()?;
    let failure = command.failure.ok_or_else(|| CommandError {
        cause: Cause::BadFailWorkflowExecutionAttributes,
        message: "Failure is not set on FailWorkflowExecutionCommand.".into(),
    })?;
    let retry = context.run.retry_run(context.now, failure.clone());
    context.run.append(
        context.now,
        Attributes::WorkflowExecutionFailedEventAttributes(WorkflowExecutionFailedEventAttributes {
            failure: Some(failure),
            retry_state: retry
                .as_ref()
                .err()
                .map_or(RetryState::InProgress, |state| *state) as i32,
            workflow_task_completed_event_id: context.completed_event_id,
            new_execution_run_id: retry.unwrap_or_default(),
        }),
    );
    context.run.close(context.now, WorkflowExecutionStatus::Failed);
    Ok(())
}

pub(super) fn cancel(
    context: &mut Context<'_>,
    command: CancelWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    context.check_nothing_unseen()?;
    context.run.append(
        context.now,
        Attributes::WorkflowExecutionCanceledEventAttributes(WorkflowExecutionCanceledEventAttributes {
            workflow_task_completed_event_id: context.completed_event_id,
            details: command.details,
        }),
    );
    context.run.close(context.now, WorkflowExecutionStatus::Canceled);
    Ok(())
}
