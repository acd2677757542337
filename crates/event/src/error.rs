//! Errors of expressions, CEL and jq alike.

use std::ops::Range;

/// An expression that does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong, for the person who wrote the expression.
    pub message: String,
    /// Where in the expression it is wrong, in bytes from its start.
    pub offset: usize,
    /// How many bytes of the expression are meant, 0 where something is missing at `offset`.
    pub len: usize,
}

impl CompileError {
    pub(crate) fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self {
            message: message.into(),
            offset: at.start,
            len: at.end.saturating_sub(at.start),
        }
    }
}

/// An expression that compiled, and fails on an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A filter reads a field that the event does not have.
    #[error("the event has no field `{key}`: test for it with has() first")]
    MissingKey {
        /// The last part of the path that was looked up.
        key: String,
    },
    /// A filter yields something other than true or false.
    #[error("the filter yields {found}, it has to yield true or false")]
    NotBool {
        /// The CEL type it yields.
        found: String,
    },
    /// A key is no text, number or boolean.
    #[error("the key yields {found}, it has to yield a string, a number or a boolean")]
    NoKey {
        /// The CEL type it yields.
        found: String,
    },
    /// A transform yields more payloads than [`MAX_OUTPUTS`](crate::MAX_OUTPUTS).
    #[error("the transform yields more than {limit} payloads")]
    TooManyOutputs {
        /// The most that a transform may yield.
        limit: usize,
    },
    /// A transform did more work than one event is worth, and was stopped.
    #[error("the transform was stopped after {steps} steps: it loops without end, or over too many values")]
    TooManySteps {
        /// The steps it was given.
        steps: u64,
    },
    /// Any other failure, such as a comparison of a string with a number.
    #[error("{0}")]
    Failed(String),
}

/// The longest message kept of a failure: libraries print whole values in theirs.
const MAX_MESSAGE: usize = 300;

impl EvalError {
    pub(crate) fn failed(message: impl std::fmt::Display) -> Self {
        Self::Failed(shorten(&message.to_string(), MAX_MESSAGE))
    }
}

/// At most `max` bytes of `text`, cut at a character, with an ellipsis where something is left out.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
