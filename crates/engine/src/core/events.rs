//! The events of a run, encoded: as they are on disk and on the wire.
//!
//! An event is made once and read by a worker once or twice, but it is written to the journal, filed, and sent. So it
//! is encoded once, and what is written and sent is copied from here. Whoever wants to look into an event decodes it.

use std::ops::Range;

use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, message, skip_field},
};
use prost_types::Timestamp;
use temporalio_protos::temporal::api::{enums::v1::EventType, history::v1::HistoryEvent};

use crate::clock::nanos_of;

/// The field of an event in `History`.
///
/// Source: `temporal/api/history/v1/message.proto`.
const FIELD: u32 = 1;

/// Consecutive events, from event 1 on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// An encoded `History`.
    bytes: Vec<u8>,
    /// For each event, where its field ends.
    ends: Vec<usize>,
    /// When the last one was.
    last_time: Option<Timestamp>,
}

impl Events {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// When the last one was.
    pub(super) fn last_time(&self) -> Option<Timestamp> {
        self.last_time
    }

    /// Appends an event, and answers its size in bytes.
    pub(super) fn push(&mut self, event: &HistoryEvent) -> usize {
        message::encode(FIELD, event, &mut self.bytes);
        self.end_event(event.event_time);
        self.slice(self.len() - 1).len()
    }

    /// Appends the events of an encoded `History` whose ids follow; those that are here already are left out.
    ///
    /// # Errors
    /// When it is not one.
    pub fn append_encoded(&mut self, history: &[u8]) -> Result<(), NotEvents> {
        let mut rest = history;
        while !rest.is_empty() {
            let field = rest;
            let (tag, wire_type) = decode_key(&mut rest)?;
            if tag != FIELD || wire_type != WireType::LengthDelimited {
                return Err(NotEvents);
            }
            let len = usize::try_from(decode_varint(&mut rest)?).unwrap_or(usize::MAX);
            let (bytes, after) = rest.split_at_checked(len).ok_or(NotEvents)?;
            rest = after;
            let event = HistoryEvent::decode(bytes)?;
            if usize::try_from(event.event_id).is_ok_and(|id| id <= self.len()) {
                continue;
            }
            self.bytes.extend_from_slice(&field[..field.len() - rest.len()]);
            self.end_event(event.event_time);
        }
        Ok(())
    }

    fn end_event(&mut self, time: Option<Timestamp>) {
        self.ends.push(self.bytes.len());
        if time.is_some() {
            self.last_time = time;
        }
    }

    /// The event at this place, from 0 on.
    pub fn get(&self, index: usize) -> Option<HistoryEvent> {
        // What is in here was encoded by `push`, or has been decoded once.
        (index < self.len()).then(|| HistoryEvent::decode(self.slice(index)).unwrap_or_default())
    }

    /// The first event.
    pub fn first(&self) -> Option<HistoryEvent> {
        self.get(0)
    }

    /// The last event.
    pub fn last(&self) -> Option<HistoryEvent> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All events, decoded one by one.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = HistoryEvent> + ExactSizeIterator {
        self.from(0)
    }

    /// The events from this place on, decoded one by one.
    pub fn from(&self, index: usize) -> impl DoubleEndedIterator<Item = HistoryEvent> + ExactSizeIterator {
        (index.min(self.len())..self.len())
            .map(|index| HistoryEvent::decode(self.slice(index)).unwrap_or_default())
    }

    /// The events of this type: the others are not decoded.
    pub(super) fn of_type(&self, wanted: EventType) -> impl Iterator<Item = HistoryEvent> {
        (0..self.len())
            .filter(move |index| event_type(self.slice(*index)) == Some(wanted as u64))
            .filter_map(|index| self.get(index))
    }

    /// The encoded `History` of these events.
    pub fn encoded(&self, range: Range<usize>) -> &[u8] {
        let end = range.end.min(self.len());
        &self.bytes[self.start(range.start.min(end))..self.start(end)]
    }

    /// The first events, up to this number.
    pub(super) fn head(&self, len: usize) -> Self {
        let mut head = self.clone();
        head.truncate(len);
        head
    }

