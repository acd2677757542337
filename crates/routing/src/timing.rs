//! When the executions of a route run, and which events are one and the same to it.

use std::time::Duration;

use segno_event::{Event, Key};
use serde::{Deserialize, Deserializer, Serializer};

/// When a route's executions run, and how long they are kept. What is left out does not hold them up.
#[derive(Debug, Default)]
pub struct Timing {
    /// How long after it came in an event is handled.
    pub delay: Option<Duration>,
    /// How long an execution may take from its first step on. It ends as a dead letter when it is not done by then.
    pub deadline: Option<Duration>,
    /// Which events are repetitions of others, beyond those of one source and id.
    pub dedupe: Option<Dedupe>,
    /// When the route makes an event by itself.
    pub schedule: Option<Schedule>,
    /// How long what is done of the route is kept. None: as long as the engine keeps it.
    pub retention: Option<Duration>,
}

/// Events of the same key within the window are the same event.
#[derive(Debug)]
pub struct Dedupe {
    /// The key.
    pub key: Key,
    /// How long a key is remembered, from the first event that has it.
    pub window: Duration,
}

/// Times at which a route makes an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The times, as a cron string of five to seven fields, or a word such as `@daily`.
    pub cron: String,
    /// The IANA time zone of the times.
    pub time_zone: String,
    /// Type of the event that is made.
    pub ty: String,
    /// Its data.
    pub data: Option<serde_json::Value>,
}

/// How an execution is started; no part of what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// How long it waits before its first step.
    pub delay: Option<Duration>,
    /// The event's key and how long it is remembered.
    pub dedupe: Option<(String, Duration)>,
}

impl Timing {
    /// How the event's execution is started. An event whose key cannot be made is no repetition of any other: better twice
    /// than not at all.
    pub(crate) fn start(&self, event: &Event) -> Start {
        let dedupe = self.dedupe.as_ref();
        Start {
            delay: self.delay,
            dedupe: dedupe.and_then(|dedupe| Some((dedupe.key.of(event).ok()?, dedupe.window))),
        }
    }
}

/// A duration as people write it, for serde.
pub(crate) mod human {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.collect_str(&humantime::format_duration(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let duration = humantime::parse_duration(&text)
            .map_err(|error| serde::de::Error::custom(format_args!("duration {text:?}: {error}")))?;
        Ok(Some(duration))
    }
}
