//! What clients tell a running execution: signal, cancel, terminate.

use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    workflowservice::v1::{
        RequestCancelWorkflowExecutionRequest, RequestCancelWorkflowExecutionResponse,
        SignalWorkflowExecutionRequest, SignalWorkflowExecutionResponse, TerminateWorkflowExecutionRequest,
        TerminateWorkflowExecutionResponse,
    },
};

use super::Service;
use crate::{
    core::{CancelRequest, RunKey, Signal},
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
        let signal = Signal {
            name: request.signal_name,
            input: request.input,
            header: request.header,
            identity: request.identity,
            request_id: request.request_id,
            sender: None,
        };
        let execution = request.workflow_execution.unwrap_or_default();
        self.host
            .call(move |host| {
                let key = find(host, &request.namespace, &execution, "")?;
                host.change(key, |run, now| run.signal(now, signal))
            })
            .await?;
        Ok(SignalWorkflowExecutionResponse::default())
    }

    pub(super) async fn request_cancel(
        &self,
        request: RequestCancelWorkflowExecutionRequest,
    ) -> Result<RequestCancelWorkflowExecutionResponse, RpcError> {
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
                    run.terminate(now, request.reason, request.details, request.identity)
                })
            })
            .await?;
        Ok(TerminateWorkflowExecutionResponse {})
    }
}

/// The run that a request means. `first_run_id`, where given, must be its chain's.
pub(super) fn find(
    host: &mut Host,
    namespace: &str,
    execution: &WorkflowExecution,
    first_run_id: &str,
) -> Result<RunKey, RpcError> {
    let namespace = host.namespaces.key_of(namespace)?;
    let key = host.find(namespace, execution)?;
    if !first_run_id.is_empty() && host.run(key)?.state.first_run_id != first_run_id {
        return Err(RpcError::workflow_not_found(&execution.workflow_id));
    }
    Ok(key)
}
