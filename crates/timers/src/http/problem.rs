//! Answers other than the wanted one.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Error, Issue};

/// Everything that is wrong with a request.
#[derive(Serialize, ToSchema)]
#[schema(as = TimerValidationProblem)]
pub(super) struct Validation {
    message: Vec<Issue>,
    #[schema(example = "Validation failed")]
    error: &'static str,
    #[serde(rename = "statusCode")]
    #[schema(example = 400)]
    status_code: u16,
}

/// Why a request was not done.
#[derive(Serialize, ToSchema)]
#[schema(as = TimerProblem)]
pub(super) struct Message {
    #[schema(example = "Timer not found")]
    message: String,
    #[serde(rename = "statusCode")]
    #[schema(example = 404)]
    status_code: u16,
}

/// Any of them.
#[derive(Debug)]
pub(super) enum Problem {
    Validation(Vec<Issue>),
    TooLarge,
    Failed(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Validation(message) => {
                let body = Validation {
                    message,
                    error: "Validation failed",
                    status_code: 400,
                };
                return (StatusCode::BAD_REQUEST, Json(body)).into_response();
            }
            Self::TooLarge => return answer(StatusCode::PAYLOAD_TOO_LARGE, "The body is too long"),
            Self::Failed(error) => error,
        };
        let status = match &error {
            Error::NotFound => StatusCode::NOT_FOUND,
            Error::NoLongerKept => StatusCode::GONE,
            Error::AlreadyFired | Error::Canceled => StatusCode::CONFLICT,
            Error::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Error::PageToken => StatusCode::BAD_REQUEST,
            Error::Unavailable(_) | Error::Unconfirmed => StatusCode::SERVICE_UNAVAILABLE,
            Error::Engine(_) | Error::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "timer operation failed");
        }
        answer(status, &error.to_string())
    }
}

fn answer(status: StatusCode, message: &str) -> Response {
    let body = Message {
        message: message.to_owned(),
        status_code: status.as_u16(),
    };
    (status, Json(body)).into_response()
}
