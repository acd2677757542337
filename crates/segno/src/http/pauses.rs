//! `/routes` and `/sinks`: what there is, and pausing and resuming it.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::Serialize;
use temporalio_client::Client;
use utoipa::ToSchema;

use super::{
    executions::problem_of_engine,
    extract::Path,
    keys::{Changed, problem, rfc3339},
    problem::{MEDIA_TYPE, Problem},
};
use crate::{
    live::Live,
    pauses::{self, Paused, Pauses, What},
};

/// What pausing needs.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) live: Live,
    pub(super) pauses: Pauses,
}

/// The routes of this file.
pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/routes", get(routes))
        .route("/routes/{name}/pause", post(pause_route))
        .route("/routes/{name}/resume", post(resume_route))
        .route("/sinks", get(sinks))
        .route("/sinks/{name}/pause", post(pause_sink))
        .route("/sinks/{name}/resume", post(resume_sink))
        .with_state(shared)
}

/// A route or a sink.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pausable)]
pub(super) struct Listed {
    name: String,
    /// Since when a person has paused it (RFC 3339); left out where nobody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<String>,
    /// Whether it is in the configuration of this process; what is paused is listed also where it is not.
    configured: bool,
}

/// The routes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteList)]
pub(super) struct RouteList {
    routes: Vec<Listed>,
}

/// The sinks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SinkList)]
pub(super) struct SinkList {
    sinks: Vec<Listed>,
}

/// Lists the routes, and which are paused.
#[utoipa::path(
    get, path = "/routes", tag = "pauses",
    responses(
        (status = 200, description = "All routes, in their order.", body = RouteList),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn routes(State(shared): State<Shared>) -> Result<Json<RouteList>, Problem> {
    let paused = pauses::paused(&shared.client).await.map_err(problem_of_engine)?;
    let setup = shared.live.get();
    let names = setup.routes.iter().map(|route| route.name.clone());
    let routes = listed(names.collect(), &paused, |what| match what {
        What::Route(name) => Some(name),
        What::Sink(_) => None,
    });
    Ok(Json(RouteList { routes }))
}

/// Lists the sinks, and which are paused.
#[utoipa::path(
    get, path = "/sinks", tag = "pauses",
    responses(
        (status = 200, description = "All sinks, by name.", body = SinkList),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn sinks(State(shared): State<Shared>) -> Result<Json<SinkList>, Problem> {
    let paused = pauses::paused(&shared.client).await.map_err(problem_of_engine)?;
    let sinks = listed(
        shared.live.get().sink_names.to_vec(),
        &paused,
        |what| match what {
            What::Sink(name) => Some(name),
            What::Route(_) => None,
        },
    );
    Ok(Json(SinkList { sinks }))
}

fn listed(names: Vec<String>, paused: &Paused, of_kind: impl Fn(&What) -> Option<&String>) -> Vec<Listed> {
    let mut listed: Vec<_> = names
        .into_iter()
        .map(|name| Listed {
            name,
            paused: None,
            configured: true,
        })
        .collect();
    for (what, since) in paused {
        let Some(name) = of_kind(what) else { continue };
        let paused = rfc3339(*since);
        match listed.iter_mut().find(|listed| listed.name == *name) {
            Some(found) => found.paused = paused,
            None => listed.push(Listed {
                name: name.clone(),
                paused,
                configured: false,
            }),
        }
    }
    listed
}

/// Pauses a route: its events are taken in and wait; what is under way waits before its next action.
#[utoipa::path(
    post, path = "/routes/{name}/pause", tag = "pauses",
    params(("name" = String, Path, description = "Name of the route.")),
    responses(
        (status = 200, description = "It is paused.", body = Changed),
        (status = 404, description = "There is no such route.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine, or a worker, does not answer.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn pause_route(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Problem> {
    if shared.live.get().routes.get(&name).is_none() {
        return Err(none("route", &name));
    }
    pause(&shared, What::Route(name)).await
}

/// Lets a paused route go on. A second time changes nothing.
#[utoipa::path(
    post, path = "/routes/{name}/resume", tag = "pauses",
    params(("name" = String, Path, description = "Name of the route, which need not be configured any more.")),
    responses(
        (status = 200, description = "It is not paused any more.", body = Changed),
        (status = 503, description = "The engine, or a worker, does not answer.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn resume_route(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Problem> {
    resume(&shared, What::Route(name)).await
}

/// Pauses a sink: what is to be delivered to it waits, whichever route it is of, and uses up no attempts.
#[utoipa::path(
    post, path = "/sinks/{name}/pause", tag = "pauses",
    params(("name" = String, Path, description = "Name of the sink.")),
    responses(
        (status = 200, description = "It is paused.", body = Changed),
        (status = 404, description = "There is no such sink.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine, or a worker, does not answer.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn pause_sink(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Problem> {
    if !shared.live.get().sink_names.contains(&name) {
        return Err(none("sink", &name));
    }
    pause(&shared, What::Sink(name)).await
}

/// Lets a paused sink go on. A second time changes nothing.
#[utoipa::path(
    post, path = "/sinks/{name}/resume", tag = "pauses",
    params(("name" = String, Path, description = "Name of the sink, which need not be configured any more.")),
    responses(
        (status = 200, description = "It is not paused any more.", body = Changed),
        (status = 503, description = "The engine, or a worker, does not answer.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn resume_sink(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Problem> {
    resume(&shared, What::Sink(name)).await
}

fn none(kind: &str, name: &str) -> Problem {
    let detail = format!("there is no {kind} {name:?} in the configuration of this process");
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
}

async fn pause(shared: &Shared, what: What) -> Result<Json<Changed>, Problem> {
    let changed = pauses::pause(&shared.client, &shared.pauses, &what).await;
    changed.map(|changed| Json(Changed { changed })).map_err(problem)
}

async fn resume(shared: &Shared, what: What) -> Result<Json<Changed>, Problem> {
    let changed = pauses::resume(&shared.client, &shared.pauses, &what).await;
    changed.map(|changed| Json(Changed { changed })).map_err(problem)
}
