//! Events as the service takes them.

use serde_json::{Value, json};

use crate::{Delivery, Failure, batch::Item, signature::message_id};

use super::Options;

/// Longest data of an event, in bytes.
pub(super) const LONGEST_DATA: usize = 10 * 1024;
/// Longest name of an event or a channel, in bytes.
const LONGEST_NAME: usize = 200;
/// Most channels of one event.
const CHANNELS: usize = 100;

/// One event on its way.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// For those who look at requests.
    pub(super) id: String,
    pub(super) channels: Vec<String>,
    name: String,
    data: String,
    socket_id: Option<String>,
}

impl Item for Event {
    fn bytes(&self) -> usize {
        self.data.len() + self.name.len() + self.channels.iter().map(String::len).sum::<usize>()
    }
}

impl Event {
    /// The event of a delivery. What the service would refuse is refused here.
    pub(super) fn of(options: &Options, delivery: Delivery<'_>) -> Result<Self, Failure> {
        let channels = options.channels.render(delivery)?;
        if channels.is_empty() || channels.len() > CHANNELS {
            return Err(Failure::permanent(format!(
                "an event goes to 1 to {CHANNELS} channels"
            )));
        }
        if let Some(wrong) = channels.iter().find(|channel| !is_channel(channel)) {
            return Err(Failure::permanent(format!(
                "{wrong:?} is no channel: letters, digits and _-=@,.; and at most {LONGEST_NAME} of them"
            )));
        }
        if channels
            .iter()
            .any(|channel| channel.starts_with("private-encrypted-"))
        {
            return Err(Failure::permanent(
                "channels that are encrypted from end to end are not supported, and what went there would be read by nobody",
            ));
        }
        let name = match (&options.event, delivery.event) {
            (Some(template), _) => template.render(delivery)?,
            (None, Some(event)) => event.ty.clone(),
            (None, None) => {
                return Err(Failure::permanent(
                    "the event has no name: give the sink an `event`",
                ));
            }
        };
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(Failure::permanent(format!(
                "the event's name is of 1 to {LONGEST_NAME} bytes, and this one of {}",
                name.len()
            )));
        }
        // As the service's own clients have it: a text is itself, all else is JSON.
        let data = match delivery.payload {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if data.len() > LONGEST_DATA {
            return Err(Failure::permanent(format!(
                "the payload has {} bytes, and the service takes {LONGEST_DATA} at most",
                data.len()
            )));
        }
        let socket_id = match &options.socket_id {
            Some(template) => Some(template.render(delivery)?).filter(|id| !id.is_empty()),
            None => None,
        };
        if let Some(id) = &socket_id
            && !is_socket_id(id)
        {
            return Err(Failure::permanent(format!(
                "{id:?} is no socket id, which is such as \"123.456\""
            )));
        }
        Ok(Self {
            id: message_id(delivery.key),
            channels,
            name,
            data,
            socket_id,
        })
    }

    /// As the only one of a request.
    pub(super) fn alone(&self) -> Value {
        let mut event = json!({ "name": self.name, "channels": self.channels, "data": self.data });
        self.exclude(&mut event);
        event
    }

    /// As one of a batch, on its first channel.
    pub(super) fn in_batch(&self) -> Value {
        let mut event = json!({ "name": self.name, "channel": self.channels.first(), "data": self.data });
        self.exclude(&mut event);
        event
    }

    fn exclude(&self, event: &mut Value) {
        if let Some(id) = &self.socket_id {
            event["socket_id"] = Value::String(id.clone());
        }
    }
}

/// `#server-to-user-…` is one too.
fn is_channel(text: &str) -> bool {
    let name = text.strip_prefix('#').unwrap_or(text);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte);
    !name.is_empty() && text.len() <= LONGEST_NAME && name.bytes().all(fits)
}

fn is_socket_id(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.')
        .is_some_and(|(one, two)| number(one) && number(two))
}
