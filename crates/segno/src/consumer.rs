//! Consumers: Rust code that handles events, run and retried by the engine.

use std::{error::Error as StdError, future::Future, pin::Pin, time::Duration};

use segno_event::Event;

/// Code that processes one event at a time; a route names it by `consumer = "name"`.
///
/// The same event can come again, after a crash or when an attempt timed out, so processing has to be
/// idempotent: [`Event::source`] with [`Event::id`] identifies an event.
///
/// ```
/// use segno::{Consumer, ConsumerError, Event};
///
/// struct Greeter;
///
/// impl Consumer for Greeter {
///     async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
///         let subject = event.subject.as_deref();
///         let name = subject.ok_or_else(|| ConsumerError::permanent("the event has no subject"))?;
///         println!("hello {name}");
///         Ok(())
///     }
/// }
/// ```
pub trait Consumer: Send + Sync + 'static {
    /// Processes one event. An attempt may take up to an hour; it is dropped at an await when its execution is
    /// cancelled or the process stops, and in the latter case runs again.
    fn process(&self, event: &Event) -> impl Future<Output = Result<(), ConsumerError>> + Send;
}

/// Why a consumer did not process an event.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ConsumerError {
    error: Box<dyn StdError + Send + Sync>,
    permanent: bool,
    retry_after: Option<Duration>,
}

impl ConsumerError {
    /// A failure that may pass: the engine tries again by the route's retry policy.
    pub fn retryable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            permanent: false,
            retry_after: None,
        }
    }

    /// A failure that no retry changes: the execution fails at once and is a dead letter.
    pub fn permanent(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            permanent: true,
            retry_after: None,
        }
    }

    /// Tries again after this time, in place of the retry policy's.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Whether a retry is of no use.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// The time asked for before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// [`Consumer`] without its type: what the worker keeps by name.
pub(crate) trait DynConsumer: Send + Sync {
    fn process<'a>(
        &'a self,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), ConsumerError>> + Send + 'a>>;
}

impl<C: Consumer> DynConsumer for C {
    fn process<'a>(
        &'a self,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), ConsumerError>> + Send + 'a>> {
        Box::pin(Consumer::process(self, event))
    }
}
