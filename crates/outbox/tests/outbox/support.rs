//! Databases of a test's own, and publishers that remember.

use std::{
    collections::HashSet,
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use segno_event::Event;
use segno_outbox::{Backend, Batch, Outbox, Outgoing, PublishError, Publisher, Relay, RelayOptions};
use segno_test_support::servers::{MariaDb, Postgres, Server};
use serde_json::json;
use sqlx::{Pool, Row as _};
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How long anything may take that a test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A database of a test's own, with the outbox's tables and a table `changes` of the service's.
pub(crate) struct World<D: Db> {
    pub(crate) server: D,
    pub(crate) pool: Pool<D::Sql>,
    pub(crate) outbox: Outbox<D::Sql>,
}

impl<D: Db> World<D> {
    pub(crate) async fn new() -> Self {
        let server = D::start().await;
        let pool = server.connect().await;
        let outbox = Outbox::new();
        outbox.migrate(&pool).await.unwrap();
        D::execute(
            &pool,
            "CREATE TABLE changes (number BIGINT, what VARCHAR(255), aggregate VARCHAR(255))",
        )
        .await;
        Self { server, pool, outbox }
    }

    /// A relay with a pool of its own.
    pub(crate) async fn relay(&self, publisher: &Arc<impl Publisher + 'static>) -> Relay<D::Sql> {
        self.relay_with(publisher, quick()).await
    }

    pub(crate) async fn relay_with(
        &self,
        publisher: &Arc<impl Publisher + 'static>,
        options: RelayOptions,
    ) -> Relay<D::Sql> {
        Relay::with(
            self.outbox.clone(),
            self.server.connect().await,
            publisher.clone(),
            options,
        )
    }

    pub(crate) async fn emit(&self, event: Event) {
        let emitted = self
            .outbox
            .action_with_events(&self.pool, [event], async |_| Ok::<_, segno_outbox::Error>(()));
        emitted.await.unwrap();
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        D::count(&self.pool, query).await
    }
}

/// A relay that runs until it is stopped.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start<DB: Backend>(relay: Relay<DB>) -> Self {
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move { relay.run(token).await });
        Self { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends it as a crash does: in the middle of whatever it does.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Options for tests: nothing takes long.
pub(crate) fn quick() -> RelayOptions {
    RelayOptions {
        max_pause: Duration::from_millis(50),
        backoff: Duration::from_millis(50),
        max_backoff: Duration::from_millis(200),
        publish_timeout: Duration::from_secs(5),
        ..RelayOptions::default()
    }
}

pub(crate) fn event(id: impl Into<String>, key: &str) -> Event {
    let mut event =
        Event::new("/families", id, "family.updated").with_data(json!({"familyId": 100, "name": "Quill"}));
    event.subject = Some(key.to_owned());
    event
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A publisher that remembers, and fails what it is told to.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    published: Mutex<Vec<Outgoing>>,
    refused: Mutex<HashSet<String>>,
    away: Mutex<bool>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Refuses these ids for good.
    pub(crate) fn refuse(&self, ids: &[&str]) {
        *self.refused.lock().unwrap() = ids.iter().map(|id| (*id).to_owned()).collect();
    }

    pub(crate) fn set_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    pub(crate) fn record(&self, outgoing: &Outgoing) {
        self.published.lock().unwrap().push(outgoing.clone());
    }

    pub(crate) fn published(&self) -> Vec<Outgoing> {
        self.published.lock().unwrap().clone()
    }

    /// The ids in the order in which they were published.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.published().into_iter().map(|o| o.event.id).collect()
    }

    /// The ids of a key in the order in which they were published first.
    pub(crate) fn first_of(&self, key: &str) -> Vec<String> {
        let mut seen = HashSet::new();
        let mut ids = self.published();
        ids.retain(|o| o.key.as_deref() == Some(key) && seen.insert(o.event.id.clone()));
        ids.into_iter().map(|o| o.event.id).collect()
    }
}

#[async_trait]
impl Publisher for Recorder {
    async fn publish(&self, batch: &Batch) {
        batch
            .each(8, async |outgoing| {
                tokio::task::yield_now().await;
                if *self.away.lock().unwrap() {
                    return Err(PublishError::retryable("the bus is away"));
                }
                if self.refused.lock().unwrap().contains(&outgoing.event.id) {
                    return Err(PublishError::permanent("the bus refuses it"));
                }
                self.record(outgoing);
                Ok(())
            })
            .await;
    }
}

