//! A spec as it is kept and shown: cron strings and calendars become structured calendars and
//! intervals, with every range's end and step written out.

use temporalio_protos::temporal::api::schedule::v1::{
    CalendarSpec, IntervalSpec, Range, ScheduleSpec, StructuredCalendarSpec,
};

use super::{
    SpecError,
    cron::{self, CronTimes},
    field::{self, Field},
    zone::Zone,
};
use crate::clock::{SECOND, nanos};

/// The longest comment of a calendar.
const COMMENT: usize = 200;

/// The spec in its canonical form. Doing it again changes nothing.
///
/// # Errors
/// When some part of it cannot be read, or its time zone is unknown.
#[expect(deprecated, reason = "clients may still send `exclude_calendar`")]
pub fn canonical(spec: &ScheduleSpec) -> Result<ScheduleSpec, SpecError> {
    let mut spec = spec.clone();
    for calendar in std::mem::take(&mut spec.calendar) {
        spec.structured_calendar.push(structured(&calendar)?);
    }
    for calendar in std::mem::take(&mut spec.exclude_calendar) {
        spec.exclude_structured_calendar.push(structured(&calendar)?);
    }
    let mut zone: Option<String> = None;
    for text in std::mem::take(&mut spec.cron_string) {
        let cron = cron::parse(&text)?;
        // All of them must agree, also in naming none.
        if zone.as_ref().is_some_and(|zone| *zone != cron.zone) {
            return Err(conflicting_zones());
        }
        zone = Some(cron.zone);
        match cron.times {
            CronTimes::Calendar(calendar) => spec.structured_calendar.push(calendar),
            CronTimes::Interval(interval) => spec.interval.push(interval),
        }
    }
    if let Some(zone) = zone.filter(|zone| !zone.is_empty()) {
        let is_other = !spec.timezone_name.is_empty() && spec.timezone_name != zone;
        if is_other || !spec.timezone_data.is_empty() {
            return Err(conflicting_zones());
        }
        spec.timezone_name = zone;
    }
    for calendar in spec
        .structured_calendar
        .iter_mut()
        .chain(&mut spec.exclude_structured_calendar)
    {
        check(calendar)?;
        fields_mut(calendar).for_each(|(_, ranges)| ranges.iter_mut().for_each(write_out));
    }
    spec.interval.iter().try_for_each(check_interval)?;
    Zone::of(&spec)?;
    Ok(spec)
}

fn conflicting_zones() -> SpecError {
    SpecError::new("conflicting timezone names")
}

/// A calendar of texts as a structured one.
///
/// # Errors
/// All that is wrong with its fields.
pub fn structured(calendar: &CalendarSpec) -> Result<StructuredCalendarSpec, SpecError> {
    let mut errors = Vec::new();
    let mut ranges = |field: &Field, text: &str| match field.parse(text) {
        Ok(ranges) => ranges,
        Err(error) => {
            errors.push(error.to_string());
            Vec::new()
        }
    };
    let structured = StructuredCalendarSpec {
        second: ranges(&field::SECOND, &calendar.second),
        minute: ranges(&field::MINUTE, &calendar.minute),
        hour: ranges(&field::HOUR, &calendar.hour),
        day_of_week: ranges(&field::DAY_OF_WEEK, &calendar.day_of_week),
        day_of_month: ranges(&field::DAY_OF_MONTH, &calendar.day_of_month),
        month: ranges(&field::MONTH, &calendar.month),
        year: ranges(&field::YEAR, &calendar.year),
        comment: calendar.comment.clone(),
    };
    if errors.is_empty() {
        Ok(structured)
    } else {
        Err(SpecError::new(errors.join(", ")))
    }
}

fn fields_mut(
    calendar: &mut StructuredCalendarSpec,
) -> impl Iterator<Item = (&'static Field, &mut Vec<Range>)> {
    [
        (&field::SECOND, &mut calendar.second),
        (&field::MINUTE, &mut calendar.minute),
        (&field::HOUR, &mut calendar.hour),
        (&field::DAY_OF_MONTH, &mut calendar.day_of_month),
        (&field::MONTH, &mut calendar.month),
        (&field::YEAR, &mut calendar.year),
        (&field::DAY_OF_WEEK, &mut calendar.day_of_week),
    ]
    .into_iter()
}

fn check(calendar: &mut StructuredCalendarSpec) -> Result<(), SpecError> {
    let mut errors = Vec::new();
    for (field, ranges) in fields_mut(calendar) {
        let name = field.name;
        // Only in text is Sunday also 7.
        let (min, max) = (
            field.min,
            if *field == field::DAY_OF_WEEK {
                6
            } else {
                field.max
            },
        );
        for range in ranges {
            if !(min..=max).contains(&range.start) {
                errors.push(format!("{name} Start is not in range [{min}-{max}]"));
            }
            if range.end != 0 && (range.end < range.start || range.end > max) {
                errors.push(format!(
                    "{name} End is before Start or not in range [{min}-{max}]"
                ));
            }
            if range.step < 0 {
                errors.push(format!("{name} has invalid Step"));
            }
        }
    }
    if calendar.comment.len() > COMMENT {
        errors.push("comment is too long".to_owned());
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(SpecError::new(format!(
            "invalid calendar spec: {}",
            errors.join(", ")
        )))
    }
}

fn write_out(range: &mut Range) {
    range.end = range.end.max(range.start);
    range.step = range.step.max(1);
}

fn check_interval(interval: &IntervalSpec) -> Result<(), SpecError> {
    let (every, phase) = (nanos(interval.interval.as_ref()), nanos(interval.phase.as_ref()));
    if every < SECOND {
        Err(SpecError::new("interval is too small"))
    } else if phase < 0 {
        Err(SpecError::new("phase is negative"))
    } else if phase >= every {
        Err(SpecError::new("phase cannot be greater than Interval"))
    } else {
        Ok(())
    }
}
