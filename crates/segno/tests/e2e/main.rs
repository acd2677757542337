//! End to end: everything through the HTTP API, each behaviour on every engine with the same assertions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "what processes do is held against this machine's clock"
)]

#[macro_use]
mod support;

mod access;
mod actions;
mod audit;
#[cfg(feature = "embedded")]
mod backup;
mod bad_input;
mod bad_input_sources;
mod bad_input_table;
mod batches;
mod catalogue;
mod choreography;
mod cluster;
#[cfg(feature = "embedded")]
mod codec;
mod command_line;
mod config_show;
mod console;
#[cfg(feature = "embedded")]
mod crash;
#[cfg(feature = "embedded")]
mod crash_operations;
mod dead_letters;
mod drain;
mod duplicates;
mod encrypted_timers;
mod encryption;
mod example;
mod executions;
mod explain;
mod flow;
#[cfg(feature = "embedded")]
mod flow_crash;
#[cfg(feature = "embedded")]
mod fuzz;
mod handlers;
mod large_events;
mod limits;
mod logs;
mod metrics;
mod modes;
mod oidc;
#[cfg(feature = "outbox")]
mod outbox;
mod packaging;
mod pauses;
mod program;
#[cfg(all(feature = "embedded", feature = "integrations"))]
mod proof;
mod redaction;
mod reload;
mod replays;
mod restart;
mod retention;
mod retries;
#[cfg(feature = "embedded")]
mod security;
#[cfg(feature = "integrations")]
mod sinks;
#[cfg(feature = "embedded")]
mod soak;
mod sources;
mod timers;
mod timing;
mod traces;
