//! Sources: where events come in.
//!
//! A source fetches messages, or is called; makes events of them by its [`Codec`]; and hands them to an [`Intake`]. A message
//! is acknowledged to its sender only once the intake says that all of its events are durable, or that they are refused for
//! good and the message is in the source's dead-letter place. So nothing is lost at any crash, and what comes twice is the
//! same event twice, which the intake knows.
//!
//! | source | is | one that crashed |
//! |---|---|---|
//! | [`sqs`] | long polling of a queue | finds its messages when they become visible again |
//! | [`redis`] | a consumer group of a stream | reads its pending entries; others claim them |
//! | [`nats`] | a durable pull consumer of JetStream | is given the messages again |
//! | [`eventbridge`] | HTTP: API destinations, and `PutEvents` for AWS's own clients | answered nothing: the caller calls again |
//! | [`webhook`] | HTTP: signed webhooks of other services | likewise |
//!
//! What decides is separate from what talks: [`codec`] is pure.

#[cfg(any(feature = "eventbridge", feature = "webhook"))]
mod answer;
#[cfg(feature = "sqs")]
mod aws;
#[cfg(any(feature = "nats", feature = "redis"))]
mod ca;
pub mod codec;
#[cfg(any(feature = "nats", feature = "redis", feature = "sqs", feature = "webhook"))]
mod duration;
#[cfg(feature = "eventbridge")]
pub mod eventbridge;
mod intake;
pub mod message;
#[cfg(feature = "nats")]
pub mod nats;
mod options;
#[cfg(feature = "redis")]
pub mod redis;
mod source;
#[cfg(feature = "sqs")]
pub mod sqs;
#[cfg(any(feature = "nats", feature = "redis", feature = "sqs"))]
mod store;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use codec::{Codec, Malformed};
pub use intake::{Intake, Outcome};
pub use options::{Kind, Options};
pub use source::{Built, Clock, Error, Served, Source, SystemClock};
#[cfg(any(feature = "nats", feature = "redis", feature = "sqs"))]
pub use store::{Order, REJECTED};
