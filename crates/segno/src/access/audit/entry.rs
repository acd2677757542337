//! What an entry says.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::Role;

/// A change that somebody asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct Entry {
    /// Who: the token's name, or the person's as the identity provider has it; `local` where nobody signs in.
    #[schema(example = "ops")]
    pub(crate) who: String,
    /// In which role.
    pub(crate) role: Role,
    /// The address that it came from: the other end of the connection.
    #[schema(example = "192.0.2.7")]
    pub(crate) from: String,
    /// What: method and path, with names in braces for what differs.
    #[schema(example = "POST /routes/{name}/pause")]
    pub(crate) action: String,
    /// On what: the path that was called.
    #[schema(example = "/routes/big-orders/pause")]
    pub(crate) path: String,
    /// What was asked for besides: the query and the body, without payloads, secrets, and what is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) request: Option<Value>,
    /// The request's id: of the header `X-Request-Id`, and in the log.
    pub(crate) request_id: String,
    /// What became of it; left out while it is being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "result")]
#[schema(as = AuditOutcome)]
pub(crate) enum Outcome {
    /// It was done.
    Done {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// It was refused, or failed.
    Failed {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// The process ended before the answer: it may have been done or not.
    Unknown,
}

impl Outcome {
    /// What an answer of this status says.
    pub(crate) fn of(status: axum::http::StatusCode) -> Self {
        let code = status.as_u16();
        if status.is_client_error() || status.is_server_error() {
            Self::Failed { status: code }
        } else {
            Self::Done { status: code }
        }
    }
}

impl Entry {
    /// What entries are found by.
    pub(super) fn tags(&self) -> impl Iterator<Item = String> {
        [
            tag("who", &self.who),
            tag("action", &self.action),
            tag("path", &self.path),
        ]
        .into_iter()
    }
}

/// A value of one kind among the keywords of an entry.
pub(super) fn tag(kind: &str, value: &str) -> String {
    format!("{kind}:{value}")
}
