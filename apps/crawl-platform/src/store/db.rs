//! One way to talk to three databases.
//!
//! The platform's statements are the same for all, but for placeholders and for inserts that may meet their row; its values
//! are texts and whole numbers. So the difference is these few functions, and the rooms above write each statement once.

use std::{borrow::Cow, str::FromStr, time::Duration};

use sqlx::{
    AssertSqlSafe, MySqlPool, PgPool, Row as _, SqlitePool,
    mysql::{MySqlPoolOptions, MySqlRow},
    postgres::{PgPoolOptions, PgRow},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// Connections to a server.
const CONNECTIONS: u32 = 10;
/// How long a writer waits for SQLite's only lock.
const BUSY: Duration = Duration::from_secs(30);
/// How often a transaction is tried that the database has ended in favour of another one.
const TRIES: u32 = 8;

/// A value of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Text(Some(id.to_string()))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(Some(number.into()))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<OffsetDateTime> for Value {
    fn from(at: OffsetDateTime) -> Self {
        Self::Int(Some(millis(at)))
    }
}

impl From<Option<OffsetDateTime>> for Value {
    fn from(at: Option<OffsetDateTime>) -> Self {
        Self::Int(at.map(millis))
    }
}

/// Milliseconds since 1970, as the tables have times.
pub(crate) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The time of so many milliseconds since 1970.
pub(crate) fn time_of(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A statement, with `?` where its values go.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self {
            sql: sql.into(),
            values: Vec::new(),
        }
    }

    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(crate) fn bind_all(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.values.extend(values);
        self
    }
}

/// A statement, and what is done with it if it has met a row.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    first: Statement,
    then: Vec<Statement>,
}

impl Step {
    pub(crate) fn then(first: Statement, then: Vec<Statement>) -> Self {
        Self { first, then }
    }
}

impl From<Statement> for Step {
    fn from(first: Statement) -> Self {
        Self {
            first,
            then: Vec::new(),
        }
    }
}

/// Placeholders for `count` values: `?, ?, ?`.
pub(crate) fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// A pool of one of the databases.
#[derive(Clone, Debug)]
pub(crate) enum Db {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
    Postgres(PgPool),
}

/// A row of an answer; columns are counted from 0.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
    Postgres(PgRow),
}

macro_rules! get {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            Row::MySql(row) => row.try_get($column),
            Row::Postgres(row) => row.try_get($column),
        }
    };
}

impl Row {
    pub(crate) fn text(&self, column: usize) -> Result<String, StoreError> {
        Ok(get!(self, column)?)
    }

    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        Ok(get!(self, column)?)
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64, StoreError> {
        Ok(get!(self, column)?)
    }

    pub(crate) fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        Ok(get!(self, column)?)
    }

    pub(crate) fn time(&self, column: usize) -> Result<OffsetDateTime, StoreError> {
        self.int(column).map(time_of)
    }

    pub(crate) fn maybe_time(&self, column: usize) -> Result<Option<OffsetDateTime>, StoreError> {
        Ok(self.maybe_int(column)?.map(time_of))
    }

    pub(crate) fn id(&self, column: usize) -> Result<Uuid, StoreError> {
        self.parsed(column)
    }

    /// A text that stands for something.
    pub(crate) fn parsed<T: FromStr>(&self, column: usize) -> Result<T, StoreError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| StoreError::Unreadable(text))
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(format!("{error}: {text}")))
    }
}

/// The statement with its values bound.
macro_rules! query {
    ($statement:expr, $sql:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql));
        for value in $statement.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
            };
        }
        query
    }};
}

