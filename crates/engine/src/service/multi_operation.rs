//! `ExecuteMultiOperation`: a start and an update together. Either both are done or neither is, and
//! the first workflow task brings the update.

use temporalio_protos::temporal::api::{
    enums::v1::{WorkflowExecutionStatus, WorkflowIdConflictPolicy},
    update::v1::Request,
    workflowservice::v1::{
        ExecuteMultiOperationRequest, ExecuteMultiOperationResponse, StartWorkflowExecutionRequest,
        StartWorkflowExecutionResponse, UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse,
        execute_multi_operation_request::operation::Operation,
        execute_multi_operation_response::{Response, response::Response as Done},
    },
};

use super::{
    Service, links, start,
    update::{Deadline, Update, Waited},
};
use crate::{
    core::{NewRun, RunKey},
    host::{Host, start::IdPolicy, updates::Watched},
    limits::Limits,
    rpc::{Call, RpcError},
};

/// A start and an update, checked.
#[derive(Clone)]
struct UpdateWithStart {
    namespace: String,
    new: NewRun,
    policy: IdPolicy,
    update: Update,
}

/// Where the update went.
struct Sent {
    start: StartWorkflowExecutionResponse,
    watched: Watched,
}

impl Service {
    pub(super) async fn execute_multi_operation(
        &self,
        request: ExecuteMultiOperationRequest,
        call: Call,
    ) -> Result<ExecuteMultiOperationResponse, RpcError> {
        let deadline = Deadline::of(&call);
        let namespace = request.namespace.clone();
        let (start, update) = operations(request)?;
        let operation = UpdateWithStart::check(&self.limits, namespace, start, update)?;
        let mut may_try_again = true;
        loop {
            let sent = operation.clone();
            let Sent { start, watched } = self.host.call(move |host| sent.send(host)).await?;
            let execution = watched.execution.clone();
            let update = &operation.update;
            let waited = match self.wait_for_update(watched, update.stage, deadline).await {
                Ok(Waited::Status(status)) => Ok(update.response(&operation.namespace, execution, status)),
                // The run that was started goes on as another one, and takes the update with it.
                Ok(Waited::Continued) if start.started => {
                    self.update_until(&operation.namespace, update, deadline).await
                }
                Ok(Waited::Continued) => continue,
                Err(error) => Err(error),
            };
            match waited {
                Ok(update) => return Ok(response(start, update)),
                // It closed before it had the update: so there is room for a run that has it.
                Err(RpcError::NotFound(_)) if !start.started && may_try_again => may_try_again = false,
                Err(RpcError::NotFound(message)) if !start.started => {
                    return Err(update_failed(
                        Some(RpcError::OperationAborted),
                        RpcError::Aborted(message),
                    ));
                }
                Err(error) => {
                    let start = (!start.started).then_some(RpcError::OperationAborted);
                    return Err(update_failed(start, error));
                }
            }
        }
    }
}

/// The two operations.
fn operations(
    request: ExecuteMultiOperationRequest,
) -> Result<(StartWorkflowExecutionRequest, UpdateWorkflowExecutionRequest), RpcError> {
    let operations: Vec<_> = request
        .operations
        .into_iter()
        .map(|operation| operation.operation)
        .collect();
    match <[_; 2]>::try_from(operations) {
        Ok(
            [
                Some(Operation::StartWorkflow(start)),
                Some(Operation::UpdateWorkflow(update)),
            ],
        ) => Ok((start, update)),
        _ => Err(RpcError::InvalidArgument(
            "Operations have to be exactly [Start, Update].".into(),
        )),
    }
}

impl UpdateWithStart {
    fn check(
        limits: &Limits,
        namespace: String,
        start: StartWorkflowExecutionRequest,
        update: UpdateWorkflowExecutionRequest,
    ) -> Result<Self, RpcError> {
        let start = check_start(limits, &namespace, start);
        let update = check_update(limits, &namespace, update);
        match (start, update) {
            (Ok((new, policy)), Ok(update)) if new.workflow_id == update.execution.workflow_id => Ok(Self {
                namespace,
                new,
                policy,
                update,
            }),
            (Ok(_), Ok(_)) => Err(not_executed(
                RpcError::OperationAborted,
                invalid("WorkflowId is not consistent with previous operation(s)."),
            )),
            (start, update) => Err(not_executed(
                start.err().unwrap_or(RpcError::OperationAborted),
                update.err().unwrap_or(RpcError::OperationAborted),
            )),
        }
    }

