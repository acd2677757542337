//! The platform's HTTP API: crawlers, schedules, runs. Described by OpenAPI at `/openapi.json`.

mod crawlers;
mod problem;
mod runs;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde_json::json;
use utoipa::OpenApi;

pub use problem::Problem;

use crate::lifecycle::Lifecycle;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Crawl platform",
        description = "Runs of crawlers: begun, looked at, stopped, gone on with.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact(),
    ),
    paths(
        crawlers::list,
        crawlers::create,
        crawlers::change,
        crawlers::show,
        crawlers::list_schedules,
        crawlers::create_schedule,
        crawlers::change_schedule,
        crawlers::delete_schedule,
        runs::begin,
        runs::list,
        runs::show,
        runs::records,
        runs::stop,
        runs::resume,
    ),
    tags(
        (name = "crawlers", description = "What is run."),
        (name = "schedules", description = "When it runs by itself."),
        (name = "runs", description = "What became of it."),
    )
)]
struct Api;

/// The API's document.
pub fn document() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// What is left of the API at an address where nobody can sign in, where callers have to: all else is Segno's to serve, which
/// knows who may do what.
pub(crate) fn closed(lifecycle: Lifecycle) -> Router {
    common()
        .fallback(async || {
            Problem::new(
                StatusCode::FORBIDDEN,
                "sign-in-elsewhere",
                "who calls has to sign in, which is not possible at this address: the same paths are below /app of Segno's",
            )
        })
        .with_state(lifecycle)
}

fn common() -> Router<Lifecycle> {
    Router::new()
        .route("/openapi.json", get(async || Json(document())))
        .route("/healthz", get(healthz))
}

/// The API over these runs.
pub fn router(lifecycle: Lifecycle) -> Router {
    common()
        .route("/crawlers", get(crawlers::list).post(crawlers::create))
        .route("/crawlers/{id}", get(crawlers::show).put(crawlers::change))
        .route("/crawlers/{id}/runs", post(runs::begin))
        .route(
            "/schedules",
            get(crawlers::list_schedules).post(crawlers::create_schedule),
        )
        .route(
            "/schedules/{id}",
            put(crawlers::change_schedule).merge(delete(crawlers::delete_schedule)),
        )
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::show))
        .route("/runs/{id}/records", get(runs::records))
        .route("/runs/{id}/stop", post(runs::stop))
        .route("/runs/{id}/resume", post(runs::resume))
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "there is nothing at this path",
            )
        })
        .with_state(lifecycle)
}

/// 200 if the database answers.
async fn healthz(State(lifecycle): State<Lifecycle>) -> Response {
    match lifecycle.store().ping().await {
        Ok(()) => Json(json!({"status": "ok"})).into_response(),
        Err(error) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database-unavailable",
            error.to_string(),
        )
        .into_response(),
    }
}
