//! Operations over many executions: durable workflows that go through them page by page.
//!
//! Each is an execution of its own, named by whoever asks for it: so the same request made again finds what the first
//! one began. Their progress is what their query tells while they run, and their result at the end.

pub(crate) mod pace;

use serde::Serialize;
use serde_json::{Value, json};
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payloads, WorkflowExecution},
    enums::v1::{WorkflowExecutionStatus, WorkflowIdReusePolicy},
    history::v1::history_event::Attributes,
    query::v1::WorkflowQuery,
    workflowservice::v1::{
        QueryWorkflowRequest, RequestCancelWorkflowExecutionRequest, SignalWorkflowExecutionRequest,
    },
};
use utoipa::ToSchema;

use crate::{
    encryption::{open, seal},
    run::{Start, Summary, format, history, json_payload, value},
};

/// The query that tells the progress.
pub(crate) const PROGRESS: &str = "progress";
/// The signal that holds it up.
pub(crate) const PAUSE: &str = "pause";
/// The signal that lets it go on.
pub(crate) const RESUME: &str = "resume";

/// The longest id of an operation, in characters.
const MAX_ID: usize = 100;

/// An operation as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Operation {
    /// Its id.
    pub(crate) id: String,
    /// Id of its execution.
    pub(crate) workflow_id: String,
    /// `running`, `paused`, `done`, `cancelled` or `failed`.
    #[schema(example = "running")]
    pub(crate) state: String,
    /// When it began (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<String>,
    /// When it ended (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<String>,
    /// What it was asked for.
    #[schema(value_type = Object)]
    pub(crate) request: Value,
    /// How far it is; null while no worker can tell.
    #[schema(value_type = Object)]
    pub(crate) progress: Value,
}

/// Whether a text can name an operation.
pub(crate) fn is_id(id: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=MAX_ID).contains(&id.len()) && id.chars().all(fits)
}

/// Begins an operation. Returns whether it was begun now: one of the same id is left alone.
pub(crate) async fn begin<T: Serialize>(
    client: &Client,
    ty: &str,
    workflow_id: &str,
    input: &T,
) -> Result<bool, Status> {
    let input = json_payload(input).map_err(|error| Status::internal(error.to_string()))?;
    let start = Start {
        workflow_id: workflow_id.to_owned(),
        ty: ty.to_owned(),
        input,
        request_id: uuid::Uuid::new_v4().to_string(),
        reuse: WorkflowIdReusePolicy::RejectDuplicate,
        attributes: None,
        memo: Default::default(),
        delay: None,
    };
    Ok(start.send(client).await?.is_some())
}

/// Reads an operation.
pub(crate) async fn read(client: &Client, id: &str, workflow_id: &str) -> Result<Operation, Status> {
    let latest = Summary::latest(client, workflow_id).await?;
    let execution = WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: latest.run_id.clone(),
    };
    let (mut input, mut result) = (Value::Null, Value::Null);
    for event in history(client, execution.clone()).await? {
        match event.attributes {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                input = value(started.input)
            }
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => {
                result = value(completed.result);
            }
            _ => {}
        }
    }
    let running = latest.status == WorkflowExecutionStatus::Running;
    let mut progress = match running {
        true => ask(client, execution).await,
        false if result.is_null() => input["progress"].clone(),
        false => result,
    };
    let paused = progress["paused"].as_bool().unwrap_or_default();
    if let Some(progress) = progress.as_object_mut() {
        for internal in ["paused", "next", "pages"] {
            progress.remove(internal);
        }
    }
    let state = match latest.status {
        WorkflowExecutionStatus::Running if paused => "paused",
        WorkflowExecutionStatus::Running => "running",
        WorkflowExecutionStatus::Completed => "done",
        WorkflowExecutionStatus::Canceled | WorkflowExecutionStatus::Terminated => "cancelled",
        _ => "failed",
    };
    Ok(Operation {
        id: id.to_owned(),
        workflow_id: workflow_id.to_owned(),
        state: state.to_owned(),
        started_at: latest.started.map(format),
        ended_at: latest.closed.map(format),
        request: input["request"].clone(),
        progress,
    })
}

/// What the running workflow tells; null where no worker answers.
async fn ask(client: &Client, execution: WorkflowExecution) -> Value {
    let request = QueryWorkflowRequest {
        namespace: client.namespace(),
        execution: Some(execution),
        query: Some(WorkflowQuery {
            query_type: PROGRESS.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    match service.query_workflow(request.into_request()).await {
        Ok(reply) => value(open(client, reply.into_inner()).await.query_result),
        Err(status) => {
            tracing::debug!(%status, "an operation's progress is not told");
            Value::Null
        }
    }
}

/// Holds an operation up, or lets it go on. Of one that has ended nothing changes.
pub(crate) async fn signal(client: &Client, workflow_id: &str, name: &str) -> Result<(), Status> {
    let request = SignalWorkflowExecutionRequest {
        namespace: client.namespace(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            ..Default::default()
        }),
        signal_name: name.to_owned(),
        input: Some(Payloads {
            payloads: vec![json_payload(&json!(null)).map_err(|error| Status::internal(error.to_string()))?],
        }),
        identity: client.identity(),
        ..Default::default()
    };
    let request = seal(client, request).await?;
    let mut service = client.connection().workflow_service();
    ended_is_fine(service.signal_workflow_execution(request.into_request()).await)
}

/// Cancels an operation: what it has begun goes on, and nothing more is begun.
pub(crate) async fn cancel(client: &Client, workflow_id: &str) -> Result<(), Status> {
    let request = RequestCancelWorkflowExecutionRequest {
        namespace: client.namespace(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            ..Default::default()
        }),
        identity: client.identity(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    ended_is_fine(
        service
            .request_cancel_workflow_execution(request.into_request())
            .await,
    )
}

/// An operation that has ended, or is none, is told as such by reading it.
fn ended_is_fine<T>(answer: Result<T, Status>) -> Result<(), Status> {
    match answer {
        Err(status) if status.code() != Code::NotFound => Err(status),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_plain() {
        assert!(is_id("2026-01-31.late_route"));
        for id in ["", "a/b", "a b", "é", &"x".repeat(101)] {
            assert!(!is_id(id), "{id}");
        }
    }
}
