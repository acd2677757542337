//! Which trace an event belongs to: one from where it came from to every sink that it goes to.
//!
//! An event carries its trace itself, by the CloudEvents extension `traceparent` (W3C Trace Context); where it came without
//! one the trace's id is made of the event's source and id. Either way nobody has to remember it: every process, also the
//! one that goes on after a crash, comes to the same trace and the same parents.

use std::fmt;

use segno_event::Event;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The extension, and the header, that names the trace and the span before.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// The extension, and the header, with what tracing systems add.
pub(crate) const TRACESTATE: &str = "tracestate";
/// Longest `tracestate` that is carried on: what W3C Trace Context asks everybody to take.
const MAX_STATE: usize = 512;

/// A place in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace: [u8; 16],
    /// The span before; none where the trace begins with the event.
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) sampled: bool,
    pub(crate) state: Option<String>,
}

impl TraceContext {
    /// The event's.
    pub(crate) fn of(event: &Event) -> Self {
        let extension = |name| event.extensions.get(name).and_then(Value::as_str);
        match extension(TRACEPARENT).and_then(|text| Self::parse(text, extension(TRACESTATE))) {
            Some(context) => context,
            None => Self {
                trace: hash(&["trace", &event.source, &event.id]),
                parent: None,
                sampled: true,
                state: None,
            },
        }
    }

    /// As `traceparent` and `tracestate` have it. None: it is not as W3C Trace Context says, and so is to be left alone.
    pub(crate) fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = bytes::<1>(version)?;
        // A later version may have more parts.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, parent, [flags]) = (bytes::<16>(trace)?, bytes::<8>(parent)?, bytes::<1>(flags)?);
        if trace == [0; 16] || parent == [0; 8] {
            return None;
        }
        let state = tracestate.map(str::trim);
        let state = state.filter(|state| {
            !state.is_empty() && state.len() <= MAX_STATE && state.bytes().all(|b| matches!(b, b' '..=b'~'))
        });
        Some(Self {
            trace,
            parent: Some(parent),
            sampled: flags & 1 == 1,
            state: state.map(str::to_owned),
        })
    }

    /// The same trace, after this span.
    pub(crate) fn after(&self, span: [u8; 8]) -> Self {
        Self {
            parent: Some(span),
            ..self.clone()
        }
    }

    /// The trace's id, as logs and tracing systems write it.
    pub(crate) fn trace_id(&self) -> String {
        hex(&self.trace)
    }

    /// The id of a span of this trace that is made of what it is: whoever makes it, and makes it again, comes to the same one.
    pub(crate) fn span(&self, parts: &[&str]) -> [u8; 8] {
        let trace = self.trace_id();
        hash(&[&["span", trace.as_str()], parts].concat())
    }
}

/// As `traceparent` has it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = self.parent.unwrap_or_default();
        let flags = u8::from(self.sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id(), hex(&parent))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal in lower case, as the specification has it.
fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let lower = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    if hex.len() != 2 * N || !hex.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A digest of parts, none of which can run into the next; never all zeros, which no id may be.
fn hash<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut id = [0; N];
    id.copy_from_slice(&digest[..N]);
    if id == [0; N] {
        id[N - 1] = 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn an_event_that_has_a_trace_stays_in_it() {
        let mut event = Event::new("/shop", "1", "order.placed");
        event.extensions.insert("traceparent".to_owned(), GIVEN.into());
        event.extensions.insert("tracestate".to_owned(), "a=1,b=2".into());
        let context = TraceContext::of(&event);
        assert_eq!(context.to_string(), GIVEN);
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.state.as_deref(), Some("a=1,b=2"));
        let after = context.after(context.span(&["intake", "/shop", "1"]));
        assert_eq!(after.trace, context.trace);
        assert_ne!(after.parent, context.parent);
    }

    #[test]
    fn an_event_without_one_has_its_own_and_always_the_same() {
        let trace = |source: &str, id: &str| TraceContext::of(&Event::new(source, id, "a"));
        assert_eq!(trace("/shop", "1"), trace("/shop", "1"));
        assert_ne!(trace("/shop", "1").trace, trace("/shop", "2").trace);
        // Source and id do not run into each other.
        assert_ne!(trace("/shop1", "").trace, trace("/shop", "1").trace);
        let mut wrong = Event::new("/shop", "1", "a");
        wrong
            .extensions
            .insert("traceparent".to_owned(), "nonsense".into());
        assert_eq!(TraceContext::of(&wrong), trace("/shop", "1"));
    }

    #[test]
    fn what_is_no_traceparent_is_left_alone() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(wrong, None), None, "{wrong}");
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        let later = TraceContext::parse(later, Some("a\u{1}b")).unwrap();
        assert!(!later.sampled && later.state.is_none());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_left_alone(text in "\\PC{0,80}") {
            if let Some(context) = TraceContext::parse(&text, Some(&text)) {
                prop_assert!(TraceContext::parse(&context.to_string(), None).is_some());
            }
        }
    }
}
