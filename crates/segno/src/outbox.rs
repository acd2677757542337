//! Outbox relays in this process: from the databases of services to Segno's intake or to a sink.
//!
//! A relay works by itself from when the process is ready until it is told to stop. A database that cannot be reached, at the
//! start or later, is tried again; nothing else waits for it.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use segno_outbox::{
    Backend, Batch, Counters, Keyring, Outbox, Parked, PublishError, Publisher, Relay, RelayOptions, Stats,
    publisher::ToSink,
};
use segno_sinks::{Delivered, Delivery, Failure, Sink, Sinks};
use sqlx::Pool;
use temporalio_client::tonic::Code;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Consumers, Error, NotProcessed,
    config::{self, Encryption},
    intake::{self, Intake},
    live::Live,
};

/// Connections of a relay's pool, unless configured.
const CONNECTIONS: u32 = 5;
/// How long anything waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Between two tries to make the tables.
const AGAIN: Duration = Duration::from_secs(1);

/// Hands every event in an outbox to the consumers that are for it, until the outbox is empty: for tests that have no
/// engine, no relay and no bus. Events come in the order of their positions, consumers in the order in which they
/// were subscribed, and what they emit themselves comes too. Returns the events.
///
/// # Errors
///
/// At the first consumer that fails; its event stays in the outbox.
pub async fn process_events<DB: Backend>(
    outbox: &Outbox<DB>,
    pool: &Pool<DB>,
    consumers: &Consumers,
) -> Result<Vec<crate::Event>, segno_outbox::ProcessError<NotProcessed>> {
    segno_outbox::process_events(outbox, pool, async |event| consumers.process(event).await).await
}

/// The kind of database in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    MySql,
    Sqlite,
}

impl Kind {
    pub(crate) fn of(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            "sqlite" => Some(Self::Sqlite),
            _ => None,
        }
    }
}

/// The keys that open encrypted payloads, if there are any.
pub(crate) fn keyring(keys: &Encryption) -> Result<Option<Keyring>, String> {
    let mut ring: Option<Keyring> = None;
    for (id, key) in &keys.0 {
        let key = BASE64
            .decode(key.expose().trim())
            .map_err(|_| format!("the key {id:?} is not base64"))?;
        let added = match ring.take() {
            None => Keyring::new(id.clone(), &key),
            Some(ring) => ring.and(id.clone(), &key),
        };
        ring = Some(added.map_err(|error| error.to_string())?);
    }
    Ok(ring)
}

pub(crate) fn debezium(table: &config::Debezium) -> Result<segno_outbox::Debezium, String> {
    let made = segno_outbox::Debezium::new(table.source.clone()).map_err(|error| error.to_string())?;
    match &table.table {
        None => Ok(made),
        Some(name) => made.table(name.clone()).map_err(|error| error.to_string()),
    }
}

/// Publishes to the intake of this process.
#[derive(Clone)]
pub struct ToIntake(Intake);

impl fmt::Debug for ToIntake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToIntake")
    }
}

impl ToIntake {
    /// Publishes to this intake: an event is published when its executions are durable on the engine. Events of one key are
    /// taken in one after the other.
    pub fn new(intake: Intake) -> Self {
        Self(intake)
    }
}

#[async_trait]
impl Publisher for ToIntake {
    async fn publish(&self, batch: &Batch) {
        batch
            .each(32, async |outgoing| {
                let row = outgoing.origin(self.0.entry_name()).into();
                let events = std::slice::from_ref(&outgoing.event);
                match self.0.accept_out_of(events, Some(row)).await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(failure(&error)),
                }
            })
            .await;
    }
}

fn failure(error: &intake::Error) -> PublishError {
    match error {
        intake::Error::TooLarge { .. } | intake::Error::Misfits(_) | intake::Error::Encode(_) => {
            PublishError::permanent(error.to_string())
        }
        intake::Error::Refused { source, .. } if source.code() == Code::InvalidArgument => {
            PublishError::permanent(format!("{error}: {}", source.message()))
        }
        intake::Error::Full { .. } => PublishError::retryable(error.to_string()),
        intake::Error::Refused { source, .. }
        | intake::Error::Unavailable(source)
        | intake::Error::Flow(source) => PublishError::retryable(format!("{error}: {}", source.message())),
    }
}

