//! When routes run, and how long what they did is kept.

use std::time::Duration;

use segno::config::Code;

use super::{list, mistakes::with, parse, told};

#[test]
fn routes_have_times_and_keys() {
    let route = |options: &str| format!("[[routes]]\nname = \"r\"\non = \"*\"\nworkflow = \"W\"\n{options}");
    let config = parse(&route(
        "delay = \"1m\"\ndeadline = \"1h\"\ndedupe = { key = \"event.id\", window = \"10m\" }\n\
         schedule = { cron = \"0 9 * * mon-fri\", time_zone = \"Europe/Berlin\", data = { a = [1] } }",
    ))
    .expect("no mistakes");
    let timing = &config.routes.get("r").expect("the route").timing;
    assert_eq!(timing.delay, Some(Duration::from_secs(60)));
    assert_eq!(timing.deadline, Some(Duration::from_secs(3600)));
    assert_eq!(
        timing.dedupe.as_ref().expect("a window").window,
        Duration::from_secs(600)
    );
    let schedule = timing.schedule.as_ref().expect("a schedule");
    assert_eq!(
        (schedule.time_zone.as_str(), schedule.ty.as_str()),
        ("Europe/Berlin", "segno.schedule")
    );
    assert_eq!(schedule.data, Some(serde_json::json!({"a": [1]})));
    // By its schedule alone, said by an empty list.
    let alone =
        parse(&route("schedule = { cron = \"0 9 * * *\" }").replace("\"*\"", "[]")).expect("no mistakes");
    assert!(alone.routes.get("r").expect("the route").on.is_empty());
    for (options, code) in [
        ("delay = \"soon\"", Code::Duration),
        ("deadline = \"0s\"", Code::Duration),
        ("dedupe = { window = \"1m\" }", Code::Missing),
        ("dedupe = { key = \"event.id\" }", Code::Missing),
        ("dedupe = { key = \"event.\", window = \"1m\" }", Code::Key),
        (
            "dedupe = { key = \"event.id\", window = \"1m\", windows = 1 }",
            Code::UnknownKey,
        ),
        ("schedule = { cron = \"9 o'clock\" }", Code::Schedule),
        ("schedule = { cron = \"CRON_TZ=UTC 0 9 * * *\" }", Code::Schedule),
        (
            "schedule = { cron = \"0 9 * * *\", time_zone = \"Berlin\" }",
            Code::Schedule,
        ),
        ("schedule = { time_zone = \"UTC\" }", Code::Missing),
        ("schedule = { cron = \"0 9 * * *\", type = \"\" }", Code::Value),
    ] {
        let mistakes = parse(&route(options)).expect_err(options);
        let codes: Vec<_> = mistakes.iter().map(|mistake| mistake.code()).collect();
        assert_eq!(codes, [code], "{options}: {:?}", list(&mistakes));
    }
}

#[test]
fn a_retention_is_a_time_from_a_second_on() {
    let config = parse(&with("retention = \"7d\"")).expect("no mistakes");
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    assert_eq!(
        config.routes.get("r").expect("the route").timing.retention,
        Some(week)
    );
    let config = parse(&with("retention = \"1s\"")).expect("no mistakes");
    let second = Duration::from_secs(1);
    assert_eq!(
        config.routes.get("r").expect("the route").timing.retention,
        Some(second)
    );
    let config = parse(&with("")).expect("no mistakes");
    assert_eq!(config.routes.get("r").expect("the route").timing.retention, None);
    for (line, code, marked, remedy) in [
        (
            "retention = \"a week\"",
            Code::Duration,
            "\"a week\"",
            "write a number and a unit",
        ),
        (
            "retention = \"7\"",
            Code::Duration,
            "\"7\"",
            "write a number and a unit",
        ),
        (
            "retention = \"0s\"",
            Code::Duration,
            "\"0s\"",
            "write a number and a unit",
        ),
        (
            "retention = \"11y\"",
            Code::Duration,
            "\"11y\"",
            "write a number and a unit",
        ),
        (
            "retention = \"999ms\"",
            Code::Duration,
            "retention",
            "as in \"7d\"",
        ),
        ("retention = 7", Code::Type, "7", "write a string"),
        ("retention = [\"7d\"]", Code::Type, "[\"7d\"]", "write a string"),
        ("retain = \"7d\"", Code::UnknownKey, "retain", "`retention`"),
    ] {
        told(&with(line), &[(code, 4, marked, remedy)]);
    }
    // It is a route's: neither an action's nor the file's.
    told(
        "retention = \"7d\"\n",
        &[(Code::UnknownKey, 1, "retention", "there is")],
    );
}
