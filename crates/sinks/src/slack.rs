//! The Slack sink: one message for each payload, to an incoming webhook of Slack or of what takes the like, such as
//! Mattermost and Rocket.Chat.
//!
//! A payload has `title`, `text`, `color`, `data` (an object, shown as fields), and optionally `channel`, `username` and
//! `icon` (an emoji such as `:tada:`, or a URL), each of which the options may set in its place. With `raw = true` the
//! payload is a message as Slack takes it, with blocks or whatever else, and is sent as it is.
//!
//! Slack has no way to leave out a message that it gets twice: after an answer that was lost it may be there twice.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Deserializer, de};

use crate::{
    Confidential, Delivered, Delivery, Failure, Sink, Template,
    signature::message_id,
    webhook::{Method, Reply, Request, Sender, SenderError, Target},
};

mod message;

/// How long an attempt may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Options of a Slack sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The webhook's URL, which is a secret: everybody who has it can write.
    #[serde(deserialize_with = "target")]
    pub url: Target,
    /// Whether the payload is a message as it is.
    #[serde(default)]
    pub raw: bool,
    /// In place of the payload's `channel`. Slack's own webhooks write to one channel and may refuse another.
    pub channel: Option<Template>,
    /// In place of the payload's `title`.
    pub title: Option<Template>,
    /// In place of the payload's `text`.
    pub text: Option<Template>,
    /// In place of the payload's `color`: `good`, `warning`, `danger`, or such as `#3aa3e3`.
    pub color: Option<Template>,
    /// In place of the payload's `username`.
    pub username: Option<Template>,
    /// In place of the payload's `icon`.
    pub icon: Option<Template>,
    /// How long one attempt may take. Default 30 s.
    #[serde(default, deserialize_with = "crate::limits::duration")]
    pub timeout: Option<Duration>,
    /// Whether addresses that are not public may be reached (see [`guard`](crate::guard)). Default no.
    #[serde(default)]
    pub allow_private: bool,
}

fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    Confidential::deserialize(deserializer)?
        .expose()
        .parse()
        .map_err(de::Error::custom)
}

/// The sink these options describe.
pub(crate) fn build(options: Options, _: &str, _: &Path) -> Result<Arc<dyn Sink>, SenderError> {
    Ok(Arc::new(Slack::new(options)?))
}

/// A Slack sink.
#[derive(Debug)]
pub struct Slack {
    options: Options,
    headers: HeaderMap,
    sender: Sender,
}

impl Slack {
    /// The sink these options describe.
    ///
    /// # Errors
    ///
    /// [`SenderError`], when the machine gives no TLS or no resolver.
    pub fn new(options: Options) -> Result<Self, SenderError> {
        let sender = Sender::new(options.allow_private)?;
        let json = HeaderValue::from_static("application/json");
        Ok(Self {
            options,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
            sender,
        })
    }
}

#[async_trait]
impl Sink for Slack {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let body = if self.options.raw {
            message::raw(delivery.payload)?
        } else {
            message::message(&self.options, delivery)?
        };
        let request = Request {
            method: &Method::default(),
            url: self.options.url.as_url(),
            headers: &self.headers,
            body: Bytes::from(body.to_string()),
            id: &message_id(delivery.key),
            secrets: &[],
            timeout: self.options.timeout.unwrap_or(TIMEOUT),
        };
        judge(&self.sender.exchange(request).await?)
    }
}

/// What an answer means. Slack says in a word what it does not like about a message, and saying it again does not help.
fn judge(reply: &Reply) -> Result<Delivered, Failure> {
    let status = Some(reply.status.as_u16());
    if reply.status.is_success() {
        return Ok(Delivered { status });
    }
    let mut reason = format!("the receiver answered {}", reply.status);
    if let Some(word) = word(&reply.body) {
        reason = format!("{reason}: {word}");
    }
    let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    if reply.status.is_client_error() && !may_pass.contains(&reply.status) {
        return Err(Failure::Permanent { reason, status });
    }
    Err(Failure::Retryable {
        reason,
        status,
        retry_after: reply.retry_after,
    })
}

/// Slack's name of an error, such as `channel_not_found`. What is no such name may repeat the message.
fn word(body: &[u8]) -> Option<&str> {
    let word = std::str::from_utf8(body).ok()?.trim();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    ((1..=60).contains(&word.len()) && word.bytes().all(fits)).then_some(word)
}
