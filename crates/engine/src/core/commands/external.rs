//! `SignalExternalWorkflowExecution` and `RequestCancelExternalWorkflowExecution`.

use temporalio_protos::temporal::api::{
    command::v1::{
        RequestCancelExternalWorkflowExecutionCommandAttributes,
        SignalExternalWorkflowExecutionCommandAttributes,
    },
    common::v1::WorkflowExecution,
    enums::v1::WorkflowTaskFailedCause as Cause,
    history::v1::{
        RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
        SignalExternalWorkflowExecutionInitiatedEventAttributes, history_event::Attributes,
    },
};

use super::{CommandError, Context, check_count, ensure, size_of};
use crate::core::run::Message;

#[allow(
    deprecated,
    reason = "older clients still send these fields, and read them in events"
)]
pub(super) fn signal(
    context: &mut Context<'_>,
    command: SignalExternalWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    const COMMAND: &str = "SignalExternalWorkflowExecutionCommand";
    let bad = Cause::BadSignalWorkflowExecutionAttributes;
    let Some(target) = command.execution else {
        return Err(CommandError {
            cause: bad,
            message: format!("Execution is not set on {COMMAND}."),
        });
    };
    context.check_namespace(&command.namespace, bad)?;
    check_target(context, &target, COMMAND, bad)?;
    ensure(!command.signal_name.is_empty(), bad, || {
        format!(
            "SignalName is not set on {COMMAND}. WorkflowId={} Namespace={} RunId={}",
            target.workflow_id, command.namespace, target.run_id
        )
    })?;
    check_count(
        "pending signals to external workflows",
        context.run.state.outgoing_signals.len(),
        context.run.limits.pending_signals,
        Cause::PendingSignalsLimitExceeded,
    )?;
    let input = "SignalExternalWorkflowExecutionCommandAttributes.Input";
    context.check_size(input, size_of(command.input.as_ref()), bad)?;
    let initiated_event_id = context.append(
        Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(
            SignalExternalWorkflowExecutionInitiatedEventAttributes {
                workflow_task_completed_event_id: context.completed_event_id,
                namespace: command.namespace,
                namespace_id: context.surroundings.namespace_id.to_owned(),
                workflow_execution: Some(target),
                signal_name: command.signal_name,
                input: command.input,
                control: command.control,
                child_workflow_only: command.child_workflow_only,
                header: command.header,
            },
        ),
    );
    context.run.state.outgoing_signals.push(initiated_event_id);
    let message = Message::Signal { initiated_event_id };
    context.run.effects.messages.push(message);
    Ok(())
}

#[allow(
    deprecated,
    reason = "older clients still send these fields, and read them in events"
)]
pub(super) fn request_cancel(
    context: &mut Context<'_>,
    command: RequestCancelExternalWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    const COMMAND: &str = "RequestCancelExternalWorkflowExecutionCommand";
    let bad = Cause::BadRequestCancelExternalWorkflowExecutionAttributes;
    let target = WorkflowExecution {
        workflow_id: command.workflow_id,
        run_id: command.run_id,
    };
    context.check_namespace(&command.namespace, bad)?;
    check_target(context, &target, COMMAND, bad)?;
    let completed = context.completed_event_id;
    let state = &context.run.state;
    let is_started_with_it = state
        .children
        .iter()
        .any(|child| child.initiated_event_id > completed && child.workflow_id == target.workflow_id);
    ensure(!is_started_with_it, bad, || {
        format!(
            "Start and RequestCancel for child workflow is not allowed in same workflow task. WorkflowId={}",
            target.workflow_id
        )
    })?;
    check_count(
        "pending requests to cancel external workflows",
        state.outgoing_cancels.len(),
        context.run.limits.pending_cancels,
        Cause::PendingRequestCancelLimitExceeded,
    )?;
    let initiated_event_id = context.append(
        Attributes::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(
            RequestCancelExternalWorkflowExecutionInitiatedEventAttributes {
                workflow_task_completed_event_id: completed,
                namespace: command.namespace,
                namespace_id: context.surroundings.namespace_id.to_owned(),
                workflow_execution: Some(target),
                control: command.control,
                child_workflow_only: command.child_workflow_only,
                reason: command.reason,
            },
        ),
    );
    context.run.state.outgoing_cancels.push(initiated_event_id);
    let message = Message::RequestCancel { initiated_event_id };
    context.run.effects.messages.push(message);
    Ok(())
}

fn check_target(
    context: &Context<'_>,
    target: &WorkflowExecution,
    command: &str,
    cause: Cause,
) -> Result<(), CommandError> {
    let id = &target.workflow_id;
    ensure(!id.is_empty(), cause, || {
        format!("WorkflowId is not set on {command}. RunId={}", target.run_id)
    })?;
    let longest = context.run.limits.id_length;
    ensure(id.len() <= longest, cause, || {
        format!(
            "WorkflowId on {command} exceeds length limit. Length={} Limit={}",
            id.len(),
            longest
        )
    })?;
    let is_run_id = target.run_id.is_empty() || uuid::Uuid::try_parse(&target.run_id).is_ok();
    ensure(is_run_id, cause, || {
        format!(
            "Invalid RunId set on {command}. WorkflowId={id} RunId={}",
            target.run_id
        )
    })
}
