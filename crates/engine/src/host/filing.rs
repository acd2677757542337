//! From the journal to the tables: runs are filed later than they are written, many at a time.
//!
//! What a batch changes is on disk in the journal (see `store/journal.rs`). Until a run is filed its rows
//! are missing or old, so it stays in memory, its workflow id is looked up here first, and whoever reads
//! the tables (lists, counts) has all runs filed before. Under load they are filed some with each batch (see
//! `filing_round`).

use std::collections::{BTreeMap, HashMap, HashSet, btree_map::Entry};

use prost::Message as _;

use super::{
    Host,
    cache::Slot,
    filing_round::{Pace, Round},
    rows::Rows,
};
use crate::{
    core::{Events, Run, RunKey, RunState},
    store::{Change, Error, Journal, RunRef, Store},
};

/// Bytes of changes that wait to be filed, likewise. At twice as many, all are filed at once.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// A batch with more changes than that is filed at once: written twice, it would cost more.
const LARGE_BATCH: usize = 512 * 1024;

/// What is in the journal and not yet in the tables.
#[derive(Debug, Default)]
pub(super) struct Unfiled {
    /// The changes of the current batch.
    pub(super) journal: Journal,
    keys: Vec<RunKey>,
    /// Runs that are being filed along with the batches; they are not among the keys.
    pub(super) round: Option<Round>,
    /// The runs that have no rows yet, oldest first, by what they are found by.
    ids: HashMap<FoundBy, Vec<RunRef>>,
    /// How large the journal is.
    pub(super) bytes: usize,
    /// Changes of runs whose rows are damaged: they stay in the journal.
    kept: Vec<Change>,
    /// Somebody is going to read the tables.
    pub(super) is_wanted: bool,
    pub(super) pace: Pace,
}

/// What a run without rows is found by: its id space (see `RunState::id_space`), and its id.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct FoundBy(i64, String);

impl FoundBy {
    pub(super) fn of(state: &RunState) -> Self {
        Self(state.id_space(), state.workflow_id.clone())
    }
}

impl Unfiled {
    /// Notes a new run, so that it is found by its ids.
    pub(super) fn note_new(&mut self, run: &Run) {
        let ids = RunRef {
            key: run.key,
            run_id: run.state.run_id.clone(),
        };
        self.ids.entry(FoundBy::of(&run.state)).or_default().push(ids);
    }

    /// Forgets a run that has rows now, or is gone.
    pub(super) fn forget(&mut self, key: RunKey, found_by: &FoundBy) {
        if let Some(runs) = self.ids.get_mut(found_by) {
            runs.retain(|run| run.key != key);
            if runs.is_empty() {
                self.ids.remove(found_by);
            }
        }
    }

    /// The run without rows of this id: this one, or (empty) the newest.
    fn find(&self, space: i64, id: &str, run_id: &str) -> Option<&RunRef> {
        if self.ids.is_empty() {
            return None;
        }
        let runs = self.ids.get(&FoundBy(space, id.to_owned()))?;
        if run_id.is_empty() {
            runs.last()
        } else {
            runs.iter().find(|run| run.run_id == run_id)
        }
    }

    /// Notes that a run is in the journal.
    pub(super) fn note_written(&mut self, slot: &mut Slot) {
        // The rows on their way are older than it is now.
        if std::mem::take(&mut slot.is_being_filed) || !slot.is_unfiled {
            slot.is_unfiled = true;
            self.keys.push(slot.run.key);
        }
    }

    /// Whether the journal has more than what is to stay there.
    pub(super) fn has_journal(&self) -> bool {
        !self.keys.is_empty() || self.round.is_some() || self.bytes > 0
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            pace: self.pace,
            ..Self::default()
        };
    }
}

impl Host {
    /// The run of this id (see `RunState::id_space`): this one, or (empty) the newest.
    pub(super) fn lookup(&self, space: i64, id: &str, run_id: &str) -> Result<Option<RunRef>, Error> {
        // A run without rows is newer than every run that has them.
        match self.unfiled.find(space, id, run_id) {
            Some(run) => Ok(Some(run.clone())),
            None => self.store.find_run(space, id, run_id),
        }
    }

    /// Has all runs filed with this batch: for who reads the tables once it is on disk.
    pub(crate) fn file_with_this_batch(&mut self) {
        self.unfiled.is_wanted = true;
    }