/// One of the configured sinks, within its limits.
struct Named {
    live: Live,
    name: String,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sink {:?}", self.name)
    }
}

#[async_trait]
impl Sink for Named {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        self.live.get().sinks.clone().deliver(&self.name, delivery).await
    }
}

/// The configured relays, not started.
pub(crate) struct Outboxes {
    outboxes: BTreeMap<String, config::Outbox>,
}

impl Outboxes {
    /// # Errors
    ///
    /// [`Error::Outbox`] for what can be seen to be wrong without a connection.
    pub(crate) fn prepare(outboxes: BTreeMap<String, config::Outbox>, sinks: &Sinks) -> Result<Self, Error> {
        for (name, options) in &outboxes {
            let wrong = |reason: String| Error::Outbox {
                name: name.clone(),
                reason,
            };
            keyring(&options.encryption).map_err(wrong)?;
            let url = options.database.expose();
            // What a driver says of a URL may have its password in it.
            let parsed = match Kind::of(url) {
                Some(Kind::Postgres) => url.parse::<sqlx::postgres::PgConnectOptions>().is_ok(),
                Some(Kind::MySql) => mysql(url).parse::<sqlx::mysql::MySqlConnectOptions>().is_ok(),
                Some(Kind::Sqlite) => url.parse::<sqlx::sqlite::SqliteConnectOptions>().is_ok(),
                None => false,
            };
            if !parsed {
                return Err(wrong("the database's URL cannot be understood".to_owned()));
            }
            if let Some(to) = &options.to
                && !sinks.contains(to)
            {
                return Err(wrong(format!("there is no sink {to:?}")));
            }
        }
        Ok(Self { outboxes })
    }

    pub(crate) fn start(self, intake: &Intake, live: &Live, stop: &CancellationToken) -> Relays {
        let (mut tasks, mut relays) = (JoinSet::new(), Vec::new());
        for (name, options) in self.outboxes {
            let publisher: Arc<dyn Publisher> = match &options.to {
                None => Arc::new(ToIntake::new(intake.at("outbox", &name))),
                Some(sink) => {
                    let sink = Arc::new(Named {
                        live: live.clone(),
                        name: sink.clone(),
                    });
                    Arc::new(ToSink::new(sink).from_outbox(&name))
                }
            };
            let url = options.database.expose().to_owned();
            let most = options
                .connections
                .map_or(CONNECTIONS, std::num::NonZeroU32::get)
                .max(3);
            // Connects when something is to be done, and again when the connection is lost.
            let relay = match Kind::of(&url) {
                Some(Kind::Postgres) => sqlx::postgres::PgPoolOptions::new()
                    .max_connections(most)
                    .acquire_timeout(ACQUIRE)
                    .connect_lazy(&url)
                    .map(|pool| spawn(name, &options, pool, publisher, stop, &mut tasks)),
                Some(Kind::MySql) => sqlx::mysql::MySqlPoolOptions::new()
                    .max_connections(most)
                    .acquire_timeout(ACQUIRE)
                    .connect_lazy(&mysql(&url))
                    .map(|pool| spawn(name, &options, pool, publisher, stop, &mut tasks)),
                Some(Kind::Sqlite) => sqlx::sqlite::SqlitePoolOptions::new()
                    .max_connections(most)
                    .acquire_timeout(ACQUIRE)
                    .connect_lazy(&url)
                    .map(|pool| spawn(name, &options, pool, publisher, stop, &mut tasks)),
                None => continue,
            };
            // That it can be understood was seen before.
            relays.extend(relay);
        }
        Relays {
            relays: relays.into(),
            tasks: Arc::new(tokio::sync::Mutex::new(tasks)),
        }
    }
}

/// sqlx knows MariaDB's URLs by MySQL's scheme.
fn mysql(url: &str) -> String {
    match url.strip_prefix("mariadb:") {
        Some(rest) => format!("mysql:{rest}"),
        None => url.to_owned(),
    }
}

fn relay_options(options: &config::Outbox) -> RelayOptions {
    let default = RelayOptions::default();
    RelayOptions {
        batch: options.batch.map_or(default.batch, std::num::NonZeroU32::get),
        max_pause: options.max_pause.unwrap_or(default.max_pause),
        publish_timeout: options.publish_timeout.unwrap_or(default.publish_timeout),
        max_attempts: options.max_attempts.map(std::num::NonZeroU32::get),
        retention: options.retention.unwrap_or(default.retention),
        stranded_after: options.stranded_after.unwrap_or(default.stranded_after),
        ..default
    }
}

