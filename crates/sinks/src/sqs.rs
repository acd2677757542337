//! The SQS sink: messages of Amazon SQS.
//!
//! The payload as JSON is the message's body. Deliveries that come side by side go in one call, up to ten and 1 MiB, and each
//! has its own outcome.
//!
//! A queue whose name ends with `.fifo` keeps the messages of a group in order, and leaves out for five minutes what comes
//! under a deduplication id that it has seen: that is the idempotency key. The sink brings the messages of a group to the queue in the
//! order in which they are delivered. Where one of them fails, those after it in the same call do not wait for it: whoever needs the
//! order in that case too delivers the next when the one before is there.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;

use crate::{
    Delivered, Delivery, Failure, Sink, Template,
    aws::{Attributes, Connection, Credentials, Messages, OptionError},
    batch::Size,
    limits::duration,
    options::checked,
};

mod queue;

use queue::{Queue, SERVICE};

/// SQS's own limits of one call; a message may be as large as a call.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const SIZE: Size = Size {
    items: 10,
    bytes: 1_048_576,
    calls: 8,
};
/// SQS's own limit.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// Options of an SQS sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Options {
    /// The queue's name, or its URL.
    pub queue: String,
    /// The message group. In a FIFO queue its messages are in order; without this it is the event's subject, and a message
    /// without a subject is a group of its own. A standard queue is fair between groups, where it is given.
    pub group: Option<Template>,
    /// How long messages are held back: up to 15 minutes, of standard queues only.
    #[serde(default, deserialize_with = "duration")]
    pub delay: Option<Duration>,
    /// Attributes of the messages, up to ten. One that comes out empty is left out.
    #[serde(default)]
    pub attributes: BTreeMap<String, Template>,
    /// The region; without it the queue's URL says it, or AWS's usual variables and files.
    pub region: Option<String>,
    /// Another endpoint than AWS's.
    pub endpoint: Option<String>,
    /// The profile in AWS's files.
    pub profile: Option<String>,
    /// An access key, where AWS's usual ways to find one are not meant.
    pub credentials: Option<Credentials>,
}

checked!(Options);

impl Options {
    fn is_fifo(&self) -> bool {
        self.queue.ends_with(".fifo")
    }

    fn check(&self) -> Result<(), OptionError> {
        if self.queue.is_empty() {
            return Err(OptionError::Empty("queue"));
        }
        match self.delay {
            Some(_) if self.is_fifo() => return Err(OptionError::FifoDelay),
            Some(delay) if delay > LONGEST_DELAY => return Err(OptionError::Delay(delay)),
            _ => {}
        }
        Attributes::check(&self.attributes)?;
        Connection::check(self.endpoint.as_deref())
    }
}

/// The sink these options describe.
pub(crate) fn build(options: Options, _: &str, _: &Path) -> Result<Arc<dyn Sink>, OptionError> {
    options.check()?;
    let fifo = options.is_fifo();
    let region = options.region.or_else(|| queue::region(&options.queue));
    let connection = Connection::new(options.endpoint, region, options.profile, options.credentials);
    let target = Queue::new(options.queue, connection, options.delay);
    let attributes = Attributes::new(options.attributes);
    Ok(Arc::new(Sqs(Messages::to(
        SERVICE,
        target,
        SIZE,
        fifo,
        options.group,
        attributes,
    ))))
}

#[derive(Debug)]
struct Sqs(Messages);

#[async_trait]
impl Sink for Sqs {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        self.0.deliver(delivery, None).await
    }
}
