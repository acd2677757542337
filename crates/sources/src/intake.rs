//! What sources hand events to.

use async_trait::async_trait;
use segno_event::Event;

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that is to be done about it is on disk, by now or since it came before: it can be acknowledged.
    Durable,
    /// It will never be taken, whoever sends it again. The reason is for people.
    Refused(String),
    /// It is not taken now. The reason is for people.
    Later(String),
}

/// Takes events in, durably.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Takes events in side by side, and answers for each, in their order. To give an event again is harmless: by its source and
    /// id it is known.
    async fn take(&self, events: &[Event]) -> Vec<Outcome>;

    /// So many messages were rejected: for those who count.
    fn rejected(&self, _messages: usize) {}

    /// So many messages wait at the broker, as it says now and then: for those who count.
    fn waiting(&self, _messages: u64) {}
}
