//! Files that go along with a mail.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::message::{Attachment as Part, SinglePart, header::ContentType};
use serde::Deserialize;
use serde_json::Value;

use crate::{Delivery, Failure};

use super::options::Attachment;

/// An attachment as payloads have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(alias = "name")]
    filename: String,
    #[serde(alias = "type")]
    content_type: Option<String>,
    text: Option<String>,
    #[serde(alias = "content")]
    base64: Option<String>,
}

/// The options' attachments, then the payload's.
pub(super) fn attachments(
    options: &[Attachment],
    delivery: Delivery<'_>,
) -> Result<Vec<SinglePart>, Failure> {
    let configured = options.iter().map(|attachment| {
        let render = |template: &Option<crate::Template>| {
            template
                .as_ref()
                .map(|template| template.render(delivery))
                .transpose()
        };
        part(Given {
            filename: attachment.filename.render(delivery)?,
            content_type: attachment.content_type.clone(),
            text: render(&attachment.text)?,
            base64: render(&attachment.base64)?,
        })
    });
    let given = match delivery.payload.get("attachments") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(given)) => given,
        Some(_) => return Err(Failure::permanent("the payload's `attachments` are no list")),
    };
    let given = given.iter().enumerate().map(|(n, given)| {
        let given = Given::deserialize(given).map_err(|error| {
            Failure::permanent(format!(
                "attachments[{n}] of the payload: {error}; an attachment is an object with `filename`, `content_type` \
                and `text` or `base64`"
            ))
        });
        given.and_then(part)
    });
    configured.chain(given).collect()
}

fn part(given: Given) -> Result<SinglePart, Failure> {
    let Given {
        filename,
        content_type,
        text,
        base64,
    } = given;
    let wrong = |what: &str| Failure::permanent(format!("the attachment {filename:?} {what}"));
    if filename.is_empty() || filename.chars().any(char::is_control) {
        return Err(wrong("has no name that a file can have"));
    }
    let (content, default) = match (text, base64) {
        (Some(text), None) => (text.into_bytes(), ContentType::TEXT_PLAIN),
        (None, Some(encoded)) => {
            // Encoders that break lines are common.
            let encoded: Vec<u8> = encoded
                .bytes()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect();
            let content = STANDARD
                .decode(encoded)
                .map_err(|error| wrong(&format!("is not base64: {error}")))?;
            let bytes = ContentType::parse("application/octet-stream");
            (content, bytes.map_err(|_| wrong("has no type"))?)
        }
        _ => return Err(wrong("has not one of `text` and `base64`")),
    };
    let content_type = match content_type {
        Some(text) => ContentType::parse(&text).map_err(|_| wrong("has a `content_type` that is none"))?,
        None => default,
    };
    Ok(Part::new(filename).body(content, content_type))
}
