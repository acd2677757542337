//! The workflow that is a run.

use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use temporalio_common::{ActivityDefinition, data_converters::RawValue};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCloseTimeouts, ActivityExecutionError, ActivityOptions, ApplicationFailure, CancellableFuture,
    ContinueAsNewOptions, SyncWorkflowContext, TimerOptions, WaitConditionOptions, WorkflowCancellationToken,
    WorkflowContext, WorkflowContextView, WorkflowResult, workflows::join_all,
};
use temporalio_workflow::RetryPolicy;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    RunRequest, RunResult, RunView, Stage, StopRequest,
    activities::{
        BulkQuestion, Conclude, Deploy, LifecycleActivities, MainJobQuestion, Reconciliation, StatusQuestion,
        StopTask, Stopping, SyncStatuses, is_scheduled,
    },
    request::{Progress, Timing},
    rules::{ActiveTask, MainJob, f64_seconds::Seconds},
};
use crate::store::{RunStatus, TaskStatus};

/// How long one attempt of an activity may take.
const ATTEMPT: Duration = Duration::from_secs(60);
/// How long one attempt to deliver records or to archive files may take.
const LONG_ATTEMPT: Duration = Duration::from_secs(3600);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Jobs that are told to stop at once.
const AT_ONCE: usize = 50;

/// The life of a run.
///
/// The signal `stop` takes a [`StopRequest`]; `clusterChanged` makes it look at the cluster now; the query `getStatus` tells
/// a [`RunView`]. A cancellation is a stop, and not by force.
#[workflow]
pub struct CrawlerRun {
    request: RunRequest,
    progress: Option<Progress>,
    stage: Stage,
    /// Whether the cluster has told of a change since it was last looked at.
    changed: bool,
    /// Whether a cancellation was noted.
    canceled: bool,
    next_look_at: Option<OffsetDateTime>,
    status: Option<RunStatus>,
    /// A stop that came before the run's record was there.
    stop: Option<StopRequest>,
}

#[workflow_methods]
impl CrawlerRun {
    #[init]
    fn new(_ctx: &WorkflowContextView, request: RunRequest) -> Self {
        let progress = request.progress.clone();
        Self {
            stage: progress
                .as_ref()
                .map_or(Stage::Initiation, |progress| progress.stage),
            stop: progress
                .as_ref()
                .map_or_else(|| request.stop.clone(), |progress| progress.stop.clone()),
            request,
            progress,
            changed: false,
            canceled: false,
            next_look_at: None,
            status: None,
        }
    }

    /// The four stages.
    #[run(name = "CrawlerRun")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<RunResult> {
        let timing = ctx.state(|run| run.request.timing.clone());
        if ctx.state(|run| run.progress.is_none())
            && let Some(ended) = initiate(ctx).await?
        {
            return Ok(ended);
        }
        let mut undeployed = ctx.state(|run| run.progress.as_ref().and_then(|it| it.undeployed.clone()));
        if stage(ctx) == Stage::Deployment && !stopping(ctx) {
            undeployed = deploy(ctx, &timing).await?;
            ctx.state_mut(|run| run.progress(|progress| progress.undeployed.clone_from(&undeployed)));
            if undeployed.is_none() && !stopping(ctx) {
                started(ctx).await?;
            }
        }
        if stage(ctx) == Stage::Reconciliation && undeployed.is_none() {
            reconcile(ctx, &timing).await?;
        }
        if undeployed.is_some() || stopping(ctx) || stage(ctx) == Stage::Stopping {
            // A run that could not be deployed may have left jobs that wait.
            stop(ctx, &timing, undeployed.as_deref()).await?;
        }
        complete(ctx, undeployed).await
    }

    /// Stops the run. By force outlasts gracefully; what is no stop is ignored, as a failing handler would stop the workflow.
    #[signal(name = "stop")]
    pub fn stop(&mut self, _ctx: &mut SyncWorkflowContext<Self>, stop: RawValue) {
        let Some(stop) = read::<StopRequest>(&stop) else {
            return;
        };
        self.ask_to_stop(stop);
    }

    /// The cluster tells of a change.
    #[signal(name = "clusterChanged")]
    pub fn cluster_changed(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {
        self.changed = true;
    }

    /// How far the run is.
    #[query(name = "getStatus")]
    pub fn get_status(&self, _ctx: &WorkflowContextView) -> RunView {
        let progress = self.progress.as_ref();
        RunView {
            run_id: progress.map(|progress| progress.run),
            stage: self.stage,
            deployments: progress.map_or(0, |progress| progress.deployment),
            saturation: progress.and_then(|progress| progress.saturation.clone()),
            reconciliations: progress.map_or(0, |progress| progress.reconciliations),
            alive: progress.map_or(0, |progress| progress.alive),
            stop: self.stop.clone(),
            next_look_at: self.next_look_at,
            status: self.status,
        }
    }
}

