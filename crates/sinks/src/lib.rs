//! Sinks: where actions deliver.
//!
//! A sink takes one [`Delivery`] at a time: a JSON payload under an idempotency key, and says what became of it: a
//! [`Delivered`], or a [`Failure`] that tells a failure worth a retry from one that stays. Retrying is the
//! caller's part: a sink makes one attempt.
//!
//! - [`webhook`]: an HTTP request signed as [Standard Webhooks] 1.0.0 says, with a [`guard`] against
//!   requests to private addresses.
//! - [`mod@file`]: JSON lines appended to a file, for trying things out.
//! - `eventbridge`: events on a bus of Amazon EventBridge.
//! - `grpc`: unary gRPC calls by descriptor.
//! - `mail`: mails by SMTP, or as files in a folder.
//! - `nats`: messages of NATS JetStream.
//! - `object_store`: objects in S3, Google Cloud Storage, Azure Blob Storage, or files in a folder.
//! - `pusher`: events on channels of Pusher.
//! - `redis`: entries of Redis Streams.
//! - `slack`: messages to Slack's incoming webhooks.
//! - `sns`: messages to topics of Amazon SNS.
//! - `sql`: rows of a table in PostgreSQL, MySQL or MariaDB.
//! - `sqs`: messages to queues of Amazon SQS.
//!
//! Each has its [`limits`]. Where a target takes several payloads in one call, those that come side by side go as one
//! [`batch`]. [`Sinks`] holds a configuration's sinks by name.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let options = toml::from_str(r#"log.file = { path = "deliveries.jsonl" }"#)?;
//! let sinks = segno_sinks::Sinks::new(options, folder.path())?;
//! let payload = serde_json::json!({"total": 3});
//! sinks.deliver("log", segno_sinks::Delivery::new("route/source/1/tell/0", &payload)).await?;
//! let written = std::fs::read_to_string(folder.path().join("deliveries.jsonl"))?;
//! assert_eq!(written, "{\"key\":\"route/source/1/tell/0\",\"sink\":\"log\",\"payload\":{\"total\":3}}\n");
//! # Ok(())
//! # }
//! ```
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

// The feature `aws` is what they share, and has nothing to be used by alone.
#[cfg(any(feature = "eventbridge", feature = "sns", feature = "sqs"))]
pub mod aws;
pub mod batch;
#[cfg(any(feature = "nats", feature = "redis", feature = "sql"))]
mod ca;
mod delivery;
#[cfg(feature = "eventbridge")]
pub mod eventbridge;
pub mod file;
#[cfg(any(feature = "mail", feature = "object-store"))]
mod folders;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod guard;
#[cfg(any(feature = "sns", feature = "sqs", feature = "nats", feature = "sql"))]
mod ids;
pub mod limits;
#[cfg(feature = "mail")]
pub mod mail;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "object-store")]
pub mod object_store;
mod options;
mod outcome;
#[cfg(feature = "pusher")]
pub mod pusher;
#[cfg(feature = "redis")]
pub mod redis;
mod registry;
mod retry_after;
mod secret;
pub mod signature;
#[cfg(feature = "slack")]
pub mod slack;
#[cfg(feature = "sns")]
pub mod sns;
#[cfg(feature = "sql")]
pub mod sql;
#[cfg(feature = "sqs")]
pub mod sqs;
mod template;
mod templates;
pub mod webhook;

#[cfg(any(feature = "nats", feature = "redis", feature = "sql"))]
pub use ca::CaError;
pub use delivery::{Delivery, Trace};
pub use limits::Limits;
pub use options::{Kind, Options};
pub use outcome::{Delivered, Failure};
pub use registry::{BuildError, BuildErrors, Sink, Sinks};
pub use secret::{Secret, SecretError};
pub use segno_event::Confidential;
pub use template::{Template, TemplateError};
pub use templates::Templates;
