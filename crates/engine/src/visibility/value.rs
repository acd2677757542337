//! Values of stored attributes in the form in which SQLite compares them.

use rusqlite::types::Value as Sql;
use serde_json::Value as Json;

use super::attribute::{AttributeId, AttributeType};

/// The value of a stored attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AttributeValue {
    Text(String),
    Keyword(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// Nanoseconds since 1970.
    Datetime(i64),
    KeywordList(Vec<String>),
}

impl AttributeValue {
    /// The form kept in `execution.attributes`: an integer, a string or a list of strings.
    pub(super) fn comparable(&self) -> Json {
        match self {
            AttributeValue::Text(text) => Json::from(normal_text(text)),
            AttributeValue::Keyword(text) => Json::from(text.as_str()),
            AttributeValue::Int(number) | AttributeValue::Datetime(number) => Json::from(*number),
            AttributeValue::Double(number) => Json::from(ordered(*number)),
            AttributeValue::Bool(value) => Json::from(i64::from(*value)),
            AttributeValue::KeywordList(values) => Json::from(values.as_slice()),
        }
    }
}

/// The rows of `execution_attribute` that a value in comparable form has.
pub(super) fn index_values(id: AttributeId, comparable: &Json) -> Vec<Sql> {
    let mut values: Vec<&str> = match comparable {
        Json::String(text) if id.ty() == AttributeType::Text => text.split_ascii_whitespace().collect(),
        Json::String(text) => vec![text],
        Json::Array(list) => list.iter().filter_map(Json::as_str).collect(),
        other => return other.as_i64().map(Sql::Integer).into_iter().collect(),
    };
    values.sort_unstable();
    values.dedup();
    values
        .into_iter()
        .map(|value| Sql::Text(value.to_owned()))
        .collect()
}

/// A floating-point number as an integer of the same order, so that it survives text and compares exactly.
pub(super) fn ordered(number: f64) -> i64 {
    // Zero has two forms that are equal.
    let bits = (if number == 0.0 { 0.0 } else { number }).to_bits() as i64;
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

/// The words of a text, lower case: runs of letters and digits.
pub(super) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A text's words between single blanks, also at both ends, so that a run of words is found as a substring.
pub(super) fn normal_text(text: &str) -> String {
    phrase(&words(text))
}

/// The substring of a normal text which says that these words follow each other there.
pub(super) fn phrase(words: &[String]) -> String {
    let mut normal = String::from(" ");
    for word in words {
        normal.push_str(word);
        normal.push(' ');
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_keep_their_order_as_integers() {
        let numbers = [
            f64::NEG_INFINITY,
            -1e300,
            -2.5,
            -1.0,
            -1e-300,
            0.0,
            1e-300,
            0.1,
            1.0,
            2.5,
            1e300,
            f64::INFINITY,
        ];
        assert!(numbers.windows(2).all(|pair| ordered(pair[0]) < ordered(pair[1])));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    #[test]
    fn text_becomes_words_between_blanks() {
        assert_eq!(normal_text("The quick, fox_trot!"), " the quick fox trot ");
        assert_eq!(normal_text("..."), " ");
    }
}
