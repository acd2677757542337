//! Rows that could not be published, and what people do about them.

use sqlx::Pool;

use crate::{Backend, Error, Outbox};

/// A row that cannot be published. The rows of its key that come after it wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The row's position, by which it is named.
    pub position: i64,
    /// The event's id.
    pub id: String,
    /// The event's source.
    pub source: String,
    /// The event's type.
    pub ty: String,
    /// Its key.
    pub key: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it is parked; without the payload.
    pub reason: String,
}

impl<DB: Backend> Outbox<DB> {
    /// The first parked rows by position, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn parked(&self, pool: &Pool<DB>, limit: u32) -> Result<Vec<Parked>, Error> {
        Ok(DB::parked(pool, limit.into()).await?)
    }

    /// Lets a parked row be tried again, in its place before the others of its key. False if it is not parked (any more).
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn retry_parked(&self, pool: &Pool<DB>, position: i64) -> Result<bool, Error> {
        Ok(DB::unpark(pool, position, "pending", None).await?)
    }

    /// Gives a parked row up, so that its key goes on without it; the note stays with it until it is purged. False if it is
    /// not parked (any more).
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn discard_parked(&self, pool: &Pool<DB>, position: i64, note: &str) -> Result<bool, Error> {
        Ok(DB::unpark(pool, position, "discarded", Some(note)).await?)
    }
}
