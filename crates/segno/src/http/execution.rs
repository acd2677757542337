//! `GET /executions/{workflow_id}`: one execution, what it was given, and what became of it.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution},
    failure::v1::{Failure as ProtoFailure, failure::FailureInfo},
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::{DescribeWorkflowExecutionRequest, GetWorkflowExecutionHistoryRequest},
};
use utoipa::{IntoParams, ToSchema};

use super::{
    actions::{Action, Actions},
    executions::{Execution, problem_of_engine},
    problem::{MEDIA_TYPE, Problem},
    story,
    timestamp::rfc3339,
};
use crate::execution::story::ActionStory;

/// History events that are looked through: the executions of events have tens.
const MAX_EVENTS: usize = 5_000;

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
    /// Its activities in the order they were scheduled: actions, consumers, deliveries of timers.
    actions: Vec<Action>,
    /// What became of each action of the plan, in its order, those included that are still to come; left out where the
    /// input is no plan. The same as the query `story` answers, from the history alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<Vec<ActionStory>>,
}

/// Why something failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionFailure)]
pub(super) struct Failure {
    /// What went wrong.
    message: String,
    /// The kind of failure: `DeadLetter`, `Delivery`, `Transform`, `Timeout` and others.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    ty: String,
    /// What it was caused by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    cause: Option<Box<Failure>>,
}

impl Failure {
    /// What was in the end the cause.
    pub(super) fn cause(&self) -> &str {
        self.cause.as_ref().map_or(&self.message, |cause| cause.cause())
    }

    pub(super) fn of(failure: ProtoFailure) -> Self {
        let ty = match &failure.failure_info {
            Some(FailureInfo::ApplicationFailureInfo(info)) => info.r#type.clone(),
            Some(FailureInfo::TimeoutFailureInfo(info)) => {
                format!(
                    "Timeout{}",
                    info.timeout_type()
                        .as_str_name()
                        .trim_start_matches("TIMEOUT_TYPE")
                )
            }
            Some(FailureInfo::CanceledFailureInfo(_)) => "Canceled".to_owned(),
            Some(FailureInfo::TerminatedFailureInfo(_)) => "Terminated".to_owned(),
            _ => String::new(),
        };
        let cause = failure.cause.map(|cause| Box::new(Self::of(*cause)));
        Self {
            message: failure.message,
            ty,
            cause,
        }
    }
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
                failure = Some(Failure {
                    message: terminated.reason,
                    ty: "Terminated".to_owned(),
                    cause: None,
                });
            }
            Some(attributes) => actions.see(event.event_id, event.event_time.and_then(rfc3339), attributes),
            None => {}
        }
    }
    let actions = actions.with_pending(described.pending_activities);
    let story = story::tell(&input, &actions);
    Ok(Detail {
        execution: Execution::of(info),
        input,
        result,
        failure,
        actions,
        story,
    })
}

async fn history(client: &Client, execution: WorkflowExecution) -> Result<Vec<HistoryEvent>, Status> {
    let mut events = Vec::new();
    let mut token = Vec::new();
    loop {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: client.namespace(),
            execution: Some(execution.clone()),
            next_page_token: token,
            ..Default::default()
        };
        let mut service = client.connection().workflow_service();
        let reply = service
            .get_workflow_execution_history(request.into_request())
            .await?
            .into_inner();
        events.extend(reply.history.unwrap_or_default().events);
        token = reply.next_page_token;
        if token.is_empty() || events.len() >= MAX_EVENTS {
            return Ok(events);
        }
    }
}

/// Payloads as JSON: nothing as null, one as itself, more as an array.
pub(super) fn value(payloads: Option<Payloads>) -> Value {
    let mut values: Vec<_> = payloads
        .unwrap_or_default()
        .payloads
        .into_iter()
        .map(payload)
        .collect();
    match values.len() {
        0 => Value::Null,
        1 => values.swap_remove(0),
        _ => Value::Array(values),
    }
}

/// A payload as JSON; what is none as `{"encoding": …, "base64": …}`.
fn payload(payload: Payload) -> Value {
    let encoding = payload
        .metadata
        .get("encoding")
        .map(|encoding| String::from_utf8_lossy(encoding).into_owned());
    let decoded = match encoding.as_deref() {
        Some("binary/null") => Some(Value::Null),
        Some("json/plain") => serde_json::from_slice(&payload.data).ok(),
        _ => None,
    };
    decoded.unwrap_or_else(|| json!({ "encoding": encoding, "base64": STANDARD.encode(&payload.data) }))
}
