//! Durations as people write them.

use std::time::Duration;

use super::reader::Reader;
use super::section::Section;
use super::{Code, Mistake};

/// The longest duration that is taken for one: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The duration under `key`: longer than nothing, and not longer than ten years.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    key: &'static str,
) -> Option<Duration> {
    let text = section.string(reader, key)?;
    let (message, found) = match humantime::parse_duration(text.text) {
        Ok(duration) if duration.is_zero() => {
            (format!("`{key}` must be longer than nothing"), "zero".to_owned())
        }
        Ok(duration) if duration > LONGEST => (
            format!("`{key}` must be at most ten years"),
            "too long".to_owned(),
        ),
        Ok(duration) => return Some(duration),
        Err(error) => (format!("`{key}` is not a duration"), error.to_string()),
    };
    let help = "write a number and a unit: \"500ms\", \"1s\", \"5m\", \"2h\", \"1d\", or several: \"1m 30s\"";
    reader.report(Mistake::new(Code::Duration, message, help).at(text.span, found));
    None
}
