//! `[[routes]]`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use segno_event::{Filter, Transform, TypePattern};
use segno_routing::{Action, DEFAULT_WEIGHT, Handler, Route, is_route_name};

use super::reader::{Reader, Text};
use super::section::Section;
use super::{Code, Mistake, flow, retry, suggest, timing};

/// What a route can run, of which it has one.
const HANDLERS: [&str; 3] = ["actions", "consumer", "workflow"];

/// The longest label of an action, in characters.
const LONGEST_LABEL: usize = 100;

/// The routes without a mistake.
pub(super) fn read(
    reader: &mut Reader<'_>,
    sections: Vec<Section<'_>>,
    sinks: &[String],
    names: &mut Names,
) -> Vec<Route> {
    sections
        .into_iter()
        .filter_map(|section| route(reader, section, sinks, names))
        .collect()
}

fn route(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    sinks: &[String],
    names: &mut Names,
) -> Option<Route> {
    let name = names.read(reader, &mut section);
    let on = patterns(reader, &mut section);
    // Beside a schedule an empty list says the same as none: the route takes the events of its schedule alone.
    if section.is_empty_list("on") && !section.has("schedule") {
        let message = format!("{} takes no event", section.what);
        let help =
            "say which types it takes, such as on = \"order.*\", or \"*\" for all; or remove the route";
        let span = section.key_span("on").unwrap_or_default();
        reader.report(Mistake::new(Code::Pattern, message, help).at(span, "an empty list"));
    }
    let when = section
        .string(reader, "when")
        .map(|text| compiled(reader, &text, Code::Filter, Filter::compile));
    let handler = handler(reader, &mut section, sinks);
    let timing = timing::read(reader, &mut section);
    let flow = flow::read(reader, &mut section);
    section.finish(reader);
    let when = match when {
        None => None,
        Some(filter) => Some(filter?),
    };
    Some(Route {
        name: name?,
        on,
        when,
        handler: handler?,
        timing: timing?,
        flow: flow.ok()?,
    })
}

pub(super) fn patterns(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Vec<TypePattern> {
    let texts = section.strings(reader, "on", true);
    // What makes its own events need not wait for others.
    if !section.has("on") && !section.has("schedule") {
        section.missing(reader, "on");
    }
    let mut patterns = Vec::new();
    for text in texts {
        match text.text.parse() {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let help =
                    "write an event type; `*` in it stands for any run of characters, as in \"order.*\"";
                let message = format!("this is no event type pattern: {error}");
                reader.report(Mistake::new(Code::Pattern, message, help).at(text.span, "this pattern"));
            }
        }
    }
    patterns
}

/// A filter, a key or a transform; a mistake in it is shown where it is in the string.
pub(super) fn compiled<T>(
    reader: &mut Reader<'_>,
    text: &Text<'_>,
    code: Code,
    compile: impl FnOnce(&str) -> Result<T, segno_event::CompileError>,
) -> Option<T> {
    match compile(text.text) {
        Ok(compiled) => Some(compiled),
        Err(error) => {
            let (what, help) = match code {
                Code::Filter => (
                    "filter",
                    "filters are CEL, over the variable `event`: event.data.total > 100",
                ),
                Code::Key => (
                    "key",
                    "keys are CEL, over the variable `event`: event.data.order_id",
                ),
                _ => (
                    "transform",
                    "transforms are jq, over the event as JSON: {order: .data.id}",
                ),
            };
            let span = reader.within(text, error.offset, error.len);
            let message = format!("this {what} does not compile: {error}");
            reader.report(Mistake::new(code, message, help).at(span, "here"));
            None
        }
    }
}

fn handler(reader: &mut Reader<'_>, section: &mut Section<'_>, sinks: &[String]) -> Option<Handler> {
    let given: Vec<_> = HANDLERS.into_iter().filter(|key| section.has(key)).collect();
    if given.len() != 1 {
        let message = match given.len() {
            0 => format!("{} runs nothing", section.what),
            _ => format!("{} has to run one thing, and is given several", section.what),
        };
        let help = "give it [[routes.actions]], or `consumer = \"NAME\"`, or `workflow = \"NAME\"`";
        let mistake = Mistake::new(Code::Handler, message, help);
        let spans = given
            .iter()
            .filter_map(|key| section.key_span(key).map(|span| (span, *key)));
        let mistake = spans.fold(mistake, |mistake, (span, key)| {
            mistake.at(span, format!("`{key}`"))
        });
        reader.report(if given.is_empty() {
            mistake.at(section.span.clone(), "nothing to run")
        } else {
            mistake
        });
    }
    // All are read, whichever counts, so that no mistake in them waits for another to be mended.
    let actions = actions(reader, section, sinks);
    let consumer = registered(reader, section, "consumer");
    let workflow = registered(reader, section, "workflow");
    let retry = if section.has("consumer") {
        retry::read(reader, section)
    } else {
        stray_retry(reader, section)
    };
    match given.as_slice() {
        ["actions"] => actions.map(Handler::Actions),
        ["consumer"] => Some(Handler::Consumer {
            name: consumer?,
            retry: retry?,
        }),
        ["workflow"] => workflow.map(Handler::Workflow),
        _ => None,
    }
}

/// The name that a consumer or a workflow is registered under.
fn registered(reader: &mut Reader<'_>, section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let text = section.string(reader, key)?;
    if text.text.is_empty() {
        let help = "write the name under which the program registers it";
        reader.report(Mistake::new(Code::Value, format!("`{key}` is empty"), help).at(text.span, "empty"));
        return None;
    }
    Some(text.text.to_owned())
}

