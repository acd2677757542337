//! Cron schedules: five fields, names, ranges and steps, `@every` and the other descriptors, and a
//! time zone in front, as the de-facto standard parser of the Go world understands them.
//!
//! A schedule stands for every whole minute whose wall clock in the zone fits the fields. So where
//! clocks are put forward the skipped times do not come, and where they are put back the repeated
//! ones come twice.

use jiff::{Timestamp, ToSpan as _, Zoned, civil::Date, tz::TimeZone};

use crate::clock::{Nanos, SECOND};

/// A schedule that has no time within so many years has none at all.
const YEARS: i16 = 5;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The text is not a cron schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CronError(String);

/// A cron schedule.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    zone: TimeZone,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Again and again after so long.
    Every(Nanos),
    Fields(Box<Fields>),
}

#[derive(Clone, Debug)]
struct Fields {
    minute: Set,
    hour: Set,
    day: Set,
    month: Set,
    weekday: Set,
}

/// The values of one field, a bit each.
#[derive(Clone, Copy, Debug, Default)]
struct Set {
    bits: u64,
    /// It was written as a star: it does not restrict.
    is_any: bool,
}

impl Set {
    fn has(self, value: i8) -> bool {
        self.bits >> value & 1 == 1
    }
}

impl Cron {
    /// Reads a schedule.
    pub(crate) fn parse(text: &str) -> Result<Self, CronError> {
        let (zone, text) = match text.strip_prefix("CRON_TZ=").or(text.strip_prefix("TZ=")) {
            Some(rest) => {
                let (name, rest) = rest
                    .split_once(' ')
                    .ok_or_else(|| CronError("nothing follows the time zone".into()))?;
                (zone(name)?, rest.trim())
            }
            None => (TimeZone::UTC, text.trim()),
        };
        let rule = match text.strip_prefix('@') {
            Some(descriptor) => described(descriptor)?,
            None => fields(text)?,
        };
        Ok(Self { zone, rule })
    }

    /// The first time after `after`; none where there is none within years.
    pub(crate) fn next(&self, after: Nanos) -> Option<Nanos> {
        match &self.rule {
            Rule::Every(delay) => after.div_euclid(SECOND).checked_mul(SECOND)?.checked_add(*delay),
            Rule::Fields(fields) => fields.next(&self.zone, after),
        }
    }
}

/// How long after `now` the run is due that follows the one that was due at `scheduled`: whole
/// seconds, as they are rounded up. None where the text is no schedule, or its times are over.
pub(crate) fn backoff(schedule: &str, scheduled: Nanos, now: Nanos) -> Option<Nanos> {
    let cron = Cron::parse(schedule).ok()?;
    let mut next = if now < scheduled {
        scheduled
    } else {
        cron.next(scheduled)?
    };
    if next < now {
        // What was missed is left out.
        next = cron.next_not_before(next, now)?;
    }
    let rest = next.saturating_sub(now);
    Some(rest.saturating_add(SECOND - 1) / SECOND * SECOND)
}

/// What is wrong with the schedule of a request, if anything. An empty one is none.
pub(crate) fn check(schedule: &str, now: Nanos) -> Result<(), String> {
    if schedule.is_empty() {
        return Ok(());
    }
    let cron = Cron::parse(schedule).map_err(|_| "invalid CronSchedule.".to_owned())?;
    match cron.next(now) {
        Some(_) => Ok(()),
        None => Err("invalid CronSchedule, no time can be found to satisfy the schedule".into()),
    }
}

impl Cron {
    /// The first time of the row that goes through `from` which is not before `bound`.
    fn next_not_before(&self, from: Nanos, bound: Nanos) -> Option<Nanos> {
        match &self.rule {
            Rule::Every(delay) => {
                let steps = (bound - from + delay - 1) / delay;
                from.checked_add(steps.checked_mul(*delay)?)
            }
            Rule::Fields(_) => self.next(bound - 1),
        }
    }
}

impl Fields {
    fn next(&self, zone: &TimeZone, after: Nanos) -> Option<Nanos> {
        let minute = 60 * SECOND;
        let start = after.div_euclid(minute).checked_add(1)?.checked_mul(minute)?;
        let mut at = Timestamp::from_nanosecond(start.into())
            .ok()?
            .to_zoned(zone.clone());
        let last_year = at.year().checked_add(YEARS)?;
        while at.year() <= last_year {
            if !self.month.has(at.month()) {
                at = begin_of(at.date().first_of_month().checked_add(1.month()).ok()?, zone)?;
            } else if !self.fits_day(&at) {
                at = begin_of(at.date().tomorrow().ok()?, zone)?;
            } else if !self.hour.has(at.hour()) {
                at = at.checked_add((60 - i64::from(at.minute())).minutes()).ok()?;
            } else if !self.minute.has(at.minute()) {
                at = at.checked_add(1.minute()).ok()?;
            } else {
                return i64::try_from(at.timestamp().as_nanosecond()).ok();
            }
        }
        None
    }

