//! `[sinks.NAME]`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use segno_routing::is_route_name;
use segno_sinks::webhook::{Headers, Method, Target};
use segno_sinks::{Confidential, Kind, Limits, Options, Secret, file, guard, webhook};
use toml::de::DeValue;

use super::reader::{Reader, Text, Value, text_of};
use super::section::Section;
use super::{Code, Mistake, duration, suggest, table};
use crate::workflow_sink::WorkflowSink;

/// The kind that needs the engine, and so is none of the library's.
const WORKFLOW: &str = "workflow";

/// How long an attempt of a webhook may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The sinks of the file.
#[derive(Default)]
pub(super) struct Sinks {
    /// Those without a mistake.
    pub(super) options: BTreeMap<String, Options>,
    /// The same of the kind `workflow`.
    pub(super) workflows: BTreeMap<String, (WorkflowSink, Limits)>,
    /// The names of all, so that a mistake in a sink is not one in the routes to it.
    pub(super) names: Vec<String>,
}

pub(super) fn read(reader: &mut Reader<'_>, section: Option<Section<'_>>) -> Sinks {
    let mut sinks = Sinks::default();
    let Some(section) = section else { return sinks };
    for (name, value) in section.entries() {
        sinks.names.push(name.text.to_owned());
        check_name(reader, &name);
        let what = format!("sink `{}`", name.text);
        let found = Section::of(reader, name.text, value, &what).and_then(|section| sink(reader, section));
        let name = name.text.to_owned();
        match found {
            Some((Found::Kind(kind), limits)) => drop(sinks.options.insert(name, Options { kind, limits })),
            Some((Found::Workflow(sink), limits)) => drop(sinks.workflows.insert(name, (sink, limits))),
            None => {}
        }
    }
    sinks
}

fn check_name(reader: &mut Reader<'_>, name: &Text<'_>) {
    if !is_route_name(name.text) {
        let help = "use letters, digits, dots, underscores and hyphens, at most 100";
        let mistake = Mistake::new(Code::Name, format!("{:?} cannot name a sink", name.text), help);
        reader.report(mistake.at(name.span.clone(), "not a name"));
    }
}

/// A sink of whatever kind.
enum Found {
    Kind(Kind),
    Workflow(WorkflowSink),
}

/// The kinds that this build has.
fn names() -> String {
    format!("{}, {WORKFLOW}", Kind::NAMES.join(", "))
}

