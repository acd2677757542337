//! Runs, as others ask for them: begun, stopped, gone on with, looked at.

use serde::Serialize;
use temporalio_client::{
    Client, WorkflowDescribeOptions, WorkflowExecutionStatus, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy, WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
    errors::{WorkflowInteractionError, WorkflowStartError},
};
use temporalio_common::data_converters::RawValue;
use uuid::Uuid;

use super::{CrawlerRun, RunRequest, RunView, StopRequest, Timing};
use crate::{
    ids,
    store::{Run, Store, StoreError, Trigger},
};

/// A run is not begun, stopped or gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The database does not answer, or there is no such crawler or run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key was used for another request.
    #[error("the Idempotency-Key was used before for another request")]
    KeyReused,
    /// The run has ended.
    #[error("the run {0} has ended")]
    Ended(Uuid),
    /// A workflow looks after the run.
    #[error("the run {0} need not be resumed: its workflow runs")]
    LookedAfter(Uuid),
    /// No workflow looks after the run.
    #[error("no workflow looks after the run {0}: resume it first")]
    NotLookedAfter(Uuid),
    /// The engine does not take the request.
    #[error("the engine: {0}")]
    Engine(String),
}

/// What became of a run request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The run.
    pub run: Uuid,
    /// Its workflow.
    pub workflow_id: String,
    /// Whether the request had come before: then nothing was begun.
    pub duplicate: bool,
}

/// Begins runs, and speaks with those that there are. Cheap to clone.
#[derive(Clone)]
pub struct Lifecycle {
    client: Client,
    store: Store,
    timing: Timing,
}

/// What the ids of the workflows begin with that a schedule starts; the engine puts the time behind it.
pub(crate) fn scheduled_workflow(schedule: Uuid) -> String {
    format!("crawler-run/{schedule}")
}

/// The schedule that has started the workflow of this id, if one has.
pub(super) fn schedule_of(workflow_id: &str) -> Option<Uuid> {
    let prefix = scheduled_workflow(Uuid::nil()).len();
    let (schedule, time) = workflow_id.split_at_checked(prefix)?;
    let schedule = schedule.strip_prefix("crawler-run/")?.parse().ok()?;
    time.starts_with('-').then_some(schedule)
}

/// The workflow of a run that was asked for by a request, or is gone on with.
pub(crate) fn workflow_id(run: Uuid) -> String {
    format!("crawler-run/{run}")
}

impl Lifecycle {
    /// Runs on this engine, with this timing.
    pub fn new(client: Client, store: Store, timing: Timing) -> Self {
        Self {
            client,
            store,
            timing,
        }
    }

    /// The timing of runs that begin now.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The engine's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a run of a crawler. Under a key that was used before for the same request, nothing is begun a second time:
    /// the key makes the run's id, and with it the workflow's.
    ///
    /// # Errors
    ///
    /// [`LifecycleError`].
    pub async fn begin(
        &self,
        crawler: Uuid,
        trigger: Trigger,
        key: Option<&str>,
    ) -> Result<Asked, LifecycleError> {
        self.store.crawler(crawler).await?;
        let run = match key {
            Some(key) => ids::derived(&["request", &crawler.to_string(), key]),
            None => Uuid::now_v7(),
        };
        let request_hash = ids::fingerprint(&format!("{crawler}/{trigger}"));
        let asked = |duplicate| Asked {
            run,
            workflow_id: workflow_id(run),
            duplicate,
        };
        if key.is_some()
            && let Some(before) = self.store.request_hash(run).await?
        {
            // The engine may have forgotten it by now; the database has not.
            return if before == request_hash {
                Ok(asked(true))
            } else {
                Err(LifecycleError::KeyReused)
            };
        }
        let request = RunRequest {
            crawler,
            trigger,
            run_id: Some(run),
            request_hash,
            timing: self.timing.clone(),
            schedule: None,
            replaces: None,
            stop: None,
            progress: None,
        };
        self.start(run, request, WorkflowIdReusePolicy::RejectDuplicate)
            .await
            .map(|new| asked(!new))
    }

    /// Goes on with a run whose workflow was terminated or has failed: another workflow takes it up where it stands, and
    /// deploys nothing that was deployed.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::LookedAfter`] if a workflow looks after it, [`LifecycleError::Ended`] if it has ended.
    pub async fn resume(&self, run: Uuid) -> Result<Asked, LifecycleError> {
        let record = self.stranded(run).await?;
        self.take_up(&record, None).await
    }

    /// The record of a run that has not ended and that no workflow looks after; an error if it is not so.
    pub(super) async fn stranded(&self, run: Uuid) -> Result<Run, LifecycleError> {
        let record = self.store.run(run).await?;
        if record.status.is_final() {
            return Err(LifecycleError::Ended(run));
        }
        if let Some(id) = &record.workflow_id
            && self.is_running(id).await?
        {
            return Err(LifecycleError::LookedAfter(run));
        }
        Ok(record)
    }

