//! The `deliver` activity: one action of a plan, from the event to its sink.

use std::sync::Arc;

use segno_event::Event;
use segno_routing::PlannedAction;
use segno_sinks::{Delivery, Failure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::time::Instant;

use super::{
    activities::{Activities, execution, route_of},
    event_ref::EventRef,
    keep_alive::{Progress, keep_alive},
    step::Step,
    story::{MAX_PAYLOADS, Receipt, Sent},
};
use crate::pauses;

/// Input of `deliver`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DeliverInput {
    pub(super) event: EventRef,
    pub(super) action: PlannedAction,
    /// Sets the idempotency keys apart from those of the execution's other runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) edition: Option<String>,
    /// How many payloads were delivered before a pause.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) done: u64,
    /// When the execution began, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<u64>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Asks whether the action is available for the event, applies the transform and delivers each payload in turn, from the
/// first that no earlier attempt delivered.
pub(super) async fn run(
    activities: &Arc<Activities>,
    ctx: &ActivityContext,
    input: DeliverInput,
) -> Result<Receipt, ActivityError> {
    let progress = Progress::resume(ctx);
    keep_alive(ctx, &progress, async {
        let DeliverInput {
            event,
            action,
            edition,
            done,
            since,
        } = input;
        progress.at_least(done);
        let execution = execution(ctx);
        let held = || {
            let pauses = &activities.pauses;
            let held = pauses
                .of_route(route_of(&execution.workflow_id))
                .or_else(|| pauses.of_sink(&action.to));
            held.map(|what| pauses::failure(what, progress.get()))
        };
        if let Some(held) = held() {
            return Err(held);
        }
        let event = activities.events.get(event, || ctx.client(), &execution).await?;
        let step = Step::begin(ctx, &execution, &action, &event, since);
        if let Some(condition) = &action.available
            && !available(activities, &event, condition.clone(), &step).await?
        {
            let reason = format!("it is not available for this event: {condition}");
            step.skipped(&reason);
            return Ok(Receipt::Told {
                attempt: step.attempt,
                skipped: Some(reason),
                payloads: Vec::new(),
            });
        }
        // Not for good: while programs are replaced one by one, another of them may have it.
        let sinks = activities.live.get().sinks.clone();
        if !sinks.contains(&action.to) {
            let text = format!("no sink {:?} is configured in this process", action.to);
            return Err(step.retryable(text));
        }
        let payloads = payloads(activities, &event, action.transform.clone(), &step).await?;
        let total = payloads.len() as u64;
        step.transformed(total);
        let mut sent = sent(&payloads);
        for (n, payload) in payloads
            .into_iter()
            .enumerate()
            .skip_while(|(n, _)| (*n as u64) < progress.get())
        {
            // Paused between two payloads.
            if let Some(held) = held() {
                return Err(held);
            }
            let mut key = format!("{}/{}/{n}", execution.workflow_id, action.name);
            if let Some(edition) = &edition {
                key = format!("{key}/{edition}");
            }
            let mut delivery = Delivery::new(&key, &payload).of(&event);
            if let Some(trace) = step.trace() {
                delivery = delivery.traced(trace);
            }
            let given = Instant::now();
            let answer = sinks.deliver(&action.to, delivery).await;
            step.answered(n, given, &answer);
            // A sink's reason has no payload in it, but it may quote what the target said.
            let told = answer
                .clone()
                .map_err(|failure| redacted(activities, &event, failure));
            activities.health.saw(&action.to, given.elapsed(), &told);
            let delivered = answer.map_err(|failure| {
                let told = told.err().unwrap_or_else(|| failure.clone());
                step.undelivered(&failure, &told.to_string())
            })?;
            sent[n].attempt = Some(step.attempt);
            sent[n].status = delivered.status;
            // The last one's progress is the activity's result.
            if n as u64 + 1 < total {
                progress.advance(ctx).await?;
            }
        }
        step.done(total);
        Ok(Receipt::Told {
            attempt: step.attempt,
            skipped: None,
            payloads: sent,
        })
    })
    .await
}

/// A failure as it is told where rules cannot be looked up any more: in the log, and among the figures of sinks.
fn redacted(activities: &Activities, event: &Event, failure: Failure) -> Failure {
    let rules = &activities.live.get().redact;
    match failure {
        Failure::Permanent { reason, status } => Failure::Permanent {
            reason: rules.masked(&reason, event),
            status,
        },
        Failure::Retryable {
            reason,
            status,
            retry_after,
        } => Failure::Retryable {
            reason: rules.masked(&reason, event),
            status,
            retry_after,
        },
    }
}

/// The payloads as they are told: whole as long as they are short.
fn sent(payloads: &[Value]) -> Vec<Sent> {
    let mut left = MAX_PAYLOADS;
    let told = |payload: &Value| {
        let bytes = payload.to_string().len();
        let payload = left.checked_sub(bytes).map(|rest| {
            left = rest;
            payload.clone()
        });
        Sent {
            payload,
            bytes: bytes as u64,
            attempt: None,
            status: None,
        }
    };
    payloads.iter().map(told).collect()
}

/// Whether the action is to be done for this event.
///
/// An expression that fails is a failure of the action and not a reason to skip it: it would be skipped for a mistake in
/// the expression or the event, and nobody would miss what was not delivered. The same event fails the same way again,
/// so it fails for good: a dead letter.
async fn available(
    activities: &Arc<Activities>,
    event: &Arc<Event>,
    condition: String,
    step: &Step,
) -> Result<bool, ActivityError> {
    let (activities, event) = (Arc::clone(activities), Arc::clone(event));
    let outcome = tokio::task::spawn_blocking(move || {
        let filter = activities.conditions.get(&condition);
        let filter = filter.map_err(|error| format!("does not compile: {error}"))?;
        filter.matches(&event).map_err(|error| error.to_string())
    })
    .await?;
    outcome.map_err(|why| step.permanent("Available", "`available` fails on this event", &why))
}

/// What the action makes of the event; with no transform the event itself.
async fn payloads(
    activities: &Arc<Activities>,
    event: &Arc<Event>,
    transform: Option<String>,
    step: &Step,
) -> Result<Vec<Value>, ActivityError> {
    let Some(source) = transform else {
        return Ok(vec![serde_json::to_value(&**event)?]);
    };
    let (activities, event) = (Arc::clone(activities), Arc::clone(event));
    // A transform over a large event takes its time; the runtime's threads have others to serve.
    let outcome = tokio::task::spawn_blocking(move || {
        let transform = activities.transforms.get(&source);
        let transform = transform.map_err(|error| format!("does not compile: {error}"))?;
        transform.apply(&event).map_err(|error| error.to_string())
    })
    .await?;
    // The same event through the same transform fails the same way again.
    outcome.map_err(|why| step.permanent("Transform", "the transform fails on this event", &why))
}
