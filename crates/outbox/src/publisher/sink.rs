//! Publishing to Segno's sinks.

use std::sync::Arc;

use async_trait::async_trait;
use segno_sinks::{Delivery, Failure, Sink};

use super::{Batch, PublishError, Publisher};

/// Publishes to a sink: Redis Streams, NATS, SQS, EventBridge or another one. It gets the event as CloudEvents JSON, under
/// a key made of the event's source and id.
#[derive(Clone, Debug)]
pub struct ToSink {
    sink: Arc<dyn Sink>,
    concurrency: usize,
    outbox: Option<String>,
}

impl ToSink {
    /// Publishes to this sink, up to 64 keys side by side: sinks whose target takes several payloads in one call fill
    /// their batches with them.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            concurrency: 64,
            outbox: None,
        }
    }

    /// The same from the outbox of this name: its events say which row they were in ([`Origin`](crate::Origin)).
    #[must_use]
    pub fn from_outbox(self, name: impl Into<String>) -> Self {
        Self {
            outbox: Some(name.into()),
            ..self
        }
    }
}

#[async_trait]
impl Publisher for ToSink {
    async fn publish(&self, batch: &Batch) {
        batch
            .each(self.concurrency, async |outgoing| {
                let event = &outgoing.told(self.outbox.as_deref());
                let payload = serde_json::to_value(event)
                    .map_err(|error| PublishError::permanent(format!("the event is no JSON: {error}")))?;
                let key = format!("outbox/{}/{}", event.source, event.id);
                match self.sink.deliver(Delivery::new(&key, &payload).of(event)).await {
                    Ok(_) => Ok(()),
                    Err(Failure::Permanent { reason, .. }) => Err(PublishError::Permanent { reason }),
                    Err(Failure::Retryable {
                        reason, retry_after, ..
                    }) => Err(PublishError::Retryable {
                        reason,
                        after: retry_after,
                    }),
                }
            })
            .await;
    }
}
