//! `UpdateWorkflowExecutionOptions`.

use temporalio_protos::temporal::api::{
    workflow::v1::WorkflowExecutionOptions,
    workflowservice::v1::{UpdateWorkflowExecutionOptionsRequest, UpdateWorkflowExecutionOptionsResponse},
};

use super::Service;
use crate::{core::OptionsChange, rpc::RpcError};

impl Service {
    pub(super) async fn update_workflow_options(
        &self,
        request: UpdateWorkflowExecutionOptionsRequest,
    ) -> Result<UpdateWorkflowExecutionOptionsResponse, RpcError> {
        let paths = request.update_mask.unwrap_or_default().paths;
        let options = request.workflow_execution_options.unwrap_or_default();
        let change = OptionsChange::new(&paths, options, request.identity)?;
        let execution = request.workflow_execution.unwrap_or_default();
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find(namespace, &execution)?;
                let after = host.change_options(key, change)?;
                Ok(UpdateWorkflowExecutionOptionsResponse {
                    workflow_execution_options: Some(WorkflowExecutionOptions {
                        versioning_override: after.versioning_override,
                        priority: after.priority,
                        ..Default::default()
                    }),
                    ..Default::default()
                })
            })
            .await
    }
}
