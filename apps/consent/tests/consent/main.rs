//! The service end to end: HTTP, PostgreSQL, outbox, Redis, Segno, consumer; once with the consumer after the change and once
//! with it inside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod behaviours;
mod program;
mod world;
