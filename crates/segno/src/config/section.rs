//! Tables, whose keys are taken out one by one.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{Int, Reader, Text, Value, example, text_of};
use super::{Code, Mistake, suggest};

/// A table with its place. Keys are taken out of it one by one; [`finish`](Section::finish) reports the others.
pub(super) struct Section<'t> {
    table: &'t DeTable<'t>,
    /// Where the section starts: its header, or its braces.
    pub(super) span: Range<usize>,
    /// What it is called in messages, such as ``route `big-orders` ``.
    pub(super) what: String,
    taken: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(super) fn root(document: &'t Spanned<DeTable<'t>>) -> Self {
        Self {
            table: document.get_ref(),
            span: 0..0,
            what: "the file".to_owned(),
            taken: Vec::new(),
        }
    }

    /// The table in a value of a list, or a report that it is none.
    pub(super) fn of(reader: &mut Reader<'_>, key: &str, value: &'t Value<'t>, what: &str) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => {
                let span = reader.first_line(value.span());
                Some(Self {
                    table,
                    span,
                    what: what.to_owned(),
                    taken: Vec::new(),
                })
            }
            _ => {
                reader.wrong_type(key, "a table", value);
                None
            }
        }
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<&'t Value<'t>> {
        self.taken.push(key);
        self.table.get(key)
    }

    /// The place of a key itself.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Every key with its value, for tables whose keys are names. None counts as unknown any more.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Text<'t>, &'t Value<'t>)> + use<'t> {
        let text = |key: &'t Spanned<_>| Text {
            text: AsRef::<str>::as_ref(key.get_ref()),
            span: key.span(),
        };
        self.table.iter().map(move |(key, value)| (text(key), value))
    }

    pub(super) fn string(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Text<'t>> {
        let value = self.take(key)?;
        text_of(reader, key, value)
    }

    pub(super) fn required(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Text<'t>> {
        if !self.has(key) {
            self.missing(reader, key);
        }
        self.string(reader, key)
    }

    /// Reports that a key is missing.
    pub(super) fn missing(&mut self, reader: &mut Reader<'_>, key: &'static str) {
        let message = format!("{} has no `{key}`", self.what);
        let help = format!("add `{key}`{}", example(key));
        reader.report(
            Mistake::new(Code::Missing, message, help).at(self.span.clone(), format!("no `{key}` in here")),
        );
    }

    pub(super) fn bool(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            reader.wrong_type(key, "true or false", value);
        }
        found
    }

    pub(super) fn int(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Int> {
        let value = self.take(key)?;
        let found = value.get_ref().as_integer();
        let found = found.and_then(|int| i64::from_str_radix(int.as_str(), int.radix()).ok());
        if found.is_none() {
            reader.wrong_type(key, "a whole number", value);
        }
        Some(Int {
            value: found?,
            span: value.span(),
        })
    }

    pub(super) fn number(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<f64> {
        let value = self.take(key)?;
        let found = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(int) if int.radix() == 10 => int.as_str().parse().ok(),
            _ => None,
        };
        if found.is_none() {
            reader.wrong_type(key, "a number", value);
        }
        found
    }

    /// The strings of a list; with `one`, a lone string stands for a list of one.
    pub(super) fn strings(&mut self, reader: &mut Reader<'_>, key: &'static str, one: bool) -> Vec<Text<'t>> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(values) => values
                .iter()
                .filter_map(|value| text_of(reader, key, value))
                .collect(),
            DeValue::String(_) if one => text_of(reader, key, value).into_iter().collect(),
            _ => {
                reader.wrong_type(
                    key,
                    if one {
                        "a string or a list of strings"
                    } else {
                        "a list of strings"
                    },
                    value,
                );
                Vec::new()
            }
        }
    }

    /// Whether the value of a key is a list without items.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let value = self.table.get(key).map(Spanned::get_ref);
        matches!(value, Some(DeValue::Array(items)) if items.is_empty())
    }

    pub(super) fn table(&mut self, reader: &mut Reader<'_>, key: &'static str, what: &str) -> Option<Self> {
        let value = self.take(key)?;
        Self::of(reader, key, value, what)
    }

    /// The tables of a list, `[[key]]`.
    pub(super) fn tables(&mut self, reader: &mut Reader<'_>, key: &'static str, what: &str) -> Vec<Self> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(values) => values
                .iter()
                .filter_map(|value| Self::of(reader, key, value, what))
                .collect(),
            _ => {
                reader.wrong_type(key, &format!("a list of tables, each headed [[{key}]]"), value);
                Vec::new()
            }
        }
    }

    /// Reports every key that was not taken.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        for (key, _) in self.entries() {
            if !self.taken.contains(&key.text) {
                let message = format!("{} has no key `{}`", self.what, key.text);
                let help = suggest::help(key.text, self.taken.iter().copied(), "leave it out");
                reader.report(Mistake::new(Code::UnknownKey, message, help).at(key.span, "unknown key"));
            }
        }
    }
}
