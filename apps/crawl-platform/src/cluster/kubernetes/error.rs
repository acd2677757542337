//! Which failures of calls may pass, and which stay.

use std::{error::Error as _, time::Duration};

use super::super::ClusterError;

/// What a failed call is.
pub(super) fn failed(what: &str, error: &kube::Error) -> ClusterError {
    let kube::Error::Api(status) = error else {
        // The network, TLS, an answer that is none: with each of these the cluster can be all right in a moment. So are the
        // programs that bring credentials.
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                text = format!("{text}: {inner_text}");
            }
            cause = inner.source();
        }
        return ClusterError::retryable(format!("Kubernetes: cannot {what}: {text}"));
    };
    let message = format!(
        "Kubernetes: cannot {what}: {} ({} {})",
        status.message, status.code, status.reason
    );
    let passes = match status.code {
        // A quota that is used up is free again when other jobs end.
        403 => status.message.contains("exceeded quota"),
        // A token that ran out is renewed by those who gave it.
        401 | 408 | 409 | 410 | 429 | 500..=599 => true,
        _ => false,
    };
    if !passes {
        return ClusterError::Permanent { message };
    }
    let seconds = status
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    ClusterError::Retryable {
        message,
        retry_after: (seconds > 0).then(|| Duration::from_secs(u64::from(seconds))),
    }
}

/// What a call without an answer is.
pub(super) fn timed_out(what: &str, after: Duration) -> ClusterError {
    ClusterError::retryable(format!("Kubernetes: cannot {what}: no answer in {after:?}"))
}

pub(super) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

#[cfg(test)]
mod tests {
    use kube::core::{Status, response::StatusDetails};

    use super::*;

    fn of(code: u16, message: &str, retry_after_seconds: u32) -> ClusterError {
        let mut status = Status::failure(message, "Reason").with_code(code);
        status.details = Some(StatusDetails {
            retry_after_seconds,
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
        });
        failed("create the job", &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn what_passes_and_what_stays() {
        for code in [401, 408, 409, 410, 429, 500, 502, 503, 504] {
            assert!(of(code, "", 0).is_retryable(), "{code}");
        }
        for code in [400, 403, 404, 405, 415, 422] {
            assert!(!of(code, "", 0).is_retryable(), "{code}");
        }
        let quota = "pods \"a\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=9, limited: pods=9";
        assert!(of(403, quota, 0).is_retryable());
    }

    #[test]
    fn the_cluster_s_wish_for_a_pause_is_kept() {
        let ClusterError::Retryable { message, retry_after } = of(429, "too many", 7) else {
            panic!("it passes");
        };
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
        assert_eq!(
            message,
            "Kubernetes: cannot create the job: too many (429 Reason)"
        );
    }
}
