//! What it answers when it does not do what is asked for.
//! <https://cloud.google.com/storage/docs/xml-api/reference-status>

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse as _,
};

#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: String,
    message: &'static str,
}

impl Refusal {
    fn new(status: StatusCode, code: impl Into<String>, message: &'static str) -> Self {
        Self {
            status,
            code: code.into(),
            message,
        }
    }

    pub(super) fn invalid(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    pub(super) fn digest() -> Self {
        let message = "What was sent has another checksum than was said.";
        Self::new(StatusCode::BAD_REQUEST, "BadDigest", message)
    }

    /// Of the parts of an upload.
    pub(super) fn parts(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn unauthenticated(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "AuthenticationRequired", message)
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", "Access denied.")
    }

    /// `Bucket`, `Key` or `Upload`.
    pub(super) fn no_such(what: &str) -> Self {
        let code = format!("NoSuch{what}");
        Self::new(StatusCode::NOT_FOUND, code, "There is none of this name.")
    }

    pub(super) fn method() -> Self {
        let message = "The stand-in has no such method.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(super) fn precondition() -> Self {
        let message = "At least one of the preconditions does not hold.";
        Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let Self {
            status,
            code,
            message,
        } = self;
        let text = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message>\
            <Details>{message}</Details></Error>"
        );
        let xml = [(header::CONTENT_TYPE, "application/xml; charset=UTF-8")];
        (status, xml, text).into_response()
    }
}
