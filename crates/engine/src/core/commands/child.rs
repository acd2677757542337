//! `StartChildWorkflowExecution`.

use temporalio_protos::temporal::api::{
    command::v1::StartChildWorkflowExecutionCommandAttributes,
    enums::v1::{ParentClosePolicy, WorkflowIdReusePolicy, WorkflowTaskFailedCause as Cause},
    history::v1::{StartChildWorkflowExecutionInitiatedEventAttributes, history_event::Attributes},
};

use super::{CommandError, Context, check_count, ensure, size_of};
use crate::{
    clock::{Nanos, duration, duration_opt, nanos},
    core::{
        retry,
        run::Message,
        start::{bounded_run_timeout, bounded_task_timeout},
        state::Child,
        versioning::checked_override,
        workflow_task::normal_queue,
    },
    cron,
};

#[allow(
    deprecated,
    reason = "older clients still send these fields, and read them in events"
)]
pub(super) fn start(
    context: &mut Context<'_>,
    mut command: StartChildWorkflowExecutionCommandAttributes,
) -> Result<(), CommandError> {
    let bad = Cause::BadStartChildExecutionAttributes;
    let id = command.workflow_id.clone();
    let workflow_type = command.workflow_type.clone().unwrap_or_default().name;
    context.check_namespace(&command.namespace, bad)?;
    let namespace = context.surroundings.namespace;
    ensure(!id.is_empty(), bad, || {
        format!(
            "Required field WorkflowId is not set on StartChildWorkflowExecutionCommand. WorkflowType={workflow_type} Namespace={namespace}"
        )
    })?;
    ensure(!workflow_type.is_empty(), bad, || {
        format!(
            "Required field WorkflowType is not set on StartChildWorkflowExecutionCommand. WorkflowId={id} Namespace={namespace}"
        )
    })?;
    let longest = context.run.limits.id_length;
    for (what, value) in [("WorkflowId", &id), ("WorkflowType", &workflow_type)] {
        ensure(value.len() <= longest, bad, || {
            format!(
                "{what} on StartChildWorkflowExecutionCommand exceeds length limit. Length={} Limit={}",
                value.len(),
                longest
            )
        })?;
    }
    let timeout = |what: &str, given: Option<&prost_types::Duration>| -> Result<Nanos, CommandError> {
        let given = nanos(given);
        ensure(given >= 0, bad, || {
            format!(
                "Invalid {what} on StartChildWorkflowExecutionCommand: negative duration. WorkflowId={id} WorkflowType={workflow_type} Namespace={namespace}"
            )
        })?;
        Ok(given)
    };
    let execution_timeout = timeout(
        "WorkflowExecutionTimeout",
        command.workflow_execution_timeout.as_ref(),
    )?;
    let run_timeout = timeout("WorkflowRunTimeout", command.workflow_run_timeout.as_ref())?;
    let task_timeout = timeout("WorkflowTaskTimeout", command.workflow_task_timeout.as_ref())?;
    if let Some(policy) = &command.retry_policy {
        retry::check(policy).map_err(|message| CommandError {
            cause: bad,
            message: format!(
                "invalid WorkflowRetryPolicy on StartChildWorkflowExecutionCommand: {message}. WorkflowId={id} WorkflowType={workflow_type} Namespace={namespace}"
            ),
        })?;
    }
    cron::check(&command.cron_schedule, context.now).map_err(|message| CommandError {
        cause: bad,
        message: format!(
            "invalid CronSchedule on StartChildWorkflowExecutionCommand: {message}. WorkflowId={id} WorkflowType={workflow_type} Namespace={namespace}"
        ),
    })?;
    let given = command.versioning_override.take();
    let versioning_override = given
        .map(checked_override)
        .transpose()
        .map_err(|error| CommandError {
            cause: bad,
            message: error.to_string(),
        })?;
    context.accept_attributes(command.search_attributes.as_mut())?;
    let input = "StartChildWorkflowExecutionCommandAttributes. Input";
    context.check_size(input, size_of(command.input.as_ref()), bad)?;
    let memo = "StartChildWorkflowExecutionCommandAttributes.Memo";
    context.check_size(memo, size_of(command.memo.as_ref()), bad)?;
    check_count(
        "pending child workflow executions",
        context.run.state.children.len(),
        context.run.limits.pending_children,
        Cause::PendingChildWorkflowsLimitExceeded,
    )?;

    let parent_close_policy = match command.parent_close_policy() {
        ParentClosePolicy::Unspecified => ParentClosePolicy::Terminate,
        given => given,
    };
    let reuse = match command.workflow_id_reuse_policy() {
        WorkflowIdReusePolicy::Unspecified => WorkflowIdReusePolicy::AllowDuplicate,
        given => given,
    };
    let task_queue = match command.task_queue {
        Some(queue) if !queue.name.is_empty() => queue.name,
        _ => context.run.state.task_queue.clone(),
    };
    let run_timeout = bounded_run_timeout(run_timeout, execution_timeout);
    let initiated = StartChildWorkflowExecutionInitiatedEventAttributes {
        namespace: context.surroundings.namespace.to_owned(),
        namespace_id: context.surroundings.namespace_id.to_owned(),
        workflow_id: command.workflow_id,
        workflow_type: command.workflow_type,
        task_queue: Some(normal_queue(&task_queue)),
        input: command.input,
        workflow_execution_timeout: duration_opt(execution_timeout),
        workflow_run_timeout: Some(duration(run_timeout)),
        workflow_task_timeout: Some(duration(bounded_task_timeout(task_timeout, run_timeout))),
        parent_close_policy: parent_close_policy as i32,
        control: command.control,
        workflow_task_completed_event_id: context.completed_event_id,
        workflow_id_reuse_policy: reuse as i32,
        retry_policy: command
            .retry_policy
            .map(|policy| retry::with_defaults(Some(policy))),
        cron_schedule: command.cron_schedule,
        header: command.header,
        memo: command.memo,
        search_attributes: command.search_attributes,
        inherit_build_id: command.inherit_build_id,
        priority: command.priority,
        versioning_override,
        ..Default::default()
    };
    let initiated_event_id = context.append(Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(
        initiated,
    ));
    context.run.state.children.push(Child {
        initiated_event_id,
        workflow_id: id,
        parent_close_policy: parent_close_policy as i32,
        ..Default::default()
    });
    let message = Message::StartChild { initiated_event_id };
    context.run.effects.messages.push(message);
    Ok(())
}
