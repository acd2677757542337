//! Times: a plain search, second by second, finds the same ones.

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use temporalio_protos::temporal::api::schedule::v1::{
    IntervalSpec, Range, ScheduleSpec, StructuredCalendarSpec,
};

use super::super::{Spec, canonical::canonical};
use crate::clock::{Nanos, SECOND, duration, timestamp};

fn at(text: &str) -> Nanos {
    text.parse::<Timestamp>().expect("a time").as_second() * SECOND
}

fn compiled(spec: &ScheduleSpec) -> Spec {
    Spec::compile(&canonical(spec).expect("a right spec")).expect("its zone is known")
}

fn cron(text: &str) -> Spec {
    compiled(&ScheduleSpec {
        cron_string: vec![text.to_owned()],
        ..Default::default()
    })
}

/// The next nominal times as text.
fn next(spec: &Spec, after: &str, count: usize) -> Vec<String> {
    let step = |after| spec.next("seed", after).map(|time| time.nominal);
    std::iter::successors(step(at(after)), |nominal| step(*nominal))
        .take(count)
        .map(|nominal| Timestamp::from_second(nominal / SECOND).unwrap().to_string())
        .collect()
}

#[test]
fn a_time_that_is_skipped_does_not_happen() {
    let spec = cron("TZ=America/New_York 30 2 * * *");
    // On 10 March 2024 the clocks go from 02:00 to 03:00.
    assert_eq!(
        next(&spec, "2024-03-09T00:00:00Z", 3),
        [
            "2024-03-09T07:30:00Z",
            "2024-03-11T06:30:00Z",
            "2024-03-12T06:30:00Z"
        ]
    );
    let hourly = cron("TZ=America/New_York 0 * * * *");
    assert_eq!(
        next(&hourly, "2024-03-10T05:30:00Z", 3),
        [
            "2024-03-10T06:00:00Z",
            "2024-03-10T07:00:00Z",
            "2024-03-10T08:00:00Z"
        ],
        "01:00, 03:00, 04:00"
    );
}

#[test]
fn a_time_that_comes_twice_happens_twice() {
    let spec = cron("TZ=America/New_York 30 1 * * *");
    // On 3 November 2024 the clocks go from 02:00 back to 01:00.
    assert_eq!(
        next(&spec, "2024-11-02T06:00:00Z", 3),
        [
            "2024-11-03T05:30:00Z",
            "2024-11-03T06:30:00Z",
            "2024-11-04T06:30:00Z"
        ]
    );
    let quarters = cron("TZ=America/New_York */30 1 3 11 *");
    assert_eq!(
        next(&quarters, "2024-11-01T00:00:00Z", 4),
        [
            "2024-11-03T05:00:00Z",
            "2024-11-03T05:30:00Z",
            "2024-11-03T06:00:00Z",
            "2024-11-03T06:30:00Z"
        ]
    );
}

#[test]
fn half_hours_and_the_southern_half_change_too() {
    // Lord Howe Island: half an hour back at 02:00 on 7 April 2024.
    let spec = cron("TZ=Australia/Lord_Howe 45 1 * * *");
    assert_eq!(
        next(&spec, "2024-04-05T20:00:00Z", 2),
        ["2024-04-06T14:45:00Z", "2024-04-06T15:15:00Z"]
    );
}

#[test]
fn leap_days_and_months_of_different_lengths() {
    assert_eq!(
        next(&cron("0 0 29 2 *"), "2024-03-01T00:00:00Z", 2),
        ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]
    );
    assert_eq!(
        next(&cron("0 0 31 * *"), "2024-03-31T00:00:00Z", 2),
        ["2024-05-31T00:00:00Z", "2024-07-31T00:00:00Z"]
    );
    assert_eq!(next(&cron("0 0 30 2 *"), "2024-01-01T00:00:00Z", 1), [""; 0]);
    assert_eq!(
        next(&cron("0 0 29 2 *"), "2096-03-01T00:00:00Z", 1),
        [""; 0],
        "2100 is none"
    );
}

#[test]
fn day_of_month_and_day_of_week_must_both_fit() {
    assert_eq!(
        next(&cron("0 0 13 * fri"), "2024-01-01T00:00:00Z", 2),
        ["2024-09-13T00:00:00Z", "2024-12-13T00:00:00Z"]
    );
}

#[test]
fn intervals_count_from_the_epoch_with_their_phase() {
    let spec = cron("@every 1h/5m");
    assert_eq!(
        next(&spec, "2024-01-01T00:05:00Z", 2),
        ["2024-01-01T01:05:00Z", "2024-01-01T02:05:00Z"]
    );
    assert_eq!(
        next(&spec, "1969-12-31T22:30:00Z", 2),
        ["1969-12-31T23:05:00Z", "1970-01-01T00:05:00Z"]
    );
}

