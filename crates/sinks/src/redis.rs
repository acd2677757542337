//! The Redis sink: entries of Redis Streams.
//!
//! Each delivery is one `XADD`. Those that come side by side go down one connection without waiting for each other, in no
//! particular order; one that begins when another is delivered comes after it. An entry carries the idempotency key, so
//! that a reader can leave out what comes twice; with `dedupe` the sink itself does, exactly: whether the key has been
//! there is decided and written together with the entry.
//!
//! How durable an entry is, is the server's setting: with `appendonly yes` and `appendfsync always` it is on the disk when it
//! is taken; with Redis's defaults a crash of the server loses what came last.

use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ::redis::{
    Client, Cmd, RedisError, Script, TlsCertificates, ToRedisArgs,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::{
    Confidential, Delivered, Delivery, Failure, Sink, Template,
    ca::{self, CaError},
    limits::duration,
    options::checked,
};

mod fields;

use fields::Fields;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Adds the entry unless the mark of its key is there, and leaves the mark. The mark comes last: were the entry refused, the script
/// would end before it.
const ADD_ONCE: &str = "\
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local id = redis.call('XADD', KEYS[1], unpack(ARGV, 2))
redis.call('SET', KEYS[2], id, 'PX', ARGV[1])
return 1";

/// Options of a Redis sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Options {
    /// The server: `redis://user:password@host:6379/0`, `rediss://…` with TLS.
    pub url: Confidential,
    /// A file with the certificates (PEM) of the authorities that the server is trusted by, in place of the public ones.
    pub ca: Option<PathBuf>,
    /// The stream.
    pub stream: Template,
    /// About how many entries the stream keeps (`MAXLEN ~`); without it all of them.
    pub max_length: Option<NonZeroU64>,
    /// How the payload is put into the entry.
    #[serde(default)]
    pub layout: Layout,
    /// The field with the idempotency key.
    #[serde(default = "key_field")]
    pub key_field: String,
    /// The field with the payload as JSON, in the layout `json`.
    #[serde(default = "payload_field")]
    pub payload_field: String,
    /// More fields, made of what is delivered. One that comes out empty is there, and empty.
    #[serde(default)]
    pub fields: BTreeMap<String, Template>,
    /// For how long a key that comes again is left out; without it, it is added again.
    #[serde(default, deserialize_with = "duration")]
    pub dedupe: Option<Duration>,
}

fn key_field() -> String {
    "key".to_owned()
}

fn payload_field() -> String {
    "payload".to_owned()
}

/// How a payload is put into an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// As JSON in one field.
    #[default]
    Json,
    /// Each of its top-level fields in one: texts as they are, all else as JSON.
    Fields,
}

/// Options that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// The URL is none of Redis. What it is, is not said: it may hold a password.
    #[error("`url` is no URL of Redis, such as redis://localhost:6379/0")]
    Url(#[source] RedisError),
    /// The server's authorities cannot be used.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// Two fields of an entry have one name.
    #[error("the field {0:?} is there twice")]
    Field(String),
}

checked!(Options);

impl Options {
    fn check(&self) -> Result<(), OptionError> {
        // Files are looked at when it is known where relative paths begin.
        let options = Self {
            ca: None,
            ..self.clone()
        };
        Redis::new(options, Path::new("")).map(drop)
    }
}

/// The sink these options describe; a relative path is taken from `base`.
pub(crate) fn build(options: Options, _: &str, base: &Path) -> Result<Arc<dyn Sink>, OptionError> {
    Ok(Arc::new(Redis::new(options, base)?))
}

struct Redis {
    client: Client,
    /// It connects again by itself.
    connection: OnceCell<ConnectionManager>,
    stream: Template,
    max_length: Option<NonZeroU64>,
    fields: Fields,
    /// How an entry is added once, and for how long that holds.
    once: Option<(Script, Duration)>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}

impl Redis {
    fn new(options: Options, base: &Path) -> Result<Self, OptionError> {
        Ok(Self {
            client: client(options.url.expose(), options.ca.as_deref(), base)?,
            connection: OnceCell::new(),
            stream: options.stream,
            max_length: options.max_length,
            fields: Fields::new(
                options.layout,
                options.key_field,
                options.payload_field,
                options.fields,
            )?,
            once: options.dedupe.map(|window| (Script::new(ADD_ONCE), window)),
        })
    }

    async fn connection(&self) -> Result<ConnectionManager, Failure> {
        let connect = async || {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(Some(ANSWER))
                // The next delivery is the next attempt.
                .set_number_of_retries(0);
            ConnectionManager::new_lazy_with_config(self.client.clone(), config)
        };
        let connection = self.connection.get_or_try_init(connect).await;
        connection.cloned().map_err(|error| failure(&error))
    }
}

fn client(url: &str, ca: Option<&Path>, base: &Path) -> Result<Client, OptionError> {
    let Some(ca) = ca else {
        return Client::open(url).map_err(OptionError::Url);
    };
    if !url.starts_with("rediss://") {
        return Err(CaError::NoTls("rediss").into());
    }
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(ca::read(base, ca)?),
    };
    Client::build_with_tls(url, certificates).map_err(OptionError::Url)
}

/// What `XADD` is told after the stream's name.
fn entry(max_length: Option<NonZeroU64>, fields: &[(String, String)]) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    if let Some(most) = max_length {
        ("MAXLEN", "~", most.get()).write_redis_args(&mut arguments);
    }
    "*".write_redis_args(&mut arguments);
    for pair in fields {
        pair.write_redis_args(&mut arguments);
    }
    arguments
}

/// Wrong for good is only a key that is there and no stream. All else, as a full memory, a replica, a missing right, is
/// mended without the payload.
fn failure(error: &RedisError) -> Failure {
    let text = error.to_string();
    if error.code() == Some("WRONGTYPE") || text.contains("WRONGTYPE") {
        return Failure::permanent("Redis holds something else than a stream under the stream's name");
    }
    if error.is_io_error() {
        return Failure::retryable(format!("Redis cannot be reached: {text}"));
    }
    Failure::retryable(format!("Redis answers: {text}"))
}

#[async_trait]
impl Sink for Redis {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let stream = self.stream.render(delivery)?;
        if stream.is_empty() {
            return Err(Failure::permanent("the stream's name comes out empty"));
        }
        let entry = entry(self.max_length, &self.fields.of(delivery)?);
        let mut connection = self.connection().await?;
        let done = match &self.once {
            None => {
                let mut add = Cmd::new();
                add.arg("XADD").arg(&stream).arg(entry);
                add.exec_async(&mut connection).await
            }
            Some((script, window)) => {
                // The braces keep both names on one server of a cluster.
                let mark = format!("segno:{{{stream}}}:{}", delivery.key);
                let mut add = script.key(&stream);
                add.key(mark).arg(window.as_millis().max(1).to_string());
                for argument in entry {
                    add.arg(argument);
                }
                add.invoke_async(&mut connection).await.map(|_: i64| ())
            }
        };
        match done {
            Ok(()) => Ok(Delivered { status: None }),
            Err(error) => Err(failure(&error)),
        }
    }
}
