//! The webhook timer service: "call this URL in two hours", kept through every outage.
//!
//! A timer is one workflow execution ([`SegnoTimer`], its id the timer's) on an engine that speaks
//! Temporal's API. It waits until its deadline, then calls the timer's URL with a signed request
//! ([Standard Webhooks](https://www.standardwebhooks.com)), with retries. If the delivery fails for good
//! the execution fails: a dead letter.
//!
//! Two parts, which may run in one process or in many:
//!
//! - [`register`] gives a worker what it needs to run timers.
//! - [`Timers`] holds the operations, and [`router`] serves them over HTTP as [`openapi`] describes. They
//!   ask the engine alone: neither needs a worker to be there.
//!
//! ```no_run
//! # use segno_timers::{Options, TASK_QUEUE, Timers};
//! # use temporalio_client::Client;
//! # use temporalio_sdk::{Runtime, Worker, WorkerOptions};
//! # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::default();
//!
//! let mut worker = WorkerOptions::new(TASK_QUEUE).build();
//! segno_timers::register(&mut worker, &options)?;
//! let runtime = Runtime::from_current_tokio(Default::default())?;
//! let mut worker = Worker::new(&runtime, client.clone(), worker)?;
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! let http = axum::serve(listener, segno_timers::router(Timers::new(client, options)));
//!
//! tokio::select! {
//!     ended = worker.run() => ended?,
//!     ended = http.into_future() => ended?,
//! }
//! # Ok(())
//! # }
//! ```

mod activity;
mod deadline;
mod error;
mod http;
mod id;
mod record;
mod request;
mod service;
mod target;
mod timer;
mod workflow;

use segno_sinks::Secret;
use temporalio_common::protos::temporal::api::enums::v1::IndexedValueType;
use temporalio_sdk::WorkerOptions;

pub use deadline::Deadline;
pub use error::{Error, RegisterError};
pub use http::{openapi, router};
pub use id::{NotAUuid, TimerId};
pub use record::Status;
pub use request::{Issue, NewTimer, When};
pub use service::{Deliveries, Delivery, Page, Query, Summary, TimeLeft, Timers};
pub use timer::{Attempt, Timer};
pub use workflow::{DEADLINE_ATTRIBUTE, SegnoTimer};

/// The task queue that timers run on.
pub const TASK_QUEUE: &str = "segno";

/// The custom search attributes that timers set: they have to be registered in the namespace.
pub const SEARCH_ATTRIBUTES: [(&str, IndexedValueType); 1] =
    [(DEADLINE_ATTRIBUTE, IndexedValueType::Datetime)];

/// Options of the timer service.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether timers may call addresses that are not public (see [`segno_sinks::guard`]). Default no.
    pub allow_private: bool,
    /// Signs the deliveries. Without it they are not signed.
    pub secret: Option<Secret>,
}

/// Adds the timers' workflow and activity to a worker of the queue [`TASK_QUEUE`].
///
/// # Errors
///
/// [`RegisterError`], if the webhook sender cannot be set up or the worker has such a workflow already.
pub fn register(worker: &mut WorkerOptions, options: &Options) -> Result<(), RegisterError> {
    register_observed(worker, options, |_| {})
}

/// The same, where `fired` is told of each timer's first call: so long after its deadline.
///
/// # Errors
///
/// As [`register`].
pub fn register_observed(
    worker: &mut WorkerOptions,
    options: &Options,
    fired: fn(std::time::Duration),
) -> Result<(), RegisterError> {
    let activities = activity::TimerActivities::new(options, fired)?;
    worker.register_workflow::<SegnoTimer>()?;
    worker.register_activities(activities);
    Ok(())
}
