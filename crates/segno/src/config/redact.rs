//! `[[redact]]`: values that only administrators see.

use super::reader::Reader;
use super::routes::patterns;
use super::section::Section;
use super::{Code, Mistake};
use crate::redact::{Rule, Rules};

pub(super) fn read(reader: &mut Reader<'_>, sections: Vec<Section<'_>>) -> Rules {
    let rules: Vec<_> = sections
        .into_iter()
        .filter_map(|section| rule(reader, section))
        .collect();
    rules.into()
}

fn rule(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<Rule> {
    let on = patterns(reader, &mut section);
    if section.is_empty_list("on") {
        let message = "a rule for no events redacts nothing";
        let help = "say of which events it hides something, such as on = \"order.*\", or \"*\" for all";
        let span = section.key_span("on").unwrap_or_default();
        reader.report(Mistake::new(Code::Pattern, message, help).at(span, "none"));
    }
    if !section.has("paths") {
        section.missing(reader, "paths");
    }
    let texts = section.strings(reader, "paths", true);
    if section.is_empty_list("paths") {
        let message = "a rule without paths redacts nothing";
        let help = "say where in the event the values are: paths = [\"/data/card\"]";
        let span = section.key_span("paths").unwrap_or_default();
        reader.report(Mistake::new(Code::RedactPath, message, help).at(span, "none"));
    }
    section.finish(reader);
    let mut paths = Vec::new();
    for text in texts {
        match text.text.parse() {
            Ok(path) => paths.push(path),
            Err(error) => {
                let message = format!("{:?} leads to no data of an event: {error}", text.text);
                let help = "write a JSON pointer, in which `*` is every item: \"/data/items/*/price\"";
                reader.report(Mistake::new(Code::RedactPath, message, help).at(text.span, "no path"));
            }
        }
    }
    Some(Rule { on, paths })
}
