//! `/dead-letters`: what failed for good, and what to do about it.

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{
    executions::problem_of_engine,
    extract::{Path, Query},
    json::read_json,
    problem::{MEDIA_TYPE, Mistake, Problem},
};
use crate::{
    catalogue::Misfit,
    dead_letters::{Action, Decided, Decider, Edit, Error, Filter, Letter, Request, page},
    run::{ReadError, Recorded, Summary},
};

/// Dead letters on a page, unless asked otherwise.
const PAGE: usize = 50;
/// Dead letters on the largest page.
const MAX_PAGE: usize = 500;

/// The routes of this file.
pub(super) fn router(decider: Decider) -> Router {
    Router::new()
        .route("/dead-letters", get(list))
        .route("/dead-letters/{id}", get(show))
        .route("/dead-letters/{id}/retry", post(retry))
        .route("/dead-letters/{id}/skip", post(skip))
        .route("/dead-letters/{id}/resolve", post(resolve))
        .with_state(decider)
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Of this route.
    route: Option<String>,
    /// Of events of this type.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    ty: Option<String>,
    /// Of events of this source.
    source: Option<String>,
    /// Of events about this subject.
    subject: Option<String>,
    /// Failed at this time or later (RFC 3339).
    since: Option<String>,
    /// Failed before this time (RFC 3339).
    until: Option<String>,
    /// A visibility query besides, such as `SegnoRoute IN ('a', 'b')`.
    query: Option<String>,
    /// How many at most, 1 to 500. Left out: 50.
    #[param(minimum = 1, maximum = 500)]
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// A page of dead letters; what failed last comes first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
pub(super) struct Listed {
    dead_letters: Vec<Letter>,
    /// Names the next page; left out on the last. A page may be short, or empty, although others follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// A dead letter with all that it takes to decide about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterDetail)]
pub(super) struct Detail {
    #[serde(flatten)]
    letter: Letter,
    /// The event whole, as CloudEvents JSON, as it was last run.
    #[schema(value_type = Object)]
    cloud_event: Value,
    /// What ran: the route's handler as it was then.
    #[schema(value_type = Object)]
    handler: Value,
}

/// What is said about a decision.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadLetterNote)]
pub(super) struct Note {
    /// Who decides.
    by: Option<String>,
    /// Why.
    note: Option<String>,
    /// Only if this run is still the latest.
    run_id: Option<String>,
}

/// How a dead letter is retried.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadLetterRetry)]
pub(super) struct Retry {
    /// Who decides.
    by: Option<String>,
    /// Why.
    note: Option<String>,
    /// Only if this run is still the latest.
    run_id: Option<String>,
    /// Another event in place of the event, as CloudEvents JSON, with the same `id` and `source`.
    #[schema(value_type = Option<Object>)]
    event: Option<Value>,
    /// Another payload in place of the event's `data`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// Run the route as it is configured now.
    #[serde(default)]
    current_route: bool,
    /// Run all actions, and not only those that failed.
    #[serde(default)]
    all_actions: bool,
}

/// A `null` that is given is a payload.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Lists dead letters: executions of events whose latest run has failed.
#[utoipa::path(
    get, path = "/dead-letters", tag = "dead letters", params(Params),
    responses(
        (status = 200, description = "A page of them, those that failed last first.", body = Listed),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn list(
    State(decider): State<Decider>,
    Query(params): Query<Params>,
) -> Result<Json<Listed>, Problem> {
    let size = params.page_size.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&size) {
        return Err(bad(format!("page_size has to be between 1 and {MAX_PAGE}")));
    }
    let token = URL_SAFE_NO_PAD
        .decode(params.page_token.as_deref().unwrap_or_default())
        .map_err(|_| bad("page_token is none that a page named"))?;
    let filter = Filter {
        route: params.route,
        ty: params.ty,
        source: params.source,
        subject: params.subject,
        since: params.since,
        until: params.until,
        query: params.query,
    };
    let query = query_of(&filter)?;
    let found = page(&decider.client, &query, size, token)
        .await
        .map_err(problem_of_engine)?;
    Ok(Json(Listed {
        dead_letters: found.letters,
        next_page_token: (!found.next.is_empty()).then(|| URL_SAFE_NO_PAD.encode(found.next)),
    }))
}

/// Shows one dead letter. Its id contains slashes: it is percent-encoded as one path segment.
#[utoipa::path(
    get, path = "/dead-letters/{id}", tag = "dead letters",
    params(("id" = String, Path, description = "Id of the execution, percent-encoded.")),
    responses(
        (status = 200, description = "The dead letter.", body = Detail),
        (status = 404, description = "There is no dead letter of that id.", body = Problem,
         content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn show(
    State(decider): State<Decider>,
    Path(id): Path<String>,
) -> Result<Json<Detail>, Problem> {
    let run = match Recorded::read(&decider.client, &id, "").await {
        Ok(run) => run,
        Err(ReadError::NoEvent(_)) => return Err(none("there is no execution of an event with this id")),
        Err(ReadError::Engine(status)) => return Err(problem_of_engine(status)),
        Err(ReadError::Encrypted { summary, reason }) if summary.has_failed() => {
            let shown = json!({ "encrypted": reason });
            return Ok(Json(Detail {
                letter: Letter::encrypted(&summary, &reason),
                cloud_event: shown.clone(),
                handler: shown,
            }));
        }
        Err(ReadError::Encrypted { summary, .. }) => return Err(no_letter(&summary)),
    };
    if !run.summary.has_failed() {
        return Err(no_letter(&run.summary));
    }
    let shown = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
    Ok(Json(Detail {
        letter: Letter::of(&run),
        cloud_event: shown(serde_json::to_value(&run.plan.event)),
        handler: shown(serde_json::to_value(&run.plan.handler)),
    }))
}

/// Runs a dead letter again: the actions that failed, unless asked otherwise.
///
/// The event or its payload may be replaced, and the route may be taken as it is configured now. A second retry
/// starts nothing and says so by `changed: false`.
#[utoipa::path(
    post, path = "/dead-letters/{id}/retry", tag = "dead letters", request_body = Retry,
    params(("id" = String, Path, description = "Id of the execution, percent-encoded.")),
    responses(
        (status = 202, description = "It runs again.", body = Decided),
        (status = 200, description = "Nothing was done: it is no dead letter any more.", body = Decided),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "There is no execution of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 422, description = "The change cannot be made.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn retry(
    State(decider): State<Decider>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Decided>), Problem> {
    let body: Retry = read_json(&headers, body).await?;
    let edit = Edit {
        event: body.event,
        data: body.data,
        current_route: body.current_route,
        all_actions: body.all_actions,
    };
    let note = Note {
        by: body.by,
        note: body.note,
        run_id: body.run_id,
    };
    decide(&decider, &id, Action::Retry(edit), note).await
}

/// Gives a dead letter up: nothing more of it will run, and it is gone from the list.
#[utoipa::path(
    post, path = "/dead-letters/{id}/skip", tag = "dead letters", request_body = Note,
    params(("id" = String, Path, description = "Id of the execution, percent-encoded.")),
    responses(
        (status = 202, description = "It is skipped.", body = Decided),
        (status = 200, description = "Nothing was done: it is no dead letter any more.", body = Decided),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "There is no execution of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn skip(
    State(decider): State<Decider>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Decided>), Problem> {
    let note = read_json(&headers, body).await?;
    decide(&decider, &id, Action::Skip, note).await
}

/// Marks a dead letter as dealt with elsewhere, with a note that says how; it is gone from the list.
#[utoipa::path(
    post, path = "/dead-letters/{id}/resolve", tag = "dead letters", request_body = Note,
    params(("id" = String, Path, description = "Id of the execution, percent-encoded.")),
    responses(
        (status = 202, description = "It is resolved.", body = Decided),
        (status = 200, description = "Nothing was done: it is no dead letter any more.", body = Decided),
        (status = 400, description = "The body is not valid, or has no note.", body = Problem,
         content_type = MEDIA_TYPE),
        (status = 404, description = "There is no execution of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn resolve(
    State(decider): State<Decider>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Decided>), Problem> {
    let note: Note = read_json(&headers, body).await?;
    if note.note.as_deref().is_none_or(|note| note.trim().is_empty()) {
        let detail = "say in `note` how it was dealt with; to give it up without a word, skip it";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail));
    }
    decide(&decider, &id, Action::Resolve, note).await
}

async fn decide(
    decider: &Decider,
    id: &str,
    action: Action,
    note: Note,
) -> Result<(StatusCode, Json<Decided>), Problem> {
    let request = Request {
        action,
        by: note.by,
        note: note.note,
        bulk: None,
    };
    let decided = decider
        .decide(id, note.run_id.as_deref(), &request)
        .await
        .map_err(problem_of)?;
    let status = if decided.changed {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(decided)))
}

/// What keeps a decision from being carried out, for the caller.
pub(super) fn problem_of(error: Error) -> Problem {
    match error {
        Error::NotFound => none(error.to_string()),
        Error::Engine(status) => problem_of_engine(status),
        Error::Encrypted(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "encrypted", error.to_string()),
        Error::Edit(_) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-change",
            error.to_string(),
        ),
        Error::Misfits { ref misfits, .. } => {
            let mistake = |misfit: &Misfit| Mistake {
                event: None,
                attribute: Some("data".to_owned()),
                path: Some(misfit.path.clone()),
                rule: misfit.what.clone(),
            };
            let mistakes = misfits.iter().map(mistake).collect();
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "schema-mismatch",
                error.to_string(),
            )
            .with_errors(mistakes)
        }
        Error::TooLarge(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string()),
        Error::Encode(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()),
    }
}

fn no_letter(run: &Summary) -> Problem {
    none(format!(
        "the execution is no dead letter: the status of its latest run is {}",
        crate::run::status_name(run.status)
    ))
}

/// The filter's query.
pub(super) fn query_of(filter: &Filter) -> Result<String, Problem> {
    filter.query().map_err(|name| {
        bad(format!(
            "`{name}` is not a time such as 2026-01-31T12:00:00Z (RFC 3339)"
        ))
    })
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail)
}

fn none(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
}
