//! From the journal to the tables: runs are filed later than they are written, many at a time.
//!
//! What a batch changes is on disk in the journal (see `store/journal.rs`). Until a run is filed its rows
//! are missing or old, so it stays in memory, its workflow id is looked up here first, and whoever reads
//! the tables (lists, counts) has all runs filed before.

use std::collections::{BTreeMap, HashMap, HashSet, btree_map::Entry};

use prost::Message as _;

use super::{Host, Namespaces, attributes, cache::Slot};
use crate::{
    core::{Events, Run, RunKey, RunState},
    store::{Change, Error, Journal, OpenRun, RunRef, Store},
};

/// Runs that wait to be filed, at most. Filing them holds everybody up, for some milliseconds.
const MOST_RUNS: usize = 512;
/// Bytes of changes that wait to be filed, at most.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// A batch with more changes than that is filed at once: written twice, it would cost more.
const LARGE_BATCH: usize = 512 * 1024;

/// What is in the journal and not yet in the tables.
#[derive(Debug, Default)]
pub(super) struct Unfiled {
    /// The changes of the current batch.
    pub(super) journal: Journal,
    keys: Vec<RunKey>,
    /// The runs that have no rows yet, oldest first, by what they are found by (see `RunState::id_space`).
    ids: HashMap<(i64, String), Vec<RunRef>>,
    bytes: usize,
    /// Changes of runs whose rows are damaged: they stay in the journal.
    kept: Vec<Change>,
    /// Somebody is going to read the tables.
    is_wanted: bool,
}

impl Unfiled {
    /// Notes a new run, so that it is found by its ids.
    pub(super) fn note_new(&mut self, run: &Run) {
        let ids = RunRef {
            key: run.key,
            run_id: run.state.run_id.clone(),
        };
        let found_by = (run.state.id_space(), run.state.workflow_id.clone());
        self.ids.entry(found_by).or_default().push(ids);
    }

    /// Forgets a run that has rows now, or is gone.
    pub(super) fn forget(&mut self, key: RunKey, state: &RunState) {
        let found_by = (state.id_space(), state.workflow_id.clone());
        if let Some(runs) = self.ids.get_mut(&found_by) {
            runs.retain(|run| run.key != key);
            if runs.is_empty() {
                self.ids.remove(&found_by);
            }
        }
    }

    /// The run without rows of this id: this one, or (empty) the newest.
    fn find(&self, space: i64, id: &str, run_id: &str) -> Option<&RunRef> {
        if self.ids.is_empty() {
            return None;
        }
        let runs = self.ids.get(&(space, id.to_owned()))?;
        if run_id.is_empty() {
            runs.last()
        } else {
            runs.iter().find(|run| run.run_id == run_id)
        }
    }

    /// Notes that a run is in the journal.
    pub(super) fn note_written(&mut self, slot: &mut Slot) {
        if !slot.is_unfiled {
            slot.is_unfiled = true;
            self.keys.push(slot.run.key);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the journal has more than what is to stay there.
    pub(super) fn has_journal(&self) -> bool {
        !self.keys.is_empty() || self.bytes > 0
    }

    /// How large the changes are that wait to be filed.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
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

    /// Files what this batch and earlier ones have changed, where that is due; else the batch's changes stay
    /// in its journal.
    pub(super) fn write_changes(&mut self) -> Result<(), Error> {
        let size = self.unfiled.journal.len();
        self.unfiled.bytes += size;
        let is_due = self.unfiled.is_wanted
            || size > LARGE_BATCH
            || self.unfiled.bytes > MOST_BYTES
            || self.unfiled.keys.len() >= MOST_RUNS;
        if is_due && !self.damage.is_met {
            self.unfiled.journal.clear();
            self.file_all()?;
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
        keys.retain(|key| !self.damage.unfilable.contains(key));
        // In the order of the tables: neighbours share pages.
        keys.sort_unstable();
        for key in keys {
            if let Some(slot) = self.cache.get_mut(key) {
                if slot.is_new {
                    self.unfiled.forget(key, &slot.run.state);
                }
                if let Err(error) = file(&mut self.store, slot, &self.namespaces) {
                    self.note_unfilable(key, &error);
                    return Err(error);
                }
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

/// Files a run as it is: brings its rows up to date.
fn file(store: &mut Store, slot: &mut Slot, namespaces: &Namespaces) -> Result<(), Error> {
    store.begin()?;
    let run = &mut slot.run;
    store.append_history(run.key, &run.history, slot.filed)?;
    slot.filed = run.history.len();
    if slot.is_new {
        store.insert_run_id(run.key, &run.state)?;
    }
    let key = run.key;
    run.durably(|state, _, _| store.put_state(key, state))?;

    let is_open = run.is_running();
    let open_row = is_open.then(|| OpenRun {
        wake_at: run.wake_after_restart(),
        ready: run.is_ready(),
    });
    if open_row != slot.open_row {
        store.put_open_run(run.key, open_row)?;
        slot.open_row = open_row;
    }

    let connection = store.connection();
    let registry = || namespaces.registry(run.state.namespace_key);
    if slot.is_new {
        attributes::file_started(connection, run, &registry())?;
    } else {
        if run.effects.attributes_changed {
            attributes::file_attributes(connection, run, &registry())?;
        }
        if slot.was_open && !is_open {
            attributes::file_closed(connection, run)?;
        }
    }
    run.effects.attributes_changed = false;
    slot.is_new = false;
    slot.was_open = is_open;
    slot.is_unfiled = false;
    Ok(())
}
