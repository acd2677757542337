//! Points in time at which timers fire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize};
use time::{
    OffsetDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

/// 9999-12-31T23:59:59.999Z in milliseconds: the last moment that RFC 3339 and Temporal can write.
const LAST: u64 = 253_402_300_799_999;

/// RFC 3339 in UTC with all three digits of the millisecond: what is written so sorts as text as it does in time.
const WRITTEN: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A moment in whole milliseconds since 1970, up to the end of the year 9999; what would be outside is cut
/// to these ends. In JSON it is the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Deadline(u64);

impl Deadline {
    /// This many milliseconds since 1970.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(LAST))
    }

    /// This many seconds since 1970.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(if seconds < LAST / 1_000 {
            seconds * 1_000
        } else {
            LAST
        })
    }

    /// The present moment, rounded up, so that nothing that is reckoned from it comes early.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where this crate reads the clock"
    )]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment this long after it, rounded up.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let wait = wait.as_nanos().div_ceil(1_000_000);
        Self::from_millis(u64::try_from(u128::from(self.0) + wait).unwrap_or(u64::MAX))
    }

    /// As the standard library has it.
    pub fn as_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }

    /// How long it is from `now` to it; zero if it is past.
    pub fn time_left(self, now: SystemTime) -> Duration {
        self.as_system_time().duration_since(now).unwrap_or_default()
    }

    /// Whole seconds from `now` to it, rounded up; 0 if it is past.
    pub fn seconds_left(self, now: Self) -> u64 {
        self.0.saturating_sub(now.0).div_ceil(1_000)
    }

    /// The moment that a text in RFC 3339 names; `None` if it is none.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(Self::from)
    }

    /// In RFC 3339, UTC, always with milliseconds, so that later moments are greater texts.
    pub fn to_rfc3339(self) -> String {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000);
        // Every moment up to the last can be written.
        moment
            .ok()
            .and_then(|moment| moment.format(WRITTEN).ok())
            .unwrap_or_default()
    }
}

impl From<SystemTime> for Deadline {
    fn from(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(0).after(since)
    }
}

impl From<OffsetDateTime> for Deadline {
    fn from(moment: OffsetDateTime) -> Self {
        let nanos = u128::try_from(moment.unix_timestamp_nanos()).unwrap_or(0);
        Self::from_millis(u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

impl<'de> Deserialize<'de> for Deadline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_written_in_utc_to_the_millisecond() {
        assert_eq!(Deadline::from_millis(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Deadline::from_millis(1_700_000_000_120).to_rfc3339(),
            "2023-11-14T22:13:20.120Z"
        );
        assert_eq!(
            Deadline::from_millis(u64::MAX).to_rfc3339(),
            "9999-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn is_cut_to_the_years_there_are() {
        let now = Deadline::from_millis(1_700_000_000_000);
        assert_eq!(now.after(Duration::MAX), Deadline(LAST));
        let long_ago = OffsetDateTime::parse("0001-01-01T00:00:00Z", &Rfc3339).unwrap();
        assert_eq!(Deadline::from(long_ago), Deadline(0));
        assert_eq!(Deadline::from(UNIX_EPOCH - Duration::from_secs(1)), Deadline(0));
    }

    #[test]
    fn seconds_are_rounded_up_and_never_negative() {
        let at = Deadline::from_millis(10_000);
        for (now, left) in [
            (0, 10),
            (1, 10),
            (8_999, 2),
            (9_000, 1),
            (9_999, 1),
            (10_000, 0),
            (99_999, 0),
        ] {
            assert_eq!(at.seconds_left(Deadline::from_millis(now)), left, "at {now}");
        }
    }

    proptest! {
        #[test]
        fn is_never_before_what_it_is_made_of(nanos in 0u64..4_000_000_000_000_000_000, wait in any::<u32>()) {
            let moment = UNIX_EPOCH + Duration::from_nanos(nanos);
            let wait = Duration::from_micros(u64::from(wait));
            let deadline = Deadline::from(moment).after(wait);
            let left = deadline.time_left(moment);
            prop_assert!(left >= wait && left < wait + Duration::from_millis(2));
        }

        #[test]
        fn survives_json(millis in 0..=LAST) {
            let deadline = Deadline(millis);
            let json = serde_json::to_string(&deadline).unwrap();
            prop_assert_eq!(serde_json::from_str::<Deadline>(&json).unwrap(), deadline);
        }
    }
}
