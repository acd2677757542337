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
}

impl<'a> Delivery<'a> {
    /// A delivery that was made of no event.
    pub fn new(key: &'a str, payload: &'a Value) -> Self {
        Self {
            key,
            payload,
            event: None,
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
