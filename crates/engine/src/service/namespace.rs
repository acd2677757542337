//! Namespaces: describe, register, list, change, delete.

use prost::Message as _;
use temporalio_protos::temporal::api::{
    enums::v1::{ArchivalState, NamespaceState, ReplicationState},
    namespace::v1::{BadBinaries, NamespaceConfig, NamespaceInfo, namespace_info},
    operatorservice::v1::{DeleteNamespaceRequest, DeleteNamespaceResponse},
    replication::v1::{ClusterReplicationConfig, NamespaceReplicationConfig},
    workflowservice::v1::{
        DeprecateNamespaceRequest, DeprecateNamespaceResponse, DescribeNamespaceRequest,
        DescribeNamespaceResponse, ListNamespacesRequest, ListNamespacesResponse, RegisterNamespaceRequest,
        RegisterNamespaceResponse, UpdateNamespaceRequest, UpdateNamespaceResponse,
    },
};

use super::Service;
use crate::{
    clock::{Nanos, SECOND, duration, nanos},
    host::Namespace,
    limits::Limits,
    rpc::{Call, RpcError},
    store::NamespaceRecord,
    token,
};

/// Namespaces in a page where the request does not say.
const PAGE: usize = 100;
/// The shortest time that closed executions can be kept.
const MINIMUM_RETENTION: Nanos = 3_600 * SECOND;

impl Service {
    pub(super) async fn describe_namespace(
        &self,
        request: DescribeNamespaceRequest,
    ) -> Result<DescribeNamespaceResponse, RpcError> {
        let limits = self.limits.clone();
        self.host
            .call(move |host| {
                if request.namespace.is_empty() && !request.id.is_empty() {
                    let found = host.namespaces.with_id(&request.id);
                    return found
                        .map(|found| described(found, &limits))
                        .ok_or(RpcError::NamespaceNotFound(request.id));
                }
                Ok(described(host.namespaces.named(&request.namespace)?, &limits))
            })
            .await
    }

