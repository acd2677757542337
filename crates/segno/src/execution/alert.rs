//! Alerts: somebody is told that a dead letter has appeared.
//!
//! The alert is a workflow of its own, which the failing execution leaves behind: it is retried for days if it has
//! to, and the execution fails at once, to be seen as what it is.

use std::time::Duration;

use segno_routing::{FailedAction, Plan};
use segno_sinks::{Delivery, Failure};
use serde::{Deserialize, Serialize};
use temporalio_client::RetryPolicy;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, ChildWorkflowOptions, ParentClosePolicy, TimerResult,
    WorkflowContext, WorkflowResult, WorkflowTermination,
    activities::{ActivityContext, ActivityError},
};

use super::{
    activities::Activities,
    keep_alive::{HEARTBEAT_TIMEOUT, Progress, keep_alive},
    workflow::EventWorkflow,
};
use crate::{
    pauses,
    telemetry::{self, AlertAttempted, Attempted},
};

/// Type of the workflow.
const TYPE: &str = "SegnoAlert";
/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long it is tried.
const PATIENCE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How long it waits first before it looks whether its sink is paused still.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// A dead letter, as its alert tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// Id of the execution: what the letter is called in the API.
    id: String,
    run_id: String,
    route: String,
    event: LetterEvent,
    /// How many runs of the execution have failed, this one included.
    failures: u32,
    /// Whether it is an old letter that is told of again, as nobody has dealt with it.
    reminder: bool,
    failed: Vec<FailedAction>,
}

/// What identifies the event.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LetterEvent {
    id: String,
    source: String,
    #[serde(rename = "type")]
    ty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

impl Letter {
    /// The letter that the run of this plan becomes if it fails.
    pub(super) fn of(plan: &Plan, workflow_id: &str, run_id: &str) -> Self {
        let before = plan.after.as_ref();
        let reminder =
            before.is_some_and(|after| matches!(after.decision, segno_routing::Decision::Keep { .. }));
        let event = &plan.event;
        Self {
            id: workflow_id.to_owned(),
            run_id: run_id.to_owned(),
            route: plan.route.clone(),
            event: LetterEvent {
                id: event.id.clone(),
                source: event.source.clone(),
                ty: event.ty.clone(),
                subject: event.subject.clone(),
            },
            failures: before.map_or(0, |after| after.failures) + u32::from(!reminder),
            reminder,
            failed: Vec::new(),
        }
    }
}

/// What is told, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AlertInput {
    sink: String,
    dead_letter: Letter,
}

/// What the sink gets.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    ty: &'static str,
    dead_letter: &'a Letter,
}

/// Leaves an alert behind, if the plan names a sink for it. That it cannot be started must not hide the failure.
pub(super) async fn start(
    ctx: &WorkflowContext<EventWorkflow>,
    sink: Option<String>,
    mut letter: Letter,
    failed: &[FailedAction],
) {
    let Some(sink) = sink else { return };
    letter.failed = failed.to_vec();
    let options = ChildWorkflowOptions::builder()
        .workflow_id(format!("@alert/{}", letter.run_id))
        .parent_close_policy(ParentClosePolicy::Abandon)
        .build();
    let input = AlertInput {
        sink,
        dead_letter: letter,
    };
    if let Err(error) = ctx.start_child_workflow(AlertWorkflow::run, input, options).await {
        tracing::warn!(%error, "the alert of a dead letter was not started");
    }
}

/// Tells a sink of a dead letter.
#[workflow]
#[derive(Default)]
pub(crate) struct AlertWorkflow;

#[workflow_methods]
impl AlertWorkflow {
    #[run(name = TYPE)]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, input: AlertInput) -> WorkflowResult<()> {
        let retry = RetryPolicy::builder()
            .initial_interval(Duration::from_secs(1))
            .maximum_interval(LONGEST_PAUSE)
            .build();
        let options = ActivityOptions::with_close_timeouts(
            temporalio_sdk::ActivityCloseTimeouts::ScheduleAndStartToClose {
                schedule_to_close: PATIENCE,
                start_to_close: ATTEMPT_TIMEOUT,
            },
        )
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(retry)
        .build();
        let mut patience = FIRST_LOOK;
        loop {
            let told = ctx
                .execute_activity(Activities::alert, input.clone(), options.clone())
                .await;
            match told {
                // Its sink is paused: nothing was tried.
                Err(error) if pauses::is_of_pause(&error) => {
                    if ctx.timer(patience).await == TimerResult::Cancelled {
                        return Err(WorkflowTermination::cancelled());
                    }
                    patience = patience.saturating_mul(2).min(LONGEST_PAUSE);
                }
                other => return Ok(other?),
            }
        }
    }
}

pub(super) async fn run(
    activities: &Activities,
    ctx: &ActivityContext,
    input: AlertInput,
) -> Result<(), ActivityError> {
    keep_alive(ctx, &Progress::default(), async {
        let AlertInput { sink, dead_letter } = input;
        if let Some(what) = activities.pauses.of_sink(&sink) {
            return Err(pauses::failure(what, 0));
        }
        // Not for good: while programs are replaced one by one, another of them may have it.
        let sinks = activities.live.get().sinks.clone();
        if !sinks.contains(&sink) {
            let text = format!("no sink {sink:?} is configured in this process");
            return Err(ActivityError::application(ApplicationFailure::new(text)));
        }
        let payload = serde_json::to_value(Payload {
            ty: "dead_letter",
            dead_letter: &dead_letter,
        })?;
        let key = format!("dead-letter/{}", dead_letter.run_id);
        let told = sinks.deliver(&sink, Delivery::new(&key, &payload)).await;
        let outcome = match &told {
            Ok(_) => Attempted::Ok,
            // Whatever the sink says, another attempt follows.
            Err(_) => Attempted::Retryable,
        };
        telemetry::emit(AlertAttempted { sink: &sink, outcome });
        told.map_err(|failure| undelivered(&failure))?;
        Ok(())
    })
    .await
}

/// A sink's failure as the engine understands it. What the sink calls permanent is tried again all the same: it may be a
/// mistake in the configuration, and somebody is to hear of the letter.
fn undelivered(failure: &Failure) -> ActivityError {
    let retry_after = match failure {
        Failure::Retryable { retry_after, .. } => *retry_after,
        Failure::Permanent { .. } => None,
    };
    ActivityError::application(
        ApplicationFailure::builder(failure.to_string())
            .type_name("Delivery".to_owned())
            .maybe_next_retry_delay(retry_after)
            .build(),
    )
}