impl CrawlerRun {
    fn ask_to_stop(&mut self, stop: StopRequest) {
        match &mut self.stop {
            Some(asked) => asked.force |= stop.force,
            None => self.stop = Some(stop),
        }
    }

    fn progress(&mut self, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = &mut self.progress {
            change(progress);
        }
    }
}

type Context = WorkflowContext<CrawlerRun>;

fn read<T: serde::de::DeserializeOwned>(raw: &RawValue) -> Option<T> {
    serde_json::from_slice(&raw.payloads.first()?.data).ok()
}

fn stage(ctx: &Context) -> Stage {
    ctx.state(|run| run.stage)
}

fn stopping(ctx: &Context) -> bool {
    ctx.state(|run| run.stop.is_some())
}

fn stop_request(ctx: &Context) -> Option<StopRequest> {
    ctx.state(|run| run.stop.clone())
}

fn forced(ctx: &Context) -> bool {
    ctx.state(|run| run.stop.as_ref().is_some_and(|stop| stop.force))
}

/// The run's id; nil before there is one, when nothing asks.
fn run_id(ctx: &Context) -> Uuid {
    ctx.state(|run| run.progress.as_ref().map_or(Uuid::nil(), |progress| progress.run))
}

/// Moves on to a stage, which a workflow that goes on as new then begins with.
fn enter(ctx: &Context, stage: Stage) {
    ctx.state_mut(|run| {
        run.stage = stage;
        run.progress(|progress| progress.stage = stage);
    });
}

fn now(ctx: &Context) -> OffsetDateTime {
    ctx.workflow_time().unwrap_or(SystemTime::UNIX_EPOCH).into()
}

/// How activities are tried: without an end, so that an outage of the database or the cluster holds a run up and does not
/// end it. A cancellation does not reach them: it is a stop, and that needs them.
fn options(ctx: &Context, attempt: Duration) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(attempt)
        .heartbeat_timeout(ctx.state(|run| run.request.timing.heartbeat()))
        .retry_policy(retries())
        .cancellation_token(WorkflowCancellationToken::new())
        .build()
}

fn retries() -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_secs(1))
        .maximum_interval(LONGEST_PAUSE)
        .build()
}

async fn act<A: ActivityDefinition>(
    ctx: &Context,
    activity: A,
    input: impl Into<A::Input>,
) -> Result<A::Output, ActivityExecutionError> {
    ctx.execute_activity(activity, input, options(ctx, ATTEMPT)).await
}

/// Waits, at most so long; less if it is to be stopped, or more urgently so, or `wakes` says so of the state.
async fn wait(ctx: &Context, long: Duration, wakes: impl Fn(&CrawlerRun) -> bool) {
    let (before, canceled) = ctx.state(|run| (run.stop.clone(), run.canceled));
    let next = now(ctx) + long;
    ctx.state_mut(|run| run.next_look_at = Some(next));
    // One token for the timer, so that only this function ends it; the condition hears of a cancellation, once.
    let own = WorkflowCancellationToken::new();
    let token = if canceled {
        own.clone()
    } else {
        ctx.cancellation_token()
    };
    let mut alarm = ctx.timer(TimerOptions::builder(long).cancellation_token(own).build());
    temporalio_sdk::workflows::select! {
        _ = alarm => {},
        woken = ctx.wait_condition_with_options(
            |run| run.stop != before || wakes(run),
            WaitConditionOptions::builder().cancellation_token(token).build(),
        ) => {
            alarm.cancel();
            if woken.is_err() {
                ctx.state_mut(|run| {
                    run.canceled = true;
                    run.ask_to_stop(StopRequest { force: false, by: "a cancellation of its workflow".to_owned() });
                });
            }
        }
    }
    ctx.state_mut(|run| run.next_look_at = None);
}

/// Goes on as new if the history is long.
fn renew(ctx: &Context) -> WorkflowResult<()> {
    let longest = ctx.state(|run| run.request.timing.history_events);
    if ctx.continue_as_new_suggested() || ctx.history_length() > longest {
        let request = ctx.state_mut(|run| {
            let stop = run.stop.clone();
            run.progress(|progress| progress.stop = stop);
            RunRequest {
                progress: run.progress.clone(),
                ..run.request.clone()
            }
        });
        ctx.continue_as_new(request, ContinueAsNewOptions::default())?;
    }
    Ok(())
}

