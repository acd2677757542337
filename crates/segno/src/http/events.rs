//! `POST /events`: CloudEvents in, executions started, both told in one answer.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use segno_event::{
    Event,
    http::{HttpError, InvalidEvent, parse},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    limits::{read_body, too_large},
    problem::{MEDIA_TYPE, Mistake, Problem},
};
use crate::{
    intake::{self, Accepted, Intake},
    live::Live,
    telemetry::{TRACEPARENT, TRACESTATE, TraceContext},
};

/// A batch may be as long as this many events of the largest size.
const BATCH: usize = 16;
/// When to come back where the engine cannot take events.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What became of the events of a request, in their order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AcceptedEvents)]
pub(super) struct Reply {
    events: Vec<Accepted>,
}

/// What the intake needs.
#[derive(Clone)]
pub(crate) struct Events {
    pub(crate) intake: Intake,
    /// Says how large an event may be, in bytes: of its body, and in a batch of its JSON.
    pub(crate) live: Live,
}

/// Takes in one event or a batch.
///
/// CloudEvents 1.0 over HTTP in all three modes: binary (attributes as `ce-` headers, data as body), structured
/// (`application/cloudevents+json`) and batch (`application/cloudevents-batch+json`). Answered with 202 only when
/// every execution is on disk. Sending the same `source` and `id` again starts nothing and is answered with
/// `duplicate: true`; so after any error the whole request can be sent again.
#[utoipa::path(
    post, path = "/events", tag = "events",
    request_body(
        description = "One event as JSON, an array of them as a batch, or the data alone with `ce-` headers.",
        content(
            (serde_json::Value = "application/cloudevents+json",
             example = json!({"specversion": "1.0", "id": "1001", "source": "/shop", "type": "order.placed",
                              "data": {"id": 1001, "total": 250}})),
            (Vec<serde_json::Value> = "application/cloudevents-batch+json"),
            (serde_json::Value = "application/json"),
        )
    ),
    responses(
        (status = 202, description = "Every execution is durable; an event that no route matches has none.",
         body = Reply),
        (status = 400, description = "Nothing was taken in; `errors` names each event, attribute and rule.",
         body = Problem, content_type = MEDIA_TYPE),
        (status = 413, description = "An event or the body is too large.", body = Problem, content_type = MEDIA_TYPE),
        (status = 415, description = "The event format is not supported.", body = Problem,
         content_type = MEDIA_TYPE),
        (status = 429, description = "Too many requests at once; `Retry-After` says when to come back.",
         body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine cannot take events now; `Retry-After` says when to come back.",
         body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn post(
    State(state): State<Events>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let limit = state.live.get().max_event_bytes;
    let batch = is_batch(&headers);
    let events = if batch {
        let body = read_body(&headers, body, limit.saturating_mul(BATCH), "the batch").await?;
        let events = parse(&headers, &body).map_err(problem_of_parsing)?;
        check_sizes(&events, limit)?;
        events
    } else {
        let body = read_body(&headers, body, limit, "the event").await?;
        parse(&headers, &body).map_err(problem_of_parsing)?
    };
    let events = traced(events, &headers);
    let accepted = state
        .intake
        .accept(&events)
        .await
        .map_err(|error| problem_of_intake(&error, batch))?;
    Ok((StatusCode::ACCEPTED, Json(Reply { events: accepted })).into_response())
}

/// Events that do not say which trace they are part of are part of the request's.
fn traced(mut events: Vec<Event>, headers: &HeaderMap) -> Vec<Event> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(context) =
        header(TRACEPARENT).and_then(|parent| TraceContext::parse(parent, header(TRACESTATE)))
    else {
        return events;
    };
    for event in &mut events {
        if !event.extensions.contains_key(TRACEPARENT) {
            event
                .extensions
                .insert(TRACEPARENT.to_owned(), context.to_string().into());
            if let Some(state) = &context.state {
                event
                    .extensions
                    .insert(TRACESTATE.to_owned(), state.as_str().into());
            }
        }
    }
    events
}

fn is_batch(headers: &HeaderMap) -> bool {
    const BATCH_TYPE: &str = "application/cloudevents-batch";
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    content_type
        .get(..BATCH_TYPE.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(BATCH_TYPE))
}

fn check_sizes(events: &[Event], limit: usize) -> Result<(), Problem> {
    for (index, event) in events.iter().enumerate() {
        let size = serde_json::to_vec(event).map_or(usize::MAX, |json| json.len());
        if size > limit {
            let rule = format!("an event is at most {limit} bytes long");
            let mistake = Mistake {
                event: Some(index),
                attribute: None,
                path: None,
                rule,
            };
            return Err(too_large("an event of the batch", limit).with_errors(vec![mistake]));
        }
    }
    Ok(())
}

fn problem_of_parsing(error: HttpError) -> Problem {
    let invalid = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "invalid-event", detail);
    match error {
        HttpError::Invalid(events) => {
            let detail = match events.as_slice() {
                [one] if one.index.is_none() => "the event breaks rules of CloudEvents 1.0".to_owned(),
                many => format!(
                    "{} of the batch's events break rules of CloudEvents 1.0; none was taken in",
                    many.len()
                ),
            };
            invalid(detail).with_errors(events.into_iter().flat_map(mistakes).collect())
        }
        HttpError::UnsupportedFormat { .. } => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-format",
            error.to_string(),
        ),
        other => invalid(other.to_string()),
    }
}

fn mistakes(event: InvalidEvent) -> impl Iterator<Item = Mistake> {
    event.violations.into_iter().map(move |violation| Mistake {
        event: event.index,
        rule: violation.rule.to_string(),
        attribute: Some(violation.attribute),
        path: None,
    })
}

fn problem_of_intake(error: &intake::Error, batch: bool) -> Problem {
    match error {
        intake::Error::TooLarge { index, .. } => {
            let mistake = Mistake {
                event: batch.then_some(*index),
                attribute: None,
                path: None,
                rule: error.to_string(),
            };
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string())
                .with_errors(vec![mistake])
        }
        intake::Error::Misfits(events) => {
            let mistakes = events.iter().flat_map(|event| {
                event.misfits.iter().map(|misfit| Mistake {
                    event: batch.then_some(event.index),
                    attribute: Some("data".to_owned()),
                    path: Some(misfit.path.clone()),
                    rule: misfit.what.clone(),
                })
            });
            Problem::new(StatusCode::BAD_REQUEST, "schema-mismatch", error.to_string())
                .with_errors(mistakes.collect())
        }
        intake::Error::Unavailable(status) => {
            tracing::warn!(code = %status.code(), message = status.message(), "the engine takes no events");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "engine-unavailable",
                error.to_string(),
            )
            .retry_after(RETRY_AFTER)
        }
        intake::Error::Full { .. } => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "flow-full", error.to_string())
                .retry_after(RETRY_AFTER)
        }
        intake::Error::Refused { source, .. } | intake::Error::Flow(source) => {
            tracing::error!(%error, code = %source.code(), message = source.message(), "an event was refused");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "refused",
                format!("{error}: {}", source.message()),
            )
        }
        intake::Error::Encode(_) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
        }
    }
}
