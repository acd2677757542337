//! The calls to a queue.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    error::SdkError,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
        MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    },
};
use tokio::time::sleep;

use crate::Error;

/// Most messages of one call.
const BATCH: i32 = 10;
/// Longest wait of one poll, in seconds.
const WAIT: i32 = 20;
/// Pauses between two tries to delete what is done.
const DELETE_PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// Most attributes of a message.
const MOST_ATTRIBUTES: usize = 10;
/// Longest reason in an attribute, in characters.
const REASON: usize = 1_000;

/// A queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue of this name or URL.
    pub(super) async fn open(client: Client, queue: &str) -> Result<Self, Error> {
        if queue.contains("://") {
            let url = queue.to_owned();
            return Ok(Self { client, url });
        }
        let found = client.get_queue_url().queue_name(queue).send().await;
        let found = found.map_err(|error| failed(&format!("the queue {queue} cannot be found"), error))?;
        match found.queue_url {
            Some(url) => Ok(Self { client, url }),
            None => Err(Error(format!("the queue {queue} has no URL"))),
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    /// How many messages nobody has in hand, about. None where that cannot be asked.
    pub(super) async fn waiting(&self) -> Option<u64> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(name.clone())
            .send()
            .await;
        match asked {
            Ok(reply) => reply.attributes?.get(&name)?.parse().ok(),
            Err(error) => {
                let error = failed("the queue's length is not told", error);
                tracing::debug!(%error, "a source's lag is not known");
                None
            }
        }
    }

    /// Waits for messages; there may be none.
    pub(super) async fn receive(&self, visibility: Duration) -> Result<Vec<Message>, Error> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(BATCH)
            .wait_time_seconds(WAIT)
            .visibility_timeout(seconds(visibility))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .map_err(|error| failed("messages cannot be received", error))?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Changes how long messages stay invisible from now on. What fails is only logged: at worst they come again.
    pub(super) async fn hide(&self, receipts: &[String], visibility: Duration) {
        let entries = receipts.iter().enumerate().filter_map(|(n, receipt)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(n.to_string())
                .receipt_handle(receipt)
                .visibility_timeout(seconds(visibility))
                .build()
                .ok()
        });
        let entries: Vec<_> = entries.collect();
        if entries.is_empty() {
            return;
        }
        let call = self.client.change_message_visibility_batch().queue_url(&self.url);
        match call.set_entries(Some(entries)).send().await {
            Ok(done) => {
                for failed in done.failed {
                    tracing::debug!(
                        code = failed.code,
                        message = failed.message,
                        "a message's visibility"
                    );
                }
            }
            Err(error) => tracing::warn!(error = %failed("visibility cannot be changed", error), "SQS"),
        }
    }

    /// Deletes messages. What cannot be deleted comes again, and its events are known then.
    pub(super) async fn delete(&self, receipts: Vec<String>) {
        let mut left = receipts;
        for (attempt, pause) in DELETE_PAUSES.iter().enumerate() {
            if attempt > 0 {
                sleep(*pause).await;
            }
            left = self.delete_once(left).await;
            if left.is_empty() {
                return;
            }
        }
        tracing::warn!(
            messages = left.len(),
            "messages cannot be deleted and will come again"
        );
    }

    /// Those that are to be tried again.
    async fn delete_once(&self, receipts: Vec<String>) -> Vec<String> {
        let entries = receipts.iter().enumerate().filter_map(|(n, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(n.to_string())
                .receipt_handle(receipt)
                .build()
                .ok()
        });
        let entries: Vec<_> = entries.collect();
        if entries.is_empty() {
            return Vec::new();
        }
        let call = self.client.delete_message_batch().queue_url(&self.url);
        let failures = match call.set_entries(Some(entries)).send().await {
            Ok(done) => done.failed,
            Err(error) => {
                tracing::warn!(error = %failed("messages cannot be deleted", error), "SQS");
                return receipts;
            }
        };
        let again = failures.into_iter().filter_map(|failure| {
            tracing::debug!(
                code = failure.code,
                message = failure.message,
                "a message was not deleted"
            );
            // A receipt that is no longer good does not become so.
            let receipt = receipts.get(failure.id.parse::<usize>().ok()?)?;
            (!failure.sender_fault).then(|| receipt.clone())
        });
        again.collect()
    }

    /// Puts a message that was rejected from elsewhere here, with the reason.
    pub(super) async fn put(&self, message: &Message, origin: &str, reason: &str) -> Result<(), Error> {
        let mut call = self.client.send_message().queue_url(&self.url).message_body(
            message
                .body
                .as_deref()
                .filter(|body| !body.is_empty())
                .unwrap_or(" "),
        );
        let id = message.message_id.as_deref().unwrap_or_default();
        let mut ours = vec![("SegnoReason", clean(reason)), ("SegnoSource", clean(origin))];
        if !id.is_empty() {
            ours.push(("SegnoMessageId", id.to_owned()));
        }
        let room = MOST_ATTRIBUTES - ours.len();
        let theirs = message.message_attributes.iter().flatten();
        for (name, value) in theirs.filter(|(name, _)| !name.starts_with("Segno")).take(room) {
            call = call.message_attributes(name, value.clone());
        }
        for (name, text) in ours {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(text)
                .build();
            let value = value.map_err(|error| Error::of("an attribute", &error))?;
            call = call.message_attributes(name, value);
        }
        if self.is_fifo() {
            let group = attribute(message, &MessageSystemAttributeName::MessageGroupId).unwrap_or("segno");
            call = call.message_group_id(group).message_deduplication_id(id);
        }
        let sent = call.send().await;
        sent.map(drop)
            .map_err(|error| failed("the dead-letter queue does not take a message", error))
    }
}

/// An attribute that SQS itself gives to a message.
pub(super) fn attribute<'a>(message: &'a Message, name: &MessageSystemAttributeName) -> Option<&'a str> {
    Some(message.attributes.as_ref()?.get(name)?.as_str())
}

/// The region that the URL of one of AWS's queues names.
pub(super) fn region(queue: &str) -> Option<String> {
    let host = queue.strip_prefix("https://sqs.")?.split('/').next()?;
    let (region, rest) = host.split_once('.')?;
    rest.starts_with("amazonaws.com").then(|| region.to_owned())
}

/// A text without what attributes cannot hold.
fn clean(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let text: String = text.chars().filter(allowed).take(REASON).collect();
    if text.is_empty() {
        "unknown".to_owned()
    } else {
        text
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

fn failed<E>(doing: &str, error: SdkError<E>) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    Error::of(doing, &error)
}
