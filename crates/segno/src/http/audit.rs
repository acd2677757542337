//! `GET /audit`: who has changed what.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use temporalio_client::Client;
use utoipa::{IntoParams, ToSchema};

use super::{
    executions::problem_of_engine,
    extract::Query,
    problem::{MEDIA_TYPE, Problem},
};
use crate::access::audit::{Entry, Filter, page};

/// Entries on a page, unless asked otherwise.
const PAGE: usize = 50;
/// Entries on the largest page.
const MAX_PAGE: usize = 500;

/// The routes of this file.
pub(super) fn router(client: Client) -> Router {
    Router::new().route("/audit", get(list)).with_state(client)
}

/// Which entries to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Of this person or program.
    who: Option<String>,
    /// Of this action, such as `POST /routes/{name}/pause`.
    action: Option<String>,
    /// On this path, such as `/routes/big-orders/pause`.
    path: Option<String>,
    /// At this time or later (RFC 3339).
    since: Option<String>,
    /// Before this time (RFC 3339).
    until: Option<String>,
    /// How many at most, 1 to 500. Left out: 50.
    #[param(minimum = 1, maximum = 500)]
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(super) struct Listed {
    entries: Vec<Shown>,
    /// Names the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// An entry with its place in the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedAuditEntry)]
pub(super) struct Shown {
    /// Its id; the execution that keeps it is `@audit/<id>`.
    id: String,
    /// When the change was asked for (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(flatten)]
    entry: Entry,
}

/// Lists the changes that people and programs have made through this API, the newest first.
///
/// An entry is on disk before its change is made, and says what became of it before the answer is given. Entries are kept as
/// long as the engine keeps closed executions.
#[utoipa::path(
    get, path = "/audit", tag = "access", params(Params),
    responses(
        (status = 200, description = "A page of them.", body = Listed),
        (status = 400, description = "A time, the size or the token is not valid.", body = Problem,
         content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn list(
    State(client): State<Client>,
    Query(params): Query<Params>,
) -> Result<Json<Listed>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail);
    let size = params.page_size.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&size) {
        return Err(bad(format!("page_size has to be between 1 and {MAX_PAGE}")));
    }
    let token = params.page_token.as_deref().unwrap_or_default();
    let token = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| bad("page_token is none that a page named".to_owned()))?;
    let filter = Filter {
        who: params.who,
        action: params.action,
        path: params.path,
        since: params.since,
        until: params.until,
    };
    let query = filter.query().map_err(|name| {
        bad(format!(
            "{name} is no time as in RFC 3339, such as 2026-01-31T12:00:00Z"
        ))
    })?;
    let page = page(&client, &query, size, token)
        .await
        .map_err(problem_of_engine)?;
    let entries = page.entries.into_iter();
    Ok(Json(Listed {
        entries: entries
            .map(|(id, time, entry)| Shown { id, time, entry })
            .collect(),
        next_page_token: (!page.next.is_empty()).then(|| URL_SAFE_NO_PAD.encode(page.next)),
    }))
}
