//! The HTTP API: events in, executions to be looked at, timers, probes, and the API's own description.

mod access_log;
mod audit;
mod catalogue;
mod codec;
mod common;
mod config;
mod console;
mod control;
mod dead_letters;
mod event;
mod events;
mod execution;
mod executions;
mod extract;
mod figures;
mod headers;
mod health;
mod history;
mod inbound;
mod json;
mod keys;
pub(crate) mod limits;
mod metrics;
mod oidc;
pub mod openapi;
mod operations;
mod origin;
#[cfg(feature = "outbox")]
mod outbox;
mod pauses;
mod pending;
pub mod problem;
mod redact;
mod schedules;
mod serve;
mod session;
mod story;
mod task_queues;
mod topology;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::{get, post},
};
use temporalio_client::Client;
use tokio::sync::Semaphore;
use utoipa_swagger_ui::SwaggerUi;

pub(crate) use events::Events;
pub(crate) use health::Health;
use problem::Problem;
pub(crate) use serve::serve;

use crate::{
    access::{self, Access, Guard, audit::Audit, request_id},
    console::ConsolePage,
    dead_letters::Decider,
    encryption::Keyring,
    live::Live,
    overview::broadcast::Broadcast,
    reload::Reloader,
    telemetry::Sampler,
};

/// Where a program's own routes are.
pub const PROGRAM: &str = "/app";

/// What the API is made of.
pub(crate) struct Parts {
    pub(crate) client: Client,
    /// The state of everything, as it changes.
    pub(crate) figures: Broadcast,
    #[cfg(feature = "outbox")]
    pub(crate) outboxes: crate::outbox::Relays,
    pub(crate) events: Events,
    /// The configuration as it is now.
    pub(crate) live: Live,
    /// Takes another one on.
    pub(crate) reloader: Reloader,
    pub(crate) health: Health,
    /// Looks at what is measured.
    pub(crate) sampler: Sampler,
    /// Decides about dead letters.
    pub(crate) decider: Decider,
    /// The sources by name, with their kinds.
    pub(crate) source_kinds: Vec<(String, &'static str)>,
    /// The paths of sources that are called.
    pub(crate) sources: Router,
    /// The timers' own routes.
    pub(crate) timers: Router,
    /// What the program serves beside, below [`PROGRAM`].
    pub(crate) program: Option<Router>,
    /// Pages that the program adds to the console.
    pub(crate) pages: Vec<ConsolePage>,
    /// What payloads are encrypted with.
    pub(crate) keyring: Keyring,
    /// The origins of pages that may call the codec.
    pub(crate) codec_origins: Arc<[String]>,
    /// Who may call.
    pub(crate) access: Arc<Access>,
    /// Requests served at once; the probes do not count.
    pub(crate) max_concurrent: usize,
    /// Whether only this machine is to call.
    pub(crate) local_only: bool,
}

/// The whole API as one router.
pub(crate) fn router(parts: Parts) -> Router {
    let Parts {
        client,
        figures,
        #[cfg(feature = "outbox")]
        outboxes,
        events,
        live,
        reloader,
        health,
        sampler,
        decider,
        source_kinds,
        sources,
        timers,
        program,
        pages,
        keyring,
        codec_origins,
        access,
        max_concurrent,
        local_only,
    } = parts;
    let pauses = pauses::router(pauses::Shared {
        client: client.clone(),
        live: live.clone(),
        pauses: decider.pauses.clone(),
    });
    let keys = keys::router(keys::Shared {
        client: client.clone(),
        live: live.clone(),
    });
    let audit = audit::router(client.clone());
    let guard = Guard {
        access: Arc::clone(&access),
        audit: Audit::new(client.clone()),
    };
    let redaction = redact::Shared {
        client: client.clone(),
        live: live.clone(),
    };
    let slots = Arc::new(Semaphore::new(max_concurrent.min(Semaphore::MAX_PERMITS)));
    let executions = Router::new()
        .route("/executions", get(executions::list))
        .route("/executions/{workflow_id}", get(execution::get))
        .route("/executions/{workflow_id}/history", get(history::get))
        .with_state(client.clone())
        .merge(control::router(client.clone()))
        .merge(schedules::router(client.clone()))
        .merge(task_queues::router(client.clone()))
        .merge(topology::router(topology::Shared {
            client,
            live: live.clone(),
            pauses: decider.pauses.clone(),
            reader: figures.reader(),
            sources: source_kinds.into(),
        }))
        .merge(figures::router(figures));
    let catalogue = Router::new()
        .route("/catalogue", get(catalogue::get))
        .route("/asyncapi.json", get(catalogue::asyncapi))
        .with_state(live);
    #[cfg(feature = "outbox")]
    let executions = executions.merge(outbox::router(outboxes));
    let limited = Router::new()
        .route("/events", post(events::post).with_state(events))
        .merge(executions)
        .merge(catalogue)
        .route(
            "/events/{source}/{id}",
            get(event::get).with_state(decider.clone()),
        )
        .merge(operations::router(decider.clone()))
        .merge(dead_letters::router(decider))
        .merge(keys)
        .merge(config::router(reloader))
        .merge(pauses)
        .merge(audit)
        .merge(codec::router(keyring))
        .merge(timers)
        .merge(sources);
    let limited = match program {
        Some(program) => limited.nest(PROGRAM, program),
        None => limited,
    };
    let limited = limited.route_layer(from_fn_with_state(slots, limits::concurrency));
    let probes = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz).with_state(health))
        .route("/metrics", get(metrics::get).with_state(sampler));
    Router::new()
        .merge(limited)
        .merge(probes)
        .merge(session::router(Arc::clone(&access)))
        .merge(oidc::router(access))
        .merge(console::router(&pages))
        .merge(SwaggerUi::new("/api-docs").url("/openapi.json", openapi::document()))
        .fallback(not_found)
        .layer(from_fn_with_state(redaction, redact::mask))
        .layer(from_fn_with_state(guard, access::guard))
        .layer(from_fn_with_state(local_only, origin::guard))
        .layer(from_fn_with_state(codec_origins, codec::cors))
        .layer(from_fn(headers::add))
        .layer(from_fn(access_log::log))
        .layer(from_fn(request_id::give))
}

async fn not_found() -> impl IntoResponse {
    let mut response = Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "nothing is served at this path",
    )
    .into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
