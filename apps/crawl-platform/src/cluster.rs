//! What runs jobs, as the lifecycle of runs sees it: the observed state.
//!
//! A cluster knows jobs by their names. Each has one pod, or had one: a process somewhere, which starts, runs and ends. What
//! a cluster says about a job is always what it is *now*. Nothing is built on having heard of a change: a [`Change`] is a
//! hint to look again, which may come late, twice, in another order or not at all.

mod error;
mod job;
pub mod kubernetes;
pub mod processes;

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use uuid::Uuid;

pub use error::ClusterError;
pub use job::{Change, Deployed, InvalidJobName, Job, JobName, JobState, Pending, Phase, Pod};

/// The label that all jobs of the platform carry, with [`MANAGED_BY`] as its value: by it the sweeper finds them.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "crawl-platform";
/// The label with the run's id.
pub const RUN_LABEL: &str = "crawl-platform.segno.dev/run";
/// The label with the task's id.
pub const TASK_LABEL: &str = "crawl-platform.segno.dev/task";

/// What runs jobs.
///
/// Every call may be made again after any outcome, by this process or another one, and is safe to be.
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// Deploys a job, unless there is one of its name already: then nothing happens, whatever its state. So a deployment
    /// that is tried again after a lost answer starts nothing twice.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Retryable`] if the cluster cannot be reached or is overloaded, [`ClusterError::Permanent`] if it
    /// refuses the job.
    async fn deploy(&self, job: &Job) -> Result<Deployed, ClusterError>;

    /// The state of one job; None if there is none of this name.
    ///
    /// # Errors
    ///
    /// [`ClusterError`].
    async fn state(&self, name: &JobName) -> Result<Option<JobState>, ClusterError>;

    /// The states of all jobs of a run, in one call to the cluster however many they are (or one a page). Jobs that are
    /// gone are not among them.
    ///
    /// # Errors
    ///
    /// [`ClusterError`].
    async fn states(&self, run: Uuid) -> Result<Vec<JobState>, ClusterError>;

    /// Asks a job to end: its process is told (SIGTERM), and killed once `grace` is over. It returns when the request is
    /// on record, not when the job has ended. From then on the cluster starts no pod for the job. Afterwards the job is
    /// [`Phase::Failed`] or gone, or [`Phase::Succeeded`] if it was quicker.
    ///
    /// False if the job has ended before or is not there.
    ///
    /// # Errors
    ///
    /// [`ClusterError`].
    async fn stop(&self, name: &JobName, grace: Duration) -> Result<bool, ClusterError>;

    /// Ends a job by force: its pod is deleted without any grace (SIGKILL), and none follows it. False if there is no pod.
    ///
    /// # Errors
    ///
    /// [`ClusterError`].
    async fn delete_pod(&self, name: &JobName) -> Result<bool, ClusterError>;

    /// Removes a job that has ended, or is nobody's, with its pod and its log. False if it is not there.
    ///
    /// # Errors
    ///
    /// [`ClusterError`].
    async fn remove(&self, name: &JobName) -> Result<bool, ClusterError>;

    /// The last lines of what the job's pod has written, at most `lines`; empty if there is nothing (any more).
    ///
    /// # Errors
    ///
    /// [`ClusterError`].
    async fn log_tail(&self, name: &JobName, lines: usize) -> Result<String, ClusterError>;

    /// All jobs that carry the platform's label, of whatever run: for the sweeper.
    ///
    /// # Errors
    ///
    /// [`ClusterError`].
    async fn all(&self) -> Result<Vec<JobState>, ClusterError>;

    /// Hints that a job has changed, from now on and until dropped. It does not end and does not fail: where the cluster
    /// cannot be watched it is looked at now and then instead.
    fn changes(&self) -> BoxStream<'static, Change>;
}
