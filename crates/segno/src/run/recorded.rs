//! A run of an event's execution, with the plan that it carries out.

use segno_event::Event;
use segno_routing::{After, Decision, FailedAction, Plan, PlannedHandler};
use serde::de::DeserializeOwned;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::{
    protos::temporal::api::{
        common::v1::{Memo, Payloads, WorkflowExecution},
        enums::v1::WorkflowExecutionStatus,
        failure::v1::failure::FailureInfo,
        history::v1::history_event::Attributes,
        workflow::v1::WorkflowExecutionInfo,
        workflowservice::v1::{DescribeWorkflowExecutionRequest, GetWorkflowExecutionHistoryRequest},
    },
    search_attributes::SearchAttributes,
};
use time::OffsetDateTime;

use super::{Action, Actions, Failure, State, history, moment, value};
use crate::{
    encryption::{open, unreadable},
    execution::{DEAD_LETTER, Report, WORKFLOW_TYPE},
    origin::{self, Origin},
    search_attributes::ROUTE,
};

/// Key of the memo with the [`After`] of a run that is not its execution's first.
pub(crate) const DECISION_MEMO: &str = "SegnoDecision";

/// What lists and descriptions say of a run.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    /// Workflow type.
    pub(crate) ty: String,
    pub(crate) status: WorkflowExecutionStatus,
    pub(crate) started: Option<OffsetDateTime>,
    /// When its first step is due: later than its start where it is delayed.
    pub(crate) begins: Option<OffsetDateTime>,
    pub(crate) closed: Option<OffsetDateTime>,
    pub(crate) attributes: SearchAttributes,
    /// The dead letter that it follows, if it does.
    pub(crate) after: Option<After>,
    /// How its event came in; only the runs that the intake started know.
    pub(crate) origin: Option<Origin>,
}

impl Summary {
    pub(crate) fn of(info: WorkflowExecutionInfo) -> Self {
        let execution = info.execution.unwrap_or_default();
        Self {
            workflow_id: execution.workflow_id,
            run_id: execution.run_id,
            ty: info.r#type.unwrap_or_default().name,
            status: WorkflowExecutionStatus::try_from(info.status).unwrap_or_default(),
            started: info.start_time.as_ref().and_then(moment),
            begins: info.execution_time.as_ref().and_then(moment),
            closed: info.close_time.as_ref().and_then(moment),
            attributes: info
                .search_attributes
                .as_ref()
                .map(SearchAttributes::from_proto)
                .unwrap_or_default(),
            after: remembered(info.memo.as_ref(), DECISION_MEMO),
            origin: remembered(info.memo.as_ref(), origin::MEMO),
        }
    }

    /// The latest run of an execution.
    pub(crate) async fn latest(client: &Client, workflow_id: &str) -> Result<Self, Status> {
        let (summary, _) = describe(client, workflow_id, "").await?;
        Ok(summary)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.status == WorkflowExecutionStatus::Failed
    }
}

/// What a memo has under a key.
fn remembered<T: DeserializeOwned>(memo: Option<&Memo>, key: &str) -> Option<T> {
    serde_json::from_slice(&memo?.fields.get(key)?.data).ok()
}

/// A run of an event's execution.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) summary: Summary,
    /// What it carries out. For a workflow of the program's own it is put together from what it was started with.
    pub(crate) plan: Plan,
    pub(crate) failure: Option<Failure>,
    pub(crate) actions: Vec<Action>,
    /// What it returned: none unless it completed, or of a workflow of the program's own.
    pub(crate) report: Option<Report>,
    /// What a [`DEAD_LETTER`] failure lists.
    details: Vec<FailedAction>,
}

/// A run cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The engine does not give it.
    #[error("the engine does not give the run: {}", .0.message())]
    Engine(#[from] Status),
    /// It was started with neither a plan nor an event.
    #[error("{0} is not the execution of an event")]
    NoEvent(String),
    /// What it was started with cannot be decrypted.
    #[error("the event of {} is {reason}", .summary.workflow_id)]
    Encrypted {
        /// The run, by what is not encrypted.
        summary: Box<Summary>,
        /// Why.
        reason: String,
    },
}

