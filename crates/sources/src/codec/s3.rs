//! Notifications of Amazon S3, an event a record, as the CloudEvents adapter for S3 names them.
//!
//! The request's ids are all that tells one notification from another, and they stay when it is delivered again.

use segno_event::{Data, Event};
use serde_json::{Map, Value};

use super::{Malformed, time, uri_reference};

/// Whether it has what only these notifications have: records of S3, or the test that S3 sends when a notification is
/// set up.
pub(super) fn is(map: &Map<String, Value>) -> bool {
    let first = map.get("Records").and_then(|records| records.get(0));
    let source = first
        .and_then(|record| record.get("eventSource"))
        .and_then(Value::as_str);
    source.is_some_and(|source| source == "aws:s3" || source == "aws.s3") || is_test(map)
}

fn is_test(map: &Map<String, Value>) -> bool {
    map.get("Event").and_then(Value::as_str) == Some("s3:TestEvent")
}

pub(super) fn decode(value: &Value) -> Result<Vec<Event>, Malformed> {
    let Some(map) = value.as_object() else {
        return Err(Malformed::not_an_object(value));
    };
    if is_test(map) {
        return Ok(Vec::new());
    }
    let records = match map.get("Records") {
        Some(Value::Array(records)) => records,
        None => return Err(Malformed::Missing("Records")),
        Some(other) => return Err(Malformed::wrong_type("Records", "a list", other)),
    };
    records.iter().map(record).collect()
}

fn record(record: &Value) -> Result<Event, Malformed> {
    let text = |pointer: &str, field| {
        let found = record.pointer(pointer).and_then(Value::as_str);
        found
            .filter(|text| !text.is_empty())
            .ok_or(Malformed::Missing(field))
    };
    let name = text("/eventName", "eventName")?;
    let bucket = text("/s3/bucket/name", "s3.bucket.name")?;
    let key = text("/s3/object/key", "s3.object.key")?;
    let region = text("/awsRegion", "awsRegion").unwrap_or("aws-global");
    let request = text(
        "/responseElements/x-amz-request-id",
        "responseElements.x-amz-request-id",
    )?;
    let host = text("/responseElements/x-amz-id-2", "responseElements.x-amz-id-2").unwrap_or_default();
    // A request that deletes many objects is one request.
    let sequence = text("/s3/object/sequencer", "s3.object.sequencer").unwrap_or(key);
    let source = uri_reference(&format!("aws:s3.{region}.{bucket}"));
    let mut event = Event::new(
        source,
        format!("{request}.{host}.{sequence}"),
        format!("com.amazonaws.s3.{name}"),
    );
    event.subject = Some(key.to_owned());
    event.time = record
        .get("eventTime")
        .and_then(Value::as_str)
        .map(|text| time::parse("eventTime", text))
        .transpose()?;
    event.data = Some(Data::Json(record.clone()));
    Ok(event)
}
