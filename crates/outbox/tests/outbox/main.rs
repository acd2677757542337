//! The outbox in real databases: each behaviour in PostgreSQL, MariaDB and SQLite with the same assertions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

#[macro_use]
mod support;

mod atomicity;
mod crashes;
mod debezium;
mod encryption;
mod inline;
mod languages;
mod order;
mod poison;
mod process;
mod publishers;
mod purge;
mod stats;
mod wake;
