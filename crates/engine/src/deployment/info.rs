//! A deployment as clients are told of it.
#![allow(deprecated, reason = "older clients read the deprecated fields")]

use temporalio_protos::temporal::api::{
    deployment::v1::{
        RoutingConfig, VersionDrainageInfo, WorkerDeploymentInfo, WorkerDeploymentVersionInfo,
        worker_deployment_info::WorkerDeploymentVersionSummary,
        worker_deployment_version_info::VersionTaskQueueInfo,
    },
    enums::v1::{RoutingConfigUpdateState, VersionDrainageStatus},
    workflowservice::v1::list_worker_deployments_response::WorkerDeploymentSummary,
};

use super::record::{DeploymentRecord, VersionRecord};
use crate::{
    clock::timestamp_opt,
    core::{UNVERSIONED, Version},
};

impl DeploymentRecord {
    pub(crate) fn info(&self) -> WorkerDeploymentInfo {
        let mut versions: Vec<&VersionRecord> = self.versions.iter().collect();
        // The newest first.
        versions.sort_by_key(|version| std::cmp::Reverse(version.created_at));
        WorkerDeploymentInfo {
            name: self.name.clone(),
            version_summaries: versions
                .into_iter()
                .map(|version| version_summary(self, version))
                .collect(),
            create_time: timestamp_opt(self.created_at),
            routing_config: Some(self.routing_config()),
            last_modifier_identity: self.last_modifier.clone(),
            manager_identity: self.manager.clone(),
            // The one thread that routes tasks is the one that is told.
            routing_config_update_state: RoutingConfigUpdateState::Completed as i32,
        }
    }

    fn routing_config(&self) -> RoutingConfig {
        let current = self.named(&self.current);
        let ramping = self.ramping.as_ref().map(|ramp| self.named(&ramp.build_id));
        let name = |version: &Option<Version>| {
            version
                .as_ref()
                .map_or_else(|| UNVERSIONED.to_owned(), Version::dotted)
        };
        RoutingConfig {
            current_version: name(&current),
            current_deployment_version: current.as_ref().map(Version::message),
            ramping_version: ramping.as_ref().map(name).unwrap_or_default(),
            ramping_deployment_version: ramping.flatten().as_ref().map(Version::message),
            ramping_version_percentage: self.ramping.as_ref().map_or(0.0, |ramp| ramp.percentage),
            current_version_changed_time: timestamp_opt(self.current_changed_at),
            ramping_version_changed_time: timestamp_opt(self.ramping_changed_at),
            ramping_version_percentage_changed_time: timestamp_opt(self.percentage_changed_at),
            revision_number: self.revision,
        }
    }
}

/// A line of the list of deployments.
pub(crate) fn summary(deployment: &DeploymentRecord) -> WorkerDeploymentSummary {
    let of = |build_id: &str| {
        let version = deployment.version(build_id);
        version.map(|version| version_summary(deployment, version))
    };
    let latest = deployment
        .versions
        .iter()
        .max_by_key(|version| version.created_at);
    let ramping = deployment.ramping.as_ref();
    WorkerDeploymentSummary {
        name: deployment.name.clone(),
        create_time: timestamp_opt(deployment.created_at),
        routing_config: Some(deployment.routing_config()),
        latest_version_summary: latest.map(|version| version_summary(deployment, version)),
        current_version_summary: of(&deployment.current),
        ramping_version_summary: ramping.and_then(|ramp| of(&ramp.build_id)),
    }
}

fn drainage(version: &VersionRecord) -> Option<VersionDrainageInfo> {
    let drainage = version.drainage.as_ref()?;
    let status = if drainage.is_drained {
        VersionDrainageStatus::Drained
    } else {
        VersionDrainageStatus::Draining
    };
    Some(VersionDrainageInfo {
        status: status as i32,
        last_changed_time: timestamp_opt(drainage.changed_at),
        last_checked_time: timestamp_opt(drainage.checked_at),
    })
}

fn version_summary(deployment: &DeploymentRecord, version: &VersionRecord) -> WorkerDeploymentVersionSummary {
    let named = deployment.named(&version.build_id).unwrap_or_default();
    let drainage_info = drainage(version);
    WorkerDeploymentVersionSummary {
        version: named.dotted(),
        status: deployment.status(version) as i32,
        deployment_version: Some(named.message()),
        create_time: timestamp_opt(version.created_at),
        drainage_status: drainage_info.as_ref().map_or(0, |info| info.status),
        drainage_info,
        current_since_time: timestamp_opt(version.current_since),
        ramping_since_time: timestamp_opt(version.ramping_since),
        routing_update_time: timestamp_opt(version.routing_changed_at),
        first_activation_time: timestamp_opt(version.first_activation),
        last_current_time: timestamp_opt(version.last_current),
        last_deactivation_time: timestamp_opt(version.last_deactivation),
        ..Default::default()
    }
}

/// All of one version.
pub(crate) fn version_info(
    deployment: &DeploymentRecord,
    version: &VersionRecord,
) -> WorkerDeploymentVersionInfo {
    let named = deployment.named(&version.build_id).unwrap_or_default();
    let ramp = deployment.ramping.as_ref();
    let ramp = ramp.filter(|ramp| ramp.build_id == version.build_id);
    WorkerDeploymentVersionInfo {
        version: named.dotted(),
        status: deployment.status(version) as i32,
        deployment_version: Some(named.message()),
        create_time: timestamp_opt(version.created_at),
        routing_changed_time: timestamp_opt(version.routing_changed_at),
        current_since_time: timestamp_opt(version.current_since),
        ramping_since_time: timestamp_opt(version.ramping_since),
        first_activation_time: timestamp_opt(version.first_activation),
        last_current_time: timestamp_opt(version.last_current),
        last_deactivation_time: timestamp_opt(version.last_deactivation),
        ramp_percentage: ramp.map_or(0.0, |ramp| ramp.percentage),
        task_queue_infos: version
            .queues
            .iter()
            .map(|queue| VersionTaskQueueInfo {
                name: queue.name.clone(),
                r#type: queue.kind,
            })
            .collect(),
        drainage_info: drainage(version),
        metadata: version.metadata.clone(),
        last_modifier_identity: version.last_modifier.clone(),
        ..Default::default()
    }
}
