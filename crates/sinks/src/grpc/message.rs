//! From JSON to a message.

use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use crate::Failure;

/// Deeper than this a mistake is told without its path.
const DEEPEST: usize = 100;

/// The message of a payload.
pub(super) fn message(descriptor: &MessageDescriptor, payload: &Value) -> Result<DynamicMessage, Failure> {
    read(descriptor, payload).map_err(|error| {
        let (path, why) = locate(descriptor, payload, "$".to_owned(), 0).unwrap_or(("$".to_owned(), error));
        Failure::permanent(format!(
            "the payload is no {}: {path}: {why}",
            descriptor.full_name()
        ))
    })
}

fn read(descriptor: &MessageDescriptor, value: &Value) -> Result<DynamicMessage, String> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(descriptor.clone(), value, &options)
        .map_err(|error| error.to_string())
}

/// Where a value that is no message goes wrong, and why.
fn locate(
    descriptor: &MessageDescriptor,
    value: &Value,
    path: String,
    depth: usize,
) -> Option<(String, String)> {
    let Value::Object(object) = value else { return None };
    // Well-known types have JSON of their own.
    if depth > DEEPEST || descriptor.full_name().starts_with("google.protobuf.") {
        return None;
    }
    for (name, value) in object {
        let path = format!("{path}.{name}");
        let Some(field) = field(descriptor, name) else {
            return Some((path, format!("{} has no such field", descriptor.full_name())));
        };
        let Err(why) = alone(descriptor, name, value) else {
            continue;
        };
        return Some(inside(descriptor, &field, name, value, &path, depth).unwrap_or((path, why)));
    }
    None
}

/// The same inside of a field that is wrong.
fn inside(
    descriptor: &MessageDescriptor,
    field: &FieldDescriptor,
    name: &str,
    value: &Value,
    path: &str,
    depth: usize,
) -> Option<(String, String)> {
    let items: Vec<(String, &Value, Value)> = match value {
        Value::Array(items) if field.is_list() => {
            let wrapped = |item: &Value| Value::Array(vec![item.clone()]);
            let items = items.iter().enumerate();
            items
                .map(|(n, item)| (format!("{path}[{n}]"), item, wrapped(item)))
                .collect()
        }
        Value::Object(entries) if field.is_map() => {
            let wrapped =
                |key: &String, item: &Value| Value::Object(Map::from_iter([(key.clone(), item.clone())]));
            entries
                .iter()
                .map(|(key, item)| (format!("{path}.{key}"), item, wrapped(key, item)))
                .collect()
        }
        other => vec![(path.to_owned(), other, other.clone())],
    };
    let kind = match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    };
    for (path, item, wrapped) in items {
        let Err(why) = alone(descriptor, name, &wrapped) else {
            continue;
        };
        let deeper = match &kind {
            Kind::Message(message) => locate(message, item, path.clone(), depth + 1),
            _ => None,
        };
        return Some(deeper.unwrap_or((path, why)));
    }
    None
}

/// Whether this field alone can be read.
fn alone(descriptor: &MessageDescriptor, name: &str, value: &Value) -> Result<(), String> {
    let object = Map::from_iter([(name.to_owned(), value.clone())]);
    read(descriptor, &Value::Object(object)).map(drop)
}

/// By its name in JSON, or its own.
fn field(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    descriptor
        .get_field_by_json_name(name)
        .or_else(|| descriptor.get_field_by_name(name))
}
