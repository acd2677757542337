//! Consumers that run inside the transaction of whoever emits.

use std::{error::Error as StdError, future::Future, pin::Pin, sync::Arc};

use segno_event::{Event, TypePattern};
use sqlx::Database;

/// Why an inline consumer refuses an event.
pub type InlineError = Box<dyn StdError + Send + Sync>;

/// Code that processes an event inside the transaction that emits it: for what must not be seen apart from the change
/// itself, such as a recalculation or an audit log. When it fails, nothing of the transaction happens.
///
/// It sees what the transaction has changed so far. It should do nothing but work on the database: a call elsewhere
/// cannot be rolled back, and holds up the transaction and its locks.
pub trait InlineConsumer<DB: Database>: Send + Sync + 'static {
    /// What errors call it.
    fn name(&self) -> &str;

    /// Processes one event.
    fn process(
        &self,
        connection: &mut DB::Connection,
        event: &Event,
    ) -> impl Future<Output = Result<(), InlineError>> + Send;
}

/// [`InlineConsumer`] without its type.
pub(crate) trait DynInline<DB: Database>: Send + Sync {
    fn name(&self) -> &str;

    fn process<'a>(
        &'a self,
        connection: &'a mut DB::Connection,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), InlineError>> + Send + 'a>>;
}

impl<DB: Database, C: InlineConsumer<DB>> DynInline<DB> for C {
    fn name(&self) -> &str {
        InlineConsumer::name(self)
    }

    fn process<'a>(
        &'a self,
        connection: &'a mut DB::Connection,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), InlineError>> + Send + 'a>> {
        Box::pin(InlineConsumer::process(self, connection, event))
    }
}

/// A consumer and the events that it is for.
pub(crate) struct Registered<DB: Database> {
    pub(crate) on: Arc<[TypePattern]>,
    pub(crate) consumer: Arc<dyn DynInline<DB>>,
}

impl<DB: Database> Clone for Registered<DB> {
    fn clone(&self) -> Self {
        Self {
            on: self.on.clone(),
            consumer: self.consumer.clone(),
        }
    }
}
