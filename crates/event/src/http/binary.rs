//! Binary mode: attributes in headers, data in the body (HTTP binding, 3.1).

use std::borrow::Cow;

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;

use super::{charset, is_utf8};
use crate::json::Decoder;
use crate::validate::is_json;
use crate::{Data, Event, Rule, Violation};

const PREFIX: &str = "ce-";

/// What header values are percent-encoded for, besides everything outside ASCII (HTTP binding, 3.1.3.2).
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Whether a request is meant to be in binary mode: it has some attribute.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(PREFIX))
}

pub(super) fn decode(
    headers: &HeaderMap,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Event, Vec<Violation>> {
    let mut decoder = Decoder::new();
    let mut event = Event::new("", "", "");
    let mut missing = vec!["specversion", "id", "source", "type"];
    for header in headers.keys() {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        missing.retain(|required| *required != name);
        if headers.get_all(header).iter().nth(1).is_some() {
            decoder.report(name, Rule::Once);
            continue;
        }
        let Some(value) = headers.get(header).and_then(decode_value) else {
            decoder.report(name, Rule::HeaderEncoding);
            continue;
        };
        match name {
            "specversion" if value == "1.0" => {}
            "specversion" => decoder.report(
                name,
                Rule::SpecVersion {
                    found: format!("{value:?}"),
                },
            ),
            "id" => event.id = value,
            "source" => event.source = value,
            "type" => event.ty = value,
            "subject" => event.subject = Some(value),
            "time" => event.time = decoder.time(value),
            "dataschema" => event.dataschema = Some(value),
            "datacontenttype" => {
                decoder.report(
                    name,
                    Rule::Reserved {
                        instead: "send it as the header Content-Type",
                    },
                );
            }
            "data" | "data_base64" => {
                decoder.report(
                    name,
                    Rule::Reserved {
                        instead: "the data is the body of the request",
                    },
                );
            }
            _ => {
                event.extensions.insert(name.to_owned(), Value::String(value));
            }
        }
    }
    for name in missing {
        decoder.report(name, Rule::Required);
    }
    event.datacontenttype = content_type.map(str::to_owned);
    event.data = data(&mut decoder, content_type, body);
    decoder.finish(event)
}

/// The body as data: JSON if the content type is, text if the content type is text in UTF-8, else bytes.
fn data(decoder: &mut Decoder, content_type: Option<&str>, body: &[u8]) -> Option<Data> {
    if body.is_empty() {
        return None;
    }
    if is_json(content_type) {
        return match serde_json::from_slice(body) {
            Ok(value) => Some(Data::Json(value)),
            Err(error) => {
                let content_type = content_type.unwrap_or("not given, which means JSON").to_owned();
                decoder.report(
                    "data",
                    Rule::JsonData {
                        content_type,
                        why: error.to_string(),
                    },
                );
                None
            }
        };
    }
    match std::str::from_utf8(body) {
        Ok(text) if content_type.is_some_and(is_text) => Some(Data::Json(text.into())),
        _ => Some(Data::Binary(body.to_vec())),
    }
}

/// Whether data of this content type is text in UTF-8: `text/*` and XML.
fn is_text(content_type: &str) -> bool {
    let Ok(media_type) = content_type.parse::<mime::Mime>() else {
        return false;
    };
    let textual = media_type.type_() == mime::TEXT
        || media_type.subtype() == mime::XML
        || media_type.suffix() == Some(mime::XML);
    textual && charset(content_type).is_none_or(|charset| is_utf8(&charset))
}

/// An attribute from a header: quotes undone, then one round of percent-decoding (HTTP binding, 3.1.3.2).
fn decode_value(value: &HeaderValue) -> Option<String> {
    let bytes = value.as_bytes();
    let unquoted = match bytes {
        [b'"', inner @ .., b'"'] => Cow::Owned(unescape(inner)),
        other => Cow::Borrowed(other),
    };
    percent_decode(&unquoted).decode_utf8().ok().map(Cow::into_owned)
}

/// Undoes the backslashes of a quoted string (RFC 7230, 3.2.6).
fn unescape(quoted: &[u8]) -> Vec<u8> {
    let mut bytes = quoted.iter();
    let mut plain = Vec::with_capacity(quoted.len());
    while let Some(byte) = bytes.next() {
        plain.push(if *byte == b'\\' {
            *bytes.next().unwrap_or(byte)
        } else {
            *byte
        });
    }
    plain
}

/// The headers and the body of a request that carries the event in binary mode.
///
/// Two things do not survive the mode: extension attributes arrive as strings, whatever type they had; and bytes
/// without a content type are sent as `application/octet-stream`, since no content type means JSON.
///
/// # Errors
/// When the event breaks rules of the specification.
pub fn encode(event: &Event) -> Result<(HeaderMap, Vec<u8>), Vec<Violation>> {
    event.validate()?;
    let mut headers = HeaderMap::new();
    let mut set = |name: &str, value: &str| {
        let value = utf8_percent_encode(value, ENCODED).to_string();
        let header = HeaderName::try_from(format!("{PREFIX}{name}"))
            .ok()
            .zip(HeaderValue::try_from(value).ok());
        let (name, value) = header.ok_or_else(|| vec![Violation::new(name, Rule::HeaderEncoding)])?;
        headers.insert(name, value);
        Ok::<_, Vec<Violation>>(())
    };
    set("specversion", "1.0")?;
    set("id", &event.id)?;
    set("source", &event.source)?;
    set("type", &event.ty)?;
    if let Some(subject) = &event.subject {
        set("subject", subject)?;
    }
    if let Some(schema) = &event.dataschema {
        set("dataschema", schema)?;
    }
    if let Some(time) = event.time {
        let unwritable = |error: time::error::Format| Rule::Timestamp {
            found: error.to_string(),
        };
        set(
            "time",
            &time
                .format(&Rfc3339)
                .map_err(|error| vec![Violation::new("time", unwritable(error))])?,
        )?;
    }
    for (name, value) in &event.extensions {
        match value {
            Value::String(text) => set(name, text)?,
            other => set(name, &other.to_string())?,
        }
    }
    let octets = matches!(event.data, Some(Data::Binary(_))).then_some("application/octet-stream");
    if let Some(content_type) = event.datacontenttype.as_deref().or(octets) {
        let value = HeaderValue::try_from(content_type);
        let value = value.map_err(|_| vec![Violation::new("datacontenttype", Rule::HeaderEncoding)])?;
        headers.insert(CONTENT_TYPE, value);
    }
    let body = match &event.data {
        None => Vec::new(),
        Some(Data::Binary(bytes)) => bytes.clone(),
        Some(Data::Json(Value::String(text))) if !is_json(event.datacontenttype.as_deref()) => {
            text.clone().into_bytes()
        }
        Some(Data::Json(value)) => value.to_string().into_bytes(),
    };
    Ok((headers, body))
}
