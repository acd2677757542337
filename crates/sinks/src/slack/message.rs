//! Messages as Slack takes them.

use serde_json::{Map, Value, json};

use crate::{Delivery, Failure, Template};

use super::Options;

/// Shorter values stand side by side.
const SHORT: usize = 40;

/// A payload that is a message.
pub(super) fn raw(payload: &Value) -> Result<Value, Failure> {
    let has = |field: &str| payload.get(field).is_some_and(|value| !value.is_null());
    if ["text", "blocks", "attachments"].into_iter().any(has) {
        return Ok(payload.clone());
    }
    Err(Failure::permanent(
        "the payload is no message: it has none of `text`, `blocks` and `attachments`",
    ))
}

/// The message of a payload with its parts.
pub(super) fn message(options: &Options, delivery: Delivery<'_>) -> Result<Value, Failure> {
    let part = |template: &Option<Template>, field: &str| match template {
        Some(template) => template.render(delivery).map(Some),
        None => text(delivery.payload, field),
    };
    let title = part(&options.title, "title")?;
    let body = part(&options.text, "text")?;
    let fields = fields(delivery.payload)?;
    if title.is_none() && body.is_none() {
        return Err(Failure::permanent(
            "the message says nothing: give the payload a `title` or a `text`, or the sink one of them",
        ));
    }
    // What notifications show.
    let fallback = title.clone().or_else(|| body.clone());
    let mut attachment = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            attachment.insert(name.to_owned(), Value::String(value));
        }
    };
    set("fallback", fallback.clone());
    set("title", title);
    set("text", body);
    set("color", part(&options.color, "color")?);
    if !fields.is_empty() {
        attachment.insert("fields".to_owned(), Value::Array(fields));
    }
    attachment.insert("mrkdwn_in".to_owned(), json!(["text"]));

    let mut message = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            message.insert(name.to_owned(), Value::String(value));
        }
    };
    set("channel", part(&options.channel, "channel")?);
    set("username", part(&options.username, "username")?);
    if let Some(icon) = part(&options.icon, "icon")?.filter(|icon| !icon.is_empty()) {
        if icon.starts_with("https://") || icon.starts_with("http://") {
            set("icon_url", Some(icon));
        } else {
            set("icon_emoji", Some(format!(":{}:", icon.trim_matches(':'))));
        }
    }
    message.insert("attachments".to_owned(), json!([attachment]));
    Ok(Value::Object(message))
}

/// A field of the payload that is a text, or is not there.
fn text(payload: &Value, field: &str) -> Result<Option<String>, Failure> {
    match payload.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Failure::permanent(format!("the payload's `{field}` is no text"))),
    }
}

/// The payload's `data` as fields.
fn fields(payload: &Value) -> Result<Vec<Value>, Failure> {
    let data = match payload.get("data") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(Failure::permanent("the payload's `data` is no object")),
    };
    let fields = data
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            json!({ "title": name, "value": escape(&value), "short": value.chars().count() <= SHORT })
        });
    Ok(fields.collect())
}

/// Data mean what they say: `<!channel>` in them calls nobody.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
