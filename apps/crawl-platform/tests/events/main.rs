//! The business events: what they set off, on Segno as the program runs it, against stand-ins that keep state.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "what processes do is held against this machine's clock"
)]

mod attachments;
mod comments;
mod crashes;
mod every_event;
mod files;
#[path = "../common/program.rs"]
mod installation;
mod replies;
mod runs;
mod sent;
mod times;
mod world;
