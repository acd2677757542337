//! Messages in hand.

use std::{sync::Arc, time::Duration};

use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{AckKind, Context, Message},
};
use futures::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::{
    Error, Intake,
    message::Received,
    store::{Verdict, decode, holding, record, store},
};

/// How long the server may take to acknowledge an acknowledgement.
const ACKNOWLEDGED: Duration = Duration::from_secs(10);
/// The delay of a message that is given back for the first time; it doubles.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// How messages are handled, and those in hand.
pub(super) struct Batch<'a> {
    pub(super) origin: &'a str,
    pub(super) options: &'a Options,
    pub(super) context: &'a Context,
    pub(super) intake: &'a dyn Intake,
    pub(super) stop: &'a CancellationToken,
}

impl Batch<'_> {
    pub(super) async fn handle(&self, messages: Vec<Message>, ack_wait: Duration) -> Result<(), Error> {
        let messages: Arc<[Message]> = messages.into();
        let beat = || {
            let messages = Arc::clone(&messages);
            async move {
                for message in messages.iter() {
                    if let Err(error) = message.ack_with(AckKind::Progress).await {
                        tracing::debug!(%error, "progress cannot be told");
                    }
                }
            }
        };
        holding(self.store(&messages), ack_wait / 3, beat).await
    }

    async fn store(&self, messages: &[Message]) -> Result<(), Error> {
        let received = messages.iter().map(received).collect();
        let (received, decoded) =
            decode(&self.options.codec, received, self.origin, self.options.order).await?;
        let verdicts = store(self.intake, &decoded, self.stop).await;
        let settle = messages
            .iter()
            .zip(&received)
            .zip(verdicts)
            .map(|((message, received), verdict)| self.settle(message, received, verdict));
        // What is not settled is delivered again, and known.
        join_all(settle).await.into_iter().collect()
    }

    async fn settle(&self, message: &Message, received: &Received, verdict: Verdict) -> Result<(), Error> {
        match verdict {
            Verdict::Taken => acknowledge(message, AckKind::Ack).await,
            Verdict::Rejected(reason) if self.reject(message, received, &reason).await => {
                acknowledge(message, AckKind::Term).await
            }
            Verdict::Rejected(_) | Verdict::Back => {
                let delay = if self.stop.is_cancelled() {
                    Duration::ZERO
                } else {
                    delay(message)
                };
                acknowledge(message, AckKind::Nak(Some(delay))).await
            }
        }
    }

    /// Whether the message is not needed any more.
    async fn reject(&self, message: &Message, received: &Received, reason: &str) -> bool {
        let Some(subject) = &self.options.dead_letter else {
            return record(self.intake, self.origin, &received.message(), reason).await;
        };
        match self.bury(message, subject, &received.id, reason).await {
            Ok(()) => {
                tracing::warn!(
                    source = self.origin,
                    message = received.id,
                    reason,
                    "a message went to the dead letters"
                );
                true
            }
            Err(error) => {
                tracing::error!(source = self.origin, message = received.id, %error, "a message is kept");
                false
            }
        }
    }

    async fn bury(&self, message: &Message, subject: &str, id: &str, reason: &str) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
            // Those of the server are about another stream.
            if !name.to_string().to_ascii_lowercase().starts_with("nats-") {
                for value in values {
                    headers.append(name.clone(), value.clone());
                }
            }
        }
        let line: String = reason
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        headers.insert("Segno-Reason", line.as_str());
        headers.insert("Segno-Source", self.origin);
        headers.insert("Segno-Subject", message.subject.as_str());
        // A crash right after this publishes it again.
        headers.insert(NATS_MESSAGE_ID, id);
        let failed = |error: &dyn std::error::Error| {
            Error::of(
                &format!("the subject {subject} takes no message (is it a stream's?)"),
                error,
            )
        };
        let published = self
            .context
            .publish_with_headers(subject.to_owned(), headers, message.payload.clone())
            .await
            .map_err(|error| failed(&error))?;
        published.await.map(drop).map_err(|error| failed(&error))
    }
}

/// Settles a message and waits until the server says that it knows.
async fn acknowledge(message: &Message, kind: AckKind) -> Result<(), Error> {
    match timeout(ACKNOWLEDGED, message.double_ack_with(kind)).await {
        Ok(done) => done.map_err(|error| Error::of("a message cannot be acknowledged", &*error)),
        Err(_) => Err(Error("the server does not acknowledge".to_owned())),
    }
}

/// How long a message that is given back waits for its next delivery.
fn delay(message: &Message) -> Duration {
    let delivered = message.info().map_or(1, |info| info.delivered);
    let doublings = u32::try_from(delivered.saturating_sub(1)).unwrap_or(0).min(10);
    (FIRST_DELAY * 2_u32.pow(doublings)).min(LONGEST_DELAY)
}

fn received(message: &Message) -> Received {
    let headers = message.headers.as_ref();
    // The publisher's id, if it gave one: a message that it publishes again has the same.
    let given = headers
        .and_then(|headers| headers.get(NATS_MESSAGE_ID))
        .map(|id| id.as_str().to_owned());
    let place = || {
        let info = message.info().ok()?;
        Some(format!("{}/{}", info.stream, info.stream_sequence))
    };
    let pairs = headers.into_iter().flat_map(HeaderMap::iter);
    Received {
        id: given
            .filter(|id| !id.is_empty())
            .or_else(place)
            .unwrap_or_default(),
        headers: pairs
            .flat_map(|(name, values)| {
                values
                    .iter()
                    .map(move |value| (name.to_string(), value.as_str().to_owned()))
            })
            .collect(),
        encoded: true,
        body: message.payload.to_vec(),
    }
}
