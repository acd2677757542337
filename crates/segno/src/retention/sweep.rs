//! One sweep: a workflow with one activity.

use std::{sync::Arc, time::Duration};

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
    flow,
    live::Live,
    run::{self, Summary},
};

/// How long a sweep may take; what it has not come to is the next one's.
const SWEEP: Duration = Duration::from_secs(30 * 60);
/// How long it may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// Runs that are looked at in one go.
const PAGE: usize = 200;
/// Runs of one route that are looked at in one sweep.
const MOST: usize = 20_000;
/// Executions that are dealt with side by side.
const AT_ONCE: usize = 8;

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
            .heartbeat_timeout(SILENCE)
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
        let mut swept = Swept::default();
        for route in routes.iter() {
            if let Some(retention) = route.timing.retention {
                swept.deleted += of_route(&ctx, &client, &route.name, retention).await?;
            }
        }
        Ok(swept)
    }
}

async fn of_route(
    ctx: &ActivityContext,
    client: &Client,
    route: &str,
    retention: Duration,
) -> Result<u64, ActivityError> {
    let before = run::format(OffsetDateTime::now_utc() - retention);
    let query = format!(
        "SegnoRoute = {} AND WorkflowType != '{}' AND ExecutionStatus IN ('Completed', 'Canceled', 'Terminated') \
         AND CloseTime < '{before}'",
        quoted(route),
        flow::WORKFLOW_TYPE,
    );
    let (mut token, mut looked_at, mut deleted) = (Vec::new(), 0, 0);
    loop {
        let (found, next) = runs(client, &query, PAGE, token).await?;
        looked_at += found.len();
        let gone: Vec<u64> = stream::iter(found.into_iter().map(|run| delete(client, run)))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        deleted += gone.iter().sum::<u64>();
        if next.is_empty() || looked_at >= MOST {
            return Ok(deleted);
        }
        token = next;
        ctx.record_heartbeat(()).await?;
    }
}

/// Deletes all runs of an execution that is done. One whose latest run goes on, or is a dead letter, stays whole.
async fn delete(client: &Client, run: Summary) -> Result<u64, Status> {
    let latest = match Summary::latest(client, &run.workflow_id).await {
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
    if !is_done || latest.run_id != run.run_id {
        return Ok(0);
    }
    let query = format!("WorkflowId = {}", quoted(&run.workflow_id));
    let (mut all, mut token) = (Vec::new(), Vec::new());
    loop {
        let (found, next) = runs(client, &query, PAGE, token).await?;
        all.extend(
            found
                .into_iter()
                .map(|run| run.run_id)
                .filter(|id| *id != run.run_id),
        );
        if next.is_empty() {
            break;
        }
        token = next;
    }
    // The latest alone, in the next sweep, once the others are gone: without it one of them that failed would be the latest,
    // and so a dead letter.
    if all.is_empty() {
        all.push(run.run_id);
    }
    let mut deleted = 0;
    for run_id in all {
        let request = DeleteWorkflowExecutionRequest {
            namespace: client.namespace(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id: run.workflow_id.clone(),
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
