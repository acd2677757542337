//! What the server is and can do: `GetSystemInfo`, `GetClusterInfo`, `ListClusters`, `ListNexusEndpoints`, health.

use temporalio_protos::{
    grpc::health::v1::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
    temporal::api::{
        operatorservice::v1::{
            ClusterMetadata, ListClustersRequest, ListClustersResponse, ListNexusEndpointsRequest,
            ListNexusEndpointsResponse,
        },
        workflowservice::v1::{
            GetClusterInfoResponse, GetSystemInfoResponse, get_system_info_response::Capabilities,
        },
    },
};

use super::Service;
use crate::{host::Host, rpc::RpcError};

/// Clients and their versions that the API is for, as the real server names them.
const CLIENTS: [(&str, &str); 8] = [
    ("Nexus-go-sdk", "<2.0.0"),
    ("temporal-cli", "<2.0.0"),
    ("temporal-go", "<2.0.0"),
    ("temporal-java", "<2.0.0"),
    ("temporal-php", "<2.0.0"),
    ("temporal-server", "<2.0.0"),
    ("temporal-typescript", "<2.0.0"),
    ("temporal-ui", "<3.0.0"),
];

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
                supports_schedules: true,
                sdk_metadata: true,
                count_group_by_execution_status: true,
                // By it SDKs name their build where the history keeps it for whoever replays it.
                build_id_based_versioning: true,
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
            initial_failover_version: 1,
            failover_version_increment: 10,
            supported_clients: CLIENTS
                .iter()
                .map(|(name, versions)| ((*name).to_owned(), (*versions).to_owned()))
                .collect(),
            ..Default::default()
        }
    }

    /// This engine is the one cluster that there is. It does not know by which address it is reached.
    pub(super) async fn list_clusters(
        &self,
        _request: ListClustersRequest,
    ) -> Result<ListClustersResponse, RpcError> {
        let info = self.cluster_info();
        Ok(ListClustersResponse {
            clusters: vec![ClusterMetadata {
                cluster_name: info.cluster_name,
                cluster_id: info.cluster_id,
                initial_failover_version: info.initial_failover_version,
                history_shard_count: info.history_shard_count,
                is_connection_enabled: true,
                ..Default::default()
            }],
            next_page_token: Vec::new(),
        })
    }

    /// There are none, and none can be made.
    pub(super) async fn list_nexus_endpoints(
        &self,
        _request: ListNexusEndpointsRequest,
    ) -> Result<ListNexusEndpointsResponse, RpcError> {
        Ok(ListNexusEndpointsResponse::default())
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
