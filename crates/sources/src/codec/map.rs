//! Any message, by a jq expression.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use segno_event::{Event, Transform};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, json};

use super::Malformed;
use super::error::kind;
use crate::message::Message;

/// A jq expression from a message to events.
///
/// Its input is `{id, headers, body}`: the message's id, its headers in lower case, and its body, as JSON if it is that, else
/// as text; bytes that are neither are `body_base64`. Each output is an event in the JSON format of CloudEvents.
/// `specversion` may be left out; so may `id`, which is then the message's (so that the same message again is the same event),
/// and `source`. No output means that there is nothing to be taken in.
#[derive(Clone)]
pub struct Mapping(Arc<Transform>);

impl Mapping {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn compile(source: &str) -> Result<Self, segno_event::CompileError> {
        Ok(Self(Arc::new(Transform::compile(source)?)))
    }

    pub(super) fn decode(&self, message: &Message<'_>, origin: &str) -> Result<Vec<Event>, Malformed> {
        let outputs = self
            .0
            .apply_to(&input(message))
            .map_err(|error| Malformed::Mapping(error.to_string()))?;
        let several = outputs.len() > 1;
        let events = outputs.into_iter().enumerate().map(|(n, output)| {
            let mut map = match output {
                Value::Object(map) => map,
                other => {
                    let found = kind(&other);
                    return Err(Malformed::Mapping(format!(
                        "it must yield objects, it yields {found}"
                    )));
                }
            };
            map.entry("specversion").or_insert_with(|| "1.0".into());
            map.entry("source").or_insert_with(|| origin.into());
            map.entry("id").or_insert_with(|| match several {
                true => format!("{}/{n}", message.id).into(),
                false => message.id.into(),
            });
            serde_json::from_value(Value::Object(map)).map_err(|error| Malformed::Mapping(error.to_string()))
        });
        events.collect()
    }
}

fn input(message: &Message<'_>) -> Value {
    let mut headers = Map::new();
    for (name, value) in message.headers {
        headers.insert(name.to_ascii_lowercase(), value.as_str().into());
    }
    let mut input = json!({"id": message.id, "headers": headers});
    let (key, body) = match (
        serde_json::from_slice(message.body),
        std::str::from_utf8(message.body),
    ) {
        (Ok(value), _) => ("body", value),
        (Err(_), Ok(text)) => ("body", text.into()),
        (Err(_), Err(_)) => ("body_base64", STANDARD.encode(message.body).into()),
    };
    input[key] = body;
    input
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mapping").field(&self.0.source()).finish()
    }
}

impl<'de> Deserialize<'de> for Mapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::compile(&text).map_err(|error| {
            let at = text.get(error.offset..).unwrap_or_default();
            let at: String = at.chars().take(20).collect();
            de::Error::custom(format_args!("this is not jq: {error} at {at:?}"))
        })
    }
}
