//! The calls.

use aws_sdk_eventbridge::{
    Client,
    error::ProvideErrorMetadata,
    primitives::DateTime,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use tokio::sync::OnceCell;

use crate::{
    Delivered, Failure,
    aws::{self, Connection, refusal},
    batch::{Item, Outcome, Target},
};

/// How the service is called in what people read.
const SERVICE: &str = "EventBridge";

/// One event for a bus.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bus: Option<String>,
    pub(super) source: String,
    pub(super) detail_type: String,
    pub(super) detail: String,
    pub(super) time: Option<DateTime>,
}

impl Entry {
    /// As EventBridge counts it: a time is 14 bytes.
    pub(super) fn size(&self) -> usize {
        let time = if self.time.is_some() { 14 } else { 0 };
        self.source.len() + self.detail_type.len() + self.detail.len() + time
    }
}

impl Item for Entry {
    fn bytes(&self) -> usize {
        self.size()
    }
}

/// The buses of an account.
#[derive(Debug)]
pub(super) struct Bus {
    connection: Connection,
    client: OnceCell<Client>,
}

impl Bus {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            client: OnceCell::new(),
        }
    }
}

fn entry(entry: &Entry) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .source(&entry.source)
        .detail_type(&entry.detail_type)
        .detail(&entry.detail)
        .set_event_bus_name(entry.bus.clone())
        .set_time(entry.time)
        .build()
}

fn outcome(entry: &PutEventsResultEntry) -> Outcome {
    match entry.error_code() {
        None => Ok(Delivered { status: Some(200) }),
        Some(code) => Err(aws::failure(
            SERVICE,
            code,
            entry.error_message(),
            aws::is_permanent(code),
            None,
        )),
    }
}

impl Target for Bus {
    type Item = Entry;

    async fn send(&self, entries: &[Entry]) -> Result<Vec<Outcome>, Failure> {
        let connect = async || Ok::<_, Failure>(Client::new(self.connection.config().await?));
        let client = self.client.get_or_try_init(connect).await?;
        let answer = client
            .put_events()
            .set_entries(Some(entries.iter().map(entry).collect()))
            .send()
            .await
            .map_err(|error| refusal!(&error).failure(SERVICE))?;
        // They come in the order of the request.
        let outcomes: Vec<_> = answer.entries().iter().map(outcome).collect();
        if outcomes.len() != entries.len() {
            return Err(Failure::retryable("EventBridge does not answer for each event"));
        }
        Ok(outcomes)
    }
}
