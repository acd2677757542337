//! What can go wrong with an outbox.

use segno_event::Violation;

use crate::{CipherError, InlineError};

/// An event was not emitted, or the outbox could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database refuses, or cannot be reached.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be made.
    #[error("the outbox's tables cannot be made: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The event breaks rules of CloudEvents.
    #[error("this is no CloudEvent: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Violation>),
    /// The outbox has an event of this source and id.
    #[error("the outbox has an event with the source {source_:?} and the id {id:?} already")]
    Duplicate {
        /// The event's source.
        source_: String,
        /// The event's id.
        id: String,
    },
    /// A text is longer than its column.
    #[error("`{column}` has {length} characters; the outbox takes {max}")]
    TooLong {
        /// The column.
        column: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        max: usize,
    },
    /// The payload cannot be encrypted.
    #[error("the event {id:?} cannot be encrypted: {source}")]
    Seal {
        /// The event's id.
        id: String,
        /// Why.
        source: CipherError,
    },
    /// The payload cannot be written as JSON.
    #[error("the event cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
    /// A consumer inside the transaction refuses the event: the transaction must not be committed.
    #[error("the consumer {consumer:?} refuses the event {id:?}: {source}")]
    Inline {
        /// The consumer's name.
        consumer: String,
        /// The event's id.
        id: String,
        /// Why.
        source: InlineError,
    },
    /// A name cannot name a table.
    #[error("{0:?} cannot name a table: use lower-case letters, digits and underscores, at most 40")]
    TableName(String),
}
