//! What a caller may ask of this process: so many requests at once, bodies of such a size, in such a time.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use tokio::sync::Semaphore;

use super::problem::Problem;

/// How long a body may take to arrive whole.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// How much of an oversized body is read past the limit, so that its sender gets to read the answer in place
/// of a broken connection.
const DRAIN: usize = 16 << 20;

/// Lets through as many requests at once as the semaphore has permits; answers the others with 429.
pub(super) async fn concurrency(
    State(slots): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    match slots.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "as many requests as this process takes at once are being served",
        )
        .retry_after(Duration::from_secs(1))
        .into_response(),
    }
}

/// Reads a body of at most `limit` bytes. `what` names it in the answer to a longer one.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    what: &str,
) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_DEADLINE, collect(headers, body, limit)).await {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => Err(too_large(what, limit)),
        Ok(Err(error)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "broken-body",
            format!("the body cannot be read: {error}"),
        )),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "slow-body",
            format!(
                "the body did not arrive within {} seconds",
                BODY_DEADLINE.as_secs()
            ),
        )),
    }
}

/// The answer to something longer than `limit` bytes.
pub(super) fn too_large(what: &str, limit: usize) -> Problem {
    let detail = format!("{what} is longer than the {limit} bytes that are taken");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
}

/// The body, or none if it is longer than `limit`.
async fn collect(headers: &HeaderMap, body: Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok())
        .unwrap_or(0);
    if announced > limit && headers.contains_key(header::EXPECT) {
        return Ok(None);
    }
    let mut stream = body.into_data_stream();
    let mut whole = Vec::with_capacity(announced.min(limit));
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if whole.len() + chunk.len() > limit {
            drain(stream).await;
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole.into()))
}

async fn drain(mut stream: axum::body::BodyDataStream) {
    let mut left = DRAIN;
    while left > 0
        && let Some(Ok(chunk)) = stream.next().await
    {
        left = left.saturating_sub(chunk.len());
    }
}
