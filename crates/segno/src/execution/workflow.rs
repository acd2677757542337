//! The workflow of an event on a route: durable orchestration, and nothing else. Everything it does is an
//! activity, retried by the engine.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, SystemTime},
};

use futures::FutureExt;
use segno_event::Event;
use segno_routing::{
    After, Decision, FailedAction, Plan, PlannedAction, PlannedHandler, Retry,
    flow::{Outcome, child_id},
};
use serde::{Deserialize, Serialize};
use temporalio_client::{RetryPolicy, UntypedWorkflow};
use temporalio_common::{data_converters::RawValue, error::IncomingError};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, ApplicationFailure, CancellableFuture, ChildWorkflowOptions,
    SyncWorkflowContext, TimerResult, WorkflowContext, WorkflowContextView, WorkflowIdReusePolicy,
    WorkflowResult, WorkflowTermination,
    workflows::{join_all, select},
};

use super::{
    DEAD_LETTER, WORKFLOW_TYPE,
    activities::Activities,
    alert,
    consume::ConsumeInput,
    deliver::DeliverInput,
    event_ref::EventRef,
    keep_alive::HEARTBEAT_TIMEOUT,
    step::millis,
    story::{ActionState, ActionStory, FailedAttempt, Receipt, Story},
};
use crate::{
    flow::{self, Word, report_end, wait_for_word},
    pauses::{Holds, unless_paused, until_not_paused},
    telemetry::{self, ActionEnded, Closed, ExecutionClosed, Traced},
};

/// How long one attempt may take. A worker that dies is noticed far sooner, by its missing heartbeat.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Longest text of one cause in a dead letter, in bytes.
const MAX_CAUSE: usize = 1000;

/// Result of an execution that did all it had to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What each action did, in the order of the plan.
    pub(crate) actions: Vec<ActionStory>,
    /// The dead letter that the run followed, and what was decided about it; none on the first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<After>,
    /// The execution of the later event that ran in place of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) superseded_by: Option<String>,
    /// The execution of the batch that the event ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) batched_into: Option<String>,
}

/// Runs a [`Plan`].
#[workflow]
#[derive(Default)]
pub(crate) struct EventWorkflow {
    story: Story,
    /// What its flow has said.
    word: Option<Word>,
    /// What people hold up of it.
    pub(crate) holds: Holds,
    /// Its place in the event's trace.
    traced: Option<Traced>,
}

#[workflow_methods]
impl EventWorkflow {
    #[run(name = WORKFLOW_TYPE)]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, plan: Plan) -> WorkflowResult<Report> {
        let (route, after) = (plan.route.clone(), plan.after.clone());
        let traced = Traced::new(&plan.event, ctx.workflow_id(), ctx.run_id());
        let began = ctx.info().start_time();
        ctx.state_mut(|state| state.traced = Some(traced.clone()));
        let ended = through(ctx, plan).await;
        // Not once more where the history is gone through again.
        if let Some(how) = closed(&ended, after.as_ref()).filter(|_| !ctx.is_replaying()) {
            let times = began.zip(ctx.workflow_time());
            telemetry::emit(ExecutionClosed {
                route: &route,
                how,
                traced: times.map(|(began, ended)| (&traced, began, ended)),
            });
        }
        ended
    }

    /// What its flow says: a [`Word`].
    #[signal(name = "word")]
    pub(crate) fn word(&mut self, _ctx: &mut SyncWorkflowContext<Self>, word: RawValue) {
        if let Some(word) = flow::read(&word) {
            self.word = Some(word);
        }
    }

    /// A pause is over.
    #[signal(name = "resumed")]
    pub(crate) fn resumed(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _: RawValue) {
        self.holds.resume();
    }

    /// What the execution has done so far.
    #[query(name = "story")]
    pub(crate) fn story(&self, _ctx: &WorkflowContextView) -> Story {
        self.story.clone()
    }
}

impl EventWorkflow {
    /// What its flow has said.
    pub(crate) fn heard(&self) -> Option<Word> {
        self.word.clone()
    }
}

