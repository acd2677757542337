//! One sweep: a workflow with one activity.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, enums::v1::WorkflowExecutionStatus,
    workflowservice::v1::DeleteWorkflowExecutionRequest,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use time::OffsetDateTime;

use super::TYPE;
use crate::{
    dead_letters::{quoted, runs},
    execution::{HEARTBEAT_TIMEOUT, Progress, keep_alive},
    flow,
    live::Live,
    run::{self, Summary},
};

/// How long a sweep may take; what it has not come to is the next one's.
const SWEEP: Duration = Duration::from_secs(30 * 60);
/// Runs that are looked at in one go, of one route.
const PAGE: usize = 200;
/// Runs that one list of their executions may have: as many as a cluster gives at once.
const LISTED: usize = 1_000;
/// Calls to delete that are under way at a time. The engine writes those that come together to the disk at once, and is
/// free for everybody else between them.
const AT_ONCE: usize = 32;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Swept {
    /// How many runs were deleted.
    deleted: u64,
}

/// One sweep.
#[workflow]
#[derive(Default)]
pub(crate) struct RetentionWorkflow;

#[workflow_methods]
impl RetentionWorkflow {
    #[run(name = TYPE)]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Swept> {
        let options = ActivityOptions::with_start_to_close_timeout(SWEEP)
            .heartbeat_timeout(HEARTBEAT_TIMEOUT)
            .build();
        Ok(ctx
            .execute_activity(RetentionActivities::sweep, (), options)
            .await?)
    }
}

/// The activity of a sweep.
pub(crate) struct RetentionActivities(pub(crate) Live);

#[activities]
impl RetentionActivities {
    /// Deletes what has been done for longer than its route keeps it.
    #[activity(name = "sweep")]
    pub(crate) async fn sweep(self: Arc<Self>, ctx: ActivityContext, _: ()) -> Result<Swept, ActivityError> {
        let (client, routes) = (ctx.client(), self.0.get().routes.clone());
        let now = OffsetDateTime::now_utc();
        let mut turns: VecDeque<Turn> = routes
            .iter()
            .filter_map(|route| Some(Turn::of(&route.name, now - route.timing.retention?)))
            .collect();
        keep_alive(&ctx, &Progress::default(), async {
            let mut swept = Swept::default();
            while let Some(mut turn) = turns.pop_front() {
                swept.deleted += turn.take(&client).await?;
                // The routes take turns: one with a million of them does not keep the others waiting.
                if !turn.next.is_empty() {
                    turns.push_back(turn);
                }
            }
            Ok(swept)
        })
        .await
    }
}

/// Where a sweep is with a route.
struct Turn {
    /// What is done of the route and old enough.
    query: String,
    /// Where its next page begins.
    next: Vec<u8>,
}

impl Turn {
    fn of(route: &str, before: OffsetDateTime) -> Self {
        let query = format!(
            "SegnoRoute = {} AND WorkflowType != '{}' AND ExecutionStatus IN ('Completed', 'Canceled', 'Terminated') \
             AND CloseTime < '{}'",
            quoted(route),
            flow::WORKFLOW_TYPE,
            run::format(before),
        );
        Self {
            query,
            next: Vec::new(),
        }
    }

    /// Deletes the executions of one page, and answers how many runs that were.
    async fn take(&mut self, client: &Client) -> Result<u64, Status> {
        let (found, next) = runs(client, &self.query, PAGE, std::mem::take(&mut self.next)).await?;
        self.next = next;
        let due: HashSet<String> = found.iter().map(|run| run.run_id.clone()).collect();
        let deletions = whole(client, found)
            .await?
            .into_iter()
            .map(|(workflow_id, runs)| delete(client, workflow_id, runs, &due));
        stream::iter(deletions)
            .buffer_unordered(AT_ONCE)
            .try_fold(0, async |sum, deleted| Ok(sum + deleted))
            .await
    }
}

/// The executions of these runs by their workflow ids, each with the ids of all its runs.
async fn whole(client: &Client, found: Vec<Summary>) -> Result<HashMap<String, Vec<String>>, Status> {
    let ids: HashSet<_> = found.iter().map(|run| quoted(&run.workflow_id)).collect();
    let mut executions: HashMap<String, Vec<String>> = HashMap::new();
    if ids.is_empty() {
        return Ok(executions);
    }
    let ids: Vec<_> = ids.into_iter().collect();
    let query = format!("WorkflowId IN ({})", ids.join(", "));
    let mut token = Vec::new();
    loop {
        let (found, next) = runs(client, &query, LISTED, token).await?;
        for run in found {
            executions.entry(run.workflow_id).or_default().push(run.run_id);
        }
        if next.is_empty() {
            return Ok(executions);
        }
        token = next;
    }
}

/// Deletes what it may of an execution with these runs, of which some are due. One whose latest run goes on, or is a dead
/// letter, stays whole.
async fn delete(
    client: &Client,
    workflow_id: String,
    mut runs: Vec<String>,
    due: &HashSet<String>,
) -> Result<u64, Status> {
    // Nearly every one has a single run, which is the latest then: nothing needs to be asked about it.
    if runs.len() > 1 {
        let latest = match Summary::latest(client, &workflow_id).await {
            Ok(latest) => latest,
            Err(status) if status.code() == Code::NotFound => return Ok(0),
            Err(status) => return Err(status),
        };
        let is_done = matches!(
            latest.status,
            WorkflowExecutionStatus::Completed
                | WorkflowExecutionStatus::Canceled
                | WorkflowExecutionStatus::Terminated
        );
        // A run of before is taken along by the latest, once its own time has come.
        if !is_done || !due.contains(&latest.run_id) {
            return Ok(0);
        }
        // The latest alone, in the next sweep, once the others are gone: without it one of them that failed would be the
        // latest, and so a dead letter.
        runs.retain(|run_id| *run_id != latest.run_id);
    } else if !runs.iter().all(|run_id| due.contains(run_id)) {
        return Ok(0);
    }
    let mut deleted = 0;
    for run_id in runs {
        let request = DeleteWorkflowExecutionRequest {
            namespace: client.namespace(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id: workflow_id.clone(),
                run_id,
            }),
        };
        let mut service = client.connection().workflow_service();
        match service.delete_workflow_execution(request.into_request()).await {
            Ok(_) => deleted += 1,
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) => return Err(status),
        }
    }
    Ok(deleted)
}
