//! A photo booking platform: services put what has happened on a queue, and this says who is told of it, over queues again.
//!
//! It is configuration alone, `segno.toml` with a file a family of events in `routes/`, and runs with the `segno` program.
//! The library has its place and its checks.

use std::path::PathBuf;

use segno::config::{Config, Mistakes};

/// Where the configuration is.
pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("segno.toml")
}

/// The configuration.
///
/// # Errors
/// Every mistake in it.
pub fn config() -> Result<Config, Mistakes> {
    Config::load(&path())
}
