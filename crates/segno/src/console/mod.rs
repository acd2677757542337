//! The files of the console, in the binary. They are written by hand and served as they are: no build step, no Node.js.
//!
//! A program may [add pages](ConsolePage).

mod page;

pub use page::ConsolePage;
pub(crate) use page::added;

/// A file that is served.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Its path below the folder of the files.
    pub(crate) name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: &'static [u8],
}

/// The page that loads the others.
pub(crate) const SHELL: &str = include_str!("assets/index.html");

macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        &[$(Asset {
            name: $name,
            media_type: media_type($name),
            bytes: include_bytes!(concat!("assets/", $name)),
        }),+]
    };
}

/// All files but the page.
pub(crate) const ASSETS: &[Asset] = assets![
    "added.js",
    "api.js",
    "app.js",
    "changes.js",
    "charts.js",
    "dialog.js",
    "dom.js",
    "family.js",
    "filters.js",
    "flow.js",
    "history.js",
    "icon.svg",
    "live.js",
    "notice.js",
    "operation.js",
    "pager.js",
    "pages.js",
    "pages/audit.js",
    "pages/bulk.js",
    "pages/dead-letter.js",
    "pages/dead-letters.js",
    "pages/event.js",
    "pages/events.js",
    "pages/execution.js",
    "pages/executions.js",
    "pages/keys.js",
    "pages/missing.js",
    "pages/overview.js",
    "pages/queue.js",
    "pages/queues.js",
    "pages/replay.js",
    "pages/replays.js",
    "pages/routes.js",
    "pages/schedule.js",
    "pages/schedules.js",
    "pages/sign-in.js",
    "pages/sinks.js",
    "pages/timers.js",
    "parts.js",
    "query.js",
    "router.js",
    "saved.js",
    "session.js",
    "shortcuts.js",
    "store.js",
    "style/base.css",
    "style/controls.css",
    "style/dialogs.css",
    "style/frame.css",
    "style/narrow.css",
    "style/panels.css",
    "style/pictures.css",
    "style/tables.css",
    "theme.js",
    "time.js",
    "timeline.js",
];

const fn media_type(name: &str) -> &'static str {
    match name.as_bytes() {
        [.., b'.', b'j', b's'] => "text/javascript; charset=utf-8",
        [.., b'.', b'c', b's', b's'] => "text/css; charset=utf-8",
        [.., b'.', b's', b'v', b'g'] => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    fn files(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                files(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
        ASSETS
            .iter()
            .map(|asset| (asset.name, std::str::from_utf8(asset.bytes).unwrap()))
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let mut found = BTreeSet::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/assets");
        files(&folder, "", &mut found);
        found.remove("index.html");
        let served: BTreeSet<_> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(served, found);
    }

    /// What comes from outside becomes text and never markup, code or an address elsewhere.
    #[test]
    fn nothing_makes_markup_or_code_of_text() {
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "srcdoc",
            ".style=",
            "setAttribute(\"style\"",
            "http://",
            "https://",
        ];
        for (name, text) in texts() {
            // The namespaces that a browser wants are names and no addresses.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for word in forbidden {
                assert!(!text.contains(word), "{name} has {word}");
            }
        }
    }

    #[test]
    fn every_module_that_is_named_is_there() {
        for (name, text) in texts().filter(|(name, _)| name.ends_with(".js")) {
            let folder = Path::new(name).parent().unwrap();
            for part in text.split(" from \"").skip(1) {
                let named = part.split('"').next().unwrap();
                let mut path: Vec<&str> = folder.iter().map(|part| part.to_str().unwrap()).collect();
                for part in named.split('/') {
                    match part {
                        "." => {}
                        ".." => drop(path.pop()),
                        part => path.push(part),
                    }
                }
                let path = path.join("/");
                assert!(
                    ASSETS.iter().any(|asset| asset.name == path),
                    "{name} names {named}"
                );
            }
        }
    }
}
