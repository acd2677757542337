//! What became of one attempt to deliver.

use std::time::Duration;

/// The target took the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The HTTP status, where the target speaks HTTP.
    pub status: Option<u16>,
}

/// The target did not take the payload, as far as is known: after a time-out it may have.
///
/// The reasons are for people. They hold no secret, no payload and no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Another attempt may succeed.
    #[error("{reason}")]
    Retryable {
        /// What went wrong.
        reason: String,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// How long the target asks to be left alone, when it says so; never zero.
        retry_after: Option<Duration>,
    },
    /// No attempt will succeed until somebody changes something.
    #[error("{reason}")]
    Permanent {
        /// What went wrong.
        reason: String,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
    },
}

impl Failure {
    /// A failure without an answer that another attempt may overcome.
    pub fn retryable(reason: impl Into<String>) -> Self {
        Self::Retryable {
            reason: reason.into(),
            status: None,
            retry_after: None,
        }
    }

    /// A failure without an answer that stays.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent {
            reason: reason.into(),
            status: None,
        }
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Retryable { status, .. } | Self::Permanent { status, .. } => *status,
        }
    }
}
