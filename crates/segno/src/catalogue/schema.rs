//! One JSON Schema, and what does not fit it.

use std::{fmt, sync::Arc};

use segno_event::{Data, Event};
use serde_json::Value;

/// How many misfits of one event are told: the rest adds nothing to a person's work.
const MOST: usize = 100;
/// The longest text of one misfit, in bytes: validators print whole values.
const LONGEST: usize = 500;

/// The JSON Schema of an event type's data.
#[derive(Clone)]
pub struct Schema {
    ty: String,
    json: Value,
    description: Option<String>,
    examples: Vec<Value>,
    validator: Arc<jsonschema::Validator>,
}

/// A value that is no JSON Schema, or refers to what there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", if .at.is_empty() { String::new() } else { format!(" (at {})", .at) })]
pub struct SchemaError {
    /// What is wrong.
    pub what: String,
    /// Where in the schema, as a JSON pointer; empty for the whole.
    pub at: String,
}

/// A part of an event's data that does not fit its type's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which part of the event, as a JSON pointer: `/data/total`.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl Schema {
    /// The schema of the data of events of type `ty`. Its dialect is the one that `$schema` names, else 2020-12. It refers to
    /// itself alone: nothing is read from files or the network.
    ///
    /// # Errors
    /// When it is no schema.
    pub fn new(ty: impl Into<String>, json: Value) -> Result<Self, SchemaError> {
        let validator = jsonschema::validator_for(&json).map_err(|error| SchemaError {
            what: shortened(error.to_string()),
            at: error.instance_path().to_string(),
        })?;
        let description = json.get("description").and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            ty: ty.into(),
            description,
            json,
            examples: Vec::new(),
            validator: Arc::new(validator),
        })
    }

    /// The same with a text for people.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The same with examples of data.
    #[must_use]
    pub fn with_examples(mut self, examples: Vec<Value>) -> Self {
        self.examples = examples;
        self
    }

    /// The event type.
    pub fn ty(&self) -> &str {
        &self.ty
    }

    /// The schema itself.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// What such an event means.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Examples of data.
    pub fn examples(&self) -> &[Value] {
        &self.examples
    }

    /// Everything in the event's data that does not fit.
    pub fn misfits(&self, event: &Event) -> Vec<Misfit> {
        match &event.data {
            Some(Data::Json(data)) => self.misfits_of(data),
            None => vec![Misfit {
                path: "/data".to_owned(),
                what: "there is no data, and the type has a schema for it".to_owned(),
            }],
            Some(Data::Binary(_)) => vec![Misfit {
                path: "/data".to_owned(),
                what: "the data is binary, and the type's schema is for JSON".to_owned(),
            }],
        }
    }

    /// Everything in a value that does not fit.
    pub fn misfits_of(&self, data: &Value) -> Vec<Misfit> {
        let misfit = |error: jsonschema::ValidationError<'_>| Misfit {
            path: format!("/data{}", error.instance_path()),
            what: shortened(error.to_string()),
        };
        self.validator.iter_errors(data).take(MOST).map(misfit).collect()
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("ty", &self.ty)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_misfit_is_told_with_its_place() {
        let schema = Schema::new(
            "order.placed",
            json!({"type": "object", "required": ["id", "total"], "properties": {
                "total": {"type": "number", "minimum": 0},
                "items": {"type": "array", "items": {"type": "string"}},
            }}),
        )
        .unwrap();
        let misfits = schema.misfits_of(&json!({"total": -1, "items": ["a", 2, 3]}));
        let mut paths: Vec<_> = misfits.iter().map(|misfit| misfit.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            ["/data", "/data/items/1", "/data/items/2", "/data/total"],
            "{misfits:?}"
        );
        assert!(schema.misfits_of(&json!({"id": 1, "total": 0})).is_empty());
        let event = Event::new("/s", "1", "order.placed");
        assert_eq!(schema.misfits(&event).len(), 1, "no data");
    }

    #[test]
    fn what_is_no_schema() {
        for schema in [
            json!({"type": "numbr"}),
            json!(7),
            json!({"$ref": "https://example.com/s.json"}),
        ] {
            assert!(Schema::new("t", schema.clone()).is_err(), "{schema}");
        }
    }

    #[test]
    fn a_misfit_does_not_repeat_a_large_value() {
        let schema = Schema::new("t", json!({"type": "number"})).unwrap();
        let misfits = schema.misfits_of(&json!("é".repeat(100_000)));
        assert!(misfits[0].what.len() < 2 * LONGEST, "{}", misfits[0].what.len());
    }
}
