//! A structured calendar, ready to be matched.

use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, Time},
};
use temporalio_protos::temporal::api::schedule::v1::{Range, StructuredCalendarSpec};

use super::{
    field::{FIRST_YEAR, LAST_YEAR},
    steps::Steps,
    zone::Zone,
};

/// The values of each field, as bits.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    pub(crate) seconds: u64,
    pub(crate) minutes: u64,
    pub(crate) hours: u64,
    pub(crate) days: u64,
    pub(crate) months: u64,
    pub(crate) week_days: u64,
    /// From [`FIRST_YEAR`] on; none: every year.
    pub(crate) years: Option<u128>,
    /// A day matches by the day of the month or by the day of the week, and not only by both.
    pub(crate) one_day_is_enough: bool,
}

const ALL_SIXTY: u64 = (1 << 60) - 1;
const ALL_HOURS: u64 = (1 << 24) - 1;
const ALL_DAYS: u64 = (1 << 32) - 2;
const ALL_MONTHS: u64 = (1 << 13) - 2;
const ALL_WEEK_DAYS: u64 = (1 << 7) - 1;
/// Days of each month, in the years in which it has most.
const LONGEST_MONTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Calendar {
    pub(super) fn new(spec: &StructuredCalendarSpec) -> Self {
        let years = spec.year.iter().flat_map(values);
        Self {
            seconds: bits(&spec.second),
            minutes: bits(&spec.minute),
            hours: bits(&spec.hour),
            days: bits(&spec.day_of_month),
            months: bits(&spec.month),
            week_days: bits(&spec.day_of_week),
            one_day_is_enough: false,
            years: (!spec.year.is_empty()).then(|| {
                years
                    .filter(|year| (FIRST_YEAR..=LAST_YEAR).contains(year))
                    .fold(0, |bits, year| bits | 1 << (year - FIRST_YEAR))
            }),
        }
    }

    /// The first second after this one at which the clocks of the zone match; none also once the steps are spent.
    pub(crate) fn next_after(&self, zone: &Zone, after: i64, steps: &mut Steps) -> Option<i64> {
        if self.is_empty() {
            return None;
        }
        let mut from = after.checked_add(1)?;
        loop {
            steps.take()?;
            let stretch = zone.stretch(from)?;
            let clock = stretch.clock(from)?;
            if i32::from(clock.year()) > LAST_YEAR {
                return None;
            }
            let limit = stretch.end.and_then(|end| stretch.clock(end));
            let next = self
                .next(clock, limit, steps)
                .and_then(|clock| stretch.second(clock));
            if next.is_some() {
                return next;
            }
            from = stretch.end?;
        }
    }

    /// Whether no time ever matches: a field is a list of nothing, as in `0 , * * *`, or no month has the day. No year
    /// is walked through then.
    fn is_empty(&self) -> bool {
        let has_day = (1..=12).zip(LONGEST_MONTHS).any(|(month, length)| {
            let days = (1 << (length + 1)) - 2;
            has(self.months, month) && self.days & days != 0
        });
        let has_week_day = self.months & ALL_MONTHS != 0 && self.week_days & ALL_WEEK_DAYS != 0;
        let has_one = if self.one_day_is_enough {
            has_day || has_week_day
        } else {
            has_day && has_week_day
        };
        let is_never = |values: u64, all: u64| values & all == 0;
        !has_one
            || is_never(self.seconds, ALL_SIXTY)
            || is_never(self.minutes, ALL_SIXTY)
            || is_never(self.hours, ALL_HOURS)
            || self.years == Some(0)
    }

    /// Whether every time matches.
    fn is_all(&self) -> bool {
        let is_full = |values: u64, all: u64| values & all == all;
        is_full(self.seconds, ALL_SIXTY)
            && is_full(self.minutes, ALL_SIXTY)
            && is_full(self.hours, ALL_HOURS)
            && is_full(self.days, ALL_DAYS)
            && is_full(self.months, ALL_MONTHS)
            && is_full(self.week_days, ALL_WEEK_DAYS)
            && self.years.is_none()
    }

    /// Whether the clocks of the zone match at this second, and if so the first second from which on
    /// that is to be asked anew; none also once the steps are spent.
    pub(super) fn matches_until(&self, zone: &Zone, at: i64, steps: &mut Steps) -> Option<i64> {
        steps.take()?;
        let stretch = zone.stretch(at)?;
        let clock = stretch.clock(at)?;
        if !self.matches(clock) {
            return None;
        }
        if self.is_all() {
            return Some(i64::MAX);
        }
        let limit = stretch.end.and_then(|end| stretch.clock(end));
        let end = self
            .end_of_run(clock, limit, steps)
            .and_then(|clock| stretch.second(clock));
        // None and none: it matches for as long as there are calendars.
        Some(end.or(stretch.end).unwrap_or(i64::MAX))
    }

    fn matches(&self, clock: DateTime) -> bool {
        self.has_day(clock.date())
            && has(self.hours, clock.hour())
            && has(self.minutes, clock.minute())
            && has(self.seconds, clock.second())
    }

    fn has_year(&self, year: i16) -> bool {
        let Some(years) = self.years else { return true };
        u32::try_from(i32::from(year) - FIRST_YEAR)
            .ok()
            .and_then(|index| years.checked_shr(index))
            .is_some_and(|bits| bits & 1 == 1)
    }

    fn has_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let week_day = has(self.week_days, date.weekday().to_sunday_zero_offset());
        self.has_year(date.year())
            && has(self.months, date.month())
            && if self.one_day_is_enough {
                day || week_day
            } else {
                day && week_day
            }
    }

    /// The first matching clock time from this one on, or one after the limit; none: there is none before it.
    fn next(&self, from: DateTime, limit: Option<DateTime>, steps: &mut Steps) -> Option<DateTime> {
        let (mut date, mut time) = (from.date(), from.time());
        let last = limit.map(DateTime::date);
        while i32::from(date.year()) <= LAST_YEAR && last.is_none_or(|last| date <= last) {
            steps.take()?;
            let next_day = if !self.has_year(date.year()) {
                Date::new(date.year() + 1, 1, 1).ok()?
            } else if !has(self.months, date.month()) {
                date.first_of_month().checked_add(1.month()).ok()?
            } else {
                if self.has_day(date)
                    && let Some(time) = self.time_from(time)
                {
                    return Some(date.to_datetime(time));
                }
                date.tomorrow().ok()?
            };
            (date, time) = (next_day, Time::midnight());
        }
        None
    }

    /// The first matching time of a day from this one on.
    fn time_from(&self, from: Time) -> Option<Time> {
        let hour = first_from(self.hours, from.hour())?;
        if hour > from.hour() {
            return Time::new(
                hour,
                first_from(self.minutes, 0)?,
                first_from(self.seconds, 0)?,
                0,
            )
            .ok();
        }
        if let Some(minute) = first_from(self.minutes, from.minute()) {
            let second = if minute > from.minute() { 0 } else { from.second() };
            if let Some(second) = first_from(self.seconds, second) {
                return Time::new(hour, minute, second, 0).ok();
            }
            if let Some(minute) = first_from(self.minutes, minute + 1) {
                return Time::new(hour, minute, first_from(self.seconds, 0)?, 0).ok();
            }
        }
        let hour = first_from(self.hours, hour + 1)?;
        Time::new(
            hour,
            first_from(self.minutes, 0)?,
            first_from(self.seconds, 0)?,
            0,
        )
        .ok()
    }

    /// The first clock time after a matching one that does not match; none: there is none before the
    /// limit.
    fn end_of_run(&self, matching: DateTime, limit: Option<DateTime>, steps: &mut Steps) -> Option<DateTime> {
        let mut at = matching;
        // Whole days, hours and minutes are passed at once where all of them match.
        while i32::from(at.year()) <= LAST_YEAR && limit.is_none_or(|limit| at < limit) {
            steps.take()?;
            at = if self.seconds != ALL_SIXTY {
                at.checked_add(1.second()).ok()?
            } else if self.minutes != ALL_SIXTY {
                at.with().second(0).build().ok()?.checked_add(1.minute()).ok()?
            } else if self.hours != ALL_HOURS {
                let hour = at.with().minute(0).second(0).build().ok()?;
                hour.checked_add(1.hour()).ok()?
            } else {
                at.date().tomorrow().ok()?.to_datetime(Time::midnight())
            };
            if !self.matches(at) {
                return Some(at);
            }
        }
        None
    }
}

fn values(range: &Range) -> impl Iterator<Item = i32> + use<> {
    let step = usize::try_from(range.step.max(1)).unwrap_or(1);
    let end = range.end.max(range.start).min(LAST_YEAR);
    (range.start.max(0)..=end).step_by(step)
}

/// The values of ranges.
pub(crate) fn bits(ranges: &[Range]) -> u64 {
    ranges
        .iter()
        .flat_map(values)
        .filter(|value| (0..64).contains(value))
        .fold(0, |bits, value| bits | 1 << value)
}

fn has(bits: u64, value: i8) -> bool {
    first_from(bits, value) == Some(value)
}

/// The least value from this one on.
fn first_from(bits: u64, from: i8) -> Option<i8> {
    let rest = bits.checked_shr(u32::try_from(from).ok()?)?;
    let skipped = (rest != 0).then(|| rest.trailing_zeros())?;
    i8::try_from(skipped).ok()?.checked_add(from)
}
