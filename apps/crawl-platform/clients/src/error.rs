//! What can go wrong with a call.

use std::time::Duration;

use segno_sinks::Failure;

/// A call that failed, or whose outcome is unknown: after a time-out or a connection that broke, the service may have done
/// what it was asked.
///
/// The text is for people. It names the service and the operation and, shortened, what the service said; no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{service}, {operation}: {failure}")]
pub struct Error {
    /// Whose service.
    pub service: &'static str,
    /// What was asked of it.
    pub operation: &'static str,
    /// What went wrong, and whether another attempt may succeed.
    pub failure: Failure,
}

impl Error {
    /// Whether another attempt may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self.failure, Failure::Retryable { .. })
    }

    /// How long the service asks to be left alone, when it says so; never zero.
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.failure {
            Failure::Retryable { retry_after, .. } => *retry_after,
            Failure::Permanent { .. } => None,
        }
    }

    /// The HTTP status of the answer, if there was one; for gRPC the status that stands for its code.
    pub fn status(&self) -> Option<u16> {
        self.failure.status()
    }

    /// Whether the service knows no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}

/// Most characters of what a service said that are told.
const LONGEST: usize = 300;

/// A service's own words, made fit for a line of a log: short, on one line, without `secrets`.
pub(crate) fn told<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_said_is_short_and_holds_no_secret() {
        assert_eq!(told("bad key\n  hunter2 !", ["hunter2", ""]), "bad key *** !");
        let long = told(&"x".repeat(1_000), []);
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn it_tells_what_may_pass() {
        let error = |failure| Error {
            service: "Jira",
            operation: "add a comment",
            failure,
        };
        let busy = error(Failure::Retryable {
            reason: "it answered 429".to_owned(),
            status: Some(429),
            retry_after: Some(Duration::from_secs(7)),
        });
        assert!(busy.is_retryable() && !busy.is_not_found());
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(busy.to_string(), "Jira, add a comment: it answered 429");
        let gone = error(Failure::Permanent {
            reason: "no such issue".to_owned(),
            status: Some(404),
        });
        assert!(!gone.is_retryable() && gone.is_not_found());
        assert_eq!(gone.retry_after(), None);
    }
}
