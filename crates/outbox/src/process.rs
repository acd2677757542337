//! Processing what is in an outbox at once, for tests.

use segno_event::Event;
use sqlx::Pool;

use crate::{Backend, Error, Outbox};

/// Why [`process_events`] stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError<E> {
    /// The outbox cannot be read, or a row of it.
    #[error(transparent)]
    Outbox(Error),
    /// A row holds no event.
    #[error("the row at position {position} cannot be read: {reason}")]
    Row {
        /// Its position.
        position: i64,
        /// Why.
        reason: String,
    },
    /// The event was not processed. Its row stays.
    #[error("the event {id:?} ({ty}) was not processed: {source}")]
    Consumer {
        /// The event's id.
        id: String,
        /// The event's type.
        ty: String,
        /// What `consume` said.
        source: E,
    },
}

/// Hands every event in the outbox to `consume`, one after the other in the order of their positions, until there is none:
/// what `consume` itself emits is handed to it too. Returns the events. Stops at the first error.
///
/// This is for tests: no relay, no bus, no clock. Nothing else may publish from this outbox meanwhile.
///
/// # Errors
///
/// [`ProcessError`].
pub async fn process_events<DB: Backend, E>(
    outbox: &Outbox<DB>,
    pool: &Pool<DB>,
    mut consume: impl AsyncFnMut(&Event) -> Result<(), E>,
) -> Result<Vec<Event>, ProcessError<E>> {
    let database = |error: sqlx::Error| ProcessError::Outbox(error.into());
    let mut processed = Vec::new();
    while let Some(next) = DB::oldest(pool).await.map_err(database)? {
        let event = next
            .row
            .event(outbox.opener())
            .map_err(|error| ProcessError::Row {
                position: next.position,
                reason: error.to_string(),
            })?;
        consume(&event).await.map_err(|source| ProcessError::Consumer {
            id: event.id.clone(),
            ty: event.ty.clone(),
            source,
        })?;
        DB::mark(pool, next.position).await.map_err(database)?;
        processed.push(event);
    }
    Ok(processed)
}
