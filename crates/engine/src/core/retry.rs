//! Retry policies: defaults, and when the next attempt is due, if any.

use temporalio_protos::temporal::api::{
    common::v1::RetryPolicy,
    enums::v1::{RetryState, TimeoutType},
    failure::v1::{Failure, failure::FailureInfo},
};

use crate::clock::{Nanos, SECOND, duration, nanos};

const DEFAULT_INITIAL: Nanos = SECOND;
const DEFAULT_COEFFICIENT: f64 = 2.0;
/// The longest interval where a policy names none, in initial intervals.
const DEFAULT_MAXIMUM_FACTOR: i64 = 100;

/// The policy with what it leaves open filled in.
pub(crate) fn with_defaults(policy: Option<RetryPolicy>) -> RetryPolicy {
    let policy = policy.unwrap_or_default();
    let initial = match nanos(policy.initial_interval.as_ref()) {
        0 => DEFAULT_INITIAL,
        given => given,
    };
    let maximum = match nanos(policy.maximum_interval.as_ref()) {
        0 => initial.saturating_mul(DEFAULT_MAXIMUM_FACTOR),
        given => given,
    };
    RetryPolicy {
        initial_interval: Some(duration(initial)),
        backoff_coefficient: if policy.backoff_coefficient == 0.0 {
            DEFAULT_COEFFICIENT
        } else {
            policy.backoff_coefficient
        },
        maximum_interval: Some(duration(maximum)),
        ..policy
    }
}

/// What is wrong with a policy, if anything.
pub(crate) fn check(policy: &RetryPolicy) -> Result<(), String> {
    if policy.maximum_attempts == 1 {
        return Ok(());
    }
    let initial = nanos(policy.initial_interval.as_ref());
    let maximum = nanos(policy.maximum_interval.as_ref());
    if initial < 0 {
        return Err("invalid InitialInterval set on retry policy: negative duration".into());
    }
    // One that is no number would make every interval 0.
    let coefficient = policy.backoff_coefficient;
    if coefficient != 0.0 && (coefficient < 1.0 || coefficient.is_nan()) {
        return Err("BackoffCoefficient cannot be less than 1 on retry policy.".into());
    }
    if maximum < 0 {
        return Err("invalid MaximumInterval set on retry policy: negative duration".into());
    }
    if maximum > 0 && maximum < initial {
        return Err("MaximumInterval cannot be less than InitialInterval on retry policy.".into());
    }
    if policy.maximum_attempts < 0 {
        return Err("MaximumAttempts cannot be negative on retry policy.".into());
    }
    Ok(())
}

/// When the attempt after `attempt`, which failed at `now`, is due; or why there is none.
///
/// `expiration` is when all attempts must have ended, 0 for never. `failure` decides whether there
/// may be another at all, and may name the delay itself.
pub(super) fn next_attempt(
    policy: Option<&RetryPolicy>,
    attempt: i32,
    now: Nanos,
    expiration: Nanos,
    failure: &Failure,
) -> Result<Nanos, RetryState> {
    let Some(policy) = policy else {
        return Err(RetryState::RetryPolicyNotSet);
    };
    if !is_retryable(policy, failure) {
        return Err(RetryState::NonRetryableFailure);
    }
    if policy.maximum_attempts > 0 && attempt >= policy.maximum_attempts {
        return Err(RetryState::MaximumAttemptsReached);
    }
    let delay = delay_asked_for(failure).unwrap_or_else(|| backoff(policy, attempt));
    let at = now.saturating_add(delay);
    if expiration != 0 && at > expiration {
        return Err(RetryState::Timeout);
    }
    Ok(at)
}

/// The interval after the failed `attempt` (from 1).
pub(super) fn backoff(policy: &RetryPolicy, attempt: i32) -> Nanos {
    let initial = nanos(policy.initial_interval.as_ref()) as f64;
    let maximum = nanos(policy.maximum_interval.as_ref());
    let interval = initial * policy.backoff_coefficient.powi(attempt.saturating_sub(1));
    // A cast from f64 saturates, so an interval past any bound is the longest one.
    let interval = interval as Nanos;
    if maximum > 0 {
        interval.min(maximum)
    } else {
        interval
    }
}

