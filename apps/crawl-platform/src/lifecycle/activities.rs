//! The activities of a run's life, all of them by the names that people know.
//!
//! Each may be run again after any outcome: what it did before is found there, and is not done twice.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use temporalio_macros::activities;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Lifecycle, LifecycleError, RunRequest, StopRequest,
    beat::Beat,
    completion::{Completion, Concluded},
    observation::{Look, Seen},
    rules::{ActiveTask, Correction, Ending, MainJob, f64_seconds::Seconds, main_job},
};
use crate::{
    archive::{Archive, ArchiveError},
    cluster::{Cluster, ClusterError, JobName},
    crash::{self, Moment},
    export::{ExportError, Exporter},
    front_door::{EmitError, FrontDoor, emit},
    ids,
    notifier::{Notice, Notifier, NotifyError},
    output::Outputs,
    scheduler::{DeployError, MainDeployment, Scheduler},
    store::{Applied, LogLine, NewRun, RunStatus, Store, StoreError, TaskReport, Trigger},
};

/// What the activities work with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// What processes leave behind.
    pub outputs: Outputs,
    /// Where business events come in.
    pub door: Arc<dyn FrontDoor>,
    /// What tells front ends.
    pub notifier: Arc<dyn Notifier>,
    /// What delivers records.
    pub exporter: Exporter,
    /// What keeps supporting files.
    pub archive: Archive,
}

/// The activities of the workflow [`CrawlerRun`](super::CrawlerRun).
pub struct LifecycleActivities {
    parts: Parts,
    scheduler: Scheduler,
}

impl LifecycleActivities {
    /// Activities that work with these.
    pub fn new(parts: Parts) -> Self {
        let scheduler = Scheduler::new(
            parts.store.clone(),
            Arc::clone(&parts.cluster),
            parts.outputs.clone(),
        );
        Self { parts, scheduler }
    }

    fn completion(&self) -> Completion<'_> {
        Completion {
            store: &self.parts.store,
        }
    }
}

/// What `create_history_id` yields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) run: Uuid,
    pub(crate) single: bool,
    pub(crate) status: RunStatus,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) started_at: Option<OffsetDateTime>,
    /// Deployments so far.
    pub(crate) deployments: u32,
    /// A stop that was asked for before.
    pub(crate) stop: Option<StopRequest>,
}

/// Input of what deploys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deploy {
    pub(crate) run: Uuid,
    pub(crate) number: u32,
}

/// Input of `get_main_job_status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MainJobQuestion {
    pub(crate) run: Uuid,
    pub(crate) deployment: u32,
    pub(crate) pending_limit: Seconds,
    /// What was reported before.
    pub(crate) saturation: Option<String>,
}

/// Input of `get_history_statuses_to_sync`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatusQuestion {
    pub(crate) run: Uuid,
    pub(crate) tasks: Vec<ActiveTask>,
    pub(crate) stopping: bool,
    pub(crate) lost_after: Seconds,
}

/// Input of `get_bulk_task_history_data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BulkQuestion {
    pub(crate) run: Uuid,
    pub(crate) tasks: Vec<ActiveTask>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) corrections: Vec<Correction>,
}

/// Input of `reconcile_tasks`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reconciliation {
    pub(crate) run: Uuid,
    pub(crate) number: u64,
    pub(crate) reports: Vec<TaskReport>,
    pub(crate) missing: Vec<Uuid>,
    pub(crate) found: Vec<Uuid>,
}

/// Input of `sync_statuses`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SyncStatuses {
    pub(crate) run: Uuid,
    pub(crate) number: u64,
    pub(crate) corrections: Vec<Correction>,
}

/// Input of `cancel_queued_tasks` and `add_cancellation_log_to_db`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stopping {
    pub(crate) run: Uuid,
    pub(crate) stop: StopRequest,
}

/// Input of `k8_stop_task`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StopTask {
    pub(crate) job: JobName,
    pub(crate) grace: Seconds,
}

/// Input of `update_run_status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Conclude {
    pub(crate) run: Uuid,
    pub(crate) stop: Option<StopRequest>,
    /// Why it could not be deployed.
    pub(crate) undeployed: Option<String>,
}

