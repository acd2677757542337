//! Bodies of a choreographer's queue: `{event_name, guid, actor, request_id, created_at, data}`.

use segno_event::{Data, Event};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Malformed, required, take_text, time};

/// `event_name` becomes the type, and `guid`, which names the object that the event is about, the subject. `guid`, `actor`
/// and `request_id` are the extensions `guid`, `actor` and `requestid`.
///
/// The body has no id of the event's own: many events are about one object, and one request can cause several. So the id is
/// `id` where a sender gives one; else a digest of all that tells one event from another; and where the body does not say
/// when it was made, the message's.
pub(super) fn decode(mut map: Map<String, Value>, message: &str, origin: &str) -> Result<Event, Malformed> {
    let name = required(&mut map, "event_name")?;
    if !is_event_name(&name) {
        let expected =
            "names of lower-case letters, underscores and digits with dots between, such as lead.created";
        return Err(Malformed::wrong_text("event_name", expected, &name));
    }
    let guid = required(&mut map, "guid")?;
    if Uuid::parse_str(&guid).is_err() {
        return Err(Malformed::wrong_text("guid", "a UUID", &guid));
    }
    let actor = take_text(&mut map, "actor")?.unwrap_or_default();
    if !actor.is_empty() && Uuid::parse_str(&actor).is_err() {
        return Err(Malformed::wrong_text("actor", "a UUID or empty", &actor));
    }
    let request = take_text(&mut map, "request_id")?.unwrap_or_default();
    let created = take_text(&mut map, "created_at")?.filter(|text| !text.is_empty());
    let given = take_text(&mut map, "id")?.filter(|id| !id.is_empty());
    let id = match (given, &created) {
        (Some(id), _) => id,
        (None, Some(created)) => digest(&[&name, &guid, &request, created, &actor]),
        (None, None) => message.to_owned(),
    };
    let mut event = Event::new(origin, id, name);
    event.time = created.map(|text| time::parse("created_at", &text)).transpose()?;
    for (extension, value) in [("actor", &actor), ("requestid", &request), ("guid", &guid)] {
        if !value.is_empty() {
            event
                .extensions
                .insert(extension.to_owned(), value.as_str().into());
        }
    }
    event.subject = Some(guid);
    event.data = map.remove("data").filter(|data| !data.is_null()).map(Data::Json);
    Ok(event)
}

/// The first half of the digest of parts, none of which can run into the next.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}

/// Whether the whole text is `(([a-z_])+\.([a-z_0-9])+)+`. In between two dots are the end of one repetition and the start
/// of the next, of which only the first may have digits.
pub(super) fn is_event_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let any = |part: &str| part.bytes().all(|byte| letter(byte) || byte.is_ascii_digit());
    let parts: Vec<_> = text.split('.').collect();
    let [first, middle @ .., last] = parts.as_slice() else {
        return false;
    };
    let first = !first.is_empty() && first.bytes().all(letter);
    let middle = middle
        .iter()
        .all(|part| part.len() >= 2 && any(part) && part.bytes().last().is_some_and(letter));
    parts.len() > 1 && first && middle && !last.is_empty() && any(last)
}
