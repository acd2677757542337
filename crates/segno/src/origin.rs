//! How an event came in: over HTTP, by a source, out of an outbox.
//!
//! What is known of it is not the event's own, so it is kept beside it: in the memo of each execution that is started for it.
//! What a relay says over a bus comes with the event, as extension attributes.

use segno_event::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Key of the memo with the [`Origin`] of an execution's event.
pub(crate) const MEMO: &str = "SegnoOrigin";

/// Where an event came in, and where it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = EventOrigin)]
pub(crate) struct Origin {
    /// `http`, `source`, `outbox`, `schedule` or `program`.
    #[schema(example = "source")]
    pub(crate) by: String,
    /// Name of the source or outbox; of what came otherwise there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "orders")]
    pub(crate) name: Option<String>,
    /// The row of an outbox that the event was in, where a relay said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<OutboxRow>,
}

/// The row of an outbox that an event was in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = EventOutboxRow)]
pub(crate) struct OutboxRow {
    /// Name of the outbox, as its relay is configured.
    pub(crate) outbox: String,
    /// Its position there.
    pub(crate) position: i64,
    /// When it was written, by the clock of its database (RFC 3339).
    pub(crate) written_at: String,
    /// When the relay handed the event on, by its clock (RFC 3339).
    pub(crate) relayed_at: String,
}

#[cfg(feature = "outbox")]
impl From<segno_outbox::Origin> for OutboxRow {
    fn from(origin: segno_outbox::Origin) -> Self {
        Self {
            outbox: origin.outbox,
            position: origin.position,
            written_at: crate::run::format(origin.written_at),
            relayed_at: crate::run::format(origin.relayed_at),
        }
    }
}

impl OutboxRow {
    /// The row that an event says it was in.
    #[cfg(feature = "outbox")]
    pub(crate) fn of(event: &Event) -> Option<Self> {
        segno_outbox::Origin::of(event).map(Self::from)
    }

    /// A program that has no outboxes does not know how relays say it.
    #[cfg(not(feature = "outbox"))]
    pub(crate) fn of(_: &Event) -> Option<Self> {
        None
    }
}
