//! A consent study's answers. Guardians answer for the dependents of their families, so whenever a guardian's answers, a
//! family, a profile or the participants of a study change, the answers of the dependents are made anew.
//!
//! Each change and the event that tells of it are one transaction, by an outbox in the service's own PostgreSQL. What
//! follows from an event happens in one of two ways, and a deployment chooses (`Reaction`):
//!
//! - **After** it: a relay publishes the event to Redis, Segno reads it from there, and the consumer [`Recalculate`] handles
//!   it as an execution of its own, with retries. A caller that has to see the outcome asks to wait for it.
//! - **Inside** it: [`Recalculate`] runs in the transaction of the change, so nobody ever sees one without the other. The
//!   event is published all the same.
//!
//! | module | what it does |
//! |---|---|
//! | [`combine`] | several guardians' answers as one; pure |
//! | `recalculate` | what an event changes, whichever way |
//! | `changes` | what the API does: a change and its event |
//! | `api` | HTTP |
//! | [`service`] | all of it as a process |

mod api;
mod changes;
pub mod combine;
mod events;
mod recalculate;
pub mod service;

pub use recalculate::{CONSUMER, Recalculate};
pub use service::{Options, Reaction, Service};

/// What the service's functions fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database refuses or does not answer.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The outbox refuses the event, or an inline consumer does.
    #[error(transparent)]
    Outbox(#[from] segno_outbox::Error),
    /// What is asked for is not there.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What it is.
        what: &'static str,
        /// Its id.
        id: i64,
    },
    /// Answers that do not fit the survey, or each other.
    #[error(transparent)]
    Answers(#[from] combine::LengthMismatch),
    /// The tables cannot be made.
    #[error("the service's tables cannot be made: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Segno cannot start or stop.
    #[error("segno: {0}")]
    Segno(#[from] segno::Error),
    /// The configuration made for Segno is wrong.
    #[error("segno's configuration: {0}")]
    Config(String),
    /// The address cannot be listened on, or the server broke.
    #[error("the HTTP server: {0}")]
    Http(#[from] std::io::Error),
}
