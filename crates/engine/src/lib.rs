//! A durable engine that serves Temporal's gRPC API from one SQLite file.
//!
//! It runs what the official Temporal SDKs run: workflows with activities, timers, signals and
//! queries. In the same process the SDK's client talks to it without a socket; other processes, and
//! the `temporal` command line, reach it on a port.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use segno_engine::{Engine, Options};
//! use temporalio_client::{Client, ClientOptions, Connection};
//!
//! let engine = Engine::open(Options::new("engine.db")).await?;
//! let connection = Connection::connect(engine.handle().connection_options()).await?;
//! let client = Client::new(connection, ClientOptions::new("default").build())?;
//! # let _ = client;
//! engine.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! No answer leaves before its change is on disk: requests that come together share one SQLite
//! transaction (WAL, `synchronous=FULL`).

mod access;
mod answer;
pub mod clock;
pub mod core;
#[doc(hidden)]
pub mod cron;
mod deployment;
mod engine;
mod figures;
mod host;
mod limits;
mod rpc;
#[doc(hidden)]
pub mod schedule;
mod service;
#[doc(hidden)]
pub mod simulation;
mod store;
mod token;
mod transport;
pub mod visibility;

pub use access::{ApiKeyError, ApiKeys, Grant, ServerLimits};
pub use engine::{Engine, Error, Handle, Options};
pub use figures::Figures;
pub use limits::Limits;
pub use store::{Copied, Error as StoreError, Problem as StoreProblem, backup, restore};
pub use transport::{Exposure, Server, Tls, TlsError, serve};
