//! Cron schedules of workflows: five fields, names, ranges and steps, `@every` and the other
//! descriptors, and a time zone in front, as the de-facto standard parser of the Go world understands
//! them.
//!
//! The fields, the time zones and the search for times are those of schedules. What differs is here:
//! `?` is a star; Sunday is 0 alone; names have three letters; lengths of time have no days; `@every`
//! counts from the time before and not from the epoch; and where both day fields restrict, one of
//! them is enough.

use crate::{
    clock::{Nanos, SECOND},
    schedule::{
        SpecError,
        calendar::{Calendar, bits},
        cron::{shorthand, split_zone},
        duration,
        field::{self, Field},
        steps::Steps,
        zone::Zone,
    },
};

/// A schedule that has no time within so many years has none at all.
const YEARS: i64 = 5;
const YEAR: i64 = 366 * 86_400;
/// More than one calendar can take: every day and change of clocks of all the years there are.
const STEPS: usize = 100_000;

const MONTH: Field = Field {
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
    ..field::MONTH
};
const DAY_OF_WEEK: Field = Field {
    max: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    letters: 3,
    ..field::DAY_OF_WEEK
};

/// A cron schedule.
#[derive(Clone, Debug)]
pub struct Cron {
    zone: Zone,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Again and again after so long.
    Every(Nanos),
    Fields(Box<Calendar>),
}

impl Cron {
    /// Reads a schedule.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let (zone, text) = split_zone(text)?;
        let zone = match zone {
            // The server's own zone; an engine has none.
            "Local" => Zone::default(),
            name => Zone::named(name)?,
        };
        let text = shorthand(text.trim());
        let rule = match text.strip_prefix('@') {
            Some(descriptor) => every(descriptor)?,
            None => fields(text)?,
        };
        Ok(Self { zone, rule })
    }

    /// The first time after `after`; none where there is none within years.
    pub fn next(&self, after: Nanos) -> Option<Nanos> {
        let after = after.div_euclid(SECOND);
        match &self.rule {
            Rule::Every(delay) => after.checked_mul(SECOND)?.checked_add(*delay),
            Rule::Fields(calendar) => {
                let next = calendar.next_after(&self.zone, after, &mut Steps::new(STEPS))?;
                (next - after <= YEARS * YEAR).then(|| next.checked_mul(SECOND))?
            }
        }
    }
}

/// How long after `now` the run is due that follows the one that was due at `scheduled`: whole
/// seconds, as they are rounded up. None where the text is no schedule, or its times are over.
pub fn backoff(schedule: &str, scheduled: Nanos, now: Nanos) -> Option<Nanos> {
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
pub fn check(schedule: &str, now: Nanos) -> Result<(), String> {
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

fn every(descriptor: &str) -> Result<Rule, SpecError> {
    let delay = descriptor
        .strip_prefix("every ")
        .ok_or_else(|| SpecError::new(format!("unknown descriptor @{descriptor}")))?;
    // Whole seconds, at least one.
    let seconds = (duration::parse(delay)? / SECOND).max(1);
    Ok(Rule::Every(seconds * SECOND))
}

fn fields(text: &str) -> Result<Rule, SpecError> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, week_day] = parts.as_slice() else {
        return Err(SpecError::new(format!(
            "expected 5 fields, found {}",
            parts.len()
        )));
    };
    let (days, any_day) = set(&field::DAY_OF_MONTH, day)?;
    let (week_days, any_week_day) = set(&DAY_OF_WEEK, week_day)?;
    Ok(Rule::Fields(Box::new(Calendar {
        seconds: 1,
        minutes: set(&field::MINUTE, minute)?.0,
        hours: set(&field::HOUR, hour)?.0,
        days,
        months: set(&MONTH, month)?.0,
        week_days,
        years: None,
        one_day_is_enough: !any_day && !any_week_day,
    })))
}

/// The values of a field, and whether it does not restrict: it was written as a star.
fn set(field: &Field, text: &str) -> Result<(u64, bool), SpecError> {
    let (mut values, mut is_any) = (0, false);
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let part = part.replace('?', "*");
        values |= bits(&field.parse(&part)?);
        is_any |= matches!(part.as_str(), "*" | "*/1");
    }
    Ok((values, is_any))
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};
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
        for text in [
            "0 0 30 2 *",
            "0 , * * *",
            ", * * * *",
            "* * , * *",
            "* * * , *",
            "* * * * ,",
        ] {
            let never = check(text, at("2026-01-01T00:00:00Z"));
            assert!(
                never.is_err_and(|message| message.contains("no time can be found")),
                "{text}"
            );
        }
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
