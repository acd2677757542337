//! What a Temporal server has and does not do unless its operator has switched it on, which the default is not: the two
//! older ways of versioning workers, deployments before they were worker deployments, and pausing workflows. The
//! answers are the same here, so that clients that try another way next do so.

use temporalio_protos::temporal::api::workflowservice::v1::{
    DescribeDeploymentRequest, DescribeDeploymentResponse, GetCurrentDeploymentRequest,
    GetCurrentDeploymentResponse, GetDeploymentReachabilityRequest, GetDeploymentReachabilityResponse,
    GetWorkerBuildIdCompatibilityRequest, GetWorkerBuildIdCompatibilityResponse,
    GetWorkerTaskReachabilityRequest, GetWorkerTaskReachabilityResponse, GetWorkerVersioningRulesRequest,
    GetWorkerVersioningRulesResponse, ListDeploymentsRequest, ListDeploymentsResponse,
    PauseWorkflowExecutionRequest, PauseWorkflowExecutionResponse, SetCurrentDeploymentRequest,
    SetCurrentDeploymentResponse, UnpauseWorkflowExecutionRequest, UnpauseWorkflowExecutionResponse,
    UpdateWorkerBuildIdCompatibilityRequest, UpdateWorkerBuildIdCompatibilityResponse,
    UpdateWorkerVersioningRulesRequest, UpdateWorkerVersioningRulesResponse,
};

use temporalio_protos::temporal::api::common::v1::WorkflowExecution;

use super::Service;
use crate::rpc::RpcError;

/// RPCs that are refused for one and the same reason.
macro_rules! refused {
    ($error:expr; $($method:ident($request:ident) -> $response:ident;)*) => {
        $(
            pub(super) async fn $method(&self, _request: $request) -> Result<$response, RpcError> {
                Err($error)
            }
        )*
    };
}

fn version_sets() -> RpcError {
    RpcError::PermissionDenied(
        "Worker versioning v0.1 (Version Set-based, deprecated) is disabled on this namespace.".into(),
    )
}

fn version_rules() -> RpcError {
    RpcError::PermissionDenied(
        "Worker versioning v0.2 (Rules-based, deprecated) is disabled on this namespace.".into(),
    )
}

fn old_deployments() -> RpcError {
    RpcError::Unimplemented(
        "Deployments are deprecated and no longer supported, use Worker Deployments instead".into(),
    )
}

impl Service {
    refused! { version_sets();
        build_id_compatibility(GetWorkerBuildIdCompatibilityRequest) -> GetWorkerBuildIdCompatibilityResponse;
        update_build_id_compatibility(UpdateWorkerBuildIdCompatibilityRequest)
            -> UpdateWorkerBuildIdCompatibilityResponse;
    }

    refused! { version_rules();
        versioning_rules(GetWorkerVersioningRulesRequest) -> GetWorkerVersioningRulesResponse;
        update_versioning_rules(UpdateWorkerVersioningRulesRequest) -> UpdateWorkerVersioningRulesResponse;
        task_reachability(GetWorkerTaskReachabilityRequest) -> GetWorkerTaskReachabilityResponse;
    }

    refused! { old_deployments();
        describe_deployment(DescribeDeploymentRequest) -> DescribeDeploymentResponse;
        list_deployments(ListDeploymentsRequest) -> ListDeploymentsResponse;
        deployment_reachability(GetDeploymentReachabilityRequest) -> GetDeploymentReachabilityResponse;
        current_deployment(GetCurrentDeploymentRequest) -> GetCurrentDeploymentResponse;
        set_current_deployment(SetCurrentDeploymentRequest) -> SetCurrentDeploymentResponse;
    }

    pub(super) async fn pause_workflow(
        &self,
        request: PauseWorkflowExecutionRequest,
    ) -> Result<PauseWorkflowExecutionResponse, RpcError> {
        Err(RpcError::Unimplemented(format!(
            "workflow pause is not enabled for namespace: {}",
            request.namespace
        )))
    }

    /// A paused workflow there is none.
    pub(super) async fn unpause_workflow(
        &self,
        request: UnpauseWorkflowExecutionRequest,
    ) -> Result<UnpauseWorkflowExecutionResponse, RpcError> {
        self.limits.required_id("WorkflowId", &request.workflow_id)?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let execution = WorkflowExecution {
                    workflow_id: request.workflow_id,
                    run_id: request.run_id,
                };
                let key = host.find(namespace, &execution)?;
                host.run(key)?.check_running()?;
                Err(RpcError::FailedPrecondition("workflow is not paused.".into()))
            })
            .await
    }
}
