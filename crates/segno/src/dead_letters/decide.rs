//! Deciding about a dead letter: retry, skip, resolve, or keep on. Each is one new run of the execution, or none.

use std::collections::HashMap;

use segno_routing::{After, Decision, Plan};
use serde::{Deserialize, Serialize};
use temporalio_client::{Client, tonic::Status};
use temporalio_common::protos::temporal::api::enums::v1::{WorkflowExecutionStatus, WorkflowIdReusePolicy};
use utoipa::ToSchema;

use super::edit::{Edit, EditError};
use crate::{
    catalogue::Misfit,
    execution::{WORKFLOW_TYPE, bare_workflow},
    live::Live,
    pauses::Pauses,
    run::{self, DECISION_MEMO, Recorded, Start, Summary, json_payload},
    search_attributes,
};

/// What to do with a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Action {
    /// Run it again.
    Retry(Edit),
    /// Give it up.
    Skip,
    /// It was dealt with elsewhere.
    Resolve,
    /// Have it fail again, lest the engine deletes it.
    #[serde(skip)]
    Keep,
}

/// A decision about a dead letter.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) action: Action,
    pub(crate) by: Option<String>,
    pub(crate) note: Option<String>,
    /// The bulk operation that it is part of.
    pub(crate) bulk: Option<String>,
}

/// What became of a decision.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DecidedDeadLetter)]
pub(crate) struct Decided {
    /// Id of the execution.
    pub(crate) id: String,
    /// Id of the execution's latest run: the one that was started now, or what stood in its way.
    pub(crate) run_id: String,
    /// Whether anything was done.
    pub(crate) changed: bool,
    /// Status of that run.
    #[schema(example = "Running")]
    pub(crate) status: &'static str,
    /// What was done; or why nothing was.
    pub(crate) message: String,
}

