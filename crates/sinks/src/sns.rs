//! The SNS sink: messages to a topic of Amazon SNS.
//!
//! The payload as JSON is the message. Deliveries that come side by side go in one call, up to ten and 256 KiB, and each has its own
//! outcome. A topic may take larger messages, up to 1 MiB (its `MaximumMessageSize`): these go alone.
//!
//! A topic whose name ends with `.fifo` keeps the messages of a group in order and leaves out what comes twice, as a FIFO queue of
//! SQS does: all that the SQS sink says about that is true here.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use serde::Deserialize;

use crate::{
    Delivered, Delivery, Failure, Sink, Template,
    aws::{Attributes, Connection, Credentials, Messages, OptionError},
    batch::Size,
    options::checked,
};

mod topic;

use topic::{SERVICE, Topic};

/// SNS's own limits of one call, unless a topic takes more.
/// <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>
const SIZE: Size = Size {
    items: 10,
    bytes: 262_144,
    calls: 8,
};
/// Most characters of a subject.
const SUBJECT: usize = 100;

/// Options of an SNS sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Options {
    /// The topic's ARN.
    pub topic: String,
    /// The subject, for subscribers by mail: one line of ASCII, cut after 100 characters. One that comes out empty is left out.
    pub subject: Option<Template>,
    /// The message group of a FIFO topic; without this it is the event's subject, and a message without a subject is a group
    /// of its own.
    pub group: Option<Template>,
    /// Attributes of the messages, which subscriptions filter by, up to ten. One that comes out empty is left out.
    #[serde(default)]
    pub attributes: BTreeMap<String, Template>,
    /// The region; without it the topic's ARN says it.
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
    /// The region and the name in the topic's ARN.
    fn region_and_name(&self) -> Result<(&str, &str), OptionError> {
        // arn:aws:sns:eu-central-1:123456789012:orders
        let parts: Vec<_> = self.topic.split(':').collect();
        match parts[..] {
            ["arn", _, "sns", region, _, name] => Ok((region, name)),
            _ => Err(OptionError::Topic(self.topic.clone())),
        }
    }

    fn check(&self) -> Result<(), OptionError> {
        self.region_and_name()?;
        Attributes::check(&self.attributes)?;
        Connection::check(self.endpoint.as_deref())
    }
}

/// The sink these options describe.
pub(crate) fn build(options: Options, _: &str, _: &Path) -> Result<Arc<dyn Sink>, OptionError> {
    options.check()?;
    let (region, name) = options.region_and_name()?;
    let fifo = name.ends_with(".fifo");
    let region = options.region.clone().unwrap_or_else(|| region.to_owned());
    let connection = Connection::new(
        options.endpoint,
        Some(region),
        options.profile,
        options.credentials,
    );
    let target = Topic::new(options.topic, connection);
    let attributes = Attributes::new(options.attributes);
    Ok(Arc::new(Sns {
        messages: Messages::to(SERVICE, target, SIZE, fifo, options.group, attributes),
        subject: options.subject,
    }))
}

#[derive(Debug)]
struct Sns {
    messages: Messages,
    subject: Option<Template>,
}

/// What SNS takes as a subject: printable ASCII, not too long.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
fn subject(text: &str) -> String {
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let text: String = text.trim().chars().map(shown).take(SUBJECT).collect();
    text.trim_end().to_owned()
}

#[async_trait]
impl Sink for Sns {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let text = self.subject.as_ref().map(|subject| subject.render(delivery));
        let text = text.transpose()?.map(|text| subject(&text));
        let text = text.filter(|text| !text.is_empty());
        self.messages.deliver(delivery, text).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_short_lines_of_ascii() {
        assert_eq!(subject(" Order\n7 für Ä "), "Order?7 f?r ?");
        assert_eq!(subject(&"x".repeat(200)).len(), 100);
    }
}
