//! Sinks: where actions deliver.
//!
//! A sink takes one [`Delivery`] at a time: a JSON payload under an idempotency key, and says what became of it: a
//! [`Delivered`], or a [`Failure`] that tells a failure worth a retry from one that stays. Retrying is the
//! caller's part: a sink makes one attempt.
//!
//! - [`webhook`]: an HTTP request signed as [Standard Webhooks] 1.0.0 says, with a [`guard`] against
//!   requests to private addresses.
//! - [`mod@file`]: JSON lines appended to a file, for trying things out.
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

pub mod batch;
mod delivery;
pub mod file;
pub mod guard;
pub mod limits;
mod options;
mod outcome;
mod registry;
mod retry_after;
mod secret;
pub mod signature;
mod template;
pub mod webhook;

pub use delivery::Delivery;
pub use limits::Limits;
pub use options::{Kind, Options};
pub use outcome::{Delivered, Failure};
pub use registry::{BuildError, BuildErrors, Sink, Sinks};
pub use secret::{Secret, SecretError};
pub use segno_event::Confidential;
pub use template::{Template, TemplateError};
