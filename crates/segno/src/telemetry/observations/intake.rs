//! Events are taken in.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry::{KeyValue, trace::SpanKind};
use segno_event::Event;

use crate::telemetry::{
    Metrics, Observation, TraceContext,
    spans::{Span, attribute},
};

/// Where events come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `http`, `source`, `outbox`, `schedule`, `program` or `segno`.
    pub(crate) kind: &'static str,
    /// The source's or outbox's name; empty where there is none.
    pub(crate) source: Arc<str>,
}

impl Entry {
    pub(crate) fn of(kind: &'static str, source: &str) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }
}

/// What became of an event that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TakenIn {
    /// Something was started for it.
    Accepted,
    /// It was there already.
    Duplicate,
    /// No route took it.
    Unrouted,
    /// It will never be taken.
    Refused,
    /// It is not taken now.
    NotNow,
}

impl TakenIn {
    fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Unrouted => "unrouted",
            Self::Refused => "refused",
            Self::NotNow => "unavailable",
        }
    }
}

/// Events were handed in.
pub(crate) struct EventsTaken<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) outcome: TakenIn,
    pub(crate) count: u64,
}

impl Observation for EventsTaken<'_> {
    fn count(&self, metrics: &Metrics) {
        let Entry { kind, source } = self.entry;
        let labels = [*kind, source, self.outcome.label()];
        metrics.events.with_label_values(&labels).inc_by(self.count);
    }
}

/// An event was handed in: the span of it.
pub(crate) struct EventReceived<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) event: &'a Event,
    pub(crate) outcome: TakenIn,
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
}

impl Observation for EventReceived<'_> {
    fn count(&self, _: &Metrics) {}

    fn span(&self) -> Option<Span> {
        let context = TraceContext::of(self.event);
        let id = intake_span(&context, self.event);
        let mut attributes = of_event(self.event);
        attributes.push(attribute("segno.entry", self.entry.kind));
        if !self.entry.source.is_empty() {
            attributes.push(attribute("segno.source", self.entry.source.to_string()));
        }
        attributes.push(attribute("segno.outcome", self.outcome.label()));
        let failed = matches!(self.outcome, TakenIn::Refused | TakenIn::NotNow);
        Some(Span {
            context,
            id,
            name: "segno intake",
            kind: if self.entry.kind == "http" {
                SpanKind::Server
            } else {
                SpanKind::Consumer
            },
            start: self.began,
            end: self.ended,
            failed: failed.then(|| self.outcome.label().to_owned()),
            attributes,
        })
    }
}

/// The span of an event's being taken in: the same one whenever it comes.
pub(super) fn intake_span(context: &TraceContext, event: &Event) -> [u8; 8] {
    context.span(&["intake", &event.source, &event.id])
}

/// As OpenTelemetry names what identifies an event.
pub(super) fn of_event(event: &Event) -> Vec<KeyValue> {
    vec![
        attribute("cloudevents.event_id", event.id.clone()),
        attribute("cloudevents.event_source", event.source.clone()),
        attribute("cloudevents.event_type", event.ty.clone()),
    ]
}

/// The intake answered.
pub(crate) struct IntakeTook<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) time: Duration,
}

impl Observation for IntakeTook<'_> {
    fn count(&self, metrics: &Metrics) {
        let histogram = metrics.intake_seconds.with_label_values(&[self.entry.kind]);
        histogram.observe(self.time.as_secs_f64());
    }
}
