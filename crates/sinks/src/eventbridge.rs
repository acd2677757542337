//! The EventBridge sink: events on a bus of Amazon EventBridge.
//!
//! The payload, which has to be an object, is the event's `detail`. Source, detail type and time are those of the event that it was
//! made of, unless the options say otherwise. Deliveries that come side by side go in one call, up to ten and 1 MB, and each has its
//! own outcome.
//!
//! EventBridge takes no idempotency key. What is delivered again after an answer that got lost is on the bus twice, and a rule's
//! target that minds has to tell by something in the payload: a transform can put the event's id there.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use aws_sdk_eventbridge::primitives::DateTime;
use serde::Deserialize;

use crate::{
    Delivered, Delivery, Failure, Sink, Template,
    aws::{Connection, Credentials, OptionError},
    batch::{Batcher, Size},
    options::checked,
};

mod bus;

use bus::{Bus, Entry};

/// EventBridge's own limits of one call.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
const SIZE: Size = Size {
    items: 10,
    bytes: 1_000_000,
    calls: 8,
};
/// Most bytes of an entry.
const LARGEST: usize = 1_048_576;

/// Options of an EventBridge sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Options {
    /// The bus's name or ARN; without it the account's default bus.
    pub bus: Option<Template>,
    /// The source; without it the event's.
    pub source: Option<Template>,
    /// The detail type; without it the event's type.
    pub detail_type: Option<Template>,
    /// The region; without it AWS's usual variables and files say it.
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
    fn check(&self) -> Result<(), OptionError> {
        Connection::check(self.endpoint.as_deref())
    }
}

/// The sink these options describe.
pub(crate) fn build(options: Options, _: &str, _: &Path) -> Result<Arc<dyn Sink>, OptionError> {
    options.check()?;
    let connection = Connection::new(
        options.endpoint,
        options.region,
        options.profile,
        options.credentials,
    );
    Ok(Arc::new(EventBridge {
        batcher: Batcher::to(SIZE, Arc::new(Bus::new(connection))),
        bus: options.bus,
        source: options.source,
        detail_type: options.detail_type,
    }))
}

#[derive(Debug)]
struct EventBridge {
    batcher: Batcher<Entry>,
    bus: Option<Template>,
    source: Option<Template>,
    detail_type: Option<Template>,
}

/// What the template says, or else the event.
fn or_event(
    what: &str,
    template: Option<&Template>,
    delivery: Delivery<'_>,
    of_event: impl Fn(&segno_event::Event) -> String,
) -> Result<String, Failure> {
    let text = match (template, delivery.event) {
        (Some(template), _) => template.render(delivery)?,
        (None, Some(event)) => of_event(event),
        (None, None) => String::new(),
    };
    if text.is_empty() {
        return Err(Failure::permanent(format!(
            "the {what} comes out empty: set `{what}` of the sink"
        )));
    }
    Ok(text)
}

#[async_trait]
impl Sink for EventBridge {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        if !delivery.payload.is_object() {
            return Err(Failure::permanent(
                "the payload is no object, and the detail of an event on EventBridge has to be one",
            ));
        }
        let bus = self.bus.as_ref().map(|bus| bus.render(delivery)).transpose()?;
        let time = delivery.event.and_then(|event| event.time);
        let entry = Entry {
            bus: bus.filter(|bus| !bus.is_empty()),
            source: or_event("source", self.source.as_ref(), delivery, |event| {
                event.source.clone()
            })?,
            detail_type: or_event("detail_type", self.detail_type.as_ref(), delivery, |event| {
                event.ty.clone()
            })?,
            detail: delivery.payload.to_string(),
            time: time.map(|time| DateTime::from_secs_and_nanos(time.unix_timestamp(), time.nanosecond())),
        };
        let bytes = entry.size();
        if bytes > LARGEST {
            return Err(Failure::permanent(format!(
                "the event has {bytes} bytes, and EventBridge takes {LARGEST}"
            )));
        }
        self.batcher.deliver(entry).await
    }
}
