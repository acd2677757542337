//! The envelope of Amazon EventBridge, as rules hand it to their targets.

use segno_event::{Data, Event};
use serde_json::{Map, Value};

use super::{Malformed, required, take_text, time, uri_reference};

/// Whether it has what only these envelopes have.
pub(super) fn is(map: &Map<String, Value>) -> bool {
    map.contains_key("detail-type") && map.contains_key("source") && map.contains_key("detail")
}

/// `detail-type` becomes the type, the first of `resources` the subject, `detail` the data; `account` and `region` the
/// extensions `awsaccount` and `awsregion`, and all resources, if there are several, `awsresources`, separated by spaces.
pub(super) fn decode(mut map: Map<String, Value>) -> Result<Event, Malformed> {
    let id = required(&mut map, "id")?;
    let source = required(&mut map, "source")?;
    let mut event = Event::new(uri_reference(&source), id, required(&mut map, "detail-type")?);
    event.time = time::take(&mut map, "time")?;
    for (field, name) in [("account", "awsaccount"), ("region", "awsregion")] {
        if let Some(text) = take_text(&mut map, field)?.filter(|text| !text.is_empty()) {
            event.extensions.insert(name.to_owned(), text.into());
        }
    }
    let resources = match map.remove("resources") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(resources)) => resources,
        Some(other) => return Err(Malformed::wrong_type("resources", "a list of strings", &other)),
    };
    let mut names = Vec::with_capacity(resources.len());
    for resource in resources {
        match resource {
            Value::String(name) => names.push(name),
            other => return Err(Malformed::wrong_type("resources", "a list of strings", &other)),
        }
    }
    event.subject = names.first().filter(|name| !name.is_empty()).cloned();
    if names.len() > 1 {
        event
            .extensions
            .insert("awsresources".to_owned(), names.join(" ").into());
    }
    event.data = match map.remove("detail") {
        Some(detail @ Value::Object(_)) => Some(Data::Json(detail)),
        None => return Err(Malformed::Missing("detail")),
        Some(other) => return Err(Malformed::wrong_type("detail", "an object", &other)),
    };
    Ok(event)
}
