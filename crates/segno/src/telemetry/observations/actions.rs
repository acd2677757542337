//! Actions are attempted, and end.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::SpanKind;
use tokio::time::Instant;

use super::executions::Traced;
use crate::telemetry::{
    Metrics, Observation,
    spans::{Span, attribute},
};

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempted {
    /// It did what it was to do.
    Ok,
    /// There was nothing to do for this event.
    Skipped,
    /// Another attempt may succeed.
    Retryable,
    /// No attempt will.
    Permanent,
}

impl Attempted {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Retryable => "retryable",
            Self::Permanent => "permanent",
        }
    }

    /// Of one that failed.
    pub(crate) fn failed(stays: bool) -> Self {
        if stays { Self::Permanent } else { Self::Retryable }
    }
}

/// Which attempt of which action of which execution: what the log names.
#[derive(Clone, Debug)]
pub(crate) struct ActionRef {
    pub(crate) execution: String,
    pub(crate) route: String,
    /// The event's id.
    pub(crate) event: String,
    /// The event's trace.
    pub(crate) trace: String,
    /// Its execution's place in it.
    pub(crate) traced: Traced,
    /// When it began, by the engine's clock and by this process's.
    pub(crate) started: Option<SystemTime>,
    pub(crate) began: Instant,
    pub(crate) action: String,
    pub(crate) sink: String,
    /// From 1.
    pub(crate) attempt: u32,
}

/// A line of the log about an attempt, with the names of all that it is an attempt of.
macro_rules! say {
    ($level:ident, $at:ident, $($more:tt)*) => {
        tracing::$level!(
            execution = $at.execution,
            route = $at.route,
            event = $at.event,
            trace_id = $at.trace,
            action = $at.action,
            sink = $at.sink,
            attempt = $at.attempt,
            $($more)*
        )
    };
}

/// An attempt of an action begins.
pub(crate) struct ActionBegun<'a> {
    pub(crate) action: &'a ActionRef,
    pub(crate) category: Option<&'a str>,
    pub(crate) entity: Option<&'a str>,
}

impl Observation for ActionBegun<'_> {
    fn count(&self, _: &Metrics) {}

    fn log(&self) {
        let at = self.action;
        say!(
            info,
            at,
            category = self.category,
            entity = self.entity,
            "action begins"
        );
    }
}

/// The event was made into payloads.
pub(crate) struct ActionTransformed<'a> {
    pub(crate) action: &'a ActionRef,
    pub(crate) payloads: u64,
}

impl Observation for ActionTransformed<'_> {
    fn count(&self, _: &Metrics) {}

    fn log(&self) {
        let at = self.action;
        say!(info, at, payloads = self.payloads, "action transformed the event");
    }
}

/// A sink had a payload in hand.
pub(crate) struct PayloadDelivered<'a> {
    pub(crate) action: &'a ActionRef,
    /// Its number among those of the action, from 0.
    pub(crate) payload: usize,
    pub(crate) outcome: Attempted,
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
    /// Since the execution began, where that is known.
    pub(crate) since_accepted: Option<Duration>,
}

impl Observation for PayloadDelivered<'_> {
    fn count(&self, metrics: &Metrics) {
        let ActionRef { sink, route, .. } = self.action;
        metrics
            .deliveries
            .with_label_values(&[sink.as_str(), self.outcome.label()])
            .inc();
        metrics
            .delivery_seconds
            .with_label_values(&[sink])
            .observe(self.took.as_secs_f64());
        if let (Attempted::Ok, Some(since)) = (self.outcome, self.since_accepted) {
            metrics
                .accepted_to_delivered
                .with_label_values(&[route])
                .observe(since.as_secs_f64());
        }
    }

    fn log(&self) {
        let at = self.action;
        // That it failed is told by the attempt, with the reason.
        if self.outcome == Attempted::Ok {
            say!(
                info,
                at,
                payload = self.payload,
                status = self.status,
                "action delivered a payload"
            );
        }
    }
}

/// An attempt of an action ended without a failure.
pub(crate) struct ActionDone<'a> {
    pub(crate) action: &'a ActionRef,
    /// How many payloads there were; or why it was skipped.
    pub(crate) how: Result<u64, &'a str>,
}

