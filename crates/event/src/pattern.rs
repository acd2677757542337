//! Patterns over event types.

use std::fmt;
use std::str::FromStr;

/// A pattern over event types: `*` stands for any run of characters, also for none, and across dots; every other
/// character stands for itself. `order.*` matches `order.placed` and `order.item.added`, not `order`; `*` matches all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TypePattern(String);

/// A text that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing has an empty type.
    #[error("an event type pattern must not be empty: use `*` for every type")]
    Empty,
    /// No event type contains such a character.
    #[error("an event type pattern must not contain control characters")]
    Control,
}

impl FromStr for TypePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            Err(PatternError::Empty)
        } else if text.chars().any(char::is_control) {
            Err(PatternError::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl TypePattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an event of type `ty` is meant. Case counts.
    pub fn matches(&self, ty: &str) -> bool {
        // Literal parts are taken at their leftmost place, which leaves the most room for what follows: one pass and
        // no backtracking. The first and the last part are anchored.
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(last) = parts.next_back() else {
            return ty == first;
        };
        let Some(rest) = ty.strip_prefix(first) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(last) else {
            return false;
        };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, ty: &str) -> bool {
        pattern.parse::<TypePattern>().expect("a pattern").matches(ty)
    }

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, ty, expected) in [
            ("order.*", "order.placed", true),
            ("order.*", "order.item.added", true),
            ("order.*", "order.", true),
            ("order.*", "order", false),
            ("order.*", "preorder.placed", false),
            ("*.placed", "order.placed", true),
            ("*.placed", "order.placed.again", false),
            ("*", "x", true),
            ("**", "x", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-bb-c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("ab*ba", "aba", false),
            ("order", "order", true),
            ("order", "Order", false),
            ("o?der", "order", false),
        ] {
            assert_eq!(matches(pattern, ty), expected, "{pattern} on {ty}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        assert_eq!("".parse::<TypePattern>(), Err(PatternError::Empty));
        assert_eq!("a\nb".parse::<TypePattern>(), Err(PatternError::Control));
    }

    /// The definition of a glob, by recursion: slow and plainly right.
    fn reference(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| reference(rest, &text[n..])),
            Some((c, rest)) => text.first() == Some(c) && reference(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab.é*]{1,8}", text in "[ab.é]{0,10}") {
            let expected = reference(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(matches(&pattern, &text), expected);
        }
    }
}
