//! Mistakes as people see them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Code;

/// One mistake: what is wrong, where, and what to do.
#[derive(Clone, Debug)]
pub struct Mistake {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: String,
    /// Places in the source with what is to be said about them, the mistake's own first.
    pub(crate) labels: Vec<(Range<usize>, String)>,
    pub(crate) source: Option<Arc<NamedSource<String>>>,
    /// Whether it is in a file that the main one includes.
    included: bool,
}

impl Mistake {
    pub(crate) fn new(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: help.into(),
            labels: Vec::new(),
            source: None,
            included: false,
        }
    }

    pub(crate) fn at(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// The kind of mistake.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// The file that it is in, where that is one that the main file includes.
    pub fn included_file(&self) -> Option<&str> {
        self.source
            .as_ref()
            .filter(|_| self.included)
            .map(|source| source.name())
    }

    /// The line and the column, in characters and both from 1. None where the whole file is meant.
    pub fn position(&self) -> Option<(usize, usize)> {
        let (span, _) = self.labels.first()?;
        let before = self.source.as_ref()?.inner().get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some((
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        ))
    }

    fn start(&self) -> usize {
        self.labels.first().map_or(0, |(span, _)| span.start)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_deref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = |(n, (span, label)): (usize, &(Range<usize>, String))| {
            let label = Some(label.clone()).filter(|label| !label.is_empty());
            match n {
                0 => LabeledSpan::new_primary_with_span(label, span.clone()),
                _ => LabeledSpan::new_with_span(label, span.clone()),
            }
        };
        Some(Box::new(self.labels.iter().enumerate().map(label)))
    }
}

/// Written as `{"code", "message", "help", "line", "column", "file"}`; without line and column where the whole file is
/// meant, and without the file where it is the main one.
impl Serialize for Mistake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Mistake", 6)?;
        out.serialize_field("code", &self.code.to_string())?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("help", &self.help)?;
        if let Some((line, column)) = self.position() {
            out.serialize_field("line", &line)?;
            out.serialize_field("column", &column)?;
        }
        if let Some(file) = self.included_file() {
            out.serialize_field("file", file)?;
        }
        out.end()
    }
}

/// All the mistakes of a file, in the order of the file.
#[derive(Clone, Debug)]
pub struct Mistakes {
    name: String,
    mistakes: Vec<Mistake>,
}

impl Mistakes {
    /// `source` is shown around the mistakes, and so contains no secrets.
    pub(crate) fn new(name: &str, source: String, mut mistakes: Vec<Mistake>) -> Self {
        for (span, _) in mistakes.iter_mut().flat_map(|mistake| &mut mistake.labels) {
            *span = source.floor_char_boundary(span.start)..source.ceil_char_boundary(span.end);
        }
        let source = Arc::new(NamedSource::new(name, source));
        for mistake in &mut mistakes {
            mistake.source = Some(Arc::clone(&source));
        }
        mistakes.sort_by_key(Mistake::start);
        Self {
            name: name.to_owned(),
            mistakes,
        }
    }

    /// These, and after them those of files that this one includes.
    pub(crate) fn with_included(mut self, included: Vec<Self>) -> Self {
        for mut mistake in included.into_iter().flat_map(|file| file.mistakes) {
            mistake.included = true;
            self.mistakes.push(mistake);
        }
        self
    }

    pub(crate) fn unreadable(name: &str, why: &str) -> Self {
        let help = "check the path and the permissions of the file";
        let mistake = Mistake::new(Code::Unreadable, format!("{name} cannot be read: {why}"), help);
        Self {
            name: name.to_owned(),
            mistakes: vec![mistake],
        }
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The mistakes.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.mistakes.iter()
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.len() {
            1 => write!(f, "there is a mistake in {}", self.name),
            n => write!(f, "there are {n} mistakes in {}", self.name),
        }
    }
}

impl std::error::Error for Mistakes {}

impl Diagnostic for Mistakes {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.mistakes.iter().map(|mistake| mistake as &dyn Diagnostic),
        ))
    }
}