#[activities]
impl LifecycleActivities {
    /// Adds a history record to the database, unless the request is to go on with one. Where the run takes the place of one whose
    /// workflow its schedule has terminated, that is closed.
    #[activity(name = "create_history_id")]
    pub(crate) async fn create_history_id(
        self: Arc<Self>,
        ctx: ActivityContext,
        request: RunRequest,
    ) -> Result<History, ActivityError> {
        let _beat = Beat::of(&ctx);
        let workflow_id = ctx.info().workflow_id.clone().unwrap_or_default();
        let store = &self.parts.store;
        let run = match request.run_id {
            Some(run) => match store.maybe_run(run).await.map_err(store_failure)? {
                Some(run) => run,
                // Its workflow ended before this activity ever did.
                None => self.create(&request, run, &workflow_id).await?,
            },
            // A schedule gives each of its executions another id.
            None => {
                let run = run_id_of(&workflow_id);
                self.create(&request, run, &workflow_id).await?
            }
        };
        if let Some(schedule) = request.replaces {
            let lifecycle = Lifecycle::new(ctx.client(), store.clone(), request.timing.clone());
            let closed = lifecycle.close_replaced(schedule, &workflow_id).await;
            closed.map_err(lifecycle_failure)?;
        }
        let deployments = store.deployments(run.id).await.map_err(store_failure)?;
        Ok(History {
            run: run.id,
            single: run.processes == 1,
            status: run.status,
            started_at: run.started_at,
            deployments: deployments.last().map_or(0, |last| last.number),
            stop: run.stop_requested.map(|mode| StopRequest {
                force: mode == crate::store::StopMode::Force,
                by: run.stopped_by.unwrap_or_else(|| "somebody".to_owned()),
            }),
        })
    }

    /// Deploys the job of a run that a schedule has asked for.
    #[activity(name = "run_scheduled_crawler")]
    pub(crate) async fn run_scheduled_crawler(
        self: Arc<Self>,
        ctx: ActivityContext,
        deploy: Deploy,
    ) -> Result<MainDeployment, ActivityError> {
        let _beat = Beat::of(&ctx);
        self.deploy(deploy).await
    }

    /// Deploys the job of a run that somebody has asked for.
    #[activity(name = "run_onetime_crawler")]
    pub(crate) async fn run_onetime_crawler(
        self: Arc<Self>,
        ctx: ActivityContext,
        deploy: Deploy,
    ) -> Result<MainDeployment, ActivityError> {
        let _beat = Beat::of(&ctx);
        self.deploy(deploy).await
    }

    /// Says in the history record which workflow looks after the run from now on: by it the run is stopped, or gone on with. It is
    /// another one than has made the record where the run is gone on with.
    #[activity(name = "add_workflow_id")]
    pub(crate) async fn add_workflow_id(
        self: Arc<Self>,
        ctx: ActivityContext,
        run: Uuid,
    ) -> Result<(), ActivityError> {
        let _beat = Beat::of(&ctx);
        let workflow_id = ctx.info().workflow_id.clone().unwrap_or_default();
        let store = &self.parts.store;
        store.set_workflow(run, &workflow_id).await.map_err(store_failure)
    }

    /// Looks whether the main job has started; if it waits for too long, reports what the cluster's scheduler says.
    #[activity(name = "get_main_job_status")]
    pub(crate) async fn get_main_job_status(
        self: Arc<Self>,
        ctx: ActivityContext,
        question: MainJobQuestion,
    ) -> Result<MainJob, ActivityError> {
        let _beat = Beat::of(&ctx);
        let MainJobQuestion { run, deployment, .. } = question;
        let store = &self.parts.store;
        let now = store.now();
        let job = JobName::of(run, 0, deployment);
        let state = self.parts.cluster.state(&job).await.map_err(cluster_failure)?;
        let status = main_job(state.as_ref(), now, question.pending_limit.get());
        match &status {
            MainJob::Waiting {
                saturated: Some(reason),
            } if Some(reason) != question.saturation.as_ref() => {
                store
                    .set_saturation(run, reason, now)
                    .await
                    .map_err(store_failure)?;
                self.log(
                    run,
                    &format!("saturation/{}", ids::fingerprint(reason)),
                    "warning",
                    format!("the job {job} waits for too long: {reason}"),
                )
                .await?;
                let incident = self.completion().saturation(run, reason).await?;
                emit(&*self.parts.door, format!("{run}/saturation"), &incident)
                    .await
                    .map_err(emit_failure)?;
            }
            MainJob::Broken { reason } => {
                store
                    .end_deployment(run, deployment, None, reason, now)
                    .await
                    .map_err(store_failure)?;
                let what = format!("the job {job} does not start: {reason}");
                self.log(run, &format!("broken/{deployment}"), "error", what)
                    .await?;
            }
            MainJob::Started | MainJob::Waiting { .. } => {}
        }
        Ok(status)
    }

