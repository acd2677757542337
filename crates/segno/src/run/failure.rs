//! Why a run or an activity failed, as it is shown.

use serde::{Deserialize, Serialize};
use temporalio_common::protos::temporal::api::{
    common::v1::Payload,
    failure::v1::{Failure as ProtoFailure, failure::FailureInfo},
};
use utoipa::ToSchema;

use crate::encryption::unreadable;

/// Why something failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionFailure)]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) message: String,
    /// The kind of failure: `DeadLetter`, `Delivery`, `Transform`, `Timeout` and others.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(crate) ty: String,
    /// What it was caused by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub(crate) cause: Option<Box<Failure>>,
}

impl Failure {
    /// What was in the end the cause.
    pub(crate) fn cause(&self) -> &str {
        self.cause.as_ref().map_or(&self.message, |cause| cause.cause())
    }

    pub(crate) fn of(failure: ProtoFailure) -> Self {
        let ty = match &failure.failure_info {
            Some(FailureInfo::ApplicationFailureInfo(info)) => info.r#type.clone(),
            Some(FailureInfo::TimeoutFailureInfo(info)) => {
                format!(
                    "Timeout{}",
                    info.timeout_type()
                        .as_str_name()
                        .trim_start_matches("TIMEOUT_TYPE")
                )
            }
            Some(FailureInfo::CanceledFailureInfo(_)) => "Canceled".to_owned(),
            Some(FailureInfo::TerminatedFailureInfo(_)) => "Terminated".to_owned(),
            _ => String::new(),
        };
        let cause = failure.cause.map(|cause| Box::new(Self::of(*cause)));
        Self {
            message: failure.encoded_attributes.map_or(failure.message, text),
            ty,
            cause,
        }
    }

    /// Of a run that somebody ended.
    pub(crate) fn terminated(reason: String) -> Self {
        Self {
            message: reason,
            ty: "Terminated".to_owned(),
            cause: None,
        }
    }
}

/// The message of a failure that keeps it in a payload, as those do that are encrypted.
fn text(attributes: Payload) -> String {
    #[derive(Deserialize)]
    struct Attributes {
        message: String,
    }

    if let Some(reason) = unreadable(&attributes) {
        return reason;
    }
    let attributes = serde_json::from_slice::<Attributes>(&attributes.data);
    attributes.map_or_else(
        |_| "its message cannot be read".to_owned(),
        |attributes| attributes.message,
    )
}
