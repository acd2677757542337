//! Splits a query into tokens: the lexical rules of MySQL, as far as queries use them.

/// A token and where it ends, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// An unquoted word: a keyword or a name.
    Word(String),
    /// A name in backquotes.
    Name(String),
    Str(String),
    /// The digits as written.
    Number(String),
    /// One of `= != < <= > >= <=> && || ! ( ) , + - * / %`.
    Symbol(&'static str),
    /// Text no token starts with, or a quote that is never closed.
    Invalid(String),
    End,
}

const SYMBOLS: [&str; 20] = [
    "<=>", "!=", "<>", "<=", ">=", "&&", "||", "=", "<", ">", "!", "(", ")", ",", "+", "-", "*", "/", "%",
    ";",
];

/// All tokens of `text`; the last one is `End`, or `Invalid` where reading stopped.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blank(text, at);
        let (kind, end) = next(text, at);
        at = end;
        let last = matches!(kind, Kind::End | Kind::Invalid(_));
        tokens.push(Token { kind, end });
        if last {
            return tokens;
        }
    }
}

fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        let comment = &rest[blank..];
        at += blank;
        if comment.starts_with("--") {
            at += comment.find('\n').map_or(comment.len(), |line| line + 1);
        } else if comment.starts_with("/*") {
            match comment.find("*/") {
                Some(end) => at += end + 2,
                None => return at,
            }
        } else {
            return at;
        }
    }
}

fn next(text: &str, at: usize) -> (Kind, usize) {
    let rest = &text[at..];
    let Some(first) = rest.chars().next() else {
        return (Kind::End, at);
    };
    let digit_follows = rest[first.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
    match first {
        '\'' | '"' | '`' => quoted(text, at, first),
        '0'..='9' => number(text, at),
        '.' if digit_follows => number(text, at),
        c if c.is_alphabetic() || c == '_' => {
            let len = rest
                .find(|c: char| !(c.is_alphanumeric() || "_.$".contains(c)))
                .unwrap_or(rest.len());
            (Kind::Word(rest[..len].to_owned()), at + len)
        }
        c => match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            Some(symbol) => (
                Kind::Symbol(if symbol == "<>" { "!=" } else { symbol }),
                at + symbol.len(),
            ),
            None => (Kind::Invalid(c.to_string()), at + c.len_utf8()),
        },
    }
}

fn quoted(text: &str, at: usize, quote: char) -> (Kind, usize) {
    let mut value = String::new();
    let mut chars = text[at + 1..].char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        if c == quote {
            if chars.next_if(|(_, next)| *next == quote).is_some() {
                value.push(quote);
                continue;
            }
            let end = at + 1 + offset + 1;
            return (
                if quote == '`' {
                    Kind::Name(value)
                } else {
                    Kind::Str(value)
                },
                end,
            );
        }
        if c == '\\' && quote != '`' {
            match chars.next() {
                Some((_, escaped)) => value.push(unescape(escaped)),
                None => break,
            }
        } else {
            value.push(c);
        }
    }
    (Kind::Invalid(value), text.len())
}

fn unescape(c: char) -> char {
    match c {
        '0' => '\0',
        'b' => '\u{8}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'Z' => '\u{1a}',
        other => other,
    }
}

fn number(text: &str, at: usize) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(at);
    if text[at..].starts_with("0x") || text[at..].starts_with("0X") {
        end = at + 2;
        while bytes.get(end).is_some_and(u8::is_ascii_hexdigit) {
            end += 1;
        }
        return (Kind::Number(text[at..end].to_owned()), end);
    }
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    (Kind::Number(text[at..end].to_owned()), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn strings_take_both_quotes_and_all_escapes() {
        assert_eq!(kinds(r#"'it''s'"#)[0], Kind::Str("it's".into()));
        assert_eq!(kinds(r#"'it\'s'"#)[0], Kind::Str("it's".into()));
        assert_eq!(kinds(r#""a'b""#)[0], Kind::Str("a'b".into()));
        assert_eq!(kinds(r#"'a\n\\b'"#)[0], Kind::Str("a\n\\b".into()));
        assert_eq!(kinds("`a b`")[0], Kind::Name("a b".into()));
    }

    #[test]
    fn numbers_end_where_they_end() {
        for number in ["5", "5.25", ".5", "1e3", "1.5E-3", "0x5f"] {
            assert_eq!(
                kinds(number),
                [Kind::Number(number.into()), Kind::End],
                "{number}"
            );
        }
        assert_eq!(
            kinds("1e")[..2],
            [Kind::Number("1".into()), Kind::Word("e".into())]
        );
    }

    #[test]
    fn an_unclosed_quote_stops_at_the_end() {
        assert_eq!(
            tokens("'ab"),
            [Token {
                kind: Kind::Invalid("ab".into()),
                end: 3
            }]
        );
        assert_eq!(
            tokens("'é"),
            [Token {
                kind: Kind::Invalid("é".into()),
                end: 3
            }]
        );
    }

    #[test]
    fn comments_are_blank() {
        assert_eq!(
            kinds("a -- b\n/* c */ d"),
            [Kind::Word("a".into()), Kind::Word("d".into()), Kind::End]
        );
    }
}
