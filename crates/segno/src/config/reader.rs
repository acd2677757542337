//! The source, its mistakes, and values with their places.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::{Code, Mistake, position};

/// The source, and the mistakes found in it so far.
pub(super) struct Reader<'s> {
    source: &'s str,
    mistakes: Vec<Mistake>,
}

/// A string with the place of its TOML, quotes included.
#[derive(Clone)]
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    pub(super) span: Range<usize>,
}

/// A whole number with its place.
pub(super) struct Int {
    pub(super) value: i64,
    pub(super) span: Range<usize>,
}

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self {
            source,
            mistakes: Vec::new(),
        }
    }

    pub(super) fn report(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// The mistakes that count. After a syntax error keys may have ended up in the wrong tables, or not at all: what is
    /// said about them from there on may be a mere consequence, and is not said. What is wrong with a value remains.
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let start = |mistake: &Mistake| mistake.labels.first().map_or(0, |(span, _)| span.start);
        let syntax = self
            .mistakes
            .iter()
            .filter(|mistake| mistake.code == Code::Syntax)
            .map(start)
            .min();
        let Some(syntax) = syntax else {
            return self.mistakes;
        };
        let before = self.source.get(..syntax).unwrap_or_default();
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let structure = [
            Code::UnknownKey,
            Code::Missing,
            Code::Type,
            Code::SinkKind,
            Code::SourceKind,
            Code::Handler,
        ];
        let counts = |mistake: &Mistake| match mistake.code {
            // The sink may be what could not be read, wherever it stands.
            Code::UnknownSink => false,
            code => !structure.contains(&code) || start(mistake) < line,
        };
        self.mistakes.into_iter().filter(counts).collect()
    }

    /// Reports what the TOML parser found.
    pub(super) fn syntax(&mut self, errors: &[toml::de::Error]) {
        for error in errors {
            let span = error.span().unwrap_or(self.source.len()..self.source.len());
            let help = "the rules of TOML are at https://toml.io; strings stand in quotes";
            let message = format!("this is not TOML: {}", error.message().replace('\n', ", "));
            self.report(Mistake::new(Code::Syntax, message, help).at(span, "here"));
        }
    }

    /// The place of a part of a string, given in bytes of what the string means.
    pub(super) fn within(&self, text: &Text<'_>, offset: usize, len: usize) -> Range<usize> {
        let raw = self.source.get(text.span.clone()).unwrap_or_default();
        let start = text.span.start + position::in_raw(raw, offset);
        let end = text.span.start + position::in_raw(raw, offset + len);
        start..end.max(start)
    }

    /// A value of a type that its key does not take.
    pub(super) fn wrong_type(&mut self, key: &str, expected: &str, value: &Value<'_>) {
        let message = format!("`{key}` must be {expected}");
        let help = format!("write {expected}{}", example(key));
        let found = format!("this is {}", kind(value.get_ref()));
        let span = self.first_line(value.span());
        self.report(Mistake::new(Code::Type, message, help).at(span, found));
    }

    /// A path, which is not empty.
    pub(super) fn path(&mut self, text: &Text<'_>) -> Option<PathBuf> {
        if text.text.is_empty() {
            let mistake = Mistake::new(Code::Value, "the path is empty", "name a file or a directory");
            self.report(mistake.at(text.span.clone(), "empty"));
            return None;
        }
        Some(PathBuf::from(text.text))
    }

    /// The part of a place that is on its first line, so that labels stay readable.
    pub(super) fn first_line(&self, span: Range<usize>) -> Range<usize> {
        let text = self.source.get(span.clone()).unwrap_or_default();
        let len = text.find('\n').unwrap_or(text.len());
        span.start..span.start + len
    }
}

pub(super) fn text_of<'t>(reader: &mut Reader<'_>, key: &str, value: &'t Value<'t>) -> Option<Text<'t>> {
    let text = value.get_ref().as_str();
    if text.is_none() {
        reader.wrong_type(key, "a string", value);
    }
    Some(Text {
        text: text?,
        span: value.span(),
    })
}

/// A text that is not empty.
pub(super) fn given(reader: &mut Reader<'_>, key: &str, text: &Text<'_>) -> Option<String> {
    if text.text.is_empty() {
        let message = format!("`{key}` is empty");
        let help = "write a name";
        reader.report(Mistake::new(Code::Value, message, help).at(text.span.clone(), "empty"));
        return None;
    }
    Some(text.text.to_owned())
}

/// What a value is called.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// How a key is written, for those that come in a form of their own.
pub(super) fn example(key: &str) -> &'static str {
    match key {
        "on" => ", such as on = \"order.*\"",
        "to" => ", the name of a sink, such as to = \"notify\"",
        "url" => ", such as url = \"https://example.com/hook\"",
        "paths" => ", such as paths = [\"/data/card\"]",
        "path" => ", such as path = \"deliveries.jsonl\"",
        "name" => ", such as name = \"big-orders\"",
        "when" => ", such as when = \"event.data.total > 100\"",
        "transform" => ", such as transform = \"{order: .data.id}\"",
        "initial" | "max_interval" | "timeout" => ", such as \"1s\" or \"1m 30s\"",
        "listen" => ", such as listen = \"127.0.0.1:8080\"",
        "certificate" => ", such as certificate = \"server.pem\"",
        "private_key" => ", such as private_key = \"server.key\"",
        "namespaces" => ", such as namespaces = [\"orders\"], or \"*\" for all",
        "env" => ", the variable that the key is in, such as env = \"ORDERS_API_KEY\"; or `file`",
        "issuer" => ", such as issuer = \"https://login.example.com/realms/main\"",
        "client_id" => ", as the provider has it, such as client_id = \"segno\"",
        "role" => ": sender, viewer, operator or admin, such as role = \"operator\"",
        "webhook" => ", such as webhook = { url = \"https://example.com/hook\" }",
        "file" => ", such as file = { path = \"deliveries.jsonl\" }",
        "sink" => ", the name of a sink, such as sink = \"notify\", or a webhook's `url`",
        "alert" => ", such as alert = { sink = \"notify\" }",
        "temporal" => ", such as temporal = \"127.0.0.1:7233\"",
        _ => "",
    }
}
