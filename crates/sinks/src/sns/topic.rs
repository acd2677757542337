//! A topic, and the calls to it.

use aws_sdk_sns::{
    Client,
    error::ProvideErrorMetadata,
    types::{MessageAttributeValue, PublishBatchRequestEntry},
};
use tokio::sync::OnceCell;

use crate::{
    Failure,
    aws::{self, Connection, Message, Told, refusal},
    batch::{Outcome, Target},
};

/// How the service is called in what people read.
pub(super) const SERVICE: &str = "SNS";

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    arn: String,
    connection: Connection,
    client: OnceCell<Client>,
}

impl Topic {
    pub(super) fn new(arn: String, connection: Connection) -> Self {
        Self {
            arn,
            connection,
            client: OnceCell::new(),
        }
    }
}

fn entry(n: usize, message: &Message) -> Result<PublishBatchRequestEntry, Failure> {
    let incomplete = |error| Failure::permanent(format!("the message is incomplete: {error}"));
    let mut entry = PublishBatchRequestEntry::builder()
        .id(n.to_string())
        .message(&message.body)
        .set_subject(message.subject.clone())
        .set_message_group_id(message.group.clone())
        .set_message_deduplication_id(message.deduplication.clone());
    for (name, text) in &message.attributes {
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(text);
        entry = entry.message_attributes(name, value.build().map_err(incomplete)?);
    }
    entry.build().map_err(incomplete)
}

impl Target for Topic {
    type Item = Message;

    async fn send(&self, messages: &[Message]) -> Result<Vec<Outcome>, Failure> {
        let connect = async || Ok::<_, Failure>(Client::new(self.connection.config().await?));
        let client = self.client.get_or_try_init(connect).await?;
        let entries = messages.iter().enumerate();
        let entries: Result<Vec<_>, _> = entries.map(|(n, message)| entry(n, message)).collect();
        let answer = client
            .publish_batch()
            .topic_arn(&self.arn)
            .set_publish_batch_request_entries(Some(entries?))
            .send()
            .await
            .map_err(|error| refusal!(&error).failure(SERVICE))?;
        let taken = answer.successful().iter().filter_map(|taken| taken.id());
        let failed = answer.failed().iter().map(|entry| Told {
            id: entry.id(),
            code: entry.code(),
            message: entry.message(),
            sender: entry.sender_fault(),
        });
        Ok(aws::outcomes(SERVICE, messages.len(), taken, failed))
    }
}
