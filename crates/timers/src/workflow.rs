//! The workflow that is a timer.

use std::time::{Duration, SystemTime};

use temporalio_common::{
    data_converters::RawValue,
    error::IncomingError,
    protos::temporal::api::common::v1::Payload,
    search_attributes::{SearchAttributeKey, SearchAttributeUpdate, Timestamp},
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCloseTimeouts, ActivityExecutionError, ActivityOptions, ApplicationFailure, CancellableFuture,
    ContinueAsNewOptions, SyncWorkflowContext, TimerResult, WorkflowContext, WorkflowContextView,
    WorkflowResult, WorkflowTermination,
};
use temporalio_workflow::RetryPolicy;

use crate::{Deadline, Timer, activity::TimerActivities};

/// The workflow's type.
pub(crate) const TYPE: &str = "SegnoTimer";
/// The signal that moves the deadline.
pub(crate) const SIGNAL: &str = "setDeadline";
/// The search attribute (Datetime) with the moment a timer fires at.
pub const DEADLINE_ATTRIBUTE: &str = "SegnoTimerDeadline";

/// Longest single wait. A deadline further away is waited for in several: some stores keep times as
/// nanoseconds in 64 bits, which end in 2262.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// The last moment put into the search attribute, for the same reason: 2262-01-01.
const LAST_ATTRIBUTE: Deadline = Deadline::from_secs(9_214_646_400);
/// How often a delivery is begun anew that no worker finished in its time.
const MOST_DELIVERIES: u32 = 100;

/// A timer: waits for its deadline, which the signal `setDeadline` moves and the query `getDeadline` tells,
/// both in milliseconds since 1970; then runs the activity `fire_timer`. Its execution's id is the timer's.
///
/// If the delivery fails for good, so does the execution. Cancelling the execution stops the timer.
#[workflow]
pub struct SegnoTimer {
    timer: Timer,
    /// The deadline that the search attribute holds.
    published: Deadline,
    delivering: bool,
}

#[workflow_methods]
impl SegnoTimer {
    #[init]
    fn new(_ctx: &WorkflowContextView, timer: Timer) -> Self {
        let published = timer.deadline;
        Self {
            timer,
            published,
            delivering: false,
        }
    }

    /// Waits, delivers.
    #[run(name = "SegnoTimer")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        wait(ctx).await?;
        deliver(ctx).await
    }

    /// Moves the deadline while the timer waits; later it is ignored. So is what is no moment: a failing
    /// handler would stop the timer.
    #[signal(name = "setDeadline")]
    pub fn set_deadline(&mut self, _ctx: &mut SyncWorkflowContext<Self>, deadline: RawValue) {
        if !self.delivering
            && let Some(deadline) = deadline_in(&deadline.payloads)
        {
            self.timer.deadline = deadline;
        }
    }

    /// The deadline in milliseconds since 1970.
    #[query(name = "getDeadline")]
    pub fn get_deadline(&self, _ctx: &WorkflowContextView) -> Deadline {
        self.timer.deadline
    }
}

/// The deadline that a `setDeadline` signal with these payloads asks for.
pub(crate) fn deadline_in(payloads: &[Payload]) -> Option<Deadline> {
    serde_json::from_slice(&payloads.first()?.data).ok()
}

/// The search attribute's value for a deadline.
pub(crate) fn attribute(deadline: Deadline) -> SearchAttributeUpdate {
    const KEY: SearchAttributeKey<Timestamp> = SearchAttributeKey::datetime(DEADLINE_ATTRIBUTE);
    KEY.value_set(deadline.min(LAST_ATTRIBUTE).as_system_time().into())
}

/// Returns when the deadline has come by the workflow's clock, which only the engine moves: never early,
/// whatever the clock of this machine does.
async fn wait(ctx: &mut WorkflowContext<SegnoTimer>) -> WorkflowResult<()> {
    loop {
        let (deadline, published) = ctx.state(|state| (state.timer.deadline, state.published));
        if deadline != published {
            ctx.upsert_search_attributes([attribute(deadline)]);
            ctx.state_mut(|state| state.published = deadline);
        }
        let left = deadline.time_left(ctx.workflow_time().unwrap_or(SystemTime::UNIX_EPOCH));
        if left.is_zero() {
            return Ok(());
        }
        if ctx.continue_as_new_suggested() {
            // Moved a thousand times: a fresh history, lest the engine ends this one.
            let timer = ctx.state(|state| state.timer.clone());
            ctx.continue_as_new(timer, ContinueAsNewOptions::default())?;
        }
        let mut alarm = ctx.timer(left.min(LONGEST_WAIT));
        temporalio_sdk::workflows::select! {
            rang = alarm => if rang == TimerResult::Cancelled {
                return Err(WorkflowTermination::cancelled());
            },
            moved = ctx.wait_condition(|state| state.timer.deadline != deadline) => {
                moved?;
                alarm.cancel();
            }
        }
    }
}

/// Delivers as the original service has it: at most 5 attempts of a minute each, twice the pause each time, 5 min 10 s
/// in all.
///
/// A delivery that did not fail of the receiver but of our own outage begins anew.
async fn deliver(ctx: &mut WorkflowContext<SegnoTimer>) -> WorkflowResult<()> {
    ctx.state_mut(|state| state.delivering = true);
    let timer = ctx.state(|state| state.timer.clone());
    let options = || {
        ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::ScheduleAndStartToClose {
            schedule_to_close: Duration::from_secs(310),
            start_to_close: Duration::from_secs(60),
        })
        .heartbeat_timeout(Duration::from_secs(12))
        .retry_policy(
            RetryPolicy::builder()
                .initial_interval(Duration::from_secs(1))
                .maximum_attempts(5)
                .build(),
        )
        .build()
    };
    for _ in 0..MOST_DELIVERIES {
        let failure = match ctx
            .execute_activity(TimerActivities::fire_timer, timer.clone(), options())
            .await
        {
            Ok(_attempts) => return Ok(()),
            Err(failure) => failure,
        };
        if failure.as_cancelled().is_some() {
            return Err(WorkflowTermination::cancelled());
        }
        if !is_outage(&failure) {
            return Err(undelivered(&failure).into());
        }
    }
    Err(ApplicationFailure::non_retryable("no worker finished the delivery").into())
}

/// Whether no worker was there to finish. A time-out says so: each attempt that a worker makes ends before
/// its time (see [`TimerActivities`]), and five of them before the delivery's. Or the last attempt's worker
/// was shut down, for which the SDK has this type.
fn is_outage(failure: &ActivityExecutionError) -> bool {
    match failure.reason() {
        Some(IncomingError::Timeout(_)) => true,
        Some(IncomingError::Application(failure)) => failure.type_name() == Some("WorkerShutdown"),
        _ => false,
    }
}

/// The failure that makes the execution a dead letter, in words for its reader.
fn undelivered(failure: &ActivityExecutionError) -> ApplicationFailure {
    let reason = failure
        .reason()
        .map_or_else(|| failure.to_string(), |reason| reason.failure().message.clone());
    ApplicationFailure::builder(format!("the timer could not be delivered: {reason}"))
        .type_name("TimerUndelivered".to_owned())
        .non_retryable(true)
        .build()
}