#[test]
fn start_and_end_belong_to_the_spec() {
    let mut spec = ScheduleSpec {
        cron_string: vec!["@every 10s".to_owned()],
        start_time: Some(timestamp(at("2024-01-01T00:00:10Z"))),
        end_time: Some(timestamp(at("2024-01-01T00:00:30Z"))),
        ..Default::default()
    };
    let times = [
        "2024-01-01T00:00:10Z",
        "2024-01-01T00:00:20Z",
        "2024-01-01T00:00:30Z",
    ];
    assert_eq!(next(&compiled(&spec), "2020-01-01T00:00:00Z", 9), times);
    spec.start_time = Some(timestamp(at("2024-01-01T00:00:10Z") + 1));
    assert_eq!(next(&compiled(&spec), "2020-01-01T00:00:00Z", 9), times[1..]);
}

#[test]
fn a_search_that_is_too_long_finds_nothing() {
    // No odd year has the day, and all of them are walked through for it.
    let with = |calendars: usize| {
        let mut texts = vec!["0 0 29 2 * 2001-2099/2".to_owned(); calendars];
        texts.push("@every 1s".to_owned());
        ScheduleSpec {
            cron_string: texts,
            ..Default::default()
        }
    };
    let now = at("2024-01-01T00:00:00Z");
    let time = compiled(&with(10)).next("", now).map(|time| time.nominal);
    assert_eq!(time, Some(now + SECOND));
    assert_eq!(compiled(&with(200)).next("", now), None);
}

#[test]
fn a_spec_that_excludes_all_has_no_time() {
    let all = Range {
        start: 0,
        end: 59,
        step: 1,
    };
    let every = |ranges: Vec<Range>| StructuredCalendarSpec {
        second: ranges,
        minute: vec![all],
        hour: vec![Range { end: 23, ..all }],
        day_of_month: vec![Range {
            start: 1,
            end: 31,
            step: 1,
        }],
        month: vec![Range {
            start: 1,
            end: 12,
            step: 1,
        }],
        day_of_week: vec![Range { end: 6, ..all }],
        ..Default::default()
    };
    let excluding = |ranges: Vec<Range>| {
        compiled(&ScheduleSpec {
            cron_string: vec!["@every 2s".to_owned()],
            exclude_structured_calendar: vec![every(ranges)],
            ..Default::default()
        })
    };
    let now = at("2024-01-01T00:00:00Z");
    assert_eq!(excluding(vec![all]).next("", now), None, "all at once");
    assert_eq!(
        excluding(vec![Range { step: 2, ..all }]).next("", now),
        None,
        "one by one"
    );
    let weekdays = ScheduleSpec {
        cron_string: vec!["@every 1s".to_owned()],
        exclude_structured_calendar: vec![StructuredCalendarSpec {
            day_of_week: vec![
                Range {
                    start: 6,
                    end: 6,
                    step: 1,
                },
                Range {
                    start: 0,
                    end: 0,
                    step: 1,
                },
            ],
            ..every(vec![all])
        }],
        ..Default::default()
    };
    assert_eq!(
        next(&compiled(&weekdays), "2024-01-05T23:59:59Z", 1),
        ["2024-01-08T00:00:00Z"],
        "a weekend is passed over"
    );
}

#[test]
fn a_zone_may_be_given_as_data() {
    let mut spec = ScheduleSpec {
        cron_string: vec!["30 2 * * *".to_owned()],
        timezone_name: "Mine".to_owned(),
        timezone_data: b"not a zone".to_vec(),
        ..Default::default()
    };
    assert!(canonical(&spec).is_err());
    let Ok(data) = std::fs::read("/usr/share/zoneinfo/America/New_York") else {
        return;
    };
    spec.timezone_data = data;
    assert_eq!(
        next(&compiled(&spec), "2024-03-09T08:00:00Z", 1),
        ["2024-03-11T06:30:00Z"]
    );
}

/// Whether a calendar as it is written has this second.
fn has(calendar: &StructuredCalendarSpec, zone: &TimeZone, second: i64) -> bool {
    let clock = Timestamp::from_second(second).unwrap().to_zoned(zone.clone());
    let fits = |ranges: &[Range], value: i32| {
        ranges.iter().any(|range| {
            value >= range.start && value <= range.end && (value - range.start) % range.step == 0
        })
    };
    fits(&calendar.second, clock.second().into())
        && fits(&calendar.minute, clock.minute().into())
        && fits(&calendar.hour, clock.hour().into())
        && fits(&calendar.day_of_month, clock.day().into())
        && fits(&calendar.month, clock.month().into())
        && fits(
            &calendar.day_of_week,
            clock.weekday().to_sunday_zero_offset().into(),
        )
        && (calendar.year.is_empty() || fits(&calendar.year, clock.year().into()))
}

fn ranges(min: i32, max: i32) -> impl Strategy<Value = Vec<Range>> {
    let range = (min..=max, min..=max, 1..8_i32).prop_map(|(a, b, step)| Range {
        start: a.min(b),
        end: a.max(b),
        step,
    });
    let all = Just(Range {
        start: min,
        end: max,
        step: 1,
    });
    proptest::collection::vec(prop_oneof![range, all], 1..3)
}

