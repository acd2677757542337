//! An event's side of flow control: its execution waits for the flow's word, and tells the flow how it ended.

use std::time::Duration;

use segno_routing::flow::{Ended, Outcome, PlannedFlow};
use serde::{Deserialize, Serialize};
use temporalio_sdk::{
    ActivityOptions, CancellableFuture, SignalWorkflowOptions, TimerResult, WorkflowCancellationToken,
    WorkflowContext,
};

use super::{
    FlowWorkflow,
    activities::{Enroll, FlowActivities},
    raw,
};
use crate::execution::EventWorkflow;

/// How long an execution that intake asks for is held before its first step, unless its flow lets it go. It then asks by
/// itself: it was not asked for, because intake died between its two calls and nobody sent the event again, or somebody has
/// terminated the flow. Long, as those that wait in order do so too, and each costs some steps when it asks.
pub(crate) const HELD: Duration = Duration::from_secs(60 * 60);
/// The pause before it asks for the first time.
const AT_ONCE: Duration = Duration::from_millis(1);
/// The pause between asking for the first time and for the second; each one after that is longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest of these pauses.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What a flow says to an event's execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// Run.
    Go,
    /// A later event of the key runs in its place.
    Superseded {
        /// That event's workflow id.
        by: String,
    },
    /// It runs as a part of a batch.
    Batched {
        /// The batch's workflow id.
        into: String,
    },
}

/// Waits for the flow's word, and asks for it. What was [held](HELD) has it when it begins. None: the execution was cancelled,
/// and the flow knows.
pub(crate) async fn wait_for_word(
    ctx: &WorkflowContext<EventWorkflow>,
    flow: &PlannedFlow,
    bytes: u64,
) -> Option<Word> {
    let mut patience = AT_ONCE;
    loop {
        if let Some(word) = ctx.state(EventWorkflow::heard) {
            return Some(word);
        }
        let mut alarm = ctx.timer(patience);
        let cancelled = temporalio_sdk::workflows::select! {
            rang = alarm => rang == TimerResult::Cancelled,
            heard = ctx.wait_condition(|event| event.heard().is_some()) => {
                alarm.cancel();
                if heard.is_ok() {
                    continue;
                }
                true
            }
        };
        if !cancelled {
            let enroll = Enroll {
                flow: flow.clone(),
                workflow_id: ctx.workflow_id().to_owned(),
                bytes,
            };
            let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(60))
                .summary("enroll".to_owned())
                .build();
            let enrolled = ctx
                .execute_activity(FlowActivities::enroll, enroll, options)
                .await;
            patience = patience.saturating_mul(6).clamp(PATIENCE, LONGEST);
            if !enrolled.is_err_and(|error| error.as_cancelled().is_some()) {
                continue;
            }
        }
        report_end(ctx, flow, Outcome::Withdrawn).await;
        return None;
    }
}

/// Tells the flow how the execution ends, as the last thing that it does.
pub(crate) async fn report_end(ctx: &WorkflowContext<EventWorkflow>, flow: &PlannedFlow, outcome: Outcome) {
    let ended = Ended {
        id: ctx.workflow_id().to_owned(),
        key: flow.key.clone(),
        outcome,
    };
    // Also when the execution was cancelled.
    let options = SignalWorkflowOptions::builder()
        .cancellation_token(WorkflowCancellationToken::new())
        .build();
    // A flow that is not there any more has nothing to be told.
    drop(
        ctx.external_workflow(flow.id.clone(), None)
            .signal(FlowWorkflow::ended, raw(&ended), options)
            .await,
    );
}
