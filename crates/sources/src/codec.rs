//! From messages to events: the formats that senders use.
//!
//! Everything here is pure, and total: bytes from anywhere become events, or a [`Malformed`] that says what is wrong.

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use segno_event::Event;

pub use self::error::Malformed;
pub use self::map::Mapping;
use crate::message::Message;

mod choreographer;
mod cloudevents;
mod error;
mod eventbridge;
mod map;
mod outbox;
mod s3;
mod sns;
mod time;

/// How a source's messages are read. In a configuration a name, or `{ map = "…" }` with a jq expression.
///
/// | name | message |
/// |---|---|
/// | `auto` | any of the following, told apart by what only it has |
/// | `cloudevents` | a CloudEvent as JSON, a list of them, or one in binary mode: attributes as headers, data as body |
/// | `eventbridge` | the envelope of Amazon EventBridge |
/// | `sns` | the envelope of Amazon SNS; what is in it is read as `auto` |
/// | `s3` | a notification of Amazon S3: an event for each record |
/// | `choreographer` | `{event_name, guid, actor, request_id, created_at, data}` |
/// | `outbox` | `{id, eventType, payload}`, as fields of the entry or as JSON |
#[derive(Clone, Debug, Default)]
pub enum Codec {
    /// Whatever is recognised.
    #[default]
    Auto,
    /// CloudEvents 1.0.
    CloudEvents,
    /// Amazon EventBridge.
    EventBridge,
    /// Amazon SNS.
    Sns,
    /// Amazon S3.
    S3,
    /// The bodies of an SQS choreographer.
    Choreographer,
    /// Rows of a transactional outbox.
    Outbox,
    /// Any JSON, by a jq expression.
    Map(Mapping),
}

impl Codec {
    /// The names of those that take no more than a name.
    pub const NAMES: [&'static str; 7] = [
        "auto",
        "cloudevents",
        "eventbridge",
        "sns",
        "s3",
        "choreographer",
        "outbox",
    ];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "cloudevents" => Self::CloudEvents,
            "eventbridge" => Self::EventBridge,
            "sns" => Self::Sns,
            "s3" => Self::S3,
            "choreographer" => Self::Choreographer,
            "outbox" => Self::Outbox,
            _ => return None,
        })
    }

    /// The events of a message: none where it is nothing but a greeting, several where it carries several. `origin` is the
    /// source of those that name none.
    ///
    /// Blocks while it computes, as [`Transform`](segno_event::Transform) does.
    ///
    /// # Errors
    ///
    /// [`Malformed`], if any of them breaks a rule: then nothing of the message is to be taken.
    pub fn decode(&self, message: &Message<'_>, origin: &str) -> Result<Vec<Event>, Malformed> {
        let mut events = match self {
            Self::Auto => auto(message, origin)?,
            Self::CloudEvents if cloudevents::is_binary(message) => vec![cloudevents::binary(message)?],
            Self::CloudEvents => cloudevents::structured(json(message.body)?)?,
            Self::EventBridge => vec![eventbridge::decode(object(message.body)?)?],
            Self::Sns => sns::decode(object(message.body)?, origin)?,
            Self::S3 => s3::decode(&json(message.body)?)?,
            Self::Choreographer => vec![choreographer::decode(object(message.body)?, message.id, origin)?],
            Self::Outbox if outbox::is_fields(message) => vec![outbox::fields(message, origin)?],
            Self::Outbox => vec![outbox::decode(object(message.body)?, origin)?],
            Self::Map(mapping) => mapping.decode(message, origin)?,
        };
        for event in &mut events {
            traced(event, message);
            event
                .validate()
                .map_err(|violations| Malformed::Rules(violations.into()))?;
        }
        Ok(events)
    }
}

/// An event that does not say which trace it is part of is part of its message's.
fn traced(event: &mut Event, message: &Message<'_>) {
    const NAMES: [&str; 2] = ["traceparent", "tracestate"];
    if event.extensions.contains_key(NAMES[0]) {
        return;
    }
    let [Some(parent), state] = NAMES.map(|name| message.header(name)) else {
        return;
    };
    if is_traceparent(parent) {
        event.extensions.insert(NAMES[0].to_owned(), parent.into());
        if let Some(state) = state.filter(|state| is_tracestate(state)) {
            event.extensions.insert(NAMES[1].to_owned(), state.into());
        }
    }
}

/// Whether it looks as W3C Trace Context wants it: anything else is left with the message, as it says nothing.
fn is_traceparent(text: &str) -> bool {
    let hex =
        |part: &str, len| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<_> = text.split('-').collect();
    matches!(parts.as_slice(), ["00", trace, span, flags] if hex(trace, 32) && hex(span, 16) && hex(flags, 2))
}

fn is_tracestate(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// Reads what is recognised.
fn auto(message: &Message<'_>, origin: &str) -> Result<Vec<Event>, Malformed> {
    if cloudevents::is_binary(message) {
        return Ok(vec![cloudevents::binary(message)?]);
    }
    if outbox::is_fields(message) {
        return Ok(vec![outbox::fields(message, origin)?]);
    }
    let map = match json(message.body)? {
        Value::Object(map) => map,
        list @ Value::Array(_) => return cloudevents::structured(list),
        other => return Err(Malformed::not_an_object(&other)),
    };
    if map.contains_key("specversion") {
        return cloudevents::structured(Value::Object(map));
    }
    if eventbridge::is(&map) {
        return Ok(vec![eventbridge::decode(map)?]);
    }
    if sns::is(&map) {
        return sns::decode(map, origin);
    }
    if s3::is(&map) {
        return s3::decode(&Value::Object(map));
    }
    if map.contains_key("event_name") {
        return Ok(vec![choreographer::decode(map, message.id, origin)?]);
    }
    if map.contains_key("eventType") && map.contains_key("payload") {
        return Ok(vec![outbox::decode(map, origin)?]);
    }
    Err(Malformed::Unrecognised)
}

fn json(body: &[u8]) -> Result<Value, Malformed> {
    if body.is_empty() {
        return Err(Malformed::Empty);
    }
    serde_json::from_slice(body).map_err(|error| Malformed::Json(error.to_string()))
}

/// The body, which has to be a JSON object.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Malformed> {
    match json(body)? {
        Value::Object(map) => Ok(map),
        other => Err(Malformed::not_an_object(&other)),
    }
}

/// Takes a text out of an object. Null is as good as nothing.
fn take_text(map: &mut Map<String, Value>, field: &'static str) -> Result<Option<String>, Malformed> {
    match map.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Malformed::wrong_type(field, "a string", &other)),
    }
}

/// The same for one that has to be there.
fn required(map: &mut Map<String, Value>, field: &'static str) -> Result<String, Malformed> {
    match take_text(map, field)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Malformed::Missing(field)),
    }
}

/// A text as a URI-reference: as it is where it is one, else percent-encoded.
fn uri_reference(text: &str) -> String {
    if Event::new(text, "1", "t").validate().is_ok() {
        return text.to_owned();
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

impl<'de> Deserialize<'de> for Codec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            map: Mapping,
        }

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Codec;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "one of {}, or {{ map = \"…\" }}", Codec::NAMES.join(", "))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Codec, E> {
                Codec::named(name).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(name), &self))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Codec, A::Error> {
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Codec::Map(table.map))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests;
