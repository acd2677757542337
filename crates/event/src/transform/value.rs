//! Events into jq values, jq values into payloads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jaq_json::{Num, Val};
use serde_json::{Map, Number, Value};
use time::format_description::well_known::Rfc3339;

use crate::{Data, EvalError, Event};

/// How deeply payloads nest at most, as deep as JSON readers commonly go.
const MAX_DEPTH: usize = 128;

/// The event as CloudEvents JSON, the same members that serde writes.
pub(super) fn input(event: &Event) -> Val {
    let mut map = jaq_json::Map::default();
    let mut set = |name: &str, value: Val| drop(map.insert(text(name), value));
    set("specversion", text("1.0"));
    set("id", text(&event.id));
    set("source", text(&event.source));
    set("type", text(&event.ty));
    let optional = [
        ("subject", &event.subject),
        ("datacontenttype", &event.datacontenttype),
        ("dataschema", &event.dataschema),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            set(name, text(value));
        }
    }
    if let Some(time) = event.time.and_then(|time| time.format(&Rfc3339).ok()) {
        set("time", text(&time));
    }
    for (name, value) in &event.extensions {
        set(name, json(value));
    }
    match &event.data {
        None => {}
        Some(Data::Json(value)) => set("data", json(value)),
        Some(Data::Binary(bytes)) => set("data_base64", text(&BASE64.encode(bytes))),
    }
    Val::obj(map)
}

fn text(text: &str) -> Val {
    Val::utf8_str(text.as_bytes().to_vec())
}

/// Any JSON value.
pub(super) fn json(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::String(value) => text(value),
        Value::Array(values) => values.iter().map(json).collect(),
        Value::Object(map) => Val::obj(
            map.iter()
                .map(|(name, value)| (text(name), json(value)))
                .collect(),
        ),
        Value::Number(number) => Val::Num(match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Num::from_integral(int),
            (None, Some(uint)) => Num::from_integral(uint),
            (None, None) => Num::Float(number.as_f64().unwrap_or(f64::NAN)),
        }),
    }
}

/// A payload from an output. As in jq, what is no number in JSON (`nan`, `infinite`) becomes null.
pub(super) fn output(val: &Val) -> Result<Value, EvalError> {
    payload(val, MAX_DEPTH)
}

fn payload(val: &Val, depth: usize) -> Result<Value, EvalError> {
    let deeper = || {
        depth
            .checked_sub(1)
            .ok_or_else(|| EvalError::failed(format_args!("a payload nests more than {MAX_DEPTH} deep")))
    };
    Ok(match val {
        Val::Null => Value::Null,
        Val::Bool(value) => Value::Bool(*value),
        Val::Num(number) => self::number(number),
        Val::TStr(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        Val::BStr(_) => {
            return Err(EvalError::failed(
                "a payload cannot contain bytes: encode them with @base64",
            ));
        }
        Val::Arr(values) => {
            let depth = deeper()?;
            Value::Array(
                values
                    .iter()
                    .map(|value| payload(value, depth))
                    .collect::<Result<_, _>>()?,
            )
        }
        Val::Obj(entries) => {
            let depth = deeper()?;
            let mut map = Map::new();
            for (name, value) in entries.iter() {
                let Val::TStr(name) = name else {
                    return Err(EvalError::failed(format_args!(
                        "an object key must be a string, found {name}"
                    )));
                };
                map.insert(String::from_utf8_lossy(name).into_owned(), payload(value, depth)?);
            }
            Value::Object(map)
        }
    })
}

fn number(number: &Num) -> Value {
    match number {
        Num::Int(int) => Value::from(*int),
        Num::Float(float) => Number::from_f64(*float).map_or(Value::Null, Value::Number),
        // Big integers as far as JSON readers keep them apart, decimals as they were written.
        Num::BigInt(_) | Num::Dec(_) => {
            let text = number.to_string();
            match (text.parse::<u64>(), text.parse::<f64>()) {
                (Ok(uint), _) => Value::from(uint),
                (_, Ok(float)) => Number::from_f64(float).map_or(Value::Null, Value::Number),
                _ => Value::Null,
            }
        }
    }
}
