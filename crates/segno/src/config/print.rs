//! What a configuration says, part by part, as digests: by them a reload sees what has changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Print = [u8; 32];

/// Digests of the parts of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prints {
    /// Of each sink that is written down, by name.
    pub(crate) sinks: BTreeMap<String, Print>,
    /// Of each route that is written down, by name.
    pub(crate) routes: BTreeMap<String, Print>,
    /// Of what takes a restart, by the table's name.
    pub(crate) fixed: BTreeMap<String, Print>,
}

/// The tables that a reload takes on. `include` only names files.
const RELOADED: [&str; 6] = ["sinks", "routes", "schemas", "include", "archive", "redact"];
/// Of the table `http` what a reload takes on.
const RELOADED_HTTP: &str = "max_event_bytes";
/// Of the table `dead_letters` what it does not.
const FIXED_DEAD_LETTERS: &str = "renew_after";

impl Prints {
    /// Adds what a file says. Relative paths in sinks start at `base`.
    pub(super) fn add(&mut self, document: &Spanned<DeTable<'_>>, base: &Path) {
        for (key, value) in document.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("sinks", DeValue::Table(sinks)) => {
                    for (name, sink) in sinks {
                        // What a file sink writes is not what it is made of.
                        let writes =
                            matches!(sink.get_ref(), DeValue::Table(sink) if sink.contains_key("file"));
                        let files = (!writes).then_some(base);
                        self.sinks
                            .insert(name.get_ref().to_string(), print(sink.get_ref(), files));
                    }
                }
                ("routes", DeValue::Array(routes)) => {
                    for route in routes.iter() {
                        let DeValue::Table(table) = route.get_ref() else {
                            continue;
                        };
                        if let Some(DeValue::String(name)) = table.get("name").map(Spanned::get_ref) {
                            self.routes.insert(name.to_string(), print(route.get_ref(), None));
                        }
                    }
                }
                ("http", DeValue::Table(http)) => {
                    let fixed = http.iter().filter(|(key, _)| key.get_ref() != RELOADED_HTTP);
                    self.fixed.insert("http".to_owned(), print_of(fixed));
                }
                ("dead_letters", DeValue::Table(letters)) => {
                    let fixed = letters
                        .iter()
                        .filter(|(key, _)| key.get_ref() == FIXED_DEAD_LETTERS);
                    self.fixed.insert("dead_letters".to_owned(), print_of(fixed));
                }
                (key, _) if RELOADED.contains(&key) => {}
                (key, value) => {
                    self.fixed.insert(key.to_owned(), print(value, None));
                }
            }
        }
    }

    /// The tables that are not the same and take a restart.
    pub(crate) fn fixed_changes(&self, before: &Self) -> Vec<String> {
        changed(&before.fixed, &self.fixed).map(str::to_owned).collect()
    }
}

/// The names of what is not the same in the two, or in one of them alone. What says nothing is as if it were not there.
pub(crate) fn changed<'a>(
    before: &'a BTreeMap<String, Print>,
    after: &'a BTreeMap<String, Print>,
) -> impl Iterator<Item = &'a str> {
    let nothing = print_of(std::iter::empty());
    let get =
        move |prints: &BTreeMap<String, Print>, name: &str| prints.get(name).copied().unwrap_or(nothing);
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(move |name| get(before, name) != get(after, name))
        .map(String::as_str)
}

fn print(value: &DeValue<'_>, files: Option<&Path>) -> Print {
    let mut hash = Sha256::new();
    feed(&mut hash, value, files);
    hash.finalize().into()
}

fn print_of<'a, 'i: 'a>(
    entries: impl Iterator<Item = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)>,
) -> Print {
    let mut hash = Sha256::new();
    feed_entries(&mut hash, entries, None);
    hash.finalize().into()
}

