//! What a batch operation does to one execution.
#![allow(deprecated, reason = "older clients say it so")]

use rand::Rng as _;
use temporalio_protos::temporal::api::{
    batch::v1::{
        BatchOperationReset, batch_operation_reset_activities, batch_operation_unpause_activities,
        batch_operation_update_activity_options,
    },
    common::v1::{ResetOptions, WorkflowExecution, reset_options::Target},
    enums::v1::ResetType,
    workflowservice::v1::{StartBatchOperationRequest, start_batch_operation_request::Operation},
};

use super::{Host, batch_operations::is_of_activities};
use crate::{
    clock::{Nanos, nanos},
    core::{
        ActivityReset, ActivitySelection, ActivityUnpause, CancelRequest, EndRequest, OptionsChange,
        OptionsUpdate, Reapply, Reset, ResetTarget, Run, RunKey, Signal, changes_after_reset, new_run_id,
    },
    rpc::RpcError,
};

impl Host {
    pub(super) fn batch_one(
        &mut self,
        namespace: u32,
        execution: &WorkflowExecution,
        request: &StartBatchOperationRequest,
    ) -> Result<(), RpcError> {
        if is_of_activities(request.operation.as_ref()) {
            return self.batch_activity(namespace, execution, request);
        }
        let key = self.find(namespace, execution)?;
        // The same for the same run, so that it is signaled once.
        let request_id = || format!("{}/{}", request.job_id, execution.run_id);
        match &request.operation {
            Some(Operation::TerminationOperation(operation)) => self.change(key, |run, now| {
                let details = operation.details.clone();
                run.terminate(now, request.reason.clone(), details, operation.identity.clone())
            }),
            Some(Operation::CancellationOperation(operation)) => {
                let cancel = CancelRequest {
                    // Temporal keeps the reason with the operation alone.
                    cause: String::new(),
                    identity: operation.identity.clone(),
                    request_id: request_id(),
                    sender: None,
                    links: Vec::new(),
                };
                self.change(key, |run, now| {
                    run.request_cancel(now, cancel);
                    Ok(())
                })
            }
            Some(Operation::SignalOperation(operation)) => {
                let signal = Signal {
                    name: operation.signal.clone(),
                    input: operation.input.clone(),
                    header: operation.header.clone(),
                    identity: operation.identity.clone(),
                    request_id: request_id(),
                    sender: None,
                    links: Vec::new(),
                };
                self.change(key, |run, now| run.signal(now, signal))
            }
            Some(Operation::DeletionOperation(_)) => self.delete(key),
            Some(Operation::ResetOperation(operation)) => {
                self.batch_reset(namespace, execution, operation, &request.reason)
            }
            Some(Operation::UpdateWorkflowOptionsOperation(operation)) => {
                let paths = operation.update_mask.clone().unwrap_or_default().paths;
                let options = operation.workflow_execution_options.clone().unwrap_or_default();
                let change = OptionsChange::new(&paths, options, operation.identity.clone())?;
                self.change_options(key, change).map(drop)
            }
            Some(Operation::UnpauseActivitiesOperation(operation)) => {
                use batch_operation_unpause_activities::Activity;
                let selection = match operation.activity.clone() {
                    Some(Activity::Type(name)) => ActivitySelection::Type(name),
                    Some(Activity::MatchAll(_)) | None => ActivitySelection::All,
                };
                let how = ActivityUnpause {
                    reset_attempts: operation.reset_attempts,
                    reset_heartbeat: operation.reset_heartbeat,
                    ..Default::default()
                };
                let jitter = nanos(operation.jitter.as_ref());
                self.each_activity(key, &selection, |run, now, id| {
                    let delay = part_of(jitter);
                    run.unpause_activity(now, id, ActivityUnpause { delay, ..how });
                    Ok(())
                })
            }
            Some(Operation::ResetActivitiesOperation(operation)) => {
                use batch_operation_reset_activities::Activity;
                let selection = match operation.activity.clone() {
                    Some(Activity::Type(name)) => ActivitySelection::Type(name),
                    Some(Activity::MatchAll(_)) | None => ActivitySelection::All,
                };
                let how = ActivityReset {
                    reset_heartbeat: operation.reset_heartbeat,
                    keep_paused: operation.keep_paused,
                    restore_options: operation.restore_original_options,
                    ..Default::default()
                };
                let jitter = nanos(operation.jitter.as_ref());
                self.each_activity(key, &selection, |run, now, id| {
                    let delay = part_of(jitter);
                    run.reset_activity(now, id, ActivityReset { delay, ..how })
                })
            }
            Some(Operation::UpdateActivityOptionsOperation(operation)) => {
                use batch_operation_update_activity_options::Activity;
                let selection = match operation.activity.clone() {
                    Some(Activity::Type(name)) => ActivitySelection::Type(name),
                    Some(Activity::MatchAll(_)) | None => ActivitySelection::All,
                };
                let update = OptionsUpdate::new(
                    operation.restore_original,
                    operation.activity_options.clone(),
                    operation.update_mask.clone(),
                )?;
                self.each_activity(key, &selection, |run, now, id| {
                    run.update_activity_options(now, id, update.clone()).map(drop)
                })
            }
            _ => Err(RpcError::Unimplemented(
                "this engine does not implement this batch operation".into(),
            )),
        }
    }

