//! `DeleteWorkflowExecution`.

use temporalio_protos::temporal::api::workflowservice::v1::{
    DeleteWorkflowExecutionRequest, DeleteWorkflowExecutionResponse,
};

use super::Service;
use crate::rpc::RpcError;

impl Service {
    /// The caller is answered when it is on disk that the run goes; the run itself goes in steps.
    pub(super) async fn delete_workflow(
        &self,
        request: DeleteWorkflowExecutionRequest,
    ) -> Result<DeleteWorkflowExecutionResponse, RpcError> {
        let execution = request.workflow_execution.unwrap_or_default();
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find(namespace, &execution)?;
                host.delete(key)
            })
            .await?;
        Ok(DeleteWorkflowExecutionResponse {})
    }
}
