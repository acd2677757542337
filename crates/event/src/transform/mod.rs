//! Reshaping events, in jq.

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use serde_json::Value;

use crate::{CompileError, EvalError, Event};

/// The most payloads that one transform may yield for one event.
pub const MAX_OUTPUTS: usize = 1000;

/// A reshaping of an event into payloads, written in [jq](https://jqlang.org).
///
/// The input is the event as CloudEvents JSON (`.type`, `.data.total`); each output is one payload, and there may be
/// none. Files, modules and the environment cannot be read.
pub struct Transform {
    source: String,
    filter: jaq_core::Filter<data::JustLut<Val>>,
}

impl Transform {
    /// Compiles a transform.
    ///
    /// # Errors
    /// The first mistake, with its place in `source`.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let wrong = |what: String| CompileError::new(what, 0..source.len());
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(
                &arena,
                File {
                    code: source,
                    path: (),
                },
            )
            .map_err(|errors| {
                wrong(format!(
                    "{:?}",
                    errors.into_iter().map(|e| e.1).collect::<Vec<_>>()
                ))
            })?;
        let filter = Compiler::default()
            .with_funs(funs)
            .compile(modules)
            .map_err(|errors| {
                wrong(format!(
                    "{:?}",
                    errors.into_iter().map(|e| e.1).collect::<Vec<_>>()
                ))
            })?;
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
    /// # Errors
    /// When the expression fails, or yields more than [`MAX_OUTPUTS`] payloads.
    pub fn apply(&self, event: &Event) -> Result<Vec<Value>, EvalError> {
        let input = serde_json::to_vec(event).map_err(EvalError::failed)?;
        let input = read::parse_single(&input).map_err(EvalError::failed)?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let mut outputs = Vec::new();
        for output in self.filter.id.run((context, input)).map(unwrap_valr) {
            if outputs.len() == MAX_OUTPUTS {
                return Err(EvalError::TooManyOutputs { limit: MAX_OUTPUTS });
            }
            let output = output.map_err(EvalError::failed)?;
            outputs.push(serde_json::from_str(&output.to_string()).map_err(EvalError::failed)?);
        }
        Ok(outputs)
    }
}

impl std::fmt::Debug for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transform")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
