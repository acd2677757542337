//! Reshaping events, in jq.

mod compile;
mod guard;
mod library;
mod value;

use std::cell::Cell;

use jaq_core::{Ctx, Vars, unwrap_valr};
use jaq_json::Val;
use serde_json::Value;

use self::library::{Filter, Guarded, Run};
use crate::stack::on_big_stack;
use crate::{CompileError, EvalError, Event};

/// The most payloads that one transform may yield for one event.
pub const MAX_OUTPUTS: usize = 1000;

/// The steps that a transform may take on one event. A step is a value passed through a pipe, put into an array, folded
/// or counted. A transform that visits every value of the biggest event several times stays far below.
const MAX_STEPS: u64 = 2_000_000;

/// A reshaping of an event into payloads, written in [jq](https://jqlang.org).
///
/// The input is the event as CloudEvents JSON (`.type`, `.data.total`, binary data as `.data_base64`); each output is
/// one payload, and there may be none. What depends on anything but the event is left out of the language, so that a
/// delivery that is tried again delivers the same: `now`, `localtime`, `env`, `input`, modules. Definitions that call
/// themselves are left out too; `recurse`, `reduce`, `foreach`, `until`, `while`, `repeat` and `walk` are there.
pub struct Transform {
    source: String,
    filter: Filter,
}

impl Transform {
    /// Compiles a transform.
    ///
    /// # Errors
    /// The first mistake, with its place in `source`: syntax, unknown functions, unknown variables.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let filter = on_big_stack(|| compile::compile(source))
            .unwrap_or_else(|error| Err(CompileError::new(error.to_string(), 0..source.len())))?;
        Ok(Self {
            source: source.to_owned(),
            filter,
        })
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The payloads that the event is turned into, in order.
    ///
    /// Blocks while it computes: tens of microseconds for most events, up to seconds for a transform that is stopped.
    ///
    /// # Errors
    /// When the expression fails, takes too many steps, or yields more than [`MAX_OUTPUTS`] payloads. What it yielded
    /// before is dropped.
    pub fn apply(&self, event: &Event) -> Result<Vec<Value>, EvalError> {
        on_big_stack(|| self.run(value::input(event), MAX_STEPS))
            .unwrap_or_else(|error| Err(EvalError::failed(error)))
    }

    /// The same for any JSON value: what is not an event yet is mapped to one by the same language.
    ///
    /// # Errors
    /// As [`apply`](Self::apply) has them.
    pub fn apply_to(&self, input: &Value) -> Result<Vec<Value>, EvalError> {
        on_big_stack(|| self.run(value::json(input), MAX_STEPS))
            .unwrap_or_else(|error| Err(EvalError::failed(error)))
    }

    /// Applies the transform on this thread's stack, with as many steps as `limit` allows.
    fn run(&self, input: Val, limit: u64) -> Result<Vec<Value>, EvalError> {
        let steps = Cell::new(limit);
        let context = Ctx::<Guarded>::new(
            Run {
                lut: &self.filter.lut,
                steps: &steps,
            },
            Vars::new([]),
        );
        let mut outputs = Vec::new();
        for output in self.filter.id.run((context, input)).map(unwrap_valr) {
            // Also when the expression caught the error that running out of steps is.
            if steps.get() == 0 {
                return Err(EvalError::TooManySteps { steps: limit });
            }
            if outputs.len() == MAX_OUTPUTS {
                return Err(EvalError::TooManyOutputs { limit: MAX_OUTPUTS });
            }
            outputs.push(value::output(&output.map_err(EvalError::failed)?)?);
        }
        match steps.get() {
            0 => Err(EvalError::TooManySteps { steps: limit }),
            _ => Ok(outputs),
        }
    }
}

impl std::fmt::Debug for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transform")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_stopped() {
        let limit = 20_000;
        for source in [
            "last(repeat(1))",
            "[repeat(.)]",
            "[range(1e18)] | length",
            "reduce range(infinite) as $i (0; . + $i)",
            "last(foreach range(infinite) as $i (0; . + $i))",
            "0 | until(. < 0; . + 1)",
            "[0 | while(true; . + 1)]",
            "[recurse(.)] | length",
            "last(range(infinite))",
            "last(range(0; 1; 0))",
            "first(range(infinite) | select(. < 0))",
            "[range(300) as $i | range(300) | $i] | length",
            "isempty(range(infinite) | select(false))",
            "any(repeat(1); . == 2)",
            "(last(repeat(1)))? // \"caught\"",
            "try last(repeat(1)) catch \"caught\"",
            "[limit(1e15; repeat(0))]",
            "skip(1e15; repeat(0))",
            "[range(30) | [0, 1]] | [combinations] | length",
            "def loop: last(repeat(1)); loop",
            "path(last(repeat(.data)))",
            "first(repeat(empty))",
        ] {
            let transform = Transform::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            let error = transform
                .run(value::input(&Event::new("/s", "1", "t")), limit)
                .expect_err(source);
            assert_eq!(error, EvalError::TooManySteps { steps: limit }, "{source}");
        }
    }
}