    /// Drops the events after the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.ends.truncate(len);
            self.bytes.truncate(self.start(len));
            self.last_time = self.last().and_then(|event| event.event_time);
        }
    }

    /// Where the field of the event at this place begins.
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The event at this place, without its key and its length.
    fn slice(&self, index: usize) -> &[u8] {
        let mut field = &self.bytes[self.start(index)..self.ends[index]];
        // Both are there.
        let _ = decode_key(&mut field);
        let _ = decode_varint(&mut field);
        field
    }

    /// The time of `event`, or that of the last one where it would go back.
    pub(super) fn not_before_last(&self, time: Option<Timestamp>) -> Option<Timestamp> {
        match (self.last_time(), time) {
            (Some(last), Some(time)) if nanos_of(&time) < nanos_of(&last) => Some(last),
            (last, time) => time.or(last),
        }
    }
}

/// The type of an encoded event, without decoding the rest: it comes before what is long.
///
/// Source: `temporal/api/history/v1/message.proto`, field 3 of `HistoryEvent`.
fn event_type(mut event: &[u8]) -> Option<u64> {
    const EVENT_TYPE: u32 = 3;
    while !event.is_empty() {
        let (tag, wire_type) = decode_key(&mut event).ok()?;
        if tag == EVENT_TYPE && wire_type == WireType::Varint {
            return decode_varint(&mut event).ok();
        }
        skip_field(wire_type, tag, &mut event, DecodeContext::default()).ok()?;
    }
    None
}

/// What is not an encoded `History`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the encoding of events")]
pub struct NotEvents;

impl From<DecodeError> for NotEvents {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::Timestamp;
    use temporalio_protos::temporal::api::history::v1::{History, HistoryEvent};

    use super::{Events, NotEvents};

    fn event(event_id: i64, seconds: i64) -> HistoryEvent {
        HistoryEvent {
            event_id,
            event_time: Some(Timestamp { seconds, nanos: 0 }),
            task_id: 1 << 40,
            ..Default::default()
        }
    }

    fn three() -> (Events, Vec<HistoryEvent>) {
        let all = vec![event(1, 10), event(2, 20), event(3, 20)];
        let mut events = Events::default();
        for event in &all {
            assert_eq!(events.push(event), event.encoded_len());
        }
        (events, all)
    }

    #[test]
    fn they_come_out_as_they_went_in() {
        let (events, all) = three();
        assert_eq!(events.iter().collect::<Vec<_>>(), all);
        assert_eq!(
            events.from(1).rev().collect::<Vec<_>>(),
            [event(3, 20), event(2, 20)]
        );
        assert_eq!(
            (events.first(), events.last()),
            (Some(event(1, 10)), Some(event(3, 20)))
        );
        assert_eq!(events.get(3), None);
        assert_eq!(events.from(7).count(), 0);
        let part = History::decode(events.encoded(1..3)).expect("a history");
        assert_eq!(part.events, all[1..]);
        assert_eq!(events.encoded(2..9), events.encoded(2..3));
        assert!(events.encoded(5..9).is_empty());
    }

    #[test]
    fn those_that_are_here_are_not_appended_again() {
        let (whole, _) = three();
        let mut events = whole.head(2);
        assert_eq!(events.len(), 2);
        events.append_encoded(whole.encoded(0..3)).expect("events");
        assert_eq!(events, whole);
        assert_eq!(events.append_encoded(&[0x0a, 9, 1]), Err(NotEvents));
        assert_eq!(events.append_encoded(&[0x12, 0]), Err(NotEvents));
    }

    #[test]
    fn time_does_not_go_back() {
        let (mut events, _) = three();
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        assert_eq!(events.not_before_last(at(15)), at(20));
        assert_eq!(events.not_before_last(at(25)), at(25));
        assert_eq!(events.not_before_last(None), at(20));
        events.truncate(1);
        assert_eq!(events.not_before_last(at(15)), at(15));
        events.truncate(0);
        assert_eq!(events.not_before_last(None), None);
    }
}