    /// Where both day fields restrict, one of them is enough.
    fn fits_day(&self, at: &Zoned) -> bool {
        let day = self.day.has(at.day());
        let weekday = self.weekday.has(at.weekday().to_sunday_zero_offset());
        if self.day.is_any || self.weekday.is_any {
            day && weekday
        } else {
            day || weekday
        }
    }
}

fn begin_of(date: Date, zone: &TimeZone) -> Option<Zoned> {
    date.to_zoned(zone.clone()).ok()
}

fn zone(name: &str) -> Result<TimeZone, CronError> {
    match name {
        // "Local" is the server's own zone; an engine has none.
        "" | "UTC" | "Local" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| CronError(format!("unknown time zone {name}"))),
    }
}

fn described(descriptor: &str) -> Result<Rule, CronError> {
    let text = match descriptor {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        other => {
            let delay = other
                .strip_prefix("every ")
                .ok_or_else(|| CronError(format!("unknown descriptor @{other}")))?;
            let delay = duration(delay).ok_or_else(|| CronError(format!("no duration: {delay}")))?;
            // Whole seconds, at least one.
            return Ok(Rule::Every((delay / SECOND).max(1) * SECOND));
        }
    };
    fields(text)
}

fn fields(text: &str) -> Result<Rule, CronError> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = parts.as_slice() else {
        return Err(CronError(format!("expected 5 fields, found {}", parts.len())));
    };
    Ok(Rule::Fields(Box::new(Fields {
        minute: set(minute, 0, 59, &[])?,
        hour: set(hour, 0, 23, &[])?,
        day: set(day, 1, 31, &[])?,
        month: set(month, 1, 12, &MONTHS)?,
        weekday: set(weekday, 0, 6, &WEEKDAYS)?,
    })))
}

/// One field: ranges with commas between them.
fn set(text: &str, min: u32, max: u32, names: &[&str]) -> Result<Set, CronError> {
    let mut set = Set::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (bits, is_any) = range(part, min, max, names)?;
        set.bits |= bits;
        set.is_any |= is_any;
    }
    Ok(set)
}

/// `*`, `n`, `n-m`, each with `/step` or without.
fn range(text: &str, min: u32, max: u32, names: &[&str]) -> Result<(u64, bool), CronError> {
    let wrong = |what: &str| CronError(format!("{what}: {text}"));
    let value = |text: &str| -> Result<u32, CronError> {
        if let Some(index) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(min + index as u32);
        }
        text.parse().map_err(|_| wrong("not a number"))
    };
    let (span, step) = match text.split_once('/') {
        Some((span, step)) => (span, Some(step.parse::<u32>().map_err(|_| wrong("not a step"))?)),
        None => (text, None),
    };
    let is_star = matches!(span, "*" | "?");
    let (first, last) = if is_star {
        (min, max)
    } else if let Some((first, last)) = span.split_once('-') {
        (value(first)?, value(last)?)
    } else {
        let first = value(span)?;
        // "n/step" goes from n to the end.
        (first, if step.is_some() { max } else { first })
    };
    let step = step.unwrap_or(1);
    if first < min || last > max || first > last {
        return Err(wrong("out of range"));
    }
    if step == 0 {
        return Err(wrong("the step is 0"));
    }
    let bits = (first..=last)
        .step_by(step as usize)
        .fold(0, |bits, value| bits | 1 << value);
    Ok((bits, is_star && step == 1))
}

