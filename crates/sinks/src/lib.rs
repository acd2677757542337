//! Sinks: where actions deliver.
//!
//! A sink takes one JSON payload at a time under an idempotency key, and says what became of it: a
//! [`Delivered`], or a [`Failure`] that tells a failure worth a retry from one that stays. Retrying is the
//! caller's part: a sink makes one attempt.
//!
//! - [`webhook`]: an HTTP request signed as [Standard Webhooks] 1.0.0 says, with a [`guard`] against
//!   requests to private addresses.
//! - [`mod@file`]: JSON lines appended to a file, for trying things out.
//!
//! [`Sinks`] holds a configuration's sinks by name.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let options = toml::from_str(r#"log.file = { path = "deliveries.jsonl" }"#)?;
//! let sinks = segno_sinks::Sinks::new(options, folder.path())?;
//! sinks.deliver("log", "route/source/1/tell/0", &serde_json::json!({"total": 3})).await?;
//! let written = std::fs::read_to_string(folder.path().join("deliveries.jsonl"))?;
//! assert_eq!(written, "{\"key\":\"route/source/1/tell/0\",\"sink\":\"log\",\"payload\":{\"total\":3}}\n");
//! # Ok(())
//! # }
//! ```
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

pub mod file;
pub mod guard;
mod outcome;
mod registry;
mod retry_after;
mod secret;
pub mod signature;
pub mod webhook;

pub use outcome::{Delivered, Failure};
pub use registry::{BuildError, BuildErrors, Options, Sink, Sinks};
pub use secret::{Secret, SecretError};
