//! `[dead_letters]` and `[archive]`.

use std::time::Duration;

use segno_sinks::{Kind, Limits, Options};

use super::reader::Reader;
use super::section::Section;
use super::{duration, routes, sinks};

/// Name of the sink that an alert with a URL of its own makes.
const SINK: &str = "dead_letters.alert";

/// `[dead_letters]`: what happens when an execution fails for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// The sink that is told of each.
    pub alert: Option<String>,
    /// The age at which one that nobody has dealt with is kept on and told of again. None: three quarters of the time
    /// that the engine keeps closed executions.
    pub renew_after: Option<Duration>,
}

/// `[archive]`: which events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Whether events that no route takes are kept, too.
    pub unmatched: bool,
}

impl Default for Archive {
    fn default() -> Self {
        Self { unmatched: true }
    }
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Option<Section<'_>>,
    sinks: &mut sinks::Sinks,
) -> DeadLetters {
    let Some(mut section) = section else {
        return DeadLetters::default();
    };
    let alert = section
        .table(reader, "alert", "`alert`")
        .and_then(|section| alert(reader, section, sinks));
    let renew_after = duration::read(reader, &mut section, "renew_after");
    section.finish(reader);
    DeadLetters { alert, renew_after }
}

/// Either the name of a sink, or a webhook.
fn alert(reader: &mut Reader<'_>, mut section: Section<'_>, sinks: &mut sinks::Sinks) -> Option<String> {
    if section.has("url") {
        let options = sinks::webhook(reader, section)?;
        let options = Options {
            kind: Kind::Webhook(Box::new(options)),
            limits: Limits::default(),
        };
        sinks.options.insert(SINK.to_owned(), options);
        return Some(SINK.to_owned());
    }
    let name = section.required(reader, "sink");
    section.finish(reader);
    routes::sink_name(reader, &name?, &sinks.names)
}

pub(super) fn archive(reader: &mut Reader<'_>, section: Option<Section<'_>>) -> Archive {
    let Some(mut section) = section else {
        return Archive::default();
    };
    let unmatched = section.bool(reader, "unmatched").unwrap_or(true);
    section.finish(reader);
    Archive { unmatched }
}