fn delay_asked_for(failure: &Failure) -> Option<Nanos> {
    match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            info.next_retry_delay.as_ref().map(|delay| nanos(Some(delay)))
        }
        _ => None,
    }
}

fn is_retryable(policy: &RetryPolicy, failure: &Failure) -> bool {
    let excluded = |name: &str| {
        policy
            .non_retryable_error_types
            .iter()
            .any(|excluded| excluded == name)
    };
    match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => !info.non_retryable && !excluded(&info.r#type),
        Some(FailureInfo::ServerFailureInfo(info)) => !info.non_retryable,
        Some(FailureInfo::TimeoutFailureInfo(info)) => {
            let timeout = info.timeout_type();
            matches!(timeout, TimeoutType::StartToClose | TimeoutType::Heartbeat)
                && !excluded(&format!("TemporalTimeout:{}", timeout_name(timeout)))
        }
        Some(FailureInfo::TerminatedFailureInfo(_) | FailureInfo::CanceledFailureInfo(_)) => false,
        _ => true,
    }
}

/// A time-out's name in messages and in `non_retryable_error_types`.
pub(super) fn timeout_name(timeout: TimeoutType) -> &'static str {
    match timeout {
        TimeoutType::Unspecified => "Unspecified",
        TimeoutType::StartToClose => "StartToClose",
        TimeoutType::ScheduleToStart => "ScheduleToStart",
        TimeoutType::ScheduleToClose => "ScheduleToClose",
        TimeoutType::Heartbeat => "Heartbeat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use temporalio_protos::temporal::api::failure::v1::ApplicationFailureInfo;

    fn application(non_retryable: bool, next_retry_delay: Option<Nanos>) -> Failure {
        let info = ApplicationFailureInfo {
            r#type: "Broken".into(),
            non_retryable,
            next_retry_delay: next_retry_delay.map(duration),
            ..Default::default()
        };
        Failure {
            failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
            ..Default::default()
        }
    }

    #[test]
    fn intervals_double_up_to_a_hundred_initial_ones() {
        let policy = with_defaults(None);
        let due = |attempt| next_attempt(Some(&policy), attempt, 0, 0, &application(false, None));
        assert_eq!(due(1), Ok(SECOND));
        assert_eq!(due(3), Ok(4 * SECOND));
        assert_eq!(due(50), Ok(100 * SECOND));
    }

    #[test]
    fn a_failure_may_forbid_the_retry_or_name_its_delay() {
        let mut policy = with_defaults(None);
        let next = |policy: &RetryPolicy, failure| next_attempt(Some(policy), 1, 0, 0, &failure);
        assert_eq!(
            next(&policy, application(true, None)),
            Err(RetryState::NonRetryableFailure)
        );
        assert_eq!(
            next(&policy, application(false, Some(7 * SECOND))),
            Ok(7 * SECOND)
        );
        policy.non_retryable_error_types.push("Broken".into());
        assert_eq!(
            next(&policy, application(false, None)),
            Err(RetryState::NonRetryableFailure)
        );
    }

    #[test]
    fn attempts_and_time_are_bounds() {
        let policy = RetryPolicy {
            maximum_attempts: 2,
            ..with_defaults(None)
        };
        let next = |attempt, expiration| {
            next_attempt(Some(&policy), attempt, 0, expiration, &application(false, None))
        };
        assert_eq!(next(2, 0), Err(RetryState::MaximumAttemptsReached));
        assert_eq!(next(1, SECOND / 2), Err(RetryState::Timeout));
        assert_eq!(next(1, SECOND), Ok(SECOND));
    }

    proptest! {
        #[test]
        fn an_interval_never_shrinks_nor_passes_the_maximum(attempt in 1..200_i32, coefficient in 1.0..10.0_f64) {
            let policy = RetryPolicy { backoff_coefficient: coefficient, ..with_defaults(None) };
            let (this, next) = (backoff(&policy, attempt), backoff(&policy, attempt + 1));
            prop_assert!(this <= next && next <= 100 * SECOND && this >= SECOND);
        }
    }
}
