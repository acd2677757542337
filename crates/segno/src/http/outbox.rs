//! `GET /outboxes`: what waits in the outboxes that this process relays, and what to do about rows that are parked.

use std::fmt::Display;

use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::{
    extract::Path,
    problem::{MEDIA_TYPE, Problem},
};
use crate::outbox::{AnyRelay, Relays};

/// Parked rows that are listed.
const MAX_PARKED: u32 = 100;

#[derive(OpenApi)]
#[openapi(
    paths(list, parked, retry, discard),
    tags((name = "outboxes", description = "Events on their way out of the databases of services."))
)]
struct Api;

pub(super) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub(super) fn router(relays: Relays) -> Router {
    Router::new()
        .route("/outboxes", get(list))
        .route("/outboxes/{name}/parked", get(parked))
        .route("/outboxes/{name}/parked/{position}/retry", post(retry))
        .route("/outboxes/{name}/parked/{position}/discard", post(discard))
        .with_state(relays)
}

/// The outboxes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutboxList)]
pub(super) struct List {
    outboxes: Vec<Outbox>,
}

/// An outbox and its relay.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Outbox)]
pub(super) struct Outbox {
    /// Its name in the configuration.
    name: String,
    /// What waits in it; left out while its database does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
    /// Why its database does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What its relay has done since the process started.
    relay: Done,
}

/// What waits in an outbox.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutboxWaiting)]
pub(super) struct Waiting {
    /// Rows that are not published yet and not parked.
    pending: u64,
    /// Those of them that have been tried.
    retrying: u64,
    /// Rows that cannot be published until somebody does something.
    parked: u64,
    /// Pending rows whose key waits for a parked one.
    held: u64,
    /// Pending rows that are older than they should be.
    stranded: u64,
    /// The age of the oldest pending row in seconds; 0 if there is none.
    lag_seconds: f64,
}

/// What a relay has done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutboxRelay)]
pub(super) struct Done {
    /// Rows published.
    published: u64,
    /// Attempts that failed and were made again.
    failed: u64,
    /// Rows parked.
    parked: u64,
    /// Rows deleted after their retention.
    purged: u64,
    /// Errors of the database.
    errors: u64,
}

/// Parked rows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParkedRows)]
pub(super) struct ParkedList {
    /// The first of them by position.
    parked: Vec<ParkedRow>,
}

/// A row that cannot be published.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParkedRow {
    /// Its position, by which it is named.
    position: i64,
    /// The event's id.
    id: String,
    /// The event's source.
    source: String,
    /// The event's type.
    #[serde(rename = "type")]
    ty: String,
    /// Its key, whose later rows wait for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// How often it was tried.
    attempts: u32,
    /// Why it is parked.
    reason: String,
}

/// What became of a parked row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParkedRowChanged)]
pub(super) struct Changed {
    /// Whether something was done: false if the row was not parked any more.
    changed: bool,
}

/// Why a row is given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DiscardParkedRow)]
pub(super) struct Note {
    /// For those who look at the row later.
    note: String,
}

fn unavailable(error: impl Display) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "outbox-unavailable",
        error.to_string(),
    )
}

fn find<'r>(relays: &'r Relays, name: &str) -> Result<&'r dyn AnyRelay, Problem> {
    let relay = relays.get(name).map(AsRef::as_ref);
    relay.ok_or_else(|| {
        let detail = format!("no outbox is named {name:?}");
        Problem::new(StatusCode::NOT_FOUND, "no-such-outbox", detail)
    })
}

/// Lists the outboxes with what waits in them.
#[utoipa::path(
    get, path = "/outboxes", tag = "outboxes",
    responses((status = 200, description = "The outboxes.", body = List))
)]
async fn list(State(relays): State<Relays>) -> Json<List> {
    let mut outboxes = Vec::new();
    for relay in relays.iter() {
        let counters = relay.counters();
        let (waiting, error) = match relay.stats().await {
            Ok(stats) => (
                Some(Waiting {
                    pending: stats.pending,
                    retrying: stats.retrying,
                    parked: stats.parked,
                    held: stats.held,
                    stranded: stats.stranded,
                    lag_seconds: stats.lag.as_secs_f64(),
                }),
                None,
            ),
            Err(error) => (None, Some(error.to_string())),
        };
        outboxes.push(Outbox {
            name: relay.name().to_owned(),
            waiting,
            error,
            relay: Done {
                published: counters.published(),
                failed: counters.failed(),
                parked: counters.parked(),
                purged: counters.purged(),
                errors: counters.errors(),
            },
        });
    }
    Json(List { outboxes })
}

/// Lists the first 100 parked rows of an outbox.
#[utoipa::path(
    get, path = "/outboxes/{name}/parked", tag = "outboxes",
    params(("name" = String, Path, description = "Name of the outbox.")),
    responses(
        (status = 200, description = "The rows.", body = ParkedList),
        (status = 404, description = "There is no outbox of that name.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The database does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
async fn parked(State(relays): State<Relays>, Path(name): Path<String>) -> Result<Json<ParkedList>, Problem> {
    let rows = find(&relays, &name)?
        .parked(MAX_PARKED)
        .await
        .map_err(unavailable)?;
    let rows = rows.into_iter().map(|row| ParkedRow {
        position: row.position,
        id: row.id,
        source: row.source,
        ty: row.ty,
        key: row.key,
        attempts: row.attempts,
        reason: row.reason,
    });
    Ok(Json(ParkedList {
        parked: rows.collect(),
    }))
}

/// Lets a parked row be tried again; a second time nothing happens.
#[utoipa::path(
    post, path = "/outboxes/{name}/parked/{position}/retry", tag = "outboxes",
    params(
        ("name" = String, Path, description = "Name of the outbox."),
        ("position" = i64, Path, description = "Position of the row."),
    ),
    responses(
        (status = 200, description = "It is tried again, or was not parked.", body = Changed),
        (status = 404, description = "There is no outbox of that name.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The database does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
async fn retry(
    State(relays): State<Relays>,
    Path((name, position)): Path<(String, i64)>,
) -> Result<Json<Changed>, Problem> {
    let changed = find(&relays, &name)?.retry(position).await.map_err(unavailable)?;
    Ok(Json(Changed { changed }))
}

/// Gives a parked row up, so that its key goes on without it.
#[utoipa::path(
    post, path = "/outboxes/{name}/parked/{position}/discard", tag = "outboxes",
    params(
        ("name" = String, Path, description = "Name of the outbox."),
        ("position" = i64, Path, description = "Position of the row."),
    ),
    request_body = Note,
    responses(
        (status = 200, description = "It is given up, or was not parked.", body = Changed),
        (status = 400, description = "There is no note.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "There is no outbox of that name.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The database does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
async fn discard(
    State(relays): State<Relays>,
    Path((name, position)): Path<(String, i64)>,
    note: Result<Json<Note>, JsonRejection>,
) -> Result<Json<Changed>, Problem> {
    let Json(Note { note }) = note.map_err(|error| {
        let detail = format!("{}: send {{\"note\": \"why\"}}", error.body_text());
        Problem::new(StatusCode::BAD_REQUEST, "invalid-note", detail)
    })?;
    let relay = find(&relays, &name)?;
    let changed = relay.discard(position, &note).await.map_err(unavailable)?;
    Ok(Json(Changed { changed }))
}
