//! Executions of events begin and end.

use std::time::SystemTime;

use opentelemetry::{KeyValue, trace::SpanKind};
use segno_event::Event;

use super::intake::{intake_span, of_event};
use crate::telemetry::{
    Metrics, Observation, TraceContext,
    spans::{Span, attribute},
};

/// An execution in its event's trace.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    /// The trace, after the event's being taken in.
    pub(super) context: TraceContext,
    workflow_id: String,
    run_id: String,
    attributes: Vec<KeyValue>,
}

impl Traced {
    pub(crate) fn new(event: &Event, workflow_id: &str, run_id: &str) -> Self {
        let context = TraceContext::of(event);
        let intake = intake_span(&context, event);
        Self {
            context: context.after(intake),
            workflow_id: workflow_id.to_owned(),
            run_id: run_id.to_owned(),
            attributes: of_event(event),
        }
    }

    pub(super) fn id(&self) -> [u8; 8] {
        self.context.span(&["execution", &self.workflow_id, &self.run_id])
    }

    pub(super) fn action_id(&self, action: &str) -> [u8; 8] {
        self.context
            .span(&["action", &self.workflow_id, &self.run_id, action])
    }

    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = self.attributes.clone();
        attributes.push(attribute("segno.execution", self.workflow_id.clone()));
        attributes.push(attribute("segno.run", self.run_id.clone()));
        attributes
    }

    /// The trace's id.
    pub(crate) fn trace_id(&self) -> String {
        self.context.trace_id()
    }

    /// An attempt of an action, for whoever takes what it delivers.
    pub(crate) fn attempt(&self, action: &str, attempt: u32) -> TraceContext {
        self.context.after(self.attempt_id(action, attempt))
    }

    pub(super) fn attempt_id(&self, action: &str, attempt: u32) -> [u8; 8] {
        let attempt = attempt.to_string();
        self.context
            .span(&["attempt", &self.workflow_id, &self.run_id, action, &attempt])
    }
}

/// An execution of an event on a route is there.
pub(crate) struct ExecutionStarted<'a> {
    pub(crate) route: &'a str,
    /// It was there already.
    pub(crate) duplicate: bool,
}

impl Observation for ExecutionStarted<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics.route_matches.with_label_values(&[self.route]).inc();
        let outcome = if self.duplicate { "duplicate" } else { "started" };
        metrics
            .executions_started
            .with_label_values(&[self.route, outcome])
            .inc();
    }
}

/// How an event's execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// All that was planned is done.
    Done,
    /// Something failed for good: a dead letter.
    Failed,
    /// A later event ran in its place.
    Superseded,
    /// It ran as part of a batch.
    Batched,
    /// It was cancelled.
    Cancelled,
    /// Somebody decided about its dead letter, and nothing was run.
    Settled,
}

impl Closed {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Batched => "batched",
            Self::Cancelled => "cancelled",
            Self::Settled => "settled",
        }
    }
}

/// An event's execution ended.
pub(crate) struct ExecutionClosed<'a> {
    pub(crate) route: &'a str,
    pub(crate) how: Closed,
    /// Its place in the trace, and its times by the engine's clock, where these are known.
    pub(crate) traced: Option<(&'a Traced, SystemTime, SystemTime)>,
}

impl Observation for ExecutionClosed<'_> {
    fn count(&self, metrics: &Metrics) {
        let outcome = self.how.label();
        metrics
            .executions_closed
            .with_label_values(&[self.route, outcome])
            .inc();
        if self.how == Closed::Failed {
            metrics.dead_letters_total.with_label_values(&[self.route]).inc();
        }
    }

    fn span(&self) -> Option<Span> {
        let (traced, start, end) = self.traced?;
        let mut attributes = traced.attributes();
        attributes.push(attribute("segno.route", self.route.to_owned()));
        attributes.push(attribute("segno.outcome", self.how.label()));
        Some(Span {
            context: traced.context.clone(),
            id: traced.id(),
            name: "segno execution",
            kind: SpanKind::Internal,
            start,
            end,
            failed: (self.how == Closed::Failed).then(|| "a dead letter".to_owned()),
            attributes,
        })
    }
}
