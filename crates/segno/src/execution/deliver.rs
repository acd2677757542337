//! The `deliver` activity: one action of a plan, from the event to its sink.

use std::sync::Arc;

use segno_event::{Event, Transform};
use segno_routing::PlannedAction;
use segno_sinks::{Delivery, Failure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};

use super::{
    activities::{Activities, execution},
    event_ref::EventRef,
    keep_alive::{Progress, keep_alive},
};

/// Input of `deliver`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DeliverInput {
    pub(super) event: EventRef,
    pub(super) action: PlannedAction,
}

/// Applies the transform and delivers each payload in turn, from the first that no earlier attempt delivered.
/// Returns how many there are.
pub(super) async fn run(
    activities: &Activities,
    ctx: &ActivityContext,
    input: DeliverInput,
) -> Result<u64, ActivityError> {
    let progress = Progress::resume(ctx);
    keep_alive(ctx, &progress, async {
        let DeliverInput { event, action } = input;
        let execution = execution(ctx);
        let event = activities.events.get(event, || ctx.client(), &execution).await?;
        // Not for good: while programs are replaced one by one, another of them may have it.
        if !activities.sinks.contains(&action.to) {
            let text = format!("no sink {:?} is configured in this process", action.to);
            return Err(ActivityError::application(ApplicationFailure::new(text)));
        }
        let payloads = payloads(Arc::clone(&event), action.transform).await?;
        let total = payloads.len() as u64;
        for (n, payload) in payloads
            .into_iter()
            .enumerate()
            .skip_while(|(n, _)| (*n as u64) < progress.get())
        {
            let key = format!("{}/{}/{n}", execution.workflow_id, action.name);
            activities
                .sinks
                .deliver(&action.to, Delivery::new(&key, &payload).of(&event))
                .await
                .map_err(|failure| told(&failure))?;
            // The last one's progress is the activity's result.
            if n as u64 + 1 < total {
                progress.advance(ctx).await?;
            }
        }
        Ok(total)
    })
    .await
}

/// What the action makes of the event; with no transform the event itself.
async fn payloads(event: Arc<Event>, transform: Option<String>) -> Result<Vec<Value>, ActivityError> {
    let Some(source) = transform else {
        return Ok(vec![serde_json::to_value(&*event)?]);
    };
    // A transform over a large event takes its time; the runtime's threads have others to serve.
    let outcome = tokio::task::spawn_blocking(move || {
        let transform = Transform::compile(&source).map_err(|error| format!("does not compile: {error}"))?;
        transform.apply(&event).map_err(|error| error.to_string())
    })
    .await?;
    outcome.map_err(|why| {
        // The same event through the same transform fails the same way again.
        let failure = ApplicationFailure::builder(format!("the transform fails on this event: {why}"))
            .type_name("Transform".to_owned())
            .non_retryable(true)
            .build();
        ActivityError::application(failure)
    })
}

/// A sink's failure as the engine understands it.
fn told(failure: &Failure) -> ActivityError {
    let retry_after = match failure {
        Failure::Retryable { retry_after, .. } => *retry_after,
        Failure::Permanent { .. } => None,
    };
    ActivityError::application(
        ApplicationFailure::builder(failure.to_string())
            .type_name("Delivery".to_owned())
            .non_retryable(matches!(failure, Failure::Permanent { .. }))
            .maybe_next_retry_delay(retry_after)
            .build(),
    )
}
