//! The Redis source: entries of a stream, read by a consumer group.
//!
//! Each entry is pending in the group until its events are durable. What was in hand at a crash is read first when the source
//! starts again under the same consumer name; what another consumer has left for `claim_after` is claimed from it. While
//! events are being stored, their entries count as touched, so that nobody claims them.
//!
//! The body of an entry is its field `payload` (or the one that `body` names); the other fields are its headers. So the entries
//! of an outbox (`id`, `eventType`, `payload`) are read by the codec `outbox`, and those of Segno's own Redis sink by
//! whatever their payload is.
//!
//! Entries that are no events go to the stream `dead_letter` with the reason, in the same transaction that acknowledges them;
//! without one they are recorded and acknowledged. With `trim` the source removes what every group of the stream has
//! acknowledged.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ::redis::{AsyncConnectionConfig, Client, TlsCertificates, aio::MultiplexedConnection};
use async_trait::async_trait;
use segno_event::Confidential;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Codec, Error, Intake, Order, Source, ca,
    message::Received,
    source::{Built, origin, telling},
    store::{Verdict, decode, holding, record, store},
};

mod group;

use group::{Entry, Group};

/// How long a read waits for entries: a stop waits for it, so that no entry is given to a reader that is gone.
const BLOCK: Duration = Duration::from_secs(1);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take, beyond what was asked for.
const ANSWER: Duration = Duration::from_secs(10);
/// How often the stream is trimmed.
const TRIM: Duration = Duration::from_secs(5);
/// Most entries of one read.
const MOST: usize = 1_000;

/// Options of a Redis source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The server: `redis://user:password@host:6379/0`, `rediss://…` with TLS.
    pub url: Confidential,
    /// A file with the certificates (PEM) of the authorities that the server is trusted by, in place of the public ones.
    pub ca: Option<PathBuf>,
    /// The stream; made if it is missing.
    pub stream: String,
    /// The consumer group; made if it is missing, at the stream's beginning.
    #[serde(default = "group_name")]
    pub group: String,
    /// The name of this consumer in the group, different for each process. Without it, the machine's name.
    pub consumer: Option<String>,
    /// How entries are read.
    #[serde(default)]
    pub codec: Codec,
    /// The field with the body.
    #[serde(default = "body")]
    pub body: String,
    /// The stream for entries that are no events.
    pub dead_letter: Option<String>,
    /// Which events are stored one after the other.
    #[serde(default)]
    pub order: Order,
    /// Most entries that are in hand at once, up to 1,000.
    #[serde(default = "batch")]
    pub batch: usize,
    /// After this time another consumer's entries are taken over.
    #[serde(default = "claim_after", deserialize_with = "crate::duration::read")]
    pub claim_after: Duration,
    /// Whether to remove from the stream what every group has acknowledged.
    #[serde(default)]
    pub trim: bool,
}

fn group_name() -> String {
    "segno".to_owned()
}

fn body() -> String {
    "payload".to_owned()
}

fn batch() -> usize {
    100
}

fn claim_after() -> Duration {
    Duration::from_secs(60)
}

pub(crate) fn build(options: Options, name: &str, base: &Path, _: &Arc<dyn Intake>) -> Result<Built, Error> {
    let client = client(options.url.expose(), options.ca.as_deref(), base)?;
    for (key, value) in [("stream", &options.stream), ("group", &options.group)] {
        if value.is_empty() {
            return Err(Error(format!("`{key}` is empty")));
        }
    }
    if !(1..=MOST).contains(&options.batch) {
        return Err(Error(format!(
            "`batch` is from 1 to {MOST}, not {}",
            options.batch
        )));
    }
    if options.claim_after < Duration::from_secs(1) {
        return Err(Error("`claim_after` is at least a second".to_owned()));
    }
    if options.dead_letter.as_ref() == Some(&options.stream) {
        return Err(Error("`dead_letter` is the stream itself".to_owned()));
    }
    let consumer = options.consumer.clone().unwrap_or_else(machine);
    let origin = origin(name);
    Ok(Built::Fetching(Arc::new(Redis {
        client,
        consumer,
        origin,
        options,
    })))
}

fn client(url: &str, ca: Option<&Path>, base: &Path) -> Result<Client, Error> {
    let client = match ca {
        None => Client::open(url),
        Some(_) if !url.starts_with("rediss://") => {
            let why = "`ca` is for a server that is reached with TLS: its URL begins with `rediss://`";
            return Err(Error(why.to_owned()));
        }
        Some(path) => {
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(ca::read(&base.join(path))?),
            };
            Client::build_with_tls(url, certificates)
        }
    };
    client.map_err(|_| Error("`url` is no URL of Redis, such as redis://localhost:6379/0".to_owned()))
}

/// The machine's name: of a container it is its own.
fn machine() -> String {
    let of = |path| std::fs::read_to_string(path).ok();
    let name = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| of("/proc/sys/kernel/hostname"))
        .or_else(|| of("/etc/hostname"));
    let name = name.map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "segno".to_owned())
}