impl Observation for ActionDone<'_> {
    fn count(&self, metrics: &Metrics) {
        let outcome = if self.how.is_ok() {
            Attempted::Ok
        } else {
            Attempted::Skipped
        };
        count_action(self.action, outcome, metrics);
    }

    fn span(&self) -> Option<Span> {
        let outcome = if self.how.is_ok() {
            Attempted::Ok
        } else {
            Attempted::Skipped
        };
        self.action.span(outcome, None)
    }

    fn log(&self) {
        let at = self.action;
        match self.how {
            Ok(payloads) => say!(info, at, payloads, "action done"),
            Err(reason) => say!(info, at, reason, "action skipped"),
        }
    }
}

/// An attempt of an action failed.
pub(crate) struct ActionFailed<'a> {
    pub(crate) action: &'a ActionRef,
    pub(crate) reason: &'a str,
    /// No other attempt will be made.
    pub(crate) stays: bool,
}

impl Observation for ActionFailed<'_> {
    fn count(&self, metrics: &Metrics) {
        count_action(self.action, Attempted::failed(self.stays), metrics);
    }

    fn span(&self) -> Option<Span> {
        self.action.span(Attempted::failed(self.stays), Some(self.reason))
    }

    fn log(&self) {
        let at = self.action;
        say!(
            warn,
            at,
            reason = self.reason,
            stays = self.stays,
            "action's attempt failed"
        );
    }
}

impl ActionRef {
    fn span(&self, outcome: Attempted, failed: Option<&str>) -> Option<Span> {
        let start = self.started?;
        let mut attributes = self.traced.attributes();
        attributes.push(attribute("segno.route", self.route.clone()));
        attributes.push(attribute("segno.action", self.action.clone()));
        attributes.push(attribute("segno.sink", self.sink.clone()));
        attributes.push(attribute("segno.attempt", i64::from(self.attempt)));
        attributes.push(attribute("segno.outcome", outcome.label()));
        Some(Span {
            context: self.traced.context.after(self.traced.action_id(&self.action)),
            id: self.traced.attempt_id(&self.action, self.attempt),
            name: "segno attempt",
            kind: SpanKind::Producer,
            start,
            end: start + self.began.elapsed(),
            failed: failed.map(str::to_owned),
            attributes,
        })
    }
}

fn count_action(action: &ActionRef, outcome: Attempted, metrics: &Metrics) {
    metrics
        .actions
        .with_label_values(&[action.route.as_str(), &action.sink, outcome.label()])
        .inc();
}

/// A consumer made an attempt.
pub(crate) struct ConsumerAttempted<'a> {
    pub(crate) consumer: &'a str,
    pub(crate) outcome: Attempted,
}

impl Observation for ConsumerAttempted<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics
            .consumed
            .with_label_values(&[self.consumer, self.outcome.label()])
            .inc();
    }
}

/// A sink was to be told of a dead letter.
pub(crate) struct AlertAttempted<'a> {
    pub(crate) sink: &'a str,
    pub(crate) outcome: Attempted,
}

impl Observation for AlertAttempted<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics
            .alerts
            .with_label_values(&[self.sink, self.outcome.label()])
            .inc();
    }
}

/// An action, or a consumer, came to its end, after however many attempts.
pub(crate) struct ActionEnded<'a> {
    pub(crate) of: &'a Traced,
    pub(crate) action: &'a str,
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    pub(crate) failed: bool,
}

impl Observation for ActionEnded<'_> {
    fn count(&self, _: &Metrics) {}

    fn span(&self) -> Option<Span> {
        let mut attributes = self.of.attributes();
        attributes.push(attribute("segno.action", self.action.to_owned()));
        Some(Span {
            context: self.of.context.after(self.of.id()),
            id: self.of.action_id(self.action),
            name: "segno action",
            kind: SpanKind::Internal,
            start: self.began,
            end: self.ended,
            failed: self.failed.then(|| "it failed for good".to_owned()),
            attributes,
        })
    }
}