/// A kind of database.
pub(crate) trait Db: Send + Sync + Sized + 'static {
    type Sql: Backend;

    fn start() -> impl Future<Output = Self> + Send;
    fn connect(&self) -> impl Future<Output = Pool<Self::Sql>> + Send;
    /// The same by another port, which leads to the server.
    fn connect_by(&self, port: u16) -> impl Future<Output = Pool<Self::Sql>> + Send;
    /// The server, where there is one.
    fn server(&mut self) -> Option<&mut Server>;
    fn execute(pool: &Pool<Self::Sql>, statement: &'static str) -> impl Future<Output = ()> + Send;
    fn count(pool: &Pool<Self::Sql>, query: &'static str) -> impl Future<Output = i64> + Send;
    /// Notes a change of the service's.
    fn change(
        connection: &mut <Self::Sql as sqlx::Database>::Connection,
        number: i64,
        what: &str,
        aggregate: &str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
    fn texts(pool: &Pool<Self::Sql>, query: &'static str) -> impl Future<Output = Vec<String>> + Send;
}

macro_rules! queries {
    ($change:literal) => {
        async fn execute(pool: &Pool<Self::Sql>, statement: &'static str) {
            sqlx::raw_sql(statement).execute(pool).await.unwrap();
        }

        async fn count(pool: &Pool<Self::Sql>, query: &'static str) -> i64 {
            sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
        }

        async fn change(
            connection: &mut <Self::Sql as sqlx::Database>::Connection,
            number: i64,
            what: &str,
            aggregate: &str,
        ) -> Result<(), sqlx::Error> {
            let query = sqlx::query($change).bind(number).bind(what.to_owned());
            query.bind(aggregate.to_owned()).execute(connection).await?;
            Ok(())
        }

        async fn texts(pool: &Pool<Self::Sql>, query: &'static str) -> Vec<String> {
            let rows = sqlx::query(query).fetch_all(pool).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
    };
}

impl Db for Postgres {
    type Sql = sqlx::Postgres;

    async fn start() -> Self {
        Postgres::start().await
    }

    async fn connect(&self) -> Pool<Self::Sql> {
        self.connect_by(self.port()).await
    }

    async fn connect_by(&self, port: u16) -> Pool<Self::Sql> {
        let options = sqlx::postgres::PgPoolOptions::new().max_connections(12);
        let own = format!(":{}/", self.port());
        let url = self.url().replace(&own, &format!(":{port}/"));
        options.connect(&url).await.unwrap()
    }

    fn server(&mut self) -> Option<&mut Server> {
        Some(self)
    }

    queries!("INSERT INTO changes VALUES ($1, $2, $3)");
}

impl Db for MariaDb {
    type Sql = sqlx::MySql;

    async fn start() -> Self {
        MariaDb::start().await
    }

    async fn connect(&self) -> Pool<Self::Sql> {
        self.connect_by(self.port()).await
    }

    async fn connect_by(&self, port: u16) -> Pool<Self::Sql> {
        let options = sqlx::mysql::MySqlPoolOptions::new().max_connections(12);
        let own = format!(":{}/", self.port());
        let url = self.url().replace(&own, &format!(":{port}/"));
        options.connect(&url).await.unwrap()
    }

    fn server(&mut self) -> Option<&mut Server> {
        Some(self)
    }

    queries!("INSERT INTO changes VALUES (?, ?, ?)");
}

/// SQLite in a file of the test's.
pub(crate) struct File(TempDir);

impl File {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Db for File {
    type Sql = sqlx::Sqlite;

    async fn start() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn connect(&self) -> Pool<Self::Sql> {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.path().join("service.db"))
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .busy_timeout(DEADLINE);
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(4);
        pool.connect_with(options).await.unwrap()
    }

    async fn connect_by(&self, _: u16) -> Pool<Self::Sql> {
        self.connect().await
    }

    fn server(&mut self) -> Option<&mut Server> {
        None
    }

    queries!("INSERT INTO changes VALUES ($1, $2, $3)");
}

/// Makes each named behaviour, an `async fn(World<D>)`, a test in every database.
macro_rules! in_every_database {
    ($($behaviour:ident),+ $(,)?) => {
        in_databases! { postgres, segno_test_support::servers::Postgres: $($behaviour),+ }
        in_databases! { mariadb, segno_test_support::servers::MariaDb: $($behaviour),+ }
        in_databases! { sqlite, crate::support::File: $($behaviour),+ }
    };
}

macro_rules! in_databases {
    ($name:ident, $database:ty: $($behaviour:ident),+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(crate::support::World::<$database>::new().await).await;
                }
            )+
        }
    };
}
