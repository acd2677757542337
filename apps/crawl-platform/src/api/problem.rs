//! Problem details (RFC 9457): the shape of every error of the API.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{
    lifecycle::LifecycleError,
    schedules::SchedulesError,
    store::{InvalidCursor, StoreError},
};

/// What went wrong with a request, for people and programs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` names the kind of problem.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// A name for programs, which stays the same while texts may change.
    code: &'static str,
    /// What happened here.
    detail: String,
    /// Each single mistake, where there can be several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

impl Problem {
    /// A problem with a status, a name for programs and a text for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    pub(super) fn mistakes(code: &'static str, detail: &str, errors: Vec<String>) -> Self {
        Self {
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what, .. } => {
                let code = match what {
                    "crawler" => "no-such-crawler",
                    "schedule" => "no-such-schedule",
                    _ => "no-such-run",
                };
                Self::new(StatusCode::NOT_FOUND, code, error.to_string())
            }
            StoreError::Database(error) => {
                tracing::error!(%error, "the database does not answer");
                let detail = "the database does not answer now: send the request again later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "database-unavailable", detail)
            }
            error => {
                tracing::error!(%error, "the database has what cannot be read");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
            }
        }
    }
}

impl From<LifecycleError> for Problem {
    fn from(error: LifecycleError) -> Self {
        let (status, code) = match error {
            LifecycleError::Store(error) => return error.into(),
            LifecycleError::KeyReused => (StatusCode::CONFLICT, "idempotency-key-reused"),
            LifecycleError::Ended(_) => (StatusCode::CONFLICT, "run-has-ended"),
            LifecycleError::LookedAfter(_) => (StatusCode::CONFLICT, "run-is-looked-after"),
            LifecycleError::NotLookedAfter(_) => (StatusCode::CONFLICT, "run-is-not-looked-after"),
            LifecycleError::Engine(_) => (StatusCode::SERVICE_UNAVAILABLE, "engine-unavailable"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<SchedulesError> for Problem {
    fn from(error: SchedulesError) -> Self {
        let (status, code) = match error {
            SchedulesError::Store(error) => return error.into(),
            SchedulesError::Refused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "schedule-refused"),
            SchedulesError::Engine(_) => (StatusCode::SERVICE_UNAVAILABLE, "engine-unavailable"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<InvalidCursor> for Problem {
    fn from(error: InvalidCursor) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-cursor", error.to_string())
    }
}

/// A body in JSON; what is none is answered with a problem.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection @ JsonRejection::MissingJsonContentType(_)) => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                rejection.body_text(),
            )),
            Err(rejection) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid-body",
                rejection.body_text(),
            )),
        }
    }
}

/// A part of the path or the query; what is none is answered with a problem.
pub(super) struct Checked<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Checked<axum::extract::Path<T>> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(Self)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid-path", error.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Checked<axum::extract::Query<T>> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(Self)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid-query", error.body_text()))
    }
}