    /// From `INITIALIZING` to `PROCESSING`.
    #[activity(name = "update_run_started")]
    pub(crate) async fn update_run_started(
        self: Arc<Self>,
        ctx: ActivityContext,
        run: Uuid,
    ) -> Result<(), ActivityError> {
        let _beat = Beat::of(&ctx);
        let now = self.parts.store.now();
        let started = self.parts.store.set_started(run, now).await;
        started.map(drop).map_err(store_failure)
    }

    /// Tells front ends, and the business event, that the run has started.
    #[activity(name = "signal_pusher_started")]
    pub(crate) async fn signal_pusher_started(
        self: Arc<Self>,
        ctx: ActivityContext,
        run: Uuid,
    ) -> Result<(), ActivityError> {
        let _beat = Beat::of(&ctx);
        let notice = self.parts.notifier.notify(run, Notice::ReportRunStarted);
        notice.await.map_err(notify_failure)?;
        let event = self.completion().started(run).await?;
        emit(&*self.parts.door, format!("{run}/started"), &event)
            .await
            .map_err(emit_failure)
    }

    /// The tasks that the database has as active.
    #[activity(name = "get_active_running_tasks")]
    pub(crate) async fn get_active_running_tasks(
        self: Arc<Self>,
        ctx: ActivityContext,
        run: Uuid,
    ) -> Result<Vec<ActiveTask>, ActivityError> {
        let _beat = Beat::of(&ctx);
        self.parts.store.active_tasks(run).await.map_err(store_failure)
    }

    /// Compares active tasks with the cluster: one call, however many there are.
    #[activity(name = "get_history_statuses_to_sync")]
    pub(crate) async fn get_history_statuses_to_sync(
        self: Arc<Self>,
        ctx: ActivityContext,
        question: StatusQuestion,
    ) -> Result<Look, ActivityError> {
        let _beat = Beat::of(&ctx);
        let observed = self.parts.cluster.states(question.run).await;
        let observed = observed.map_err(cluster_failure)?;
        let now = self.parts.store.now();
        Ok(Look::of(
            &question.tasks,
            &observed,
            now,
            question.lost_after.get(),
            question.stopping,
        ))
    }

    /// Debugging information of active tasks: pods, exit statuses, how far they are, the log's end of those that have failed.
    #[activity(name = "get_bulk_task_history_data")]
    pub(crate) async fn get_bulk_task_history_data(
        self: Arc<Self>,
        ctx: ActivityContext,
        question: BulkQuestion,
    ) -> Result<Vec<TaskReport>, ActivityError> {
        let _beat = Beat::of(&ctx);
        Ok(question.reports(&*self.parts.cluster, &self.parts.outputs).await)
    }

    /// Writes debugging information down, and tells of the run's statistics.
    #[activity(name = "reconcile_tasks")]
    pub(crate) async fn reconcile_tasks(
        self: Arc<Self>,
        ctx: ActivityContext,
        reconciliation: Reconciliation,
    ) -> Result<(), ActivityError> {
        let _beat = Beat::of(&ctx);
        let Reconciliation {
            run,
            number,
            reports,
            missing,
            found,
        } = reconciliation;
        let now = self.parts.store.now();
        let store = &self.parts.store;
        store
            .report(run, number, &reports, &missing, &found, now)
            .await
            .map_err(store_failure)?;
        let stats = self.completion().stats(run, number).await?;
        emit(&*self.parts.door, format!("{run}/stats/{number}"), &stats)
            .await
            .map_err(emit_failure)
    }

    /// Brings the statuses of tasks in line with the cluster, and deploys the next where there is room.
    #[activity(name = "sync_statuses")]
    pub(crate) async fn sync_statuses(
        self: Arc<Self>,
        ctx: ActivityContext,
        sync: SyncStatuses,
    ) -> Result<Applied, ActivityError> {
        let _beat = Beat::of(&ctx);
        let now = self.parts.store.now();
        let store = &self.parts.store;
        let applied = store
            .correct(sync.run, sync.number, &sync.corrections, now)
            .await
            .map_err(store_failure)?;
        self.scheduler.dispatch(sync.run).await.map_err(deploy_failure)?;
        Ok(applied)
    }

    /// How many tasks are not done; if none, the run is.
    #[activity(name = "count_alive_tasks")]
    pub(crate) async fn count_alive_tasks(
        self: Arc<Self>,
        ctx: ActivityContext,
        run: Uuid,
    ) -> Result<u64, ActivityError> {
        let _beat = Beat::of(&ctx);
        self.parts.store.count_alive(run).await.map_err(store_failure)
    }

