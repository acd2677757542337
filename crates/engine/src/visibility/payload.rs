//! Reads search attributes as clients send them, and writes them as clients expect them back.

use std::collections::HashMap;

use prost::Message;
use serde_json::Value as Json;
use temporalio_protos::temporal::api::common::v1::{Payload, SearchAttributes};

use super::attribute::{AttributeId, AttributeType, AttributeTypes};
use super::builtin::{DIVISION, is_system, predefined};
use super::time::parse_datetime;
use super::value::AttributeValue;
use crate::limits::Limits;

/// Search attributes that cannot be taken; INVALID_ARGUMENT, in the words of the real server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// A name that is neither predefined nor registered.
    #[error("Namespace {namespace} has no mapping defined for search attribute {name}")]
    Unknown { namespace: String, name: String },
    /// A name that only the engine sets.
    #[error("{0} attribute can't be set in SearchAttributes")]
    System(String),
    /// A value that is not of the attribute's type.
    #[error("invalid value for search attribute {name} of type {ty}: {value}")]
    Value {
        name: String,
        ty: &'static str,
        value: String,
    },
    /// Too many attributes.
    #[error("number of search attributes {0} exceeds limit {1}")]
    TooMany(usize, usize),
    /// A value that is too large.
    #[error("search attribute {name} value size {size} exceeds size limit {most}")]
    ValueSize { name: String, size: usize, most: usize },
    /// Too much in all.
    #[error("total size of search attributes {0} exceeds size limit {1}")]
    TotalSize(usize, usize),
}

/// An execution's search attributes, checked and ready to be filed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexedAttributes {
    message: SearchAttributes,
    values: Vec<(AttributeId, AttributeValue)>,
}

impl IndexedAttributes {
    /// Checks attributes as a client gave them against their registered types and the limits. Null values are left
    /// out: they mean that the attribute is not set.
    pub fn new(
        given: &SearchAttributes,
        types: &dyn AttributeTypes,
        limits: &Limits,
    ) -> Result<Self, AttributeError> {
        let fields = &given.indexed_fields;
        if fields.len() > limits.search_attributes {
            return Err(AttributeError::TooMany(fields.len(), limits.search_attributes));
        }
        // By name, so that of several mistakes always the same one is named.
        let mut names: Vec<&String> = fields.keys().collect();
        names.sort_unstable();
        let mut checked = IndexedAttributes::default();
        for name in names {
            let id = id_of(name, types)?;
            let Some(payload) = fields.get(name) else { continue };
            checked.add(name, id, payload)?;
            let most = limits.search_attribute_size;
            if payload.data.len() > most {
                return Err(AttributeError::ValueSize {
                    name: name.clone(),
                    size: payload.data.len(),
                    most,
                });
            }
        }
        match checked.message.encoded_len() {
            size if size > limits.search_attributes_size => {
                Err(AttributeError::TotalSize(size, limits.search_attributes_size))
            }
            _ => Ok(checked),
        }
    }

    /// Takes attributes that were once accepted, whatever became of their registration: what no longer has a type
    /// is still returned to clients, but not found by queries.
    pub fn accepted(given: &SearchAttributes, types: &dyn AttributeTypes) -> Self {
        let mut known = IndexedAttributes::default();
        for (name, payload) in &given.indexed_fields {
            let added = id_of(name, types).and_then(|id| known.add(name, id, payload));
            if added.is_err() {
                known.message.indexed_fields.insert(name.clone(), payload.clone());
            }
        }
        known.values.sort_by_key(|(id, _)| *id);
        known
    }

    /// The attributes to return to clients: each with its type in the metadata.
    pub fn message(&self) -> &SearchAttributes {
        &self.message
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.message.indexed_fields.is_empty()
    }

    pub(super) fn values(&self) -> &[(AttributeId, AttributeValue)] {
        &self.values
    }

    /// Whether the execution is out of ordinary queries' sight.
    pub(super) fn in_division(&self) -> bool {
        self.values.iter().any(|(id, _)| *id == DIVISION)
    }

