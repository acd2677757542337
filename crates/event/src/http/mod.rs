//! The CloudEvents HTTP protocol binding: events from a request's headers and body.

mod error;

use http::HeaderMap;
use serde_json::Value;

pub use error::{HttpError, InvalidEvent};

use crate::{Event, json};

/// The events of a request, in binary, structured or batch mode.
///
/// # Errors
/// See [`HttpError`].
pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Event>, HttpError> {
    let content_type = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    match content_type {
        Some("application/cloudevents+json") => {
            let value: Value = serde_json::from_slice(body).map_err(|e| HttpError::Json {
                message: e.to_string(),
            })?;
            let invalid = |violations| {
                HttpError::Invalid(vec![InvalidEvent {
                    index: None,
                    violations,
                }])
            };
            Ok(vec![json::decode_value(value).map_err(invalid)?])
        }
        other => Err(HttpError::NotCloudEvents {
            content_type: other.map(str::to_owned),
        }),
    }
}
