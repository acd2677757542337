//! Cron strings, to structured calendars and intervals.
//!
//! Five fields (minute, hour, day of month, month, day of week), six (and the year), or seven (and
//! the second in front); `@daily` and its like; `@every 1h/5m`; before them `CRON_TZ=` or `TZ=`,
//! after them `#` and a comment. Not as in other crons, a time must fit both the day of the month
//! and the day of the week: a schedule's calendars are always "and".

use temporalio_protos::temporal::api::schedule::v1::{CalendarSpec, IntervalSpec, StructuredCalendarSpec};

use super::{SpecError, canonical::structured, duration};
use crate::clock;

/// What a cron string says.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    /// When.
    pub times: CronTimes,
    /// The time zone's name; empty where the string names none.
    pub zone: String,
}

/// The times of a cron string.
#[derive(Clone, Debug, PartialEq)]
pub enum CronTimes {
    /// Fields.
    Calendar(StructuredCalendarSpec),
    /// `@every`.
    Interval(IntervalSpec),
}

/// Reads a cron string.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<Cron, SpecError> {
    let (zone, rest) = split_zone(text.trim())?;
    let (fields, comment) = rest.split_once('#').unwrap_or((rest, ""));
    let fields = fields.trim();
    if let Some(length) = fields.strip_prefix("@every") {
        return Ok(Cron {
            times: CronTimes::Interval(every(length)?),
            // An interval is the same in every zone.
            zone: String::new(),
        });
    }
    let calendar = CalendarSpec {
        comment: comment.trim().to_owned(),
        ..calendar(shorthand(fields))?
    };
    Ok(Cron {
        times: CronTimes::Calendar(structured(&calendar)?),
        zone: zone.to_owned(),
    })
}

/// The name of the time zone in front, empty where there is none, and what follows.
pub(crate) fn split_zone(text: &str) -> Result<(&str, &str), SpecError> {
    match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
        None => Ok(("", text)),
        Some(named) => named
            .split_once(' ')
            .ok_or_else(|| SpecError::new("CronString has time zone but missing fields")),
    }
}

fn calendar(fields: &str) -> Result<CalendarSpec, SpecError> {
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let (second, five, year) = match fields.as_slice() {
        five @ [_, _, _, _, _] => ("", five, ""),
        [five @ .., year] if five.len() == 5 => ("", five, *year),
        [second, five @ .., year] if five.len() == 5 => (*second, five, *year),
        _ => return Err(SpecError::new("CronString does not have 5-7 fields")),
    };
    let [minute, hour, day_of_month, month, day_of_week] = five else {
        return Err(SpecError::new("CronString does not have 5-7 fields"));
    };
    let owned = |field: &str| field.to_owned();
    Ok(CalendarSpec {
        second: owned(second),
        minute: owned(minute),
        hour: owned(hour),
        day_of_month: owned(day_of_month),
        month: owned(month),
        year: owned(year),
        day_of_week: owned(day_of_week),
        comment: String::new(),
    })
}

/// The fields that a name stands for; what is no name, as it is.
pub(crate) fn shorthand(fields: &str) -> &str {
    match fields {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        fields => fields,
    }
}

/// `1h`, or with a phase `1h/5m`.
fn every(text: &str) -> Result<IntervalSpec, SpecError> {
    let text = text
        .strip_prefix(char::is_whitespace)
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| SpecError::new("CronString does not have interval after @every"))?;
    let (interval, phase) = text.split_once('/').unwrap_or((text, ""));
    let phase = if phase.is_empty() {
        None
    } else {
        Some(clock::duration(duration::parse_with_days(phase)?))
    };
    Ok(IntervalSpec {
        interval: Some(clock::duration(duration::parse_with_days(interval)?)),
        phase,
    })
}
