//! Logs: to standard error, for people or as JSON. Nothing of an event's data is ever logged.

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Variable that says what is logged, in `tracing`'s directives.
const FILTER: &str = "SEGNO_LOG";
/// What is logged unless it says otherwise. The SDK warns of what it then gets over by itself.
const DEFAULT: &str = "info,temporalio_sdk_core=error,temporalio_client=error,temporalio_sdk=error";

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Sets up logging for the process; a second call changes nothing.
pub(crate) fn init(format: Format, quiet: bool) {
    let default = if quiet {
        "warn,temporalio_sdk_core=error,temporalio_client=error"
    } else {
        DEFAULT
    };
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(default));
    let registry = tracing_subscriber::registry().with(filter);
    let done = match format {
        Format::Human => registry
            .with(fmt::layer().with_writer(std::io::stderr))
            .try_init(),
        Format::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    };
    // A program that uses the library may have its own.
    drop(done);
}
