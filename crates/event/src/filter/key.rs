//! Keys: what of an event says to which others it belongs, in CEL.

use std::sync::Arc;

use cel::common::types::{CelBool, CelDouble, CelInt, CelString, CelUInt};
use cel::{Context, Program, Value};

use super::{ENV, VARIABLE, compiled, failure, value};
use crate::{CompileError, EvalError, Event};

/// The longest key, in bytes.
const MAX_KEY: usize = 4096;

/// A text made of an event, written in [CEL](https://cel.dev) as a [`Filter`](crate::Filter) is: `event.subject`,
/// `event.data.order.id`, `event.type + "/" + event.data.email`. It yields a string, a number or a boolean; a number is
/// written in its shortest form.
#[derive(Debug)]
pub struct Key {
    source: String,
    program: Program,
}

impl Key {
    /// Compiles a key.
    ///
    /// # Errors
    /// The first mistake, with its place in `source`.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        Ok(Self {
            source: source.to_owned(),
            program: compiled(source)?,
        })
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The event's key.
    ///
    /// # Errors
    /// When the event lacks a field that the expression reads, when types do not fit, when the result is a list, a map or
    /// nothing, or is longer than 4 KiB.
    pub fn of(&self, event: &Event) -> Result<String, EvalError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_as_val(VARIABLE, Box::new(value::event(event)));
        let answer = Value::resolve_val(self.program.expression(), &context).map_err(failure)?;
        let text = if let Some(text) = answer.downcast_ref::<CelString>() {
            text.inner().to_owned()
        } else if let Some(int) = answer.downcast_ref::<CelInt>() {
            int.inner().to_string()
        } else if let Some(uint) = answer.downcast_ref::<CelUInt>() {
            uint.inner().to_string()
        } else if let Some(double) = answer.downcast_ref::<CelDouble>() {
            double.inner().to_string()
        } else if let Some(bool) = answer.downcast_ref::<CelBool>() {
            bool.inner().to_string()
        } else {
            return Err(EvalError::NoKey {
                found: answer.get_type().name().to_owned(),
            });
        };
        if text.len() > MAX_KEY {
            return Err(EvalError::failed(format_args!(
                "the key is longer than {MAX_KEY} bytes"
            )));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_a_key() {
        let event = Event::new("/shop", "1", "order.placed")
            .with_data(json!({"n": 7, "f": 1.5, "b": true, "s": "x", "l": [], "long": "y".repeat(5000)}));
        let of = |source: &str| Key::compile(source).unwrap().of(&event);
        for (source, key) in [
            ("event.data.n", "7"),
            ("event.data.f", "1.5"),
            ("event.data.b", "true"),
            ("event.data.s + '/' + event.id", "x/1"),
        ] {
            assert_eq!(of(source).unwrap(), key, "{source}");
        }
        assert!(matches!(of("event.data.l"), Err(EvalError::NoKey { .. })));
        assert!(matches!(of("event.subject"), Err(EvalError::MissingKey { .. })));
        assert!(of("event.data.long").is_err());
        assert!(Key::compile("event.").is_err());
    }
}
