//! `delay`, `deadline`, `dedupe`, `schedule` and `retention` of a route.

use std::time::Duration;

use segno_event::Key;
use segno_routing::{Dedupe, Schedule, Timing};

use super::reader::{Reader, Text};
use super::routes::compiled;
use super::section::Section;
use super::{Code, Mistake, duration, table};

/// Type of the events that a schedule makes, unless told otherwise.
const SCHEDULE_TYPE: &str = "segno.schedule";

/// The shortest time that what is done is kept.
const SHORTEST_RETENTION: Duration = Duration::from_secs(1);

/// What the route's keys say; none where a mistake is in them.
pub(super) fn read(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Timing> {
    let delay = duration::read(reader, section, "delay");
    let deadline = duration::read(reader, section, "deadline");
    let retention = duration::read(reader, section, "retention")
        .filter(|retention| long_enough(reader, section, *retention));
    let durations = [("delay", delay), ("deadline", deadline), ("retention", retention)];
    let unread = durations
        .iter()
        .any(|(key, value)| section.has(key) && value.is_none());
    let dedupe = section.has("dedupe").then(|| dedupe(reader, section));
    let schedule = section.has("schedule").then(|| schedule(reader, section));
    // Known keys also where they are left out, for suggestions.
    for key in ["dedupe", "schedule"] {
        section.take(key);
    }
    if unread {
        return None;
    }
    Some(Timing {
        delay,
        deadline,
        dedupe: match dedupe {
            None => None,
            Some(dedupe) => Some(dedupe?),
        },
        schedule: match schedule {
            None => None,
            Some(schedule) => Some(schedule?),
        },
        retention,
    })
}

/// Whether a sweep can keep to a retention.
fn long_enough(reader: &mut Reader<'_>, section: &Section<'_>, retention: Duration) -> bool {
    let is_long = retention >= SHORTEST_RETENTION;
    if !is_long {
        let message = "`retention` must be at least a second";
        let help = "write how long what is done is kept, as in \"7d\"";
        let span = section.key_span("retention").unwrap_or_default();
        reader.report(Mistake::new(Code::Duration, message, help).at(span, "too short"));
    }
    is_long
}

fn dedupe(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Dedupe> {
    let what = format!("the dedupe window of {}", section.what);
    let mut section = section.table(reader, "dedupe", &what)?;
    let key = section.required(reader, "key");
    let key = key.and_then(|text| compiled(reader, &text, Code::Key, Key::compile));
    if !section.has("window") {
        section.missing(reader, "window");
    }
    let window = duration::read(reader, &mut section, "window");
    section.finish(reader);
    Some(Dedupe {
        key: key?,
        window: window?,
    })
}

fn schedule(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Schedule> {
    let what = format!("the schedule of {}", section.what);
    let mut section = section.table(reader, "schedule", &what)?;
    let cron = section.required(reader, "cron");
    let zone = section.string(reader, "time_zone");
    let ty = section.string(reader, "type");
    let data = section.take("data").map(|value| table::read(reader, value));
    section.finish(reader);
    let cron = cron?;
    check(reader, &cron, zone.as_ref())?;
    if let Some(ty) = &ty
        && (ty.text.is_empty() || ty.text.chars().any(char::is_control))
    {
        let help = "write the type of the event that the route is given, such as type = \"report.due\"";
        let mistake = Mistake::new(Code::Value, "this is no event type", help);
        reader.report(mistake.at(ty.span.clone(), "not a type"));
        return None;
    }
    Some(Schedule {
        cron: cron.text.to_owned(),
        time_zone: zone.map_or_else(|| "UTC".to_owned(), |zone| zone.text.to_owned()),
        ty: ty.map_or_else(|| SCHEDULE_TYPE.to_owned(), |ty| ty.text.to_owned()),
        data: match data {
            None => None,
            Some(data) => Some(data?),
        },
    })
}

/// Whether the embedded engine takes the times; a cluster is asked when the program starts.
#[cfg(feature = "embedded")]
fn check(reader: &mut Reader<'_>, cron: &Text<'_>, zone: Option<&Text<'_>>) -> Option<()> {
    use temporalio_common::protos::temporal::api::schedule::v1::ScheduleSpec;

    let zone_name = zone.map_or("UTC", |zone| zone.text);
    let spec = |cron: &str, zone: &str| ScheduleSpec {
        cron_string: vec![cron.to_owned()],
        timezone_name: zone.to_owned(),
        ..Default::default()
    };
    let taken = |cron: &str, zone: &str| segno_engine::schedule::canonical::canonical(&spec(cron, zone));
    let help =
        "five fields, minute hour day month weekday, as in \"0 9 * * mon-fri\"; or \"@daily\", \"@every 6h\"";
    // The time zone has a key of its own.
    if cron.text.to_ascii_uppercase().contains("TZ=") {
        let help = "write the time zone as time_zone = \"Europe/Berlin\"";
        let mistake = Mistake::new(Code::Schedule, "the times name a time zone", help);
        reader.report(mistake.at(cron.span.clone(), "this one"));
        return None;
    }
    if let Err(error) = taken(cron.text, "UTC") {
        let mistake = Mistake::new(Code::Schedule, format!("these are no times: {error}"), help);
        reader.report(mistake.at(cron.span.clone(), "not a cron string"));
        return None;
    }
    if let Err(error) = taken(cron.text, zone_name)
        && let Some(zone) = zone
    {
        let help = "write a name of the IANA time zone database, such as \"Europe/Berlin\"";
        let mistake = Mistake::new(
            Code::Schedule,
            format!("there is no such time zone: {error}"),
            help,
        );
        reader.report(mistake.at(zone.span.clone(), "not a time zone"));
        return None;
    }
    Some(())
}

/// Nothing here knows cron strings: the cluster is asked when the program starts.
#[cfg(not(feature = "embedded"))]
fn check(_reader: &mut Reader<'_>, _cron: &Text<'_>, _zone: Option<&Text<'_>>) -> Option<()> {
    Some(())
}