fn spawn<DB: Backend>(
    name: String,
    options: &config::Outbox,
    pool: Pool<DB>,
    publisher: Arc<dyn Publisher>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Arc<dyn AnyRelay> {
    let mut outbox = Outbox::new();
    // Both were seen to be right before.
    if let Ok(Some(ring)) = keyring(&options.encryption) {
        outbox = outbox.cipher(ring);
    }
    let debezium = options.debezium.as_ref().and_then(|table| debezium(table).ok());
    let migrate = options.migrate;
    let relay = Relay::with(outbox.clone(), pool.clone(), publisher, relay_options(options));
    let one = Arc::new(One {
        name,
        outbox,
        pool,
        relay,
    });
    let (running, stop) = (one.clone(), stop.clone());
    tasks.spawn(async move {
        if migrate && !running.migrate(debezium.as_ref(), &stop).await {
            return;
        }
        tracing::info!(outbox = running.name, "relaying");
        running.relay.run(stop).await;
    });
    one
}

/// A relay with what belongs to it.
struct One<DB: Backend> {
    name: String,
    outbox: Outbox<DB>,
    pool: Pool<DB>,
    relay: Relay<DB>,
}

impl<DB: Backend> One<DB> {
    /// Makes the tables as soon as the database lets it; false if told to stop before.
    async fn migrate(&self, debezium: Option<&segno_outbox::Debezium>, stop: &CancellationToken) -> bool {
        loop {
            let made = async {
                self.outbox.migrate(&self.pool).await?;
                if let Some(debezium) = debezium {
                    self.outbox.connect_debezium(&self.pool, debezium).await?;
                }
                Ok::<_, segno_outbox::Error>(())
            };
            tokio::select! {
                made = made => match made {
                    Ok(()) => return true,
                    Err(error) => tracing::warn!(outbox = self.name, %error, "the outbox's tables are not there yet"),
                },
                () = stop.cancelled() => return false,
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return false,
            }
        }
    }
}

/// A relay, whatever its database.
#[async_trait]
pub(crate) trait AnyRelay: Send + Sync {
    fn name(&self) -> &str;
    fn counters(&self) -> Arc<Counters>;
    async fn stats(&self) -> Result<Stats, segno_outbox::Error>;
    async fn parked(&self, limit: u32) -> Result<Vec<Parked>, segno_outbox::Error>;
    async fn retry(&self, position: i64) -> Result<bool, segno_outbox::Error>;
    async fn discard(&self, position: i64, note: &str) -> Result<bool, segno_outbox::Error>;
}

#[async_trait]
impl<DB: Backend> AnyRelay for One<DB> {
    fn name(&self) -> &str {
        &self.name
    }

    fn counters(&self) -> Arc<Counters> {
        self.relay.counters()
    }

    async fn stats(&self) -> Result<Stats, segno_outbox::Error> {
        self.relay.stats().await
    }

    async fn parked(&self, limit: u32) -> Result<Vec<Parked>, segno_outbox::Error> {
        self.outbox.parked(&self.pool, limit).await
    }

    async fn retry(&self, position: i64) -> Result<bool, segno_outbox::Error> {
        self.outbox.retry_parked(&self.pool, position).await
    }

    async fn discard(&self, position: i64, note: &str) -> Result<bool, segno_outbox::Error> {
        self.outbox.discard_parked(&self.pool, position, note).await
    }
}

/// The relays of this process; cheap to clone.
#[derive(Clone)]
pub struct Relays {
    relays: Arc<[Arc<dyn AnyRelay>]>,
    tasks: Arc<tokio::sync::Mutex<JoinSet<()>>>,
}

impl Relays {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyRelay>> {
        self.relays.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn AnyRelay>> {
        self.iter().find(|relay| relay.name() == name)
    }

    /// What waits in the outbox of this name. None: there is none.
    pub async fn stats(&self, name: &str) -> Option<Result<Stats, segno_outbox::Error>> {
        Some(self.get(name)?.stats().await)
    }

    /// Until all have stopped, after they were told to.
    pub(crate) async fn stopped(&self) {
        let mut tasks = self.tasks.lock().await;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "an outbox relay broke");
            }
        }
    }
}
