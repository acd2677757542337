//! Under load runs are filed along with the batches, some with each: nobody waits for hundreds of them at once.
//!
//! A round takes all runs that wait and files each once, as it is when its turn comes. What batches change meanwhile is
//! journaled behind the place where the round began, so when the round is over, the journal up to that place says
//! nothing that is not filed, and goes.

use super::{Host, filing::FoundBy, rows::Rows};
use crate::{core::RunKey, store::Filing};

/// How runs are filed along with the batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// As soon as so many wait, a round begins.
    pub(crate) runs: usize,
    /// So many are filed with one batch. Each takes the journal's thread some tens of microseconds.
    pub(crate) with_one_batch: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            runs: 512,
            with_one_batch: 64,
        }
    }
}

/// The runs that are filed along with the next batches.
#[derive(Debug)]
pub(super) struct Round {
    /// The runs that are still to be filed, the first one last.
    keys: Vec<RunKey>,
    /// The last of the journal when it began.
    until: i64,
    /// What the journal had then.
    bytes: usize,
}

/// A run whose rows go to the disk with a batch.
#[derive(Debug)]
pub(super) struct Filed {
    key: RunKey,
    /// What it is found by in memory, if it had no rows.
    found_by: Option<FoundBy>,
}

impl Round {
    /// Begins with these runs, when the journal ends with the number `until` and has so many bytes.
    pub(super) fn new(mut keys: Vec<RunKey>, until: i64, bytes: usize) -> Self {
        // In the order of the tables: neighbours share pages.
        keys.sort_unstable_by_key(|key| std::cmp::Reverse(*key));
        Self { keys, until, bytes }
    }

    /// Ends it: the runs that are still to be filed.
    pub(super) fn into_keys(self) -> Vec<RunKey> {
        self.keys
    }
}

impl Host {
    /// Files runs at another pace: for the simulator.
    pub(crate) fn set_pace(&mut self, pace: Pace) {
        self.unfiled.pace = pace;
    }

    /// Takes what is filed along with this batch: the runs, their rows, and up to which number the journal is then
    /// filed.
    pub(super) fn file_some(&mut self) -> (Vec<Filed>, Vec<Filing>, Option<i64>) {
        let (mut filed, mut filings) = (Vec::new(), Vec::new());
        let Some(round) = &mut self.unfiled.round else {
            return (filed, filings, None);
        };
        while filings.len() < self.unfiled.pace.with_one_batch
            && let Some(key) = round.keys.pop()
        {
            let Some(slot) = self.cache.get_mut(key) else {
                continue;
            };
            filed.push(Filed {
                key,
                found_by: slot.is_new.then(|| FoundBy::of(&slot.run.state)),
            });
            let rows = Rows::take(slot, &self.namespaces);
            slot.is_being_filed = true;
            filings.push(Filing {
                key,
                write: Box::new(move |connection| rows.write(connection)),
            });
        }
        if !round.keys.is_empty() {
            return (filed, filings, None);
        }
        let until = round.until;
        self.unfiled.bytes = self.unfiled.bytes.saturating_sub(round.bytes);
        self.unfiled.round = None;
        (filed, filings, Some(until))
    }

    /// Notes that these runs have their rows on disk. One that has changed since waits to be filed again.
    pub(super) fn note_filed(&mut self, filed: Vec<Filed>) {
        if filed.is_empty() {
            return;
        }
        for Filed { key, found_by } in filed {
            if let Some(found_by) = found_by {
                self.unfiled.forget(key, &found_by);
            }
            if let Some(slot) = self.cache.get_mut(key)
                && std::mem::take(&mut slot.is_being_filed)
            {
                slot.is_unfiled = false;
                if !slot.was_open {
                    self.cache.note_closed(key);
                }
            }
        }
        self.cache.evict();
    }
}