    /// The run's final status, and the business events of its end.
    #[activity(name = "update_run_status")]
    pub(crate) async fn update_run_status(
        self: Arc<Self>,
        ctx: ActivityContext,
        conclude: Conclude,
    ) -> Result<Ending, ActivityError> {
        let _beat = Beat::of(&ctx);
        let completion = self.completion();
        let Concluded {
            ending,
            summary,
            failed,
        } = completion
            .conclude(
                conclude.run,
                conclude.stop.as_ref(),
                conclude.undeployed.as_deref(),
            )
            .await?;
        let door = &*self.parts.door;
        let run = conclude.run;
        emit(door, format!("{run}/summary"), &summary)
            .await
            .map_err(emit_failure)?;
        if let Some(failed) = failed {
            emit(door, format!("{run}/failed"), &failed)
                .await
                .map_err(emit_failure)?;
        }
        Ok(ending)
    }

    /// Notes that the run is to be stopped, and cancels the tasks that wait to be deployed.
    #[activity(name = "cancel_queued_tasks")]
    pub(crate) async fn cancel_queued_tasks(
        self: Arc<Self>,
        ctx: ActivityContext,
        stopping: Stopping,
    ) -> Result<u64, ActivityError> {
        let _beat = Beat::of(&ctx);
        let Stopping { run, stop } = stopping;
        let store = &self.parts.store;
        // First: a deployment that is under way sees it.
        store
            .request_stop(run, stop.mode(), &stop.by)
            .await
            .map_err(store_failure)?;
        store.cancel_queued(run, store.now()).await.map_err(store_failure)
    }

    /// Asks the cluster to stop one job.
    #[activity(name = "k8_stop_task")]
    pub(crate) async fn k8_stop_task(
        self: Arc<Self>,
        ctx: ActivityContext,
        stop: StopTask,
    ) -> Result<bool, ActivityError> {
        let _beat = Beat::of(&ctx);
        let told = self.parts.cluster.stop(&stop.job, stop.grace.get());
        told.await.map_err(cluster_failure)
    }

    /// Notes in the database that the run was stopped by hand.
    #[activity(name = "add_cancellation_log_to_db")]
    pub(crate) async fn add_cancellation_log_to_db(
        self: Arc<Self>,
        ctx: ActivityContext,
        stopping: Stopping,
    ) -> Result<(), ActivityError> {
        let _beat = Beat::of(&ctx);
        let Stopping { run, stop } = stopping;
        let how = if stop.force { " by force" } else { "" };
        let id = if stop.force { "stop/force" } else { "stop" };
        let text = format!("the run was stopped{how} by {}", stop.by);
        self.log(run, id, "warning", text).await
    }

    /// Tells front ends, and the business event, that the run was stopped.
    #[activity(name = "signal_pusher_stopped")]
    pub(crate) async fn signal_pusher_stopped(
        self: Arc<Self>,
        ctx: ActivityContext,
        stopping: Stopping,
    ) -> Result<(), ActivityError> {
        let _beat = Beat::of(&ctx);
        let Stopping { run, stop } = stopping;
        let notice = self.parts.notifier.notify(run, Notice::ReportRunStopped);
        notice.await.map_err(notify_failure)?;
        let event = self.completion().stopped(run, &stop).await?;
        emit(&*self.parts.door, format!("{run}/stopped"), &event)
            .await
            .map_err(emit_failure)
    }

    /// Deletes the pod of one job: only of a run that is stopped by force, or that did not stop in time.
    #[activity(name = "k8_stop_pod")]
    pub(crate) async fn k8_stop_pod(
        self: Arc<Self>,
        ctx: ActivityContext,
        job: JobName,
    ) -> Result<bool, ActivityError> {
        let _beat = Beat::of(&ctx);
        self.parts.cluster.delete_pod(&job).await.map_err(cluster_failure)
    }

    /// Delivers the run's records, once their count is that of the crawler.
    #[activity(name = "initiate_export_signal")]
    pub(crate) async fn initiate_export_signal(
        self: Arc<Self>,
        ctx: ActivityContext,
        run: Uuid,
    ) -> Result<(), ActivityError> {
        let _beat = Beat::of(&ctx);
        let exported = self.parts.exporter.export(run, &*self.parts.door).await;
        exported.map_err(export_failure)
    }

