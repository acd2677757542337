//! What a sink is given.

use segno_event::Event;
use serde_json::Value;

/// One payload on its way to a sink.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The idempotency key: the same at every attempt of one delivery, and different between deliveries, so that the
    /// target can leave out repetitions.
    pub key: &'a str,
    /// What is delivered.
    pub payload: &'a Value,
    /// The event that it was made of, where there is one.
    pub event: Option<&'a Event>,
    /// The trace that it is part of, where there is one.
    pub trace: Option<Trace<'a>>,
}

/// A place in a trace, as W3C Trace Context writes it. It goes along where the target has a place for it: headers, metadata,
/// attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace<'a> {
    /// `traceparent`.
    pub parent: &'a str,
    /// `tracestate`.
    pub state: Option<&'a str>,
}

impl<'a> Trace<'a> {
    /// Names and values.
    pub(crate) fn headers(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let state = self.state.map(|state| ("tracestate", state));
        std::iter::once(("traceparent", self.parent)).chain(state)
    }
}

impl<'a> Delivery<'a> {
    /// A delivery that was made of no event.
    pub fn new(key: &'a str, payload: &'a Value) -> Self {
        Self {
            key,
            payload,
            event: None,
            trace: None,
        }
    }

    /// The same, as part of this trace.
    #[must_use]
    pub fn traced(self, trace: Trace<'a>) -> Self {
        Self {
            trace: Some(trace),
            ..self
        }
    }

    /// The same, made of this event.
    #[must_use]
    pub fn of(self, event: &'a Event) -> Self {
        Self {
            event: Some(event),
            ..self
        }
    }
}
