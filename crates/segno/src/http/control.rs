//! `POST /executions/{workflow_id}/…`: what people do to an execution: signal, cancel, terminate, reset.

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payloads, WorkflowExecution},
    workflowservice::v1::{
        RequestCancelWorkflowExecutionRequest, ResetWorkflowExecutionRequest, SignalWorkflowExecutionRequest,
        TerminateWorkflowExecutionRequest,
    },
};
use utoipa::ToSchema;

use super::{
    executions::problem_of_engine,
    extract::Path,
    json::read_json,
    problem::{MEDIA_TYPE, Problem},
};
use crate::{encryption::seal, run::json_payload};

/// The routes of this file.
pub(super) fn router(client: Client) -> Router {
    Router::new()
        .route("/executions/{workflow_id}/signal", post(signal))
        .route("/executions/{workflow_id}/cancel", post(cancel))
        .route("/executions/{workflow_id}/terminate", post(terminate))
        .route("/executions/{workflow_id}/reset", post(reset))
        .with_state(client)
}

/// A signal.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExecutionSignal)]
pub(super) struct Signal {
    /// Its name.
    #[serde(default)]
    name: String,
    /// What it carries. Left out: nothing.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    /// Only this run. Left out: the one that runs.
    #[serde(default)]
    run_id: Option<String>,
}

/// A `null` that is given is an input.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Which run is ended, and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExecutionEnd)]
pub(super) struct End {
    /// Why, for those who look at it later.
    #[serde(default)]
    reason: Option<String>,
    /// Only this run. Left out: the one that runs.
    #[serde(default)]
    run_id: Option<String>,
}

/// From where a run is to go on anew.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExecutionReset)]
pub(super) struct Reset {
    /// Number of the history event that ends a workflow task, such as `WorkflowTaskCompleted`: what comes before it is
    /// kept, and the task is done anew.
    #[serde(default)]
    event_id: i64,
    /// Why, for those who look at it later.
    #[serde(default)]
    reason: Option<String>,
    /// The run whose history it is. Left out: the latest.
    #[serde(default)]
    run_id: Option<String>,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionTold)]
pub(super) struct Told {
    /// Id of the execution.
    workflow_id: String,
    /// The run that was made; left out where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
}

type Answer = Result<(StatusCode, Json<Told>), Problem>;

/// Sends a signal to an execution that runs.
#[utoipa::path(
    post, path = "/executions/{workflow_id}/signal", tag = "executions", request_body = Signal,
    params(("workflow_id" = String, Path, description = "Id of the execution, percent-encoded.")),
    responses(
        (status = 202, description = "The engine has it.", body = Told),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such execution runs.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn signal(
    State(client): State<Client>,
    Path(workflow_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Signal { name, input, run_id } = read_json(&headers, body).await?;
    if name.is_empty() {
        return Err(invalid("say in `name` which signal it is"));
    }
    let payload = input.map(|input| json_payload(&input)).transpose();
    let payload = payload.map_err(|error| invalid(error.to_string()))?;
    let request = SignalWorkflowExecutionRequest {
        namespace: client.namespace(),
        workflow_execution: Some(execution(&workflow_id, run_id)),
        signal_name: name,
        input: payload.map(|payload| Payloads {
            payloads: vec![payload],
        }),
        identity: client.identity(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let request = seal(&client, request).await.map_err(problem)?;
    let mut service = client.connection().workflow_service();
    let told = service.signal_workflow_execution(request.into_request()).await;
    told.map_err(problem)?;
    accepted(workflow_id, None)
}

/// Asks an execution to end in order: it decides what that means.
#[utoipa::path(
    post, path = "/executions/{workflow_id}/cancel", tag = "executions", request_body = End,
    params(("workflow_id" = String, Path, description = "Id of the execution, percent-encoded.")),
    responses(
        (status = 202, description = "The engine has it.", body = Told),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such execution runs.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn cancel(
    State(client): State<Client>,
    Path(workflow_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let End { reason, run_id } = read_json(&headers, body).await?;
    let request = RequestCancelWorkflowExecutionRequest {
        namespace: client.namespace(),
        workflow_execution: Some(execution(&workflow_id, run_id)),
        identity: client.identity(),
        request_id: uuid::Uuid::new_v4().to_string(),
        reason: reason.unwrap_or_default(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let told = service
        .request_cancel_workflow_execution(request.into_request())
        .await;
    told.map_err(problem)?;
    accepted(workflow_id, None)
}

/// Ends an execution at once: nothing of it runs any more, and it cannot put anything in order.
#[utoipa::path(
    post, path = "/executions/{workflow_id}/terminate", tag = "executions", request_body = End,
    params(("workflow_id" = String, Path, description = "Id of the execution, percent-encoded.")),
    responses(
        (status = 202, description = "It has ended.", body = Told),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such execution runs.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn terminate(
    State(client): State<Client>,
    Path(workflow_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let End { reason, run_id } = read_json(&headers, body).await?;
    let request = TerminateWorkflowExecutionRequest {
        namespace: client.namespace(),
        workflow_execution: Some(execution(&workflow_id, run_id)),
        identity: client.identity(),
        reason: reason.unwrap_or_default(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let told = service.terminate_workflow_execution(request.into_request()).await;
    told.map_err(problem)?;
    accepted(workflow_id, None)
}

/// Has a new run go on from a point in the history of another; a run that is under way is ended by that.
#[utoipa::path(
    post, path = "/executions/{workflow_id}/reset", tag = "executions", request_body = Reset,
    params(("workflow_id" = String, Path, description = "Id of the execution, percent-encoded.")),
    responses(
        (status = 202, description = "The new run is there.", body = Told),
        (status = 400, description = "The body is not valid, or the event ends no workflow task.", body = Problem,
         content_type = MEDIA_TYPE),
        (status = 404, description = "There is no such run.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn reset(
    State(client): State<Client>,
    Path(workflow_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Reset {
        event_id,
        reason,
        run_id,
    } = read_json(&headers, body).await?;
    if event_id < 1 {
        return Err(invalid("say in `event_id` which history event to go on from"));
    }
    let run_id = match run_id {
        Some(run_id) => run_id,
        None => crate::run::Summary::latest(&client, &workflow_id)
            .await
            .map(|latest| latest.run_id)
            .map_err(problem)?,
    };
    let request = ResetWorkflowExecutionRequest {
        namespace: client.namespace(),
        workflow_execution: Some(execution(&workflow_id, Some(run_id))),
        reason: reason.unwrap_or_default(),
        workflow_task_finish_event_id: event_id,
        request_id: uuid::Uuid::new_v4().to_string(),
        identity: client.identity(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = service.reset_workflow_execution(request.into_request()).await;
    let run_id = reply.map_err(problem)?.into_inner().run_id;
    accepted(workflow_id, Some(run_id))
}

fn execution(workflow_id: &str, run_id: Option<String>) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.unwrap_or_default(),
    }
}

fn accepted(workflow_id: String, run_id: Option<String>) -> Answer {
    Ok((StatusCode::ACCEPTED, Json(Told { workflow_id, run_id })))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail)
}

/// What the engine's refusal of a change means to the caller. Engines say in words whether there is none, or it has closed.
fn problem(status: Status) -> Problem {
    match status.code() {
        Code::NotFound => Problem::new(StatusCode::NOT_FOUND, "not-found", status.message()),
        Code::FailedPrecondition | Code::OutOfRange => invalid(status.message()),
        _ => problem_of_engine(status),
    }
}
