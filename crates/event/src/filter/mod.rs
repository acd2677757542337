//! Conditions on events, in CEL.

mod check;
mod key;
mod value;

use std::sync::{Arc, LazyLock};

use cel::common::types::CelBool;
use cel::{Context, Env, ExecutionError, ParseError, ParseErrors, Program, Value, extensions};

use crate::stack::on_big_stack;
use crate::{CompileError, EvalError, Event};

pub use key::Key;

/// The one variable.
const VARIABLE: &str = "event";

/// What every filter is compiled for and evaluated in: CEL's standard library and its string functions.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // A name that is declared already keeps its meaning; a test asks for the functions this adds.
    let _ = env.add_extension(extensions::strings);
    Arc::new(env)
});

/// The longest filter, in bytes.
const MAX_SOURCE: usize = 8 * 1024;

/// A condition on an event, written in [CEL](https://cel.dev).
///
/// The one variable is `event`, a map of what the event has:
///
/// | field | CEL type |
/// |---|---|
/// | `id`, `source`, `type`, `specversion`, `subject`, `datacontenttype`, `dataschema` | string |
/// | `time` | timestamp |
/// | `data` | as in the JSON; whole numbers are ints, others doubles, and they compare by value; bytes if binary |
/// | extension attributes | by their names, and once more in the map `extensions` |
///
/// What an event does not have is not in the map, and reading it fails: test with `has(event.subject)` first.
/// Beyond CEL's standard functions there are those on strings, such as `event.type.lowerAscii()` and `split`.
#[derive(Debug)]
pub struct Filter {
    source: String,
    program: Program,
}

impl Filter {
    /// Compiles a filter.
    ///
    /// # Errors
    /// The first mistake, with its place in `source`: syntax, unknown variables, unknown functions.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let program = compiled(source)?;
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
        context.add_variable_as_val(VARIABLE, Box::new(value::event(event)));
        let answer = Value::resolve_val(self.program.expression(), &context).map_err(failure)?;
        match answer.downcast_ref::<CelBool>() {
            Some(answer) => Ok(*answer.inner()),
            None => Err(EvalError::NotBool {
                found: answer.get_type().name().to_owned(),
            }),
        }
    }
}

/// The program of an expression, every name in it known.
fn compiled(source: &str) -> Result<Program, CompileError> {
    if source.trim().is_empty() {
        return Err(CompileError::new(
            "the filter is empty: leave it out to take every event",
            0..source.len(),
        ));
    }
    if source.len() > MAX_SOURCE {
        let message = format!("the filter is longer than {MAX_SOURCE} bytes");
        return Err(CompileError::new(message, 0..source.len()));
    }
    let parse = || {
        let program = ENV.compile(source).map_err(|errors| first(source, errors))?;
        check::program(&program)?;
        Ok(program)
    };
    // CEL's parser recurses, by up to 40 KiB of stack a level.
    on_big_stack(parse).unwrap_or_else(|error| Err(CompileError::new(error.to_string(), 0..source.len())))
}

fn failure(error: ExecutionError) -> EvalError {
    match error {
        ExecutionError::NoSuchKey(key) => EvalError::MissingKey { key: key.to_string() },
        other => EvalError::failed(other),
    }
}

fn first(source: &str, errors: ParseErrors) -> CompileError {
    match errors.errors.into_iter().next() {
        Some(error) => syntax(source, &error),
        None => CompileError::new("this is not CEL", 0..source.len()),
    }
}

/// One of the parser's errors, its line and column turned into a place, its list of all that could stand there left out.
fn syntax(source: &str, error: &ParseError) -> CompileError {
    let (line, column) = (
        usize::try_from(error.pos.0).unwrap_or(0),
        usize::try_from(error.pos.1).unwrap_or(0),
    );
    let line_start: usize = source
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let rest = source.get(line_start..).unwrap_or_default();
    let column: usize = rest
        .chars()
        .take(column.saturating_sub(1))
        .map(char::len_utf8)
        .sum();
    let start = line_start + column;
    let rest = source.get(start..).unwrap_or_default();
    let word = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let len = if word > 0 {
        word
    } else {
        rest.chars().next().map_or(0, char::len_utf8)
    };
    let message = error.msg.split(" expecting {").next().unwrap_or_default();
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = match message.strip_prefix("token recognition error at: ") {
        Some(token) => format!("{token} means nothing in CEL"),
        None => message.replace("'<EOF>'", "the end"),
    };
    if message.contains("Recursion limit") {
        return CompileError::new(check::TOO_DEEP, 0..source.len());
    }
    CompileError::new(message, start..start + len)
}
