//! What a call's status means.

use std::{error::Error, time::Duration};

use prost::Message;
use tonic::{Code, Status};

use crate::Failure;

/// Most characters of a server's message that are told.
const LONGEST: usize = 300;
/// The longest wait a server can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// `google.rpc.Status`, as far as it is of interest.
#[derive(Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Message)]
struct RetryInfo {
    #[prost(message, tag = "1")]
    retry_delay: Option<Span>,
}

/// `google.protobuf.Duration`.
#[derive(Message)]
struct Span {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// What a failed call means. Beside the codes that say so, those that a broken connection or a crash ends in are worth another
/// attempt; all others are the server's judgement of this call.
pub(super) fn explain(status: &Status) -> Failure {
    let code = status.code();
    let mut reason = format!("the server answered {}", name(code));
    let message: String = status
        .message()
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    if !message.is_empty() {
        reason = format!("{reason}: {message}");
    }
    match code {
        Code::Aborted
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::ResourceExhausted
        | Code::Unavailable
        | Code::Unknown => Failure::Retryable {
            reason,
            status: None,
            retry_after: retry_after(status.details()),
        },
        _ => Failure::permanent(reason),
    }
}

/// What no connection means.
pub(super) fn unreachable(error: &tonic::transport::Error) -> Failure {
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::retryable(format!("cannot connect to the server: {cause}"))
}

/// The wait that the details ask for.
fn retry_after(details: &[u8]) -> Option<Duration> {
    let details = Details::decode(details).ok()?.details;
    let info = details
        .iter()
        .find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let delay = Duration::new(
        u64::try_from(delay.seconds).ok()?,
        u32::try_from(delay.nanos).ok()?,
    );
    (!delay.is_zero()).then_some(delay.min(LONGEST_WAIT))
}

/// As the specification writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
