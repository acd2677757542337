//! The NATS source: messages of a stream of JetStream, pulled by a durable consumer.
//!
//! A message is acknowledged when its events are durable, and the acknowledgement is itself acknowledged by the server. While
//! events are being stored, the server is told that the work goes on. What is not taken is given back with a delay that
//! grows with each delivery.
//!
//! Messages that are no events are published to the subject `dead_letter`, which has to be one of a stream's, with the reason in
//! the header `Segno-Reason`, and are then terminated: the server delivers them no more. Without such a subject they are
//! recorded and terminated.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_nats::jetstream::{
    self, Context,
    consumer::{AckPolicy, PullConsumer, pull},
};
use async_trait::async_trait;
use futures::StreamExt;
use segno_event::Confidential;
use segno_nats::Login;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Codec, Error, Intake, Order, Source, ca,
    source::{Built, origin},
};

mod batch;

use batch::Batch;

/// How long a pull waits for messages: a stop waits for it, so that nothing is delivered to a puller that is gone.
const WAIT: Duration = Duration::from_secs(1);
/// Most messages of one pull.
const MOST: usize = 1_000;

/// Options of a NATS source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The servers, separated by commas: `nats://user:password@host:4222`, `tls://…` with TLS.
    pub url: Confidential,
    /// A file with the certificates (PEM) of the authorities that the servers are trusted by, in place of the machine's. With it
    /// nothing is sent without TLS.
    pub ca: Option<PathBuf>,
    /// The stream.
    pub stream: String,
    /// The consumer's durable name; made if it is missing. What is not acknowledged under this name is delivered, to
    /// whichever process pulls.
    #[serde(default = "durable")]
    pub durable: String,
    /// The subject, or pattern of subjects, to take messages of; without it all of the stream.
    pub subject: Option<String>,
    /// How messages are read.
    #[serde(default)]
    pub codec: Codec,
    /// The subject for messages that are no events.
    pub dead_letter: Option<String>,
    /// Which events are stored one after the other.
    #[serde(default)]
    pub order: Order,
    /// Most messages that are in hand at once, up to 1,000.
    #[serde(default = "batch_size")]
    pub batch: usize,
    /// After this time without a sign a message is delivered again, at least a second. Of a consumer that is there it is
    /// the consumer's own.
    #[serde(default = "ack_wait", deserialize_with = "crate::duration::read")]
    pub ack_wait: Duration,
    /// A token to log in with.
    pub token: Option<Confidential>,
    /// The seed of an NKey to log in with.
    pub nkey: Option<Confidential>,
    /// A file with a user's JWT and seed to log in with, as `nsc` makes it.
    pub credentials_file: Option<PathBuf>,
}

fn durable() -> String {
    "segno".to_owned()
}

fn batch_size() -> usize {
    100
}

fn ack_wait() -> Duration {
    Duration::from_secs(30)
}

pub(crate) fn build(
    mut options: Options,
    name: &str,
    base: &Path,
    _: &Arc<dyn Intake>,
) -> Result<Built, Error> {
    let servers = segno_nats::servers(&options.url).ok_or_else(|| {
        Error("`url` has no URL of a NATS server, such as nats://localhost:4222".to_owned())
    })?;
    for (key, value) in [("stream", &options.stream), ("durable", &options.durable)] {
        if value.is_empty() || value.contains(['.', '*', '>', ' ']) {
            return Err(Error(format!(
                "`{key}` is empty, or has one of `.`, `*`, `>` and blanks"
            )));
        }
    }
    if !(1..=MOST).contains(&options.batch) {
        return Err(Error(format!(
            "`batch` is from 1 to {MOST}, not {}",
            options.batch
        )));
    }
    if options.ack_wait < Duration::from_secs(1) {
        return Err(Error("`ack_wait` is at least a second".to_owned()));
    }
    let ca = options.ca.take().map(|path| base.join(path));
    if let Some(path) = &ca {
        // The connection reads it itself, when it is made.
        ca::read(path)?;
    }
    let login = Login {
        servers,
        ca,
        token: options.token.take(),
        nkey: options.nkey.take(),
        credentials: options.credentials_file.take().map(|path| base.join(path)),
    };
    let origin = origin(name);
    Ok(Built::Fetching(Arc::new(Nats {
        login,
        origin,
        options,
    })))
}

#[derive(Debug)]
struct Nats {
    login: Login,
    origin: String,
    options: Options,
}

#[async_trait]
impl Source for Nats {
    async fn run(&self, intake: Arc<dyn Intake>, stop: CancellationToken) -> Result<(), Error> {
        let context = jetstream::new(self.connect().await?);
        let consumer = self.consumer(&context).await?;
        let ack_wait = consumer.cached_info().config.ack_wait;
        while !stop.is_cancelled() {
            let mut messages = consumer
                .fetch()
                .max_messages(self.options.batch)
                .expires(WAIT)
                .messages()
                .await
                .map_err(|error| Error::of("messages cannot be pulled", &error))?;
            let mut pulled = Vec::new();
            while let Some(message) = messages.next().await {
                match message {
                    Ok(message) => pulled.push(message),
                    Err(error) => return Err(Error::of("messages cannot be pulled", &*error)),
                }
            }
            let behind = pulled.last().and_then(|message| message.info().ok());
            intake.waiting(behind.map_or(0, |info| info.pending));
            if !pulled.is_empty() {
                let batch = Batch {
                    origin: &self.origin,
                    options: &self.options,
                    context: &context,
                    intake: &*intake,
                    stop: &stop,
                };
                batch.handle(pulled, ack_wait).await?;
            }
        }
        Ok(())
    }
}

impl Nats {
    async fn connect(&self) -> Result<async_nats::Client, Error> {
        let connected = self.login.options().connect(self.login.servers.as_slice()).await;
        connected.map_err(|error| Error::of("NATS cannot be reached", &error))
    }

    async fn consumer(&self, context: &Context) -> Result<PullConsumer, Error> {
        let Options { stream, durable, .. } = &self.options;
        let found = context.get_stream(stream).await;
        let found = found.map_err(|error| Error::of(&format!("the stream {stream}"), &error))?;
        let config = pull::Config {
            durable_name: Some(durable.clone()),
            filter_subject: self.options.subject.clone().unwrap_or_default(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.options.ack_wait,
            max_ack_pending: i64::try_from(self.options.batch * 4).unwrap_or(i64::MAX),
            ..pull::Config::default()
        };
        let consumer = found.get_or_create_consumer(durable, config).await;
        consumer.map_err(|error| Error::of(&format!("the consumer {durable}"), &error))
    }
}
