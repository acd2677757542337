//! The envelope of Amazon SNS, as it comes over HTTP and into queues without raw delivery.

use segno_event::{Data, Event};
use serde_json::{Map, Value};

use super::{Codec, Malformed, required, take_text, time, uri_reference};
use crate::message::{Headers, Message};

/// Type of a notification whose message is no event by itself.
const NOTIFICATION: &str = "com.amazonaws.sns.notification";

/// Whether it has what only these envelopes have.
pub(super) fn is(map: &Map<String, Value>) -> bool {
    map.contains_key("TopicArn") && map.contains_key("MessageId") && map.contains_key("Message")
}

/// The events in the message, if it is in a known format; else the notification itself: the topic as the source, the
/// subject of the notification as the subject, and the message as the data.
pub(super) fn decode(mut map: Map<String, Value>, origin: &str) -> Result<Vec<Event>, Malformed> {
    let id = required(&mut map, "MessageId")?;
    let topic = required(&mut map, "TopicArn")?;
    let text = take_text(&mut map, "Message")?.ok_or(Malformed::Missing("Message"))?;
    let headers = attributes(map.remove("MessageAttributes"));
    let inner = Message {
        id: &id,
        headers: &headers,
        encoded: false,
        body: text.as_bytes(),
    };
    let data = match serde_json::from_str::<Value>(&text) {
        // An envelope in an envelope comes from a topic that feeds a topic, which SNS does not have.
        Ok(Value::Object(map)) if is(&map) => Value::Object(map),
        Ok(value) => match Codec::Auto.decode(&inner, origin) {
            Err(Malformed::Unrecognised | Malformed::NotAnObject(_)) => value,
            Err(Malformed::CloudEvent(_)) if value.is_array() => value,
            decoded => return decoded,
        },
        Err(_) if super::cloudevents::is_binary(&inner) => return Codec::Auto.decode(&inner, origin),
        Err(_) => Value::String(text),
    };
    let mut event = Event::new(uri_reference(&topic), id, NOTIFICATION);
    event.subject = take_text(&mut map, "Subject")?.filter(|subject| !subject.is_empty());
    event.time = time::take(&mut map, "Timestamp")?;
    event.datacontenttype = matches!(data, Value::String(_)).then(|| "text/plain".to_owned());
    event.data = Some(Data::Json(data));
    Ok(vec![event])
}

/// `{name: {Type, Value}}` as headers.
fn attributes(value: Option<Value>) -> Headers {
    let Some(Value::Object(map)) = value else {
        return Headers::new();
    };
    let pair = |(name, value): (String, Value)| {
        let value = value.get("Value")?.as_str()?.to_owned();
        Some((name, value))
    };
    map.into_iter().filter_map(pair).collect()
}
