//! Texts: what they mean, what is said about wrong ones, and that no text does harm.

use proptest::prelude::*;
use temporalio_protos::temporal::api::schedule::v1::{CalendarSpec, IntervalSpec, Range, ScheduleSpec};

use super::super::{
    Spec,
    canonical::canonical,
    cron::{self, CronTimes},
    duration,
    field::{self, Field},
};
use crate::clock::{SECOND, duration as proto};

/// The ranges, each as `start-end/step`.
fn ranges(field: &Field, text: &str) -> String {
    let shown = |range: &Range| format!("{}-{}/{}", range.start, range.end, range.step);
    match field.parse(text) {
        Ok(ranges) => ranges.iter().map(shown).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn fields_have_values_ranges_steps_lists_and_names() {
    assert_eq!(ranges(&field::MINUTE, ""), "0-0/1");
    assert_eq!(ranges(&field::MINUTE, "*/15"), "0-59/15");
    assert_eq!(ranges(&field::MINUTE, "7/20"), "7-59/20");
    assert_eq!(ranges(&field::MINUTE, "1-5/2,8,10-11"), "1-5/2 8-8/1 10-11/1");
    assert_eq!(ranges(&field::MONTH, "JAN-mar,sept"), "1-3/1 9-9/1");
    assert_eq!(ranges(&field::DAY_OF_WEEK, "mon-fri"), "1-5/1");
    assert_eq!(ranges(&field::YEAR, "*"), "", "every year is no range");
    assert_eq!(ranges(&field::YEAR, "2024/4"), "2024-2100/4");
}

#[test]
fn sunday_is_also_seven() {
    assert_eq!(ranges(&field::DAY_OF_WEEK, "7"), "0-0/1");
    assert_eq!(ranges(&field::DAY_OF_WEEK, "*"), "0-6/1");
    assert_eq!(ranges(&field::DAY_OF_WEEK, "5-7"), "0-0/1 5-6/1");
    assert_eq!(ranges(&field::DAY_OF_WEEK, "1/2"), "0-0/1 1-6/2");
    assert_eq!(ranges(&field::DAY_OF_WEEK, "3-7/3"), "3-6/3");
    // Here the real server forgets the Sunday.
    assert_eq!(ranges(&field::DAY_OF_WEEK, "1-7"), "0-6/1");
}

#[test]
fn wrong_fields_are_told_by_name() {
    assert_eq!(ranges(&field::MINUTE, "60"), "Minute is not in range [0-59]");
    assert_eq!(ranges(&field::MINUTE, "a"), "Minute is not in range [0-59]");
    assert_eq!(ranges(&field::MINUTE, "*/0"), "Minute has invalid Step");
    assert_eq!(ranges(&field::MINUTE, "1-2-3"), "Minute has too many dashes");
    assert_eq!(ranges(&field::MINUTE, "1/2/3"), "Minute has too many slashes");
    assert_eq!(
        ranges(&field::DAY_OF_WEEK, "fri-mon"),
        "DayOfWeek End is before Start or not in range [0-7]"
    );
}

/// The error of a cron string.
fn refused(text: &str) -> String {
    cron::parse(text).expect_err("it is wrong").to_string()
}

#[test]
fn cron_strings_become_calendars_and_intervals() {
    let cron = cron::parse(" CRON_TZ=Europe/Berlin 30 12 * * Fri 2030 # lunch ").unwrap();
    assert_eq!(cron.zone, "Europe/Berlin");
    let CronTimes::Calendar(calendar) = cron.times else {
        panic!("a calendar")
    };
    assert_eq!(calendar.comment, "lunch");
    assert_eq!((calendar.minute[0].start, calendar.hour[0].start), (30, 12));
    assert_eq!((calendar.day_of_week[0].start, calendar.year[0].start), (5, 2030));
    let CronTimes::Calendar(calendar) = cron::parse("5 * * * * * *").unwrap().times else {
        panic!("a calendar")
    };
    assert_eq!((calendar.second[0].start, calendar.minute[0].end), (5, 59));
    let cron = cron::parse("TZ=Asia/Tokyo @every 1h30m/10m").unwrap();
    let interval = IntervalSpec {
        interval: Some(proto(5_400 * SECOND)),
        phase: Some(proto(600 * SECOND)),
    };
    assert_eq!(
        (cron.times, cron.zone.as_str()),
        (CronTimes::Interval(interval), "")
    );
    for (name, fields) in [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ] {
        assert_eq!(cron::parse(name), cron::parse(fields));
    }
}

#[test]
fn wrong_cron_strings_are_told() {
    assert_eq!(refused(""), "CronString does not have 5-7 fields");
    assert_eq!(refused("* * * * * * * *"), "CronString does not have 5-7 fields");
    assert_eq!(refused("@fortnightly"), "CronString does not have 5-7 fields");
    assert_eq!(refused("TZ=UTC"), "CronString has time zone but missing fields");
    assert_eq!(
        refused("@every"),
        "CronString does not have interval after @every"
    );
    assert_eq!(
        refused("@every 1x"),
        "time: unknown unit \"x\" in duration \"1x\""
    );
    assert_eq!(refused("@every 30"), "time: missing unit in duration \"30\"");
    assert_eq!(
        refused("0 0 ? * ?"),
        "DayOfWeek is not in range [0-7], DayOfMonth is not in range [1-31]"
    );
}

#[test]
fn durations_are_as_in_go_and_have_days() {
    for (text, length) in [
        ("1h30m", Some(5_400 * SECOND)),
        ("1.5s", Some(3 * SECOND / 2)),
        ("2d12h", Some(60 * 3_600 * SECOND)),
        ("-5m", Some(-300 * SECOND)),
        (".5ms", Some(500_000)),
        ("0", Some(0)),
        ("", None),
        ("-", None),
        (".s", None),
        ("1s.", None),
        ("99999999999h", None),
    ] {
        assert_eq!(duration::parse_with_days(text).ok(), length, "{text:?}");
    }
}

/// The canonical form of one cron string, or why there is none.
fn spec(change: impl FnOnce(&mut ScheduleSpec)) -> Result<ScheduleSpec, String> {
    let mut spec = ScheduleSpec::default();
    change(&mut spec);
    canonical(&spec).map_err(|error| error.to_string())
}

#[test]
fn zones_of_cron_strings_must_agree() {
    let both = |a: &str, b: &str| {
        spec(|spec| spec.cron_string = vec![a.to_owned(), b.to_owned()]).map(|spec| spec.timezone_name)
    };
    let conflict = Err("conflicting timezone names".to_owned());
    assert_eq!(
        both("TZ=Europe/Berlin @daily", "CRON_TZ=Europe/Berlin @hourly"),
        Ok("Europe/Berlin".to_owned())
    );
    assert_eq!(both("TZ=Europe/Berlin @daily", "@hourly"), conflict);
    let with_name = spec(|spec| {
        spec.cron_string = vec!["TZ=Europe/Berlin @daily".to_owned()];
        spec.timezone_name = "Europe/Paris".to_owned();
    });
    assert_eq!(with_name.map(|spec| spec.timezone_name), conflict);
    let nowhere = spec(|spec| spec.timezone_name = "Nowhere/Land".to_owned());
    assert_eq!(nowhere, Err("unknown time zone Nowhere/Land".to_owned()));
}

#[test]
fn intervals_are_checked() {
    let interval = |every: i64, phase: i64| {
        let checked = spec(|spec| {
            spec.interval = vec![IntervalSpec {
                interval: Some(proto(every)),
                phase: Some(proto(phase)),
            }];
        });
        checked.map(drop).err().unwrap_or_default()
    };
    assert_eq!(interval(SECOND, 0), "");
    assert_eq!(interval(SECOND - 1, 0), "interval is too small");
    assert_eq!(interval(SECOND, -1), "phase is negative");
    assert_eq!(interval(SECOND, SECOND), "phase cannot be greater than Interval");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        // Near to what is meant.
        "(CRON_TZ=|TZ=|@every |@daily|)([*0-9a-zA-Z,/#@=. -]|jan|sun|\\*/|2[01][0-9]{2}){0,40}",
        "([0-9*]{1,4}[-/, ]?){5,9}",
    ]
}

proptest! {
    #[test]
    fn no_text_does_harm(text in text(), after in any::<i64>()) {
        let _ = duration::parse_with_days(&text);
        for field in [field::SECOND, field::DAY_OF_WEEK, field::MONTH, field::YEAR] {
            if let Ok(ranges) = field.parse(&text) {
                let max = if field == field::DAY_OF_WEEK { 6 } else { field.max };
                for range in ranges {
                    prop_assert!(field.min <= range.start && range.start <= range.end && range.end <= max);
                    prop_assert!(range.step >= 1);
                }
            }
        }
        let spec = ScheduleSpec { cron_string: vec![text], ..Default::default() };
        if let Ok(spec) = canonical(&spec) {
            prop_assert_eq!(&canonical(&spec).unwrap(), &spec, "once is enough");
            let _ = Spec::compile(&spec).unwrap().next("seed", after);
        }
    }

    #[test]
    fn no_calendar_does_harm(
        fields in proptest::collection::vec(text(), 7),
        ranges in proptest::collection::vec((any::<i32>(), any::<i32>(), any::<i32>()), 0..4),
        after in any::<i64>(),
    ) {
        let [second, minute, hour, day_of_month, month, year, day_of_week] = <[String; 7]>::try_from(fields).unwrap();
        let calendar = CalendarSpec { second, minute, hour, day_of_month, month, year, day_of_week, comment: String::new() };
        let _ = canonical(&ScheduleSpec { calendar: vec![calendar], ..Default::default() });
        let mut raw = ScheduleSpec { structured_calendar: vec![Default::default()], ..Default::default() };
        raw.structured_calendar[0].minute = ranges
            .into_iter()
            .map(|(start, end, step)| Range { start, end, step })
            .collect();
        let _ = canonical(&raw);
        // Also a spec that nobody has checked is only a spec without times.
        let _ = Spec::compile(&raw).unwrap().next("seed", after);
    }
}
