//! Segno takes events in, handles each one durably, and shows what became of it.
//!
//! This crate is the `segno` program and the library to build programs on that do more than a configuration can
//! say. Each (event, route) pair is one workflow execution on an engine that speaks Temporal's API: the one in this
//! process, or a Temporal cluster. See [`engine`] for how it is chosen.
//!
//! ```no_run
//! use segno::{Consumer, ConsumerError, Event, Segno, config::Config};
//!
//! struct Ledger;
//!
//! impl Consumer for Ledger {
//!     async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
//!         println!("{} happened to {:?}", event.ty, event.subject);
//!         Ok(())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // A route of the file names it: consumer = "ledger"
//!     let config = Config::load("segno.toml".as_ref())?;
//!     Segno::builder().config(config).consumer("ledger", Ledger).run().await?;
//!     Ok(())
//! }
//! ```
//!
//! From the ground up:
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | reads `segno.toml` |
//! | [`engine`] | what runs executions |
//! | [`encryption`] | what keeps the data of events from being read where they are stored |
//! | [`worker`] | runs workflows and activities for it |
//! | `execution` | the workflow of an event on a route, and its activities |
//! | [`flow`] | says when events of a route may run |
//! | [`intake`] | starts an execution for each event and route |
//! | `archive` | keeps the events that no route takes |
//! | `run` | what the engine has on record of a run |
//! | `dead_letters` | the executions that failed, and what can be done about them |
//! | `retention` | deletes what has been done for as long as its route keeps it |
//! | [`redact`] | keeps values of events from being shown |
//! | `operation`, `replay` | operations over many executions; events of before, handled again |
//! | `story` | all that is known of one event |
//! | [`access`] | who may call it |
//! | [`http`] | the API over all of it |
//! | [`cli`] | the command line |

pub mod access;
mod archive;
mod builder;
pub mod catalogue;
pub mod cli;
mod compiled;
pub mod config;
mod console;
mod consumer;
mod consumers;
mod dead_letters;
mod dedupe;
mod demo;
pub mod encryption;
pub mod engine;
mod error;
mod execution;
pub mod flow;
pub mod http;
pub mod intake;
pub mod listen;
mod live;
mod logging;
mod operation;
mod origin;
#[cfg(feature = "outbox")]
pub mod outbox;
mod overview;
mod pauses;
pub mod redact;
mod reload;
mod replay;
mod retention;
mod run;
mod running;
pub mod schedules;
pub mod search_attributes;
mod shutdown;
#[cfg(feature = "embedded")]
mod soak;
pub mod sources;
mod story;
mod task_queue;
pub mod telemetry;
mod tls;
mod wait;
pub mod worker;
mod workflow_sink;

pub use builder::{Builder, DEFAULT_DATA, DEFAULT_GRPC, DEFAULT_HTTP};
pub use console::ConsolePage;
pub use consumer::{Consumer, ConsumerError};
pub use consumers::{Consumers, NotProcessed};
pub use error::Error;
pub use execution::{DEAD_LETTER, WORKFLOW_TYPE};
pub use running::Running;
pub use segno_event::{Data, Event};
pub use tls::TlsError;
pub use wait::{WaitError, Waiter};
pub use workflow_sink::WorkflowSink;

/// Segno as a library: see the [crate's](crate) example.
#[derive(Clone, Copy, Debug)]
pub struct Segno;

impl Segno {
    /// Begins a program.
    pub fn builder() -> Builder {
        Builder::new()
    }
}
