//! What clients tell a running execution: signal, cancel, terminate.

use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    workflowservice::v1::{
        RequestCancelWorkflowExecutionRequest, RequestCancelWorkflowExecutionResponse,
        SignalWorkflowExecutionRequest, SignalWorkflowExecutionResponse, TerminateWorkflowExecutionRequest,
        TerminateWorkflowExecutionResponse,
    },
};

use super::{Service, links};
use crate::{
    core::{CancelRequest, Run, RunKey, Signal},
    host::Host,
    rpc::RpcError,
};

impl Service {
    pub(super) async fn signal(
        &self,
        request: SignalWorkflowExecutionRequest,
    ) -> Result<SignalWorkflowExecutionResponse, RpcError> {
        self.limits.required_id("SignalName", &request.signal_name)?;
        self.limits.blob(request.input.as_ref())?;
        self.limits.id("RequestId", &request.request_id)?;
        links::check(&request.links)?;
        let signal = Signal {
            name: request.signal_name,
            input: request.input,
            header: request.header,
            identity: request.identity,
            request_id: request.request_id,
            sender: None,
            links: request.links,
        };
        let execution = request.workflow_execution.unwrap_or_default();
        self.host
            .call(move |host| {
                let key = find(host, &request.namespace, &execution, "")?;
                let request_id = signal.request_id.clone();
                host.change(key, |run, now| run.signal(now, signal))?;
                let link = links::to_signal(&request.namespace, host.run(key)?, &request_id);
                Ok(SignalWorkflowExecutionResponse { link: Some(link) })
            })
            .await
    }

    pub(super) async fn request_cancel(
        &self,
        request: RequestCancelWorkflowExecutionRequest,
    ) -> Result<RequestCancelWorkflowExecutionResponse, RpcError> {
        links::check(&request.links)?;
        let execution = request.workflow_execution.unwrap_or_default();
        self.host
            .call(move |host| {
                let key = find(
                    host,
                    &request.namespace,
                    &execution,
                    &request.first_execution_run_id,
                )?;
                let cancel = CancelRequest {
                    cause: request.reason,
                    identity: request.identity,
                    request_id: request.request_id,
                    sender: None,
                    links: request.links,
                };
                host.change(key, |run, now| {
                    run.request_cancel(now, cancel);
                    Ok(())
                })
            })
            .await?;
        Ok(RequestCancelWorkflowExecutionResponse {})
    }

    pub(super) async fn terminate(
        &self,
        request: TerminateWorkflowExecutionRequest,
    ) -> Result<TerminateWorkflowExecutionResponse, RpcError> {
        links::check(&request.links)?;
        let or = |given: String, default: &str| {
            if given.is_empty() {
                default.to_owned()
            } else {
                given
            }
        };
        let identity = or(request.identity, "frontend-service");
        let reason = or(request.reason, "terminated by user via frontend");
        let execution = request.workflow_execution.unwrap_or_default();
        self.host
            .call(move |host| {
                let key = find(
                    host,
                    &request.namespace,
                    &execution,
                    &request.first_execution_run_id,
                )?;
                host.change(key, |run, now| {
                    run.terminate_with(now, reason, request.details, identity, request.links)
                })
            })
            .await?;
        Ok(TerminateWorkflowExecutionResponse {})
    }
}

/// The run that a request means. `first_run_id`, where given, must be its chain's while it runs: of one
/// that has ended, whoever asks is told that.
pub(super) fn find(
    host: &mut Host,
    namespace: &str,
    execution: &WorkflowExecution,
    first_run_id: &str,
) -> Result<RunKey, RpcError> {
    let namespace = host.namespaces.key_of(namespace)?;
    let key = host.find(namespace, execution)?;
    let is_another = |run: &Run| run.is_running() && run.state.first_run_id != first_run_id;
    if !first_run_id.is_empty() && is_another(host.run(key)?) {
        return Err(RpcError::NotFound("workflow execution not found".into()));
    }
    Ok(key)
}
