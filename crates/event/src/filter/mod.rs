//! Conditions on events, in CEL.

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value};

use crate::{CompileError, EvalError, Event};

/// What every filter is compiled for and evaluated in: CEL's standard library and its string functions.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A condition on an event, written in [CEL](https://cel.dev).
///
/// The one variable is `event`, with the event's attributes and `data`; extension attributes are there by their names
/// and once more under `event.extensions`. What an event does not have is not there: test with `has(event.subject)`.
#[derive(Debug)]
pub struct Filter {
    source: String,
    program: Program,
}

impl Filter {
    /// Compiles a filter.
    ///
    /// # Errors
    /// The first mistake, with its place in `source`.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let program = ENV
            .compile(source)
            .map_err(|errors| CompileError::new(errors.to_string(), 0..source.len()))?;
        Ok(Self {
            source: source.to_owned(),
            program,
        })
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the event satisfies the condition.
    ///
    /// # Errors
    /// When the event lacks a field that the filter reads, when types do not fit, when the result is no boolean.
    pub fn matches(&self, event: &Event) -> Result<bool, EvalError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        let value = cel::to_value(event).map_err(EvalError::failed)?;
        context.add_variable_from_value("event", value);
        match self.program.execute(&context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(EvalError::NotBool {
                found: other.type_of().to_string(),
            }),
            Err(ExecutionError::NoSuchKey(key)) => Err(EvalError::MissingKey { key: key.to_string() }),
            Err(error) => Err(EvalError::failed(error)),
        }
    }
}
