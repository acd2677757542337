//! A route's flow control: `order`, `limits`, `debounce`, `batch` and `max_waiting`.

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use segno_routing::flow::{Batch, Debounce, Flow, Key, Limits, Per, Policy, Rate};

use super::reader::{Reader, Text};
use super::section::Section;
use super::{Code, Mistake, duration};

/// Quiet time after which a debounced event runs at the latest, in multiples of `quiet`, unless `max` says so.
const MAX_QUIETS: u32 = 10;

/// The key that a route's tables name, and where.
#[derive(Default)]
struct By {
    key: Option<(String, Key, Range<usize>)>,
    broken: bool,
}

/// What the route in `section` says about flow control; `Ok(None)` if nothing.
pub(super) fn read(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Result<Option<Flow>, ()> {
    let any = ["order", "limits", "debounce", "batch"]
        .map(|key| section.has(key))
        .contains(&true);
    let mut by = By::default();
    let order = order(reader, section, &mut by);
    let limits = limits(reader, section, &mut by);
    let debounce = debounce(reader, section, &mut by);
    let batch = batch(reader, section, &mut by);
    if section.has("debounce") && section.has("batch") {
        let message = format!("{} has both `debounce` and `batch`", section.what);
        let help = "with `debounce` the last of several events runs, with `batch` all of them as one: keep one of the two";
        let mistake = Mistake::new(Code::FlowConflict, message, help);
        let spans = ["debounce", "batch"]
            .into_iter()
            .filter_map(|key| Some((section.key_span(key)?, key)));
        reader.report(spans.fold(mistake, |mistake, (span, key)| {
            mistake.at(span, format!("`{key}`"))
        }));
        return Err(());
    }
    let policy = Policy {
        order: order?,
        limits: limits?,
        debounce: debounce?,
        batch: batch?,
        max_waiting: None,
    };
    let max_waiting = count(reader, section, "max_waiting")?;
    if by.broken {
        return Err(());
    }
    let by_key = policy.order
        || policy.debounce.is_some()
        || policy
            .limits
            .as_ref()
            .is_some_and(|limits| limits.per == Per::Key);
    let key = match by.key {
        Some((_, key, _)) => Some(key),
        None if by_key => Some(Key::default()),
        None => None,
    };
    let asks = any && policy != Policy::default();
    if let Some(span) = section.key_span("max_waiting").filter(|_| !asks) {
        let message = format!("nothing waits on {}", section.what);
        let help = "`max_waiting` is for routes with `order`, `limits`, `debounce` or `batch`: leave it out, or add one of these";
        reader.report(Mistake::new(Code::Value, message, help).at(span, "of no use"));
        return Err(());
    }
    let policy = Policy {
        max_waiting,
        ..policy
    };
    Ok(asks.then_some(Flow { key, policy }))
}

impl By {
    /// The `by` of one of the route's tables.
    fn read(&mut self, reader: &mut Reader<'_>, section: &mut Section<'_>) {
        let Some(text) = section.string(reader, "by") else {
            self.broken |= section.has("by");
            return;
        };
        match &self.key {
            Some((given, _, _)) if given == text.text => {}
            Some((_, _, first)) => {
                let message = "a route has one key, and two are named";
                let help = "name the same key in each table, or make a second route";
                let mistake = Mistake::new(Code::Keys, message, help);
                reader.report(
                    mistake
                        .at(text.span, "another key")
                        .at(first.clone(), "the first"),
                );
                self.broken = true;
            }
            None => match Key::compile(text.text) {
                Ok(key) => self.key = Some((text.text.to_owned(), key, text.span)),
                Err(error) => {
                    let span = reader.within(&text, error.offset, error.len);
                    let message = format!("this key does not compile: {error}");
                    let help = "name an attribute, as in by = \"subject\", or write CEL: by = \"event.data.customer\"";
                    reader.report(Mistake::new(Code::Key, message, help).at(span, "here"));
                    self.broken = true;
                }
            },
        }
    }
}

fn order(reader: &mut Reader<'_>, section: &mut Section<'_>, by: &mut By) -> Result<bool, ()> {
    if !section.has("order") {
        section.take("order");
        return Ok(false);
    }
    let what = format!("the order of {}", section.what);
    let mut table = section.table(reader, "order", &what).ok_or(())?;
    by.read(reader, &mut table);
    table.finish(reader);
    Ok(true)
}

fn limits(reader: &mut Reader<'_>, section: &mut Section<'_>, by: &mut By) -> Result<Option<Limits>, ()> {
    if !section.has("limits") {
        section.take("limits");
        return Ok(None);
    }
    let what = format!("the limits of {}", section.what);
    let mut table = section.table(reader, "limits", &what).ok_or(())?;
    let concurrency = count(reader, &mut table, "concurrency");
    let rate = match table.string(reader, "rate") {
        None if table.has("rate") => Err(()),
        None => Ok(None),
        Some(text) => rate(reader, &text).map(Some),
    };
    let per = match table.string(reader, "per") {
        None if table.has("per") => Err(()),
        None => Ok(None),
        Some(text) => match text.text {
            "route" => Ok(Some(Per::Route)),
            "key" => Ok(Some(Per::Key)),
            _ => {
                let help =
                    "write per = \"route\" to count all events together, per = \"key\" to count each key's";
                let mistake = Mistake::new(Code::Value, "`per` must be \"route\" or \"key\"", help);
                reader.report(mistake.at(text.span, "neither"));
                Err(())
            }
        },
    };
    if !table.has("concurrency") && !table.has("rate") {
        let message = format!("{what} limit nothing");
        let help = "add `concurrency`, as in concurrency = 10, or `rate`, as in rate = \"100/s\"";
        reader.report(Mistake::new(Code::NoLimit, message, help).at(table.span.clone(), "no limit in here"));
    }
    by.read(reader, &mut table);
    let limitless = !table.has("concurrency") && !table.has("rate");
    table.finish(reader);
    let limits = Limits {
        concurrency: concurrency?,
        rate: rate?,
        per: per?.unwrap_or_default(),
    };
    if limitless { Err(()) } else { Ok(Some(limits)) }
}

fn rate(reader: &mut Reader<'_>, text: &Text<'_>) -> Result<Rate, ()> {
    text.text.parse().map_err(|error: segno_routing::flow::RateError| {
        let help = "write how many may start in a second, minute, hour or day: \"100/s\", \"10/m\", \"500/h\", \"1000/d\"";
        reader.report(Mistake::new(Code::Rate, error.to_string(), help).at(text.span.clone(), "no rate"));
    })
}

fn debounce(reader: &mut Reader<'_>, section: &mut Section<'_>, by: &mut By) -> Result<Option<Debounce>, ()> {
    if !section.has("debounce") {
        section.take("debounce");
        return Ok(None);
    }
    let what = format!("the debouncing of {}", section.what);
    let mut table = section.table(reader, "debounce", &what).ok_or(())?;
    if !table.has("quiet") {
        table.missing(reader, "quiet");
    }
    let quiet = duration::read(reader, &mut table, "quiet");
    let max = duration::read(reader, &mut table, "max");
    by.read(reader, &mut table);
    let unread = table.has("max") && max.is_none();
    let span = table.key_span("max");
    table.finish(reader);
    let quiet = quiet.filter(|_| !unread).ok_or(())?;
    let max = max.unwrap_or(quiet.saturating_mul(MAX_QUIETS));
    if max < quiet {
        let help = "an event runs when `quiet` has passed without another, and when `max` has passed since the first";
        let mistake = Mistake::new(Code::Debounce, "`max` is shorter than `quiet`", help);
        reader.report(mistake.at(span.unwrap_or_default(), "shorter"));
        return Err(());
    }
    Ok(Some(Debounce {
        quiet: millis(quiet),
        max: millis(max),
    }))
}

fn batch(reader: &mut Reader<'_>, section: &mut Section<'_>, by: &mut By) -> Result<Option<Batch>, ()> {
    if !section.has("batch") {
        section.take("batch");
        return Ok(None);
    }
    let what = format!("the batches of {}", section.what);
    let mut table = section.table(reader, "batch", &what).ok_or(())?;
    for key in ["size", "within"] {
        if !table.has(key) {
            table.missing(reader, key);
        }
    }
    let size = count(reader, &mut table, "size");
    let within = duration::read(reader, &mut table, "within");
    by.read(reader, &mut table);
    table.finish(reader);
    Ok(Some(Batch {
        size: size?.ok_or(())?,
        within: millis(within.ok_or(())?),
    }))
}

/// A number of at least one.
fn count(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    key: &'static str,
) -> Result<Option<NonZeroU32>, ()> {
    let Some(int) = section.int(reader, key) else {
        return if section.has(key) { Err(()) } else { Ok(None) };
    };
    match u32::try_from(int.value).ok().and_then(NonZeroU32::new) {
        Some(count) => Ok(Some(count)),
        None => {
            let message = format!("`{key}` must be from 1 to {}", u32::MAX);
            let help = "write a whole number; without the key there is no such limit";
            reader.report(Mistake::new(Code::Value, message, help).at(int.span, "out of range"));
            Err(())
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Mistakes};

    fn route(line: &str) -> Result<Option<(Option<String>, Policy)>, Mistakes> {
        let text = format!("[[routes]]\nname = \"r\"\non = \"*\"\nconsumer = \"c\"\n{line}\n");
        let config = Config::parse("segno.toml", &text, Path::new(""))?;
        let flow = config.routes.get("r").and_then(|route| route.flow.as_ref());
        Ok(flow.map(|flow| {
            let key = flow.key.as_ref().map(|key| key.source().to_owned());
            (key, flow.policy.clone())
        }))
    }

    fn policy(line: &str) -> (Option<String>, Policy) {
        route(line).expect("no mistake").expect("flow control")
    }

    #[test]
    fn what_is_asked_for_is_read() {
        assert!(route("").expect("no mistake").is_none());
        let subject = Some("subject".to_owned());
        let (key, ordered) = policy("order = {}");
        assert_eq!((key, ordered.order), (subject.clone(), true));
        assert_eq!(
            policy("order = { by = \"event.data.id\" }").0.as_deref(),
            Some("event.data.id")
        );

        assert_eq!(ordered.max_waiting, None);
        let (_, bounded) = policy("order = {}\nmax_waiting = 7");
        assert_eq!(bounded.max_waiting.map(NonZeroU32::get), Some(7));

        let (key, limited) = policy("limits = { concurrency = 3, rate = \"10/m\" }");
        let limits = limited.limits.expect("limits");
        assert_eq!((key, limits.per), (None, Per::Route));
        assert_eq!(limits.concurrency.map(NonZeroU32::get), Some(3));
        assert_eq!(limits.rate.map(|rate| rate.to_string()).as_deref(), Some("10/m"));
        assert_eq!(policy("limits = { rate = \"1/s\", per = \"key\" }").0, subject);

        let (key, debounced) = policy("debounce = { quiet = \"5s\" }");
        assert_eq!(key, subject);
        assert_eq!(
            debounced.debounce,
            Some(Debounce {
                quiet: 5_000,
                max: 50_000
            })
        );

        let (key, batched) = policy("batch = { size = 10, within = \"2s\" }");
        let batch = batched.batch.expect("batches");
        assert_eq!((key, batch.size.get(), batch.within), (None, 10, 2_000));
        assert_eq!(
            policy("order = {}\nbatch = { size = 10, within = \"2s\" }").0,
            subject
        );
    }

    #[test]
    fn what_makes_no_sense_is_reported_in_its_place() {
        for (line, code) in [
            ("order = { by = \"event.data[\" }", Code::Key),
            ("order = true", Code::Type),
            ("order = { key = \"subject\" }", Code::UnknownKey),
            ("limits = {}", Code::NoLimit),
            ("limits = { concurrency = 0 }", Code::Value),
            ("limits = { concurrency = \"3\" }", Code::Type),
            ("limits = { rate = \"fast\" }", Code::Rate),
            ("limits = { rate = \"0/s\" }", Code::Rate),
            ("limits = { rate = \"1/s\", per = \"sink\" }", Code::Value),
            ("debounce = {}", Code::Missing),
            ("debounce = { quiet = \"5\" }", Code::Duration),
            ("debounce = { quiet = \"1m\", max = \"5s\" }", Code::Debounce),
            ("max_waiting = 3", Code::Value),
            ("order = {}\nmax_waiting = 0", Code::Value),
            ("batch = { size = 3 }", Code::Missing),
            ("batch = { size = 0, within = \"1s\" }", Code::Value),
            (
                "batch = { size = 3, within = \"1s\" }\ndebounce = { quiet = \"1s\" }",
                Code::FlowConflict,
            ),
            (
                "order = { by = \"subject\" }\nlimits = { rate = \"1/s\", by = \"source\" }",
                Code::Keys,
            ),
        ] {
            let mistakes = route(line).expect_err(line);
            let found: Vec<_> = mistakes.iter().map(|mistake| mistake.code).collect();
            assert_eq!(found, [code], "{line}");
            assert!(
                mistakes.iter().all(|mistake| mistake.position().is_some()),
                "{line}"
            );
        }
    }
}
