//! The sweeper: finds jobs that are nobody's and runs that nobody looks after.
//!
//! Both come about when something ends between two steps: a deployment whose answer was lost while the run was stopped, a
//! workflow that was terminated. A schedule of the engine starts it, so that of several processes one sweeps.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client,
    schedules::{
        CreateScheduleOptions, ScheduleAction, ScheduleError, ScheduleIntervalSpec, ScheduleOverlapPolicy,
        ScheduleSpec, ScheduleUpdate,
    },
    tonic::Code,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    cluster::{Cluster, ClusterError, JobName, JobState},
    lifecycle::{Lifecycle, LifecycleError},
    store::{RunStatus, StoreError},
};

/// The id of its schedule.
pub const SCHEDULE: &str = "crawl-platform/sweeper";
/// Runs that are looked after in one sweep.
const RUNS: u32 = 500;

/// How the sweeper judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// How often it sweeps.
    pub every: Duration,
    /// How old a job of no run, a job of a run that has ended, or a run without a workflow is before something is done about
    /// it: until then whoever made it may be about to say so.
    pub grace: Duration,
    /// How long jobs that have ended are kept, for people who look into them.
    pub keep_ended: Duration,
}

impl Default for SweepSettings {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(300),
            grace: Duration::from_secs(300),
            keep_ended: Duration::from_secs(24 * 3600),
        }
    }
}

/// What is to be done about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is somebody's, or too young.
    Leave,
    /// It runs for nobody: its run has ended, or there is no such run.
    Orphan,
    /// It has ended, long ago.
    Expired,
}

/// Judges a job; `run` is what the database knows of its run.
pub fn judge(
    job: &JobState,
    run: Option<(RunStatus, Option<OffsetDateTime>)>,
    now: OffsetDateTime,
    settings: SweepSettings,
) -> Verdict {
    let is_past =
        |at: OffsetDateTime, age: Duration| now - at >= time::Duration::try_from(age).unwrap_or_default();
    if job.phase.has_ended() {
        let looked_after = run.is_some_and(|(status, _)| !status.is_final());
        let old = is_past(job.ended_at.unwrap_or(job.created_at), settings.keep_ended);
        return if old && !looked_after {
            Verdict::Expired
        } else {
            Verdict::Leave
        };
    }
    let nobodys = match run {
        None => is_past(job.created_at, settings.grace),
        Some((status, ended_at)) => {
            status.is_final() && is_past(ended_at.unwrap_or(job.created_at), settings.grace)
        }
    };
    if nobodys { Verdict::Orphan } else { Verdict::Leave }
}

/// What a sweep has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Jobs that ran for nobody, and were ended.
    pub orphans: Vec<JobName>,
    /// Jobs that had ended long ago, and were removed.
    pub expired: u32,
    /// Runs that nobody looked after, and were gone on with; or are stopped, where their schedule has replaced them.
    pub resumed: Vec<Uuid>,
}

/// Why a sweep was not finished.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The cluster does not answer.
    #[error("the cluster: {0}")]
    Cluster(#[from] ClusterError),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine does not answer.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
}