impl Recorded {
    /// Reads a run; without a run id the latest.
    pub(crate) async fn read(client: &Client, workflow_id: &str, run_id: &str) -> Result<Self, Error> {
        let (summary, pending) = describe(client, workflow_id, run_id).await?;
        let execution = WorkflowExecution {
            workflow_id: summary.workflow_id.clone(),
            run_id: summary.run_id.clone(),
        };
        let (mut input, mut failure, mut details) = (None, None, Vec::new());
        let (mut actions, mut report) = (Actions::default(), None);
        for event in history(client, execution).await? {
            match event.attributes {
                Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => input = started.input,
                Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed))
                    if summary.ty == WORKFLOW_TYPE =>
                {
                    report = serde_json::from_value(value(completed.result)).ok();
                }
                Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) => {
                    if let Some(FailureInfo::ApplicationFailureInfo(info)) = failed
                        .failure
                        .as_ref()
                        .and_then(|failure| failure.failure_info.as_ref())
                        && info.r#type == DEAD_LETTER
                    {
                        details = value(info.details.clone())
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(|item| serde_json::from_value(item.clone()).ok())
                            .collect();
                    }
                    failure = failed.failure.map(Failure::of);
                }
                Some(Attributes::WorkflowExecutionTerminatedEventAttributes(terminated)) => {
                    failure = Some(Failure::terminated(terminated.reason));
                }
                Some(attributes) => {
                    let at = event.event_time.and_then(super::rfc3339);
                    actions.see(event.event_id, at, attributes);
                }
                None => {}
            }
        }
        let started = input.as_ref().and_then(|input| input.payloads.first());
        if let Some(reason) = started.and_then(unreadable) {
            let summary = Box::new(summary);
            return Err(Error::Encrypted { summary, reason });
        }
        let plan = plan_of(&summary, input).ok_or_else(|| Error::NoEvent(summary.workflow_id.clone()))?;
        Ok(Self {
            actions: actions.with_pending(pending),
            summary,
            plan,
            failure,
            report,
            details,
        })
    }

    /// The dead letter that it follows, if it does.
    pub(crate) fn after(&self) -> Option<&After> {
        self.plan.after.as_ref().or(self.summary.after.as_ref())
    }

    /// How many runs of the execution have failed, this one included.
    pub(crate) fn failures(&self) -> u32 {
        let before = self.after().map_or(0, |after| after.failures);
        before + u32::from(self.summary.has_failed() && !self.is_kept())
    }

    /// Whether this run only keeps a dead letter on.
    fn is_kept(&self) -> bool {
        matches!(
            self.after().map(|after| &after.decision),
            Some(Decision::Keep { .. })
        )
    }

    /// When it failed; of what is kept on, when that did.
    pub(crate) fn failed_at(&self) -> Option<OffsetDateTime> {
        match self.after().map(|after| &after.decision) {
            Some(Decision::Keep { since, .. }) => super::parse(since),
            _ => self.summary.closed,
        }
    }

    /// The actions that are done, in this run and those before it.
    pub(crate) fn done(&self) -> Vec<String> {
        let mut done = self.after().map(|after| after.done.clone()).unwrap_or_default();
        for action in &self.actions {
            if action.state == State::Completed && !done.contains(&action.name) {
                done.push(action.name.clone());
            }
        }
        done
    }

    /// What failed, and why.
    pub(crate) fn failed(&self) -> Vec<FailedAction> {
        if let Some(Decision::Keep { failed, .. }) = self.after().map(|after| &after.decision)
            && !failed.is_empty()
        {
            return failed.clone();
        }
        let attempts = |name: &str| {
            let found = self.actions.iter().rev().find(|action| action.name == name);
            found.map_or(0, |action| u32::try_from(action.attempts).unwrap_or_default())
        };
        if self.details.is_empty() {
            let cause = self.failure.as_ref().map(cause).unwrap_or_default();
            let action = match &self.plan.handler {
                PlannedHandler::Workflow { name } | PlannedHandler::Consumer { name, .. } => name.clone(),
                PlannedHandler::Actions { .. } => self.plan.route.clone(),
            };
            return vec![FailedAction {
                action,
                cause,
                attempts: 0,
            }];
        }
        let mut failed = self.details.clone();
        for item in &mut failed {
            item.attempts = attempts(&item.action);
        }
        failed
    }
}

