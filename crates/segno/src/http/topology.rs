//! `GET /topology`: from where to where events go, and how many.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use futures::{StreamExt, TryStreamExt, stream};
use segno_routing::{Handler, Route};
use serde::Serialize;
use temporalio_client::{Client, tonic::Status};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    executions::problem_of_engine,
    problem::{MEDIA_TYPE, Problem},
};
use crate::{
    dead_letters::quoted,
    live::Live,
    overview::{Reader, SinkHealth, total},
    pauses::{Pauses, What},
    run::format,
    search_attributes::keyword,
};

/// Routes that are counted for side by side.
const CONCURRENT: usize = 8;
/// Over how long rates are taken.
const WINDOW: time::Duration = time::Duration::MINUTE;

/// What the picture is made of.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) live: Live,
    pub(super) pauses: Pauses,
    pub(super) reader: Reader,
    /// The sources by name, with their kinds.
    pub(super) sources: Arc<[(String, &'static str)]>,
}

/// The routes of this file.
pub(super) fn router(shared: Shared) -> Router {
    Router::new().route("/topology", get(topology)).with_state(shared)
}

/// From where to where events go.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Topology {
    /// Where events come in, beside `POST /events`.
    sources: Vec<Source>,
    routes: Vec<Told>,
    sinks: Vec<SinkHealth>,
}

/// A source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopologySource)]
pub(super) struct Source {
    name: String,
    /// `sqs`, `webhook` or another.
    kind: &'static str,
}

/// A route.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopologyRoute)]
pub(super) struct Told {
    name: String,
    /// The patterns of the event types that it takes.
    on: Vec<String>,
    /// Its filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    /// The cron string of its schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// The consumer or workflow that it runs; left out where it runs actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<String>,
    actions: Vec<Action>,
    paused: bool,
    /// Whether its events wait for each other.
    flow: bool,
    /// Executions that have begun in the last minute.
    begun: i64,
    /// Executions that have failed in the last minute.
    failed: i64,
    /// Executions that run.
    running: i64,
}

/// An action of a route.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopologyAction)]
pub(super) struct Action {
    name: String,
    /// Name of its sink.
    to: String,
    weight: u32,
}

/// Tells from where to where events go, as this process is configured, and how many did in the last minute.
#[utoipa::path(
    get, path = "/topology", tag = "overview",
    responses(
        (status = 200, description = "Sources, routes with their actions, and sinks.", body = Topology),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn topology(State(shared): State<Shared>) -> Result<Json<Topology>, Problem> {
    let since = format(OffsetDateTime::now_utc() - WINDOW);
    let paused = shared.pauses.all();
    let setup = shared.live.get();
    let names: Vec<String> = setup.routes.iter().map(|route| route.name.clone()).collect();
    let counted = names
        .into_iter()
        .map(|name| count(shared.client.clone(), name, since.clone()));
    let counted: Vec<Counted> = stream::iter(counted)
        .buffered(CONCURRENT)
        .try_collect()
        .await
        .map_err(problem_of_engine)?;
    let routes = setup
        .routes
        .iter()
        .zip(counted)
        .map(|(route, counted)| tell(route, counted, &paused))
        .collect();
    let sources = shared.sources.iter().map(|(name, kind)| Source {
        name: name.clone(),
        kind,
    });
    Ok(Json(Topology {
        sources: sources.collect(),
        routes,
        sinks: shared.reader.sinks(),
    }))
}

/// How many executions of a route.
struct Counted {
    begun: i64,
    failed: i64,
    running: i64,
}

async fn count(client: Client, name: String, since: String) -> Result<Counted, Status> {
    let name = quoted(&keyword(&name));
    let of_events = format!("SegnoRoute = {name} AND SegnoEventId IS NOT NULL");
    let begun = format!("{of_events} AND StartTime >= '{since}'");
    let failed = format!("{of_events} AND ExecutionStatus = 'Failed' AND CloseTime >= '{since}'");
    let running = format!("{of_events} AND ExecutionStatus = 'Running'");
    let (begun, failed, running) = tokio::try_join!(
        total(&client, &begun),
        total(&client, &failed),
        total(&client, &running)
    )?;
    Ok(Counted {
        begun,
        failed,
        running,
    })
}

fn tell(route: &Route, counted: Counted, paused: &[What]) -> Told {
    let (handler, actions) = match &route.handler {
        Handler::Actions(actions) => (None, actions.as_slice()),
        Handler::Consumer { name, .. } => (Some(format!("consumer {name}")), [].as_slice()),
        Handler::Workflow(name) => (Some(format!("workflow {name}")), [].as_slice()),
    };
    Told {
        on: route.on.iter().map(ToString::to_string).collect(),
        when: route.when.as_ref().map(|filter| filter.source().to_owned()),
        schedule: route
            .timing
            .schedule
            .as_ref()
            .map(|schedule| schedule.cron.clone()),
        handler,
        actions: actions
            .iter()
            .map(|action| Action {
                name: action.name.clone(),
                to: action.to.clone(),
                weight: action.weight,
            })
            .collect(),
        paused: paused.contains(&What::Route(route.name.clone())),
        flow: route.flow.is_some(),
        name: route.name.clone(),
        begun: counted.begun,
        failed: counted.failed,
        running: counted.running,
    }
}
