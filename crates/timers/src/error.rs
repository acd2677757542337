//! Why a timer operation fails.

use segno_sinks::webhook::SenderError;
use temporalio_client::{
    errors::{WorkflowInteractionError, WorkflowStartError},
    tonic::{Code, Status},
};
use temporalio_common::data_converters::PayloadConversionError;
use temporalio_sdk::WorkflowRegistrationError;

/// Why an operation on timers fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No timer of this id was ever made.
    #[error("Timer not found")]
    NotFound,
    /// The timer was made, and is so long closed that the engine no longer holds it.
    #[error("Timer no longer kept")]
    NoLongerKept,
    /// The timer has fired, or is about to.
    #[error("Timer already fired")]
    AlreadyFired,
    /// The timer was cancelled.
    #[error("Timer canceled")]
    Canceled,
    /// The idempotency key was used before, with another request.
    #[error("Idempotency-Key already used with another request")]
    KeyReused,
    /// The page token is none that a list gave out.
    #[error("page_token is not valid")]
    PageToken,
    /// The engine does not answer, or not in time. The operation may have happened.
    #[error("The engine is not available")]
    Unavailable(#[source] Box<Status>),
    /// The timer was asked to move, and whether it did so before it fired is not known yet.
    #[error("The engine has not confirmed the new deadline yet")]
    Unconfirmed,
    /// The engine refuses what it is asked.
    #[error("The engine refused the operation")]
    Engine(#[source] Box<Status>),
    /// What the engine holds of the timer cannot be read.
    #[error("The timer cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::NotFound if namespace_is_missing(&status) => Self::Engine(Box::new(status)),
            Code::NotFound => Self::NotFound,
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled => {
                Self::Unavailable(Box::new(status))
            }
            _ => Self::Engine(Box::new(status)),
        }
    }
}

/// The engine says NOT_FOUND of namespaces too, and a missing one does not make every timer unknown. Which
/// it is stands in the status' details by the name of a message type.
fn namespace_is_missing(status: &Status) -> bool {
    const NAME: &[u8] = b"NamespaceNotFoundFailure";
    status.details().windows(NAME.len()).any(|window| window == NAME)
}

impl From<WorkflowInteractionError> for Error {
    fn from(error: WorkflowInteractionError) -> Self {
        match error {
            WorkflowInteractionError::NotFound(status) | WorkflowInteractionError::Rpc(status) => {
                status.into()
            }
            other => Self::Unreadable(other.into()),
        }
    }
}

impl From<WorkflowStartError> for Error {
    fn from(error: WorkflowStartError) -> Self {
        match error {
            WorkflowStartError::Rpc(status) => status.into(),
            WorkflowStartError::AlreadyStarted { source, .. } => Self::Engine(Box::new(source)),
            other => Self::Unreadable(other.into()),
        }
    }
}

impl From<PayloadConversionError> for Error {
    fn from(error: PayloadConversionError) -> Self {
        Self::Unreadable(error.into())
    }
}

/// Why a worker cannot be given the timers.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The sender of webhooks cannot be set up.
    #[error("the timers' webhook sender cannot be set up")]
    Sender(#[from] SenderError),
    /// The worker has a workflow of this name already.
    #[error("the timers' workflow cannot be registered")]
    Workflow(#[from] WorkflowRegistrationError),
}
