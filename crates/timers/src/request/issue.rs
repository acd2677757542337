//! One mistake in a request, in the words and with the codes of the validation library that the original service uses
//! (joi), so that its callers understand them.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// One mistake in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimerIssue, example = json!({
    "message": "\"minutes\" must be less than or equal to 59", "path": ["minutes"], "type": "number.max",
    "context": {"limit": 59, "value": 60, "label": "minutes", "key": "minutes"}
}))]
pub struct Issue {
    /// The mistake in words.
    pub message: String,
    /// Where it is: the keys from the outside in. Empty for the whole body.
    pub path: Vec<String>,
    /// The kind of mistake.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What the message is made of.
    pub context: Map<String, Value>,
}

impl Issue {
    /// `text` follows the quoted name of what is wrong. `context` gets `label` and, but for the whole body,
    /// `key`.
    fn new(path: &[&str], kind: &'static str, text: &str, context: Value) -> Self {
        let label = if path.is_empty() {
            "value".to_owned()
        } else {
            path.join(".")
        };
        let Value::Object(mut context) = context else {
            unreachable!("every context here is an object")
        };
        context.insert("label".to_owned(), label.clone().into());
        if let Some(key) = path.last() {
            context.insert("key".to_owned(), (*key).into());
        }
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        Self {
            message: format!("\"{label}\" {text}"),
            path,
            kind,
            context,
        }
    }

    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        let context = json!({"line": error.line(), "column": error.column()});
        Self::new(&[], "object.json", &format!("must be JSON: {error}"), context)
    }

    pub(crate) fn unread() -> Self {
        Self::new(&[], "object.unread", "could not be read whole", json!({}))
    }

    pub(crate) fn content_type() -> Self {
        let text = "must be application/json";
        Self::new(
            &["content-type"],
            "any.only",
            text,
            json!({"valids": ["application/json"]}),
        )
    }

    pub(crate) fn not_an_object(key: Option<&str>, value: &Value) -> Self {
        let context = json!({"type": "object", "value": value});
        Self::new(key.as_slice(), "object.base", "must be of type object", context)
    }

    pub(crate) fn unknown(key: &str, value: &Value) -> Self {
        Self::new(
            &[key],
            "object.unknown",
            "is not allowed",
            json!({"child": key, "value": value}),
        )
    }

    pub(crate) fn required(key: &str) -> Self {
        Self::new(&[key], "any.required", "is required", json!({}))
    }

    pub(crate) fn invalid(key: &str, value: &Value) -> Self {
        Self::new(
            &[key],
            "any.invalid",
            "contains an invalid value",
            json!({"value": value}),
        )
    }

    pub(crate) fn any_only(key: &str, value: &Value, valids: &[&str]) -> Self {
        let text = format!("must be one of [{}]", valids.join(", "));
        Self::new(
            &[key],
            "any.only",
            &text,
            json!({"valids": valids, "value": value}),
        )
    }

    pub(crate) fn not_a_number(key: &str, value: &Value) -> Self {
        Self::new(&[key], "number.base", "must be a number", json!({"value": value}))
    }

    pub(crate) fn not_an_integer(key: &str, value: &Value) -> Self {
        Self::new(
            &[key],
            "number.integer",
            "must be an integer",
            json!({"value": value}),
        )
    }

    pub(crate) fn too_small(key: &str, value: &Value, limit: u64) -> Self {
        let text = format!("must be greater than or equal to {limit}");
        Self::new(
            &[key],
            "number.min",
            &text,
            json!({"limit": limit, "value": value}),
        )
    }

    pub(crate) fn too_large(key: &str, value: &Value, limit: u64) -> Self {
        let text = format!("must be less than or equal to {limit}");
        Self::new(
            &[key],
            "number.max",
            &text,
            json!({"limit": limit, "value": value}),
        )
    }

    pub(crate) fn not_a_string(path: &[&str], value: &Value) -> Self {
        Self::new(path, "string.base", "must be a string", json!({"value": value}))
    }

    pub(crate) fn empty(key: &str) -> Self {
        Self::new(
            &[key],
            "string.empty",
            "is not allowed to be empty",
            json!({"value": ""}),
        )
    }

    pub(crate) fn uri(key: &str, value: &Value) -> Self {
        Self::new(
            &[key],
            "string.uri",
            "must be a valid uri",
            json!({"value": value}),
        )
    }

    pub(crate) fn scheme(key: &str, value: &Value) -> Self {
        let text = "must be a valid uri with a scheme matching the http|https pattern";
        let context = json!({"scheme": "http|https", "value": value});
        Self::new(&[key], "string.uriCustomScheme", text, context)
    }

    pub(crate) fn private(key: &str, value: &Value, why: &str) -> Self {
        let text = format!("must lead to the public internet: {why}");
        Self::new(&[key], "string.uriPrivate", &text, json!({"value": value}))
    }

    pub(crate) fn guid(key: &str, value: &str) -> Self {
        Self::new(
            &[key],
            "string.guid",
            "must be a valid GUID",
            json!({"value": value}),
        )
    }

    pub(crate) fn header(key: &str, name: &str, why: &str) -> Self {
        Self::new(
            &[key, name],
            "any.invalid",
            &format!("contains an invalid value: {why}"),
            json!({}),
        )
    }

    pub(crate) fn idempotency_key() -> Self {
        let text = "must be a single header of 1 to 255 characters";
        Self::new(&["idempotency-key"], "string.length", text, json!({"limit": 255}))
    }

    pub(crate) fn page_token(value: &str) -> Self {
        let text = "must be a token that a list gave out";
        Self::new(&["page_token"], "any.invalid", text, json!({"value": value}))
    }

    pub(crate) fn not_a_date(key: &str, value: &Value) -> Self {
        let text = "must be a date and time in RFC 3339, e.g. 2030-01-31T12:00:00Z";
        Self::new(&[key], "string.isoDate", text, json!({"value": value}))
    }

    pub(crate) fn not_a_duration(key: &str, value: &Value) -> Self {
        let text = "must be a duration in ISO 8601 without years and months, e.g. PT1H30M, or like 90s";
        Self::new(&[key], "string.isoDuration", text, json!({"value": value}))
    }

    pub(crate) fn exclusive(present: &[&str]) -> Self {
        let peers = ["hours, minutes, seconds", "at", "in"];
        let text = format!(
            "contains a conflict between optional exclusive peers [{}]",
            peers.join(" | ")
        );
        Self::new(
            &[],
            "object.oxor",
            &text,
            json!({"peers": peers, "present": present}),
        )
    }

    pub(crate) fn missing(peers: &[&str]) -> Self {
        let text = format!("must contain at least one of [{}]", peers.join(", "));
        Self::new(&[], "object.missing", &text, json!({"peers": peers}))
    }
}
