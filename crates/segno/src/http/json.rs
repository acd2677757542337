//! JSON bodies of requests.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
};
use serde::de::DeserializeOwned;

use super::{limits::read_body, problem::Problem};

/// Longest body, in bytes: an event of the largest size with what is said about it.
const MAX_BODY: usize = 2 << 20;

/// The body as JSON; no body is `{}`.
pub(super) async fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let body = read_body(headers, body, MAX_BODY, "the body").await?;
    let text: &[u8] = if body.iter().all(u8::is_ascii_whitespace) {
        b"{}"
    } else {
        &body
    };
    serde_json::from_slice(text).map_err(|error| {
        let detail = format!("the body is not what is asked for: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail)
    })
}
