//! What sources that are called have in common: bodies in, problems (RFC 9457) out.

use std::time::Duration;

use axum::{
    Json,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use segno_event::Event;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    Codec, Intake, Outcome,
    message::{Headers, Message},
};

/// How long a body may take to arrive whole.
const BODY: Duration = Duration::from_secs(30);
/// When to come back where events are not taken now.
const RETRY_AFTER: u64 = 2;

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A name for programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
        }
        response
    }
}

/// A body of at most `limit` bytes.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let whole = async {
        let mut chunks = body.into_data_stream();
        let mut whole = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "broken-body",
                    "the body does not arrive whole",
                )
            })?;
            if whole.len() + chunk.len() > limit {
                let detail = format!("the body is longer than the {limit} bytes that are taken");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    };
    timeout(BODY, whole).await.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {} seconds", BODY.as_secs());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-body", detail))
    })
}

/// A header that is there once and is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The headers as a codec sees them, without those that authenticate.
fn plain(headers: &HeaderMap) -> Headers {
    const SECRET: [&str; 4] = [
        "authorization",
        "cookie",
        "proxy-authorization",
        "x-amz-security-token",
    ];
    headers
        .iter()
        .filter(|(name, _)| !SECRET.contains(&name.as_str()))
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

/// Takes events in: all are durable, or it is a problem of which the sender is to be told.
pub(crate) async fn take(intake: &dyn Intake, events: &[Event]) -> Result<(), Problem> {
    if events.is_empty() {
        return Ok(());
    }
    let outcomes = intake.take(events).await;
    let mut refused = None;
    for outcome in outcomes {
        match outcome {
            Outcome::Durable => {}
            Outcome::Refused(reason) => refused = Some(reason),
            Outcome::Later(reason) => {
                tracing::warn!(%reason, "events are not taken now");
                let detail = "events are not taken now; send the same again";
                return Err(Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "engine-unavailable",
                    detail,
                ));
            }
        }
    }
    refused.map_or(Ok(()), |reason| {
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", reason))
    })
}

/// The events in a request, read beside the runtime's threads: a mapping may take its time. `what` names the request in the
/// log and in the answer.
///
/// # Errors
///
/// [`Problem`], where it is none.
pub(crate) async fn decode(
    codec: &Codec,
    origin: &str,
    headers: &HeaderMap,
    (id, body): (String, Bytes),
    what: &str,
) -> Result<Vec<Event>, Problem> {
    let (codec, source, headers) = (codec.clone(), origin.to_owned(), plain(headers));
    let decoded = tokio::task::spawn_blocking(move || {
        let message = Message {
            id: &id,
            headers: &headers,
            encoded: true,
            body: &body,
        };
        codec.decode(&message, &source)
    });
    match decoded.await {
        Ok(Ok(events)) => Ok(events),
        Ok(Err(malformed)) => {
            tracing::warn!(source = origin, reason = %malformed, "a {what} is no event");
            let status = StatusCode::BAD_REQUEST;
            Err(Problem::new(status, "invalid-event", malformed.to_string()))
        }
        Err(_) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(
                status,
                "internal",
                format!("the {what} could not be read"),
            ))
        }
    }
}
