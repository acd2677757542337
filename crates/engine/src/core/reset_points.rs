//! Points that a run can be reset to by the build of its worker, and the build that has worked for it last.
#![allow(deprecated, reason = "workers without deployments name their build so")]

use temporalio_protos::temporal::api::{
    common::v1::WorkerVersionStamp,
    enums::v1::EventType,
    history::v1::history_event::Attributes,
    workflow::v1::{ResetPointInfo, ResetPoints},
};

use super::run::Run;
use crate::rpc::RpcError;

/// Points that are told at most, as the real server's default: the newest.
const MAXIMUM: usize = 20;

impl Run {
    /// For each build that has completed a workflow task of this run or of those before it in its chain, the first such
    /// task. Read from the history when somebody asks or when another run goes on, so that it costs a run nothing.
    pub fn reset_points(&self) -> ResetPoints {
        let before = self.started_attributes().ok();
        let before = before.and_then(|started| started.prev_auto_reset_points.clone());
        let mut points: Vec<ResetPointInfo> = before.unwrap_or_default().points;
        for event in self.history.of_type(EventType::WorkflowTaskCompleted) {
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

    /// What the worker that completed a workflow task last said of its build by the older way.
    pub fn last_stamp(&self) -> Option<WorkerVersionStamp> {
        let completed = self.history.of_type(EventType::WorkflowTaskCompleted).last()?;
        match completed.attributes? {
            Attributes::WorkflowTaskCompletedEventAttributes(completed) => completed.worker_version,
            _ => None,
        }
    }

    /// Where a build's work in the run's chain began, or in this run alone.
    ///
    /// # Errors
    /// When the build is not known to have done any.
    pub fn reset_point(&self, build_id: &str, current_run_only: bool) -> Result<ResetPointInfo, RpcError> {
        let is_meant = |point: &ResetPointInfo| {
            point.build_id == build_id && (!current_run_only || point.run_id == self.state.run_id)
        };
        let found = self.reset_points().points.into_iter().find(is_meant);
        found.ok_or_else(|| {
            RpcError::InvalidArgument(format!("no reset point of the build {build_id} was found"))
        })
    }
}
