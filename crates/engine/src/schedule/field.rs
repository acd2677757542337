//! One field of a calendar as text: values, names, ranges and steps, to a list of ranges.

use temporalio_protos::temporal::api::schedule::v1::Range;

use super::SpecError;

/// The years that calendars know.
pub(super) const FIRST_YEAR: i32 = 2000;
/// The last of them.
pub(super) const LAST_YEAR: i32 = 2100;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEK_DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// A field: its name in messages, its values, and what it is where nothing is given.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// As error messages have it.
    pub name: &'static str,
    /// The least value.
    pub min: i32,
    /// The greatest value.
    pub max: i32,
    pub(crate) default: &'static str,
    /// Names of the values from `min` on, and the fewest letters that stand for one.
    pub(crate) names: &'static [&'static str],
    pub(crate) letters: usize,
}

const fn numbers(name: &'static str, min: i32, max: i32, default: &'static str) -> Field {
    Field {
        name,
        min,
        max,
        default,
        names: &[],
        letters: 0,
    }
}

/// 0 to 59, 0 where not given.
pub const SECOND: Field = numbers("Second", 0, 59, "0");
/// 0 to 59, 0 where not given.
pub const MINUTE: Field = numbers("Minute", 0, 59, "0");
/// 0 to 23, 0 where not given.
pub const HOUR: Field = numbers("Hour", 0, 23, "0");
/// 1 to 31.
pub const DAY_OF_MONTH: Field = numbers("DayOfMonth", 1, 31, "*");
/// 1 to 12, or names of three letters or more.
pub const MONTH: Field = Field {
    names: &MONTHS,
    letters: 3,
    ..numbers("Month", 1, 12, "*")
};
/// 0 to 7, both ends Sunday, or names of two letters or more.
pub const DAY_OF_WEEK: Field = Field {
    names: &WEEK_DAYS,
    letters: 2,
    ..numbers("DayOfWeek", 0, 7, "*")
};
/// 2000 to 2100.
pub const YEAR: Field = numbers("Year", FIRST_YEAR, LAST_YEAR, "*");

impl Field {
    fn error(&self, what: &str) -> SpecError {
        SpecError::new(format!("{} {what}", self.name))
    }

    fn not_in_range(&self, what: &str) -> SpecError {
        self.error(&format!("{what}not in range [{}-{}]", self.min, self.max))
    }

    /// Reads a field: `*`, `x`, `x-z`, either with `/step`, and lists of these with commas. With a
    /// step, a single value stands for all from there on. Every year is an empty list.
    ///
    /// # Errors
    /// When the text is none of these, or a value is out of range.
    pub fn parse(&self, text: &str) -> Result<Vec<Range>, SpecError> {
        let text = match text.trim() {
            "" => self.default,
            given => given,
        };
        if text == "*" && *self == YEAR {
            return Ok(Vec::new());
        }
        let mut ranges = Vec::new();
        for part in text.split(',') {
            self.parse_part(part, &mut ranges)?;
        }
        Ok(ranges)
    }

    fn parse_part(&self, part: &str, ranges: &mut Vec<Range>) -> Result<(), SpecError> {
        let (values, step) = match part.split_once('/') {
            None => (part, None),
            Some((_, rest)) if rest.contains('/') => return Err(self.error("has too many slashes")),
            Some((values, step)) => {
                let step = step.parse().ok().filter(|step: &i32| *step >= 1);
                (values, Some(step.ok_or_else(|| self.error("has invalid Step"))?))
            }
        };
        let (start, end) = match values.split_once('-') {
            _ if values == "*" => (self.min, self.max),
            Some((_, last)) if last.contains('-') => return Err(self.error("has too many dashes")),
            Some((first, last)) => {
                let start = self.value(first).ok_or_else(|| self.not_in_range("Start is "))?;
                let end = self.value(last).filter(|end| *end >= start);
                (
                    start,
                    end.ok_or_else(|| self.not_in_range("End is before Start or "))?,
                )
            }
            None => {
                let value = self.value(values).ok_or_else(|| self.not_in_range("is "))?;
                (value, if step.is_some() { self.max } else { value })
            }
        };
        self.push(start, end, step.unwrap_or(1), ranges);
        Ok(())
    }

    /// Adds the range. Sunday as 7 becomes 0, by a range of its own where the others cannot have it.
    fn push(&self, start: i32, end: i32, step: i32, ranges: &mut Vec<Range>) {
        let mut end = end;
        if *self == DAY_OF_WEEK && end == 7 {
            let has_seven = (7 - start) % step == 0;
            let has_zero = start == 0;
            if has_seven && !has_zero && !(start == 1 && step == 1) {
                ranges.push(range(0, 0, 1));
                if start == 7 {
                    return;
                }
            }
            let start = if has_seven && start == 1 && step == 1 {
                0
            } else {
                start
            };
            end = 6;
            ranges.push(range(start, end, step));
            return;
        }
        ranges.push(range(start, end, step));
    }

    fn value(&self, text: &str) -> Option<i32> {
        let named = (text.len() >= self.letters)
            .then(|| text.to_ascii_lowercase())
            .and_then(|text| self.names.iter().position(|name| name.starts_with(&text)))
            .and_then(|index| i32::try_from(index).ok());
        let value = match named {
            Some(index) => self.min + index,
            None => text.parse().ok()?,
        };
        (self.min..=self.max).contains(&value).then_some(value)
    }
}

fn range(start: i32, end: i32, step: i32) -> Range {
    Range { start, end, step }
}
