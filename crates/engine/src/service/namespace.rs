//! Namespaces: describe, register, list.

use temporalio_protos::temporal::api::{
    enums::v1::{ArchivalState, NamespaceState},
    namespace::v1::{NamespaceConfig, NamespaceInfo, namespace_info},
    replication::v1::{ClusterReplicationConfig, NamespaceReplicationConfig},
    workflowservice::v1::{
        DescribeNamespaceRequest, DescribeNamespaceResponse, ListNamespacesRequest, ListNamespacesResponse,
        RegisterNamespaceRequest, RegisterNamespaceResponse,
    },
};

use super::{Service, limits};
use crate::{
    clock::{duration, nanos},
    host::Namespace,
    limits::Limits,
    rpc::RpcError,
    store::NamespaceRecord,
};

impl Service {
    pub(super) async fn describe_namespace(
        &self,
        request: DescribeNamespaceRequest,
    ) -> Result<DescribeNamespaceResponse, RpcError> {
        self.host
            .call(move |host| {
                if request.namespace.is_empty() && !request.id.is_empty() {
                    let found = host.namespaces.with_id(&request.id);
                    return found
                        .map(described)
                        .ok_or(RpcError::NamespaceNotFound(request.id));
                }
                Ok(described(host.namespaces.named(&request.namespace)?))
            })
            .await
    }

    pub(super) async fn register_namespace(
        &self,
        request: RegisterNamespaceRequest,
    ) -> Result<RegisterNamespaceResponse, RpcError> {
        limits::required_id("Namespace", &request.namespace)?;
        let record = NamespaceRecord {
            name: request.namespace,
            description: request.description,
            owner_email: request.owner_email,
            retention: nanos(request.workflow_execution_retention_period.as_ref()),
            data: request.data,
            ..Default::default()
        };
        self.host
            .call(move |host| host.register_namespace(record))
            .await?;
        Ok(RegisterNamespaceResponse {})
    }

    pub(super) async fn list_namespaces(
        &self,
        _request: ListNamespacesRequest,
    ) -> Result<ListNamespacesResponse, RpcError> {
        self.host
            .call(|host| {
                let namespaces = host.namespaces.all().map(described).collect();
                Ok(ListNamespacesResponse {
                    namespaces,
                    next_page_token: Vec::new(),
                })
            })
            .await
    }
}

fn described(namespace: &Namespace) -> DescribeNamespaceResponse {
    let record = &namespace.record;
    DescribeNamespaceResponse {
        namespace_info: Some(NamespaceInfo {
            name: record.name.clone(),
            state: NamespaceState::Registered as i32,
            description: record.description.clone(),
            owner_email: record.owner_email.clone(),
            data: record.data.clone(),
            id: record.id.clone(),
            // Only what holds: each of these changes what an SDK does.
            capabilities: Some(namespace_info::Capabilities {
                eager_workflow_start: true,
                worker_heartbeats: true,
                worker_poll_complete_on_shutdown: true,
                poller_autoscaling: true,
                standalone_activities: true,
                standalone_activity_start_delay: true,
                standalone_activity_operator_commands: true,
                sync_update: true,
                async_update: true,
                ..Default::default()
            }),
            limits: Some(namespace_info::Limits {
                blob_size_limit_error: Limits::BLOB as i64,
                memo_size_limit_error: Limits::BLOB as i64,
                ..Default::default()
            }),
            supports_schedules: false,
        }),
        config: Some(NamespaceConfig {
            workflow_execution_retention_ttl: Some(duration(record.retention)),
            history_archival_state: ArchivalState::Disabled as i32,
            visibility_archival_state: ArchivalState::Disabled as i32,
            ..Default::default()
        }),
        replication_config: Some(NamespaceReplicationConfig {
            active_cluster_name: "segno".to_owned(),
            clusters: vec![ClusterReplicationConfig {
                cluster_name: "segno".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    }
}
