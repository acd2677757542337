//! Worker deployments: what there is, and which of their versions get new work.
#![allow(deprecated, reason = "older clients name versions by the deprecated fields")]

use temporalio_protos::temporal::api::{
    deployment::v1::WorkerDeploymentVersion,
    workflowservice::v1::{
        CreateWorkerDeploymentRequest, CreateWorkerDeploymentResponse, CreateWorkerDeploymentVersionRequest,
        CreateWorkerDeploymentVersionResponse, DeleteWorkerDeploymentRequest, DeleteWorkerDeploymentResponse,
        DeleteWorkerDeploymentVersionRequest, DeleteWorkerDeploymentVersionResponse,
        DescribeWorkerDeploymentRequest, DescribeWorkerDeploymentResponse,
        DescribeWorkerDeploymentVersionRequest, DescribeWorkerDeploymentVersionResponse,
        ListWorkerDeploymentsRequest, ListWorkerDeploymentsResponse,
        SetWorkerDeploymentCurrentVersionRequest, SetWorkerDeploymentCurrentVersionResponse,
        SetWorkerDeploymentManagerRequest, SetWorkerDeploymentManagerResponse,
        SetWorkerDeploymentRampingVersionRequest, SetWorkerDeploymentRampingVersionResponse,
        UpdateWorkerDeploymentVersionMetadataRequest, UpdateWorkerDeploymentVersionMetadataResponse,
        describe_worker_deployment_version_response::VersionTaskQueue,
        set_worker_deployment_manager_request::NewManagerIdentity,
    },
};

use super::{Service, task_queue::version_queue};
use crate::{
    core::{UNVERSIONED, Version},
    deployment::{DeploymentRecord, Drained, SetRoute, summary, version_info},
    host::deployments::{check_name, no_deployment},
    limits::Limits,
    rpc::RpcError,
    visibility,
};

/// Deployments on a page that does not say how many.
const PAGE: usize = 100;

fn no_version() -> RpcError {
    RpcError::NotFound("Worker Deployment Version not found".into())
}

/// The version that a request names, in the new way or the old.
fn required_version(
    limits: &Limits,
    given: Option<&WorkerDeploymentVersion>,
    dotted: &str,
) -> Result<Version, RpcError> {
    let version = match given {
        Some(version) => Some(Version::new(version)),
        None => Version::from_dotted(dotted),
    };
    let version =
        version.ok_or_else(|| RpcError::InvalidArgument("deployment version cannot be empty".into()))?;
    check_name(&version.deployment)?;
    if version.build_id.is_empty() {
        return Err(RpcError::InvalidArgument("BuildID cannot be empty".into()));
    }
    limits.id("BuildID", &version.build_id)?;
    Ok(version)
}

/// The build id that is to become current or ramping, in the new way or the old; empty: none.
fn build_id(build_id: String, deployment: &str, dotted: &str) -> Result<String, RpcError> {
    if !build_id.is_empty() || dotted.is_empty() || dotted == UNVERSIONED {
        return Ok(build_id);
    }
    match Version::from_dotted(dotted) {
        Some(version) if version.deployment == deployment => Ok(version.build_id),
        _ => Err(RpcError::InvalidArgument(format!(
            "the version {dotted:?} is none of the deployment {deployment:?}"
        ))),
    }
}

fn named(version: Option<&Version>) -> String {
    version.map_or_else(|| UNVERSIONED.to_owned(), Version::dotted)
}