/// `1h30m`, `1.5h`, `100ms` and the like.
fn duration(text: &str) -> Option<Nanos> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let length = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * length;
        rest = after;
    }
    let is_one = !text.trim_start_matches(['+', '-']).is_empty();
    (is_one && total < Nanos::MAX as f64).then_some(if is_negative { -total } else { total } as Nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Nanos {
        let timestamp: Timestamp = text.parse().expect("a time");
        i64::try_from(timestamp.as_nanosecond()).expect("in range")
    }

    fn next(schedule: &str, after: &str) -> String {
        let next = Cron::parse(schedule).expect("a schedule").next(at(after));
        let next = Timestamp::from_nanosecond(next.expect("a time").into());
        next.expect("in range").to_string()
    }

    #[test]
    fn fields_lists_ranges_and_steps() {
        for (schedule, after, expected) in [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("* * * * *", "2026-01-01T00:00:59.9Z", "2026-01-01T00:01:00Z"),
            ("*/15 * * * *", "2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"),
            ("5/20 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T00:45:00Z"),
            ("0 9-17/4 * * *", "2026-01-01T10:00:00Z", "2026-01-01T13:00:00Z"),
            (
                "0,30 8 * * MON-FRI",
                "2026-01-02T08:30:00Z",
                "2026-01-05T08:00:00Z",
            ),
            ("0 0 29 feb ?", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"),
            ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
        ] {
            assert_eq!(next(schedule, after), expected, "{schedule} after {after}");
        }
    }

    #[test]
    fn one_of_two_day_fields_is_enough_unless_one_is_a_star() {
        // 2026-01-02 is a Friday.
        assert_eq!(
            next("0 0 13 * FRI", "2026-01-01T00:00:00Z"),
            "2026-01-02T00:00:00Z"
        );
        assert_eq!(
            next("0 0 * * FRI", "2026-01-02T00:00:00Z"),
            "2026-01-09T00:00:00Z"
        );
        // A star with a step does restrict.
        assert_eq!(
            next("0 0 */30 * FRI", "2026-01-02T00:00:00Z"),
            "2026-01-09T00:00:00Z"
        );
        assert_eq!(next("0 0 13 * *", "2026-01-02T00:00:00Z"), "2026-01-13T00:00:00Z");
    }

    #[test]
    fn descriptors() {
        for (schedule, expected) in [
            ("@hourly", "2026-01-01T01:00:00Z"),
            ("@daily", "2026-01-02T00:00:00Z"),
            ("@midnight", "2026-01-02T00:00:00Z"),
            ("@weekly", "2026-01-04T00:00:00Z"),
            ("@monthly", "2026-02-01T00:00:00Z"),
            ("@yearly", "2027-01-01T00:00:00Z"),
            ("@annually", "2027-01-01T00:00:00Z"),
            ("@every 1h30m", "2026-01-01T01:30:10Z"),
            ("@every 1.5s", "2026-01-01T00:00:11Z"),
            ("@every 10ms", "2026-01-01T00:00:11Z"),
        ] {
            assert_eq!(next(schedule, "2026-01-01T00:00:10.25Z"), expected, "{schedule}");
        }
    }

    #[test]
    fn time_zones_and_the_days_on_which_clocks_change() {
        let berlin = |fields: &str, after: &str| next(&format!("CRON_TZ=Europe/Berlin {fields}"), after);
        assert_eq!(
            berlin("0 9 * * *", "2026-01-01T09:00:00Z"),
            "2026-01-02T08:00:00Z"
        );
        assert_eq!(
            berlin("0 9 * * *", "2026-07-01T09:00:00Z"),
            "2026-07-02T07:00:00Z"
        );
        // 2026-03-29 has no 02:30, 2026-10-25 has it twice.
        assert_eq!(
            berlin("30 2 * * *", "2026-03-28T12:00:00Z"),
            "2026-03-30T00:30:00Z"
        );
        assert_eq!(
            berlin("30 2 * * *", "2026-10-24T12:00:00Z"),
            "2026-10-25T00:30:00Z"
        );
        assert_eq!(
            berlin("30 2 * * *", "2026-10-25T00:30:00Z"),
            "2026-10-25T01:30:00Z"
        );
        assert_eq!(
            next("TZ=Asia/Kolkata @daily", "2026-01-01T00:00:00Z"),
            "2026-01-01T18:30:00Z"
        );
        assert_eq!(
            next("TZ=UTC 0 0 * * *", "2026-01-01T00:00:00Z"),
            "2026-01-02T00:00:00Z"
        );
    }

    #[test]
    fn what_is_not_a_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "5-1 * * * *",
            "*/0 * * * *",
            "1-2-3 * * * *",
            "a * * * *",
            "@sometimes",
            "@every",
            "@every soon",
            "TZ=Nowhere/Land * * * * *",
            "TZ=UTC",
        ] {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
        assert_eq!(check("", 0), Ok(()));
        assert_eq!(check("nonsense", 0), Err("invalid CronSchedule.".to_owned()));
        let never = check("0 0 30 2 *", at("2026-01-01T00:00:00Z"));
        assert!(never.is_err_and(|message| message.contains("no time can be found")));
    }

    #[test]
    fn the_next_run_is_the_first_that_was_not_missed() {
        let scheduled = at("2026-01-01T00:00:00Z");
        let now = at("2026-01-01T00:03:20.5Z");
        assert_eq!(backoff("* * * * *", scheduled, now), Some(40 * SECOND));
        assert_eq!(backoff("@every 30s", scheduled, now), Some(10 * SECOND));
        assert_eq!(backoff("* * * * *", now, scheduled), Some(201 * SECOND));
        assert_eq!(backoff("nonsense", scheduled, now), None);
        assert_eq!(backoff("0 0 30 2 *", scheduled, now), None);
    }

    proptest! {
        #[test]
        fn the_next_time_is_the_first_whole_minute_that_fits(
            minute in 0..60_i8, hour in 0..24_i8, after in 1_700_000_000..1_900_000_000_i64,
        ) {
            let cron = Cron::parse(&format!("{minute} {hour} * * *")).expect("a schedule");
            let next = cron.next(after * SECOND).expect("a time");
            let civil = Timestamp::from_nanosecond(next.into()).expect("in range").to_zoned(TimeZone::UTC);
            prop_assert_eq!((civil.minute(), civil.hour(), civil.second()), (minute, hour, 0));
            prop_assert!(next > after * SECOND && next <= (after + 86_400) * SECOND);
        }
    }
}
