//! What can be wrong with a message.

use std::fmt;

use segno_event::Violation;
use serde_json::Value;

/// Why a message is no event: what, where, and how it should be. It repeats nothing that could be long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// There is no body.
    #[error("the message is empty")]
    Empty,
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// The body is JSON and none of the formats.
    #[error(
        "the body is none of the known formats: a CloudEvent has `specversion`, an EventBridge event `detail-type`, \
         an SNS notification `TopicArn`, an S3 notification `Records`, a choreographer's event `event_name`, an \
         outbox row `eventType`; for any other JSON give the source a `codec = {{ map = … }}`"
    )]
    Unrecognised,
    /// The body is JSON of another type.
    #[error("the body must be a JSON object, found {0}")]
    NotAnObject(&'static str),
    /// A field that has to be there is not, or is empty.
    #[error("the field `{0}` is missing or empty")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("the field `{field}` must be {expected}, found {found}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// It is no CloudEvent.
    #[error("{0}")]
    CloudEvent(String),
    /// An event breaks rules of CloudEvents.
    #[error("the event breaks rules of CloudEvents 1.0: {0}")]
    Rules(Violations),
    /// The mapping fails on it.
    #[error("the mapping fails: {0}")]
    Mapping(String),
}

/// The rules that an event breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl From<Vec<Violation>> for Violations {
    fn from(violations: Vec<Violation>) -> Self {
        Self(violations)
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(Violation::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

/// How much of a wrong text is repeated, in characters.
const SHOWN: usize = 60;

impl Malformed {
    pub(super) fn not_an_object(value: &Value) -> Self {
        Self::NotAnObject(kind(value))
    }

    pub(super) fn wrong_type(field: &'static str, expected: &'static str, value: &Value) -> Self {
        Self::Field {
            field,
            expected,
            found: kind(value).to_owned(),
        }
    }

    pub(super) fn wrong_text(field: &'static str, expected: &'static str, text: &str) -> Self {
        let mut found: String = text.chars().take(SHOWN).collect();
        if found.len() < text.len() {
            found.push('…');
        }
        Self::Field {
            field,
            expected,
            found: format!("{found:?}"),
        }
    }
}

/// What a value is called.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