    /// Puts the run's supporting files into an archive and keeps that; returns where.
    #[activity(name = "export_supporting_files")]
    pub(crate) async fn export_supporting_files(
        self: Arc<Self>,
        ctx: ActivityContext,
        run: Uuid,
    ) -> Result<Option<String>, ActivityError> {
        let _beat = Beat::of(&ctx);
        let store = &self.parts.store;
        let processes = store.run(run).await.map_err(store_failure)?.processes;
        let kept = self.parts.archive.keep(&self.parts.outputs, run, processes).await;
        let location = kept.map_err(archive_failure)?;
        crash::at(Moment::After, "keep");
        if let Some(location) = &location {
            store
                .set_supporting_file(run, location)
                .await
                .map_err(store_failure)?;
        }
        Ok(location)
    }
}

impl LifecycleActivities {
    /// The record names its workflow from the first: one that is terminated before the next activity is found by it.
    async fn create(
        &self,
        request: &RunRequest,
        run: Uuid,
        workflow_id: &str,
    ) -> Result<crate::store::Run, ActivityError> {
        let store = &self.parts.store;
        let crawler = store.crawler(request.crawler).await.map_err(store_failure)?;
        let new = NewRun {
            id: run,
            crawler: request.crawler,
            trigger: request.trigger,
            workflow_id: workflow_id.to_owned(),
            request_hash: request.request_hash.clone(),
            processes: crawler.definition.processes,
            created_at: store.now(),
        };
        store.create_run(&new).await.map_err(store_failure)
    }

    async fn deploy(&self, deploy: Deploy) -> Result<MainDeployment, ActivityError> {
        let Deploy { run, number } = deploy;
        let deployed = self.scheduler.deploy(run, number).await.map_err(deploy_failure)?;
        let what = format!("deployed as the job {}", deployed.job);
        self.log(run, &format!("deployed/{number}"), "info", what).await?;
        Ok(deployed)
    }

    async fn log(&self, run: Uuid, id: &str, level: &str, message: String) -> Result<(), ActivityError> {
        let line = LogLine {
            task_id: None,
            level: level.to_owned(),
            message,
            at: self.parts.store.now(),
        };
        self.parts
            .store
            .add_log(run, id, &line)
            .await
            .map_err(store_failure)
    }
}

/// The id of the run that an execution of a schedule makes.
fn run_id_of(workflow_id: &str) -> Uuid {
    ids::derived(&["run", workflow_id])
}

/// The trigger's activity: a schedule's runs and all others are deployed alike, and told apart in the history.
pub(crate) fn is_scheduled(trigger: Trigger) -> bool {
    trigger == Trigger::Scheduled
}

fn failure(
    ty: &str,
    error: &dyn std::fmt::Display,
    retryable: bool,
    after: Option<std::time::Duration>,
) -> ActivityError {
    let builder = ApplicationFailure::builder(error.to_string())
        .type_name(ty.to_owned())
        .non_retryable(!retryable)
        .maybe_next_retry_delay(after);
    ActivityError::application(builder.build())
}

pub(crate) fn store_failure(error: StoreError) -> ActivityError {
    failure("Store", &error, error.is_retryable(), None)
}

fn lifecycle_failure(error: LifecycleError) -> ActivityError {
    match error {
        LifecycleError::Store(error) => store_failure(error),
        error => failure("Lifecycle", &error, true, None),
    }
}

fn cluster_failure(error: ClusterError) -> ActivityError {
    let after = match &error {
        ClusterError::Retryable { retry_after, .. } => *retry_after,
        ClusterError::Permanent { .. } => None,
    };
    failure("Cluster", &error, error.is_retryable(), after)
}

fn deploy_failure(error: DeployError) -> ActivityError {
    let after = match &error {
        DeployError::Cluster {
            source: ClusterError::Retryable { retry_after, .. },
            ..
        } => *retry_after,
        _ => None,
    };
    failure("Deploy", &error, error.is_retryable(), after)
}

pub(crate) fn emit_failure(error: EmitError) -> ActivityError {
    let retryable = matches!(error, EmitError::Retryable(_));
    failure("FrontDoor", &error, retryable, None)
}

fn notify_failure(error: NotifyError) -> ActivityError {
    failure("Notifier", &error, error.retryable, None)
}

fn export_failure(error: ExportError) -> ActivityError {
    failure("Export", &error, error.is_retryable(), None)
}

fn archive_failure(error: ArchiveError) -> ActivityError {
    failure("Archive", &error, true, None)
}
