//! The ways to say when a timer fires.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::Serialize;

use super::{Check, Issue};
use crate::Deadline;

/// The keys that say when.
pub(super) const KEYS: [&str; 5] = ["hours", "minutes", "seconds", "at", "in"];

/// When a timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum When {
    /// So long from now.
    In(Duration),
    /// At a moment; one that is past is now.
    At(Deadline),
}

impl When {
    /// The moment that this is at `now`.
    pub fn from(self, now: Deadline) -> Deadline {
        match self {
            Self::In(wait) => now.after(wait),
            Self::At(deadline) => deadline,
        }
    }
}

/// Reads `hours`, `minutes` and `seconds`, or `at`, or `in`. `None` if none of them is there or one is
/// wrong, which is then reported.
pub(super) fn parse(check: &mut Check<'_>) -> Option<When> {
    let units = [
        ("hours", 3600, None),
        ("minutes", 60, Some(59)),
        ("seconds", 1, Some(59)),
    ];
    let (mut total, mut present) = (0u64, Vec::new());
    for (key, unit, max) in units {
        if let Some(value) = check.take(key) {
            present.push(key);
            total = total.saturating_add(check.integer(key, value, max).unwrap_or(0).saturating_mul(unit));
        }
    }
    let by_units = (!present.is_empty()).then_some(When::In(Duration::from_secs(total)));
    let (at, until) = (check.take("at"), check.take("in"));
    if at.is_some() {
        present.push("at");
    }
    if until.is_some() {
        present.push("in");
    }
    let by_at = at.and_then(|value| {
        let text = check.string("at", value)?;
        let moment = Deadline::from_rfc3339(text);
        if moment.is_none() {
            check.report(Issue::not_a_date("at", value));
        }
        moment.map(When::At)
    });
    let by_duration = until.and_then(|value| {
        let text = check.string("in", value)?;
        let wait = duration(text);
        if wait.is_none() {
            check.report(Issue::not_a_duration("in", value));
        }
        wait.map(When::In)
    });
    let ways = [by_units.is_some(), at.is_some(), until.is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        check.report(Issue::exclusive(&present));
    }
    by_units.or(by_at).or(by_duration).or_else(|| {
        // A wrong one is there: it is reported, and not missing.
        [at, until]
            .iter()
            .any(Option::is_some)
            .then_some(When::In(Duration::ZERO))
    })
}

/// A duration in ISO 8601 (`PT1H30M`) or plain (`90s`, `1h 30m`); a day has 24 hours. There are no years
/// and months, whose length depends on the calendar.
fn duration(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("PT1H30M", Some(5400)),
            ("PT0S", Some(0)),
            ("P1DT1S", Some(86_401)),
            ("P2W", Some(1_209_600)),
            ("90s", Some(90)),
            ("1h 30m", Some(5400)),
            ("2 days", Some(172_800)),
            ("P1M", None),
            ("P1Y", None),
            ("-PT1S", None),
            ("90s ago", None),
            ("90", None),
            ("soon", None),
            ("PT99999999999999999999H", None),
        ] {
            assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(duration("PT0.5S"), Some(Duration::from_millis(500)));
    }

    #[test]
    fn moments() {
        let millis = |text| Deadline::from_rfc3339(text).map(Deadline::as_millis);
        assert_eq!(millis("1970-01-01T01:00:01.5+01:00"), Some(1_500));
        assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(millis("1960-01-01T00:00:00Z"), Some(0));
        for text in [
            "1970-01-01",
            "1970-01-01T00:00:00",
            "now",
            "2030-02-30T00:00:00Z",
            "0",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
