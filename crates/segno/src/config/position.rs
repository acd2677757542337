//! From a place in a string to the place in the TOML that the string was written in.

/// The offset in `raw`, a TOML string with its quotes, of what is at byte `offset` of the string it means.
pub(super) fn in_raw(raw: &str, offset: usize) -> usize {
    let (open, escapes) = opening(raw);
    let mut at = open;
    let mut meant = 0;
    while meant < offset {
        let rest = raw.get(at..).unwrap_or_default();
        let Some(c) = rest.chars().next() else { break };
        let (written, means) = match escapes.then(|| escape(rest)).flatten() {
            Some(escape) => escape,
            None => (c.len_utf8(), c.len_utf8()),
        };
        at += written;
        meant += means;
    }
    at
}

/// How long the opening quotes are, and whether backslashes escape.
fn opening(raw: &str) -> (usize, bool) {
    for (quotes, escapes) in [("\"\"\"", true), ("'''", false)] {
        if let Some(rest) = raw.strip_prefix(quotes) {
            // A line break right after the opening is not part of the string.
            let newline = if rest.starts_with("\r\n") {
                2
            } else {
                usize::from(rest.starts_with('\n'))
            };
            return (quotes.len() + newline, escapes);
        }
    }
    (1, raw.starts_with('"'))
}

/// The lengths of the escape at the start of `rest`: of what is written, and of what it means.
fn escape(rest: &str) -> Option<(usize, usize)> {
    let after = rest.strip_prefix('\\')?;
    let digits = match after.chars().next()? {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        c if c.is_whitespace() => {
            // A backslash at the end of a line takes all white space up to the next word away.
            let skipped = after.len() - after.trim_start().len();
            return Some((1 + skipped, 0));
        }
        c => return Some((1 + c.len_utf8(), 1)),
    };
    let code = after
        .get(1..1 + digits)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let c = code.and_then(char::from_u32)?;
    Some((2 + digits, c.len_utf8()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::in_raw;

    /// The string that a TOML string means, by the TOML library.
    fn meaning(raw: &str) -> String {
        let document = format!("x = {raw}");
        let table: toml::Table = document.parse().unwrap_or_else(|error| panic!("{raw}: {error}"));
        table["x"].as_str().expect("a string").to_owned()
    }

    /// That what is at each character's place in `raw` is that character, where it is written as itself.
    fn check(raw: &str) {
        for (offset, c) in meaning(raw).char_indices() {
            let rest = &raw[in_raw(raw, offset)..];
            assert!(
                rest.starts_with(c) || rest.starts_with('\\'),
                "{c:?} at {offset} of {raw}: {rest}"
            );
        }
    }

    #[test]
    fn places_of_all_kinds_of_strings() {
        for raw in [
            r#""plain é text""#,
            r#""a \"quoted\" \\ \t\u00e9\U0001F600\x41 word""#,
            r"'literal \n é'",
            "'''\nfirst\n \\n 'second'\n'''",
            "\"\"\"\nfirst \\\n\n   second \\u00e9 \"quoted\" third\"\"\"",
            "\"\"\"no break\"\"\"",
            "\"\"",
        ] {
            check(raw);
        }
        let raw = r#""a\u00e9b""#;
        assert_eq!(
            (in_raw(raw, 0), in_raw(raw, 1), in_raw(raw, 3), in_raw(raw, 4)),
            (1, 2, 8, 9)
        );
        assert_eq!(in_raw("\"\"\"\nab\"\"\"", 1), 5);
    }

    proptest! {
        #[test]
        fn places_of_any_string(parts in proptest::collection::vec("[a-zé€]|\\\\u00e9|\\\\n|\\\\\"|\\\\\\\\", 0..20)) {
            check(&format!("\"{}\"", parts.concat()));
            check(&format!("\"\"\"\n{}\"\"\"", parts.join(" ")));
        }
    }
}
