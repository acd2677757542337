//! `GET /executions/{workflow_id}`: one execution, what it was given, and what became of it.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, history::v1::history_event::Attributes,
    workflowservice::v1::DescribeWorkflowExecutionRequest,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    executions::{Execution, problem_of_engine},
    extract::{Path, Query},
    pending::Standing,
    problem::{MEDIA_TYPE, Problem},
    story,
};
use crate::{
    encryption::open,
    execution::story::ActionStory,
    run::{Action, Actions, Failure, Summary, history, rfc3339, value},
    story::waits,
};

/// Which run.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Run of the execution. Left out: the latest.
    run_id: Option<String>,
}

/// An execution in detail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionDetail)]
pub(super) struct Detail {
    #[serde(flatten)]
    execution: Execution,
    /// What it was started with: a plan (`route`, `event`, `handler`), or the event for a workflow of the program's
    /// own.
    input: Value,
    /// What it returned; left out unless it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// Why it failed; left out unless it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    /// What it waits for, where a pause, a delay or the flow control of its route holds it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it waits for its turn, behind orders//shop/1 (key \"customer-7\")")]
    waits: Option<String>,
    /// Its activities in the order they were scheduled: actions, consumers, deliveries of timers.
    actions: Vec<Action>,
    /// What became of each action of the plan, in its order, those included that are still to come; left out where the
    /// input is no plan. The same as the query `story` answers, from the history alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<Vec<ActionStory>>,
    /// Where it stands in the engine: what is pending, and what it is known by.
    standing: Standing,
}

/// Shows one execution. Its id contains slashes: as one path segment it is percent-encoded.
#[utoipa::path(
    get, path = "/executions/{workflow_id}", tag = "executions",
    params(("workflow_id" = String, Path, description = "Id of the execution, percent-encoded."), Params),
    responses(
        (status = 200, description = "The execution.", body = Detail),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn get(
    State(client): State<Client>,
    Path(workflow_id): Path<String>,
    Query(params): Query<Params>,
) -> Result<Json<Detail>, Problem> {
    let execution = WorkflowExecution {
        workflow_id,
        run_id: params.run_id.unwrap_or_default(),
    };
    Ok(Json(read(&client, execution).await.map_err(problem_of_engine)?))
}

async fn read(client: &Client, execution: WorkflowExecution) -> Result<Detail, Status> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: client.namespace(),
        execution: Some(execution),
    };
    let mut service = client.connection().workflow_service();
    let described = service
        .describe_workflow_execution(request.into_request())
        .await?
        .into_inner();
    let described = open(client, described).await;
    let info = described.workflow_execution_info.unwrap_or_default();
    // The run that was described, even if another has started since.
    let history = history(client, info.execution.clone().unwrap_or_default()).await?;

    let (mut input, mut result, mut failure) = (Value::Null, None, None);
    let mut actions = Actions::default();
    for event in history {
        match event.attributes {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                input = value(started.input);
            }
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => {
                result = Some(value(completed.result));
            }
            Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) => {
                failure = failed.failure.map(Failure::of);
            }
            Some(Attributes::WorkflowExecutionTerminatedEventAttributes(terminated)) => {
                failure = Some(Failure::terminated(terminated.reason));
            }
            Some(attributes) => actions.see(event.event_id, event.event_time.and_then(rfc3339), attributes),
            None => {}
        }
    }
    let standing = Standing::of(
        &info,
        described.pending_workflow_task,
        &described.pending_activities,
        described.pending_children,
    );
    let actions = actions.with_pending(described.pending_activities);
    let story = story::tell(&input, &actions);
    let summary = Summary::of(info.clone());
    let execution = Execution::of(info);
    let flow = serde_json::from_value(input["flow"].clone()).ok();
    let waits = waits(client, &summary, flow.as_ref()).await;
    Ok(Detail {
        execution,
        waits,
        input,
        result,
        failure,
        actions,
        story,
        standing,
    })
}
