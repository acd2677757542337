//! The `consume` activity: one event to one consumer.

use segno_event::Event;
use serde::{Deserialize, Serialize};
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};

use super::{
    activities::{Activities, execution, route_of},
    event_ref::EventRef,
    keep_alive::{Progress, keep_alive},
    step::attempt,
    story::FailedAttempt,
};
use crate::{
    pauses,
    telemetry::{self, Attempted, ConsumerAttempted},
};

/// Input of `consume`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConsumeInput {
    pub(super) event: EventRef,
    pub(super) consumer: String,
}

pub(super) async fn run(
    activities: &Activities,
    ctx: &ActivityContext,
    input: ConsumeInput,
) -> Result<(), ActivityError> {
    keep_alive(ctx, &Progress::default(), async {
        let execution = execution(ctx);
        if let Some(what) = activities.pauses.of_route(route_of(&execution.workflow_id)) {
            return Err(pauses::failure(what, 0));
        }
        let event = activities
            .events
            .get(input.event, || ctx.client(), &execution)
            .await?;
        call(activities, &input.consumer, &event, attempt(ctx)).await
    })
    .await
}

async fn call(activities: &Activities, name: &str, event: &Event, attempt: u32) -> Result<(), ActivityError> {
    // Not for good: while programs are replaced one by one, another of them may have it.
    let Some(consumer) = activities.consumers.get(name) else {
        let text = format!("no consumer {name:?} is registered in this process");
        return Err(ActivityError::application(ApplicationFailure::new(text)));
    };
    let processed = consumer.process(event).await;
    let outcome = match &processed {
        Ok(()) => Attempted::Ok,
        Err(error) => Attempted::failed(error.is_permanent()),
    };
    telemetry::emit(ConsumerAttempted {
        consumer: name,
        outcome,
    });
    processed.map_err(|error| {
        let failure = ApplicationFailure::builder(error.to_string())
            .type_name("Consumer".to_owned())
            .non_retryable(error.is_permanent())
            .maybe_next_retry_delay(error.retry_after())
            .details(FailedAttempt { attempt })
            .build();
        ActivityError::application(failure)
    })
}
