//! Schedules made and changed: `CreateSchedule`, `UpdateSchedule`, `PatchSchedule`, `DeleteSchedule`.

use temporalio_protos::temporal::api::{
    enums::v1::WorkflowIdReusePolicy,
    schedule::v1::{Schedule, SchedulePatch, schedule_action::Action},
    workflow::v1::NewWorkflowExecutionInfo,
    workflowservice::v1::{
        CreateScheduleRequest, CreateScheduleResponse, DeleteScheduleRequest, DeleteScheduleResponse,
        PatchScheduleRequest, PatchScheduleResponse, UpdateScheduleRequest, UpdateScheduleResponse,
    },
};

use super::Service;
use crate::{
    clock::nanos,
    core::{check_retry_policy, checked_override, new_run_id},
    host::Host,
    limits::Limits,
    rpc::RpcError,
    schedule::{Replacement, ScheduleRecord, Scheduler, Spec, WORKFLOW_ID_PREFIX, canonical::canonical},
};

/// Bytes of notes.
const NOTES: usize = 1_000;
/// What is added to workflow ids, for its length.
const NOMINAL_TIME: &str = "-2009-11-10T23:00:00Z";

impl Service {
    pub(super) async fn create_schedule(
        &self,
        request: CreateScheduleRequest,
    ) -> Result<CreateScheduleResponse, RpcError> {
        let id = request.schedule_id;
        schedule_id(&self.limits, &id)?;
        self.limits.required_id("RequestId", &request.request_id)?;
        self.limits.memo(request.memo.as_ref())?;
        let (schedule, spec) = checked(&self.limits, request.schedule)?;
        let patch = request.initial_patch;
        patch
            .as_ref()
            .map_or(Ok(()), |patch| check_patch(&self.limits, patch))?;
        let mut search_attributes = request.search_attributes;
        let mut record = ScheduleRecord {
            id: id.clone(),
            schedule: Some(schedule),
            memo: request.memo,
            create_request_id: request.request_id.clone(),
            run_id: new_run_id(),
            ..Default::default()
        };
        let conflict_token = self
            .host
            .call(move |host| {
                let namespace_key = host.namespaces.key_of(&request.namespace)?;
                host.accept_attributes(namespace_key, search_attributes.as_mut())?;
                accept_action_attributes(host, namespace_key, record.schedule.as_mut())?;
                let key = host.create_schedule(namespace_key, &id, &request.request_id, |now| {
                    let record = ScheduleRecord {
                        namespace_key,
                        search_attributes,
                        ..record
                    };
                    Scheduler::create(record, spec, patch, now)
                })?;
                Ok(host.schedule(key)?.record.conflict_token)
            })
            .await?;
        Ok(CreateScheduleResponse {
            conflict_token: token(conflict_token),
        })
    }

    pub(super) async fn update_schedule(
        &self,
        request: UpdateScheduleRequest,
    ) -> Result<UpdateScheduleResponse, RpcError> {
        self.limits.id("RequestId", &request.request_id)?;
        self.limits.memo(request.memo.as_ref())?;
        let (schedule, spec) = checked(&self.limits, request.schedule)?;
        let mut new = Replacement {
            schedule,
            spec,
            search_attributes: request.search_attributes,
            memo: request.memo,
            conflict_token: given_token(&request.conflict_token),
            request_id: request.request_id,
        };
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find_schedule(namespace, &request.schedule_id)?;
                host.accept_attributes(namespace, new.search_attributes.as_mut())?;
                accept_action_attributes(host, namespace, Some(&mut new.schedule))?;
                let is_filed_anew = new.search_attributes.is_some() || new.memo.is_some();
                host.change_schedule(key, |scheduler, now| scheduler.update(new, now))?;
                if is_filed_anew {
                    host.refile_schedule(key)?;
                }
                Ok(())
            })
            .await?;
        Ok(UpdateScheduleResponse {})
    }

    pub(super) async fn patch_schedule(
        &self,
        request: PatchScheduleRequest,
    ) -> Result<PatchScheduleResponse, RpcError> {
        self.limits.id("RequestId", &request.request_id)?;
        let patch = request.patch.unwrap_or_default();
        check_patch(&self.limits, &patch)?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find_schedule(namespace, &request.schedule_id)?;
                host.change_schedule(key, |scheduler, now| {
                    scheduler.patch(patch, &request.request_id, now);
                    Ok(())
                })
            })
            .await?;
        Ok(PatchScheduleResponse {})
    }

    pub(super) async fn delete_schedule(
        &self,
        request: DeleteScheduleRequest,
    ) -> Result<DeleteScheduleResponse, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find_schedule(namespace, &request.schedule_id)?;
                host.delete_schedule(key)
            })
            .await?;
        Ok(DeleteScheduleResponse {})
    }
}