/// From the plan to the end.
async fn through(ctx: &mut WorkflowContext<EventWorkflow>, plan: Plan) -> WorkflowResult<Report> {
    let story = Story::of(&plan);
    ctx.state_mut(|state| state.story = story);
    let flow = plan.flow.clone();
    let (alert, after) = (plan.alert.clone(), plan.after.clone());
    let letter = alert::Letter::of(&plan, ctx.workflow_id(), ctx.run_id());
    let done = after.as_ref().map_or(0, |after| after.done.len());
    let report = Report {
        after: after.clone(),
        ..Report::default()
    };
    match after.as_ref().map(|after| &after.decision) {
        None | Some(Decision::Retry) => {}
        Some(Decision::Skip | Decision::Resolve) => {
            // Its key goes on without it.
            if let Some(flow) = &flow {
                report_end(ctx, flow, Outcome::Withdrawn).await;
            }
            return Ok(report);
        }
        Some(Decision::Keep { failed, .. }) => {
            let failure = dead_letter(done, failed);
            alert::start(ctx, alert, letter, failed).await;
            return Err(failure.into());
        }
    }
    if let Some(flow) = flow.as_ref().filter(|flow| !flow.admitted) {
        match wait_for_word(ctx, flow, flow::size(&plan.event)).await {
            Some(Word::Go) => {}
            Some(Word::Superseded { by }) => {
                return Ok(Report {
                    superseded_by: Some(by),
                    ..report
                });
            }
            Some(Word::Batched { into }) => {
                return Ok(Report {
                    batched_into: Some(into),
                    ..report
                });
            }
            None => return Err(WorkflowTermination::cancelled()),
        }
    }
    let failed = match plan.deadline {
        None => carry_out(ctx, plan).await,
        Some(within) => in_time(ctx, plan, within).await,
    };
    if let Some((flow, outcome)) = flow.as_ref().zip(outcome(&failed)) {
        report_end(ctx, flow, outcome).await;
    }
    let failed = failed?;
    let actions = ctx.state(|state| state.story.clone()).into_result();
    if failed.is_empty() {
        return Ok(Report { actions, ..report });
    }
    let failure = dead_letter(actions.len().saturating_sub(failed.len()), &failed);
    alert::start(ctx, alert, letter, &failed).await;
    Err(failure.into())
}

/// How an execution ended, for those who count. None: it goes on.
fn closed(ended: &WorkflowResult<Report>, after: Option<&After>) -> Option<Closed> {
    match ended {
        Ok(report) if report.superseded_by.is_some() => Some(Closed::Superseded),
        Ok(report) if report.batched_into.is_some() => Some(Closed::Batched),
        Ok(_) | Err(WorkflowTermination::Failed(_))
            if after.is_some_and(|after| !matches!(after.decision, Decision::Retry)) =>
        {
            Some(Closed::Settled)
        }
        Ok(_) => Some(Closed::Done),
        Err(WorkflowTermination::Failed(_)) => Some(Closed::Failed),
        Err(WorkflowTermination::Cancelled { .. }) => Some(Closed::Cancelled),
        Err(_) => None,
    }
}

/// How an execution ends whose plan was carried out so, for its flow. None: it does not.
fn outcome(done: &Result<Vec<FailedAction>, WorkflowTermination>) -> Option<Outcome> {
    match done {
        Ok(failed) if failed.is_empty() => Some(Outcome::Done),
        Ok(failed) => {
            let causes = failed
                .iter()
                .map(|failed| format!("{}: {}", failed.action, failed.cause));
            let cause = causes.collect::<Vec<_>>().join("; ");
            Some(Outcome::Failed { cause })
        }
        Err(WorkflowTermination::Cancelled { .. }) => Some(Outcome::Withdrawn),
        Err(WorkflowTermination::Failed(failure)) => Some(Outcome::Failed {
            cause: failure.to_string(),
        }),
        Err(_) => None,
    }
}

