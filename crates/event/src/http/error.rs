//! Why a request's content is not taken.

use crate::Violation;

/// A request that carries no events that could be taken. Nothing of it is: a batch is accepted whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The request is in no mode of the HTTP binding: no `ce-` header and no `application/cloudevents` content type.
    #[error(
        "this is not a CloudEvent: send the attributes as headers (ce-specversion: 1.0, ce-id, ce-source, ce-type) \
         and the data as the body, or the whole event as JSON with Content-Type: application/cloudevents+json"
    )]
    NotCloudEvents {
        /// The content type of the request, if it has one.
        content_type: Option<String>,
    },
    /// An event format other than JSON, or JSON in an encoding other than UTF-8.
    #[error(
        "the event format {content_type} is not supported: use application/cloudevents+json or \
         application/cloudevents-batch+json in UTF-8"
    )]
    UnsupportedFormat {
        /// The content type of the request.
        content_type: String,
    },
    /// The body of a structured or batched request is not JSON.
    #[error("the body is not JSON: {message}")]
    Json {
        /// What the parser says, with line and column.
        message: String,
    },
    /// The body of a batched request is JSON and no array.
    #[error("a batch must be a JSON array of events, found {found}")]
    NotAnArray {
        /// The JSON type that was found.
        found: &'static str,
    },
    /// Events that break rules of the specification, each with all the rules it breaks.
    #[error("{}", list(.0))]
    Invalid(Vec<InvalidEvent>),
}

/// An event that breaks rules of the specification.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InvalidEvent {
    /// The event's place in its batch, from 0. None for an event that came alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Every rule that it breaks.
    pub violations: Vec<Violation>,
}

fn list(events: &[InvalidEvent]) -> String {
    let mut lines = Vec::new();
    for event in events {
        for violation in &event.violations {
            lines.push(match event.index {
                Some(index) => format!("event {index}: {violation}"),
                None => violation.to_string(),
            });
        }
    }
    lines.join("; ")
}
