//! `GET /executions`: the list, by the engine's visibility query language.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::{
    protos::temporal::api::{
        enums::v1::WorkflowExecutionStatus, workflow::v1::WorkflowExecutionInfo,
        workflowservice::v1::ListWorkflowExecutionsRequest,
    },
    search_attributes::SearchAttributes,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    extract::Query,
    problem::{MEDIA_TYPE, Problem},
};
use crate::search_attributes::{EVENT_ID, EVENT_SOURCE, EVENT_SUBJECT, EVENT_TYPE, ROUTE};

/// Executions on a page, unless asked otherwise.
const PAGE: u16 = 50;
/// Executions on the largest page.
const MAX_PAGE: u16 = 1000;

/// What to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// A visibility query, such as `ExecutionStatus = 'Failed' AND SegnoRoute = 'big-orders'`. Left out: all.
    pub(super) query: Option<String>,
    /// How many at most, 1 to 1000. Left out: 50.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) page_size: Option<u16>,
    /// `next_page_token` of the page before.
    pub(super) page_token: Option<String>,
    /// Count all that the query finds too, by status.
    #[serde(default)]
    pub(super) count: bool,
}

/// A page of executions, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionPage)]
pub(super) struct Page {
    pub(super) executions: Vec<Execution>,
    /// Names the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page_token: Option<String>,
    /// How many the query finds, by status; left out unless it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!({ "Running": 3, "Completed": 39 }))]
    pub(super) counts: Option<BTreeMap<String, i64>>,
}

/// An execution.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Execution {
    /// Its id: of an event `<route>/<source>/<event id>`, of a timer the timer's id.
    pub(super) workflow_id: String,
    /// Id of its run.
    pub(super) run_id: String,
    /// Workflow type: `SegnoEvent` for actions and consumers.
    #[serde(rename = "type")]
    pub(super) ty: String,
    /// `Running`, `Completed`, `Failed` (a dead letter), `Canceled`, `Terminated`, `ContinuedAsNew`, `TimedOut` or
    /// `Paused`.
    #[schema(example = "Completed")]
    pub(super) status: &'static str,
    /// When it started (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_time: Option<String>,
    /// When it closed (RFC 3339); left out while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) close_time: Option<String>,
    /// Route of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) route: Option<String>,
    /// Id of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event_id: Option<String>,
    /// Type of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event_type: Option<String>,
    /// Source of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event_source: Option<String>,
    /// Subject of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event_subject: Option<String>,
}

impl Execution {
    pub(super) fn of(info: WorkflowExecutionInfo) -> Self {
        let attributes = info
            .search_attributes
            .as_ref()
            .map(SearchAttributes::from_proto)
            .unwrap_or_default();
        let execution = info.execution.unwrap_or_default();
        Self {
            workflow_id: execution.workflow_id,
            run_id: execution.run_id,
            ty: info.r#type.unwrap_or_default().name,
            status: crate::run::status_name(
                WorkflowExecutionStatus::try_from(info.status).unwrap_or_default(),
            ),
            start_time: info.start_time.and_then(crate::run::rfc3339),
            close_time: info.close_time.and_then(crate::run::rfc3339),
            route: attributes.get(&ROUTE),
            event_id: attributes.get(&EVENT_ID),
            event_type: attributes.get(&EVENT_TYPE),
            event_source: attributes.get(&EVENT_SOURCE),
            event_subject: attributes.get(&EVENT_SUBJECT),
        }
    }
}

/// Lists executions: events on their routes, timers, and whatever workflows the program registers.
#[utoipa::path(
    get, path = "/executions", tag = "executions", params(Params),
    responses(
        (status = 200, description = "A page of them, newest first.", body = Page),
        (status = 400, description = "The query, size or token is not valid.", body = Problem,
         content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn list(
    State(client): State<Client>,
    Query(params): Query<Params>,
) -> Result<Json<Page>, Problem> {
    Ok(Json(page(&client, &params).await?))
}

/// One page of executions.
pub(super) async fn page(client: &Client, params: &Params) -> Result<Page, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail);
    let size = params.page_size.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&size) {
        return Err(bad("page_size has to be between 1 and 1000"));
    }
    let token = params.page_token.as_deref().unwrap_or_default();
    let token = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| bad("page_token is none that a page named"))?;
    let request = ListWorkflowExecutionsRequest {
        namespace: client.namespace(),
        page_size: size.into(),
        next_page_token: token,
        query: params.query.clone().unwrap_or_default(),
    };
    let mut service = client.connection().workflow_service();
    let reply = service.list_workflow_executions(request.into_request()).await;
    let reply = reply.map_err(problem_of_engine)?.into_inner();
    let token = reply.next_page_token;
    let counts = match params.count {
        true => {
            let query = without_order(params.query.as_deref().unwrap_or_default());
            let counts = crate::overview::by_status(client, query).await;
            Some(counts.map_err(problem_of_engine)?)
        }
        false => None,
    };
    Ok(Page {
        counts,
        executions: reply.executions.into_iter().map(Execution::of).collect(),
        next_page_token: (!token.is_empty()).then(|| URL_SAFE_NO_PAD.encode(token)),
    })
}

/// A query without its `ORDER BY`, with which nothing can be counted. The words cannot be within a text: there they would be
/// followed by the quote that ends it.
fn without_order(query: &str) -> &str {
    let lower = query.to_ascii_lowercase();
    match lower.rfind("order by") {
        Some(at) if !lower[at..].contains(['\'', '"']) => query[..at].trim_end(),
        _ => query,
    }
}

/// What the engine's refusal of a read means to the caller.
pub(super) fn problem_of_engine(status: Status) -> Problem {
    match status.code() {
        Code::InvalidArgument => Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", status.message()),
        Code::NotFound => Problem::new(StatusCode::NOT_FOUND, "not-found", "there is no such execution"),
        code => {
            tracing::warn!(%code, message = status.message(), "the engine does not answer");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "engine-unavailable",
                "the engine does not answer",
            )
            .retry_after(std::time::Duration::from_secs(2))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_has_no_order() {
        assert_eq!(without_order("A = 1 ORDER BY StartTime DESC"), "A = 1");
        assert_eq!(without_order("A = 'order by'"), "A = 'order by'");
        assert_eq!(without_order("order by StartTime"), "");
    }
}