/// Does what is planned within this time, and returns what has failed. What is not through by then counts as failed: the execution ends, and what still runs of it
/// is told so at its next heartbeat.
async fn in_time(
    ctx: &WorkflowContext<EventWorkflow>,
    plan: Plan,
    within: Duration,
) -> Result<Vec<FailedAction>, WorkflowTermination> {
    let mut work = pin!(carry_out(ctx, plan).fuse());
    let begun = ctx.workflow_time();
    let mut left = within;
    while !left.is_zero() {
        let mut alarm = ctx.timer(left);
        select! {
            done = work => {
                alarm.cancel();
                return done;
            }
            rang = alarm => if rang == TimerResult::Cancelled {
                return Err(WorkflowTermination::cancelled());
            },
        }
        // The time for which people hold it up does not count.
        select! {
            done = work => return done,
            goes_on = ctx.wait_condition(|event| !event.holds.any()) => goes_on?,
        }
        let now = ctx.workflow_time();
        let passed = now
            .zip(begun)
            .and_then(|(now, begun)| now.duration_since(begun).ok());
        let held = ctx.state(|event| event.holds.time(now));
        left = (within + held).saturating_sub(passed.unwrap_or(within));
    }
    let now = ctx.workflow_time();
    let cause = format!(
        "not done within the deadline of {}",
        humantime::format_duration(within)
    );
    ctx.state_mut(|state| state.story.cut(&cause, now));
    let failed = |action: ActionStory| FailedAction {
        action: action.action,
        cause: action.reason.unwrap_or_default(),
        attempts: action.attempts.unwrap_or_default(),
    };
    let actions = ctx.state(|state| state.story.actions.clone());
    let of_failed = actions
        .into_iter()
        .filter(|action| action.state == ActionState::Failed);
    Ok(of_failed.map(failed).collect())
}

/// Does what is planned, and returns what has failed of it for good.
async fn carry_out(
    ctx: &WorkflowContext<EventWorkflow>,
    plan: Plan,
) -> Result<Vec<FailedAction>, WorkflowTermination> {
    let Plan {
        event,
        handler,
        after,
        ..
    } = plan;
    let (done, edition) = after.map_or_else(Default::default, |after| (after.done, after.edition));
    match handler {
        PlannedHandler::Actions { stages } => {
            let event = EventRef::of(event);
            let since = ctx.info().start_time().map(millis);
            let mut failed = Vec::new();
            for mut stage in stages {
                stage.retain(|action| !done.contains(&action.name));
                failed.extend(run_stage(ctx, &event, stage, edition.as_deref(), since).await);
                // One action's failure does not stop the others; a cancellation does.
                if ctx.cancellation_token().is_cancelled() {
                    return Err(WorkflowTermination::cancelled());
                }
            }
            Ok(failed)
        }
        PlannedHandler::Consumer { name, retry } => {
            let failed = consume(ctx, event, &name, retry).await;
            if failed.is_some() && ctx.cancellation_token().is_cancelled() {
                return Err(WorkflowTermination::cancelled());
            }
            Ok(failed.into_iter().collect())
        }
        PlannedHandler::Workflow { name } => {
            let failed = child(ctx, &event, &name).await;
            if failed.is_some() && ctx.cancellation_token().is_cancelled() {
                return Err(WorkflowTermination::cancelled());
            }
            Ok(failed.into_iter().collect())
        }
    }
}

