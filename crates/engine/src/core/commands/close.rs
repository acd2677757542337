//! `CompleteWorkflowExecution`, `FailWorkflowExecution` and `CancelWorkflowExecution`.

use temporalio_protos::temporal::api::{
    command::v1::{
        CancelWorkflowExecutionCommandAttributes, CompleteWorkflowExecutionCommandAttributes,
        FailWorkflowExecutionCommandAttributes,
    },
    enums::v1::{WorkflowExecutionStatus, WorkflowTaskFailedCause as Cause},
    history::v1::{
        WorkflowExecutionCanceledEventAttributes, WorkflowExecutionCompletedEventAttributes,
        WorkflowExecutionFailedEventAttributes, history_event::Attributes,
    },
};

use super::{CommandError, Context, size_of};

pub(super) fn complete(
    context: &mut Context<'_>,
    command: CompleteWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    context.check_nothing_unseen()?;
    context.check_size(
        "CompleteWorkflowExecutionCommandAttributes.Result",
        size_of(command.result.as_ref()),
        Cause::BadCompleteWorkflowExecutionAttributes,
    )?;
    let new_execution_run_id = if context.run.state.cron_schedule.is_empty() {
        String::new()
    } else {
        context.run.go_on_by_cron(context.now, Ok(command.result.clone()))
    };
    context.append(Attributes::WorkflowExecutionCompletedEventAttributes(
        WorkflowExecutionCompletedEventAttributes {
            result: command.result,
            workflow_task_completed_event_id: context.completed_event_id,
            new_execution_run_id,
        },
    ));
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
    context.check_size(
        "FailWorkflowExecutionCommandAttributes.Failure",
        size_of(Some(&failure)),
        Cause::BadFailWorkflowExecutionAttributes,
    )?;
    let (retry_state, new_execution_run_id) = context.run.go_on_after_failure(context.now, failure.clone());
    context.append(Attributes::WorkflowExecutionFailedEventAttributes(
        WorkflowExecutionFailedEventAttributes {
            failure: Some(failure),
            retry_state: retry_state as i32,
            workflow_task_completed_event_id: context.completed_event_id,
            new_execution_run_id,
        },
    ));
    context.run.close(context.now, WorkflowExecutionStatus::Failed);
    Ok(())
}

pub(super) fn cancel(
    context: &mut Context<'_>,
    command: CancelWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    context.check_nothing_unseen()?;
    context.append(Attributes::WorkflowExecutionCanceledEventAttributes(
        WorkflowExecutionCanceledEventAttributes {
            workflow_task_completed_event_id: context.completed_event_id,
            details: command.details,
        },
    ));
    context.run.close(context.now, WorkflowExecutionStatus::Canceled);
    Ok(())
}
