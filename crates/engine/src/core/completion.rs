//! A worker completes a workflow task: its commands become events, or the task fails as a whole.

use temporalio_protos::temporal::api::{
    command::v1::Command,
    common::v1::{MeteringMetadata, WorkerVersionStamp},
    deployment::v1::{WorkerDeploymentOptions, WorkerDeploymentVersion},
    enums::v1::{VersioningBehavior, WorkerVersioningMode, WorkflowTaskFailedCause},
    failure::v1::{Failure, ServerFailureInfo, failure::FailureInfo},
    history::v1::{WorkflowTaskCompletedEventAttributes, history_event::Attributes},
    protocol::v1::Message,
    sdk::v1::WorkflowTaskCompletedMetadata,
};

use super::{
    commands::{self, Applied, CommandError, Refused, Surroundings},
    external::ENGINE_IDENTITY,
    run::{Run, Sticky},
    state::StartedTask,
    update::{Mark, is_rejection},
};
use crate::{clock::Nanos, rpc::RpcError};

/// Events that a speculative task may bring along and still be discarded, as the real server's default:
/// they go to the worker again with the next one.
const DISCARDED_EVENTS: i64 = 10;

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
    /// The worker takes the next task along with the answer.
    pub wants_next_task: bool,
    /// Its answers to updates.
    pub messages: Vec<Message>,
    /// The worker can take back a speculative task that brought events with it.
    pub can_discard_events: bool,
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
    /// The task was speculative and has changed nothing: it never was. The worker goes back to the
    /// event of this id.
    Discarded { reset_history_event_id: i64 },
    /// The commands are refused: the task has failed in the history, and this is the worker's answer.
    Refused(RpcError),
}

/// What of a run must come back if a command is refused. The history is only ever appended to.
struct Snapshot {
    state: super::state::RunState,
    history_len: usize,
    started_task: Option<StartedTask>,
    sticky: Option<Sticky>,
    updates: Option<Mark>,
    tasks: usize,
    messages: usize,
}

impl Run {
    /// Applies a completion in these surroundings.
    ///
    /// # Errors
    /// When the task is not the one in a worker's hands; then nothing changes.
    #[allow(deprecated, reason = "workers without deployments name their build so")]
    pub fn complete_workflow_task(
        &mut self,
        now: Nanos,
        mut completion: Completion,
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
        let is_discarded = self.is_discarded_by(&completion);
        let (started, completed_event_id) = if is_discarded {
            (self.discard_workflow_task(started_event_id, attempt)?, 0)
        } else {
            let started = self.end_workflow_task(now, started_event_id, attempt, &identity)?;
            let completed_event_id = self.append_task_completed(now, &started, &mut completion);
            (started, completed_event_id)
        };
        self.sticky = completion.sticky;

        match commands::apply(
            self,
            now,
            completed_event_id,
            completion.commands,
            completion.messages,
            surroundings,
        ) {
            Ok(Applied { eager_activities }) => {
                if self.is_running() {
                    self.go_on_after_task(now, completion.force_new_task, completion.wants_next_task);
                }
                Ok(if is_discarded {
                    Outcome::Discarded {
                        reset_history_event_id: self.state.last_started_event_id,
                    }
                } else {
                    Outcome::Applied { eager_activities }
                })
            }
            Err(Refused {
                error: CommandError { cause, message },
                is_fatal,
            }) => {
                self.restore(snapshot);
                if self.started_task.is_none() {
                    self.start_workflow_task(started.at, &identity, started.request_id)?;
                }
                self.fail_sent_updates();
                let message = match cause {
                    WorkflowTaskFailedCause::UnhandledCommand => "UnhandledCommand".to_owned(),
                    cause => format!("{}: {message}", cause_name(cause)),
                };
                let failure = Failure {
                    message: message.clone(),
                    failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo::default())),
                    ..Default::default()
                };
                if is_fatal {
                    let started = self.end_workflow_task(now, started_event_id, attempt, &identity)?;
                    self.append_task_failed(now, &started, cause, Some(failure), &identity);
                    self.terminate(now, message.clone(), None, ENGINE_IDENTITY.into())?;
                } else if attempt == 1 || cause == WorkflowTaskFailedCause::UnhandledCommand {
                    // Broken code sends the same again and again: from the second attempt on its task is left to
                    // time out, longer each time. What came in between is no fault of the code's.
                    self.fail_workflow_task(now, started_event_id, attempt, cause, Some(failure), &identity)?;
                }
                Ok(Outcome::Refused(RpcError::InvalidArgument(message)))
            }
        }
    }

    /// Whether this completion leaves no trace of the task: a speculative one that brought the worker
    /// nothing but updates, which it all rejected or did not answer.
    fn is_discarded_by(&self, completion: &Completion) -> bool {
        let is_speculative = self
            .state
            .workflow_task
            .as_ref()
            .is_some_and(|task| task.speculative);
        if !is_speculative || !completion.commands.is_empty() || completion.force_new_task {
            return false;
        }
        // The last task's start and completion are what the worker knows already.
        let new_events = self.state.next_event_id - (self.state.last_started_event_id + 2);
        let most = if completion.can_discard_events {
            DISCARDED_EVENTS
        } else {
            0
        };
        new_events <= most && completion.messages.iter().all(is_rejection)
    }

    fn append_task_completed(
        &mut self,
        now: Nanos,
        started: &StartedTask,
        completion: &mut Completion,
    ) -> i64 {
        let version = std::mem::take(&mut completion.version);
        let deployment = version.deployment.unwrap_or_default();
        let is_versioned = deployment.worker_versioning_mode() == WorkerVersioningMode::Versioned;
        #[allow(deprecated, reason = "older SDKs name their version by the deprecated fields")]
        let completed_event_id = self.append(
            now,
            Attributes::WorkflowTaskCompletedEventAttributes(WorkflowTaskCompletedEventAttributes {
                scheduled_event_id: started.scheduled_event_id,
                started_event_id: started.started_event_id,
                identity: std::mem::take(&mut completion.identity),
                sdk_metadata: completion.sdk_metadata.take(),
                metering_metadata: completion.metering_metadata.take(),
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
        self.state.transition_count += 1;
        completed_event_id
    }

    /// Schedules the next workflow task if one is due already.
    fn go_on_after_task(&mut self, now: Nanos, force: bool, wants_next_task: bool) {
        if !force {
            self.reject_unanswered_updates();
        }
        let has_news = self.flush_buffered();
        if has_news || force || (self.has_admitted_updates() && !wants_next_task) {
            self.schedule_workflow_task(now);
        } else if self.has_admitted_updates() {
            self.schedule_speculative_task(now);
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state.clone(),
            history_len: self.history.len(),
            started_task: self.started_task.clone(),
            sticky: self.sticky.clone(),
            updates: self.updates.as_ref().map(|updates| updates.mark()),
            tasks: self.effects.tasks.len(),
            messages: self.effects.messages.len(),
        }
    }

    fn restore(&mut self, snapshot: Snapshot) {
        self.state = snapshot.state;
        self.history.truncate(snapshot.history_len);
        self.started_task = snapshot.started_task;
        self.sticky = snapshot.sticky;
        match (&mut self.updates, snapshot.updates) {
            (Some(updates), Some(mark)) => updates.roll_back(mark),
            (updates, _) => *updates = None,
        }
        self.effects.tasks.truncate(snapshot.tasks);
        self.effects.messages.truncate(snapshot.messages);
        self.effects.update_ends.clear();
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
