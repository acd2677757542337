//! What differs between the databases, and the statements that do not.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use sqlx::{Database, Pool, Transaction, migrate::MigrateError};
use tokio::sync::Notify;

use crate::{
    parked::Parked,
    row::{PendingRow, Row},
    stats::Stats,
};

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#[macro_use]
mod statements;

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// A kind of database that an outbox can be in: [`sqlx::Postgres`], [`sqlx::MySql`] and [`sqlx::Sqlite`], by features of
/// this crate.
pub trait Backend: Database + sealed::Sealed {
    /// The migrations, oldest first, each with its number and its name.
    const MIGRATIONS: &'static [(i64, &'static str, &'static str)];
    /// The statements that connect a table of Debezium's outbox layout.
    const DEBEZIUM: &'static str;

    #[doc(hidden)]
    fn migrate(pool: &Pool<Self>) -> impl Future<Output = Result<(), MigrateError>> + Send;
    #[doc(hidden)]
    fn script(pool: &Pool<Self>, script: String) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
    /// A transaction that will write.
    #[doc(hidden)]
    fn begin(
        pool: &Pool<Self>,
    ) -> impl Future<Output = Result<Transaction<'static, Self>, sqlx::Error>> + Send;
    /// Locks keys, which are sorted, until the transaction ends.
    #[doc(hidden)]
    fn lock(
        connection: &mut Self::Connection,
        keys: &[&str],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
    #[doc(hidden)]
    fn insert(
        connection: &mut Self::Connection,
        row: &Row,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The parts that have rows to be published now.
    #[doc(hidden)]
    fn parts(pool: &Pool<Self>) -> impl Future<Output = Result<Vec<i16>, sqlx::Error>> + Send;
    /// Takes a part, unless another relay has it, with its next rows in order.
    #[doc(hidden)]
    fn claim(
        pool: &Pool<Self>,
        part: i16,
        claimant: &Claimant,
        limit: i64,
    ) -> impl Future<Output = Result<Option<Claim<Self>>, sqlx::Error>> + Send;
    /// Writes down what became of the rows and gives the part back. False if it was another's already: then nothing is
    /// written.
    #[doc(hidden)]
    fn settle(
        pool: &Pool<Self>,
        claim: Claim<Self>,
        claimant: &Claimant,
        settlement: &Settlement,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
    /// Gives back what a relay that ends may hold.
    #[doc(hidden)]
    fn release(
        pool: &Pool<Self>,
        claimant: &Claimant,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
    /// Tells `wake` of new rows for as long as it is polled. Never does where the database has no means.
    #[doc(hidden)]
    fn listen(pool: &Pool<Self>, wake: &Arc<Notify>) -> impl Future<Output = ()> + Send;

    /// The first rows of all parts by position, whether due or not.
    #[doc(hidden)]
    fn oldest(pool: &Pool<Self>) -> impl Future<Output = Result<Option<PendingRow>, sqlx::Error>> + Send;
    #[doc(hidden)]
    fn mark(pool: &Pool<Self>, position: i64) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
    /// Deletes rows that are done with for at least `age`, at most `limit`.
    #[doc(hidden)]
    fn purge(
        pool: &Pool<Self>,
        age: Duration,
        limit: i64,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;
    #[doc(hidden)]
    fn stats(
        pool: &Pool<Self>,
        stranded_after: Duration,
    ) -> impl Future<Output = Result<Stats, sqlx::Error>> + Send;
    #[doc(hidden)]
    fn parked(pool: &Pool<Self>, limit: i64)
    -> impl Future<Output = Result<Vec<Parked>, sqlx::Error>> + Send;
    /// Changes a parked row's state; false if it is not parked.
    #[doc(hidden)]
    fn unpark(
        pool: &Pool<Self>,
        position: i64,
        state: &'static str,
        note: Option<&str>,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A relay, as the database knows it.
///
/// What a relay and a backend tell each other is as public as [`Backend`], also where a build has no backend that reads it.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Its name.
    pub id: String,
    /// How long it may keep a part without a word.
    pub lease: Duration,
}

/// A part in a relay's hands.
pub struct Claim<DB: Database> {
    /// Its number.
    pub part: i16,
    /// Its next rows, in order.
    pub rows: Vec<PendingRow>,
    /// Holds the part's lock, where that is one of a transaction.
    pub held: Option<Transaction<'static, DB>>,
}

impl<DB: Database> fmt::Debug for Claim<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("part", &self.part)
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}

/// What became of rows.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    pub(crate) published: Vec<i64>,
    pub(crate) failed: Vec<Failed>,
}

/// A row that was not published.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) position: i64,
    pub(crate) reason: String,
    /// When it is tried again; None: it is parked.
    pub(crate) retry: Option<Duration>,
}

/// Milliseconds, as the tables count them.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
