//! The CloudEvents HTTP protocol binding: events from a request's headers and body, and back.
//!
//! | mode | content type | event |
//! |---|---|---|
//! | structured | `application/cloudevents+json` | the body, in the JSON event format |
//! | batched | `application/cloudevents-batch+json` | the elements of the body, a JSON array, which may be empty |
//! | binary | any other | attributes in `ce-` headers, data in the body |

mod binary;
mod error;

use ::http::HeaderMap;
use ::http::header::CONTENT_TYPE;
use serde_json::Value;

pub use binary::encode as encode_binary;
pub use error::{HttpError, InvalidEvent};

use crate::validate::kind;
use crate::{Event, Violation, json};

/// The events of a request, in binary, structured or batched mode (HTTP binding, 3).
///
/// `body` is the whole body. An event's data is moved out of the parsed body, and copied once out of a binary one.
///
/// # Errors
/// When the request is in no mode, or any of its events breaks a rule: all broken rules of all events at once. See
/// [`HttpError`].
pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Event>, HttpError> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let content_type = content_type.as_deref();
    match content_type.and_then(structured) {
        Some(Format::Json) => Ok(vec![json::decode_value(body_json(body)?).map_err(alone)?]),
        Some(Format::JsonBatch) => match body_json(body)? {
            Value::Array(events) => batch(events),
            other => Err(HttpError::NotAnArray { found: kind(&other) }),
        },
        Some(Format::Unsupported) => Err(HttpError::UnsupportedFormat {
            content_type: content_type.unwrap_or_default().to_owned(),
        }),
        None if binary::is_binary(headers) => {
            Ok(vec![binary::decode(headers, content_type, body).map_err(alone)?])
        }
        None => Err(HttpError::NotCloudEvents {
            content_type: content_type.map(str::to_owned),
        }),
    }
}

enum Format {
    Json,
    JsonBatch,
    Unsupported,
}

/// The event format, if the content type says that whole events are in the body.
fn structured(content_type: &str) -> Option<Format> {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let format = essence.strip_prefix("application/cloudevents")?;
    let utf8 = charset(content_type).is_none_or(|charset| is_utf8(&charset));
    Some(match format {
        "+json" if utf8 => Format::Json,
        "-batch+json" if utf8 => Format::JsonBatch,
        _ => Format::Unsupported,
    })
}

/// The parameter `charset` of a content type.
fn charset(content_type: &str) -> Option<String> {
    let media_type = content_type.parse::<mime::Mime>().ok()?;
    Some(media_type.get_param(mime::CHARSET)?.as_str().to_owned())
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii")
}

fn body_json(body: &[u8]) -> Result<Value, HttpError> {
    serde_json::from_slice(body).map_err(|error| HttpError::Json {
        message: error.to_string(),
    })
}

fn alone(violations: Vec<Violation>) -> HttpError {
    HttpError::Invalid(vec![InvalidEvent {
        index: None,
        violations,
    }])
}

fn batch(values: Vec<Value>) -> Result<Vec<Event>, HttpError> {
    let mut events = Vec::with_capacity(values.len());
    let mut invalid = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        match json::decode_value(value) {
            Ok(event) => events.push(event),
            Err(violations) => invalid.push(InvalidEvent {
                index: Some(index),
                violations,
            }),
        }
    }
    if invalid.is_empty() {
        Ok(events)
    } else {
        Err(HttpError::Invalid(invalid))
    }
}
