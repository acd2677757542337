//! A queue, and the calls to it.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    error::ProvideErrorMetadata,
    types::{MessageAttributeValue, SendMessageBatchRequestEntry},
};
use tokio::sync::OnceCell;

use crate::{
    Failure,
    aws::{self, Connection, Message, Told, refusal},
    batch::{Outcome, Target},
};

/// How the service is called in what people read.
pub(super) const SERVICE: &str = "SQS";

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// Its name or its URL.
    queue: String,
    connection: Connection,
    delay: Option<Duration>,
    /// The client, and the queue's URL.
    client: OnceCell<(Client, String)>,
}

/// The region in a queue's URL, as in `https://sqs.eu-central-1.amazonaws.com/…`.
pub(super) fn region(queue: &str) -> Option<String> {
    let url = url::Url::parse(queue).ok()?;
    let mut labels = url.host_str()?.split('.');
    let (service, region, amazon) = (labels.next()?, labels.next()?, labels.next()?);
    (service == "sqs" && amazon == "amazonaws").then(|| region.to_owned())
}

impl Queue {
    pub(super) fn new(queue: String, connection: Connection, delay: Option<Duration>) -> Self {
        Self {
            queue,
            connection,
            delay,
            client: OnceCell::new(),
        }
    }

    async fn connect(&self) -> Result<(Client, String), Failure> {
        let client = Client::new(self.connection.config().await?);
        if self.queue.starts_with("https://") || self.queue.starts_with("http://") {
            return Ok((client, self.queue.clone()));
        }
        let answer = client.get_queue_url().queue_name(&self.queue).send().await;
        let answer = answer.map_err(|error| refusal!(&error).failure(SERVICE))?;
        match answer.queue_url {
            Some(url) => Ok((client, url)),
            None => Err(Failure::retryable("SQS answers without the queue's URL")),
        }
    }

    fn entry(&self, n: usize, message: &Message) -> Result<SendMessageBatchRequestEntry, Failure> {
        let mut entry = SendMessageBatchRequestEntry::builder()
            .id(n.to_string())
            .message_body(&message.body)
            .set_message_group_id(message.group.clone())
            .set_message_deduplication_id(message.deduplication.clone())
            .set_delay_seconds(self.delay.map(seconds));
        for (name, text) in &message.attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(text)
                .build()
                .map_err(incomplete)?;
            entry = entry.message_attributes(name, value);
        }
        entry.build().map_err(incomplete)
    }
}

/// Whole seconds, rounded up; it is 15 minutes at most.
fn seconds(delay: Duration) -> i32 {
    delay.as_secs_f64().ceil() as i32
}

/// A part that is missing, as the SDK says it.
fn incomplete(error: aws_sdk_sqs::error::BuildError) -> Failure {
    Failure::permanent(format!("the message is incomplete: {error}"))
}

impl Target for Queue {
    type Item = Message;

    async fn send(&self, messages: &[Message]) -> Result<Vec<Outcome>, Failure> {
        let (client, url) = self.client.get_or_try_init(|| self.connect()).await?;
        let entries = messages.iter().enumerate();
        let entries: Result<Vec<_>, _> = entries.map(|(n, message)| self.entry(n, message)).collect();
        let answer = client
            .send_message_batch()
            .queue_url(url)
            .set_entries(Some(entries?))
            .send()
            .await
            .map_err(|error| refusal!(&error).failure(SERVICE))?;
        let taken = answer.successful().iter().map(|taken| taken.id());
        let failed = answer.failed().iter().map(|entry| Told {
            id: entry.id(),
            code: entry.code(),
            message: entry.message(),
            sender: entry.sender_fault(),
        });
        Ok(aws::outcomes(SERVICE, messages.len(), taken, failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_in_the_url() {
        let region = |queue| region(queue).unwrap_or_default();
        assert_eq!(
            region("https://sqs.eu-central-1.amazonaws.com/123456789012/orders"),
            "eu-central-1"
        );
        assert_eq!(
            region("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders"),
            "cn-north-1"
        );
        assert_eq!(region("http://127.0.0.1:4566/000000000000/orders"), "");
        assert_eq!(region("orders"), "");
    }
}
