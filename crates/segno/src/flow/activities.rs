//! What flows, and the executions that wait for them, cannot do as workflows.

use futures::{StreamExt, TryStreamExt, stream};
use segno_event::Event;
use segno_routing::{
    Plan,
    flow::{Ended, Outcome, PlannedFlow, batch_event},
};
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionStatus, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy, WorkflowStartOptions,
    errors::{WorkflowInteractionError, WorkflowStartError},
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use super::{
    Word,
    calls::{Enrolment, enroll, plan_of, say},
    raw,
};
use crate::{execution, search_attributes, worker::TASK_QUEUE};

/// Executions that are asked for at once.
const AT_ONCE: usize = 16;

/// Input of `enroll`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Enroll {
    pub(super) flow: PlannedFlow,
    pub(super) workflow_id: String,
    pub(super) bytes: u64,
}

/// A flow's word to an event's execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Saying {
    pub(super) workflow_id: String,
    pub(super) word: Word,
}

/// Input of `start_batch`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StartBatch {
    /// Workflow id of the batch.
    pub(super) id: String,
    pub(super) key: String,
    /// Workflow ids of its members.
    pub(super) members: Vec<String>,
    /// Workflow id of the flow.
    pub(super) flow: String,
}

/// The activities of flow control.
pub(crate) struct FlowActivities;

#[activities]
impl FlowActivities {
    /// Asks the flow whether an execution may run.
    #[activity(name = "enroll")]
    pub(crate) async fn enroll(ctx: ActivityContext, input: Enroll) -> Result<(), ActivityError> {
        let Enroll {
            flow,
            workflow_id,
            bytes,
        } = input;
        let route = execution::route_of(&workflow_id).to_owned();
        let enrolment = Enrolment {
            route,
            flow,
            workflow_id,
            bytes,
        };
        Ok(enroll(&ctx.client(), &enrolment).await?)
    }

    /// Says to executions what their flow has decided. Returns those that are not there any more.
    #[activity(name = "say")]
    pub(crate) async fn say(
        ctx: ActivityContext,
        sayings: Vec<Saying>,
    ) -> Result<Vec<String>, ActivityError> {
        let client = ctx.client();
        let heard: Vec<_> = stream::iter(sayings)
            .map(|saying| {
                let client = client.clone();
                async move {
                    let heard = say(&client, &saying.workflow_id, &saying.word).await;
                    heard.map(|heard| (!heard).then_some(saying.workflow_id))
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(heard.into_iter().flatten().collect())
    }

    /// Which of these executions have closed, and how.
    #[activity(name = "closed")]
    pub(crate) async fn closed(ctx: ActivityContext, ids: Vec<String>) -> Result<Vec<Ended>, ActivityError> {
        let client = ctx.client();
        let outcomes: Vec<_> = stream::iter(ids)
            .map(|id| {
                let client = client.clone();
                async move { outcome(&client, &id).await.map(|outcome| (id, outcome)) }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut closed = Vec::new();
        for outcome in outcomes {
            if let (id, Some(outcome)) = outcome? {
                closed.push(Ended {
                    id,
                    key: String::new(),
                    outcome,
                });
            }
        }
        Ok(closed)
    }

    /// Starts the execution of a batch with the events of its members, which are read from their executions. False: none
    /// of them is there any more.
    #[activity(name = "start_batch")]
    pub(crate) async fn start_batch(ctx: ActivityContext, input: StartBatch) -> Result<bool, ActivityError> {
        let client = ctx.client();
        let plans: Vec<_> = stream::iter(input.members.clone())
            .map(|id| {
                let client = client.clone();
                async move { plan_of(&client, &id).await }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut members = Vec::new();
        for plan in plans {
            members.extend(plan?);
        }
        let Some(last) = members.last().cloned() else {
            return Ok(false);
        };
        let events: Result<Vec<_>, _> = members
            .iter()
            .map(|plan| serde_json::to_value(&plan.event))
            .collect();
        let first = input.members.first().map(String::as_str).unwrap_or_default();
        let event = batch_event(first, &input.key, events?);
        // The newest plan counts, as the newest policy does.
        let plan = Plan {
            flow: last.flow.clone().map(|flow| PlannedFlow {
                id: input.flow.clone(),
                key: input.key.clone(),
                admitted: true,
                ..flow
            }),
            event,
            ..last
        };
        start(&client, &input.id, &plan).await?;
        Ok(true)
    }
}

async fn start(client: &Client, id: &str, plan: &Plan) -> Result<(), WorkflowStartError> {
    let options = WorkflowStartOptions::new(TASK_QUEUE, id)
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
        .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
        .search_attributes(search_attributes::of(&plan.route, &plan.event))
        .build();
    let workflow = UntypedWorkflow::new(execution::WORKFLOW_TYPE);
    match client.start_workflow(workflow, raw(plan), options).await {
        // An earlier attempt has started it.
        Ok(_) | Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// How an execution has closed. None: it runs.
async fn outcome(client: &Client, id: &str) -> Result<Option<Outcome>, WorkflowInteractionError> {
    let handle = client.get_workflow_handle::<UntypedWorkflow>(id);
    let status = match handle.describe(WorkflowDescribeOptions::default()).await {
        Ok(description) => description.status(),
        Err(WorkflowInteractionError::NotFound(_)) => return Ok(Some(Outcome::Withdrawn)),
        Err(error) => return Err(error),
    };
    Ok(match status {
        WorkflowExecutionStatus::Completed => Some(Outcome::Done),
        WorkflowExecutionStatus::Failed | WorkflowExecutionStatus::TimedOut => Some(Outcome::Failed {
            cause: "it closed without a word".to_owned(),
        }),
        WorkflowExecutionStatus::Canceled | WorkflowExecutionStatus::Terminated => Some(Outcome::Withdrawn),
        _ => None,
    })
}

/// Size of an event as JSON.
pub(crate) fn size(event: &Event) -> u64 {
    serde_json::to_vec(event).map_or(0, |json| json.len() as u64)
}