/// Sweeps once.
///
/// # Errors
///
/// [`SweepError`]; the next sweep does what this one has not.
pub async fn sweep(
    cluster: &dyn Cluster,
    lifecycle: &Lifecycle,
    settings: SweepSettings,
) -> Result<Swept, SweepError> {
    let mut swept = Swept::default();
    let store = lifecycle.store();
    let now = store.now();
    let jobs = cluster.all().await?;
    let mut runs: Vec<Uuid> = jobs.iter().filter_map(|job| job.run).collect();
    runs.sort_unstable();
    runs.dedup();
    let known: HashMap<_, _> = store.statuses(&runs).await?;
    for job in &jobs {
        let run = job.run.and_then(|run| known.get(&run).copied());
        match judge(job, run, now, settings) {
            Verdict::Leave => {}
            Verdict::Orphan => {
                tracing::warn!(job = %job.name, run = ?job.run, "a job runs for nobody");
                cluster.remove(&job.name).await?;
                swept.orphans.push(job.name.clone());
            }
            Verdict::Expired => {
                cluster.remove(&job.name).await?;
                swept.expired += 1;
            }
        }
    }
    for run in store.open_runs(now, settings.grace, RUNS).await? {
        match lifecycle.look_after(run.id).await {
            Ok(_) => {
                tracing::warn!(run = %run.id, "nobody looked after a run");
                swept.resumed.push(run.id);
            }
            // As it should be.
            Err(LifecycleError::LookedAfter(_) | LifecycleError::Ended(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(swept)
}

/// Sweeps once.
#[workflow]
#[derive(Default)]
pub struct Sweeper;

#[workflow_methods]
impl Sweeper {
    /// One sweep.
    #[run(name = "CrawlSweeper")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Swept> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(600))
            .schedule_to_start_timeout(Duration::from_secs(600))
            .build();
        Ok(ctx
            .execute_activity(SweeperActivities::sweep, (), options)
            .await?)
    }
}

/// The sweeper's activity.
pub struct SweeperActivities {
    cluster: Arc<dyn Cluster>,
    /// There once the engine has started.
    lifecycle: Arc<OnceCell<Lifecycle>>,
    settings: SweepSettings,
}

impl SweeperActivities {
    /// Sweeps this cluster.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        lifecycle: Arc<OnceCell<Lifecycle>>,
        settings: SweepSettings,
    ) -> Self {
        Self {
            cluster,
            lifecycle,
            settings,
        }
    }
}

#[activities]
impl SweeperActivities {
    /// Ends orphaned jobs, removes old ones, and goes on with runs that nobody looks after.
    #[activity(name = "sweep")]
    pub(crate) async fn sweep(self: Arc<Self>, _ctx: ActivityContext) -> Result<Swept, ActivityError> {
        let failure = |text: String| {
            let failure = ApplicationFailure::builder(text).type_name("Sweep".to_owned());
            ActivityError::application(failure.build())
        };
        let lifecycle = self
            .lifecycle
            .get()
            .ok_or_else(|| failure("the process is starting".to_owned()))?;
        sweep(&*self.cluster, lifecycle, self.settings)
            .await
            .map_err(|error| failure(error.to_string()))
    }
}

/// Has the engine sweep at intervals. A schedule that is there gets this interval, and stays paused if somebody has paused it.
///
/// # Errors
///
/// When the engine does not take the schedule.
pub async fn schedule(client: &Client, settings: SweepSettings) -> Result<(), ScheduleError> {
    let action = ScheduleAction::start_workflow(Sweeper::run, (), segno::worker::TASK_QUEUE, "crawl-sweeper");
    let spec = ScheduleSpec::builder()
        .intervals(vec![ScheduleIntervalSpec::new(settings.every, None)])
        .build();
    let options = CreateScheduleOptions::builder()
        .action(action)
        .spec(spec.clone())
        .overlap_policy(ScheduleOverlapPolicy::Skip)
        .build();
    match client.create_schedule(SCHEDULE, options).await {
        Ok(_) => return Ok(()),
        Err(ScheduleError::Rpc(status)) if status.code() == Code::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let handle = client.get_schedule_handle(SCHEDULE);
    let described = handle.describe(Default::default()).await?;
    let spec_of = described
        .raw()
        .schedule
        .as_ref()
        .and_then(|schedule| schedule.spec.as_ref());
    let interval = spec_of.and_then(|spec| spec.interval.first()?.interval);
    if interval.and_then(|interval| Duration::try_from(interval).ok()) == Some(settings.every) {
        return Ok(());
    }
    let change = move |update: &mut ScheduleUpdate| {
        update.set_spec(spec);
    };
    handle.update(change, Default::default()).await
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::cluster::Phase;

    const NOW: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);

    fn job(phase: Phase, minutes: i64) -> JobState {
        let at = NOW - time::Duration::minutes(minutes);
        JobState {
            name: JobName::of(Uuid::nil(), 0, 1),
            id: "uid".to_owned(),
            run: Some(Uuid::nil()),
            task: None,
            phase,
            pending: None,
            stopping: false,
            pod: None,
            exit_code: None,
            failure: None,
            created_at: at,
            started_at: None,
            ended_at: phase.has_ended().then_some(at),
        }
    }

    #[test]
    fn jobs_are_left_ended_or_removed() {
        let settings = SweepSettings::default();
        let ended = |minutes| Some((RunStatus::Failed, Some(NOW - time::Duration::minutes(minutes))));
        let open = Some((RunStatus::Processing, None));
        for (job, run, verdict) in [
            (job(Phase::Running, 60), open, Verdict::Leave),
            (job(Phase::Running, 60), ended(1), Verdict::Leave),
            (job(Phase::Running, 60), ended(5), Verdict::Orphan),
            (job(Phase::Pending, 60), ended(5), Verdict::Orphan),
            (job(Phase::Running, 1), None, Verdict::Leave),
            (job(Phase::Running, 5), None, Verdict::Orphan),
            (job(Phase::Failed, 60), ended(60), Verdict::Leave),
            (job(Phase::Succeeded, 24 * 60), ended(60), Verdict::Expired),
            (job(Phase::Succeeded, 24 * 60), None, Verdict::Expired),
            (job(Phase::Succeeded, 24 * 60), open, Verdict::Leave),
        ] {
            assert_eq!(judge(&job, run, NOW, settings), verdict, "{job:?} {run:?}");
        }
    }
}