/// Starts the actions of a stage together, waits for all of them, and returns those that failed.
async fn run_stage(
    ctx: &WorkflowContext<EventWorkflow>,
    event: &EventRef,
    stage: Vec<PlannedAction>,
    edition: Option<&str>,
    since: Option<u64>,
) -> Vec<FailedAction> {
    let running = stage.into_iter().map(|action| {
        let name = action.name.clone();
        let activity = unless_paused(ctx, move |done| {
            let options = options(&action.name, &action.retry);
            let input = DeliverInput {
                event: event.clone(),
                action: action.clone(),
                edition: edition.map(str::to_owned),
                done,
                since,
            };
            ctx.execute_activity(Activities::deliver, input, options)
        });
        told(ctx, name, async { activity.await.map(Some) })
    });
    join_all(running.collect::<Vec<_>>())
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// Tells the trace that an action came to its end; not once more where the history is gone through again.
fn ended(ctx: &WorkflowContext<EventWorkflow>, action: &str, began: Option<SystemTime>, failed: bool) {
    let Some((began, ended)) = began.zip(ctx.workflow_time()).filter(|_| !ctx.is_replaying()) else {
        return;
    };
    if let Some(of) = &ctx.state(|state| state.traced.clone()) {
        telemetry::emit(ActionEnded {
            of,
            action,
            began,
            ended,
            failed,
        });
    }
}

/// Carries out one action and tells of it in the story.
async fn told(
    ctx: &WorkflowContext<EventWorkflow>,
    name: String,
    activity: impl Future<Output = Result<Option<Receipt>, ActivityExecutionError>>,
) -> Option<FailedAction> {
    let begun = ctx.workflow_time();
    ctx.state_mut(|state| state.story.begin(&name, begun));
    let outcome = activity.await;
    let now = ctx.workflow_time();
    ended(ctx, &name, begun, outcome.is_err());
    match outcome {
        Ok(receipt) => {
            ctx.state_mut(|state| state.story.end(&name, receipt, now));
            None
        }
        Err(error) => {
            let (cause, attempts) = (cause(&error), attempts(&error));
            ctx.state_mut(|state| state.story.fail(&name, cause.clone(), attempts, now));
            Some(FailedAction {
                action: name,
                cause,
                attempts: attempts.unwrap_or_default(),
            })
        }
    }
}

async fn consume(
    ctx: &WorkflowContext<EventWorkflow>,
    event: Event,
    name: &str,
    retry: Retry,
) -> Option<FailedAction> {
    let event = EventRef::of(event);
    let activity = unless_paused(ctx, |_| {
        let input = ConsumeInput {
            event: event.clone(),
            consumer: name.to_owned(),
        };
        ctx.execute_activity(Activities::consume, input, options(name, &retry))
    });
    told(ctx, name.to_owned(), async { activity.await.map(|()| None) }).await
}

/// Runs a workflow of the program's own and tells of it in the story. Where nothing is to be seen to around it, intake
/// starts it in place of this one.
async fn child(ctx: &WorkflowContext<EventWorkflow>, event: &Event, name: &str) -> Option<FailedAction> {
    let begun = ctx.workflow_time();
    ctx.state_mut(|state| state.story.begin(name, begun));
    let outcome = run_child(ctx, event, name).await;
    let now = ctx.workflow_time();
    ended(ctx, name, begun, outcome.is_err());
    match outcome {
        Ok(()) => {
            ctx.state_mut(|state| state.story.end(name, None, now));
            None
        }
        Err(mut cause) => {
            cause.truncate(cause.floor_char_boundary(MAX_CAUSE));
            ctx.state_mut(|state| state.story.fail(name, cause.clone(), None, now));
            Some(FailedAction {
                action: name.to_owned(),
                cause,
                attempts: 1,
            })
        }
    }
}

/// Runs it once its route is not paused, and says why it failed if it did.
async fn run_child(ctx: &WorkflowContext<EventWorkflow>, event: &Event, name: &str) -> Result<(), String> {
    until_not_paused(ctx).await?;
    let options = ChildWorkflowOptions::builder()
        .workflow_id(child_id(ctx.workflow_id()))
        .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicateFailedOnly)
        .search_attributes(ctx.search_attributes())
        .build();
    let started = ctx.start_child_workflow(UntypedWorkflow::new(name), flow::raw(event), options);
    let child = started.await.map_err(|error| error.to_string())?;
    let failure = |error: temporalio_sdk::ChildWorkflowExecutionError| match error.cause() {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    };
    child.result().await.map(drop).map_err(failure)
}

/// The name doubles as the activity's id, by which people find it: names are unique within a route.
fn options(name: &str, retry: &Retry) -> ActivityOptions {
    let retry = RetryPolicy::builder()
        .initial_interval(retry.initial)
        .backoff_coefficient(retry.backoff)
        .maximum_interval(retry.max_interval)
        .maximum_attempts(retry.max_attempts)
        .build();
    ActivityOptions::with_start_to_close_timeout(ATTEMPT_TIMEOUT)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .activity_id(name.to_owned())
        .summary(name.to_owned())
        .retry_policy(retry)
        .build()
}

fn cause(error: &ActivityExecutionError) -> String {
    let mut text = match error.reason() {
        Some(reason) => reason.to_string(),
        None => error.to_string(),
    };
    text.truncate(text.floor_char_boundary(MAX_CAUSE));
    text
}

/// The attempt that failed, where the failure tells.
fn attempts(error: &ActivityExecutionError) -> Option<u32> {
    match error.reason() {
        Some(IncomingError::Application(failure)) => {
            let details = failure.details::<FailedAttempt>().ok().flatten();
            details.map(|details| details.attempt)
        }
        _ => None,
    }
}

/// The failure of an execution whose `failed` actions gave up, while `done` others did their work.
fn dead_letter(done: usize, failed: &[FailedAction]) -> ApplicationFailure {
    let total = done + failed.len();
    let causes: Vec<_> = failed
        .iter()
        .map(|f| format!("{}: {}", f.action, f.cause))
        .collect();
    let text = format!(
        "{} of {total} actions failed: {}",
        failed.len(),
        causes.join("; ")
    );
    ApplicationFailure::builder(text)
        .type_name(DEAD_LETTER.to_owned())
        .non_retryable(true)
        .details(failed.to_vec())
        .build()
}
