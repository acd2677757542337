//! `PutEvents`, as AWS's clients call it: JSON 1.1 over HTTP.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use segno_event::{Event, Objects};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::digest;
use crate::{
    Clock, Codec, Intake, Outcome,
    answer::{Problem, text},
    message::Message,
};

/// The header that names the operation.
pub(super) const TARGET: &str = "x-amz-target";
const PUT_EVENTS: &str = "AWSEvents.PutEvents";
const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
/// Most entries of a call.
const ENTRIES: usize = 10;
/// Most bytes of all entries of a call, as AWS counts them.
const BYTES: usize = 1 << 20;
/// What the time of an entry counts.
const TIME_BYTES: usize = 14;

/// Why a call fails as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind,
            message: message.into(),
        }
    }

    /// A body that could not be read.
    pub(super) fn too_large(problem: &Problem) -> Self {
        Self {
            status: problem.status,
            ..Self::new("RequestEntityTooLargeException", problem.detail.clone())
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"__type": self.kind, "message": self.message});
        let mut response = respond(self.status, &body);
        response
            .headers_mut()
            .insert("x-amzn-errortype", HeaderValue::from_static(self.kind));
        response
    }
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Call {
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    /// Seconds since 1970.
    time: Option<f64>,
    trace_header: Option<String>,
}

/// An entry that is not taken.
#[derive(Debug)]
struct Refusal {
    code: &'static str,
    message: String,
}

fn refusal(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: message.into(),
    }
}

/// Answers a call that is authentic.
pub(super) async fn answer(
    intake: &dyn Intake,
    clock: &dyn Clock,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let entries = match read(headers, body) {
        Ok(entries) => entries,
        Err(failure) => return failure.into_response(),
    };
    // A client that tries a call again gives it the same id: so its entries are the same events.
    let call = text(headers, "amz-sdk-invocation-id").map(str::to_owned);
    let call = call.unwrap_or_else(|| Uuid::new_v4().to_string());
    let now = clock.now();
    let decoded: Vec<_> = entries
        .iter()
        .enumerate()
        .map(|(n, entry)| event(entry, &id(&call, n, entry), now))
        .collect();
    let good: Vec<Event> = decoded.iter().flatten().cloned().collect();
    let mut outcomes = match good.is_empty() {
        true => Vec::new(),
        false => intake.take(&good).await,
    }
    .into_iter();
    let mut failed = 0;
    let answers = decoded.into_iter().map(|decoded| {
        let taken = decoded.and_then(|event| match outcomes.next() {
            Some(Outcome::Durable) => Ok(event.id),
            Some(Outcome::Refused(reason)) => Err(refusal("InvalidArgument", reason)),
            Some(Outcome::Later(_)) | None => Err(refusal(
                "InternalFailure",
                "The event is not taken now: send it again.",
            )),
        });
        match taken {
            Ok(id) => json!({"EventId": id}),
            Err(refusal) => {
                failed += 1;
                json!({"ErrorCode": refusal.code, "ErrorMessage": refusal.message})
            }
        }
    });
    let answers: Vec<_> = answers.collect();
    respond(
        StatusCode::OK,
        &json!({"FailedEntryCount": failed, "Entries": answers}),
    )
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Entry>, Failure> {
    if text(headers, TARGET) != Some(PUT_EVENTS) {
        return Err(Failure::new(
            "UnknownOperationException",
            "PutEvents is the operation that there is.",
        ));
    }
    let call = Call::deserialize(Objects(&mut serde_json::Deserializer::from_slice(body)))
        .map_err(|error| Failure::new("SerializationException", error.to_string()))?;
    let validation = |message: &str| Failure::new("ValidationException", message);
    if call.entries.is_empty() {
        return Err(validation(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length \
             greater than or equal to 1",
        ));
    }
    if call.entries.len() > ENTRIES {
        return Err(validation(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length \
             less than or equal to 10",
        ));
    }
    if call.entries.iter().map(Entry::size).sum::<usize>() > BYTES {
        return Err(validation(
            "Total size of the entries in the request is over the limit.",
        ));
    }
    Ok(call.entries)
}

impl Entry {
    fn size(&self) -> usize {
        let texts = [&self.source, &self.detail_type, &self.detail];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let resources: usize = self.resources.iter().map(String::len).sum();
        texts + resources + self.time.map_or(0, |_| TIME_BYTES)
    }
}

/// A UUID for an entry of a call, always the same.
fn id(call: &str, n: usize, entry: &Entry) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let digest = digest(&[
        call.as_bytes(),
        &n.to_be_bytes(),
        part(&entry.source).as_bytes(),
        part(&entry.detail_type).as_bytes(),
        part(&entry.detail).as_bytes(),
    ]);
    let bytes = u128::from_str_radix(digest.get(..32).unwrap_or_default(), 16).unwrap_or_default();
    uuid::Builder::from_custom_bytes(bytes.to_be_bytes())
        .into_uuid()
        .to_string()
}

/// The event that EventBridge would hand to the targets of a rule.
fn event(entry: &Entry, id: &str, now: i64) -> Result<Event, Refusal> {
    let required = |value: &Option<String>, name: &str| {
        value.clone().filter(|text| !text.is_empty()).ok_or_else(|| {
            let message = format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
            refusal("InvalidArgument", message)
        })
    };
    let source = required(&entry.source, "Source")?;
    let ty = required(&entry.detail_type, "DetailType")?;
    let detail = required(&entry.detail, "Detail")?;
    if source.starts_with("aws.") {
        return Err(refusal(
            "NotAuthorizedForSourceException",
            "Not authorized for the source.",
        ));
    }
    let detail: Map<String, Value> = serde_json::from_str(&detail)
        .map_err(|error| refusal("MalformedDetail", format!("Detail is malformed: {error}.")))?;
    let time = entry.time.unwrap_or(now as f64);
    let time = OffsetDateTime::from_unix_timestamp_nanos((time * 1e9) as i128)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .ok_or_else(|| refusal("InvalidArgument", "Parameter Time is not valid."))?;
    let envelope = json!({
        "version": "0", "id": id, "source": source, "detail-type": ty, "time": time, "resources": entry.resources,
        "detail": detail,
    });
    let body = envelope.to_string();
    let decoded = Codec::EventBridge.decode(&Message::new(id, body.as_bytes()), "/eventbridge");
    let mut event = match decoded {
        Ok(mut events) => events.pop(),
        Err(malformed) => return Err(refusal("InvalidArgument", malformed.to_string())),
    }
    .ok_or_else(|| refusal("InvalidArgument", "The entry is no event."))?;
    for (name, value) in [
        ("awseventbus", &entry.event_bus_name),
        ("awstraceheader", &entry.trace_header),
    ] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            event.extensions.insert(name.to_owned(), value.as_str().into());
        }
    }
    match event.validate() {
        Ok(()) => Ok(event),
        Err(_) => Err(refusal(
            "InvalidArgument",
            "EventBusName or TraceHeader has control characters.",
        )),
    }
}
