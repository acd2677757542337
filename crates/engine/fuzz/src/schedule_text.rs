//! Specs of schedules as people write them. The first line is a time zone. Each line after it is a cron string, or a
//! calendar: its fields with `|` between them, and `!` in front where it excludes.

use std::str;

use temporalio_protos::temporal::api::schedule::v1::{CalendarSpec, ScheduleSpec};

use super::schedule_spec::check;

#[expect(deprecated, reason = "clients may still send `exclude_calendar`")]
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut spec = ScheduleSpec {
        timezone_name: lines.next().unwrap_or_default().to_owned(),
        ..Default::default()
    };
    for line in lines.take(8) {
        match line.strip_prefix('!') {
            Some(line) => spec.exclude_calendar.push(calendar(line)),
            None if line.contains('|') => spec.calendar.push(calendar(line)),
            None => spec.cron_string.push(line.to_owned()),
        }
    }
    check(&spec);
}

fn calendar(line: &str) -> CalendarSpec {
    let mut fields = line.split('|').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_default();
    CalendarSpec {
        second: field(),
        minute: field(),
        hour: field(),
        day_of_month: field(),
        month: field(),
        year: field(),
        day_of_week: field(),
        comment: field(),
    }
}
