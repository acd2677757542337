//! A worker completes a workflow task: its commands become events, or the task fails as a whole.

use temporalio_protos::temporal::api::{
    command::v1::Command,
    common::v1::{MeteringMetadata, WorkerVersionStamp},
    deployment::v1::{WorkerDeploymentOptions, WorkerDeploymentVersion},
    enums::v1::{VersioningBehavior, WorkerVersioningMode, WorkflowTaskFailedCause},
    failure::v1::{Failure, ServerFailureInfo, failure::FailureInfo},
    history::v1::{WorkflowTaskCompletedEventAttributes, history_event::Attributes},
    sdk::v1::WorkflowTaskCompletedMetadata,
};

use super::{
    commands::{self, Applied, CommandError, Surroundings},
    run::{Run, Sticky},
    state::StartedTask,
};
use crate::{clock::Nanos, rpc::RpcError};

/// What a worker says when it completes a workflow task.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    pub started_event_id: i64,
    pub attempt: i32,
    pub commands: Vec<Command>,
    pub identity: String,
    pub sticky: Option<Sticky>,
    /// The worker wants another task although nothing new happened (it runs a long local activity).
    pub force_new_task: bool,
    pub sdk_metadata: Option<WorkflowTaskCompletedMetadata>,
    pub metering_metadata: Option<MeteringMetadata>,
    pub version: WorkerVersion,
}

/// What a worker says of its version. It is kept in the history, and nothing is decided by it: this
/// engine has no versioned task queues.
#[derive(Clone, Debug, Default)]
pub struct WorkerVersion {
    pub binary_checksum: String,
    pub stamp: Option<WorkerVersionStamp>,
    pub deployment: Option<WorkerDeploymentOptions>,
    pub behavior: VersioningBehavior,
}

/// How a completion ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The commands are applied. The worker may have these activities, by scheduled event id, at once.
    Applied { eager_activities: Vec<i64> },
    /// The commands are refused: the task has failed in the history, and this is the worker's answer.
    Refused(RpcError),
}

/// What of a run must come back if a command is refused. The history is only ever appended to.
struct Snapshot {
    state: super::state::RunState,
    history_len: usize,
    started_task: Option<StartedTask>,
    sticky: Option<Sticky>,
    tasks: usize,
    messages: usize,
}

impl Run {
    /// Applies a completion in these surroundings.
    ///
    /// # Errors
    /// When the task is not the one in a worker's hands; then nothing changes.
    pub fn complete_workflow_task(
        &mut self,
        now: Nanos,
        completion: Completion,
        surroundings: &Surroundings<'_>,
    ) -> Result<Outcome, RpcError> {
        let snapshot = self.snapshot();
        let Completion {
            started_event_id,
            attempt,
            identity,
            ..
        } = &completion;
        let (started_event_id, attempt, identity) = (*started_event_id, *attempt, identity.clone());
        let started = self.end_workflow_task(now, started_event_id, attempt, &identity)?;
        let version = completion.version;
        let deployment = version.deployment.unwrap_or_default();
        let is_versioned = deployment.worker_versioning_mode() == WorkerVersioningMode::Versioned;
        #[allow(deprecated, reason = "older SDKs name their version by the deprecated fields")]
        let completed_event_id = self.append(
            now,
            Attributes::WorkflowTaskCompletedEventAttributes(WorkflowTaskCompletedEventAttributes {
                scheduled_event_id: started.scheduled_event_id,
                started_event_id: started.started_event_id,
                identity: completion.identity,
                sdk_metadata: completion.sdk_metadata,
                metering_metadata: completion.metering_metadata,
                binary_checksum: version.binary_checksum,
                worker_version: version.stamp,
                versioning_behavior: version.behavior as i32,
                worker_deployment_name: deployment.deployment_name.clone(),
                deployment_version: is_versioned.then_some(WorkerDeploymentVersion {
                    build_id: deployment.build_id,
                    deployment_name: deployment.deployment_name,
                }),
                ..Default::default()
            }),
        );
        self.state.last_started_event_id = started.started_event_id;
        self.sticky = completion.sticky;
        self.state.transition_count += 1;

        match commands::apply(self, now, completed_event_id, completion.commands, surroundings) {
            Ok(Applied { eager_activities }) => {
                if self.is_running() && (self.flush_buffered() || completion.force_new_task) {
                    self.schedule_workflow_task(now);
                }
                Ok(Outcome::Applied { eager_activities })
            }
            Err(CommandError { cause, message }) => {
                self.restore(snapshot);
                if self.started_task.is_none() {
                    self.start_workflow_task(started.at, &identity, started.request_id)?;
                }
                let message = match cause {
                    WorkflowTaskFailedCause::UnhandledCommand => "UnhandledCommand".to_owned(),
                    cause => format!("{}: {message}", cause_name(cause)),
                };
                let failure = Failure {
                    message: message.clone(),
                    failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo::default())),
                    ..Default::default()
                };
                self.fail_workflow_task(now, started_event_id, attempt, cause, Some(failure), &identity)?;
                Ok(Outcome::Refused(RpcError::InvalidArgument(message)))
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state.clone(),
            history_len: self.history.len(),
            started_task: self.started_task.clone(),
            sticky: self.sticky.clone(),
            tasks: self.effects.tasks.len(),
            messages: self.effects.messages.len(),
        }
    }

    fn restore(&mut self, snapshot: Snapshot) {
        self.state = snapshot.state;
        self.history.truncate(snapshot.history_len);
        self.started_task = snapshot.started_task;
        self.sticky = snapshot.sticky;
        self.effects.tasks.truncate(snapshot.tasks);
        self.effects.messages.truncate(snapshot.messages);
        self.effects.successor = None;
    }
}

/// `BadScheduleActivityAttributes` for `WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES`.
fn cause_name(cause: WorkflowTaskFailedCause) -> String {
    let name = cause
        .as_str_name()
        .trim_start_matches("WORKFLOW_TASK_FAILED_CAUSE_");
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{first}{}", rest.to_ascii_lowercase())
        })
        .collect()
}