struct Redis {
    client: Client,
    consumer: String,
    origin: String,
    options: Options,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("stream", &self.options.stream)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for Redis {
    async fn run(&self, intake: Arc<dyn Intake>, stop: CancellationToken) -> Result<(), Error> {
        let group = Group {
            // A read blocks its connection.
            reads: self.connect().await?,
            calls: self.connect().await?,
            stream: self.options.stream.clone(),
            group: self.options.group.clone(),
            consumer: self.consumer.clone(),
            batch: self.options.batch,
        };
        group.create().await?;
        let run = Run {
            source: self,
            group,
            intake,
            stop,
        };
        let followed = async {
            run.leftovers().await?;
            run.follow().await
        };
        telling(Arc::clone(&run.intake), || run.group.waiting(), followed).await
    }
}

impl Redis {
    async fn connect(&self) -> Result<MultiplexedConnection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(BLOCK + ANSWER));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        connection.map_err(|error| Error::of("Redis cannot be reached", &error))
    }
}

struct Run<'a> {
    source: &'a Redis,
    group: Group,
    intake: Arc<dyn Intake>,
    stop: CancellationToken,
}

impl Run<'_> {
    /// What was in hand when this consumer ended.
    async fn leftovers(&self) -> Result<(), Error> {
        let mut after = "0".to_owned();
        while !self.stop.is_cancelled() {
            let entries = self.group.pending(&after).await?;
            let Some(last) = entries.last() else { break };
            after = last.id.clone();
            self.handle(entries).await?;
        }
        Ok(())
    }

    async fn follow(&self) -> Result<(), Error> {
        let options = &self.source.options;
        let (mut claim, mut trim) = (Instant::now(), Instant::now());
        while !self.stop.is_cancelled() {
            if claim <= Instant::now() {
                self.claim().await?;
                claim = Instant::now() + options.claim_after / 2;
            }
            if options.trim && trim <= Instant::now() {
                self.group.trim().await?;
                trim = Instant::now() + TRIM;
            }
            let entries = self.group.next(BLOCK).await?;
            self.handle(entries).await?;
        }
        Ok(())
    }

    /// What others have left.
    async fn claim(&self) -> Result<(), Error> {
        let mut start = "0-0".to_owned();
        while !self.stop.is_cancelled() {
            let (entries, next) = self.group.claim(&start, self.source.options.claim_after).await?;
            if !entries.is_empty() {
                tracing::info!(
                    source = self.source.origin,
                    entries = entries.len(),
                    "claimed from other consumers"
                );
            }
            self.handle(entries).await?;
            if next == "0-0" {
                break;
            }
            start = next;
        }
        Ok(())
    }

    async fn handle(&self, entries: Vec<Entry>) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let ids: Arc<[String]> = entries.iter().map(|entry| entry.id.clone()).collect();
        let beat = || {
            let (group, ids) = (self.group.clone(), Arc::clone(&ids));
            async move {
                if let Err(error) = group.touch(&ids).await {
                    tracing::debug!(%error, "entries cannot be touched");
                }
            }
        };
        holding(self.store(&entries), self.source.options.claim_after / 3, beat).await
    }

    async fn store(&self, entries: &[Entry]) -> Result<(), Error> {
        let Redis { origin, options, .. } = self.source;
        let received = entries.iter().map(|entry| self.received(entry)).collect();
        let (received, decoded) = decode(&options.codec, received, origin, options.order).await?;
        let verdicts = store(&*self.intake, &decoded, &self.stop).await;
        let (mut done, mut back) = (Vec::new(), 0);
        for ((entry, received), verdict) in entries.iter().zip(&received).zip(verdicts) {
            match verdict {
                Verdict::Taken => done.push(entry.id.as_str()),
                // Trimmed away while it was pending: there is nothing left of it.
                Verdict::Rejected(_) if entry.fields.is_empty() => done.push(entry.id.as_str()),
                Verdict::Rejected(reason) => match &options.dead_letter {
                    Some(stream) => {
                        tracing::warn!(
                            source = origin,
                            message = entry.id,
                            reason,
                            "an entry went to the dead letters"
                        );
                        self.group.bury(entry, stream, &reason).await?;
                    }
                    None if record(&*self.intake, origin, &received.message(), &reason).await => {
                        done.push(entry.id.as_str());
                    }
                    None => back += 1,
                },
                Verdict::Back => back += 1,
            }
        }
        self.group.acknowledge(&done).await?;
        // They are pending still. To begin again with those keeps the order.
        match back {
            0 => Ok(()),
            _ if self.stop.is_cancelled() => Ok(()),
            _ => Err(Error(format!(
                "{back} entries were not taken, and are tried again"
            ))),
        }
    }

    fn received(&self, entry: &Entry) -> Received {
        let mut received = Received {
            id: format!("{}/{}", self.group.stream, entry.id),
            ..Received::default()
        };
        for (name, value) in &entry.fields {
            if *name == self.source.options.body {
                received.body.clone_from(value);
            } else {
                let value = String::from_utf8_lossy(value).into_owned();
                received.headers.push((name.clone(), value));
            }
        }
        received
    }
}
