//! `[outbox.NAME]`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use segno_routing::is_route_name;
use segno_sinks::Confidential;
use serde::{Deserialize, Deserializer, de};

use super::reader::{Reader, Value, text_of};
use super::section::Section;
use super::{Code, Mistake, suggest, table};

/// `[outbox.NAME]`: a relay from the outbox in a database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    /// The URL of the database.
    pub database: Confidential,
    /// The sink that takes the events. None: Segno's own intake.
    pub to: Option<String>,
    /// Whether the relay makes the tables.
    #[serde(default)]
    pub migrate: bool,
    /// A table of Debezium's layout to be connected.
    pub debezium: Option<Debezium>,
    /// Opens encrypted payloads.
    #[serde(default, rename = "keys")]
    pub encryption: Encryption,
    /// Rows that are published together, at most.
    pub batch: Option<NonZeroU32>,
    /// Longest pause between two looks.
    #[serde(default, deserialize_with = "duration")]
    pub max_pause: Option<Duration>,
    /// How long publishing a batch may take.
    #[serde(default, deserialize_with = "duration")]
    pub publish_timeout: Option<Duration>,
    /// After so many attempts a row is parked.
    pub max_attempts: Option<NonZeroU32>,
    /// How long published rows are kept.
    #[serde(default, deserialize_with = "duration")]
    pub retention: Option<Duration>,
    /// The age at which a row counts as stranded.
    #[serde(default, deserialize_with = "duration")]
    pub stranded_after: Option<Duration>,
    /// Most connections to the database.
    pub connections: Option<NonZeroU32>,
}

/// Keys by their ids, each 32 bytes in base64.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Encryption(pub BTreeMap<String, Confidential>);

/// A table of Debezium's layout.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debezium {
    /// The source of its events.
    pub source: String,
    /// Its name. None: `outboxevent`.
    pub table: Option<String>,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match humantime::parse_duration(&text) {
        Ok(duration) if duration.is_zero() => {
            Err(de::Error::custom("a duration must be longer than nothing"))
        }
        Ok(duration) => Ok(Some(duration)),
        Err(error) => Err(de::Error::custom(format_args!("duration {text:?}: {error}"))),
    }
}

/// The outboxes without a mistake.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Option<Section<'_>>,
    sinks: &[String],
) -> BTreeMap<String, Outbox> {
    let mut outboxes = BTreeMap::new();
    let Some(section) = section else { return outboxes };
    for (name, value) in section.entries() {
        if !is_route_name(name.text) {
            let help = "use letters, digits, dots, underscores and hyphens, at most 100";
            let mistake = Mistake::new(Code::Name, format!("{:?} cannot name an outbox", name.text), help);
            reader.report(mistake.at(name.span.clone(), "not a name"));
        }
        let what = format!("outbox `{}`", name.text);
        let Some(section) = Section::of(reader, name.text, value, &what) else {
            continue;
        };
        if let Some(outbox) = outbox(reader, section, value, sinks) {
            outboxes.insert(name.text.to_owned(), outbox);
        }
    }
    outboxes
}

fn outbox(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    value: &Value<'_>,
    sinks: &[String],
) -> Option<Outbox> {
    const KEYS: [&str; 12] = [
        "database",
        "to",
        "migrate",
        "debezium",
        "keys",
        "batch",
        "max_pause",
        "publish_timeout",
        "max_attempts",
        "retention",
        "stranded_after",
        "connections",
    ];
    let mut places = BTreeMap::new();
    for key in KEYS {
        if let Some(value) = section.take(key) {
            places.insert(key, value);
        }
    }
    if !places.contains_key("database") {
        section.missing(reader, "database");
    }
    if let Some(value) = places.get("to") {
        let name = text_of(reader, "to", value);
        if let Some(name) = name.filter(|name| !sinks.iter().any(|sink| sink == name.text)) {
            let none = "add a table [sinks.NAME], or leave `to` out: Segno itself takes the events then";
            let help = suggest::help(name.text, sinks.iter().map(String::as_str), none);
            let message = format!("there is no sink `{}`", name.text);
            reader.report(Mistake::new(Code::UnknownSink, message, help).at(name.span, "no such sink"));
        }
    }
    let unknown = section.entries().any(|(key, _)| !KEYS.contains(&key.text));
    section.finish(reader);
    if unknown || !places.contains_key("database") {
        return None;
    }
    let outbox: Outbox = table::read(reader, value)?;
    let mut report = |key: &str, code: Code, message: String, help: &str| {
        let span = places.get(key).map(|value| value.span()).unwrap_or_default();
        reader.report(Mistake::new(code, message, help).at(span, "this one"));
    };
    check(&outbox, &mut report);
    Some(outbox)
}

#[cfg(not(feature = "outbox"))]
fn check(_: &Outbox, report: &mut dyn FnMut(&str, Code, String, &str)) {
    let message = "this build of segno has no outbox relays".to_owned();
    report(
        "database",
        Code::OutboxDatabase,
        message,
        "build it with the feature `outbox`",
    );
}

#[cfg(feature = "outbox")]
fn check(outbox: &Outbox, report: &mut dyn FnMut(&str, Code, String, &str)) {
    use crate::outbox::{Kind, debezium, keyring};
    if Kind::of(outbox.database.expose()).is_none() {
        let message = "this is no URL of a database that an outbox can be in".to_owned();
        let help = "write one that starts with postgres://, mysql://, mariadb:// or sqlite:";
        report("database", Code::OutboxDatabase, message, help);
    }
    if let Err(why) = keyring(&outbox.encryption) {
        let help = "a key is the base64 of 32 random bytes: `head -c 32 /dev/urandom | base64` makes one";
        report("keys", Code::OutboxKey, why, help);
    }
    if let Some(table) = &outbox.debezium {
        if let Err(why) = debezium(table) {
            let help = "the source is a URI such as \"/orders\", the table's name is of a-z, 0-9 and _";
            report("debezium", Code::OutboxTable, why, help);
        } else if !outbox.migrate {
            let message =
                "a Debezium table is connected by making a trigger, and `migrate` is not set".to_owned();
            let help =
                "set `migrate = true`, or connect the table as docs/outbox.md says and remove `debezium`";
            report("debezium", Code::OutboxTable, message, help);
        }
    }
}