/// A decision cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such execution, or it is no event's.
    #[error("there is no execution of an event with this id")]
    NotFound,
    /// The engine does not answer.
    #[error("the engine does not answer: {}", .0.message())]
    Engine(#[source] Status),
    /// It cannot be decrypted.
    #[error("the event is {0}: nothing can be decided about it before")]
    Encrypted(String),
    /// A change cannot be made.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The changed data does not fit the schema of the event's type.
    #[error("the changed data does not fit the schema of the type {ty:?}: {}", listed(.misfits))]
    Misfits {
        /// The type.
        ty: String,
        /// Everything that does not fit.
        misfits: Vec<Misfit>,
    },
    /// The plan cannot be encoded.
    #[error("the plan cannot be encoded")]
    Encode(#[from] serde_json::Error),
    /// The plan is too large.
    #[error("with these changes the event is {0} bytes long as an execution's input, which is too large")]
    TooLarge(usize),
}

fn listed(misfits: &[Misfit]) -> String {
    let listed: Vec<_> = misfits
        .iter()
        .map(|misfit| format!("{}: {}", misfit.path, misfit.what))
        .collect();
    listed.join("; ")
}

impl From<run::ReadError> for Error {
    fn from(error: run::ReadError) -> Self {
        match error {
            run::ReadError::NoEvent(_) => Self::NotFound,
            run::ReadError::Engine(status) => Self::from(status),
            run::ReadError::Encrypted { reason, .. } => Self::Encrypted(reason),
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        match status.code() {
            temporalio_client::tonic::Code::NotFound => Self::NotFound,
            _ => Self::Engine(status),
        }
    }
}

/// Carries decisions out.
#[derive(Clone)]
pub(crate) struct Decider {
    pub(crate) client: Client,
    /// The configuration as it is now.
    pub(crate) live: Live,
    /// What people hold up.
    pub(crate) pauses: Pauses,
}

impl Decider {
    /// Does to a dead letter what is asked, once: whoever asks second is told that it was done already. With `run_id`
    /// it is done only if that run is still the latest.
    pub(crate) async fn decide(
        &self,
        workflow_id: &str,
        run_id: Option<&str>,
        request: &Request,
    ) -> Result<Decided, Error> {
        let latest = Summary::latest(&self.client, workflow_id).await?;
        if run_id.is_some_and(|run_id| run_id != latest.run_id) || !latest.has_failed() {
            return Ok(already(latest));
        }
        let failed = Recorded::read(&self.client, workflow_id, &latest.run_id).await?;
        let start = self.start(&failed, request)?;
        let done = match &request.action {
            Action::Retry(_) => "it runs again",
            Action::Skip => "it is skipped: nothing more of it will run",
            Action::Resolve => "it is marked as resolved",
            Action::Keep => "it is kept",
        };
        match start.send(&self.client).await? {
            Some(run_id) => Ok(Decided {
                id: workflow_id.to_owned(),
                run_id,
                changed: true,
                status: "Running",
                message: done.to_owned(),
            }),
            None => Ok(already(Summary::latest(&self.client, workflow_id).await?)),
        }
    }

    /// The run that carries a decision out.
    fn start(&self, failed: &Recorded, request: &Request) -> Result<Start, Error> {
        let run_id = &failed.summary.run_id;
        let unchanged = Edit::default();
        let edit = match &request.action {
            Action::Retry(edit) => edit,
            _ => &unchanged,
        };
        let decision = match &request.action {
            Action::Retry(_) => Decision::Retry,
            Action::Skip => Decision::Skip,
            Action::Resolve => Decision::Resolve,
            Action::Keep => Decision::Keep {
                failed: failed.failed(),
                since: failed.failed_at().map(run::format).unwrap_or_default(),
            },
        };
        let after = After {
            run_id: run_id.clone(),
            decision,
            by: request.by.clone(),
            note: request.note.clone(),
            failures: failed.failures(),
            done: if edit.all_actions {
                Vec::new()
            } else {
                failed.done()
            },
            edition: match failed.after().and_then(|after| after.edition.clone()) {
                _ if edit.changes_deliveries() => Some(run_id.clone()),
                // What was changed once goes on under the keys that it has had since.
                before => before,
            },
            bulk: request.bulk.clone(),
        };
        let setup = self.live.get();
        let mut plan = edit.apply(&failed.plan, &setup.routes)?;
        if edit.event.is_some() || edit.data.is_some() {
            if let Some(path) = setup.redact.mask_in(&plan.event) {
                return Err(EditError::Masked(path).into());
            }
            let misfits = setup.schemas.misfits(&plan.event);
            if !misfits.is_empty() {
                return Err(Error::Misfits {
                    ty: plan.event.ty,
                    misfits,
                });
            }
        }
        plan.alert.clone_from(&setup.alert);
        let attributes = search_attributes::of(&plan.route, &plan.event);
        let memo = HashMap::from([(DECISION_MEMO.to_owned(), json_payload(&without_causes(&after))?)]);
        let (ty, input) = match bare_workflow(&plan, &self.pauses) {
            Some(name) if after.decision == Decision::Retry => (name.to_owned(), json_payload(&plan.event)?),
            _ => {
                let plan = Plan {
                    after: Some(after),
                    ..plan
                };
                (WORKFLOW_TYPE.to_owned(), json_payload(&plan)?)
            }
        };
        if input.data.len() > crate::intake::MAX_INPUT {
            return Err(Error::TooLarge(input.data.len()));
        }
        Ok(Start {
            workflow_id: failed.summary.workflow_id.clone(),
            ty,
            input,
            // One decision a failed run, whoever makes it and however often it is sent.
            request_id: format!("after/{run_id}"),
            reuse: WorkflowIdReusePolicy::AllowDuplicateFailedOnly,
            attributes: Some(attributes),
            memo,
            delay: None,
        })
    }
}

/// Nothing was done, as the latest run is no failed one any more.
fn already(latest: Summary) -> Decided {
    let decided = latest.after.as_ref().map(|after| {
        let did = match after.decision {
            Decision::Retry => "retried",
            Decision::Skip => "skipped",
            Decision::Resolve => "resolved",
            Decision::Keep { .. } => "kept on",
        };
        match &after.by {
            Some(by) => format!("it was already {did} by {by}"),
            None => format!("it was already {did}"),
        }
    });
    let state = match latest.status {
        WorkflowExecutionStatus::Running => "the latest run is running",
        WorkflowExecutionStatus::Completed => "the latest run is done",
        WorkflowExecutionStatus::Failed => "the latest run has failed: it is a dead letter of its own",
        WorkflowExecutionStatus::Canceled => "the latest run was cancelled",
        WorkflowExecutionStatus::Terminated => "the latest run was terminated",
        _ => "the latest run is no failed one",
    };
    let message = match decided {
        Some(decided) => format!("{decided}; {state}"),
        None => format!("it is no dead letter: {state}"),
    };
    Decided {
        id: latest.workflow_id,
        run_id: latest.run_id,
        changed: false,
        status: run::status_name(latest.status),
        message,
    }
}

/// Memos are in lists: there the causes would be in the way.
fn without_causes(after: &After) -> After {
    let mut after = after.clone();
    if let Decision::Keep { failed, .. } = &mut after.decision {
        failed.clear();
    }
    after.done.clear();
    after
}
