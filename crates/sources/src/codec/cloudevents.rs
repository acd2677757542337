//! CloudEvents 1.0: whole in the body (structured mode, or a list of them), or attributes as headers (binary mode).
//!
//! HTTP and NATS name the headers `ce-id`; Kafka's way `ce_id` and AMQP's ways `cloudEvents:id` and `cloudEvents_id` are
//! taken too, as bridges between brokers keep the names they find. Where a colon or a hyphen cannot be in a name, as in
//! an attribute of SQS, the others can.

use http::{HeaderMap, HeaderName, HeaderValue};
use segno_event::{Event, http::parse};
use serde_json::Value;

use super::Malformed;
use super::error::kind;
use crate::message::Message;

const PREFIXES: [&str; 4] = ["ce-", "ce_", "cloudevents:", "cloudevents_"];

/// Whether it has CloudEvents attributes as headers. An event of this mode says its version, as all do.
pub(super) fn is_binary(message: &Message<'_>) -> bool {
    message
        .headers
        .iter()
        .any(|(name, _)| attribute(name).is_some_and(|name| name == "specversion"))
}

/// The name of the attribute that a header is.
fn attribute(header: &str) -> Option<String> {
    let header = header.to_ascii_lowercase();
    PREFIXES
        .iter()
        .find_map(|prefix| header.strip_prefix(prefix))
        .map(str::to_owned)
}

pub(super) fn binary(message: &Message<'_>) -> Result<Event, Malformed> {
    let mut headers = HeaderMap::new();
    for (header, value) in message.headers {
        let name = match attribute(header) {
            // What HTTP has in a header of its own.
            Some(name) if name == "datacontenttype" => "content-type".to_owned(),
            Some(name) => format!("ce-{name}"),
            None if header.eq_ignore_ascii_case("content-type") => "content-type".to_owned(),
            None => continue,
        };
        let plain = name == "content-type" || message.encoded;
        let value = if plain { value.clone() } else { encode(value) };
        let pair = HeaderName::try_from(&name)
            .ok()
            .zip(HeaderValue::try_from(value).ok());
        let (name, value) = pair.ok_or_else(|| {
            Malformed::CloudEvent(format!("the header {header:?} cannot be a CloudEvents attribute"))
        })?;
        headers.append(name, value);
    }
    let mut events =
        parse(&headers, message.body).map_err(|error| Malformed::CloudEvent(error.to_string()))?;
    match (events.pop(), events.is_empty()) {
        (Some(event), true) => Ok(event),
        _ => Err(Malformed::CloudEvent(
            "a message in binary mode has no content type of whole events".to_owned(),
        )),
    }
}

/// A plain text as the header of HTTP that means it.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' && byte != b'"' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

pub(super) fn structured(value: Value) -> Result<Vec<Event>, Malformed> {
    let one = |value: Value, what: &str| match value {
        Value::Object(_) => serde_json::from_value::<Event>(value)
            .map_err(|error| Malformed::CloudEvent(format!("{what}{error}"))),
        other => Err(Malformed::CloudEvent(format!(
            "{what}an event must be a JSON object, found {}",
            kind(&other)
        ))),
    };
    match value {
        Value::Array(values) => values
            .into_iter()
            .enumerate()
            .map(|(n, value)| one(value, &format!("event {n} of the list: ")))
            .collect(),
        value => Ok(vec![one(value, "")?]),
    }
}
