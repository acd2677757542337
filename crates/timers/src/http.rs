//! The timers over HTTP, with the original service's shapes and statuses.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    routing,
};
use utoipa::OpenApi;

use crate::{Deliveries, Issue, NewTimer, Page, Query, Status, TimerId, Timers, request::parse_rearm};

mod problem;
mod query;
mod schema;

use problem::{Message, Problem, Validation};
use schema::{Created, Left, Rearm, TimerRequest};

/// Longest request body, in bytes. What a timer holds is kept in the engine more than once.
const MAX_BODY: usize = 256 * 1024;

/// Serves these timers at `/timers`.
pub fn router(timers: Timers) -> Router {
    Router::new()
        .route("/timers", routing::post(create).get(list))
        .route("/timers/{id}", routing::get(time_left).delete(cancel))
        .route("/timers/{id}/deadline", routing::put(rearm))
        .route("/timers/{id}/deliveries", routing::get(deliveries))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(timers)
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    paths(create, list, time_left, cancel, rearm, deliveries),
    components(schemas(TimerRequest, Rearm)),
    tags((name = "timers", description = "Call a URL at a moment"))
)]
struct Document;

/// Makes a timer.
#[utoipa::path(
    post, path = "/timers", tag = "timers", request_body = TimerRequest,
    params(("Idempotency-Key" = Option<String>, Header, description =
        "The same key and body find the timer made before, as long as the engine holds it")),
    responses(
        (status = 200, description = "Made, and durable", body = Created),
        (status = 400, description = "Everything that is wrong with the request", body = Validation),
        (status = 413, description = "The body is too long", body = Message),
        (status = 422, description = "The idempotency key was used with another request", body = Message),
        (status = 503, description = "The engine is not available", body = Message),
    )
)]
async fn create(
    State(timers): State<Timers>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Created>, Problem> {
    let body = json(&headers, body)?;
    let new = NewTimer::parse(&body, timers.allow_private());
    let (new, key) = match (new, idempotency_key(&headers)) {
        (Ok(new), Ok(key)) => (new, key),
        (new, key) => {
            let issues = key.err().into_iter().chain(new.err().into_iter().flatten());
            return Err(Problem::Validation(issues.collect()));
        }
    };
    let id = timers.create(new, key).await?.to_string();
    Ok(Json(Created { id }))
}

/// Lists timers.
#[utoipa::path(
    get, path = "/timers", tag = "timers",
    params(
        ("status" = Option<Status>, Query, description = "Those that stand so"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "At most so many; default 100"),
        ("page_token" = Option<String>, Query, description = "`next_page_token` of the page before"),
    ),
    responses(
        (status = 200, description = "The latest made first", body = Page),
        (status = 400, description = "Everything that is wrong with the request", body = Validation),
        (status = 503, description = "The engine is not available", body = Message),
    )
)]
async fn list(State(timers): State<Timers>, RawQuery(query): RawQuery) -> Result<Json<Page>, Problem> {
    let query: Query = query::parse(query.as_deref().unwrap_or_default()).map_err(Problem::Validation)?;
    match timers.list(&query).await {
        Err(crate::Error::PageToken) => {
            let token = query.page_token.unwrap_or_default();
            Err(Problem::Validation(vec![Issue::page_token(&token)]))
        }
        page => Ok(Json(page?)),
    }
}

/// How long it is until a timer fires.
#[utoipa::path(
    get, path = "/timers/{id}", tag = "timers", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, description = "0 for a timer that fired, however long ago", body = Left),
        (status = 400, description = "The id is not a UUID", body = Validation),
        (status = 404, description = "There never was such a timer", body = Message),
        (status = 503, description = "The engine is not available", body = Message),
    )
)]
async fn time_left(State(timers): State<Timers>, Path(id): Path<String>) -> Result<Json<Left>, Problem> {
    let id = parse_id(&id)?;
    let time_left = timers.time_left(id).await?.0;
    Ok(Json(Left {
        id: id.to_string(),
        time_left,
    }))
}

/// Cancels a timer. To cancel again changes nothing.
#[utoipa::path(
    delete, path = "/timers/{id}", tag = "timers", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204, description = "No delivery begins from now on"),
        (status = 400, description = "The id is not a UUID", body = Validation),
        (status = 404, description = "There never was such a timer", body = Message),
        (status = 409, description = "It already fired", body = Message),
        (status = 410, description = "It fired or was cancelled so long ago that the engine no longer holds it", body = Message),
        (status = 503, description = "The engine is not available", body = Message),
    )
)]
async fn cancel(State(timers): State<Timers>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    timers.cancel(parse_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Moves a timer's deadline.
#[utoipa::path(
    put, path = "/timers/{id}/deadline", tag = "timers", request_body = Rearm,
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, description = "The new deadline is in force", body = Left),
        (status = 400, description = "Everything that is wrong with the request", body = Validation),
        (status = 404, description = "There never was such a timer", body = Message),
        (status = 409, description = "It already fired or was cancelled", body = Message),
        (status = 410, description = "It fired or was cancelled so long ago that the engine no longer holds it", body = Message),
        (status = 503, description = "The engine is not available, or has not confirmed: ask again", body = Message),
    )
)]
async fn rearm(
    State(timers): State<Timers>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Left>, Problem> {
    let id = parse_id(&id)?;
    let when = parse_rearm(&json(&headers, body)?).map_err(Problem::Validation)?;
    let time_left = timers.rearm(id, when).await?.0;
    Ok(Json(Left {
        id: id.to_string(),
        time_left,
    }))
}

/// The attempts to deliver a timer.
#[utoipa::path(
    get, path = "/timers/{id}/deliveries", tag = "timers", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, description = "The attempts so far", body = Deliveries),
        (status = 400, description = "The id is not a UUID", body = Validation),
        (status = 404, description = "There never was such a timer", body = Message),
        (status = 410, description = "It fired or was cancelled so long ago that the engine no longer holds it", body = Message),
        (status = 503, description = "The engine is not available", body = Message),
    )
)]
async fn deliveries(
    State(timers): State<Timers>,
    Path(id): Path<String>,
) -> Result<Json<Deliveries>, Problem> {
    Ok(Json(timers.deliveries(parse_id(&id)?).await?))
}

fn parse_id(text: &str) -> Result<TimerId, Problem> {
    text.parse()
        .map_err(|_| Problem::Validation(vec![Issue::guid("id", text)]))
}

/// The body of a request that says it is JSON. Others are refused, so that no web page can send one from
/// its visitor's browser without asking first (a "simple request").
fn json(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    let ty = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = ty
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let json =
        essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json");
    if !json {
        return Err(Problem::Validation(vec![Issue::content_type()]));
    }
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge,
        _ => Problem::Validation(vec![Issue::unread()]),
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&[u8]>, Issue> {
    let mut keys = headers.get_all("idempotency-key").iter();
    match (keys.next().map(|key| key.as_bytes()), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) if (1..=255).contains(&key.len()) => Ok(Some(key)),
        _ => Err(Issue::idempotency_key()),
    }
}
