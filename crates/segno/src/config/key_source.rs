//! Keys and tokens that stand elsewhere: in the environment or in a file of their own.

use std::fmt;
use std::path::{Path, PathBuf};

use super::reader::{Reader, given};
use super::section::Section;
use super::{Code, Mistake};

/// Where a key or a token is: never in a configuration or on a command line, which others can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(PathBuf),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(variable) => write!(f, "env:{variable}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A kind of keys or tokens of which a configuration says the `name`, and where it is: `env` or `file`.
pub(super) struct Elsewhere {
    /// What messages call one, such as `an API key`.
    pub(super) what: &'static str,
    /// The same in a word.
    pub(super) word: &'static str,
    /// Under which keys somebody may put the secret itself.
    pub(super) keys: &'static [&'static str],
    /// Examples of a variable and a file that it may be in.
    pub(super) examples: (&'static str, &'static str),
}

impl Elsewhere {
    /// Its name, and where it is.
    pub(super) fn read(
        &self,
        reader: &mut Reader<'_>,
        section: &mut Section<'_>,
        base: &Path,
    ) -> (Option<String>, Option<KeySource>) {
        let what = self.what;
        let mut is_here = false;
        for &key in self.keys {
            if section.take(key).is_some() {
                is_here = true;
                let span = section.key_span(key).unwrap_or_default();
                let message = format!("{what} does not stand in this file");
                let (variable, file) = self.examples;
                let help = format!(
                    "put it into an environment variable or a file and name that: env = {variable:?}, or file = {file:?}"
                );
                let label = format!("no {} here", self.word);
                reader.report(Mistake::new(Code::UnknownKey, message, help).at(span, label));
            }
        }
        let name = section
            .required(reader, "name")
            .and_then(|text| given(reader, "name", &text));
        let env = section
            .string(reader, "env")
            .and_then(|text| given(reader, "env", &text));
        let file = section.string(reader, "file").and_then(|text| reader.path(&text));
        let is_elsewhere = section.has("env") || section.has("file");
        let source = match (env, file) {
            (Some(variable), None) => Some(KeySource::Env(variable)),
            (None, Some(path)) => Some(KeySource::File(base.join(path))),
            _ if section.has("env") && section.has("file") => {
                let span = section.key_span("file").unwrap_or_default();
                let message = format!("{what} stands in one place");
                let help = "leave out `env` or `file`";
                reader.report(Mistake::new(Code::Value, message, help).at(span, "the other one"));
                None
            }
            _ => {
                if !is_elsewhere && !is_here {
                    section.missing(reader, "env");
                }
                None
            }
        };
        (name, source)
    }
}
