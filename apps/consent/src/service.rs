//! All of it as a process: the API, the outbox's relay, Segno with the consumer.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use segno::{Consumers, Running, Segno, config::Config};
use segno_outbox::Outbox;
use sqlx::{PgPool, migrate::Migration, migrate::MigrationType, migrate::Migrator, postgres::PgPoolOptions};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    CONSUMER, Error, Recalculate,
    api::{self, Parts},
    changes::Changes,
    recalculate::TYPES,
};

/// The stream that the events go through.
const STREAM: &str = "consent-events";
/// How long Redis may take to say that it is there.
const PING: Duration = Duration::from_secs(2);

/// When the answers of dependents are made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reaction {
    /// After the change, by way of the bus.
    #[default]
    After,
    /// Inside its transaction.
    Inside,
}

impl Reaction {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::Inside => "inside",
        }
    }
}

/// How the service runs. It is not to be shown: the URLs may have passwords in them.
#[derive(Clone)]
pub struct Options {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where Segno's own API listens, which shows the executions.
    pub segno: SocketAddr,
    /// Where the embedded engine's gRPC API listens.
    pub grpc: SocketAddr,
    /// The folder of the engine's file.
    pub data: PathBuf,
    /// The URL of the PostgreSQL database.
    pub database: String,
    /// The URL of Redis.
    pub redis: String,
    /// When the answers of dependents are made anew.
    pub reaction: Reaction,
    /// What comes first in Segno's configuration, such as the cluster to be used in place of the embedded engine.
    pub segno_config: String,
}

/// A running service.
pub struct Service {
    address: SocketAddr,
    segno: Running,
    server: JoinHandle<std::io::Result<()>>,
    stop: CancellationToken,
}

impl Service {
    /// Makes the tables where they are missing, and starts everything.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn start(options: Options) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .connect(&options.database)
            .await?;
        let recalculate = Recalculate::new(pool.clone());
        let (mut outbox, mut consumers) = (Outbox::new(), Consumers::new());
        match options.reaction {
            Reaction::After => consumers = consumers.subscribe(CONSUMER, TYPES, recalculate)?,
            Reaction::Inside => {
                let patterns = TYPES.iter().filter_map(|ty| ty.parse().ok());
                outbox = outbox.inline(patterns, recalculate);
            }
        }
        migrate(&pool).await?;
        outbox.migrate(&pool).await?;

        let config = format!("{}{}", options.segno_config, segno_config(&options));
        let config = Config::parse("consent", &config, Path::new("."))
            .map_err(|mistakes| Error::Config(mistakes.to_string()))?;
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let segno = Segno::builder()
            .config(config)
            .consumers(consumers)
            .http(options.segno)
            .grpc(options.grpc)
            .data(options.data)
            .start()
            .await?;
        let router = api::router(Parts {
            changes: Changes { pool, outbox },
            waiter: segno.waiter().clone(),
            reaction: options.reaction,
            bus: Bus::new(&options.redis),
        });
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let server = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopping.cancelled_owned())
                .await
        });
        tracing::info!(%address, reaction = options.reaction.name(), "ready");
        Ok(Self {
            address,
            segno,
            server,
            stop,
        })
    }

    /// Address of the API.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Segno, inside.
    pub fn segno(&self) -> &Running {
        &self.segno
    }

    /// Runs until the API's server ends, which it does only when it breaks.
    ///
    /// # Errors
    ///
    /// [`Error::Http`].
    pub async fn wait(&mut self) -> Result<(), Error> {
        (&mut self.server).await.map_err(std::io::Error::other)??;
        Ok(())
    }

    /// Takes no more requests, finishes those that there are, and stops the rest.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn stop(self) -> Result<(), Error> {
        self.stop.cancel();
        let served = if self.server.is_finished() {
            Ok(())
        } else {
            self.server.await.map_err(std::io::Error::other)?
        };
        self.segno.shutdown().await?;
        Ok(served?)
    }
}

/// From the outbox to Redis, and from there to the consumers.
fn segno_config(options: &Options) -> String {
    let (database, redis) = (&options.database, &options.redis);
    format!(
        "[outbox.consent]\n\
         database = {database:?}\n\
         to = \"bus\"\n\
         max_pause = \"250ms\"\n\
         [sinks.bus]\n\
         redis = {{ url = {redis:?}, stream = \"{STREAM}\", max_length = 100000 }}\n\
         [sources.bus]\n\
         redis = {{ url = {redis:?}, stream = \"{STREAM}\", group = \"consent\", codec = \"cloudevents\", \
         dead_letter = \"{STREAM}-dead\", trim = true }}\n"
    )
}

async fn migrate(pool: &PgPool) -> Result<(), Error> {
    use sqlx::SqlSafeStr as _;
    let script = include_str!("../migrations/0001_consent.sql").into_sql_str();
    let first = Migration::new(1, "consent".into(), MigrationType::Simple, script, false);
    Migrator::with_migrations(vec![first]).run(pool).await?;
    Ok(())
}

/// The bus, to be asked whether it is there.
#[derive(Clone, Debug)]
pub(crate) struct Bus(Option<redis::Client>);

impl Bus {
    fn new(url: &str) -> Self {
        Self(redis::Client::open(url).ok())
    }

    pub(crate) async fn answers(&self) -> bool {
        let ping = async {
            let client = self.0.as_ref()?;
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            let answer: String = redis::cmd("PING").query_async(&mut connection).await.ok()?;
            Some(answer == "PONG")
        };
        matches!(tokio::time::timeout(PING, ping).await, Ok(Some(true)))
    }
}
