//! Rows of a transactional outbox: `id`, `eventType` and `payload`, as fields beside each other or as one JSON object.

use segno_event::{Data, Event};
use serde_json::{Map, Value};

use super::{Malformed, required, take_text, time, uri_reference};
use crate::message::Message;

/// Whether it comes as fields.
pub(super) fn is_fields(message: &Message<'_>) -> bool {
    message.header("eventType").is_some()
}

/// From fields; the payload is a JSON text. Further fields that are taken are `source`, `subject` and `time`.
pub(super) fn fields(message: &Message<'_>, origin: &str) -> Result<Event, Malformed> {
    let mut map = Map::new();
    for name in ["id", "eventType", "source", "subject", "time"] {
        if let Some(text) = message.header(name) {
            map.insert(name.to_owned(), text.into());
        }
    }
    let payload = std::str::from_utf8(message.body)
        .map_err(|_| Malformed::wrong_text("payload", "JSON", &String::from_utf8_lossy(message.body)))?;
    map.insert("payload".to_owned(), payload.into());
    decode(map, origin)
}

/// From an object; the payload is JSON, or a text of it.
pub(super) fn decode(mut map: Map<String, Value>, origin: &str) -> Result<Event, Malformed> {
    let id = match map.remove("id") {
        // Tables count their rows.
        Some(Value::Number(id)) => id.to_string(),
        Some(Value::String(id)) if !id.is_empty() => id,
        None | Some(Value::Null | Value::String(_)) => return Err(Malformed::Missing("id")),
        Some(other) => return Err(Malformed::wrong_type("id", "a string or a number", &other)),
    };
    let ty = required(&mut map, "eventType")?;
    let source = take_text(&mut map, "source")?.filter(|source| !source.is_empty());
    let source = source.map_or_else(|| origin.to_owned(), |source| uri_reference(&source));
    let mut event = Event::new(source, id, ty);
    event.subject = take_text(&mut map, "subject")?.filter(|subject| !subject.is_empty());
    event.time = time::take(&mut map, "time")?;
    event.data = match map.remove("payload") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            let value =
                serde_json::from_str(&text).map_err(|_| Malformed::wrong_text("payload", "JSON", &text))?;
            Some(Data::Json(value))
        }
        Some(value) => Some(Data::Json(value)),
    };
    Ok(event)
}
