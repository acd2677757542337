//! What calls to a cluster fail with.

use std::time::Duration;

/// A call to a cluster failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The same call may succeed later: the cluster is not reached, overloaded, or its quota is used up.
    #[error("{message}")]
    Retryable {
        /// What happened, with its causes.
        message: String,
        /// When the cluster asks to be called again.
        retry_after: Option<Duration>,
    },
    /// The same call fails again: the job is not valid, or what it needs is not allowed.
    #[error("{message}")]
    Permanent {
        /// What happened, with its causes.
        message: String,
    },
}

impl ClusterError {
    /// A failure that may pass.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self::Retryable {
            message: message.into(),
            retry_after: None,
        }
    }

    /// A failure that stays.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent {
            message: message.into(),
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Retryable { .. })
    }
}