fn calendars() -> impl Strategy<Value = StructuredCalendarSpec> {
    let year = proptest::option::of(ranges(2023, 2026)).prop_map(Option::unwrap_or_default);
    (
        ranges(0, 59),
        ranges(0, 59),
        ranges(0, 23),
        ranges(1, 31),
        ranges(1, 12),
        year,
        ranges(0, 6),
    )
        .prop_map(|(second, minute, hour, day_of_month, month, year, day_of_week)| {
            StructuredCalendarSpec {
                second,
                minute,
                hour,
                day_of_month,
                month,
                year,
                day_of_week,
                comment: String::new(),
            }
        })
}

/// Seconds near to where the clocks change somewhere, or anywhere.
fn seconds() -> impl Strategy<Value = i64> {
    let near = |text: &str| (at(text) / SECOND - 6_000)..(at(text) / SECOND + 6_000);
    prop_oneof![
        near("2024-03-10T07:00:00Z"),
        near("2024-11-03T06:00:00Z"),
        near("2024-04-06T15:00:00Z"),
        near("2024-02-29T00:00:00Z"),
        near("2024-12-31T23:00:00Z"),
        (at("2023-01-01T00:00:00Z") / SECOND)..(at("2026-01-01T00:00:00Z") / SECOND),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_next_time_is_the_first_one_that_fits(
        calendar in calendars(),
        exclude in proptest::option::of(calendars()),
        interval in proptest::option::of((1..5_000_i64, 0..1_000_i64)),
        zone in prop_oneof![Just("America/New_York"), Just("Australia/Lord_Howe"), Just("UTC"), Just("Asia/Kathmandu")],
        after in seconds(),
    ) {
        const LONG: i64 = 4_000;
        let interval = interval.map(|(every, phase)| (every, phase % every));
        let spec = ScheduleSpec {
            structured_calendar: vec![calendar.clone()],
            exclude_structured_calendar: exclude.clone().into_iter().collect(),
            interval: interval
                .into_iter()
                .map(|(every, phase)| IntervalSpec {
                    interval: Some(duration(every * SECOND)),
                    phase: Some(duration(phase * SECOND)),
                })
                .collect(),
            timezone_name: zone.to_owned(),
            ..Default::default()
        };
        let zone = TimeZone::get(zone).unwrap();
        let fits = |second: &i64| {
            let in_interval = interval.is_some_and(|(every, phase)| (second - phase).rem_euclid(every) == 0);
            (in_interval || has(&calendar, &zone, *second))
                && !exclude.as_ref().is_some_and(|exclude| has(exclude, &zone, *second))
        };
        let plain = (after + 1..after + LONG).find(fits);
        let found = compiled(&spec).next("seed", after * SECOND).map(|time| time.nominal / SECOND);
        match (plain, found) {
            (Some(plain), found) => prop_assert_eq!(found, Some(plain)),
            (None, Some(found)) => {
                prop_assert!(found >= after + LONG, "{} is before the end of the plain search", found);
                prop_assert!(fits(&found));
            }
            (None, None) => {}
        }
    }

    #[test]
    fn jitter_stays_between_a_time_and_the_next(
        every in 1..10_000_i64,
        longest in 0..20_000_i64,
        seed in "[a-z]{0,8}",
        after in seconds(),
    ) {
        let spec = compiled(&ScheduleSpec {
            cron_string: vec![format!("@every {every}s")],
            jitter: Some(duration(longest * SECOND)),
            ..Default::default()
        });
        let time = spec.next(&seed, after * SECOND).unwrap();
        prop_assert!(time.nominal > after * SECOND);
        prop_assert_eq!(spec.next(&seed, after * SECOND), Some(time), "the same again");
        let following = spec.next(&seed, time.nominal).unwrap();
        prop_assert_eq!(following.nominal, time.nominal + every * SECOND);
        prop_assert!(time.nominal <= time.actual && time.actual < following.nominal);
        prop_assert!(time.actual <= time.nominal + longest * SECOND);
    }
}

#[test]
fn jitter_differs_from_schedule_to_schedule() {
    let spec = compiled(&ScheduleSpec {
        cron_string: vec!["@hourly".to_owned()],
        jitter: Some(duration(1_800 * SECOND)),
        ..Default::default()
    });
    let now = at("2024-01-01T00:00:00Z");
    let put_off: std::collections::BTreeSet<_> = (0..100)
        .filter_map(|number| spec.next(&format!("1-{number}"), now))
        .map(|time| time.actual - time.nominal)
        .collect();
    assert!(put_off.len() > 90, "{put_off:?}");
    let span = put_off.last().unwrap() - put_off.first().unwrap();
    assert!(span > 1_200 * SECOND, "spread over the half hour: {span}");
}
