//! `profiles.toml`: where Segnos run that the command line asks, and how to call them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use url::Url;

use super::reader::{Reader, Text};
use super::section::Section;
use super::{Code, Mistake, Mistakes, mask};

/// What commands can print.
const OUTPUTS: [&str; 3] = ["table", "json", "yaml"];

/// What commands take where no flag says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Profile {
    /// What it is called.
    pub(crate) name: String,
    /// Where the HTTP API is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<String>,
    /// The file with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// The file with authorities to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// What is printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<&'static str>,
}

/// The profiles of a file, in the order of their names. Paths in it begin at its folder, or with `~/` at `home`.
///
/// # Errors
/// Every mistake in it; or the one that it cannot be read.
pub(crate) fn load(path: &Path, home: Option<&Path>) -> Result<Vec<Profile>, Mistakes> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Mistakes::unreadable(&name, &error.to_string()))?;
    parse(&name, &text, path.parent().unwrap_or(Path::new("")), home)
}

fn parse(name: &str, text: &str, base: &Path, home: Option<&Path>) -> Result<Vec<Profile>, Mistakes> {
    let (document, syntax) = toml::de::DeTable::parse_recoverable(text);
    let mut reader = Reader::new(text);
    reader.syntax(&syntax);
    let mut profiles = Vec::new();
    for (key, value) in Section::root(&document).entries() {
        let what = format!("profile `{}`", key.text);
        if let Some(section) = Section::of(&mut reader, key.text, value, &what) {
            profiles.push(profile(&mut reader, key.text, section, base, home));
        }
    }
    let mistakes = reader.into_mistakes();
    if mistakes.is_empty() {
        return Ok(profiles);
    }
    let source = mask::mask(text, &document, !syntax.is_empty());
    Err(Mistakes::new(name, source, mistakes))
}

fn profile(
    reader: &mut Reader<'_>,
    name: &str,
    mut section: Section<'_>,
    base: &Path,
    home: Option<&Path>,
) -> Profile {
    let api = section.string(reader, "api");
    let api = api.and_then(|text| address(reader, &text));
    let mut file = |reader: &mut Reader<'_>, key| {
        let text = section.string(reader, key)?;
        let path = reader.path(&text)?;
        Some(match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => base.join(path),
        })
    };
    let (token_file, ca_file) = (file(reader, "token-file"), file(reader, "ca-file"));
    let output = section.string(reader, "output");
    let output = output.and_then(|text| {
        let known = OUTPUTS.into_iter().find(|known| *known == text.text);
        if known.is_none() {
            let message = format!("`{}` is nothing that commands print", text.text);
            let help = "write one of \"table\", \"json\" and \"yaml\"";
            reader.report(Mistake::new(Code::Value, message, help).at(text.span, "unknown"));
        }
        known
    });
    section.finish(reader);
    Profile {
        name: name.to_owned(),
        api,
        token_file,
        ca_file,
        output,
    }
}

fn address(reader: &mut Reader<'_>, text: &Text<'_>) -> Option<String> {
    let url = Url::parse(text.text).ok();
    let url = url.filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    if url.is_none() {
        let message = format!("`{}` is no address of an HTTP API", text.text);
        let help = "write one like api = \"https://segno.example.com:8080\"";
        reader
            .report(Mistake::new(Code::Url, message, help).at(text.span.clone(), "no http or https address"));
    }
    url.map(|_| text.text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Profile>, Mistakes> {
        parse(
            "profiles.toml",
            text,
            Path::new("/etc/segno"),
            Some(Path::new("/home/ann")),
        )
    }

    #[test]
    fn files_are_beside_the_profiles_or_at_home() {
        let text = "[b]\n[a]\napi = \"https://a.example\"\ntoken-file = \"a.token\"\nca-file = \"~/ca.pem\"\noutput = \"json\"\n";
        let [a, b] = &read(text).unwrap()[..] else {
            panic!("two profiles")
        };
        assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
        assert_eq!(a.api.as_deref(), Some("https://a.example"));
        assert_eq!(a.token_file.as_deref(), Some(Path::new("/etc/segno/a.token")));
        assert_eq!(a.ca_file.as_deref(), Some(Path::new("/home/ann/ca.pem")));
        assert_eq!(a.output, Some("json"));
        assert_eq!(b.api, None);
    }

    #[test]
    fn every_mistake_is_reported() {
        let text = "c = 1\n[a]\napi = \"localhost\"\ntoken = \"swordfish-swordfish\"\noutput = \"xml\"\nca-file = \"\"\n";
        let mistakes = read(text).unwrap_err();
        let codes: Vec<_> = mistakes.iter().map(Mistake::code).collect();
        let expected = [Code::Type, Code::Url, Code::UnknownKey, Code::Value, Code::Value];
        assert_eq!(codes, expected);
        assert!(read("[a").is_err());
    }
}