/// Stage 1. Yields the result of a run that has ended before.
async fn initiate(ctx: &Context) -> WorkflowResult<Option<RunResult>> {
    let request = ctx.state(|run| run.request.clone());
    let history = act(ctx, LifecycleActivities::create_history_id, request).await?;
    let deploying_since = now(ctx);
    ctx.state_mut(|run| {
        run.progress = Some(Progress {
            run: history.run,
            single: history.single,
            stage: Stage::Deployment,
            deployment: history.deployments.max(1),
            deploying_since,
            started_at: history.started_at,
            saturation: None,
            reconciliations: 0,
            alive: 0,
            stop: None,
            stop_deadline: None,
            undeployed: None,
        });
        if let Some(stop) = history.stop {
            run.ask_to_stop(stop);
        }
    });
    act(ctx, LifecycleActivities::add_workflow_id, history.run).await?;
    let stage = match history.status {
        RunStatus::Initializing => Stage::Deployment,
        RunStatus::Processing => Stage::Reconciliation,
        // Its end was on record, and what follows from it perhaps not yet.
        RunStatus::Completed | RunStatus::Failed => Stage::Completion,
    };
    enter(ctx, stage);
    Ok(None)
}

/// Stage 2. Yields why the run cannot be deployed, if it cannot; returns also when it is to be stopped.
async fn deploy(ctx: &Context, timing: &Timing) -> WorkflowResult<Option<String>> {
    let run = run_id(ctx);
    let scheduled = ctx.state(|run| is_scheduled(run.request.trigger));
    loop {
        let (number, since) = ctx.state(|run| {
            run.progress
                .as_ref()
                .map_or((1, OffsetDateTime::UNIX_EPOCH), |progress| {
                    (progress.deployment, progress.deploying_since)
                })
        });
        let limit = since + timing.start_limit_seconds.get();
        let broken = match put_on_cluster(ctx, Deploy { run, number }, scheduled, limit).await {
            Put::Deployed => loop {
                wait(ctx, timing.status_poll(), |_| false).await;
                if stopping(ctx) {
                    return Ok(None);
                }
                renew(ctx)?;
                let saturation = ctx.state(|run| run.progress.as_ref().and_then(|it| it.saturation.clone()));
                let question = MainJobQuestion {
                    run,
                    deployment: number,
                    pending_limit: timing.pending_limit_seconds,
                    saturation,
                };
                match act(ctx, LifecycleActivities::get_main_job_status, question).await? {
                    MainJob::Started => {
                        ctx.state_mut(|run| run.progress(|progress| progress.saturation = None));
                        return Ok(None);
                    }
                    MainJob::Broken { reason } => break reason,
                    MainJob::Waiting { saturated } => {
                        if saturated.is_some() {
                            ctx.state_mut(|run| run.progress(|progress| progress.saturation = saturated));
                        }
                        if now(ctx) >= limit {
                            let long = timing.start_limit_seconds.get().as_secs();
                            return Ok(Some(format!("the job did not start within {long} s")));
                        }
                    }
                }
            },
            Put::Stopped => return Ok(None),
            Put::Refused(reason) => reason,
        };
        if number >= timing.deployments.max(1) || now(ctx) >= limit {
            return Ok(Some(format!("deployed {number} times in vain: {broken}")));
        }
        wait(ctx, timing.redeploy_pause_seconds.get(), |_| false).await;
        if stopping(ctx) {
            return Ok(None);
        }
        // The same history record, another job.
        ctx.state_mut(|run| run.progress(|progress| progress.deployment = number + 1));
    }
}

enum Put {
    Deployed,
    Stopped,
    Refused(String),
}

/// Deploys; it is tried again after some pause until the limit, and given up when the run is to be stopped.
async fn put_on_cluster(ctx: &Context, deploy: Deploy, scheduled: bool, limit: OffsetDateTime) -> Put {
    let token = WorkflowCancellationToken::new();
    let left = Duration::try_from(limit - now(ctx)).unwrap_or_default();
    let timeouts = ActivityCloseTimeouts::ScheduleAndStartToClose {
        schedule_to_close: left.max(ATTEMPT),
        start_to_close: ATTEMPT,
    };
    let options = ActivityOptions::with_close_timeouts(timeouts)
        .heartbeat_timeout(ctx.state(|run| run.request.timing.heartbeat()))
        .retry_policy(retries())
        .cancellation_token(token.clone())
        .build();
    // Two activities for the history's readers, which do the same.
    let deploying = async {
        let deployed = if scheduled {
            ctx.execute_activity(LifecycleActivities::run_scheduled_crawler, deploy, options)
                .await
        } else {
            ctx.execute_activity(LifecycleActivities::run_onetime_crawler, deploy, options)
                .await
        };
        deployed.map(drop)
    };
    let mut deploying = std::pin::pin!(deploying.fuse());
    let outcome = temporalio_sdk::workflows::select! {
        outcome = deploying => outcome,
        _ = ctx.wait_condition_with_options(
            |run| run.stop.is_some(),
            WaitConditionOptions::builder().cancellation_token(WorkflowCancellationToken::new()).build(),
        ) => {
            token.cancel();
            // What it has done until then is found on the cluster.
            drop(deploying.await);
            return Put::Stopped;
        }
    };
    match outcome {
        Ok(()) => Put::Deployed,
        Err(error) => Put::Refused(reason_of(&error)),
    }
}