fn sink(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<(Found, Limits)> {
    let what = section.what.clone();
    let limits = section
        .take("limits")
        .map_or_else(|| Some(Limits::default()), |value| table::read(reader, value));
    // Known keys also where they are left out, for suggestions.
    for kind in Kind::ALL.iter().copied().chain([WORKFLOW]) {
        section.take(kind);
    }
    let kinds = Kind::ALL.iter().copied().chain([WORKFLOW]);
    let kinds: Vec<_> = kinds.filter(|kind| section.has(kind)).collect();
    // A key that is no kind is reported as such, and is what is to be mended.
    if kinds.len() > 1 || section.entries().all(|(key, _)| key.text == "limits") {
        let message = format!("{what} must be of one kind");
        let help = format!("give it one of {}", names());
        let mistake = Mistake::new(Code::SinkKind, message, help);
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
    for kind in kinds {
        found = self::kind(reader, &mut section, kind, &what);
    }
    section.finish(reader);
    Some((found.filter(|_| one)?, limits?))
}

/// What is under the key `kind`.
fn kind(reader: &mut Reader<'_>, section: &mut Section<'_>, kind: &'static str, what: &str) -> Option<Found> {
    match kind {
        "webhook" => {
            let section = section.table(reader, kind, what)?;
            webhook(reader, section).map(|options| Found::Kind(Kind::Webhook(Box::new(options))))
        }
        "file" => {
            let section = section.table(reader, kind, what)?;
            file(reader, section).map(|options| Found::Kind(Kind::File(Box::new(options))))
        }
        WORKFLOW => {
            let value = section.take(kind)?;
            table::read(reader, value).map(Found::Workflow)
        }
        _ => {
            let value = section.take(kind)?;
            let found = table::read_with(reader, value, |value| Kind::read(kind, value))?;
            if found.is_none() {
                let help = format!("build it with the feature `{kind}`; this build has {}", names());
                let message = format!("this build of segno has no `{kind}` sinks");
                let span = section.key_span(kind).unwrap_or_default();
                reader.report(Mistake::new(Code::SinkKind, message, help).at(span, "not built in"));
            }
            found.map(Found::Kind)
        }
    }
}

fn file(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<file::Options> {
    let path = section
        .required(reader, "path")
        .and_then(|path| reader.path(&path));
    section.finish(reader);
    Some(file::Options { path: path? })
}

pub(super) fn webhook(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<webhook::Options> {
    let allow_private = section.bool(reader, "allow_private").unwrap_or_default();
    let url = section
        .required(reader, "url")
        .and_then(|text| target(reader, &text, allow_private));
    let secret = section
        .take("secret")
        .and_then(|value| self::secret(reader, "secret", value));
    let secrets = match section.take("secrets").map(|value| (value, value.get_ref())) {
        Some((_, DeValue::Array(values))) => values
            .iter()
            .filter_map(|value| self::secret(reader, "secrets", value))
            .collect(),
        Some((value, _)) => {
            reader.wrong_type("secrets", "a list of secrets", value);
            Vec::new()
        }
        None => Vec::new(),
    };
    let headers = section.table(reader, "headers", "`headers`");
    let headers = headers.map_or_else(Headers::default, |section| self::headers(reader, &section));
    let method = section
        .string(reader, "method")
        .and_then(|text| self::method(reader, &text));
    let timeout = duration::read(reader, &mut section, "timeout").unwrap_or(TIMEOUT);
    section.finish(reader);
    let method = method.unwrap_or_default();
    Some(webhook::Options {
        url: url?,
        secret,
        secrets,
        headers,
        method,
        timeout,
        allow_private,
    })
}

fn target(reader: &mut Reader<'_>, text: &Text<'_>, allow_private: bool) -> Option<Target> {
    let target: Target = match text.text.parse() {
        Ok(target) => target,
        Err(error) => {
            let help = "write it whole, such as \"https://example.com/hook\"";
            let mistake = Mistake::new(Code::Url, format!("this is no URL to send to: {error}"), help);
            reader.report(mistake.at(text.span.clone(), "not an http or https URL"));
            return None;
        }
    };
    if !allow_private && let Err(blocked) = guard::check_url(target.as_url()) {
        let message = format!("every delivery to this URL would be refused: {blocked}");
        let help = "add `allow_private = true` to the webhook if this address is meant";
        reader.report(
            Mistake::new(Code::PrivateAddress, message, help).at(text.span.clone(), "a private address"),
        );
        return None;
    }
    Some(target)
}

/// A signing secret: a text, or where it is.
pub(super) fn secret(reader: &mut Reader<'_>, key: &str, value: &Value<'_>) -> Option<Secret> {
    let text = confidential(reader, key, value)?;
    let text = Text {
        text: text.expose(),
        span: value.span(),
    };
    parsed(
        reader,
        &text,
        Code::Secret,
        "a secret is `whsec_` and the base64 of 24 to 64 random bytes: \
        `echo whsec_$(head -c 32 /dev/urandom | base64)` makes one",
    )
}

/// A text, or what is in the variable or file that `{ env = "NAME" }` or `{ file = "path" }` names.
fn confidential(reader: &mut Reader<'_>, key: &str, value: &Value<'_>) -> Option<Confidential> {
    match value.get_ref() {
        DeValue::Table(_) => table::read(reader, value),
        _ => text_of(reader, key, value).map(|text| Confidential::from(text.text.to_owned())),
    }
}

fn method(reader: &mut Reader<'_>, text: &Text<'_>) -> Option<Method> {
    let help = suggest::help(text.text, Method::NAMES, "");
    parsed(reader, text, Code::Value, &help)
}

fn parsed<T: std::str::FromStr<Err: Display>>(
    reader: &mut Reader<'_>,
    text: &Text<'_>,
    code: Code,
    help: &str,
) -> Option<T> {
    match text.text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            reader.report(Mistake::new(code, error.to_string(), help).at(text.span.clone(), "this one"));
            None
        }
    }
}

fn headers(reader: &mut Reader<'_>, section: &Section<'_>) -> Headers {
    let mut pairs = Vec::new();
    for (name, value) in section.entries() {
        let Some(value) = confidential(reader, "headers", value) else {
            continue;
        };
        // On its own first, so that each mistake is found in its place.
        match Headers::new([(name.text, value.expose())]) {
            Ok(_) => pairs.push((name.text, value)),
            Err(errors) => {
                for error in errors {
                    let help =
                        "names are as in HTTP, values of one line; what the delivery needs Segno sets itself";
                    let mistake = Mistake::new(Code::Header, error.to_string(), help);
                    reader.report(mistake.at(name.span.clone(), "this header"));
                }
            }
        }
    }
    let pairs = pairs.iter().map(|(name, value)| (*name, value.expose()));
    Headers::new(pairs).unwrap_or_else(|errors| {
        for error in errors {
            let help = "names differ in more than upper and lower case";
            let message = format!("a header is given twice: {error}");
            reader.report(Mistake::new(Code::Header, message, help).at(section.span.clone(), "in here"));
        }
        Headers::default()
    })
}
