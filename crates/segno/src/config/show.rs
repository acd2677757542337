//! What holds, and who says so: for `segno config show`.

use std::path::Path;

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use super::include::{self, File};
use super::reader::Reader;
use super::section::Section;
use super::settings::{SETTINGS, environment, said};
use super::{Config, Mistakes, mask};

/// In place of a secret that does not stand in a file.
const HIDDEN: &str = "********";

/// A value that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// Where it is in a file, with names of routes in place of numbers.
    pub(crate) setting: String,
    /// As it is written, without secrets.
    pub(crate) value: String,
    /// Who says so.
    pub(crate) origin: Origin,
}

/// Who says what holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// Nobody.
    Default,
    /// A file, in this line.
    File {
        /// Its name.
        name: String,
        /// From 1.
        line: usize,
    },
    /// A variable of the environment.
    Env(String),
    /// A flag of the command line.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Everything that holds with this file, the environment, and these flags: their names, and what they were given.
///
/// # Errors
/// Every mistake in the file and the variables.
pub(crate) fn entries(path: Option<&Path>, flags: &[(&'static str, String)]) -> Result<Vec<Entry>, Mistakes> {
    let mut entries = Vec::new();
    if let Some(path) = path {
        Config::load(path)?.with_environment()?;
        // It was readable a moment ago.
        let text = std::fs::read_to_string(path)
            .map_err(|error| Mistakes::unreadable(&path.display().to_string(), &error.to_string()))?;
        let base = path.parent().map(Path::to_owned).unwrap_or_default();
        let (document, _) = DeTable::parse_recoverable(&text);
        let mut reader = Reader::new(&text);
        let files = include::files(&mut reader, &mut Section::root(&document), &base);
        add(&path.display().to_string(), &text, &mut entries);
        for file in &files {
            let (name, text) = File::parts(file);
            add(name, text, &mut entries);
        }
    } else {
        Config::default().with_environment()?;
    }
    for setting in SETTINGS {
        if !entries.iter().any(|entry| entry.setting == setting.path) && !setting.default.is_empty() {
            over(
                &mut entries,
                setting.path,
                setting.default.to_owned(),
                Origin::Default,
            );
        }
    }
    for (setting, value) in said(environment) {
        let value = if setting.secret { HIDDEN.to_owned() } else { value };
        over(&mut entries, setting.path, value, Origin::Env(setting.variable()));
    }
    for (flag, value) in flags {
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.flag.is_some_and(|(name, _)| name == *flag));
        let Some((setting, (_, variable))) = setting.and_then(|setting| Some((setting, setting.flag?)))
        else {
            continue;
        };
        // A flag that was not given has what its variable says.
        let origin = match environment(variable) {
            Some(said) if said == *value => Origin::Env(variable.to_owned()),
            _ => Origin::Flag((*flag).to_owned()),
        };
        over(&mut entries, setting.path, value.clone(), origin);
    }
    entries.sort_by(|a, b| a.setting.cmp(&b.setting));
    Ok(entries)
}

fn over(entries: &mut Vec<Entry>, setting: &str, value: String, origin: Origin) {
    entries.retain(|entry| entry.setting != setting);
    entries.push(Entry {
        setting: setting.to_owned(),
        value,
        origin,
    });
}

/// The values in a file.
fn add(name: &str, text: &str, entries: &mut Vec<Entry>) {
    let (document, _) = DeTable::parse_recoverable(text);
    let shown = mask::mask(text, &document, false);
    let mut leaves = Leaves {
        name,
        shown: &shown,
        entries,
    };
    leaves.table("", document.get_ref());
}

struct Leaves<'a> {
    name: &'a str,
    shown: &'a str,
    entries: &'a mut Vec<Entry>,
}

impl Leaves<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = match path {
                "" => key.get_ref().to_string(),
                path => format!("{path}.{}", key.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(table) => self.table(&path, table),
                DeValue::Array(values) if path == "routes" => {
                    for (n, route) in values.iter().enumerate() {
                        let DeValue::Table(table) = route.get_ref() else {
                            continue;
                        };
                        let name = match table.get("name").map(toml::Spanned::get_ref) {
                            Some(DeValue::String(name)) => name.to_string(),
                            _ => n.to_string(),
                        };
                        self.table(&format!("{path}.{name}"), table);
                    }
                }
                _ => {
                    let span = value.span();
                    let line = self.shown[..span.start].matches('\n').count() + 1;
                    self.entries.push(Entry {
                        setting: path,
                        value: self.shown[span].to_owned(),
                        origin: Origin::File {
                            name: self.name.to_owned(),
                            line,
                        },
                    });
                }
            }
        }
    }
}
