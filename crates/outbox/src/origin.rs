//! Where an event was before it was published.

use segno_event::Event;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Extension with the outbox's name.
const OUTBOX: &str = "segnooutbox";
/// Extension with the row's position: as text, as CloudEvents' integers have 32 bits.
const POSITION: &str = "segnoposition";
/// Extension with the time at which the row was written (RFC 3339).
const WRITTEN: &str = "segnowritten";
/// Extension with the time at which the relay published it (RFC 3339).
const RELAYED: &str = "segnorelayed";

/// The row of an outbox that an event was in.
///
/// On the way over a bus it travels as extension attributes of the event (CloudEvents 1.0, "Extension Context Attributes"),
/// which whoever takes the event on at the other end [reads](Self::of).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Name of the outbox.
    pub outbox: String,
    /// The row's position in it.
    pub position: i64,
    /// When the row was written, by its database's clock.
    pub written_at: OffsetDateTime,
    /// When the relay handed the event on, by its own clock.
    pub relayed_at: OffsetDateTime,
}

impl Origin {
    /// The event, saying so itself. What it said before, of a row that it was in earlier, is gone.
    #[must_use]
    pub fn told_by(&self, mut event: Event) -> Event {
        let texts = [
            (OUTBOX, self.outbox.clone()),
            (POSITION, self.position.to_string()),
            (WRITTEN, text(self.written_at)),
            (RELAYED, text(self.relayed_at)),
        ];
        for (name, text) in texts {
            event.extensions.insert(name.to_owned(), text.into());
        }
        event
    }

    /// What an event says of its row; none where it says nothing, or not all of it.
    pub fn of(event: &Event) -> Option<Self> {
        let text = |name| event.extensions.get(name)?.as_str();
        let moment = |name| OffsetDateTime::parse(text(name)?, &Rfc3339).ok();
        Some(Self {
            outbox: text(OUTBOX)?.to_owned(),
            position: text(POSITION)?.parse().ok()?,
            written_at: moment(WRITTEN)?,
            relayed_at: moment(RELAYED)?,
        })
    }
}

/// RFC 3339 has no years beyond 9999: a clock that is there has nothing to say.
fn text(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(position: i64) -> Origin {
        Origin {
            outbox: "orders".to_owned(),
            position,
            written_at: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(),
            relayed_at: OffsetDateTime::from_unix_timestamp(1_800_000_001).unwrap(),
        }
    }

    #[test]
    fn what_an_event_says_of_its_row_is_read_again() {
        let event = Event::new("/s", "1", "t");
        assert_eq!(Origin::of(&event), None);
        let told = origin(i64::MAX).told_by(event);
        told.validate().unwrap();
        assert_eq!(Origin::of(&told), Some(origin(i64::MAX)));
        let later = origin(2).told_by(told);
        assert_eq!(Origin::of(&later), Some(origin(2)));
    }

    #[test]
    fn what_is_said_by_halves_is_not_said() {
        for name in [OUTBOX, POSITION, WRITTEN, RELAYED] {
            let mut event = origin(1).told_by(Event::new("/s", "1", "t"));
            event.extensions.insert(name.to_owned(), 5.into());
            assert_eq!(Origin::of(&event), None, "{name}");
        }
    }
}
