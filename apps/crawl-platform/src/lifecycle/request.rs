//! What the workflow of a run is given, and what it tells.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::rules::{Intervals, f64_seconds::Seconds};
use crate::store::{RunStatus, StopMode, Trigger};

/// How long things take, or may. All are settings; a run keeps those that it began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Between two looks at the main job until it has started, and at the tasks while the run is being stopped.
    pub status_poll_seconds: Seconds,
    /// Between two reconciliations, by the run's age.
    pub intervals: Intervals,
    /// How long the main job may wait on the cluster until that counts as saturation, which is reported.
    pub pending_limit_seconds: Seconds,
    /// How long the main job may take to start in all, over all deployments; then the run has failed.
    pub start_limit_seconds: Seconds,
    /// How long processes that were told to end may take; then their pods are deleted.
    pub stop_grace_seconds: Seconds,
    /// How long a job may be missing on the cluster until it counts as gone.
    pub lost_after_seconds: Seconds,
    /// Before the main job is deployed again that did not start.
    pub redeploy_pause_seconds: Seconds,
    /// How often the main job is deployed at most.
    pub deployments: u32,
    /// How long an activity may be silent until it is tried again: its process has ended, or hangs.
    pub heartbeat_seconds: Seconds,
    /// History events after which the run's workflow goes on as new, so that a worker that has lost it soon has it again.
    pub history_events: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            status_poll_seconds: Seconds::new(6),
            intervals: Intervals::default(),
            pending_limit_seconds: Seconds::new(300),
            start_limit_seconds: Seconds::new(6 * 3600),
            stop_grace_seconds: Seconds::new(60),
            lost_after_seconds: Seconds::new(60),
            redeploy_pause_seconds: Seconds::new(30),
            deployments: 3,
            heartbeat_seconds: Seconds::new(10),
            history_events: 4_000,
        }
    }
}

impl Timing {
    pub(super) fn heartbeat(&self) -> Duration {
        self.heartbeat_seconds.get().max(Duration::from_millis(500))
    }

    pub(super) fn status_poll(&self) -> Duration {
        self.status_poll_seconds.get().max(Duration::from_millis(10))
    }
}

/// A run request: the workflow's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// The crawler.
    pub crawler: Uuid,
    /// What asks for the run.
    pub trigger: Trigger,
    /// The run to go on with: its workflow was terminated, or has gone on as new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Uuid>,
    /// A fingerprint of the request.
    #[serde(default)]
    pub request_hash: String,
    /// How long things take.
    #[serde(default)]
    pub timing: Timing,
    /// Of a schedule's request: a fingerprint of what the schedule was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Of a schedule's request: the schedule, if its overlap policy is to terminate the run before. A workflow that is
    /// terminated can do nothing more, so the next one sees to it that the run before it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Uuid>,
    /// A stop that the run is gone on with for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopRequest>,
    /// Where the run before in the workflow's chain has left off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// Where a workflow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The history record is being made.
    Initiation,
    /// The main job is being deployed, or has not started.
    Deployment,
    /// The tasks are reconciled until none is alive.
    Reconciliation,
    /// The run is being stopped.
    Stopping,
    /// The final status, the export.
    Completion,
    /// All is done.
    Ended,
}

/// A stop, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopRequest {
    /// Whether pods are deleted at once.
    #[serde(default)]
    pub force: bool,
    /// Who asks.
    #[serde(default = "somebody")]
    pub by: String,
}

fn somebody() -> String {
    "somebody".to_owned()
}

impl StopRequest {
    pub(super) fn mode(&self) -> StopMode {
        if self.force {
            StopMode::Force
        } else {
            StopMode::Graceful
        }
    }
}

/// What a workflow that goes on as new hands over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The run.
    pub run: Uuid,
    /// Whether it has one process.
    pub single: bool,
    /// The stage to go on with.
    pub stage: Stage,
    /// The last deployment's number.
    pub deployment: u32,
    /// When the deployments began.
    #[serde(with = "time::serde::rfc3339")]
    pub deploying_since: OffsetDateTime,
    /// When the run's job had started.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// What the scheduler says while the job waits for too long.
    pub saturation: Option<String>,
    /// Reconciliations so far.
    pub reconciliations: u64,
    /// Tasks that were alive at the last of them.
    pub alive: u64,
    /// The stop, if one was asked for.
    pub stop: Option<StopRequest>,
    /// When processes that were told to end lose their pods; None until they were told.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub stop_deadline: Option<OffsetDateTime>,
    /// Why the run could not be deployed; then it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undeployed: Option<String>,
}

/// What the query `getStatus` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// The run; None until its record is made.
    pub run_id: Option<Uuid>,
    /// Where the workflow is.
    pub stage: Stage,
    /// Deployments so far.
    pub deployments: u32,
    /// What the scheduler says while the job waits for too long.
    pub saturation: Option<String>,
    /// Reconciliations so far.
    pub reconciliations: u64,
    /// Tasks that were alive at the last of them.
    pub alive: u64,
    /// The stop, if one was asked for.
    pub stop: Option<StopRequest>,
    /// When it looks again, unless something happens before.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_look_at: Option<OffsetDateTime>,
    /// How the run has ended.
    pub status: Option<RunStatus>,
}

/// The workflow's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// The run.
    pub run: Uuid,
    /// `COMPLETED` or `FAILED`.
    pub status: RunStatus,
    /// Why it has failed.
    pub reason: Option<String>,
}