fn invalid(message: impl Into<String>) -> RpcError {
    RpcError::InvalidArgument(message.into())
}

fn schedule_id(limits: &Limits, id: &str) -> Result<(), RpcError> {
    if id.is_empty() {
        return Err(invalid("ScheduleId is not set on request."));
    }
    // As long as the id of the execution that it is on the real server.
    limits.id("ScheduleId", &format!("{WORKFLOW_ID_PREFIX}{id}"))
}

/// The schedule in its canonical form, its parts checked, and its spec compiled.
fn checked(limits: &Limits, schedule: Option<Schedule>) -> Result<(Schedule, Spec), RpcError> {
    let mut schedule = schedule.unwrap_or_default();
    limits.message(&schedule, "Schedule")?;
    let invalid_spec = |error| invalid(format!("Invalid schedule spec: {error}"));
    let spec = canonical(&schedule.spec.take().unwrap_or_default()).map_err(invalid_spec)?;
    let compiled = Spec::compile(&spec).map_err(invalid_spec)?;
    schedule.spec = Some(spec);
    let action = schedule.action.as_mut().and_then(|action| action.action.as_mut());
    if let Some(Action::StartWorkflow(workflow)) = action {
        check_workflow(limits, workflow)?;
    }
    if let Some(state) = &schedule.state {
        check_notes(&state.notes)?;
    }
    Ok((schedule, compiled))
}

fn check_workflow(limits: &Limits, workflow: &mut NewWorkflowExecutionInfo) -> Result<(), RpcError> {
    limits.id("WorkflowId", &format!("{}{NOMINAL_TIME}", workflow.workflow_id))?;
    limits.workflow_type(workflow.workflow_type.clone())?;
    limits.task_queue(workflow.task_queue.clone())?;
    limits.blob(workflow.input.as_ref())?;
    limits.memo(workflow.memo.as_ref())?;
    for (name, timeout) in [
        ("WorkflowExecutionTimeout", &workflow.workflow_execution_timeout),
        ("WorkflowRunTimeout", &workflow.workflow_run_timeout),
        ("WorkflowTaskTimeout", &workflow.workflow_task_timeout),
    ] {
        if nanos(timeout.as_ref()) < 0 {
            return Err(invalid(format!("Invalid {name}: it is negative.")));
        }
    }
    if !workflow.cron_schedule.is_empty() {
        return Err(invalid("Scheduled workflow must not contain CronSchedule"));
    }
    let reuse = workflow.workflow_id_reuse_policy();
    if !matches!(
        reuse,
        WorkflowIdReusePolicy::Unspecified | WorkflowIdReusePolicy::AllowDuplicate
    ) {
        return Err(invalid(
            "Scheduled workflow must not contain WorkflowIDReusePolicy",
        ));
    }
    if let Some(policy) = &workflow.retry_policy {
        check_retry_policy(policy).map_err(RpcError::InvalidArgument)?;
    }
    if let Some(given) = workflow.versioning_override.take() {
        workflow.versioning_override = Some(checked_override(given)?);
    }
    if let Some(queue) = &mut workflow.task_queue {
        *queue = crate::core::normal_queue(&queue.name);
    }
    Ok(())
}

/// Checks the search attributes of an action, and notes their types as clients want to have them.
fn accept_action_attributes(
    host: &Host,
    namespace: u32,
    schedule: Option<&mut Schedule>,
) -> Result<(), RpcError> {
    let action = schedule.and_then(|schedule| schedule.action.as_mut()?.action.as_mut());
    match action {
        Some(Action::StartWorkflow(workflow)) => {
            host.accept_attributes(namespace, workflow.search_attributes.as_mut())
        }
        None => Ok(()),
    }
}

fn check_patch(limits: &Limits, patch: &SchedulePatch) -> Result<(), RpcError> {
    limits.message(patch, "Patch")?;
    check_notes(&patch.pause)?;
    check_notes(&patch.unpause)?;
    for range in &patch.backfill_request {
        if range.start_time.is_none() || range.end_time.is_none() {
            return Err(invalid("a backfill needs a start time and an end time"));
        }
    }
    Ok(())
}

fn check_notes(notes: &str) -> Result<(), RpcError> {
    if notes.len() > NOTES {
        return Err(invalid("Schedule notes exceed size limit."));
    }
    Ok(())
}

/// A conflict token as clients have it.
pub(super) fn token(number: i64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// The number of a client's token; 0 for none.
fn given_token(token: &[u8]) -> i64 {
    token
        .first_chunk::<8>()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
}
