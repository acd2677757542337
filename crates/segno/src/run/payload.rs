//! Payloads as JSON, and back.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Value, json};
use temporalio_common::protos::temporal::api::common::v1::{Payload, Payloads};

use crate::encryption::unreadable;

/// Payloads as JSON: nothing as null, one as itself, more as an array.
pub(crate) fn value(payloads: Option<Payloads>) -> Value {
    let mut values: Vec<_> = payloads
        .unwrap_or_default()
        .payloads
        .into_iter()
        .map(json_value)
        .collect();
    match values.len() {
        0 => Value::Null,
        1 => values.swap_remove(0),
        _ => Value::Array(values),
    }
}

/// A payload as JSON; what cannot be decrypted as `{"encrypted": …}` with the reason, what is no JSON as `{"encoding": …, "base64": …}`.
pub(crate) fn json_value(payload: Payload) -> Value {
    if let Some(reason) = unreadable(&payload) {
        return json!({ "encrypted": reason });
    }
    let encoding = payload
        .metadata
        .get("encoding")
        .map(|encoding| String::from_utf8_lossy(encoding).into_owned());
    let decoded = match encoding.as_deref() {
        Some("binary/null") => Some(Value::Null),
        Some("json/plain") => serde_json::from_slice(&payload.data).ok(),
        _ => None,
    };
    decoded.unwrap_or_else(|| json!({ "encoding": encoding, "base64": STANDARD.encode(&payload.data) }))
}

/// A JSON value as a payload.
pub(crate) fn json_payload<T: Serialize>(value: &T) -> Result<Payload, serde_json::Error> {
    Ok(Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: serde_json::to_vec(value)?,
        ..Default::default()
    })
}