/// The failure in words.
fn reason_of(error: &ActivityExecutionError) -> String {
    error
        .reason()
        .map_or_else(|| error.to_string(), |reason| reason.failure().message.clone())
}

/// From deployment to reconciliation.
async fn started(ctx: &Context) -> WorkflowResult<()> {
    let run = run_id(ctx);
    act(ctx, LifecycleActivities::update_run_started, run).await?;
    let started_at = now(ctx);
    ctx.state_mut(|run| run.progress(|progress| progress.started_at = Some(started_at)));
    enter(ctx, Stage::Reconciliation);
    tell(
        ctx,
        act(ctx, LifecycleActivities::signal_pusher_started, run).await,
    )
}

/// A front end that is not told holds no run up: what is refused for good is left out.
fn tell(_ctx: &Context, told: Result<(), ActivityExecutionError>) -> WorkflowResult<()> {
    match told {
        Err(error) if error.as_cancelled().is_some() => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Stage 3: until no task is alive, or the run is to be stopped.
async fn reconcile(ctx: &Context, timing: &Timing) -> WorkflowResult<()> {
    loop {
        if stopping(ctx) {
            return Ok(());
        }
        ctx.state_mut(|run| run.changed = false);
        let (alive, _) = look(ctx, timing, false).await?;
        if alive == 0 {
            enter(ctx, Stage::Completion);
            return Ok(());
        }
        renew(ctx)?;
        let started_at = ctx.state(|run| run.progress.as_ref().and_then(|progress| progress.started_at));
        let age = started_at.map_or(Duration::ZERO, |at| {
            Duration::try_from(now(ctx) - at).unwrap_or_default()
        });
        wait(ctx, timing.intervals.next(age), |run| run.changed).await;
    }
}

/// Reconciles once: what is alive then, and what was active before.
async fn look(ctx: &Context, timing: &Timing, stopping: bool) -> WorkflowResult<(u64, Vec<ActiveTask>)> {
    let run = run_id(ctx);
    let number = ctx.state_mut(|run| {
        run.progress(|progress| progress.reconciliations += 1);
        run.progress
            .as_ref()
            .map_or(0, |progress| progress.reconciliations)
    });
    let tasks = act(ctx, LifecycleActivities::get_active_running_tasks, run).await?;
    if !tasks.is_empty() {
        let question = StatusQuestion {
            run,
            tasks: tasks.clone(),
            stopping,
            lost_after: timing.lost_after_seconds,
        };
        let look = act(ctx, LifecycleActivities::get_history_statuses_to_sync, question).await?;
        let question = BulkQuestion {
            run,
            tasks: tasks.clone(),
            seen: look.seen,
            corrections: look.comparison.corrections.clone(),
        };
        let reports = act(ctx, LifecycleActivities::get_bulk_task_history_data, question).await?;
        let reconciliation = Reconciliation {
            run,
            number,
            reports,
            missing: look.comparison.missing,
            found: look.comparison.found,
        };
        tell(
            ctx,
            act(ctx, LifecycleActivities::reconcile_tasks, reconciliation).await,
        )?;
        let sync = SyncStatuses {
            run,
            number,
            corrections: look.comparison.corrections,
        };
        act(ctx, LifecycleActivities::sync_statuses, sync).await?;
    }
    let alive = act(ctx, LifecycleActivities::count_alive_tasks, run).await?;
    ctx.state_mut(|run| run.progress(|progress| progress.alive = alive));
    Ok((alive, tasks))
}

/// Stops what is left of the run: gracefully first, then by force. `undeployed`: not as somebody has asked, but as it cannot
/// be deployed.
async fn stop(ctx: &Context, timing: &Timing, undeployed: Option<&str>) -> WorkflowResult<()> {
    let run = run_id(ctx);
    enter(ctx, Stage::Stopping);
    let asked = || {
        stop_request(ctx).unwrap_or_else(|| StopRequest {
            force: false,
            by: undeployed.unwrap_or("the platform").to_owned(),
        })
    };
    let stopping = |stop| Stopping { run, stop };
    // A workflow that has gone on as new has told them before: their time to end runs on.
    let told = ctx.state(|run| run.progress.as_ref().and_then(|progress| progress.stop_deadline));
    let deadline = match told {
        Some(deadline) => deadline,
        None => {
            act(ctx, LifecycleActivities::cancel_queued_tasks, stopping(asked())).await?;
            let tasks = act(ctx, LifecycleActivities::get_active_running_tasks, run).await?;
            if !forced(ctx) {
                let grace = timing.stop_grace_seconds;
                tell_jobs(ctx, &tasks, JobWord::Stop(grace)).await?;
            }
            if undeployed.is_none() {
                act(
                    ctx,
                    LifecycleActivities::add_cancellation_log_to_db,
                    stopping(asked()),
                )
                .await?;
            }
            let deadline = now(ctx) + timing.stop_grace_seconds.get();
            ctx.state_mut(|run| run.progress(|progress| progress.stop_deadline = Some(deadline)));
            deadline
        }
    };
    let mut by_force = false;
    loop {
        if !by_force && (forced(ctx) || now(ctx) >= deadline) {
            by_force = true;
            let tasks = act(ctx, LifecycleActivities::get_active_running_tasks, run).await?;
            tell_jobs(ctx, &tasks, JobWord::Kill).await?;
        }
        ctx.state_mut(|run| run.changed = false);
        let (alive, _) = look(ctx, timing, true).await?;
        if alive == 0 {
            break;
        }
        renew(ctx)?;
        let urgent = by_force;
        wait(ctx, timing.status_poll(), |run| {
            run.changed || (!urgent && run.stop.as_ref().is_some_and(|stop| stop.force))
        })
        .await;
        if by_force {
            // A pod that was made in between.
            let tasks = act(ctx, LifecycleActivities::get_active_running_tasks, run).await?;
            tell_jobs(ctx, &tasks, JobWord::Kill).await?;
        }
    }
    enter(ctx, Stage::Completion);
    Ok(())
}

#[derive(Clone, Copy)]
enum JobWord {
    Stop(Seconds),
    Kill,
}

/// Tells jobs of tasks to stop, or deletes their pods: one activity a job.
async fn tell_jobs(ctx: &Context, tasks: &[ActiveTask], word: JobWord) -> WorkflowResult<()> {
    let deployed: Vec<_> = tasks
        .iter()
        .filter(|task| task.status != TaskStatus::Queued)
        .collect();
    for tasks in deployed.chunks(AT_ONCE) {
        let told: Vec<_> = tasks
            .iter()
            .map(|task| async {
                let job = task.job.clone();
                match word {
                    JobWord::Stop(grace) => {
                        act(ctx, LifecycleActivities::k8_stop_task, StopTask { job, grace }).await
                    }
                    JobWord::Kill => act(ctx, LifecycleActivities::k8_stop_pod, job).await,
                }
            })
            .collect();
        for told in join_all(told).await {
            told?;
        }
    }
    Ok(())
}

/// Stage 4.
async fn complete(ctx: &Context, undeployed: Option<String>) -> WorkflowResult<RunResult> {
    let run = run_id(ctx);
    enter(ctx, Stage::Completion);
    let stop = stop_request(ctx);
    let conclude = Conclude {
        run,
        stop: stop.clone(),
        undeployed,
    };
    let ending = act(ctx, LifecycleActivities::update_run_status, conclude).await?;
    ctx.state_mut(|run| run.status = Some(ending.status));
    if let Some(stop) = stop {
        let told = act(
            ctx,
            LifecycleActivities::signal_pusher_stopped,
            Stopping { run, stop },
        )
        .await;
        tell(ctx, told)?;
    }
    // A delivery that is refused for good is in the record, and a business event tells of it: the run has ended well all the
    // same, and its files are kept.
    if ending.status == RunStatus::Completed {
        let exported = ctx
            .execute_activity(
                LifecycleActivities::initiate_export_signal,
                run,
                options(ctx, LONG_ATTEMPT),
            )
            .await;
        tell(ctx, exported)?;
    }
    let kept = ctx
        .execute_activity(
            LifecycleActivities::export_supporting_files,
            run,
            options(ctx, LONG_ATTEMPT),
        )
        .await;
    kept.map_err(|error| ApplicationFailure::non_retryable(reason_of(&error)))?;
    enter(ctx, Stage::Ended);
    Ok(RunResult {
        run,
        status: ending.status,
        reason: ending.reason,
    })
}
