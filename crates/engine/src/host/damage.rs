//! What is known of damaged places in the file, from what could not be written.
//!
//! SQLite finds a damaged page when it reads it. Inside a transaction that writes, nothing can be written or committed
//! after that: so one run in whose way such a page is would take the batch of everybody with it, time and again. Once
//! that has happened, runs are filed and deleted in transactions of their own, beside the batches; and one that cannot
//! be is left out from then on, until the engine starts again.

use std::collections::BTreeSet;

use super::Host;
use crate::{
    clock::{Nanos, SECOND},
    core::RunKey,
    rpc::RpcError,
    store::{Error, Journal},
};

/// How long nothing is deleted after it could not be found what to delete.
const REST: Nanos = 600 * SECOND;

/// Damaged places, by what they are in the way of.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// A batch has failed for one.
    pub(super) is_met: bool,
    /// Runs that cannot be filed. They stay in memory and in the journal.
    pub(super) unfilable: BTreeSet<RunKey>,
    /// Runs that cannot be deleted.
    pub(super) undeletable: BTreeSet<RunKey>,
    /// Free pages cannot be given back.
    pub(super) keeps_pages: bool,
    /// What is to be deleted cannot even be found: it is looked for again then.
    pub(super) rests_until: Nanos,
}

impl Damage {
    /// How much is known: each failure for a place that was not known leaves more.
    fn known(&self) -> usize {
        self.unfilable.len() + self.undeletable.len() + usize::from(self.keeps_pages)
    }

    /// Whether one of these runs can still be deleted.
    pub(super) fn leaves_work(&self, runs: &[RunKey]) -> bool {
        runs.iter().any(|key| !self.undeletable.contains(key))
    }
}

impl Host {
    /// Fails for a run that cannot be filed: the journal would bring it back.
    pub(super) fn check_filed(&self, key: RunKey) -> Result<(), RpcError> {
        if !self.damage.unfilable.contains(&key) {
            return Ok(());
        }
        let damaged = Error::Damaged {
            what: format!("run {key} cannot be filed, nor deleted"),
        };
        Err(super::unwritable(damaged.at(self.store.path())))
    }

    /// Notes why a run could not be filed. The batch is not to be committed.
    pub(super) fn note_unfilable(&mut self, key: RunKey, error: &Error) {
        if error.is_damage() {
            self.damage.is_met = true;
            self.damage.unfilable.insert(key);
            tracing::error!(
                run = key,
                "a run cannot be filed: it stays in the journal, and no list shows it as it is"
            );
        }
        self.store.fail(error.problem());
    }

    /// Adds what is to stay in the journal: the runs that cannot be filed, as they are.
    pub(super) fn keep_unfilable(&mut self, kept: &mut Journal) {
        for key in &self.damage.unfilable {
            if let Some(slot) = self.cache.get_mut(*key).filter(|slot| slot.is_unfiled) {
                let filed = slot.filed;
                slot.run.durably(|state, history, _| {
                    kept.add(*key, state, history.encoded(filed..history.len()));
                });
            }
        }
    }

    /// What waits to be filed or deleted, beside the batches. Only where damage has been met.
    pub(super) fn work_apart(&mut self) {
        if !self.damage.is_met || self.is_broken {
            return;
        }
        loop {
            let known = self.damage.known();
            let Err(error) = self.file_apart() else { break };
            self.give_up(&error);
            if self.damage.known() == known || self.is_broken {
                return;
            }
        }
        if self.now() < self.damage.rests_until {
            self.cleaning.rest(self.damage.rests_until);
            return;
        }
        let known = self.damage.known();
        if let Err(error) = self.clean_apart() {
            if self.damage.known() == known {
                self.damage.rests_until = self.now().saturating_add(REST);
            }
            self.give_up(&error);
        }
    }

    fn file_apart(&mut self) -> Result<(), Error> {
        if self.unfiled.has_journal() {
            self.file_all()?;
            self.store.commit()?;
        }
        Ok(())
    }

    fn clean_apart(&mut self) -> Result<(), Error> {
        self.clean();
        self.store.commit().map(drop)
    }

    /// Nobody waits for this transaction: the file is read again, and that is all.
    fn give_up(&mut self, error: &Error) {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "a part of the engine's file is damaged, or cannot be written"
        );
        self.reread();
    }
}
