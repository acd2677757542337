//! Work that recurses, on a stack of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The size of the stack, in bytes: enough for expressions and values as deep as source and event limits let them
/// become, in a debug build too. It is address space; memory is what is touched of it.
const STACK: usize = 256 << 20;

/// The work panicked.
#[derive(Debug, thiserror::Error)]
#[error("the expression's library failed on it")]
pub(crate) struct Panicked;

/// Runs `work` on a big stack.
///
/// On this thread: one made for the purpose would cost more than most expressions do.
pub(crate) fn on_big_stack<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // What the work held is gone with it; it shares nothing that a panic could leave half done.
    catch_unwind(AssertUnwindSafe(|| stacker::grow(STACK, work))).map_err(|_| Panicked)
}
