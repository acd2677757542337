//! Where relays publish to.

#[cfg(any(feature = "http", feature = "sinks"))]
use std::borrow::Cow;
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use segno_event::Event;
use time::OffsetDateTime;

use crate::Origin;

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "sinks")]
mod sink;

#[cfg(feature = "http")]
pub use http::Http;
#[cfg(feature = "sinks")]
pub use sink::ToSink;

/// Where a relay publishes to: a bus, or Segno itself.
#[async_trait]
pub trait Publisher: fmt::Debug + Send + Sync {
    /// Publishes a batch and says of each event what became of it, as soon as it is known. An event counts as published
    /// when it is durable over there and not before.
    ///
    /// Events of one key have to arrive in the order of the batch: after one that failed, no further one of its key is
    /// published. [`Batch::each`] does that for targets that take one event at a time. What is said of no event leaves it as
    /// it is: it comes again.
    async fn publish(&self, batch: &Batch);
}

/// An event on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The event.
    pub event: Event,
    /// Its key.
    pub key: Option<String>,
    /// How often it has been tried before.
    pub attempts: u32,
    /// Position of its row.
    pub position: i64,
    /// When its row was written, by the database's clock.
    pub written_at: OffsetDateTime,
}

impl Outgoing {
    /// Its row in the outbox of this name, as handed on now.
    pub fn origin(&self, outbox: impl Into<String>) -> Origin {
        Origin {
            outbox: outbox.into(),
            position: self.position,
            written_at: self.written_at,
            relayed_at: OffsetDateTime::now_utc(),
        }
    }

    /// The event as it goes out to a bus: where the outbox has a name, it says which row it was.
    #[cfg(any(feature = "http", feature = "sinks"))]
    pub(crate) fn told(&self, outbox: Option<&str>) -> Cow<'_, Event> {
        match outbox {
            Some(outbox) => Cow::Owned(self.origin(outbox).told_by(self.event.clone())),
            None => Cow::Borrowed(&self.event),
        }
    }
}

/// An event was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Another attempt may succeed.
    #[error("{reason}")]
    Retryable {
        /// Why; without the payload.
        reason: String,
        /// How long the target asks to be left alone, when it says so.
        after: Option<Duration>,
    },
    /// No attempt will succeed until somebody changes something: the row is parked.
    #[error("{reason}")]
    Permanent {
        /// Why; without the payload.
        reason: String,
    },
}

impl PublishError {
    /// A failure that another attempt may overcome.
    pub fn retryable(reason: impl Into<String>) -> Self {
        Self::Retryable {
            reason: reason.into(),
            after: None,
        }
    }

    /// A failure that stays.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent {
            reason: reason.into(),
        }
    }
}

/// Events to be published, in order, and what became of them.
#[derive(Debug)]
pub struct Batch {
    events: Vec<Outgoing>,
    outcomes: Mutex<Vec<Option<Result<(), PublishError>>>>,
}

impl Batch {
    /// A batch of which nothing is known yet.
    pub fn new(events: Vec<Outgoing>) -> Self {
        let outcomes = Mutex::new(vec![None; events.len()]);
        Self { events, outcomes }
    }

    /// The events, in order.
    pub fn events(&self) -> &[Outgoing] {
        &self.events
    }

    /// Says what became of the event at `index`, as far as nothing has been said of it.
    pub fn settle(&self, index: usize, outcome: Result<(), PublishError>) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = outcomes.get_mut(index) {
            place.get_or_insert(outcome);
        }
    }

    /// What became of them, in order; None: nothing was said.
    pub fn outcomes(&self) -> Vec<Option<Result<(), PublishError>>> {
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Publishes the events one by one with `publish`, those of one key one after the other until one fails, and up to
    /// `concurrency` keys side by side.
    pub async fn each<'b, F>(&'b self, concurrency: usize, publish: impl Fn(&'b Outgoing) -> F)
    where
        F: Future<Output = Result<(), PublishError>>,
    {
        let publish = &publish;
        stream::iter(self.lanes())
            .for_each_concurrent(concurrency.max(1), |lane| async move {
                for index in lane {
                    let outcome = publish(&self.events[index]).await;
                    let failed = outcome.is_err();
                    self.settle(index, outcome);
                    if failed {
                        break;
                    }
                }
            })
            .await;
    }

    /// The indexes of the events of each key, in order; an event without a key is alone.
    pub(crate) fn lanes(&self) -> Vec<Vec<usize>> {
        let mut lanes: Vec<Vec<usize>> = Vec::new();
        let mut of_key = HashMap::new();
        for (index, outgoing) in self.events.iter().enumerate() {
            match &outgoing.key {
                None => lanes.push(vec![index]),
                Some(key) => {
                    let lane = *of_key.entry(key).or_insert_with(|| {
                        lanes.push(Vec::new());
                        lanes.len() - 1
                    });
                    lanes[lane].push(index);
                }
            }
        }
        lanes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(keys: &[Option<&str>]) -> Batch {
        let outgoing = |(index, key): (usize, &Option<&str>)| Outgoing {
            event: Event::new("/s", index.to_string(), "t"),
            key: key.map(str::to_owned),
            attempts: 0,
            position: 1,
            written_at: OffsetDateTime::UNIX_EPOCH,
        };
        Batch::new(keys.iter().enumerate().map(outgoing).collect())
    }

    #[tokio::test]
    async fn a_key_stops_at_its_first_failure_and_the_others_go_on() {
        let batch = batch(&[Some("a"), Some("b"), Some("a"), None, Some("b"), Some("a")]);
        batch
            .each(8, async |outgoing| match outgoing.event.id.as_str() {
                "2" => Err(PublishError::permanent("no")),
                _ => Ok(()),
            })
            .await;
        let no = Some(Err(PublishError::permanent("no")));
        let done = Some(Ok(()));
        assert_eq!(
            batch.outcomes(),
            [done.clone(), done.clone(), no, done.clone(), done, None]
        );
    }

    #[test]
    fn the_first_word_counts() {
        let batch = batch(&[None]);
        batch.settle(0, Ok(()));
        batch.settle(0, Err(PublishError::retryable("late")));
        batch.settle(1, Ok(()));
        assert_eq!(batch.outcomes(), [Some(Ok(()))]);
    }
}
