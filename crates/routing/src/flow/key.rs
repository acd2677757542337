//! The key of an event on a route with flow control.

use segno_event::{CompileError, EvalError, Event, Key as Expression};
use serde_json::Value;

/// Longest key, in bytes; what is longer is cut.
const LONGEST: usize = 255;

/// What an event's key is read from: an attribute by its name, or a CEL expression.
#[derive(Debug)]
pub struct Key(Read);

#[derive(Debug)]
enum Read {
    Attribute(String),
    Expression(Expression),
}

impl Default for Key {
    fn default() -> Self {
        Self(Read::Attribute("subject".to_owned()))
    }
}

impl Key {
    /// An attribute's name, such as `subject`, or a CEL expression, such as `event.data.customer`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        let name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let word = matches!(text, "event" | "true" | "false" | "null" | "in");
        if !word && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(name) {
            return Ok(Self(Read::Attribute(text.to_owned())));
        }
        Expression::compile(text).map(Read::Expression).map(Self)
    }

    /// What it was compiled from.
    pub fn source(&self) -> &str {
        match &self.0 {
            Read::Attribute(name) => name,
            Read::Expression(expression) => expression.source(),
        }
    }

    /// The key of an event. None: it has none, as it lacks the attribute or has an empty one. What is longer than 255
    /// bytes is cut.
    ///
    /// # Errors
    /// When the expression fails on the event: it has no key then.
    pub fn of(&self, event: &Event) -> Result<Option<String>, EvalError> {
        let mut key = match &self.0 {
            Read::Attribute(name) => attribute(event, name).unwrap_or_default(),
            Read::Expression(expression) => expression.of(event)?,
        };
        key.truncate(key.floor_char_boundary(LONGEST));
        Ok((!key.is_empty()).then_some(key))
    }
}

fn attribute(event: &Event, name: &str) -> Option<String> {
    match name {
        "subject" => event.subject.clone(),
        "source" => Some(event.source.clone()),
        "type" => Some(event.ty.clone()),
        "id" => Some(event.id.clone()),
        _ => match event.extensions.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
    }
}
