//! `include`: further files with sinks, routes and schemas.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use segno_event::TypePattern;
use segno_routing::Route;
use toml::Spanned;
use toml::de::DeTable;

use super::reader::{Reader, Text};
use super::routes::{self, Names};
use super::section::Section;
use super::{Code, Mistake, Mistakes, mask, schemas, sinks};
use crate::catalogue::Schema;

/// A file that is included.
pub(super) struct File {
    name: String,
    text: String,
    /// Where its relative paths start.
    base: PathBuf,
}

/// The files that the main one includes, in order. What cannot be read is a mistake in the main one.
pub(super) fn files(reader: &mut Reader<'_>, root: &mut Section<'_>, base: &Path) -> Vec<File> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    for text in root.strings(reader, "include", true) {
        for path in paths(reader, &text, base) {
            if !seen.insert(path.clone()) {
                let help = "leave one of them out, or make the pattern narrower";
                let message = format!("{} is included twice", path.display());
                reader.report(Mistake::new(Code::Include, message, help).at(text.span.clone(), "the second"));
                continue;
            }
            let read = std::fs::read(&path).map_err(|error| error.to_string());
            let read = read.and_then(|bytes| {
                String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}"))
            });
            match read {
                Ok(content) => files.push(File {
                    name: path.display().to_string(),
                    text: content,
                    base: path.parent().map(Path::to_owned).unwrap_or_default(),
                }),
                Err(why) => {
                    let help = "relative paths start at the folder of the configuration file";
                    let message = format!("{} cannot be read: {why}", path.display());
                    reader.report(
                        Mistake::new(Code::Include, message, help).at(text.span.clone(), "this file"),
                    );
                }
            }
        }
    }
    files
}

/// The path that a text names; or, with a star in its file name, those that fit it, by name.
fn paths(reader: &mut Reader<'_>, text: &Text<'_>, base: &Path) -> Vec<PathBuf> {
    let Some(path) = reader.path(text) else {
        return Vec::new();
    };
    let path = base.join(path);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if !name.contains('*') {
        return vec![path];
    }
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let found = name
        .parse::<TypePattern>()
        .map_err(|error| error.to_string())
        .and_then(|pattern| {
            let entries = std::fs::read_dir(if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                &folder
            });
            let names = entries.map_err(|error| error.to_string())?.filter_map(Result::ok);
            let names = names.filter_map(|entry| entry.file_name().into_string().ok());
            let mut names: Vec<_> = names.filter(|name| pattern.matches(name)).collect();
            names.sort_unstable();
            if names.is_empty() {
                Err("there is no such file".to_owned())
            } else {
                Ok(names)
            }
        });
    match found {
        Ok(names) => names.into_iter().map(|name| folder.join(name)).collect(),
        Err(why) => {
            let help = "relative paths start at the folder of the configuration file; `*` stands in file names alone";
            let message = format!("nothing is included by {}: {why}", text.text);
            reader.report(Mistake::new(Code::Include, message, help).at(text.span.clone(), "no file"));
            Vec::new()
        }
    }
}

impl File {
    /// Its name, and what it says.
    pub(super) fn parts(&self) -> (&str, &str) {
        (&self.name, &self.text)
    }

    /// What it says as TOML, with the parser's complaints.
    pub(super) fn document(&self) -> (Spanned<DeTable<'_>>, Vec<toml::de::Error>) {
        toml::de::DeTable::parse_recoverable(&self.text)
    }
}

/// What is read of an included file, step by step: sinks first, of all files, because routes of any file may name them.
pub(super) struct Included<'t> {
    file: &'t File,
    document: &'t Spanned<DeTable<'t>>,
    broken: bool,
    reader: Reader<'t>,
    root: Section<'t>,
}

impl<'t> Included<'t> {
    pub(super) fn new(
        file: &'t File,
        (document, syntax): &'t (Spanned<DeTable<'t>>, Vec<toml::de::Error>),
    ) -> Self {
        let mut reader = Reader::new(&file.text);
        reader.syntax(syntax);
        let mut root = Section::root(document);
        root.what = "an included file".to_owned();
        Self {
            file,
            document,
            broken: !syntax.is_empty(),
            reader,
            root,
        }
    }

    /// Adds its sinks. Relative paths in them are taken from the main file's folder, as are those of all sinks.
    pub(super) fn sinks(&mut self, all: &mut sinks::Sinks) {
        let section = self.root.table(&mut self.reader, "sinks", "sinks");
        if let Some(section) = &section {
            for (name, _) in section.entries() {
                if all.names.iter().any(|taken| taken == name.text) {
                    self.reader.report(twice("sink", &name));
                }
            }
        }
        let sinks::Sinks {
            options,
            workflows,
            names,
        } = sinks::read(&mut self.reader, section);
        all.options.extend(options);
        all.workflows.extend(workflows);
        all.names.extend(names);
    }

    /// Adds its routes.
    pub(super) fn routes(&mut self, sinks: &[String], names: &mut Names, all: &mut Vec<Route>) {
        let sections = self.root.tables(&mut self.reader, "routes", "route");
        names.in_another_file();
        all.extend(routes::read(&mut self.reader, sections, sinks, names));
    }

    /// Adds its schemas.
    pub(super) fn schemas(&mut self, all: &mut BTreeMap<String, Schema>) {
        let section = self.root.table(&mut self.reader, "schemas", "schemas");
        if let Some(section) = &section {
            for (name, _) in section.entries() {
                if all.contains_key(name.text) {
                    self.reader.report(twice("schema", &name));
                }
            }
        }
        for schema in schemas::read(&mut self.reader, section, &self.file.base) {
            all.insert(schema.ty().to_owned(), schema);
        }
    }

    /// Its mistakes.
    pub(super) fn finish(mut self) -> Option<Mistakes> {
        self.root.finish(&mut self.reader);
        let mistakes = self.reader.into_mistakes();
        let source = || mask::mask(&self.file.text, self.document, self.broken);
        (!mistakes.is_empty()).then(|| Mistakes::new(&self.file.name, source(), mistakes))
    }
}

fn twice(what: &str, name: &Text<'_>) -> Mistake {
    let message = format!("two {what}s are named `{}`", name.text);
    let help = "names are unique over all files: give each its own";
    let mistake = Mistake::new(Code::DuplicateName, message, help);
    mistake.at(name.span.clone(), "another file has one of this name")
}
