//! The activity that delivers a timer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use segno_sinks::{
    Delivered, Failure, Secret,
    webhook::{Headers, Method, Request, Sender, SenderError, Target},
};
use temporalio_macros::activities;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};
use tokio::time::{Instant, interval_at};

use crate::{Deadline, Options, Timer, target, timer::Attempt};

/// How long one attempt may take. Short of the activity's minute, so that a receiver's silence is seen here
/// and told from a worker's end; and five of them, with the pauses between, are short of the delivery's
/// 310 s.
const ATTEMPT: Duration = Duration::from_secs(58);
/// How often an attempt shows that it is alive; the engine gives it up after 12 s of silence.
const BEAT: Duration = Duration::from_secs(4);

/// What the activity needs of its worker.
#[derive(Debug)]
pub(crate) struct TimerActivities {
    sender: Sender,
    secrets: Vec<Secret>,
    /// Told of each timer's first call: so long after its deadline.
    fired: fn(Duration),
}

impl TimerActivities {
    pub(crate) fn new(options: &Options, fired: fn(Duration)) -> Result<Self, SenderError> {
        let secrets = options.secret.iter().cloned().collect();
        Ok(Self {
            sender: Sender::new(options.allow_private)?,
            secrets,
            fired,
        })
    }

    /// One attempt; `id` is the timer's.
    async fn send(&self, id: &str, timer: &Timer) -> Result<Delivered, Failure> {
        // All this was checked when the timer was made: it fails where an execution was started by other
        // means.
        let invalid = |what| Failure::permanent(format!("the timer's {what} is not valid"));
        let url: Target = timer.url.parse().map_err(|_| invalid("URL"))?;
        let method: Method = timer.method.parse().map_err(|_| invalid("method"))?;
        let headers = timer
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = Headers::new(headers).map_err(|_| invalid("header"))?;
        let request = Request {
            method: &method,
            url: &target::with_id(&url, id),
            headers: headers.as_map(),
            body: Bytes::from(timer.body.clone()),
            id,
            secrets: &self.secrets,
            timeout: ATTEMPT,
        };
        self.sender.send(request).await
    }
}

#[activities]
impl TimerActivities {
    /// Calls the timer's URL, once. Returns the attempts so far: they go from one attempt to the next as
    /// heartbeat details.
    #[activity(name = "fire_timer")]
    pub(crate) async fn fire_timer(
        self: Arc<Self>,
        ctx: ActivityContext,
        timer: Timer,
    ) -> Result<Vec<Attempt>, ActivityError> {
        let id = ctx.info().workflow_id.clone().unwrap_or_default();
        // What cannot be read is of another version; the delivery does not depend on it.
        let mut attempts: Vec<Attempt> = ctx
            .heartbeat_details()
            .deserialize()
            .ok()
            .flatten()
            .unwrap_or_default();
        if attempts.is_empty() {
            let late = Deadline::now()
                .as_millis()
                .saturating_sub(timer.deadline.as_millis());
            (self.fired)(Duration::from_millis(late));
        }
        attempts.push(Attempt {
            number: ctx.info().attempt,
            at: Deadline::now(),
            status: None,
            error: None,
        });
        let outcome = {
            let sending = self.send(&id, &timer);
            tokio::pin!(sending);
            let mut beat = interval_at(Instant::now() + BEAT, BEAT);
            loop {
                tokio::select! {
                    outcome = &mut sending => break outcome,
                    // The timer was cancelled, or this worker shuts down: to the engine a failed attempt.
                    () = ctx.cancelled() => {
                        ctx.record_heartbeat(attempts).await?;
                        return Err(ActivityError::cancelled());
                    }
                    _ = beat.tick() => ctx.record_heartbeat(attempts.clone()).await?,
                }
            }
        };
        let number = ctx.info().attempt;
        if let Some(attempt) = attempts.last_mut() {
            match &outcome {
                Ok(delivered) => attempt.status = delivered.status,
                Err(failure) => {
                    attempt.status = failure.status();
                    attempt.error = Some(failure.to_string());
                }
            }
        }
        match outcome {
            Ok(delivered) => {
                tracing::info!(timer = %id, number, status = delivered.status, "timer delivered");
                Ok(attempts)
            }
            Err(failure) => {
                tracing::warn!(timer = %id, number, reason = %failure, "timer not delivered");
                ctx.record_heartbeat(attempts.clone()).await?;
                Err(ActivityError::application(translate(failure, attempts)))
            }
        }
    }
}

/// A failure as the engine knows them: it decides by this whether and when there is another attempt.
fn translate(failure: Failure, attempts: Vec<Attempt>) -> ApplicationFailure {
    let builder = ApplicationFailure::builder(failure.to_string())
        .type_name("TimerDelivery".to_owned())
        .details(attempts);
    match failure {
        Failure::Retryable { retry_after, .. } => builder.maybe_next_retry_delay(retry_after).build(),
        Failure::Permanent { .. } => builder.non_retryable(true).build(),
    }
}