/// Runs steps in a transaction; yields the rows that the first statement of each has met.
macro_rules! steps {
    ($transaction:expr, $steps:expr, $sql:expr) => {{
        let mut transaction = $transaction;
        let mut met = Vec::new();
        for step in $steps {
            let sql = $sql(step.first.sql);
            let rows = query!(step.first, sql)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            met.push(rows);
            if rows > 0 {
                for statement in step.then {
                    let sql = $sql(statement.sql);
                    query!(statement, sql).execute(&mut *transaction).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(met)
    }};
}

/// `?` as PostgreSQL has it: `$1`, `$2` …
fn numbered(sql: Cow<'static, str>) -> String {
    let mut numbered = String::with_capacity(sql.len() + 16);
    let mut count = 0;
    for part in sql.split_inclusive('?') {
        match part.strip_suffix('?') {
            Some(before) => {
                count += 1;
                numbered.push_str(before);
                numbered.push('$');
                numbered.push_str(&count.to_string());
            }
            None => numbered.push_str(part),
        }
    }
    numbered
}

fn as_is(sql: Cow<'static, str>) -> String {
    sql.into_owned()
}

impl Db {
    /// Connects to the database of a URL: `sqlite:path`, `mysql://…`, `mariadb://…`, `postgres://…`.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(url)?
                    .create_if_missing(true)
                    .foreign_keys(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY);
                let pool = SqlitePoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .connect_with(options)
                    .await?;
                Ok(Self::Sqlite(pool))
            }
            Some("mysql" | "mariadb") => {
                let options = MySqlPoolOptions::new().max_connections(CONNECTIONS);
                Ok(Self::MySql(options.connect(url).await?))
            }
            Some("postgres" | "postgresql") => {
                let options = PgPoolOptions::new().max_connections(CONNECTIONS);
                Ok(Self::Postgres(options.connect(url).await?))
            }
            _ => Err(StoreError::Scheme),
        }
    }

    /// Makes the tables, or brings them up to date.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(pool) => sqlx::migrate!("migrations/standard").run(pool).await?,
            // The same but for one column: a TEXT of MySQL ends at 64 KiB.
            Self::MySql(pool) => sqlx::migrate!("migrations/mysql").run(pool).await?,
            Self::Postgres(pool) => sqlx::migrate!("migrations/standard").run(pool).await?,
        }
        Ok(())
    }

    /// An insert that leaves a row alone that is there already.
    pub(crate) fn insert(
        &self,
        table: &'static str,
        columns: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Statement {
        let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let (insert, otherwise) = match self {
            Self::MySql(_) => ("INSERT IGNORE", ""),
            Self::Sqlite(_) | Self::Postgres(_) => ("INSERT", " ON CONFLICT DO NOTHING"),
        };
        let (columns, marks) = (names.join(", "), placeholders(names.len()));
        Statement::new(format!(
            "{insert} INTO {table} ({columns}) VALUES ({marks}){otherwise}"
        ))
        .bind_all(values)
    }

    pub(crate) async fn rows(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        let sql = statement.sql;
        Ok(match self {
            Self::Sqlite(pool) => {
                let rows = query!(statement, as_is(sql)).fetch_all(pool).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::MySql(pool) => {
                let rows = query!(statement, as_is(sql)).fetch_all(pool).await?;
                rows.into_iter().map(Row::MySql).collect()
            }
            Self::Postgres(pool) => {
                let rows = query!(statement, numbered(sql)).fetch_all(pool).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Runs one statement; returns how many rows it has met.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        let met = self.transaction(vec![statement.into()]).await?;
        Ok(met.into_iter().sum())
    }

    /// Runs steps, all or none; returns how many rows the first statement of each has met.
    pub(crate) async fn transaction(&self, steps: Vec<Step>) -> Result<Vec<u64>, StoreError> {
        let mut pause = Duration::from_millis(5);
        let mut tried = 1;
        loop {
            match self.attempt(steps.clone()).await {
                Err(StoreError::Database(error)) if tried < TRIES && is_conflict(&error) => {
                    tokio::time::sleep(pause).await;
                    tried += 1;
                    pause *= 2;
                }
                done => return done,
            }
        }
    }

    async fn attempt(&self, steps: Vec<Step>) -> Result<Vec<u64>, StoreError> {
        match self {
            // A transaction that reads first and writes then may be refused the lock in between.
            Self::Sqlite(pool) => steps!(pool.begin_with("BEGIN IMMEDIATE").await?, steps, as_is),
            Self::MySql(pool) => steps!(pool.begin().await?, steps, as_is),
            Self::Postgres(pool) => steps!(pool.begin().await?, steps, numbered),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::MySql(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Whether the database ended the transaction in favour of another one: a deadlock, or a lock that was not given.
fn is_conflict(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    // PostgreSQL's serialization failure and deadlock, MySQL's deadlock, SQLite's BUSY.
    matches!(error.code().as_deref(), Some("40001" | "40P01" | "5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered() {
        let sql = numbered("a = ? AND b IN (?, ?) ORDER BY c".into());
        assert_eq!(sql, "a = $1 AND b IN ($2, $3) ORDER BY c");
    }

    #[test]
    fn times_keep_their_milliseconds() {
        let at = time::macros::datetime!(2026-11-26 03:04:05.678 UTC);
        assert_eq!(time_of(millis(at)), at);
    }
}