impl Service {
    pub(super) async fn list_worker_deployments(
        &self,
        request: ListWorkerDeploymentsRequest,
    ) -> Result<ListWorkerDeploymentsResponse, RpcError> {
        let size = usize::try_from(request.page_size).ok().filter(|size| *size > 0);
        let size = size.unwrap_or(PAGE).min(PAGE);
        let after = String::from_utf8(request.next_page_token)
            .map_err(|_| RpcError::InvalidArgument("invalid next_page_token".into()))?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let all = host.deployments.of_namespace(namespace);
                let first = match after.as_str() {
                    "" => 0,
                    name => all
                        .iter()
                        .position(|known| known.name == name)
                        .map_or(0, |last| last + 1),
                };
                let page = all.get(first..).unwrap_or_default();
                let has_more = page.len() > size;
                let page = &page[..page.len().min(size)];
                let last = page.last().filter(|_| has_more);
                Ok(ListWorkerDeploymentsResponse {
                    next_page_token: last
                        .map(|last| last.name.clone().into_bytes())
                        .unwrap_or_default(),
                    worker_deployments: page.iter().copied().map(summary).collect(),
                })
            })
            .await
    }

    pub(super) async fn describe_worker_deployment(
        &self,
        request: DescribeWorkerDeploymentRequest,
    ) -> Result<DescribeWorkerDeploymentResponse, RpcError> {
        check_name(&request.deployment_name)?;
        self.look_at_drainage(&request.namespace, &request.deployment_name)
            .await?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let found = host.deployments.get(namespace, &request.deployment_name);
                let found = found.ok_or_else(|| no_deployment(&request.deployment_name))?;
                Ok(DescribeWorkerDeploymentResponse {
                    conflict_token: found.conflict_token(),
                    worker_deployment_info: Some(found.info()),
                })
            })
            .await
    }

    pub(super) async fn describe_worker_deployment_version(
        &self,
        request: DescribeWorkerDeploymentVersionRequest,
    ) -> Result<DescribeWorkerDeploymentVersionResponse, RpcError> {
        let version = required_version(
            &self.limits,
            request.deployment_version.as_ref(),
            &request.version,
        )?;
        self.look_at_drainage(&request.namespace, &version.deployment)
            .await?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let now = host.now();
                let deployment = host.deployments.get(namespace, &version.deployment);
                let deployment = deployment.ok_or_else(no_version)?;
                let found = deployment.version(&version.build_id).ok_or_else(no_version)?;
                let queues = found.queues.iter().map(|queue| {
                    let of = &version;
                    let (stats, by_priority) = match request.report_task_queue_stats {
                        true => version_queue(host, namespace, &queue.name, queue.kind, of, now),
                        false => Default::default(),
                    };
                    VersionTaskQueue {
                        name: queue.name.clone(),
                        r#type: queue.kind,
                        stats,
                        stats_by_priority_key: by_priority,
                    }
                });
                Ok(DescribeWorkerDeploymentVersionResponse {
                    version_task_queues: queues.collect(),
                    worker_deployment_version_info: Some(version_info(deployment, found)),
                })
            })
            .await
    }

    pub(super) async fn create_worker_deployment(
        &self,
        request: CreateWorkerDeploymentRequest,
    ) -> Result<CreateWorkerDeploymentResponse, RpcError> {
        check_name(&request.deployment_name)?;
        let request_id = match request.request_id.as_str() {
            "" => uuid::Uuid::new_v4().to_string(),
            given => given.to_owned(),
        };
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let name = request.deployment_name;
                if let Some(known) = host.deployments.get(namespace, &name) {
                    if known.request_id == request_id {
                        let conflict_token = known.conflict_token();
                        return Ok(CreateWorkerDeploymentResponse { conflict_token });
                    }
                    let how = match known.request_id.is_empty() {
                        true => " (auto-created from worker polls)",
                        false => "",
                    };
                    return Err(RpcError::AlreadyExists(format!(
                        "Worker Deployment with name {name:?} already exists{how}"
                    )));
                }
                let now = host.now();
                let record = DeploymentRecord {
                    last_modifier: request.identity,
                    ..DeploymentRecord::new(&name, request_id, now)
                };
                let conflict_token = record.conflict_token();
                host.put_deployment(namespace, record)?;
                Ok(CreateWorkerDeploymentResponse { conflict_token })
            })
            .await
    }

    pub(super) async fn create_worker_deployment_version(
        &self,
        request: CreateWorkerDeploymentVersionRequest,
    ) -> Result<CreateWorkerDeploymentVersionResponse, RpcError> {
        let version = required_version(&self.limits, request.deployment_version.as_ref(), "")?;
        super::start::refuse_unknown(&[("compute configurations", request.compute_config.is_some())])?;
        let request_id = match request.request_id.as_str() {
            "" => uuid::Uuid::new_v4().to_string(),
            given => given.to_owned(),
        };
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                host.change_deployment(namespace, &version.deployment, |deployment, now| {
                    deployment.create_version(&version.build_id, request.identity, request_id, now)
                })
            })
            .await?;
        Ok(CreateWorkerDeploymentVersionResponse {})
    }

    pub(super) async fn set_current_version(
        &self,
        request: SetWorkerDeploymentCurrentVersionRequest,
    ) -> Result<SetWorkerDeploymentCurrentVersionResponse, RpcError> {
        let name = request.deployment_name;
        check_name(&name)?;
        let set = SetRoute {
            build_id: build_id(request.build_id, &name, &request.version)?,
            identity: request.identity,
            conflict_token: request.conflict_token,
            ignore_missing_task_queues: request.ignore_missing_task_queues,
            allow_no_pollers: request.allow_no_pollers,
        };
        self.limits.id("BuildID", &set.build_id)?;
        let namespace = request.namespace;
        let (before, conflict_token) = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&namespace)?;
                host.set_current_version(namespace, &name, set)
            })
            .await?;
        Ok(SetWorkerDeploymentCurrentVersionResponse {
            conflict_token,
            previous_version: named(before.as_ref()),
            previous_deployment_version: before.as_ref().map(Version::message),
        })
    }

    pub(super) async fn set_ramping_version(
        &self,
        request: SetWorkerDeploymentRampingVersionRequest,
    ) -> Result<SetWorkerDeploymentRampingVersionResponse, RpcError> {
        let name = request.deployment_name;
        check_name(&name)?;
        let set = SetRoute {
            build_id: build_id(request.build_id, &name, &request.version)?,
            identity: request.identity,
            conflict_token: request.conflict_token,
            ignore_missing_task_queues: request.ignore_missing_task_queues,
            allow_no_pollers: request.allow_no_pollers,
        };
        self.limits.id("BuildID", &set.build_id)?;
        let (namespace, percentage) = (request.namespace, request.percentage);
        let (before, conflict_token) = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&namespace)?;
                host.set_ramping_version(namespace, &name, set, percentage)
            })
            .await?;
        let mut answer = SetWorkerDeploymentRampingVersionResponse {
            conflict_token,
            ..Default::default()
        };
        if let Some((version, percentage)) = before {
            answer.previous_version = named(version.as_ref());
            answer.previous_deployment_version = version.as_ref().map(Version::message);
            answer.previous_percentage = percentage;
        }
        Ok(answer)
    }

    pub(super) async fn set_deployment_manager(
        &self,
        request: SetWorkerDeploymentManagerRequest,
    ) -> Result<SetWorkerDeploymentManagerResponse, RpcError> {
        check_name(&request.deployment_name)?;
        let manager = match request.new_manager_identity {
            Some(NewManagerIdentity::ManagerIdentity(manager)) => manager,
            Some(NewManagerIdentity::Self_(true)) => request.identity.clone(),
            Some(NewManagerIdentity::Self_(false)) | None => String::new(),
        };
        self.limits.id("ManagerIdentity", &manager)?;
        let name = request.deployment_name;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                host.change_deployment(namespace, &name, |deployment, now| {
                    let token = request.conflict_token;
                    let before = deployment.set_manager(manager, request.identity, &token, now)?;
                    Ok(SetWorkerDeploymentManagerResponse {
                        conflict_token: deployment.conflict_token(),
                        previous_manager_identity: before,
                    })
                })
            })
            .await
    }

    pub(super) async fn update_version_metadata(
        &self,
        request: UpdateWorkerDeploymentVersionMetadataRequest,
    ) -> Result<UpdateWorkerDeploymentVersionMetadataResponse, RpcError> {
        if request.upsert_entries.is_empty() && request.remove_entries.is_empty() {
            return Err(RpcError::InvalidArgument(
                "At least one of remove_entries or upsert_entries must be provided".into(),
            ));
        }
        let version = required_version(
            &self.limits,
            request.deployment_version.as_ref(),
            &request.version,
        )?;
        self.limits.message(&request, "Blob data")?;
        let metadata = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                host.change_deployment(namespace, &version.deployment, |deployment, _| {
                    let (upsert, remove) = (request.upsert_entries, request.remove_entries);
                    deployment.change_metadata(&version.build_id, upsert, &remove, request.identity)
                })
            })
            .await?;
        Ok(UpdateWorkerDeploymentVersionMetadataResponse {
            metadata: Some(metadata),
        })
    }

    pub(super) async fn delete_worker_deployment(
        &self,
        request: DeleteWorkerDeploymentRequest,
    ) -> Result<DeleteWorkerDeploymentResponse, RpcError> {
        check_name(&request.deployment_name)?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                host.delete_deployment(namespace, &request.deployment_name)
            })
            .await?;
        Ok(DeleteWorkerDeploymentResponse {})
    }

    pub(super) async fn delete_worker_deployment_version(
        &self,
        request: DeleteWorkerDeploymentVersionRequest,
    ) -> Result<DeleteWorkerDeploymentVersionResponse, RpcError> {
        let version = required_version(
            &self.limits,
            request.deployment_version.as_ref(),
            &request.version,
        )?;
        self.look_at_drainage(&request.namespace, &version.deployment)
            .await?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let has_pollers = host.has_pollers(namespace, &version);
                host.change_deployment(namespace, &version.deployment, |deployment, _| {
                    let skip = request.skip_drainage;
                    deployment.delete_version(&version.build_id, skip, has_pollers, request.identity)
                })
            })
            .await?;
        Ok(DeleteWorkerDeploymentVersionResponse {})
    }

    /// Looks whether versions of a deployment that get nothing new still have open runs pinned to them. The real server
    /// looks every few minutes; this one looks when somebody wants to know.
    async fn look_at_drainage(&self, namespace: &str, deployment: &str) -> Result<(), RpcError> {
        let (of, name) = (namespace.to_owned(), deployment.to_owned());
        let draining: Vec<Version> = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&of)?;
                let Some(record) = host.deployments.get(namespace, &name) else {
                    return Ok(Vec::new());
                };
                Ok(record.draining())
            })
            .await?;
        if draining.is_empty() {
            return Ok(());
        }
        let mut found = Vec::new();
        for version in draining {
            let build = format!("pinned:{}", version.attribute());
            let build = build.replace('\\', "\\\\").replace('\'', "\\'");
            let query = format!("BuildIds = '{build}' AND ExecutionStatus = 'Running'");
            let (key, query) = self.query(namespace.to_owned(), &query).await?;
            let count = self
                .read(move |connection| Ok(visibility::count(connection, key, &query)?))
                .await?;
            let has_open_runs = count.total > 0;
            found.push((version.build_id, Drained { has_open_runs }));
        }
        let (of, name) = (namespace.to_owned(), deployment.to_owned());
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&of)?;
                host.note_drainage(namespace, &name, &found)
            })
            .await
    }
}
