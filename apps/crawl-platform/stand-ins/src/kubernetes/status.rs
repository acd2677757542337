//! What the API server answers when it does not do what it was asked: a `Status` of `v1`.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::{Value, json};

use super::kinds::Kind;

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    retry_after: Option<Duration>,
}

impl Status {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            retry_after: None,
        }
    }

    fn about(mut self, kind: Kind, name: &str) -> Self {
        self.details = Some(json!({ "name": name, "group": kind.group(), "kind": kind.plural() }));
        self
    }

    pub(crate) fn not_found(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    /// For a path that leads nowhere.
    pub(crate) fn no_such_path() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub(crate) fn already_exists(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub(crate) fn conflict(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            kind.qualified()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// What is wrong with an object: pairs of a field's path and what is wrong there.
    pub(crate) fn invalid(kind: Kind, name: &str, causes: &[(String, String)]) -> Self {
        let all = causes
            .iter()
            .map(|(field, what)| format!("{field}: {what}"))
            .collect::<Vec<_>>();
        let list = match &all[..] {
            [one] => one.clone(),
            _ => format!("[{}]", all.join(", ")),
        };
        let group = match kind.group() {
            "" => String::new(),
            group => format!(".{group}"),
        };
        let message = format!("{}{group} \"{name}\" is invalid: {list}", kind.name());
        let mut status = Self::new(422, "Invalid", message);
        let causes = causes
            .iter()
            .map(|(field, what)| json!({ "reason": "FieldValueInvalid", "message": what, "field": field }))
            .collect::<Vec<_>>();
        status.details = Some(json!({
            "name": name, "group": kind.group(), "kind": kind.name(), "causes": causes,
        }));
        status
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    pub(crate) fn unsupported_media_type(got: &str) -> Self {
        let message = format!("the body of the request was in an unknown format: {got}");
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// The state at this resource version is no longer known.
    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self::new(410, "Expired", message)
    }

    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        if let Value::Object(details) = self.details.get_or_insert_with(|| json!({})) {
            details.insert("retryAfterSeconds".to_owned(), json!(after.as_secs()));
        }
        self
    }

    /// The object itself, as in the body of an answer or in a watch's event.
    pub(crate) fn object(&self) -> Value {
        let mut object = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let (Some(details), Value::Object(fields)) = (&self.details, &mut object) {
            fields.insert("details".to_owned(), details.clone());
        }
        object
    }

    pub(crate) fn response(&self) -> Response<Body> {
        let mut response = json_response(self.code, &self.object());
        if let Some(after) = self.retry_after {
            let seconds = HeaderValue::from(after.as_secs());
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// An answer with this object as its body.
pub(crate) fn json_response(code: u16, object: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(object.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
