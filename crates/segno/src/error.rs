//! What keeps a program from starting or running.

use std::io;

use crate::{config, engine, listen, schedules, worker};

/// Segno cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Routes name consumers or workflows that the program did not register.
    #[error(
        "{}; this program registers nothing of that name (a consumer or workflow in Rust is registered by a program \
         that uses the library)",
        .0.join(", and ")
    )]
    Unregistered(Vec<String>),
    /// The configuration's reader died.
    #[error("the configuration could not be read")]
    ConfigUnread,
    /// A consumer is for no events.
    #[error("the consumer {consumer:?}: {why}")]
    Subscription {
        /// The consumer's name.
        consumer: String,
        /// What is wrong.
        why: String,
    },
    /// A consumer's route does not fit to the others.
    #[error("a consumer's route has its name: {0}")]
    SubscribedRoute(#[source] segno_routing::RouteError),
    /// Traces cannot be exported.
    #[error(transparent)]
    Traces(#[from] crate::telemetry::TracesError),
    /// A sink cannot be made.
    #[error("the sinks cannot be set up")]
    Sinks(#[source] segno_sinks::BuildErrors),
    /// A source cannot be made.
    #[error(transparent)]
    Source(#[from] crate::sources::BuildError),
    /// A flag says no API key.
    #[error("--api-key: {0}")]
    ApiKey(#[source] config::NoApiKey),
    /// Who may call the HTTP API cannot be set up.
    #[error(transparent)]
    Access(#[from] crate::access::AccessError),
    /// The certificates of the HTTP API cannot be used.
    #[error("TLS of the HTTP port cannot be set up: {0}")]
    Tls(#[from] crate::TlsError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The engine cannot be opened or reached.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The worker does not run.
    #[error(transparent)]
    Worker(#[from] worker::Error),
    /// Two workflows of one type.
    #[error("a workflow cannot be registered")]
    Workflow(#[source] temporalio_sdk::WorkflowRegistrationError),
    /// The timers cannot be set up.
    #[error("the timers cannot be set up")]
    Timers(#[source] segno_timers::RegisterError),
    /// The schedules of the routes cannot be put in place.
    #[error(transparent)]
    Schedules(#[from] schedules::Error),
    /// What is paused cannot be read.
    #[error("what is paused cannot be read from the engine")]
    Pauses(#[source] temporalio_client::tonic::Status),
    /// The HTTP server broke.
    #[error("the HTTP server stopped")]
    Http(#[source] io::Error),
    /// The process cannot listen for signals.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// An outbox relay cannot be set up.
    #[error("the outbox {name:?} cannot be set up: {reason}")]
    Outbox {
        /// Its name in the configuration.
        name: String,
        /// Why; without the database's URL.
        reason: String,
    },
    /// Not everything was closed in time.
    #[error("not everything was closed within {0:?}")]
    Shutdown(std::time::Duration),
}