    pub(super) async fn register_namespace(
        &self,
        request: RegisterNamespaceRequest,
    ) -> Result<RegisterNamespaceResponse, RpcError> {
        self.limits.required_id("Namespace", &request.namespace)?;
        let record = NamespaceRecord {
            name: request.namespace,
            description: request.description,
            owner_email: request.owner_email,
            retention: retention(request.workflow_execution_retention_period.as_ref())?,
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
        request: ListNamespacesRequest,
        call: Call,
    ) -> Result<ListNamespacesResponse, RpcError> {
        let limits = self.limits.clone();
        let limit = match usize::try_from(request.page_size) {
            Ok(given) if given > 0 => given,
            _ => PAGE,
        };
        let place: NamespaceToken = if request.next_page_token.is_empty() {
            NamespaceToken::default()
        } else {
            token::parse(&request.next_page_token, "NextPageToken")?
        };
        let with_deleted = request.namespace_filter.unwrap_or_default().include_deleted;
        self.host
            .call(move |host| {
                let is_wanted = |namespace: &&Namespace| {
                    namespace.key > place.after
                        && (with_deleted || !namespace.is_deleted())
                        && call.may_see(&namespace.record.name)
                };
                let mut found: Vec<_> = host.namespaces.all().filter(is_wanted).take(limit + 1).collect();
                let has_more = found.len() > limit;
                found.truncate(limit);
                let next_page_token = match found.last() {
                    Some(last) if has_more => NamespaceToken { after: last.key }.encode_to_vec(),
                    _ => Vec::new(),
                };
                Ok(ListNamespacesResponse {
                    namespaces: found.into_iter().map(|found| described(found, &limits)).collect(),
                    next_page_token,
                })
            })
            .await
    }

    pub(super) async fn update_namespace(
        &self,
        request: UpdateNamespaceRequest,
    ) -> Result<UpdateNamespaceResponse, RpcError> {
        let limits = self.limits.clone();
        if request.promote_namespace {
            return Err(RpcError::InvalidArgument(format!(
                "global namespace is not enabled on this cluster, cannot update global namespace or promote local namespace: {}",
                request.namespace
            )));
        }
        let config = request.config.unwrap_or_default();
        let given = config.workflow_execution_retention_ttl.as_ref();
        let new_retention = given.map(|given| retention(Some(given))).transpose()?;
        let info = request.update_info.unwrap_or_default();
        let state = match info.state() {
            NamespaceState::Unspecified => None,
            state @ (NamespaceState::Registered | NamespaceState::Deprecated) => Some(state),
            other => {
                return Err(RpcError::InvalidArgument(format!(
                    "Invalid state transition to {}.",
                    other.as_str_name()
                )));
            }
        };
        self.host
            .call(move |host| {
                let changed = host.change_namespace(&request.namespace, |record| {
                    if !info.description.is_empty() {
                        record.description = info.description;
                    }
                    if !info.owner_email.is_empty() {
                        record.owner_email = info.owner_email;
                    }
                    record.data.extend(info.data);
                    if let Some(retention) = new_retention {
                        record.retention = retention;
                    }
                    if let Some(state) = state {
                        record.state = state as i32;
                    }
                })?;
                let described = described(changed, &limits);
                Ok(UpdateNamespaceResponse {
                    namespace_info: described.namespace_info,
                    config: described.config,
                    replication_config: described.replication_config,
                    ..Default::default()
                })
            })
            .await
    }

    pub(super) async fn deprecate_namespace(
        &self,
        request: DeprecateNamespaceRequest,
    ) -> Result<DeprecateNamespaceResponse, RpcError> {
        self.host
            .call(move |host| {
                host.change_namespace(&request.namespace, |record| {
                    record.state = NamespaceState::Deprecated as i32;
                })
                .map(drop)
            })
            .await?;
        Ok(DeprecateNamespaceResponse {})
    }

    pub(super) async fn delete_namespace(
        &self,
        request: DeleteNamespaceRequest,
    ) -> Result<DeleteNamespaceResponse, RpcError> {
        if !request.namespace.is_empty() && !request.namespace_id.is_empty() {
            return Err(RpcError::InvalidArgument(
                "Only one of namespace name or Id should be set on request.".into(),
            ));
        }
        self.host
            .call(move |host| {
                let name = if request.namespace_id.is_empty() {
                    request.namespace
                } else {
                    let found = host.namespaces.with_id(&request.namespace_id);
                    found
                        .map(|namespace| namespace.record.name.clone())
                        .ok_or(RpcError::NamespaceNotFound(request.namespace_id))?
                };
                let deleted_namespace = host.delete_namespace(&name)?;
                Ok(DeleteNamespaceResponse { deleted_namespace })
            })
            .await
    }
}

/// Where a list of namespaces goes on.
#[derive(Clone, PartialEq, ::prost::Message)]
struct NamespaceToken {
    #[prost(uint32, tag = "1")]
    after: u32,
}

/// How long closed executions are kept, as a request says it.
fn retention(given: Option<&prost_types::Duration>) -> Result<Nanos, RpcError> {
    match nanos(given) {
        retention if retention >= MINIMUM_RETENTION => Ok(retention),
        _ => Err(RpcError::InvalidArgument(
            "A valid retention period is not set on request.".into(),
        )),
    }
}

fn described(namespace: &Namespace, limits: &Limits) -> DescribeNamespaceResponse {
    let record = &namespace.record;
    DescribeNamespaceResponse {
        namespace_info: Some(NamespaceInfo {
            name: record.name.clone(),
            state: match record.state {
                0 => NamespaceState::Registered as i32,
                state => state,
            },
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
                standalone_activity_batch_operations: true,
                standalone_activity_operator_commands: true,
                sync_update: true,
                async_update: true,
                reported_problems_search_attribute: true,
                ..Default::default()
            }),
            limits: Some(namespace_info::Limits {
                blob_size_limit_error: limits.blob_size as i64,
                memo_size_limit_error: limits.memo_size as i64,
                ..Default::default()
            }),
            supports_schedules: true,
        }),
        config: Some(NamespaceConfig {
            workflow_execution_retention_ttl: Some(duration(record.retention)),
            history_archival_state: ArchivalState::Disabled as i32,
            visibility_archival_state: ArchivalState::Disabled as i32,
            bad_binaries: Some(BadBinaries::default()),
            ..Default::default()
        }),
        replication_config: Some(NamespaceReplicationConfig {
            active_cluster_name: "segno".to_owned(),
            clusters: vec![ClusterReplicationConfig {
                cluster_name: "segno".to_owned(),
                ..Default::default()
            }],
            state: ReplicationState::Normal as i32,
        }),
        ..Default::default()
    }
}
