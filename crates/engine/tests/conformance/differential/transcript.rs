//! What is written down of a story, without what may differ from engine to engine.

use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{enums::v1::EventType, history::v1::HistoryEvent};

use crate::bed::name_of;

/// One history event, with all that it says.
pub(super) fn event(event: &HistoryEvent, namespace: &str) -> String {
    let attributes = event
        .attributes
        .as_ref()
        .map(|attributes| format!("{attributes:?}"))
        .unwrap_or_default();
    let attributes = match event.event_type() {
        // The server's own notes on where the task was and how large things were.
        EventType::WorkflowTaskStarted => without(
            &attributes,
            &["history_size_bytes", "suggest_continue_as_new_reasons"],
        ),
        // From the fourth attempt on it grows, in the real server by chance.
        EventType::WorkflowTaskScheduled => without_timeout(attributes),
        EventType::WorkflowTaskFailed => in_its_own_words(attributes),
        EventType::WorkflowExecutionStarted => without_backoff(attributes),
        _ => attributes,
    };
    // No time and a time of 0 say the same.
    let attributes = attributes.replace("Some(Duration { seconds: 0, nanos: 0 })", "None");
    // Only the real server says when a point's run is deleted.
    let masked = mask(&attributes, namespace).replace("expire_time: Some(TIME)", "expire_time: None");
    format!("{} {} {masked}", event.event_id, name_of(event.event_type()))
}

/// The outcome of a call.
pub(super) fn outcome<T>(result: &Result<T, Status>, namespace: &str) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        // Why a request is not valid each engine says in its own words.
        Err(status) if status.code() == Code::InvalidArgument => "InvalidArgument".to_owned(),
        Err(status) => format!("{:?} {}", status.code(), mask(status.message(), namespace)),
    }
}

/// Names for what differs by nature: times, run ids, the namespace.
pub(super) fn mask(text: &str, namespace: &str) -> String {
    let text = text.replace(namespace, "NAMESPACE");
    let mut masked = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if let Some(after) = uuid(rest) {
            masked.push_str("UUID");
            rest = after;
        } else if let Some(after) = rest.strip_prefix(TERMINATED_BY) {
            masked.push_str("TERMINATED BY");
            rest =
                after.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || "+/=".contains(char));
        } else if let Some(after) = rest.strip_prefix("Timestamp {") {
            masked.push_str("TIME");
            rest = after.split_once('}').map_or("", |(_, after)| after);
        } else {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    masked
}

/// `"terminated by new runID: ` in base 64; the run id follows.
const TERMINATED_BY: &str = "InRlcm1pbmF0ZWQgYnkgbmV3IHJ1bklEOi";

/// What follows the UUID that `text` begins with.
fn uuid(text: &str) -> Option<&str> {
    let head = text.get(..36)?;
    let is_uuid = head.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    is_uuid.then(|| &text[36..])
}

/// A failed task's attributes; where a command was bad, without the words for it.
fn in_its_own_words(attributes: String) -> String {
    let Some((before, message)) = attributes.split_once("message: \"") else {
        return attributes;
    };
    let (message, after) = message.split_once('"').unwrap_or_default();
    let cause = message.split_once(": ").map_or(message, |(cause, _)| cause);
    format!("{before}message: {cause}{after}")
}

/// A run's first event without its back-off, of which the real server tells only a part.
fn without_backoff(attributes: String) -> String {
    match attributes.split_once("first_workflow_task_backoff: Some(") {
        Some((before, after)) if !before.contains("initiator: Unspecified,") => {
            let (_, after) = after.split_once(')').unwrap_or_default();
            format!("{before}first_workflow_task_backoff: None{after}")
        }
        _ => attributes,
    }
}

/// A scheduled task's attributes without its time-out, which comes just before the attempt.
fn without_timeout(attributes: String) -> String {
    let (before, _) = attributes
        .split_once("start_to_close_timeout")
        .unwrap_or_default();
    let (_, after) = attributes.rsplit_once("attempt: ").unwrap_or_default();
    format!("{before}attempt: {after}")
}

/// The text of a message without these of its fields, which hold numbers or lists of them.
fn without(text: &str, fields: &[&str]) -> String {
    let mut text = text.to_owned();
    for field in fields {
        if let Some(from) = text.find(&format!("{field}: ")) {
            let length = text[from..].find([',', '}']).unwrap_or(0);
            text.replace_range(from..from + length, "");
        }
    }
    text
}
