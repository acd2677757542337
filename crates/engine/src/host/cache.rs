//! The runs in memory. A run comes in when something happens to it and goes when room is needed.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    clock::Nanos,
    core::{Run, RunKey},
    limits::Limits,
    store::OpenRun,
};

/// Runs kept in memory at most, but for those that cannot be dropped yet.
const CAPACITY: usize = 20_000;
/// Events of their histories kept at most, likewise. One takes some hundred bytes, and what its payloads take.
const CAPACITY_EVENTS: usize = 200_000;
/// Closed runs kept after they have been filed: whoever waits for a result reads it right after the close,
/// and hardly anybody later. Memory that is soon free again is memory that is in the processor's caches.
const CLOSED: usize = 256;

/// A run and what the host knows of it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) run: Run,
    /// The run has no rows yet.
    pub(crate) is_new: bool,
    /// The run was open when it was last filed, or is new.
    pub(crate) was_open: bool,
    /// It is in the list of runs to write with this batch.
    pub(crate) is_touched: bool,
    /// Its state differs from the one on disk.
    pub(crate) is_dirty: bool,
    /// It is on disk in the journal, and its rows are older or missing.
    pub(crate) is_unfiled: bool,
    /// Its rows are on their way to the disk as it is: it is unfiled until they are there.
    pub(crate) is_being_filed: bool,
    /// How many events of its history have been filed.
    pub(crate) filed: usize,
    /// Its entry in the host's wake-up order.
    pub(crate) wake_at: Option<Nanos>,
    /// Its narrow row on disk.
    pub(crate) open_row: Option<OpenRun>,
    last_use: u64,
    /// Events that the cache has counted for it.
    weight: usize,
}

impl Slot {
    pub(crate) fn new(run: Run) -> Self {
        Self {
            run,
            is_new: true,
            was_open: true,
            is_touched: false,
            is_dirty: true,
            is_unfiled: false,
            is_being_filed: false,
            filed: 0,
            wake_at: None,
            open_row: None,
            last_use: 0,
            weight: 0,
        }
    }

    pub(crate) fn stored(run: Run, open_row: Option<OpenRun>) -> Self {
        let wake_at = open_row.and_then(|row| row.wake_at);
        let was_open = run.is_running();
        Self {
            is_new: false,
            is_dirty: false,
            filed: run.history.len(),
            was_open,
            open_row,
            wake_at,
            ..Self::new(run)
        }
    }

    /// Whether it can be dropped from memory: all of it that is needed is filed.
    fn is_evictable(&self) -> bool {
        !self.is_touched && !self.is_dirty && !self.is_unfiled && !self.run.is_held_in_memory()
    }
}

/// Runs by key, the ones used least recently dropped first.
#[derive(Debug)]
pub(crate) struct Cache {
    /// What every run in here may hold.
    limits: Arc<Limits>,
    /// Each in a place of its own: a table of some kilobytes an entry takes a tenth of a second to grow, at a time.
    slots: HashMap<RunKey, Box<Slot>>,
    /// Uses in their order; an entry counts only if it is the slot's last use.
    uses: VecDeque<(RunKey, u64)>,
    /// Runs that have closed since they are in memory, and are filed.
    closed: VecDeque<RunKey>,
    /// Events of all runs.
    events: usize,
    now: u64,
}

impl Cache {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            slots: HashMap::new(),
            uses: VecDeque::new(),
            closed: VecDeque::new(),
            events: 0,
            now: 0,
        }
    }

    /// What runs may hold.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.limits.clone()
    }

    pub(crate) fn get_mut(&mut self, key: RunKey) -> Option<&mut Slot> {
        self.slots.get_mut(&key).map(Box::as_mut)
    }

    pub(crate) fn get(&self, key: RunKey) -> Option<&Slot> {
        self.slots.get(&key).map(Box::as_ref)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn contains(&self, key: RunKey) -> bool {
        self.slots.contains_key(&key)
    }

    pub(crate) fn insert(&mut self, slot: Slot) {
        let mut slot = Box::new(slot);
        slot.run.limits.clone_from(&self.limits);
        self.slots.insert(slot.run.key, slot);
    }

    /// Drops a run that is there no longer.
    pub(crate) fn remove(&mut self, key: RunKey) -> Option<Box<Slot>> {
        let slot = self.slots.remove(&key)?;
        self.events = self.events.saturating_sub(slot.weight);
        Some(slot)
    }

    /// Marks the run as used now.
    pub(crate) fn note_use(&mut self, key: RunKey) {
        self.now += 1;
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.last_use = self.now;
            let events = slot.run.history.len();
            self.events += events.saturating_sub(slot.weight);
            slot.weight = slot.weight.max(events);
            self.uses.push_back((key, self.now));
        }
    }

    /// Marks the run as closed and filed.
    pub(crate) fn note_closed(&mut self, key: RunKey) {
        self.closed.push_back(key);
    }

    /// Drops closed runs, and such that have not been used for long, down to the capacity.
    pub(crate) fn evict(&mut self) {
        while self.closed.len() > CLOSED {
            let Some(key) = self.closed.pop_front() else {
                break;
            };
            if self.slots.get(&key).is_some_and(|slot| slot.is_evictable()) {
                self.remove(key);
            }
        }
        let mut looked_at = 0;
        while (self.slots.len() > CAPACITY || self.events > CAPACITY_EVENTS) && looked_at < 1_000 {
            looked_at += 1;
            let Some((key, at)) = self.uses.pop_front() else {
                return;
            };
            let Some(slot) = self.slots.get(&key) else {
                continue;
            };
            if slot.last_use != at {
                continue;
            }
            if slot.is_evictable() {
                self.remove(key);
            } else {
                self.note_use(key);
            }
        }
        // Old uses of runs that are used again and again.
        while self.uses.len() > 4 * CAPACITY {
            let Some((key, at)) = self.uses.pop_front() else {
                return;
            };
            if self.slots.get(&key).is_some_and(|slot| slot.last_use == at) {
                self.uses.push_front((key, at));
                return;
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.limits.clone());
    }
}