    /// Starts a run that has the update from the beginning, or sends the update to the run that is there.
    fn send(mut self, host: &mut Host) -> Result<Sent, RpcError> {
        self.new.namespace_key = host.namespaces.key_of(&self.namespace)?;
        start::check_in_namespace(host, &mut self.new).map_err(start_failed)?;
        let existing = host
            .current(self.new.namespace_key, &self.new.workflow_id)
            .map_err(start_failed)?;
        let Update { id, request, .. } = self.update;
        if let Some(run) = existing
            && takes_update(host, run, &self.new, self.policy, &id)?
        {
            return attach(host, &self.namespace, run, &id, request)
                .map_err(|error| update_failed(Some(RpcError::OperationAborted), error));
        }
        self.new.first_update = Some((id.clone(), request));
        let started = host.start(self.new, self.policy).map_err(start_failed)?;
        let watched = host
            .watch_update(started.key, &id)
            .map_err(|error| update_failed(None, error))?;
        Ok(Sent {
            start: started_response(host, &self.namespace, started.key, true)?,
            watched,
        })
    }
}

/// Whether the update goes to the run that is there, and no other one is started.
fn takes_update(
    host: &mut Host,
    run: RunKey,
    new: &NewRun,
    policy: IdPolicy,
    id: &str,
) -> Result<bool, RpcError> {
    let (is_completed, is_known) = host.knows_update(run, id)?;
    let state = &host.run(run)?.state;
    let is_same_start = !new.request_id.is_empty() && state.start_request_id == new.request_id;
    let is_running = state.status == WorkflowExecutionStatus::Running as i32;
    let uses_existing = policy.conflict == WorkflowIdConflictPolicy::UseExisting;
    Ok(is_completed || is_running && (is_same_start || is_known || uses_existing))
}

fn attach(
    host: &mut Host,
    namespace: &str,
    run: RunKey,
    id: &str,
    request: Request,
) -> Result<Sent, RpcError> {
    let watched = host.update(run, id, request)?;
    Ok(Sent {
        start: started_response(host, namespace, run, false)?,
        watched,
    })
}

fn started_response(
    host: &mut Host,
    namespace: &str,
    run: RunKey,
    started: bool,
) -> Result<StartWorkflowExecutionResponse, RpcError> {
    let run = host.run(run)?;
    let link = links::to_start(namespace, run, started, "");
    Ok(StartWorkflowExecutionResponse {
        run_id: run.state.run_id.clone(),
        first_execution_run_id: run.state.first_run_id.clone(),
        started,
        status: run.state.status,
        link: Some(link),
        ..Default::default()
    })
}

fn check_start(
    limits: &Limits,
    namespace: &str,
    start: StartWorkflowExecutionRequest,
) -> Result<(NewRun, IdPolicy), RpcError> {
    check_namespace(namespace, &start.namespace)?;
    if !start.cron_schedule.is_empty() {
        return Err(invalid("CronSchedule is not allowed."));
    }
    if start.request_eager_execution {
        return Err(invalid("RequestEagerExecution is not supported."));
    }
    if start.workflow_start_delay.is_some() {
        return Err(invalid("WorkflowStartDelay is not supported."));
    }
    start::read(limits, start)
}

fn check_update(
    limits: &Limits,
    namespace: &str,
    update: UpdateWorkflowExecutionRequest,
) -> Result<Update, RpcError> {
    check_namespace(namespace, &update.namespace)?;
    if !update.first_execution_run_id.is_empty() {
        return Err(invalid("FirstExecutionRunId is not allowed."));
    }
    if update
        .workflow_execution
        .as_ref()
        .is_some_and(|execution| !execution.run_id.is_empty())
    {
        return Err(invalid("RunId is not allowed."));
    }
    Update::read(limits, update)
}

fn check_namespace(namespace: &str, given: &str) -> Result<(), RpcError> {
    if given.is_empty() || given == namespace {
        return Ok(());
    }
    Err(invalid("Operation namespace did not match request's namespace."))
}

fn invalid(message: &str) -> RpcError {
    RpcError::InvalidArgument(message.to_owned())
}

fn not_executed(start: RpcError, update: RpcError) -> RpcError {
    RpcError::MultiOperation(vec![Some(start), Some(update)])
}

fn start_failed(error: RpcError) -> RpcError {
    not_executed(error, RpcError::OperationAborted)
}

/// `start`: what became of the start; none: it was done.
fn update_failed(start: Option<RpcError>, error: RpcError) -> RpcError {
    RpcError::MultiOperation(vec![start, Some(error)])
}

fn response(
    start: StartWorkflowExecutionResponse,
    update: UpdateWorkflowExecutionResponse,
) -> ExecuteMultiOperationResponse {
    let done = [Done::StartWorkflow(start), Done::UpdateWorkflow(update)];
    ExecuteMultiOperationResponse {
        responses: done.map(|done| Response { response: Some(done) }).into(),
    }
}
