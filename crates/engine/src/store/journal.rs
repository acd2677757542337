//! The journal: what a batch has changed of runs, as one blob.
//!
//! A run's rows are spread over half a dozen tables and their indexes, and a run that starts, works and
//! ends within a second would be written to all of them time and again. So a batch writes its changes
//! here first, in one place, and they are filed in the tables later, many runs at a time and each run
//! only as it then is. Both are in the same file and under the same transactions: what is committed here
//! is as safe as what is filed.

use super::{Error, Store};
use crate::core::{RunKey, RunState};
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, int64, key_len, message},
};
use rusqlite::{Connection, params};

/// The changes of one batch.
#[derive(Clone, PartialEq, ::prost::Message)]
struct Changes {
    #[prost(message, repeated, tag = "1")]
    changes: Vec<Change>,
}

/// A run as it became, and the events that its history got.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct Change {
    #[prost(int64, tag = "1")]
    pub key: RunKey,
    #[prost(message, optional, tag = "2")]
    pub state: Option<RunState>,
    /// The events, as an encoded `History`.
    #[prost(bytes = "vec", tag = "4")]
    pub history: Vec<u8>,
}

/// The changes of the batch that is being made, encoded.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    bytes: Vec<u8>,
}

impl Journal {
    /// Adds a run: the encoding of a [`Change`] in [`Changes`], without first copying it into one.
    pub(crate) fn add(&mut self, key: RunKey, state: &RunState, history: &[u8]) {
        let state_len = state.encoded_len();
        let state_len = key_len(2) + encoded_len_varint(state_len as u64) + state_len;
        let history_len = key_len(4) + encoded_len_varint(history.len() as u64) + history.len();
        let len = int64::encoded_len(1, &key) + state_len + history_len;
        self.bytes.reserve(len + 8);
        encode_key(1, WireType::LengthDelimited, &mut self.bytes);
        encode_varint(len as u64, &mut self.bytes);
        int64::encode(1, &key, &mut self.bytes);
        message::encode(2, state, &mut self.bytes);
        encode_key(4, WireType::LengthDelimited, &mut self.bytes);
        encode_varint(history.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(history);
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Takes the bytes out, and leaves `empty` to be filled.
    pub(super) fn take(&mut self, empty: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.bytes, empty)
    }
}

/// Writes one batch's changes inside the open transaction.
pub(super) fn insert(connection: &Connection, number: i64, changes: &[u8]) -> Result<(), Error> {
    connection
        .prepare_cached("INSERT INTO journal (number, changes) VALUES (?1, ?2)")?
        .execute(params![number, changes])?;
    Ok(())
}

/// Removes the changes up to this number: what they say is filed.
pub(super) fn clear(connection: &Connection, until: i64) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM journal WHERE number <= ?1")?
        .execute([until])?;
    Ok(())
}

impl Store {
    /// Writes a batch's changes, and empties `journal` for the next one.
    pub(crate) fn append_journal(&mut self, journal: &mut Journal) -> Result<(), Error> {
        if journal.bytes.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let number = self.next_journal_number();
        insert(self.connection(), number, &journal.bytes)?;
        journal.clear();
        Ok(())
    }

    /// The number of the last batch's changes, also if they are still on their way to the disk.
    pub(crate) fn last_journal_number(&self) -> i64 {
        self.journal_number
    }

    pub(super) fn next_journal_number(&mut self) -> i64 {
        self.journal_number += 1;
        self.journal_number
    }

    /// The changes that are not filed yet, in the order they were made.
    pub(crate) fn journal(&mut self) -> Result<Vec<Change>, Error> {
        let (changes, last) = self.reading(read)?;
        self.journal_number = self.journal_number.max(last);
        Ok(changes)
    }

    /// Empties the journal: all of it is filed.
    pub(crate) fn clear_journal(&mut self) -> Result<(), Error> {
        self.begin()?;
        clear(self.connection(), i64::MAX)
    }
}

/// The changes that are not filed yet, in the order they were made, and the number of the last batch's.
pub(super) fn read(connection: &Connection) -> Result<(Vec<Change>, i64), Error> {
    // A file that was made before there was a journal, and has not been opened since.
    if !connection.table_exists(None, "journal")? {
        return Ok((Vec::new(), 0));
    }
    let mut statement = connection.prepare("SELECT number, changes FROM journal ORDER BY number")?;
    let mut rows = statement.query([])?;
    let (mut all, mut last) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        last = row.get(0)?;
        let Ok(batch) = Changes::decode(bytes) else {
            return Err(Error::Damaged {
                what: format!("row {last} of the journal"),
            });
        };
        all.extend(batch.changes);
    }
    Ok((all, last))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{Changes, Journal};
    use crate::core::RunState;

    #[test]
    fn what_is_added_is_what_is_read() {
        let state = |id: &str| RunState {
            workflow_id: id.to_owned(),
            next_event_id: 300,
            ..Default::default()
        };
        let mut journal = Journal::default();
        journal.add(7, &state("a"), &[1, 2, 3]);
        journal.add(i64::MAX, &state(&"b".repeat(500)), &[]);
        let read = Changes::decode(journal.bytes.as_slice())
            .expect("it decodes")
            .changes;
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].key, read[0].state.clone()), (7, Some(state("a"))));
        assert_eq!(read[0].history, [1, 2, 3]);
        assert_eq!((read[1].key, read[1].history.len()), (i64::MAX, 0));
        assert_eq!(read[1].state, Some(state(&"b".repeat(500))));
    }
}
