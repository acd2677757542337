//! The NATS sink: messages in streams of JetStream.
//!
//! The payload as JSON is the message, published to a subject, and delivered when the stream has acknowledged it.
//! Deliveries that come side by side do not wait for each other's acknowledgements, and have no particular order; one
//! that begins when another is delivered comes after it. The idempotency key is the message's `Nats-Msg-Id`: within its
//! `duplicate_window` (two minutes, unless the stream says otherwise) a stream takes one message of an id.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_nats::{HeaderMap, HeaderName, HeaderValue, header::NATS_MESSAGE_ID};
use async_trait::async_trait;
use bytes::Bytes;
use segno_nats::Login;
use serde::Deserialize;

use crate::{
    Confidential, Delivered, Delivery, Failure, Sink, Template, Trace,
    ca::{self, CaError},
    ids::id,
    options::checked,
};

mod connection;

use connection::Connection;

/// Longest message id; a stream keeps those of its window in memory.
const ID: usize = 256;

/// Options of a NATS sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Options {
    /// The servers, separated by commas: `nats://user:password@host:4222`, `tls://…` with TLS.
    pub url: Confidential,
    /// A file with the certificates (PEM) of the authorities that the servers are trusted by, in place of the machine's. With it
    /// nothing is sent without TLS.
    pub ca: Option<PathBuf>,
    /// The subject.
    pub subject: Template,
    /// Headers of the messages. One that comes out empty is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// A token to log in with.
    pub token: Option<Confidential>,
    /// The seed of an NKey to log in with.
    pub nkey: Option<Confidential>,
    /// A file with a user's JWT and seed to log in with, as `nsc` makes it.
    pub credentials_file: Option<PathBuf>,
}

/// Options that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// The URL is none of NATS. What it is, is not said: it may hold a password.
    #[error("`url` has no URL of a NATS server, such as nats://localhost:4222")]
    Url,
    /// The servers' authorities cannot be used.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// It is no header's name.
    #[error("a header cannot be named {0:?}")]
    Header(String),
    /// The sink sets it.
    #[error("the header {0:?} is one of NATS's own")]
    Reserved(String),
}

checked!(Options);

impl Options {
    fn check(&self) -> Result<(), OptionError> {
        // Files are looked at when it is known where relative paths begin.
        let options = Self {
            ca: None,
            ..self.clone()
        };
        Nats::new(options, Path::new("")).map(drop)
    }
}

/// The sink these options describe; a relative path is taken from `base`.
pub(crate) fn build(options: Options, _: &str, base: &Path) -> Result<Arc<dyn Sink>, OptionError> {
    Ok(Arc::new(Nats::new(options, base)?))
}

#[derive(Debug)]
struct Nats {
    connection: Connection,
    subject: Template,
    headers: Vec<(HeaderName, Template)>,
}

impl Nats {
    fn new(options: Options, base: &Path) -> Result<Self, OptionError> {
        let servers = segno_nats::servers(&options.url).ok_or(OptionError::Url)?;
        let mut headers = Vec::new();
        for (name, template) in options.headers {
            if name.to_ascii_lowercase().starts_with("nats-") {
                return Err(OptionError::Reserved(name));
            }
            match name.parse::<HeaderName>() {
                Ok(header) if !name.is_empty() => headers.push((header, template)),
                _ => return Err(OptionError::Header(name)),
            }
        }
        let ca = options.ca.map(|path| base.join(path));
        if let Some(path) = &ca {
            // The connection reads it itself, when it is made.
            ca::read(base, path)?;
        }
        Ok(Self {
            connection: Connection::new(Login {
                servers,
                ca,
                token: options.token,
                nkey: options.nkey,
                credentials: options.credentials_file.map(|path| base.join(path)),
            }),
            subject: options.subject,
            headers,
        })
    }
}

/// Whether something can be published to it: tokens without blanks, none of them empty or a wildcard.
/// <https://docs.nats.io/nats-concepts/subjects>
fn is_subject(subject: &str) -> bool {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    !subject.contains(blank)
        && subject
            .split('.')
            .all(|token| !token.is_empty() && token != "*" && token != ">")
}

#[async_trait]
impl Sink for Nats {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let subject = self.subject.render(delivery)?;
        if !is_subject(&subject) {
            return Err(Failure::permanent(
                "the subject comes out as none that can be published to: it has blanks, wildcards or an empty token",
            ));
        }
        let mut headers = HeaderMap::new();
        for (name, template) in &self.headers {
            let text = template.render(delivery)?;
            if text.is_empty() {
                continue;
            }
            let value: HeaderValue = text
                .parse()
                .map_err(|_| Failure::permanent(format!("the header {name} comes out with a line break")))?;
            headers.insert(name.clone(), value);
        }
        for (name, value) in delivery.trace.into_iter().flat_map(Trace::headers) {
            if headers.get(name).is_none() {
                headers.insert(name, value);
            }
        }
        headers.insert(NATS_MESSAGE_ID, id(delivery.key, ID).as_str());
        let payload = Bytes::from(delivery.payload.to_string());
        self.connection.publish(subject, headers, payload).await?;
        Ok(Delivered { status: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        for good in ["orders", "orders.eu.1", "a.b*c", "ä.é"] {
            assert!(is_subject(good), "{good:?}");
        }
        for bad in ["", ".", "a..b", "a.", "a b", "a.\n", "a.*", "a.>", ">"] {
            assert!(!is_subject(bad), "{bad:?}");
        }
    }
}