    /// Files what this batch and earlier ones have changed, where that is due at once; else the batch's changes stay
    /// in its journal, and a round may begin.
    pub(super) fn write_changes(&mut self) -> Result<(), Error> {
        let size = self.unfiled.journal.len();
        let before = self.unfiled.bytes;
        self.unfiled.bytes += size;
        if self.damage.is_met {
            return Ok(());
        }
        let unfiled = &mut self.unfiled;
        if unfiled.is_wanted || size > LARGE_BATCH || unfiled.bytes > 2 * MOST_BYTES {
            unfiled.journal.clear();
            return self.file_all();
        }
        let is_due = unfiled.keys.len() >= unfiled.pace.runs || unfiled.bytes > MOST_BYTES;
        // What is to stay in the journal is written anew when that is emptied as a whole.
        if is_due && unfiled.round.is_none() && unfiled.kept.is_empty() {
            let keys = std::mem::take(&mut unfiled.keys);
            unfiled.round = Some(Round::new(keys, self.store.last_journal_number(), before));
        }
        Ok(())
    }

    /// Files every run that earlier batches have changed, and empties the journal.
    pub(crate) fn file_all(&mut self) -> Result<(), Error> {
        self.unfiled.is_wanted = false;
        if !self.unfiled.has_journal() {
            return Ok(());
        }
        let mut keys = std::mem::take(&mut self.unfiled.keys);
        keys.extend(self.unfiled.round.take().into_iter().flat_map(Round::into_keys));
        keys.retain(|key| !self.damage.unfilable.contains(key));
        // In the order of the tables: neighbours share pages.
        keys.sort_unstable();
        for key in keys {
            if let Some(slot) = self.cache.get_mut(key) {
                if slot.is_new {
                    self.unfiled.forget(key, &FoundBy::of(&slot.run.state));
                }
                let rows = Rows::take(slot, &self.namespaces);
                if let Err(error) = self.store.writing(|connection| rows.write(connection)) {
                    self.note_unfilable(key, &error);
                    return Err(error);
                }
                slot.is_unfiled = false;
                if !slot.was_open {
                    self.cache.note_closed(key);
                }
            }
        }
        self.store.clear_journal()?;
        self.unfiled.bytes = 0;
        let mut kept = Journal::default();
        self.keep_unfilable(&mut kept);
        for change in &self.unfiled.kept {
            if let Some(state) = &change.state {
                kept.add(change.key, state, &change.history);
            }
        }
        self.store.append_journal(&mut kept)
    }

    /// Takes the runs that the journal has into memory, as they became with its last change; they are filed as
    /// if they had just been written. Nothing is written here: a file that cannot be written is served as far
    /// as reading goes.
    pub(super) fn replay_journal(&mut self) -> Result<(), Error> {
        let mut slots: BTreeMap<RunKey, Option<Slot>> = BTreeMap::new();
        for change in self.store.journal()? {
            self.unfiled.bytes += change.encoded_len();
            let slot = match slots.entry(change.key) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => match stored_slot(&self.store, change.key) {
                    Ok(slot) => entry.insert(Some(slot)),
                    Err(error) if error.is_damage() => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            run = change.key,
                            "a run is damaged: what the journal has of it is kept"
                        );
                        entry.insert(None)
                    }
                    Err(error) => return Err(error),
                },
            };
            let (Some(slot), Some(state)) = (slot, &change.state) else {
                self.unfiled.kept.push(change);
                continue;
            };
            let run = &mut slot.run;
            // Whether they have is not in the journal.
            run.effects.attributes_changed = true;
            run.state.clone_from(state);
            // A run may have been filed in the middle of the batch whose changes these are.
            if run.history.append_encoded(&change.history).is_err() {
                return Err(Error::Damaged {
                    what: format!("the journal of run {}", change.key),
                });
            }
        }
        for mut slot in slots.into_values().flatten() {
            slot.run.stored = slot.run.history.len();
            slot.is_dirty = false;
            slot.wake_at = slot.run.next_wake();
            if slot.is_new {
                self.unfiled.note_new(&slot.run);
            }
            self.unfiled.note_written(&mut slot);
            self.next_key = self.next_key.max(slot.run.key + 1);
            let key = slot.run.key;
            self.cache.insert(slot);
            self.cache.note_use(key);
        }
        Ok(())
    }

    /// The runs in memory whose rows are older than they are or missing.
    pub(super) fn unfiled_keys(&self) -> HashSet<RunKey> {
        self.unfiled.keys.iter().copied().collect()
    }
}

/// A run as its tables have it, or an empty one where they have none.
fn stored_slot(store: &Store, key: RunKey) -> Result<Slot, Error> {
    match store.load_run(key)? {
        Some(run) => Ok(Slot::stored(run, store.open_run(key)?)),
        None => Ok(Slot::new(Run::load(key, RunState::default(), Events::default()))),
    }
}
