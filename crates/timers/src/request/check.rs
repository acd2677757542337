//! Going through an object's keys and gathering what is wrong with them.

use serde_json::{Map, Value};

use super::Issue;

/// An object under inspection. What nobody asks for is reported as unknown at the end.
pub(crate) struct Check<'a> {
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    issues: Vec<Issue>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            known: Vec::new(),
            issues: Vec::new(),
        }
    }

    /// The value of a key, which is known from now on.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.object.get(key)
    }

    pub(crate) fn report(&mut self, issue: Issue) {
        self.issues.push(issue);
    }

    /// A string that is not empty.
    pub(crate) fn string(&mut self, key: &'static str, value: &'a Value) -> Option<&'a str> {
        match value {
            Value::String(text) if text.is_empty() => self.report(Issue::empty(key)),
            Value::String(text) => return Some(text),
            other => self.report(Issue::not_a_string(&[key], other)),
        }
        None
    }

    /// A whole number from 0 to `max`; what is too large for 64 bits is cut to them.
    pub(crate) fn integer(&mut self, key: &'static str, value: &Value, max: Option<u64>) -> Option<u64> {
        let Value::Number(number) = value else {
            self.report(Issue::not_a_number(key, value));
            return None;
        };
        let whole = match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => whole,
            (None, Some(float)) if float.fract() != 0.0 => {
                self.report(Issue::not_an_integer(key, value));
                return None;
            }
            (None, Some(float)) if float < 0.0 => {
                self.report(Issue::too_small(key, value, 0));
                return None;
            }
            // A cast from a float saturates.
            (None, float) => float.map_or(u64::MAX, |float| float as u64),
        };
        match max {
            Some(max) if whole > max => {
                self.report(Issue::too_large(key, value, max));
                None
            }
            _ => Some(whole),
        }
    }

    /// All issues, those of unknown keys last.
    pub(crate) fn finish(mut self) -> Result<(), Vec<Issue>> {
        for (key, value) in self.object {
            if !self.known.contains(&key.as_str()) {
                self.issues.push(Issue::unknown(key, value));
            }
        }
        if self.issues.is_empty() {
            Ok(())
        } else {
            Err(self.issues)
        }
    }
}