    /// What is done to a standalone activity. In `execution`, its id is where a workflow's would be.
    fn batch_activity(
        &mut self,
        namespace: u32,
        execution: &WorkflowExecution,
        request: &StartBatchOperationRequest,
    ) -> Result<(), RpcError> {
        let key = self.find_activity(namespace, &execution.workflow_id, &execution.run_id)?;
        let end = |identity: &str, reason: &str| EndRequest {
            request_id: format!("{}/{}", request.job_id, execution.run_id),
            identity: identity.to_owned(),
            reason: reason.to_owned(),
        };
        match &request.operation {
            Some(Operation::CancelActivitiesOperation(operation)) => {
                let end = end(&operation.identity, &operation.reason);
                self.change(key, |run, now| run.request_cancel_standalone(now, end))
            }
            Some(Operation::TerminateActivitiesOperation(operation)) => {
                let end = end(&operation.identity, &operation.reason);
                self.change(key, |run, now| run.terminate_standalone(now, end))
            }
            _ => self.delete_standalone(key),
        }
    }

    /// Does `each` to the selected activities of a run, up to the first that refuses.
    fn each_activity(
        &mut self,
        key: RunKey,
        selection: &ActivitySelection,
        mut each: impl FnMut(&mut Run, Nanos, i64) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        for id in self.run(key)?.select_activities(selection)? {
            self.change(key, |run, now| each(run, now, id))?;
        }
        Ok(())
    }

    fn batch_reset(
        &mut self,
        namespace: u32,
        execution: &WorkflowExecution,
        operation: &BatchOperationReset,
        reason: &str,
    ) -> Result<(), RpcError> {
        let options = reset_options(operation);
        let key = self.find(namespace, execution)?;
        let run = self.run(key)?;
        let mut execution = execution.clone();
        let event_id = match options.target {
            Some(Target::FirstWorkflowTask(())) => run.reset_event(ResetTarget::FirstWorkflowTask)?,
            Some(Target::LastWorkflowTask(())) => run.reset_event(ResetTarget::LastWorkflowTask)?,
            Some(Target::WorkflowTaskId(id)) => id,
            Some(Target::BuildId(ref build_id)) => {
                let point = run.reset_point(build_id, options.current_run_only)?;
                // It may be in a run before this one.
                execution.run_id = point.run_id;
                point.first_workflow_task_completed_id
            }
            None => {
                return Err(RpcError::InvalidArgument(
                    "the target of a batch reset is not set".into(),
                ));
            }
        };
        let include = options.reset_reapply_type();
        let reset = Reset {
            run_id: new_run_id(),
            reason: reason.to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            event_id,
            reapply: Reapply::new(include, options.reset_reapply_exclude_types()),
        };
        let after = changes_after_reset(operation.post_reset_operations.clone())?;
        self.reset(namespace, &execution, reset, after).map(drop)
    }
}

/// A random part of a jitter.
fn part_of(jitter: Nanos) -> Nanos {
    if jitter > 0 {
        rand::rng().random_range(0..jitter)
    } else {
        0
    }
}

/// What to reset to, also as older clients say it.
fn reset_options(operation: &BatchOperationReset) -> ResetOptions {
    if let Some(options) = &operation.options {
        return options.clone();
    }
    let (reset_type, reset_reapply_type) = (operation.reset_type(), operation.reset_reapply_type);
    let target = match reset_type {
        ResetType::FirstWorkflowTask => Some(Target::FirstWorkflowTask(())),
        ResetType::LastWorkflowTask => Some(Target::LastWorkflowTask(())),
        ResetType::Unspecified => None,
    };
    ResetOptions {
        target,
        reset_reapply_type,
        ..Default::default()
    }
}