    /// Goes on with a run, or stops it, by a workflow of its own.
    pub(super) async fn take_up(
        &self,
        record: &Run,
        stop: Option<StopRequest>,
    ) -> Result<Asked, LifecycleError> {
        let run = record.id;
        if self.go_on(record, stop).await? {
            Ok(Asked {
                run,
                workflow_id: workflow_id(run),
                duplicate: false,
            })
        } else {
            Err(LifecycleError::LookedAfter(run))
        }
    }

    /// Goes on with a run by a workflow of its own. False if there is one.
    pub(super) async fn go_on(
        &self,
        record: &Run,
        stop: Option<StopRequest>,
    ) -> Result<bool, LifecycleError> {
        let request = RunRequest {
            crawler: record.crawler_id,
            trigger: record.trigger,
            run_id: Some(record.id),
            request_hash: String::new(),
            timing: self.timing.clone(),
            schedule: None,
            replaces: None,
            stop,
            progress: None,
        };
        self.start(record.id, request, WorkflowIdReusePolicy::AllowDuplicate)
            .await
    }

    /// True if a workflow was started, false if there was one.
    async fn start(
        &self,
        run: Uuid,
        request: RunRequest,
        reuse: WorkflowIdReusePolicy,
    ) -> Result<bool, LifecycleError> {
        let options = WorkflowStartOptions::new(segno::worker::TASK_QUEUE, workflow_id(run))
            .id_reuse_policy(reuse)
            .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
            .build();
        match self
            .client
            .start_workflow(CrawlerRun::run, request, options)
            .await
        {
            Ok(_) => Ok(true),
            Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(false),
            Err(error) => Err(LifecycleError::Engine(error.to_string())),
        }
    }

    /// Whether an execution of this id runs.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::Engine`].
    pub async fn is_running(&self, workflow_id: &str) -> Result<bool, LifecycleError> {
        let handle = self.client.get_workflow_handle::<CrawlerRun>(workflow_id);
        match handle.describe(WorkflowDescribeOptions::default()).await {
            Ok(description) => Ok(matches!(description.status(), WorkflowExecutionStatus::Running)),
            Err(WorkflowInteractionError::NotFound(_)) => Ok(false),
            Err(error) => Err(LifecycleError::Engine(error.to_string())),
        }
    }

    /// Asks a run to stop.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::Ended`] if it has ended, [`LifecycleError::NotLookedAfter`] if nobody is there to stop it.
    pub async fn stop(&self, run: Uuid, stop: &StopRequest) -> Result<(), LifecycleError> {
        let record = self.store.run(run).await?;
        if record.status.is_final() {
            return Err(LifecycleError::Ended(run));
        }
        let id = record.workflow_id.unwrap_or_else(|| workflow_id(run));
        let handle = self.client.get_workflow_handle::<CrawlerRun>(id);
        let converter = self.client.options().data_converter.payload_converter();
        let signal = handle.signal(
            CrawlerRun::stop,
            RawValue::from_value(stop, converter),
            WorkflowSignalOptions::default(),
        );
        match signal.await {
            Ok(()) => Ok(()),
            Err(WorkflowInteractionError::NotFound(_)) => {
                let record = self.store.run(run).await?;
                Err(if record.status.is_final() {
                    LifecycleError::Ended(run)
                } else {
                    LifecycleError::NotLookedAfter(run)
                })
            }
            Err(error) => Err(LifecycleError::Engine(error.to_string())),
        }
    }

    /// Makes a run's workflow look at the cluster now. A run without one is left to the sweeper.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::Engine`].
    pub async fn nudge(&self, workflow_id: &str) -> Result<(), LifecycleError> {
        let handle = self.client.get_workflow_handle::<CrawlerRun>(workflow_id);
        match handle
            .signal(CrawlerRun::cluster_changed, (), WorkflowSignalOptions::default())
            .await
        {
            Ok(()) | Err(WorkflowInteractionError::NotFound(_)) => Ok(()),
            Err(error) => Err(LifecycleError::Engine(error.to_string())),
        }
    }

    /// What the workflow of a run says; None if it says nothing: it is gone, or no worker has it.
    pub async fn view(&self, run: &Run) -> Option<RunView> {
        let id = run.workflow_id.as_deref()?;
        let handle = self.client.get_workflow_handle::<CrawlerRun>(id);
        let query = handle.query(CrawlerRun::get_status, (), WorkflowQueryOptions::default());
        tokio::time::timeout(std::time::Duration::from_secs(5), query)
            .await
            .ok()?
            .ok()
    }
}
