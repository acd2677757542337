//! `ResetWorkflowExecution`.
#![allow(deprecated, reason = "older clients say it so")]

use temporalio_protos::temporal::api::workflowservice::v1::{
    ResetWorkflowExecutionRequest, ResetWorkflowExecutionResponse,
};

use super::Service;
use crate::{
    core::{Reapply, Reset, changes_after_reset, new_run_id},
    rpc::RpcError,
};

impl Service {
    pub(super) async fn reset_workflow(
        &self,
        request: ResetWorkflowExecutionRequest,
    ) -> Result<ResetWorkflowExecutionResponse, RpcError> {
        self.limits.required_id("RequestId", &request.request_id)?;
        let after = changes_after_reset(request.post_reset_operations.clone())?;
        let include = request.reset_reapply_type();
        let reset = Reset {
            run_id: new_run_id(),
            reapply: Reapply::new(include, request.reset_reapply_exclude_types()),
            reason: request.reason,
            request_id: request.request_id,
            event_id: request.workflow_task_finish_event_id,
        };
        let execution = request.workflow_execution.unwrap_or_default();
        let namespace = request.namespace;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&namespace)?;
                let key = host.reset(namespace, &execution, reset, after)?;
                let run_id = host.run(key)?.state.run_id.clone();
                Ok(ResetWorkflowExecutionResponse { run_id })
            })
            .await
    }
}