/// A retry policy on a route that has no use for one.
fn stray_retry<T>(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<T> {
    section.take("retry")?;
    let help = "each action has a `retry` of its own; a workflow retries what it runs as it is written";
    let message = format!("{} has a `retry` without a `consumer`", section.what);
    let span = section.key_span("retry").unwrap_or_default();
    reader.report(Mistake::new(Code::UnknownKey, message, help).at(span, "not here"));
    None
}

fn actions(reader: &mut Reader<'_>, section: &mut Section<'_>, sinks: &[String]) -> Option<Vec<Action>> {
    let sections = section.tables(reader, "actions", "action");
    let count = sections.len();
    let empty = section
        .take("actions")
        .and_then(|value| value.get_ref().as_array())
        .is_some_and(|list| list.is_empty());
    if empty {
        let help = "add an action with `name` and `to`, or remove the route";
        let span = section.key_span("actions").unwrap_or_default();
        let mistake = Mistake::new(Code::Handler, format!("{} has no action", section.what), help);
        reader.report(mistake.at(span, "an empty list"));
        return None;
    }
    let mut names = Names::new("action");
    let actions: Vec<_> = sections
        .into_iter()
        .filter_map(|section| action(reader, section, sinks, &mut names))
        .collect();
    (actions.len() == count).then_some(actions)
}

fn action(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    sinks: &[String],
    names: &mut Names,
) -> Option<Action> {
    let name = names.read(reader, &mut section);
    let weight = match section.int(reader, "weight") {
        None => Some(DEFAULT_WEIGHT),
        Some(int) => {
            let weight = u32::try_from(int.value).ok();
            if weight.is_none() {
                let help = format!("actions of lower weight run first; the default is {DEFAULT_WEIGHT}");
                let message = format!("`weight` must be from 0 to {}", u32::MAX);
                reader.report(Mistake::new(Code::Value, message, help).at(int.span, "out of range"));
            }
            weight
        }
    };
    let to = section
        .required(reader, "to")
        .and_then(|text| sink_name(reader, &text, sinks));
    let category = words(reader, &mut section, "category");
    let entity = words(reader, &mut section, "entity");
    let available = section
        .string(reader, "available")
        .map(|text| compiled(reader, &text, Code::Filter, Filter::compile));
    let transform = section.string(reader, "transform");
    let transform = transform.map(|text| compiled(reader, &text, Code::Transform, Transform::compile));
    let retry = retry::read(reader, &mut section);
    section.finish(reader);
    let transform = match transform {
        None => None,
        Some(transform) => Some(transform?),
    };
    let available = match available {
        None => None,
        Some(available) => Some(available?),
    };
    Some(Action {
        name: name?,
        weight: weight?,
        to: to?,
        category,
        entity,
        available,
        transform,
        retry: retry?,
    })
}

/// A label for people: not empty, and short enough for every list.
fn words(reader: &mut Reader<'_>, section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let text = section.string(reader, key)?;
    if text.text.trim().is_empty() || text.text.chars().count() > LONGEST_LABEL {
        let message = format!("`{key}` must have 1 to {LONGEST_LABEL} characters");
        let help = "write what people are to read in lists, or leave it out";
        reader.report(Mistake::new(Code::Value, message, help).at(text.span, "this one"));
        return None;
    }
    Some(text.text.to_owned())
}

pub(super) fn sink_name(reader: &mut Reader<'_>, text: &Text<'_>, sinks: &[String]) -> Option<String> {
    if sinks.iter().any(|name| name == text.text) {
        return Some(text.text.to_owned());
    }
    let none = format!(
        "add a table [sinks.{}]",
        if is_route_name(text.text) {
            text.text
        } else {
            "NAME"
        }
    );
    let help = suggest::help(text.text, sinks.iter().map(String::as_str), &none);
    let message = format!("there is no sink `{}`", text.text);
    reader.report(Mistake::new(Code::UnknownSink, message, help).at(text.span.clone(), "no such sink"));
    None
}

/// The names of one kind, each given once.
pub(super) struct Names {
    what: &'static str,
    given: HashMap<String, Range<usize>>,
    /// Those of files that were read before.
    elsewhere: HashSet<String>,
}

impl Names {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            given: HashMap::new(),
            elsewhere: HashSet::new(),
        }
    }

    /// What is read from now on is in a file of its own.
    pub(super) fn in_another_file(&mut self) {
        self.elsewhere.extend(self.given.drain().map(|(name, _)| name));
    }

    /// The name in `section`.
    fn read(&mut self, reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<String> {
        let name = section.required(reader, "name")?;
        section.what = format!("{} `{}`", self.what, name.text);
        if !is_route_name(name.text) {
            let help = "use letters, digits, dots, underscores and hyphens, at most 100";
            let mistake = Mistake::new(
                Code::Name,
                format!("{:?} cannot name a {}", name.text, self.what),
                help,
            );
            reader.report(mistake.at(name.span, "not a name"));
            return None;
        }
        if self.elsewhere.contains(name.text) {
            let message = format!("two {}s are named `{}`", self.what, name.text);
            let help = "executions are found by these names: give each its own, over all files";
            let mistake = Mistake::new(Code::DuplicateName, message, help);
            reader.report(mistake.at(name.span, "another file has one of this name"));
            return None;
        }
        match self.given.get(name.text) {
            None => drop(self.given.insert(name.text.to_owned(), name.span)),
            Some(first) => {
                let message = format!("two {}s are named `{}`", self.what, name.text);
                let help = "executions are found by these names: give each its own";
                let mistake = Mistake::new(Code::DuplicateName, message, help);
                reader.report(mistake.at(name.span, "the second").at(first.clone(), "the first"));
                return None;
            }
        }
        Some(name.text.to_owned())
    }
}
