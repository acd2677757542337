//! Updates: requests to a running workflow that its worker accepts and completes, or rejects.
//!
//! An update is *admitted* by the engine, *accepted* by the workflow's validator (its first trace in
//! the history), and *completed* by its handler. What is accepted and completed is read from the
//! history, which alone is durable; an update that is only admitted lives in memory, with whoever
//! waits for it: after a restart the client sends it again under the same id.
//!
//! | file | what |
//! |---|---|
//! | `registry` | what is known of a run's updates |
//! | `message` | the messages by which a worker answers |

mod message;
mod registry;

use temporalio_protos::temporal::api::{
    enums::v1::UpdateWorkflowExecutionLifecycleStage,
    failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo},
    protocol::v1::Message,
    update::v1::{Outcome, Request, outcome},
};

pub(super) use message::is_rejection;
pub(super) use registry::Mark;
pub use registry::Updates;

use super::run::Run;
use crate::{clock::Nanos, rpc::RpcError};

/// How far an update is.
pub type UpdateStage = UpdateWorkflowExecutionLifecycleStage;

/// From this attempt of the workflow task on, no update is left waiting for it.
const FAILING_FROM_ATTEMPT: i32 = 3;

/// Where an update is, and what it ended with.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateStatus {
    pub stage: UpdateStage,
    /// Of a completed one.
    pub outcome: Option<Box<Outcome>>,
}

impl UpdateStatus {
    fn at(stage: UpdateStage) -> Self {
        Self { stage, outcome: None }
    }

    fn completed(outcome: Outcome) -> Self {
        Self {
            stage: UpdateStage::Completed,
            outcome: Some(Box::new(outcome)),
        }
    }

    /// The status of an update that ended in this failure.
    pub fn failed(failure: Failure) -> Self {
        Self::completed(Outcome {
            value: Some(outcome::Value::Failure(failure)),
        })
    }
}

/// How an update ended that leaves no trace in the history. Whoever waits for it is told.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateEnd {
    /// The workflow did not want it.
    Rejected(Box<Failure>),
    /// The run closed before a worker answered; none goes on after it.
    Closed,
    /// The run closed before a worker answered; the next run of the chain can be asked.
    Continued,
    /// A worker had it when the engine failed the workflow task for what the worker completed it with.
    TaskFailed,
}

impl Run {
    /// What is known of the run's updates, up to date with the history.
    pub fn updates(&mut self) -> &mut Updates {
        let limits = &self.limits;
        let updates = self
            .updates
            .get_or_insert_with(|| Box::new(Updates::new(limits.clone())));
        updates.follow(&self.history, self.state.last_started_event_id);
        updates
    }

    /// Where the update of this id is; none: nothing is known of it, or it was rejected.
    pub fn update_status(&mut self, id: &str) -> Option<UpdateStatus> {
        let is_running = self.is_running();
        let updates = self.updates();
        let Some(recorded) = updates.recorded(id) else {
            return (updates.is_admitted(id) && is_running).then(|| UpdateStatus::at(UpdateStage::Admitted));
        };
        if recorded.completed_event_id != 0 {
            let outcome = self.update_outcome(recorded.completed_event_id);
            return Some(UpdateStatus::completed(outcome.unwrap_or_default()));
        }
        Some(if is_running {
            UpdateStatus::at(UpdateStage::Accepted)
        } else {
            UpdateStatus::failed(closed_before_completion())
        })
    }

    /// Whether the history has an outcome of this update.
    pub fn has_update_outcome(&mut self, id: &str) -> bool {
        self.updates()
            .recorded(id)
            .is_some_and(|recorded| recorded.completed_event_id != 0)
    }

    /// Admits an update, or finds the one of the same id; a worker gets it with the next workflow task.
    ///
    /// # Errors
    /// When the run is closed and never had it, when its workflow tasks keep failing, or when it has
    /// as many updates as a run may have.
    pub fn admit_update(&mut self, now: Nanos, id: &str, request: Request) -> Result<UpdateStatus, RpcError> {
        if let Some(status) = self.update_status(id)
            && !self.is_running()
        {
            return Ok(status);
        }
        self.check_running()?;
        if let Some(task) = &self.state.workflow_task
            && task.attempt >= FAILING_FROM_ATTEMPT
        {
            return Err(RpcError::NotReady(
                "Unable to perform workflow execution update due to Workflow Task in failed state.".into(),
            ));
        }
        if let Some(status) = self.update_status(id) {
            return Ok(status);
        }
        self.updates().admit(id, request)?;
        self.schedule_speculative_task(now);
        Ok(UpdateStatus::at(UpdateStage::Admitted))
    }

    /// The messages that go along with the started workflow task. Updates that a worker had before and
    /// did not answer go again if `again`: the task they went with has failed.
    pub fn outgoing_messages(&mut self, again: bool) -> Vec<Message> {
        match (&self.started_task, self.updates.is_some()) {
            (Some(started), true) => {
                let before = started.started_event_id - 1;
                self.updates().send(before, again)
            }
            _ => Vec::new(),
        }
    }

    /// Rejects what the worker had and did not answer: its SDK does not know updates, and would get
    /// them again and again.
    pub(super) fn reject_unanswered_updates(&mut self) {
        if self.updates.is_none() {
            return;
        }
        for id in self.updates().take_sent() {
            self.end_update(id, UpdateEnd::Rejected(Box::new(unprocessed())));
        }
    }

    /// Whether updates wait for a worker.
    pub(super) fn has_admitted_updates(&mut self) -> bool {
        self.updates.is_some() && self.updates().has_admitted()
    }

    /// The run has closed: no worker will answer what is admitted.
    pub(super) fn abort_updates(&mut self) {
        if self.updates.is_none() {
            return;
        }
        let end = if self.state.successor_run_id.is_empty() {
            UpdateEnd::Closed
        } else {
            UpdateEnd::Continued
        };
        for id in self.updates().take_admitted() {
            self.end_update(id, end.clone());
        }
    }

    /// The engine fails the task for what a worker completed it with: the updates that this worker had
    /// end, because the next attempt would most likely fail over them again.
    pub(super) fn fail_sent_updates(&mut self) {
        if self.updates.is_none() {
            return;
        }
        for id in self.updates().take_sent() {
            self.end_update(id, UpdateEnd::TaskFailed);
        }
    }

    /// Leaves word of how an update ended; the last word counts.
    fn end_update(&mut self, id: String, end: UpdateEnd) {
        let ends = &mut self.effects.update_ends;
        ends.retain(|(other, _)| *other != id);
        ends.push((id, end));
    }
}

/// What an accepted update ends with when its run closes before it is completed.
fn closed_before_completion() -> Failure {
    server_failure(
        "Workflow Update failed because the Workflow completed before the Update completed.",
        "AcceptedUpdateCompletedWorkflow",
    )
}

fn unprocessed() -> Failure {
    server_failure(
        "Workflow Update is rejected because it wasn't processed by worker. Probably, Workflow Update is not supported by the worker.",
        "UnprocessedUpdate",
    )
}

fn server_failure(message: &str, failure_type: &str) -> Failure {
    Failure {
        message: message.to_owned(),
        source: "Server".to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
            r#type: failure_type.to_owned(),
            non_retryable: true,
            ..Default::default()
        })),
        ..Default::default()
    }
}
