//! The engine's times as text.

use prost_types::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// RFC 3339 in UTC; none for what no calendar holds.
pub(crate) fn rfc3339(timestamp: Timestamp) -> Option<String> {
    moment(&timestamp)?.format(&Rfc3339).ok()
}

/// The moment that RFC 3339 text names.
pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// RFC 3339 in UTC of a moment.
pub(crate) fn format(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// The moment of a timestamp; none for what no calendar holds.
pub(crate) fn moment(timestamp: &Timestamp) -> Option<OffsetDateTime> {
    let nanos = i128::from(timestamp.seconds) * 1_000_000_000 + i128::from(timestamp.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_impossible_ones_none() {
        let at = |seconds, nanos| rfc3339(Timestamp { seconds, nanos });
        assert_eq!(
            at(1_700_000_000, 500_000_000).as_deref(),
            Some("2023-11-14T22:13:20.5Z")
        );
        assert_eq!(at(i64::MAX, 0), None);
    }
}
