//! `GET /executions/{workflow_id}/history`: what happened in a run, decoded, page by page.

use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    history::v1::HistoryEvent,
    workflowservice::v1::{GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryReverseRequest},
};
use utoipa::{IntoParams, ToSchema};

use super::{
    executions::problem_of_engine,
    extract::{Path, Query},
    problem::{MEDIA_TYPE, Problem},
};
use crate::{
    encryption::open,
    run::{event_details, rfc3339},
};

/// History events on a page, unless asked otherwise.
const PAGE: u16 = 200;
/// History events on the largest page.
const MAX_PAGE: u16 = 1000;

/// Which part of which history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Run of the execution. Left out: the latest.
    run_id: Option<String>,
    /// The latest first. Left out: the first first.
    #[serde(default)]
    reverse: bool,
    /// How many at most, 1 to 1000; an engine may give fewer. Left out: 200.
    #[param(minimum = 1, maximum = 1000)]
    page_size: Option<u16>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// A page of a run's history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryPage)]
pub(super) struct Page {
    events: Vec<Entry>,
    /// Names the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// A history event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
pub(super) struct Entry {
    /// Its number in the run, from 1.
    id: i64,
    /// When it happened (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    /// Its type, as Temporal has it.
    #[serde(rename = "type")]
    #[schema(example = "ActivityTaskScheduled")]
    ty: String,
    /// What it says: the names are Temporal's, Payloads are decoded, and what is empty is left out.
    #[schema(value_type = Object)]
    details: Value,
}

impl Entry {
    fn of(event: HistoryEvent) -> Self {
        let ty = event.event_type().as_str_name();
        let ty = ty.strip_prefix("EVENT_TYPE_").unwrap_or(ty);
        Self {
            id: event.event_id,
            time: event.event_time.and_then(rfc3339),
            ty: pascal(ty),
            details: event.attributes.map(event_details).unwrap_or_default(),
        }
    }
}

/// `ACTIVITY_TASK_SCHEDULED` as `ActivityTaskScheduled`.
fn pascal(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut letters = word.chars();
        text.extend(letters.next());
        text.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    }
    text
}

/// Shows the history of a run, decoded, a page at a time.
#[utoipa::path(
    get, path = "/executions/{workflow_id}/history", tag = "executions",
    params(("workflow_id" = String, Path, description = "Id of the execution, percent-encoded."), Params),
    responses(
        (status = 200, description = "A page of history events.", body = Page),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "There is no such run.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn get(
    State(client): State<Client>,
    Path(workflow_id): Path<String>,
    Query(params): Query<Params>,
) -> Result<Json<Page>, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail);
    let size = params.page_size.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&size) {
        return Err(bad("page_size has to be between 1 and 1000"));
    }
    let token = URL_SAFE_NO_PAD
        .decode(params.page_token.as_deref().unwrap_or_default())
        .map_err(|_| bad("page_token is none that a page named"))?;
    let execution = WorkflowExecution {
        workflow_id,
        run_id: params.run_id.unwrap_or_default(),
    };
    let (events, token) = read(&client, execution, params.reverse, size, token)
        .await
        .map_err(problem_of_engine)?;
    Ok(Json(Page {
        events: events.into_iter().map(Entry::of).collect(),
        next_page_token: (!token.is_empty()).then(|| URL_SAFE_NO_PAD.encode(token)),
    }))
}

async fn read(
    client: &Client,
    execution: WorkflowExecution,
    reverse: bool,
    size: u16,
    next_page_token: Vec<u8>,
) -> Result<(Vec<HistoryEvent>, Vec<u8>), Status> {
    let mut service = client.connection().workflow_service();
    let (namespace, execution, maximum_page_size) = (client.namespace(), Some(execution), size.into());
    let (history, token) = if reverse {
        let request = GetWorkflowExecutionHistoryReverseRequest {
            namespace,
            execution,
            maximum_page_size,
            next_page_token,
        };
        let reply = service
            .get_workflow_execution_history_reverse(request.into_request())
            .await?
            .into_inner();
        (reply.history, reply.next_page_token)
    } else {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace,
            execution,
            maximum_page_size,
            next_page_token,
            ..Default::default()
        };
        let reply = service
            .get_workflow_execution_history(request.into_request())
            .await?
            .into_inner();
        (reply.history, reply.next_page_token)
    };
    let history = open(client, history.unwrap_or_default()).await;
    Ok((history.events, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_as_people_know_them() {
        assert_eq!(pascal("ACTIVITY_TASK_SCHEDULED"), "ActivityTaskScheduled");
        assert_eq!(pascal("TIMER_FIRED"), "TimerFired");
    }
}