    fn add(&mut self, name: &str, id: AttributeId, payload: &Payload) -> Result<(), AttributeError> {
        let json = json_of(payload);
        let value = json
            .clone()
            .and_then(|json| value_of(json, id.ty()))
            .ok_or_else(|| AttributeError::Value {
                name: name.to_owned(),
                ty: id.ty().name(),
                value: json
                    .as_ref()
                    .map_or_else(|| format!("{} bytes", payload.data.len()), display),
            })?;
        if let Some(value) = value {
            self.message
                .indexed_fields
                .insert(name.to_owned(), typed(payload, id.ty()));
            self.values.push((id, value));
        }
        Ok(())
    }
}

/// Notes the type of each attribute that comes without one, as the real server does. What has no type is left alone.
pub fn note_types(given: &mut SearchAttributes, types: &dyn AttributeTypes) {
    for (name, payload) in &mut given.indexed_fields {
        if let Ok(id) = id_of(name, types) {
            let own = || id.ty().name().as_bytes().to_vec();
            payload.metadata.entry("type".to_owned()).or_insert_with(own);
        }
    }
}

fn id_of(name: &str, types: &dyn AttributeTypes) -> Result<AttributeId, AttributeError> {
    if is_system(name) {
        return Err(AttributeError::System(name.to_owned()));
    }
    let unknown = || AttributeError::Unknown {
        namespace: types.namespace().to_owned(),
        name: name.to_owned(),
    };
    types
        .custom(name)
        .or_else(|| predefined(name))
        .ok_or_else(unknown)
}

/// The JSON a payload carries; `None` where it is not JSON.
fn json_of(payload: &Payload) -> Option<Json> {
    match payload.metadata.get("encoding").map(Vec::as_slice) {
        Some(b"binary/null") => Some(Json::Null),
        Some(b"json/plain") => serde_json::from_slice(&payload.data).ok(),
        _ => None,
    }
}

/// `Some(None)` is "not set", `None` the wrong type. A list of one stands for its element.
fn value_of(json: Json, ty: AttributeType) -> Option<Option<AttributeValue>> {
    let scalar = match json {
        Json::Null => return Some(None),
        Json::Array(list) if ty == AttributeType::KeywordList => {
            let values: Option<Vec<String>> =
                list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            return values.map(|values| {
                Some(values)
                    .filter(|values| !values.is_empty())
                    .map(AttributeValue::KeywordList)
            });
        }
        Json::Array(mut list) => match list.pop() {
            None => return Some(None),
            Some(only) if list.is_empty() => only,
            Some(_) => return None,
        },
        scalar => scalar,
    };
    let value = match (ty, scalar) {
        (AttributeType::Text, Json::String(text)) => AttributeValue::Text(text),
        (AttributeType::Keyword, Json::String(text)) => AttributeValue::Keyword(text),
        (AttributeType::Int, Json::Number(number)) => AttributeValue::Int(number.as_i64()?),
        (AttributeType::Double, Json::Number(number)) => AttributeValue::Double(number.as_f64()?),
        (AttributeType::Bool, Json::Bool(value)) => AttributeValue::Bool(value),
        (AttributeType::Datetime, Json::String(text)) => AttributeValue::Datetime(parse_datetime(&text)?),
        _ => return None,
    };
    Some(Some(value))
}

/// The payload with the attribute's type in the metadata, as clients need it to decode; a list of one unpacked.
fn typed(payload: &Payload, ty: AttributeType) -> Payload {
    let mut typed = Payload {
        data: payload.data.clone(),
        ..Payload::default()
    };
    typed.metadata = HashMap::from([
        ("encoding".to_owned(), b"json/plain".to_vec()),
        ("type".to_owned(), ty.name().as_bytes().to_vec()),
    ]);
    if ty != AttributeType::KeywordList
        && let Some(Json::Array(list)) = json_of(payload)
        && let [only] = list.as_slice()
    {
        typed.data = only.to_string().into_bytes();
    }
    typed
}

/// A JSON value in the form the real server's messages have: strings bare, lists by blanks.
fn display(json: &Json) -> String {
    match json {
        Json::Null => "<nil>".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(list) => format!("[{}]", list.iter().map(display).collect::<Vec<_>>().join(" ")),
        Json::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", display(value)))
                .collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}
