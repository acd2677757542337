//! Lengths of time as text, in Go's form: `1h30m`, `1.5s`; and with days: `2d`.

use super::SpecError;
use crate::clock::{Nanos, SECOND};

type Unit = (&'static str, Nanos);

const DAY: Unit = ("d", 86_400 * SECOND);
const UNITS: [Unit; 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    DAY,
];

/// Reads a length of time.
///
/// # Errors
/// When the text is none, or the length has no place in nanoseconds.
pub(crate) fn parse(text: &str) -> Result<Nanos, SpecError> {
    let (_days, units) = UNITS.split_last().unwrap_or((&DAY, &[]));
    of_units(text, units)
}

/// Reads a length of time that may have days in it.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_with_days(text: &str) -> Result<Nanos, SpecError> {
    of_units(text, &UNITS)
}

fn of_units(text: &str, units: &[Unit]) -> Result<Nanos, SpecError> {
    let invalid = || SpecError::new(format!("time: invalid duration {text:?}"));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (name, after) = after.split_at(unit_end);
        if name.is_empty() {
            return Err(SpecError::new(format!("time: missing unit in duration {text:?}")));
        }
        let unit = units.iter().find(|(unit, _)| *unit == name);
        let (_, unit) =
            unit.ok_or_else(|| SpecError::new(format!("time: unknown unit {name:?} in duration {text:?}")))?;
        total += scaled(number, *unit).ok_or_else(invalid)?;
        if total > i128::from(Nanos::MAX) {
            return Err(invalid());
        }
        rest = after;
    }
    let total = if negative { -total } else { total };
    Nanos::try_from(total).map_err(|_| invalid())
}

/// A decimal number of units.
fn scaled(number: &str, unit: Nanos) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // What is below a nanosecond of a day: fifteen digits.
    let fraction = &fraction[..fraction.len().min(15)];
    let mut parts: i128 = 0;
    let mut of: i128 = 1;
    for digit in fraction.chars() {
        parts = parts * 10 + i128::from(digit.to_digit(10)?);
        of *= 10;
    }
    let unit = i128::from(unit);
    Some(i128::from(whole) * unit + parts * unit / of)
}
