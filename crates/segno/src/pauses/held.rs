//! An execution's side of pauses: it waits until what holds it up goes on.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use temporalio_common::error::IncomingError;
use temporalio_sdk::{
    ActivityExecutionError, ApplicationFailure, CancellableFuture, LocalActivityOptions, TimerResult,
    WorkflowContext, activities::ActivityError,
};

use super::{PauseActivities, What};
use crate::{
    execution::{EventWorkflow, HEARTBEAT_TIMEOUT, route_of},
    search_attributes::PAUSED,
};

/// Type of the failure of an activity that found a pause.
const FAILURE: &str = "Paused";
/// How long an execution waits first before it looks by itself whether the pause is over.
const FIRST_LOOK: Duration = Duration::from_secs(30);
/// And at most.
const LONGEST_LOOK: Duration = Duration::from_secs(60 * 60);

/// What an activity tells that found a pause.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Held {
    what: What,
    /// How many payloads are delivered: where the delivery goes on.
    done: u64,
}

/// The failure of an activity that finds this pause when so many payloads are delivered.
pub(crate) fn failure(what: What, done: u64) -> ActivityError {
    ActivityError::application(
        ApplicationFailure::builder(format!("{} is paused", what.named()))
            .type_name(FAILURE.to_owned())
            .non_retryable(true)
            .details(Held { what, done })
            .build(),
    )
}

/// Whether a failure of this type is a pause, and so none.
pub(crate) fn is_pause(failure_type: &str) -> bool {
    failure_type == FAILURE
}

/// What holds an execution up, and has held it up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    /// Once for each activity that waits.
    by: Vec<What>,
    /// Since when any does.
    since: Option<SystemTime>,
    /// For how long it was so before.
    before: Duration,
    /// How often it was told that a pause is over.
    resumes: u64,
}

impl Holds {
    /// A pause is over.
    pub(crate) fn resume(&mut self) {
        self.resumes += 1;
    }

    /// Whether anything waits.
    pub(crate) fn any(&self) -> bool {
        !self.by.is_empty()
    }

    /// For how long anything has waited.
    pub(crate) fn time(&self, now: Option<SystemTime>) -> Duration {
        let now = self
            .since
            .zip(now)
            .and_then(|(since, now)| now.duration_since(since).ok());
        self.before + now.unwrap_or_default()
    }

    fn begin(&mut self, what: What, now: Option<SystemTime>) {
        if self.by.is_empty() {
            self.since = now;
        }
        self.by.push(what);
    }

    fn end(&mut self, what: &What, now: Option<SystemTime>) {
        if let Some(place) = self.by.iter().position(|held| held == what) {
            self.by.swap_remove(place);
        }
        if self.by.is_empty() {
            self.before = self.time(now);
            self.since = None;
        }
    }

    /// As lists find it.
    fn names(&self) -> Vec<String> {
        let names: BTreeSet<_> = self.by.iter().map(ToString::to_string).collect();
        names.into_iter().collect()
    }
}

/// Runs an activity, and runs it anew after each pause that it finds, from as many payloads on as were delivered before.
/// A failure that is a pause is returned only if the execution was cancelled.
pub(crate) async fn unless_paused<T, F>(
    ctx: &WorkflowContext<EventWorkflow>,
    run: impl Fn(u64) -> F,
) -> Result<T, ActivityExecutionError>
where
    F: Future<Output = Result<T, ActivityExecutionError>>,
{
    let mut waits = Waits::default();
    let mut done = 0;
    loop {
        let outcome = run(done).await;
        let Some(held) = outcome.as_ref().err().and_then(pause) else {
            return outcome;
        };
        done = held.done;
        if waits.end(ctx, held.what).await.is_err() {
            return outcome;
        }
    }
}

/// Waits until the route of this execution is not paused, for what has no activity of its own.
///
/// # Errors
/// When the execution was cancelled meanwhile, or no worker can tell.
pub(crate) async fn until_not_paused(ctx: &WorkflowContext<EventWorkflow>) -> Result<(), String> {
    let mut waits = Waits::default();
    let route = route_of(ctx.workflow_id()).to_owned();
    loop {
        let options = LocalActivityOptions::builder()
            .start_to_close_timeout(HEARTBEAT_TIMEOUT)
            .build();
        // A local one, that is but a line in the history: every event of such a route comes by here.
        let held = ctx.execute_local_activity(PauseActivities::pause_of, route.clone(), options);
        match held.await {
            Ok(None) => return Ok(()),
            Ok(Some(what)) => waits
                .end(ctx, what)
                .await
                .map_err(|Cancelled| "cancelled".to_owned())?,
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// The execution was cancelled.
struct Cancelled;

/// How long an execution waits before it looks again by itself.
struct Waits(Duration);

impl Default for Waits {
    fn default() -> Self {
        Self(FIRST_LOOK)
    }
}

impl Waits {
    /// Waits until the execution is told that the pause is over, or it is time to look.
    async fn end(&mut self, ctx: &WorkflowContext<EventWorkflow>, what: What) -> Result<(), Cancelled> {
        let now = ctx.workflow_time();
        let told = ctx.state_mut(|event| {
            event.holds.begin(what.clone(), now);
            event.holds.resumes
        });
        publish(ctx);
        let mut alarm = ctx.timer(self.0);
        let (cancelled, resumed) = temporalio_sdk::workflows::select! {
            rang = alarm => (rang == TimerResult::Cancelled, false),
            heard = ctx.wait_condition(move |event| event.holds.resumes != told) => {
                alarm.cancel();
                (heard.is_err(), true)
            }
        };
        let now = ctx.workflow_time();
        ctx.state_mut(|event| event.holds.end(&what, now));
        publish(ctx);
        if cancelled {
            return Err(Cancelled);
        }
        // Told, and held up again all the same: the process that ran the activity has not heard of it yet.
        self.0 = if resumed {
            FIRST_LOOK
        } else {
            self.0.saturating_mul(2).min(LONGEST_LOOK)
        };
        Ok(())
    }
}

/// Keeps the search attribute up to date by which executions are found that wait for the end of a pause.
fn publish(ctx: &WorkflowContext<EventWorkflow>) {
    let names = ctx.state(|event| event.holds.names());
    // Without names it is as if it were not set. Unsetting it by the SDK sends an empty payload, which servers refuse.
    ctx.upsert_search_attributes([PAUSED.value_set(names)]);
}

/// Whether an activity has failed because it found a pause.
pub(crate) fn is_of_pause(error: &ActivityExecutionError) -> bool {
    pause(error).is_some()
}

/// The pause that an activity found.
fn pause(error: &ActivityExecutionError) -> Option<Held> {
    match error.reason() {
        Some(IncomingError::Application(failure)) if failure.type_name().is_some_and(is_pause) => {
            failure.details().ok().flatten()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_while_anything_is_held_up() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let (a, b) = (What::Sink("a".into()), What::Sink("b".into()));
        let mut holds = Holds::default();
        holds.begin(a.clone(), at(10));
        holds.begin(b.clone(), at(12));
        holds.begin(b.clone(), at(12));
        assert_eq!(holds.names(), ["sink/a", "sink/b"]);
        holds.end(&a, at(15));
        holds.end(&b, at(17));
        assert_eq!(holds.names(), ["sink/b"]);
        assert_eq!(holds.time(at(18)), Duration::from_secs(8));
        holds.end(&b, at(20));
        assert!(!holds.any());
        assert_eq!(holds.time(at(100)), Duration::from_secs(10));
        holds.begin(a.clone(), at(100));
        assert_eq!(holds.time(at(101)), Duration::from_secs(11));
    }
}