fn feed_entries<'a, 'i: 'a>(
    hash: &mut Sha256,
    entries: impl Iterator<Item = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)>,
    files: Option<&Path>,
) {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(|(a, _), (b, _)| a.get_ref().cmp(b.get_ref()));
    for (key, value) in entries {
        part(hash, key.get_ref().as_bytes());
        feed(hash, value.get_ref(), files);
    }
}

/// `files`: where relative paths start, if texts may be paths of files that are read.
fn feed(hash: &mut Sha256, value: &DeValue<'_>, files: Option<&Path>) {
    match value {
        DeValue::String(text) => {
            hash.update(b"s");
            part(hash, text.as_bytes());
            if let Some(base) = files.filter(|_| !text.is_empty() && text.len() < 1_000) {
                file(hash, &base.join(text.as_ref()));
            }
        }
        DeValue::Array(values) => {
            hash.update(b"[");
            for value in values.iter() {
                feed(hash, value.get_ref(), files);
            }
            hash.update(b"]");
        }
        DeValue::Table(values) => {
            hash.update(b"{");
            feed_entries(hash, values.iter(), files);
            hash.update(b"}");
        }
        other => {
            hash.update(b"v");
            part(hash, format!("{other:?}").as_bytes());
        }
    }
}

fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// How a file, or what is in a folder, was last changed: secrets, certificates and templates are replaced so.
fn file(hash: &mut Sha256, path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    let mut one = |name: &str, metadata: &std::fs::Metadata| {
        let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let changed = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        part(hash, name.as_bytes());
        hash.update(changed.as_nanos().to_be_bytes());
        hash.update(metadata.len().to_be_bytes());
    };
    if metadata.is_file() {
        one("", &metadata);
    } else if let Ok(entries) = std::fs::read_dir(path) {
        let entries = entries.filter_map(Result::ok);
        let mut entries: Vec<_> = entries
            .filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?)))
            .collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, metadata) in &entries {
            one(&name.to_string_lossy(), metadata);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(text: &str, base: &Path) -> Prints {
        let (document, errors) = DeTable::parse_recoverable(text);
        assert!(errors.is_empty(), "{errors:?}");
        let mut prints = Prints::default();
        prints.add(&document, base);
        prints
    }

    #[test]
    fn only_what_means_something_else_has_changed() {
        let base = Path::new("/nowhere");
        let before = prints(
            "data = \"a\"\n[http]\nlisten = \"127.0.0.1:1\"\n[sinks.a.webhook]\nurl = \"http://a\"\n[sinks.b.webhook]\nurl = \"b\"\n\
             [[routes]]\nname = \"r\"\non = \"a\"\n",
            base,
        );
        let same = prints(
            "# moved\ndata = 'a'\nhttp = { listen = \"127.0.0.1:1\", max_event_bytes = 9 }\nsinks.b = { webhook.url = \"b\" }\n\
             sinks.a.webhook.url = \"http://a\"\n[[routes]]\non = \"a\"\nname = \"r\"\n",
            base,
        );
        assert_eq!(before, same);
        let after = prints(
            "data = \"b\"\n[http]\nlisten = \"127.0.0.1:2\"\n[dead_letters]\nalert = \"a\"\n[sinks.a.webhook]\nurl = \"http://c\"\n\
             [[routes]]\nname = \"r\"\non = \"b\"\n",
            base,
        );
        assert_eq!(after.fixed_changes(&before), ["data", "http"]);
        assert_eq!(
            changed(&before.sinks, &after.sinks).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(changed(&before.routes, &after.routes).collect::<Vec<_>>(), ["r"]);
    }

    #[test]
    fn a_file_that_was_replaced_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[sinks.a.grpc]\ntoken = { file = \"token\" }\n";
        std::fs::write(folder.path().join("token"), "one").unwrap();
        let before = prints(text, folder.path());
        assert_eq!(before, prints(text, folder.path()));
        std::fs::write(folder.path().join("token"), "another").unwrap();
        assert_ne!(before, prints(text, folder.path()));
    }
}
