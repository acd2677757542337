//! What the server is and can do: `GetSystemInfo`, `GetClusterInfo`, health.

use temporalio_protos::{
    grpc::health::v1::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
    temporal::api::workflowservice::v1::{
        GetClusterInfoResponse, GetSystemInfoResponse, get_system_info_response::Capabilities,
    },
};

use super::Service;
use crate::{host::Host, rpc::RpcError};

impl Service {
    /// Only what holds is announced: the SDKs behave by it.
    pub(super) fn system_info(&self) -> GetSystemInfoResponse {
        GetSystemInfoResponse {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: Some(Capabilities {
                signal_and_query_header: true,
                internal_error_differentiation: true,
                activity_failure_include_heartbeat: true,
                encoded_failure_attributes: true,
                upsert_memo: true,
                eager_workflow_start: true,
                sdk_metadata: true,
                count_group_by_execution_status: true,
                ..Default::default()
            }),
        }
    }

    pub(super) fn cluster_info(&self) -> GetClusterInfoResponse {
        GetClusterInfoResponse {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id: self.cluster_id.to_string(),
            cluster_name: "segno".to_owned(),
            history_shard_count: 1,
            persistence_store: "sqlite".to_owned(),
            visibility_store: "sqlite".to_owned(),
            ..Default::default()
        }
    }

    /// Healthy is an engine whose thread answers.
    pub(super) async fn health(&self, request: HealthCheckRequest) -> Result<HealthCheckResponse, RpcError> {
        const KNOWN: [&str; 3] = [
            "",
            "temporal.api.workflowservice.v1.WorkflowService",
            "temporal.api.operatorservice.v1.OperatorService",
        ];
        if !KNOWN.contains(&request.service.as_str()) {
            return Err(RpcError::NotFound(format!("unknown service {}", request.service)));
        }
        self.host.call(|_: &mut Host| Ok(())).await?;
        Ok(HealthCheckResponse {
            status: ServingStatus::Serving as i32,
        })
    }
}
