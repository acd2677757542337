//! End to end: everything through the HTTP API, each behaviour on every engine with the same assertions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may panic, says what it measured, and compares with the real clock"
)]

#[macro_use]
mod support;

mod actions;
mod bad_input;
mod batches;
#[cfg(feature = "embedded")]
mod crash;
mod duplicates;
mod example;
mod executions;
mod handlers;
mod large_events;
mod limits;
mod modes;
mod program;
mod restart;
mod retries;
mod timers;
