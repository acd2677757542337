//! `[sources.NAME]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use segno_event::Event;
use segno_routing::is_route_name;
use segno_sources::{Intake, Kind, Options, Outcome};

use super::reader::{Reader, Text};
use super::section::Section;
use super::{Code, Mistake, table};

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Option<Section<'_>>,
    base: &Path,
) -> BTreeMap<String, Options> {
    let mut sources = BTreeMap::new();
    let Some(section) = section else { return sources };
    for (name, value) in section.entries() {
        let what = format!("source `{}`", name.text);
        let named = check_name(reader, &name);
        let section = Section::of(reader, name.text, value, &what);
        let options = section.and_then(|section| source(reader, section, &name, base));
        if let Some(options) = options.filter(|_| named) {
            sources.insert(name.text.to_owned(), options);
        }
    }
    sources
}

fn check_name(reader: &mut Reader<'_>, name: &Text<'_>) -> bool {
    if is_route_name(name.text) {
        return true;
    }
    let help = "use letters, digits, dots, underscores and hyphens, at most 100";
    let mistake = Mistake::new(Code::Name, format!("{:?} cannot name a source", name.text), help);
    reader.report(mistake.at(name.span.clone(), "not a name"));
    false
}

fn source(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    name: &Text<'_>,
    base: &Path,
) -> Option<Options> {
    let what = section.what.clone();
    let kinds: Vec<_> = Kind::ALL.iter().filter(|kind| section.has(kind)).collect();
    // A key that is no kind is reported as such, and is what is to be mended.
    if kinds.len() > 1 || section.entries().next().is_none() {
        let message = format!("{what} must be of one kind");
        let help = format!("give it one of {}", Kind::NAMES.join(", "));
        let mistake = Mistake::new(Code::SourceKind, message, help);
        let spans = kinds.iter().filter_map(|kind| section.key_span(kind));
        let mistake = spans.fold(mistake, |mistake, span| mistake.at(span, "one kind"));
        reader.report(if kinds.is_empty() {
            mistake.at(section.span.clone(), "of no kind")
        } else {
            mistake
        });
    }
    let one = kinds.len() == 1;
    let mut found = None;
    for kind in Kind::ALL {
        // All of them, so that a key which is none of them is told the nearest.
        if let Some(value) = section.take(kind) {
            found = table::read_with(reader, value, |value| Kind::read(kind, value)).flatten();
            if !Kind::NAMES.contains(kind) {
                let message = format!("this build of segno has no `{kind}` sources");
                let help = format!(
                    "build it with the feature `{kind}`; this build has {}",
                    Kind::NAMES.join(", ")
                );
                let span = section.key_span(kind).unwrap_or_default();
                reader.report(Mistake::new(Code::SourceKind, message, help).at(span, "not built in"));
            }
        }
    }
    let span = section.span.clone();
    section.finish(reader);
    let options = Options {
        kind: found.filter(|_| one)?,
    };
    // Nothing is connected to by that.
    let nobody: Arc<dyn Intake> = Arc::new(Nobody);
    if let Err(error) = options.clone().build(name.text, base, &nobody) {
        let help = "the documentation of sources says what goes together";
        let mistake = Mistake::new(
            Code::SourceOptions,
            format!("{what} cannot be set up: {error}"),
            help,
        );
        reader.report(mistake.at(span, "in here"));
        return None;
    }
    Some(options)
}

/// For sources that are made only to see whether they can be.
struct Nobody;

#[async_trait]
impl Intake for Nobody {
    async fn take(&self, events: &[Event]) -> Vec<Outcome> {
        events
            .iter()
            .map(|_| Outcome::Later("nothing is taken in".to_owned()))
            .collect()
    }
}
