//! The name of an (event, route) pair's execution.

use segno_event::Event;
use sha2::{Digest, Sha256};

/// The longest workflow id, in bytes, as Temporal's servers allow by default.
pub const MAX_WORKFLOW_ID: usize = 1000;

/// The id of the workflow that handles an event on a route: `<route>/<source>/<event id>`.
///
/// In the event id `%` and `/` are percent-encoded, and a route's name has no `/`: so the route ends at the first
/// slash, the event id starts after the last, and distinct pairs have distinct ids. Ids that would be longer than
/// [`MAX_WORKFLOW_ID`] are `<route>/sha256/<hex>`, the hash of source, NUL and event id (attributes contain no NUL).
/// An event that would spell such an id by its own source and id is hashed as well, so that no two kinds meet.
pub fn workflow_id(route: &str, event: &Event) -> String {
    let id = event.id.replace('%', "%25").replace('/', "%2F");
    let readable = format!("{route}/{}/{id}", event.source);
    if readable.len() <= MAX_WORKFLOW_ID && !(event.source == HASHED && is_hash(&id)) {
        return readable;
    }
    let mut hash = Sha256::new();
    hash.update(&event.source);
    hash.update([0]);
    hash.update(&event.id);
    format!("{route}/{HASHED}/{}", hex(hash))
}

/// The id of the workflow that remembers a key of a route's dedupe window. No route has a colon in its name, so no event's
/// workflow is named like it.
pub fn dedupe_id(route: &str, key: &str) -> String {
    format!("segno:dedupe/{route}/{}", hex(Sha256::new().chain_update(key)))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

const HASHED: &str = "sha256";

fn is_hash(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}
