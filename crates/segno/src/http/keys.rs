//! `/keys`: what waits on routes with flow control, and what people do about it.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use segno_routing::flow::{Millis, Scope, flow_id};
use serde::{Deserialize, Serialize};
use temporalio_client::Client;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::{IntoParams, ToSchema};

use super::{
    extract::{Asked, Query},
    problem::{MEDIA_TYPE, Problem},
};
use crate::{
    flow::{self, ListedKey},
    live::Live,
};

/// What the operations on keys need.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) live: Live,
}

/// The routes of this file.
pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/keys", get(list))
        .route("/keys/release", post(release))
        .route("/keys/pause", post(pause))
        .route("/keys/resume", post(resume))
        .with_state(shared)
}

/// Which keys to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Those of this route. Left out: of all.
    route: Option<String>,
    /// Those that are parked, or that are not. Left out: both.
    parked: Option<bool>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyPage)]
pub(super) struct Page {
    keys: Vec<Key>,
    /// Names the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// A key of a route of which there is something to know.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Key {
    /// The route.
    route: String,
    /// The key; empty for events without one.
    key: String,
    /// How many events wait.
    waiting: usize,
    /// Since when the first of them waits (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Ids of the executions that wait, 100 at most, in the order in which they will run.
    next: Vec<String>,
    /// Ids of the executions that run.
    running: Vec<String>,
    /// What the key is parked behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<Parked>,
    /// Since when a person has paused it (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<String>,
}

/// What a key is parked behind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParkedBehind)]
pub(super) struct Parked {
    /// Id of the execution that failed for good.
    by: String,
    /// When (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Why.
    cause: String,
}

impl Key {
    fn of(listed: ListedKey) -> Self {
        let ListedKey { route, view, .. } = listed;
        Self {
            route,
            key: view.key,
            waiting: view.waiting,
            since: view.since.and_then(rfc3339),
            next: view.next,
            running: view.running,
            parked: view.parked.map(|parked| Parked {
                by: parked.by,
                since: rfc3339(parked.since),
                cause: parked.cause,
            }),
            paused: view.paused.and_then(rfc3339),
        }
    }
}

/// A moment as the API writes it.
pub(super) fn rfc3339(millis: Millis) -> Option<String> {
    let nanos = i128::from(millis) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    time.format(&Rfc3339).ok()
}

/// A key of a route.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = KeyOfRoute)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// The route.
    route: String,
    /// The key.
    key: String,
}

/// Whether something was changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyChanged)]
pub(super) struct Changed {
    /// False: it was so already.
    pub(super) changed: bool,
}

/// Lists keys of routes with flow control: those with events that wait or run, and those that are parked or paused.
#[utoipa::path(
    get, path = "/keys", tag = "keys", params(Params),
    responses(
        (status = 200, description = "A page of them.", body = Page),
        (status = 400, description = "The token is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine, or a worker, does not answer.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(params): Query<Params>,
) -> Result<Json<Page>, Problem> {
    let token = params.page_token.as_deref().unwrap_or_default();
    let page_token = URL_SAFE_NO_PAD.decode(token).map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-parameter",
            "page_token is none that a page named",
        )
    })?;
    let which = flow::Keys {
        route: params.route,
        parked: params.parked,
        page_token,
    };
    let (keys, token) = flow::keys(&shared.client, &which).await.map_err(problem)?;
    Ok(Json(Page {
        keys: keys.into_iter().map(Key::of).collect(),
        next_page_token: (!token.is_empty()).then(|| URL_SAFE_NO_PAD.encode(token)),
    }))
}

/// Lets the events of a parked key go on without the one that failed. A second time changes nothing.
#[utoipa::path(
    post, path = "/keys/release", tag = "keys", request_body = Named,
    responses(
        (status = 200, description = "The key is not parked any more.", body = Changed),
        (status = 503, description = "The engine, or a worker, does not answer.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn release(
    State(shared): State<Shared>,
    Asked(Named { route, key }): Asked<Named>,
) -> Result<Json<Changed>, Problem> {
    let changed = flow::release(&shared.client, &route, &key)
        .await
        .map_err(problem)?;
    Ok(Json(Changed { changed }))
}

/// Pauses a key: its events are taken in and wait.
#[utoipa::path(
    post, path = "/keys/pause", tag = "keys", request_body = Named,
    responses(
        (status = 200, description = "The key is paused.", body = Changed),
        (status = 404, description = "There is no such route.", body = Problem, content_type = MEDIA_TYPE),
        (status = 409, description = "The route has no keys.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine, or a worker, does not answer.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn pause(
    State(shared): State<Shared>,
    Asked(Named { route, key }): Asked<Named>,
) -> Result<Json<Changed>, Problem> {
    let setup = shared.live.get();
    let found = setup.routes.get(&route).ok_or_else(|| {
        let detail = format!("there is no route {route:?}");
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    })?;
    let keyed = found.flow.as_ref().filter(|flow| flow.key.is_some());
    let policy = &keyed
        .ok_or_else(|| {
            let detail =
                format!("the route {route:?} has no keys: give it `order`, or another table with `by`");
            Problem::new(StatusCode::CONFLICT, "no-keys", detail)
        })?
        .policy;
    let id = match policy.scope(true) {
        Scope::Route => flow_id(&route, None),
        Scope::Key => flow_id(&route, Some(&key)),
    };
    let changed = flow::pause(&shared.client, &route, &id, &key)
        .await
        .map_err(problem)?;
    Ok(Json(Changed { changed }))
}

/// Lets a paused key go on, its events in their order. A second time changes nothing.
#[utoipa::path(
    post, path = "/keys/resume", tag = "keys", request_body = Named,
    responses(
        (status = 200, description = "The key is not paused any more.", body = Changed),
        (status = 503, description = "The engine, or a worker, does not answer.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn resume(
    State(shared): State<Shared>,
    Asked(Named { route, key }): Asked<Named>,
) -> Result<Json<Changed>, Problem> {
    let changed = flow::resume(&shared.client, &route, &key)
        .await
        .map_err(problem)?;
    Ok(Json(Changed { changed }))
}

pub(super) fn problem(error: flow::Error) -> Problem {
    match error {
        flow::Error::NoSuchExecution(detail) => Problem::new(StatusCode::NOT_FOUND, "not-found", detail),
        flow::Error::Engine(status) => super::executions::problem_of_engine(status),
        flow::Error::Flow(_) => {
            tracing::warn!(%error, "a flow does not answer");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "flow-unavailable",
                error.to_string(),
            )
            .retry_after(std::time::Duration::from_secs(2))
        }
    }
}
