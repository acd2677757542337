//! The SQS source: messages of Amazon SQS.
//!
//! Several pollers ask for up to ten messages each and wait up to 20 seconds for them. While events are being stored, the
//! messages are kept invisible to others; when they are durable, the messages are deleted.
//!
//! - Of a FIFO queue the events of a message group are stored one after the other: the next when the one before is durable.
//! - While the engine takes no events, messages are held and tried again: what is given back counts as received, and a
//!   queue's own redrive policy would take good messages for bad ones.
//! - What is malformed, or refused for good, goes to the queue `dead_letter` with the reason as the attribute `SegnoReason`;
//!   without one it is recorded (an event of type `segno.message.rejected`, and a line in the log) and deleted.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use crate::aws::Credentials;
use crate::{
    Codec, Error, Intake, Source,
    aws::Connection,
    source::{Built, telling},
};

mod poller;
mod queue;

use poller::Poller;
use queue::Queue;

/// SQS's own limit.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);

/// Options of an SQS source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The queue's name, or its URL.
    pub queue: String,
    /// How messages are read.
    #[serde(default)]
    pub codec: Codec,
    /// The queue, by name or URL, for messages that are no events. A FIFO queue's is a FIFO queue.
    pub dead_letter: Option<String>,
    /// How many polls are under way at once, from 1 to 64.
    #[serde(default = "pollers")]
    pub pollers: usize,
    /// How long a message stays invisible after a crash, from 3 seconds to 12 hours. While a message is in hand this is
    /// prolonged.
    #[serde(default = "visibility", deserialize_with = "crate::duration::read")]
    pub visibility: Duration,
    /// The region; without it the queue's URL says it, or AWS's usual variables and files.
    pub region: Option<String>,
    /// Another endpoint than AWS's.
    pub endpoint: Option<String>,
    /// The profile in AWS's files.
    pub profile: Option<String>,
    /// An access key, where AWS's usual ways to find one are not meant.
    pub credentials: Option<Credentials>,
}

fn pollers() -> usize {
    2
}

fn visibility() -> Duration {
    Duration::from_secs(30)
}

pub(crate) fn build(options: Options, name: &str, _: &Path, _: &Arc<dyn Intake>) -> Result<Built, Error> {
    if options.queue.is_empty() {
        return Err(Error("`queue` is empty".to_owned()));
    }
    if !(1..=64).contains(&options.pollers) {
        return Err(Error(format!(
            "`pollers` is from 1 to 64, not {}",
            options.pollers
        )));
    }
    if options.visibility < Duration::from_secs(3) || options.visibility > LONGEST_VISIBILITY {
        return Err(Error("`visibility` is from 3 seconds to 12 hours".to_owned()));
    }
    Ok(Built::Fetching(Arc::new(Sqs {
        origin: crate::source::origin(name),
        connection: Connection {
            region: options.region.clone().or_else(|| queue::region(&options.queue)),
            endpoint: options.endpoint.clone(),
            profile: options.profile.clone(),
            credentials: options.credentials.clone(),
        },
        options,
    })))
}

#[derive(Debug)]
struct Sqs {
    origin: String,
    connection: Connection,
    options: Options,
}

#[async_trait]
impl Source for Sqs {
    async fn run(&self, intake: Arc<dyn Intake>, stop: CancellationToken) -> Result<(), Error> {
        let config = self.connection.load().await?;
        let client = aws_sdk_sqs::Client::new(&config);
        let queue = Queue::open(client.clone(), &self.options.queue).await?;
        let dead_letter = match &self.options.dead_letter {
            Some(name) => Some(Queue::open(client, name).await?),
            None => None,
        };
        // One poller that cannot go on ends the others, each with what it has in hand done.
        let stop = stop.child_token();
        let poller = Arc::new(Poller {
            queue,
            dead_letter,
            codec: self.options.codec.clone(),
            origin: self.origin.clone(),
            visibility: self.options.visibility,
            intake,
            stop: stop.clone(),
        });
        let mut pollers = JoinSet::new();
        for _ in 0..self.options.pollers {
            let poller = Arc::clone(&poller);
            pollers.spawn(async move { poller.run().await });
        }
        let polled = async {
            let mut result = Ok(());
            while let Some(ended) = pollers.join_next().await {
                let ended = ended.unwrap_or_else(|error| Err(Error::of("a poller died", &error)));
                if let Err(error) = ended {
                    stop.cancel();
                    result = result.and(Err(error));
                }
            }
            result
        };
        telling(Arc::clone(&poller.intake), || poller.queue.waiting(), polled).await
    }
}
