//! `/dead-letters/bulk` and `/replays`: operations over many executions.

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use temporalio_client::{Client, tonic::Status};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    executions::problem_of_engine,
    extract::Path,
    json::read_json,
    problem::{MEDIA_TYPE, Problem},
};
use crate::{
    dead_letters::{self, BulkRequest, Decider},
    operation::{self, Operation},
    replay::{self, DryRun},
};

/// The routes of this file.
pub(super) fn router(decider: Decider) -> Router {
    Router::new()
        .route("/dead-letters/bulk", post(begin_bulk))
        .route("/dead-letters/bulk/{id}", get(show_bulk))
        .route("/dead-letters/bulk/{id}/{verb}", post(steer_bulk))
        .route("/replays", post(begin_replay))
        .route("/replays/{id}", get(show_replay))
        .route("/replays/{id}/{verb}", post(steer_replay))
        .with_state(decider)
}

/// An operation that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Begun {
    /// Whether it was begun now; not where one of the same id was there.
    changed: bool,
    #[serde(flatten)]
    operation: Operation,
}

/// Decides about all dead letters that a filter finds, by an operation that goes on whatever happens to a process.
///
/// The same `id` made again begins nothing and finds what the first one began.
#[utoipa::path(
    post, path = "/dead-letters/bulk", tag = "dead letters", request_body = BulkRequest,
    responses(
        (status = 202, description = "It has begun.", body = Begun),
        (status = 200, description = "One of this id was begun before.", body = Begun),
        (status = 400, description = "The request is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn begin_bulk(
    State(decider): State<Decider>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request: BulkRequest = read_json(&headers, body).await?;
    let request = request.complete(OffsetDateTime::now_utc()).map_err(bad)?;
    let id = request.id.clone().unwrap_or_default();
    let query = request.filter.query().unwrap_or_default();
    // A query that the engine does not understand is told now, and not by an operation that gets nowhere.
    dead_letters::runs(&decider.client, &query, 1, Vec::new())
        .await
        .map_err(problem_of_engine)?;
    let workflow_id = dead_letters::bulk_id(&id);
    let input = dead_letters::BulkInput {
        request,
        progress: Default::default(),
    };
    let changed = operation::begin(&decider.client, dead_letters::BULK, &workflow_id, &input)
        .await
        .map_err(problem_of_engine)?;
    begun(&decider.client, &id, &workflow_id, changed).await
}

/// Shows how far a bulk operation is.
#[utoipa::path(
    get, path = "/dead-letters/bulk/{id}", tag = "dead letters",
    params(("id" = String, Path, description = "Id of the operation.")),
    responses(
        (status = 200, description = "The operation.", body = Operation),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn show_bulk(
    State(decider): State<Decider>,
    Path(id): Path<String>,
) -> Result<Json<Operation>, Problem> {
    show(&decider.client, &id, &dead_letters::bulk_id(&id)).await
}

/// Pauses, resumes or cancels a bulk operation; what it has decided stays.
#[utoipa::path(
    post, path = "/dead-letters/bulk/{id}/{verb}", tag = "dead letters",
    params(
        ("id" = String, Path, description = "Id of the operation."),
        ("verb" = String, Path, description = "`pause`, `resume` or `cancel`."),
    ),
    responses(
        (status = 202, description = "It is told so.", body = Operation),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn steer_bulk(
    State(decider): State<Decider>,
    Path((id, verb)): Path<(String, String)>,
) -> Result<Response, Problem> {
    steer(&decider.client, &id, &dead_letters::bulk_id(&id), &verb).await
}

/// Has events that were taken in before handled again on chosen routes, in the order in which they came.
///
/// With `dry_run` nothing runs, and the answer is what would. The same `id` made again begins nothing and finds what
/// the first one began.
#[utoipa::path(
    post, path = "/replays", tag = "replays", request_body = replay::Request,
    responses(
        (status = 202, description = "It has begun.", body = Begun),
        (status = 200, description = "One of this id was begun before; or the dry run.", body = DryRun),
        (status = 400, description = "The request is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn begin_replay(
    State(decider): State<Decider>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request: replay::Request = read_json(&headers, body).await?;
    let now = OffsetDateTime::now_utc();
    let routes = decider.live.get().routes.clone();
    let request = request.complete(&routes, now).map_err(bad)?;
    let query = request.query();
    dead_letters::runs(&decider.client, &query, 1, Vec::new())
        .await
        .map_err(problem_of_engine)?;
    if request.dry_run {
        let dry_run = replay::dry_run(&decider.client, &routes, &request, now)
            .await
            .map_err(problem_of_engine)?;
        return Ok(Json(dry_run).into_response());
    }
    let id = request.id.clone().unwrap_or_default();
    let workflow_id = replay::workflow_id(&id);
    let input = replay::Input {
        request,
        progress: Default::default(),
    };
    let changed = operation::begin(&decider.client, replay::TYPE, &workflow_id, &input)
        .await
        .map_err(problem_of_engine)?;
    begun(&decider.client, &id, &workflow_id, changed).await
}

/// Shows how far a replay is. Its executions are found by `SegnoReplay = '<id>'`.
#[utoipa::path(
    get, path = "/replays/{id}", tag = "replays",
    params(("id" = String, Path, description = "Id of the replay.")),
    responses(
        (status = 200, description = "The replay.", body = Operation),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn show_replay(
    State(decider): State<Decider>,
    Path(id): Path<String>,
) -> Result<Json<Operation>, Problem> {
    show(&decider.client, &id, &replay::workflow_id(&id)).await
}

/// Pauses, resumes or cancels a replay; what it has started goes on.
#[utoipa::path(
    post, path = "/replays/{id}/{verb}", tag = "replays",
    params(
        ("id" = String, Path, description = "Id of the replay."),
        ("verb" = String, Path, description = "`pause`, `resume` or `cancel`."),
    ),
    responses(
        (status = 202, description = "It is told so.", body = Operation),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn steer_replay(
    State(decider): State<Decider>,
    Path((id, verb)): Path<(String, String)>,
) -> Result<Response, Problem> {
    steer(&decider.client, &id, &replay::workflow_id(&id), &verb).await
}

async fn begun(client: &Client, id: &str, workflow_id: &str, changed: bool) -> Result<Response, Problem> {
    let operation = operation::read(client, id, workflow_id)
        .await
        .map_err(problem_of_engine)?;
    let status = if changed {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(Begun { changed, operation })).into_response())
}

async fn show(client: &Client, id: &str, workflow_id: &str) -> Result<Json<Operation>, Problem> {
    let operation = operation::read(client, id, workflow_id)
        .await
        .map_err(problem_of_engine)?;
    Ok(Json(operation))
}

async fn steer(client: &Client, id: &str, workflow_id: &str, verb: &str) -> Result<Response, Problem> {
    let told: Result<(), Status> = match verb {
        "pause" => operation::signal(client, workflow_id, operation::PAUSE).await,
        "resume" => operation::signal(client, workflow_id, operation::RESUME).await,
        "cancel" => operation::cancel(client, workflow_id).await,
        _ => {
            let detail = "an operation can be told to `pause`, `resume` or `cancel`";
            return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail));
        }
    };
    told.map_err(problem_of_engine)?;
    let operation = show(client, id, workflow_id).await?;
    Ok((StatusCode::ACCEPTED, operation).into_response())
}

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail)
}
