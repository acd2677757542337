//! One poll after the other.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use tokio_util::sync::CancellationToken;

use super::queue::{Queue, attribute};
use crate::{
    Codec, Error, Intake,
    message::Received,
    store::{Order, Verdict, decode, holding, record, store},
};

/// How long a message that is given back stays invisible.
const BACK: Duration = Duration::from_secs(30);

/// What all pollers of a source have in common.
#[derive(Clone)]
pub(super) struct Poller {
    pub(super) queue: Queue,
    pub(super) dead_letter: Option<Queue>,
    pub(super) codec: Codec,
    pub(super) origin: String,
    pub(super) visibility: Duration,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) stop: CancellationToken,
}

impl Poller {
    pub(super) async fn run(&self) -> Result<(), Error> {
        loop {
            // A poll that is given up may have been given messages: they come again when they are visible again.
            let messages = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                messages = self.queue.receive(self.visibility) => messages?,
            };
            if !messages.is_empty() {
                let receipts = messages
                    .iter()
                    .filter_map(|message| message.receipt_handle.clone());
                let receipts: Arc<[String]> = receipts.collect();
                let beat = || {
                    let (queue, receipts, visibility) =
                        (self.queue.clone(), Arc::clone(&receipts), self.visibility);
                    async move { queue.hide(&receipts, visibility).await }
                };
                holding(self.handle(messages), self.visibility / 3, beat).await?;
            }
        }
    }

    async fn handle(&self, messages: Vec<Message>) -> Result<(), Error> {
        let received = messages.iter().map(received).collect();
        let (received, decoded) = decode(&self.codec, received, &self.origin, Order::Subject).await?;
        let decoded: Vec<_> = decoded
            .into_iter()
            .zip(&messages)
            .map(|(decoded, message)| decoded.in_lane(self.group(message)))
            .collect();
        let verdicts = store(&*self.intake, &decoded, &self.stop).await;
        let (mut done, mut back) = (Vec::new(), Vec::new());
        for ((message, received), verdict) in messages.iter().zip(&received).zip(verdicts) {
            let Some(receipt) = message.receipt_handle.clone() else {
                continue;
            };
            let acknowledge = match verdict {
                Verdict::Taken => true,
                Verdict::Rejected(reason) => self.reject(message, received, &reason).await,
                Verdict::Back => false,
            };
            if acknowledge {
                done.push(receipt);
            } else {
                back.push(receipt);
            }
        }
        self.queue.delete(done).await;
        let pause = if self.stop.is_cancelled() {
            Duration::ZERO
        } else {
            BACK
        };
        self.queue.hide(&back, pause).await;
        Ok(())
    }

    /// The message group, of a FIFO queue.
    fn group<'a>(&self, message: &'a Message) -> Option<&'a str> {
        let group = attribute(message, &MessageSystemAttributeName::MessageGroupId);
        group.filter(|_| self.queue.is_fifo())
    }

    /// Whether the message can be deleted.
    async fn reject(&self, message: &Message, received: &Received, reason: &str) -> bool {
        let Some(queue) = &self.dead_letter else {
            return record(&*self.intake, &self.origin, &received.message(), reason).await;
        };
        match queue.put(message, &self.origin, reason).await {
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
}

fn received(message: &Message) -> Received {
    let attributes = message.message_attributes.iter().flatten();
    Received {
        id: message.message_id.clone().unwrap_or_default(),
        headers: attributes
            .filter_map(|(name, value)| Some((name.clone(), value.string_value.clone()?)))
            .collect(),
        encoded: false,
        body: message.body.clone().unwrap_or_default().into_bytes(),
    }
}
