//! Consumers with the events that they are for: routes that nobody has to write.

use std::sync::Arc;

use segno_event::{Event, TypePattern};
use segno_routing::{Handler, Retry, Route, Timing};

use crate::{
    ConsumerError, Error,
    consumer::{Consumer, DynConsumer},
};

/// Consumers by name, each with the types of event that it processes. [`Builder::consumers`](crate::Builder::consumers) makes
/// a route of each, so that each (event, consumer) is an execution of its own, with retries: a consumer that fails on an
/// event holds up neither other events nor other consumers. Cheap to clone.
///
/// ```
/// # use segno::{Consumer, ConsumerError, Consumers, Event};
/// # struct Recalculate;
/// # impl Consumer for Recalculate {
/// #     async fn process(&self, _: &Event) -> Result<(), ConsumerError> { Ok(()) }
/// # }
/// let consumers = Consumers::new().subscribe("recalculate", ["answers.*", "family.*"], Recalculate)?;
/// let builder = segno::Segno::builder().consumers(consumers);
/// # Ok::<(), segno::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Consumers(Vec<Subscription>);

#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) name: String,
    pub(crate) on: Vec<TypePattern>,
    pub(crate) consumer: Arc<dyn DynConsumer>,
}

impl Subscription {
    pub(crate) fn takes(&self, event: &Event) -> bool {
        self.on.iter().any(|pattern| pattern.matches(&event.ty))
    }

    /// The route that runs it, which has its name.
    pub(crate) fn route(&self) -> Route {
        Route {
            name: self.name.clone(),
            on: self.on.clone(),
            when: None,
            handler: Handler::Consumer {
                name: self.name.clone(),
                retry: Retry::default(),
            },
            timing: Timing::default(),
            flow: None,
        }
    }
}

/// A consumer did not process an event.
#[derive(Debug, thiserror::Error)]
#[error("the consumer {consumer:?}: {source}")]
pub struct NotProcessed {
    /// The consumer's name.
    pub consumer: String,
    /// Why.
    #[source]
    pub source: ConsumerError,
}

impl Consumers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a consumer for events of these types; `*` in a type stands for any run of characters. The name is also
    /// that of its route, so it cannot be a configured route's.
    ///
    /// # Errors
    ///
    /// [`Error::Subscription`] for a type that is no pattern, or none at all.
    pub fn subscribe<T: AsRef<str>>(
        mut self,
        name: impl Into<String>,
        on: impl IntoIterator<Item = T>,
        consumer: impl Consumer,
    ) -> Result<Self, Error> {
        let name = name.into();
        let wrong = |name: &str, why: String| Error::Subscription {
            consumer: name.to_owned(),
            why,
        };
        let mut patterns = Vec::new();
        for pattern in on {
            let pattern = pattern.as_ref();
            match pattern.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => return Err(wrong(&name, format!("{pattern:?} is no event type: {error}"))),
            }
        }
        if patterns.is_empty() {
            return Err(wrong(&name, "it is for no type of event".to_owned()));
        }
        self.0.push(Subscription {
            name,
            on: patterns,
            consumer: Arc::new(consumer),
        });
        Ok(self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.0.iter()
    }

    /// Has every consumer that is for it process an event, one after the other and here: for tests, and for programs that run
    /// without an engine.
    ///
    /// # Errors
    ///
    /// The first consumer's that fails; those after it have not run.
    pub async fn process(&self, event: &Event) -> Result<(), NotProcessed> {
        for subscription in self.iter().filter(|subscription| subscription.takes(event)) {
            let processed = subscription.consumer.process(event).await;
            processed.map_err(|source| NotProcessed {
                consumer: subscription.name.clone(),
                source,
            })?;
        }
        Ok(())
    }
}
