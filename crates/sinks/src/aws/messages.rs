//! Messages, which SQS and SNS have alike: what they are made of, and how those of a group keep their order.

use std::sync::Arc;

use super::{Attributes, attributes::bytes, body::body};
use crate::{
    Delivered, Delivery, Failure, Template,
    batch::{Batcher, Item, Lanes, Size, Target},
    ids::id,
};

/// Most characters of a group's name and of a deduplication id.
const ID: usize = 128;
/// Most bytes of a message with its attributes.
const LARGEST: usize = 1_048_576;

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) body: String,
    #[cfg_attr(not(feature = "sns"), expect(dead_code, reason = "SQS has none"))]
    pub(crate) subject: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) group: Option<String>,
    pub(crate) deduplication: Option<String>,
}

impl Item for Message {
    /// What counts against the services' limits.
    fn bytes(&self) -> usize {
        self.body.len() + bytes(&self.attributes)
    }
}

/// Makes messages of deliveries, and sends them.
#[derive(Debug)]
pub(crate) struct Messages {
    service: &'static str,
    way: Way,
    group: Option<Template>,
    attributes: Attributes,
}

#[derive(Debug)]
enum Way {
    Standard(Batcher<Message>),
    Fifo(Lanes<Message>),
}

impl Messages {
    /// To this target, in calls of this size; `fifo` says whether it keeps the order of groups.
    pub(crate) fn to<T: Target<Item = Message>>(
        service: &'static str,
        target: T,
        size: Size,
        fifo: bool,
        group: Option<Template>,
        attributes: Attributes,
    ) -> Self {
        let target = Arc::new(target);
        Self {
            service,
            way: match fifo {
                true => Way::Fifo(Lanes::to(size, &target)),
                false => Way::Standard(Batcher::to(size, target)),
            },
            group,
            attributes,
        }
    }

    /// Sends one: its body is the payload.
    pub(crate) async fn deliver(
        &self,
        delivery: Delivery<'_>,
        subject: Option<String>,
    ) -> Result<Delivered, Failure> {
        let mut message = Message {
            body: body(delivery.payload),
            subject,
            attributes: self.attributes.render(delivery)?,
            group: self.group(delivery)?,
            deduplication: None,
        };
        let bytes = message.bytes();
        if bytes > LARGEST {
            return Err(Failure::permanent(format!(
                "the message has {bytes} bytes with its attributes, and {} takes {LARGEST} at most",
                self.service
            )));
        }
        match &self.way {
            Way::Standard(batcher) => batcher.deliver(message).await,
            Way::Fifo(lanes) => {
                message.deduplication = Some(id(delivery.key, ID));
                let group = message.group.take();
                let group = group.unwrap_or_else(|| id(own_group(delivery), ID));
                message.group = Some(group.clone());
                lanes.deliver(&group, message).await
            }
        }
    }

    /// The group that the options give; an empty one is none.
    fn group(&self, delivery: Delivery<'_>) -> Result<Option<String>, Failure> {
        let group = self.group.as_ref().map(|group| group.render(delivery));
        let group = group.transpose()?.filter(|group| !group.is_empty());
        Ok(group.map(|group| id(&group, ID)))
    }
}

/// The group where none is given: the event's subject, or the delivery alone.
fn own_group<'a>(delivery: Delivery<'a>) -> &'a str {
    let subject = delivery.event.and_then(|event| event.subject.as_deref());
    subject
        .filter(|subject| !subject.is_empty())
        .unwrap_or(delivery.key)
}
