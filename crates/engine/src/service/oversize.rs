//! What a worker reports that is larger than an event may hold.
//!
//! To refuse it would not help: the worker has nothing else to say, and would say it again. So the
//! report is taken, and says in place of what is too large that it was.

use prost::Message as _;
use temporalio_protos::temporal::api::{
    common::v1::Payloads,
    failure::v1::{ApplicationFailureInfo, Failure, ServerFailureInfo, failure::FailureInfo},
};

use crate::limits::Limits;

pub(super) fn is_too_large(limits: &Limits, payloads: Option<&Payloads>) -> bool {
    payloads.is_some_and(|payloads| payloads.encoded_len() > limits.blob_size)
}

/// The failure in place of payloads; no attempt after it would do better.
pub(super) fn failure(what: &str) -> Failure {
    Failure {
        message: what.to_owned(),
        failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo {
            non_retryable: true,
        })),
        ..Default::default()
    }
}

/// The failure in place of one that is too large, which becomes its cause, cut short; else none.
pub(super) fn in_place_of(limits: &Limits, given: &Failure) -> Option<Failure> {
    (given.encoded_len() > limits.blob_size).then(|| Failure {
        cause: Some(Box::new(cut(given, limits.blob_warning))),
        ..failure("Failure exceeds size limit.")
    })
}

/// As much of a failure as fits, what tells most first.
fn cut(given: &Failure, mut room: usize) -> Failure {
    let mut take = |text: &str| {
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        room -= end;
        text[..end].to_owned()
    };
    let failure_info = match &given.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
                r#type: take(&info.r#type),
                non_retryable: info.non_retryable,
                ..Default::default()
            }))
        }
        _ => None,
    };
    let (source, message) = (take(&given.source), take(&given.message));
    let stack_trace = take(&given.stack_trace);
    let cause = given.cause.as_ref().filter(|_| room > 0);
    Failure {
        source,
        message,
        stack_trace,
        failure_info,
        cause: cause.map(|cause| Box::new(cut(cause, room))),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_cut_at_a_character() {
        let limits = Limits::default();
        let large = Failure {
            message: "ä".repeat(limits.blob_size),
            stack_trace: "where".into(),
            cause: Some(Box::new(failure("why"))),
            ..Default::default()
        };
        let cause = in_place_of(&limits, &large)
            .and_then(|told| told.cause)
            .map(|cause| *cause);
        let expected = Failure {
            message: "ä".repeat(limits.blob_warning / 2),
            ..Default::default()
        };
        assert_eq!(cause, Some(expected));
        assert_eq!(in_place_of(&limits, &failure("small")), None);
    }
}
