//! `[encryption]`: the keys that payloads are encrypted with.

use std::path::Path;

use super::key_source::{Elsewhere, KeySource};
use super::reader::{Reader, Text};
use super::section::Section;
use super::{Code, Mistake};
use crate::encryption::Keyring;

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Option<Section<'_>>,
    base: &Path,
) -> (Keyring, Vec<String>) {
    let Some(mut section) = section else {
        return Default::default();
    };
    if !section.has("keys") {
        section.missing(reader, "keys");
    }
    let span = section.key_span("keys").unwrap_or_default();
    let is_empty = section.is_empty_list("keys");
    let sections = section.tables(reader, "keys", "a key");
    let origins = section.strings(reader, "codec_origins", true);
    section.finish(reader);
    let origins = origins.iter().filter_map(|text| origin(reader, text)).collect();
    if is_empty {
        let message = "there is no key to encrypt with";
        let help = "name one: keys = [{ name = \"2026\", env = \"SEGNO_KEY\" }], or leave the table [encryption] out";
        reader.report(Mistake::new(Code::EncryptionKey, message, help).at(span, "none"));
    }
    let mut keyring = Keyring::default();
    for section in sections {
        keyring = key(reader, section, base, keyring);
    }
    (keyring, origins)
}

/// An origin as browsers write it.
fn origin(reader: &mut Reader<'_>, text: &Text<'_>) -> Option<String> {
    let url = url::Url::parse(text.text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let origin = url.map(|url| url.origin().ascii_serialization());
    if origin.as_deref() == Some(text.text) {
        return origin;
    }
    let message = format!("{:?} is not an origin", text.text);
    let help = match origin {
        Some(origin) => format!("write it as browsers do: {origin:?}"),
        None => "write the scheme and the host of the pages, as in \"http://localhost:8233\"".to_owned(),
    };
    reader.report(Mistake::new(Code::Value, message, help).at(text.span.clone(), "no origin"));
    None
}

const KEY: Elsewhere = Elsewhere {
    what: "an encryption key",
    word: "key",
    keys: &["key"],
    examples: ("SEGNO_KEY", "segno.key"),
};

/// The keyring with one key more, unless there is a mistake in it.
fn key(reader: &mut Reader<'_>, mut section: Section<'_>, base: &Path, keyring: Keyring) -> Keyring {
    let whole = section.span.clone();
    let (name, source) = KEY.read(reader, &mut section, base);
    section.finish(reader);
    let (Some(name), Some(source)) = (name, source) else {
        return keyring;
    };
    if keyring.names().any(|other| other == name) {
        let message = format!("two keys are named {name:?}");
        let help = "give each a name of its own: what is encrypted names its key";
        reader.report(Mistake::new(Code::DuplicateName, message, help).at(whole, "the second one"));
        return keyring;
    }
    let text = match &source {
        KeySource::Env(variable) => {
            std::env::var(variable).map_err(|error| format!("the environment variable {variable}: {error}"))
        }
        KeySource::File(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("the file {} cannot be read: {error}", path.display())),
    };
    let added = text.and_then(|text| {
        keyring
            .clone()
            .with(&name, &text)
            .map_err(|error| format!("{source}: {error}"))
    });
    added.unwrap_or_else(|why| {
        let message = format!("the encryption key {name:?} cannot be used: {why}");
        let help =
            "a key is 32 random bytes in base64 or hexadecimal: `head -c 32 /dev/urandom | base64` makes one";
        reader.report(Mistake::new(Code::EncryptionKey, message, help).at(whole, "this key"));
        keyring
    })
}