/// A failure with what it was caused by, in one line.
fn cause(failure: &Failure) -> String {
    let mut text = failure.message.clone();
    let mut next = failure.cause.as_deref();
    while let Some(failure) = next {
        text = format!("{text}: {}", failure.message);
        next = failure.cause.as_deref();
    }
    text
}

fn plan_of(summary: &Summary, input: Option<Payloads>) -> Option<Plan> {
    let input = input?.payloads.into_iter().next()?;
    if summary.ty == WORKFLOW_TYPE {
        return serde_json::from_slice(&input.data).ok();
    }
    let event: Event = serde_json::from_slice(&input.data).ok()?;
    Some(Plan {
        route: summary.attributes.get(&ROUTE).unwrap_or_default(),
        event,
        handler: PlannedHandler::Workflow {
            name: summary.ty.clone(),
        },
        deadline: None,
        alert: None,
        after: None,
        start: Default::default(),
        flow: None,
    })
}

/// The event that a run is about; none if it is about none, or cannot be decrypted.
pub(crate) async fn event_of(client: &Client, execution: WorkflowExecution) -> Result<Option<Event>, Status> {
    let request = GetWorkflowExecutionHistoryRequest {
        namespace: client.namespace(),
        execution: Some(execution),
        maximum_page_size: 1,
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = service
        .get_workflow_execution_history(request.into_request())
        .await?;
    let reply = open(client, reply.into_inner()).await;
    let first = reply.history.unwrap_or_default().events.into_iter().next();
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) =
        first.and_then(|event| event.attributes)
    else {
        return Ok(None);
    };
    let input = started.input.unwrap_or_default().payloads.into_iter().next();
    let input = input.unwrap_or_default().data;
    let plan = serde_json::from_slice::<Plan>(&input).map(|plan| plan.event);
    Ok(plan.or_else(|_| serde_json::from_slice(&input)).ok())
}

type Pending = Vec<temporalio_common::protos::temporal::api::workflow::v1::PendingActivityInfo>;

async fn describe(client: &Client, workflow_id: &str, run_id: &str) -> Result<(Summary, Pending), Status> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: client.namespace(),
        execution: Some(WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            run_id: run_id.to_owned(),
        }),
    };
    let mut service = client.connection().workflow_service();
    let described = service
        .describe_workflow_execution(request.into_request())
        .await?
        .into_inner();
    let described = open(client, described).await;
    let summary = Summary::of(described.workflow_execution_info.unwrap_or_default());
    Ok((summary, described.pending_activities))
}

/// The name that the visibility query language has for a status.
pub(crate) fn status_name(status: WorkflowExecutionStatus) -> &'static str {
    match status {
        WorkflowExecutionStatus::Unspecified => "Unspecified",
        WorkflowExecutionStatus::Running => "Running",
        WorkflowExecutionStatus::Completed => "Completed",
        WorkflowExecutionStatus::Failed => "Failed",
        WorkflowExecutionStatus::Canceled => "Canceled",
        WorkflowExecutionStatus::Terminated => "Terminated",
        WorkflowExecutionStatus::ContinuedAsNew => "ContinuedAsNew",
        WorkflowExecutionStatus::TimedOut => "TimedOut",
        WorkflowExecutionStatus::Paused => "Paused",
    }
}
