//! What invokes the function, told apart by what only it has.

use segno_sources::message::{self, Headers};
use serde_json::Value;

/// One message.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) headers: Headers,
    pub(crate) body: String,
    /// The message group, of a FIFO queue.
    pub(crate) group: Option<String>,
}

impl Message {
    pub(crate) fn as_codec(&self) -> message::Message<'_> {
        message::Message {
            headers: &self.headers,
            ..message::Message::new(&self.id, self.body.as_bytes())
        }
    }
}

/// What the function is invoked with.
#[derive(Debug, PartialEq)]
pub(crate) enum Invocation {
    /// Messages of an SQS queue, each of which may fail by itself.
    Queue { messages: Vec<Message>, fifo: bool },
    /// What succeeds or fails as a whole: an event of EventBridge, notifications of SNS or S3, or something else.
    Whole(Vec<Message>),
}

impl Invocation {
    /// `request` is the invocation's id, the same when AWS repeats it.
    pub(crate) fn of(payload: Value, request: &str) -> Self {
        let records = payload.get("Records").and_then(Value::as_array);
        let source = |record: &Value| {
            let source = record.get("eventSource").or_else(|| record.get("EventSource"));
            source.and_then(Value::as_str).map(str::to_owned)
        };
        let first = records.and_then(|records| records.first()).and_then(source);
        match (first.as_deref(), records) {
            (Some("aws:sqs"), Some(records)) => Self::Queue {
                fifo: records
                    .iter()
                    .any(|record| text(record, "eventSourceARN").ends_with(".fifo")),
                messages: records.iter().map(queued).collect(),
            },
            // The envelope is the same as elsewhere.
            (Some("aws:sns"), Some(records)) => Self::Whole(
                records
                    .iter()
                    .map(|record| whole(record.get("Sns").unwrap_or(record), request))
                    .collect(),
            ),
            _ => Self::Whole(vec![whole(&payload, request)]),
        }
    }
}

fn whole(value: &Value, request: &str) -> Message {
    Message {
        id: request.to_owned(),
        headers: Headers::new(),
        body: value.to_string(),
        group: None,
    }
}

fn queued(record: &Value) -> Message {
    let attributes = record.get("messageAttributes").and_then(Value::as_object);
    let group = record
        .pointer("/attributes/MessageGroupId")
        .and_then(Value::as_str);
    Message {
        id: text(record, "messageId").to_owned(),
        headers: attributes
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.get("stringValue")?.as_str()?.to_owned())))
            .collect(),
        body: text(record, "body").to_owned(),
        group: group.map(str::to_owned),
    }
}

fn text<'a>(record: &'a Value, name: &str) -> &'a str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}
