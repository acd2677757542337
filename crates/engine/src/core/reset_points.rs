//! Points that a run can be reset to by the build of its worker.
#![allow(deprecated, reason = "workers without deployments name their build so")]

use temporalio_protos::temporal::api::{
    history::v1::history_event::Attributes,
    workflow::v1::{ResetPointInfo, ResetPoints},
};

use super::run::Run;

/// Points that are told at most, as the real server's default: the newest.
const MAXIMUM: usize = 20;

impl Run {
    /// For each build that has completed a workflow task of this run, the first such task. Read from
    /// the history when somebody asks, so that it costs a run nothing.
    pub fn reset_points(&self) -> ResetPoints {
        let mut points: Vec<ResetPointInfo> = Vec::new();
        for event in self.history.iter() {
            let Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) = &event.attributes else {
                continue;
            };
            let deployed = completed
                .deployment_version
                .as_ref()
                .map(|version| &version.build_id);
            let stamped = completed.worker_version.as_ref().map(|version| &version.build_id);
            let build_id = deployed.or(stamped).map(String::as_str).unwrap_or_default();
            let checksum = completed.binary_checksum.as_str();
            let is_it =
                |point: &ResetPointInfo| point.build_id == build_id && point.binary_checksum == checksum;
            if !points.iter().any(is_it) {
                points.push(ResetPointInfo {
                    build_id: build_id.to_owned(),
                    binary_checksum: checksum.to_owned(),
                    run_id: self.state.run_id.clone(),
                    first_workflow_task_completed_id: event.event_id,
                    create_time: event.event_time,
                    expire_time: None,
                    resettable: true,
                });
            }
        }
        points.drain(..points.len().saturating_sub(MAXIMUM));
        ResetPoints { points }
    }
}
