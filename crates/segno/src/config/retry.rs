//! Retry policies.

use segno_routing::{Retry, RetryError};

use super::reader::Reader;
use super::section::Section;
use super::{Code, Mistake, duration};

/// The policy under `retry`, or the default one.
pub(super) fn read(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Retry> {
    let what = format!("the retry policy of {}", section.what);
    if !section.has("retry") {
        section.take("retry");
        return Some(Retry::default());
    }
    let mut section = section.table(reader, "retry", &what)?;
    let initial = duration::read(reader, &mut section, "initial");
    let backoff = section.number(reader, "backoff");
    let max_interval = duration::read(reader, &mut section, "max_interval");
    let max_attempts = section.int(reader, "max_attempts").and_then(|int| {
        let attempts = u32::try_from(int.value).ok();
        if attempts.is_none() {
            let help = "write how many attempts there are in all, or 0 for no limit";
            let mistake = Mistake::new(Code::Value, "`max_attempts` is out of range", help);
            reader.report(mistake.at(int.span, "out of range"));
        }
        attempts
    });
    let unread = |key: &str, read: bool| section.has(key) && !read;
    let partial = unread("initial", initial.is_some()) || unread("max_interval", max_interval.is_some());
    let span = section.span.clone();
    section.finish(reader);
    let retry = Retry::with(initial, backoff, max_interval, max_attempts);
    // A default in place of what could not be read proves nothing.
    if partial {
        return None;
    }
    match retry.validate() {
        Ok(()) => Some(retry),
        Err(error) => {
            let help = match error {
                RetryError::Backoff => "write 2.0 to double the wait each time, 1.0 to keep it as it is",
                _ => "waits start at `initial`, grow by `backoff` and stay at `max_interval`",
            };
            reader.report(Mistake::new(Code::Retry, error.to_string(), help).at(span, "this policy"));
            None
        }
    }
}
