//! The file as it may be shown: without its secrets, every place unchanged.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys whose values, and whatever is in them, are secret.
const SECRET: [&str; 18] = [
    "client_secret",
    "credentials",
    "secret_access_key",
    "session_token",
    "nkey",
    "secret",
    "secrets",
    "headers",
    "api_key",
    "key",
    "token",
    "password",
    "grpc_meta",
    "client_key_data",
    "auth",
    "database",
    "settings",
    "keys",
];

/// `source` with an asterisk for each byte of a secret. With `broken` TOML the rest of each line that mentions one of
/// the secret keys goes as well, since nobody can tell where a value ends.
pub(super) fn mask(source: &str, document: &Spanned<DeTable<'_>>, broken: bool) -> String {
    let mut hidden = Vec::new();
    table(source, document.get_ref(), false, &mut hidden);
    prefixed(source, &mut hidden);
    if broken {
        lines(source, &mut hidden);
    }
    let mut shown = String::with_capacity(source.len());
    for (at, c) in source.char_indices() {
        if c != '\n' && c != '\r' && hidden.iter().any(|range| range.contains(&at)) {
            shown.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            shown.push(c);
        }
    }
    shown
}

fn table(source: &str, values: &DeTable<'_>, secret: bool, hidden: &mut Vec<Range<usize>>) {
    for (key, value) in values {
        let named = SECRET.contains(&key.get_ref().to_lowercase().as_str());
        self::value(source, key.get_ref(), value, secret || named, hidden);
    }
}

fn value(
    source: &str,
    key: &str,
    value: &Spanned<DeValue<'_>>,
    secret: bool,
    hidden: &mut Vec<Range<usize>>,
) {
    match value.get_ref() {
        DeValue::Table(values) => table(source, values, secret, hidden),
        DeValue::Array(values) => values
            .iter()
            .for_each(|item| self::value(source, key, item, secret, hidden)),
        DeValue::String(_) if secret => hidden.push(inside(source, value.span())),
        DeValue::String(_) if key == "url" => url(source, inside(source, value.span()), hidden),
        _ => {}
    }
}

/// A string without its quotes.
fn inside(source: &str, span: Range<usize>) -> Range<usize> {
    let raw = source.get(span.clone()).unwrap_or_default();
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") {
        3
    } else {
        1
    };
    if raw.len() >= 2 * quotes {
        span.start + quotes..span.end - quotes
    } else {
        span
    }
}

/// What of a URL lets its owner in: user and password, path and query. The scheme, host and port remain.
fn url(source: &str, span: Range<usize>, hidden: &mut Vec<Range<usize>>) {
    let text = source.get(span.clone()).unwrap_or_default();
    let Some(authority) = text.find("://").map(|at| at + 3) else {
        return;
    };
    let path = text[authority..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |at| authority + at);
    if let Some(user) = text[authority..path].rfind('@') {
        hidden.push(span.start + authority..span.start + authority + user);
    }
    if path + 1 < text.len() {
        hidden.push(span.start + path + 1..span.end);
    }
}

/// Webhook secrets wherever they stand, in comments and under misspelt keys too.
fn prefixed(source: &str, hidden: &mut Vec<Range<usize>>) {
    const PREFIX: &str = "whsec_";
    for (at, _) in source.match_indices(PREFIX) {
        let start = at + PREFIX.len();
        let rest = &source[start..];
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || "+/=_-*".contains(c)))
            .unwrap_or(rest.len());
        hidden.push(start..start + end);
    }
}

/// The rest of each line after a secret key.
fn lines(source: &str, hidden: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        for key in SECRET {
            if let Some(at) = lower.find(key) {
                hidden.push(start + at + key.len()..start + line.len());
            }
        }
        start += line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        let (document, errors) = DeTable::parse_recoverable(source);
        let shown = mask(source, &document, !errors.is_empty());
        assert_eq!(shown.len(), source.len());
        assert_eq!(shown.matches('\n').count(), source.matches('\n').count());
        shown
    }

    #[test]
    fn secrets_are_blotted_out_and_nothing_else() {
        let source = r#"
            [sinks.a]
            webhook = { url = "https://me:pass@a.example:1/hook/T0KEN?k=T0KEN", secret = "T0KEN", headers = { X = 'T0KEN' } }
            object-store = { url = "az://b", settings = { account_key = "T0KEN" } }
            [sinks.b.webhook]
            url = "http://b.example"
            secrets = ["T0KEN", """
            T0KEN"""]
            # whsec_T0KEN0
            [engine.temporal]
            api_key = "T0KEN"
        "#;
        let shown = shown(source);
        assert!(!shown.contains("T0KEN") && !shown.contains("pass"), "{shown}");
        for part in [
            "url = \"https://*******@a.example:1/",
            "secret = \"*****\"",
            "http://b.example\"",
            "whsec_******",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn broken_toml_shows_no_secret_either() {
        let source = "[sinks.a\nwebhook = { url = \"http://a\", Secret = \"T0KEN }\nother = \"é\n";
        let shown = shown(source);
        assert!(
            !shown.contains("T0KEN") && shown.contains("other = \"é"),
            "{shown}"
        );
    }
}
