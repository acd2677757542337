//! The life of a run: a workflow with four stages, and the activities that it is made of.
//!
//! 1. **Initiation.** A run request becomes a history record.
//! 2. **Deployment.** The main job is put on the cluster and looked at until it has started. If it does not, another one is
//!    put there for the same record.
//! 3. **Reconciliation.** The database is brought in line with the cluster, again and again, until no task is alive. Changes
//!    that the cluster tells of make it look sooner; nothing depends on them.
//! 4. **Completion.** The record gets its final status, the records are delivered, the supporting files are kept.
//!
//! A stop, by a signal, leads from any of the first three to the fourth.

mod activities;
mod beat;
mod completion;
mod observation;
mod replacement;
pub mod request;
pub mod rules;
mod service;
mod workflow;

pub use activities::{LifecycleActivities, Parts};
pub(crate) use completion::{project_of, report_of};
pub use request::{RunRequest, RunResult, RunView, Stage, StopRequest, Timing};
pub(crate) use service::scheduled_workflow;
pub use service::{Asked, Lifecycle, LifecycleError};
pub use workflow::CrawlerRun;

/// The workflow's type.
pub const WORKFLOW_TYPE: &str = "CrawlerRun";
