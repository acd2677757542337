//! Time zones. A zone is a sequence of stretches, in each of which the clocks differ from UTC by
//! the same offset. Matching the clock within each stretch by itself is the whole rule of changes
//! of the clocks: a time that is skipped is in no stretch, one that comes twice is in two.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use temporalio_protos::temporal::api::schedule::v1::ScheduleSpec;

use super::SpecError;

/// A time zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone(TimeZone);

/// A stretch of one offset. Times are seconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    offset: i64,
    /// The first second that is not in it any more; none: it does not end.
    pub(super) end: Option<i64>,
}

impl Zone {
    /// The zone of a spec: its own definition, or the one of its name; UTC where it has neither.
    ///
    /// # Errors
    /// When there is none of the name, or the definition is none.
    pub(super) fn of(spec: &ScheduleSpec) -> Result<Self, SpecError> {
        let name = spec.timezone_name.as_str();
        if spec.timezone_data.is_empty() {
            return Self::named(name);
        }
        let zone = TimeZone::tzif(name, &spec.timezone_data);
        zone.map(Self)
            .map_err(|_| SpecError::new("malformed time zone information"))
    }

    /// The zone of a name; UTC where it is empty.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn named(name: &str) -> Result<Self, SpecError> {
        if name.is_empty() {
            return Ok(Self::default());
        }
        let zone = TimeZone::get(name);
        zone.map(Self)
            .map_err(|_| SpecError::new(format!("unknown time zone {name}")))
    }

    /// The stretch that a second is in; none where the second is beyond all calendars.
    pub(super) fn stretch(&self, at: i64) -> Option<Stretch> {
        let at = Timestamp::from_second(at).ok()?;
        Some(Stretch {
            offset: i64::from(self.0.to_offset(at).seconds()),
            end: self.change_after(at),
        })
    }

    /// When the offset changes next. A definition that comes with a spec may have its changes in any order, and "the next"
    /// may then be one that is over: the stretch has no end then, and who goes from stretch to stretch gets on.
    fn change_after(&self, at: Timestamp) -> Option<i64> {
        let change = self.0.following(at).next()?.timestamp();
        (change > at).then(|| change.as_second())
    }
}

impl Stretch {
    /// What the clock shows at a second of the stretch.
    pub(super) fn clock(&self, at: i64) -> Option<DateTime> {
        let shown = Timestamp::from_second(at.checked_add(self.offset)?).ok()?;
        Some(jiff::tz::Offset::UTC.to_datetime(shown))
    }

    /// The second at which the clock shows this; none where that is after the stretch.
    pub(super) fn second(&self, clock: DateTime) -> Option<i64> {
        let shown = jiff::tz::Offset::UTC.to_timestamp(clock).ok()?.as_second();
        let at = shown - self.offset;
        self.end.is_none_or(|end| at < end).then_some(at)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}
