//! Work that recurses, on a stack of its own.

use std::thread::{Builder, scope};

/// The size of the stack, in bytes: enough for expressions and values as deep as source and event limits let them
/// become, in a debug build too. It is address space; memory is what is touched of it.
const STACK: usize = 256 << 20;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    /// The system has no thread to give.
    #[error("no thread could be started: {0}")]
    Start(#[from] std::io::Error),
    /// The work panicked.
    #[error("the expression's library failed on it")]
    Panic,
}

/// Runs `work` on a thread with a big stack, and waits for it.
pub(crate) fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, StackError> {
    scope(|scope| {
        let thread = Builder::new()
            .name("expression".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)?;
        thread.join().map_err(|_| StackError::Panic)
    })
}
