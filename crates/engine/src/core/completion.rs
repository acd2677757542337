//! A worker completes a workflow task: its commands become events, or the task fails as a whole.

use temporalio_protos::temporal::api::{
    command::v1::Command,
    common::v1::{MeteringMetadata, WorkerVersionStamp},
    deployment::v1::{WorkerDeploymentOptions, WorkerDeploymentVersion},
    enums::v1::{CommandType, VersioningBehavior, WorkerVersioningMode, WorkflowTaskFailedCause},
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
use crate::{
    clock::{Nanos, SECOND},
    rpc::RpcError,
};

/// How long a worker may go on with nothing but heartbeats, as the real server's default.
const LONGEST_HEARTBEATS: Nanos = 30 * 60 * SECOND;
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

/// What a worker says of its version.
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
    /// When the task is not the one in a worker's hands, or a command of a later attempt is refused; then
    /// nothing changes.
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
        check_sequence(&completion.commands)?;
        let is_heartbeat =
            completion.force_new_task && completion.commands.is_empty() && completion.messages.is_empty();
        let since = if is_heartbeat {
            self.original_scheduled_at(now)
        } else {
            now
        };
        if now.saturating_sub(since) > LONGEST_HEARTBEATS {
            self.time_out_heartbeats(now, started_event_id, attempt, &identity)?;
            return Ok(Outcome::Refused(RpcError::NotFound(
                "workflow task heartbeat timeout".into(),
            )));
        }
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
                    self.go_on_after_task(now, since, completion.force_new_task, completion.wants_next_task);
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
                let message = match cause {
                    WorkflowTaskFailedCause::UnhandledCommand => "UnhandledCommand".to_owned(),
                    cause => format!("{}: {message}", cause_name(cause)),
                };
                if attempt > 1 && cause != WorkflowTaskFailedCause::UnhandledCommand {
                    // Not tried again at once, as it would fail again: the task runs into its time-out.
                    return Err(RpcError::InvalidArgument(message));
                }
                if self.started_task.is_none() {
                    self.start_workflow_task(started.at, &identity, started.request_id)?;
                }
                self.fail_sent_updates();
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
        let completed = WorkflowTaskCompletedEventAttributes {
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
        };
        self.forget_task_problem();
        let noted = self.state.note_completed_by(&completed);
        self.effects.attributes_changed |= noted.attributes_changed;
        let attributes = Attributes::WorkflowTaskCompletedEventAttributes(completed);
        let completed_event_id = self.append(now, attributes);
        if noted.transition_ended {
            self.offer_waiting_activities();
        }
        self.state.last_started_event_id = started.started_event_id;
        self.state.transition_count += 1;
        completed_event_id
    }

    /// Schedules the next workflow task if one is due already. `since`: how long the worker has been at
    /// what it forces the next one for.
    fn go_on_after_task(&mut self, now: Nanos, since: Nanos, force: bool, wants_next_task: bool) {
        if !force {
            self.reject_unanswered_updates();
        }
        let has_news = self.flush_buffered();
        if force {
            self.schedule_task_after_heartbeat(now, since);
        } else if has_news || (self.has_admitted_updates() && !wants_next_task) {
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

/// Refuses commands after one that closes the run.
fn check_sequence(commands: &[Command]) -> Result<(), RpcError> {
    let name = |command: &Command| camel_case(command.command_type().as_str_name(), "COMMAND_TYPE_");
    let Some((_, before)) = commands.split_last() else {
        return Ok(());
    };
    match before.iter().find(|command| closes(command.command_type())) {
        Some(close) => Err(RpcError::InvalidArgument(format!(
            "invalid command sequence: [{}], command {} must be the last command.",
            commands.iter().map(name).collect::<Vec<_>>().join(", "),
            name(close)
        ))),
        None => Ok(()),
    }
}

fn closes(command_type: CommandType) -> bool {
    matches!(
        command_type,
        CommandType::CompleteWorkflowExecution
            | CommandType::FailWorkflowExecution
            | CommandType::CancelWorkflowExecution
            | CommandType::ContinueAsNewWorkflowExecution
    )
}

/// `BadScheduleActivityAttributes` for `WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES`.
fn cause_name(cause: WorkflowTaskFailedCause) -> String {
    camel_case(cause.as_str_name(), "WORKFLOW_TASK_FAILED_CAUSE_")
}

/// `StartTimer` for `COMMAND_TYPE_START_TIMER` and the prefix `COMMAND_TYPE_`.
pub(super) fn camel_case(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix)
        .split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{first}{}", rest.to_ascii_lowercase())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::NewRun;

    const NOW: Nanos = 1_700_000_000 * SECOND;

    fn heartbeat(run: &mut Run, now: Nanos) -> Result<Outcome, RpcError> {
        let started = run.start_workflow_task(now, "worker", String::new())?.clone();
        let completion = Completion {
            started_event_id: started.started_event_id,
            attempt: started.attempt,
            force_new_task: true,
            sticky: Some(Sticky {
                task_queue: "own".to_owned(),
                schedule_to_start: 5 * SECOND,
            }),
            ..Default::default()
        };
        let surroundings = Surroundings {
            namespace: "default",
            namespace_id: "1",
            accept_attributes: &|_| Ok(()),
        };
        run.complete_workflow_task(now, completion, &surroundings)
    }

    #[test]
    fn heartbeats_come_to_an_end() {
        let new = NewRun {
            run_id: "run".to_owned(),
            ..Default::default()
        };
        let mut run = Run::begin(1, new, NOW);
        let mut now = NOW;
        while now < NOW + LONGEST_HEARTBEATS {
            now += 8 * SECOND;
            let outcome = heartbeat(&mut run, now.min(NOW + LONGEST_HEARTBEATS)).unwrap();
            assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
        }
        let outcome = heartbeat(&mut run, NOW + LONGEST_HEARTBEATS + 1).unwrap();
        let Outcome::Refused(error) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            error,
            RpcError::NotFound("workflow task heartbeat timeout".to_owned())
        );
        let last: Vec<_> = run
            .history
            .iter()
            .rev()
            .take(2)
            .map(|event| event.event_type().as_str_name())
            .collect();
        assert_eq!(
            last,
            [
                "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED",
                "EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT"
            ]
        );
        // The next worker begins anew.
        assert!(run.sticky.is_none());
        let outcome = heartbeat(&mut run, NOW + LONGEST_HEARTBEATS + SECOND).unwrap();
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    }
}
