//! Deleting in the background: runs that a client deleted, closed runs whose retention has ended,
//! and all of a deleted namespace.
//!
//! Each batch of the host does at most one bounded step of it, in the batch's own transaction: so it
//! costs no sync of its own, and nobody waits long for it. Finding what is due reads the index of
//! the lists' default order; no run has a row or an entry in memory for it.

use super::{Host, WakeKey};
use crate::{
    clock::{Nanos, SECOND},
    core::RunKey,
    rpc::RpcError,
    store::{Budget, Error},
};

/// What one step deletes at most, or little more: some milliseconds' worth.
const STEP: Budget = Budget {
    rows: 1_000,
    bytes: 4 * 1024 * 1024,
};
/// Runs looked up at once.
const RUNS: usize = 200;
/// The longest time between two looks at what has become due, and the shortest.
const LONGEST: Nanos = 60 * SECOND;
const SHORTEST: Nanos = SECOND;
/// Who terminates a run that is deleted.
const IDENTITY: &str = "history-service";

/// Where the deleting is.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    /// There are runs noted to be deleted.
    has_marked: bool,
    /// When to look for what has become due.
    next_look: Nanos,
    /// The file has free pages to give back.
    gives_back: bool,
}

impl Cleaning {
    /// Where it begins when the engine opens.
    pub(super) fn new(has_marked: bool) -> Self {
        Self {
            has_marked,
            next_look: 0,
            gives_back: true,
        }
    }

    /// When the next step is due.
    pub(super) fn next_at(&self) -> Nanos {
        if self.has_marked || self.gives_back {
            0
        } else {
            self.next_look
        }
    }

    /// Does nothing until then.
    pub(super) fn rest(&mut self, until: Nanos) {
        *self = Self {
            next_look: until,
            ..Self::default()
        };
    }

    /// Looks again with the next step: something has changed that may make runs due.
    pub(super) fn look_soon(&mut self) {
        self.next_look = 0;
    }
}

impl Host {
    /// Deletes a run: terminated first, if it is running. It is gone soon after.
    ///
    /// # Errors
    /// When it cannot be terminated or noted; then nothing has changed.
    pub(crate) fn delete(&mut self, key: RunKey) -> Result<(), RpcError> {
        // What the tables have of the run is what is looked at.
        self.file_all().map_err(super::unwritable)?;
        self.check_filed(key)?;
        let run = self.run(key)?;
        let (space, id) = (run.state.id_space(), run.state.workflow_id.clone());
        if run.is_running() {
            let reason = "Delete workflow execution".to_owned();
            self.change(key, |run, now| run.terminate(now, reason, None, IDENTITY.into()))?;
        }
        self.store.mark_deleted(key).map_err(super::unwritable)?;
        self.store.take_ids(space, &id, key).map_err(super::unwritable)?;
        self.cleaning.has_marked = true;
        Ok(())
    }

    /// One step of the deleting, if one is due.
    pub(super) fn clean(&mut self) {
        let now = self.now();
        if now < self.cleaning.next_at() {
            return;
        }
        if let Err(error) = self.clean_step(now) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "deleting from the engine's file failed"
            );
            self.cleaning.next_look = now.saturating_add(LONGEST);
            self.damage.is_met |= error.is_damage();
            // Part of the step may be written.
            self.store.fail(error.problem());
        }
    }

    fn clean_step(&mut self, now: Nanos) -> Result<(), Error> {
        let mut budget = STEP;
        if self.cleaning.has_marked || now >= self.cleaning.next_look {
            // What the journal has of a run would bring it back.
            self.file_all()?;
        }
        if self.cleaning.has_marked {
            for key in self.store.marked_deleted(RUNS)? {
                if budget.is_spent() {
                    break;
                }
                self.remove_run(key, &mut budget)?;
            }
            let marked = self.store.marked_deleted(RUNS)?;
            self.cleaning.has_marked = self.damage.leaves_work(&marked);
        }
        if now >= self.cleaning.next_look && !budget.is_spent() {
            self.cleaning.next_look = self.delete_due(now, &mut budget)?;
        }
        if self.cleaning.gives_back && budget == STEP {
            if self.damage.keeps_pages {
                self.cleaning.gives_back = false;
                return Ok(());
            }
            let more = self.store.give_back();
            self.damage.keeps_pages = more.as_ref().is_err_and(Error::is_damage);
            self.cleaning.gives_back = more?;
        }
        Ok(())
    }

    /// Deletes what is due, and answers when to look again.
    fn delete_due(&mut self, now: Nanos, budget: &mut Budget) -> Result<Nanos, Error> {
        let all: Vec<_> = self
            .namespaces
            .all()
            .map(|namespace| (namespace.key, namespace.record.retention, namespace.is_deleted()))
            .collect();
        let mut next = now.saturating_add(LONGEST);
        let mut has_more = false;
        for (namespace, retention, is_deleted) in all {
            if is_deleted {
                if self.empty_namespace(namespace, budget)? {
                    self.namespaces.remove(namespace);
                    self.deployments.remove_namespace(namespace);
                    self.queues.remove_namespace(namespace);
                    self.workers.remove_namespace(namespace);
                    self.store.delete_namespace(namespace)?;
                } else {
                    has_more = true;
                }
                continue;
            }
            let until = now.saturating_sub(retention);
            let due = self.store.closed_until(namespace, until, RUNS)?;
            has_more |= due.len() == RUNS && self.damage.leaves_work(&due);
            for key in due {
                if budget.is_spent() {
                    return Ok(0);
                }
                self.remove_run(key, budget)?;
                self.cleaning.gives_back = true;
            }
            self.store.delete_batches(namespace, until)?;
            if let Some(oldest) = self.store.oldest_close(namespace)? {
                next = next.min(oldest.saturating_add(retention));
            }
        }
        Ok(if has_more {
            0
        } else {
            next.max(now.saturating_add(SHORTEST))
        })
    }

    /// Deletes what a deleted namespace holds; answers whether nothing is left.
    fn empty_namespace(&mut self, namespace: u32, budget: &mut Budget) -> Result<bool, Error> {
        let schedules = self.store.schedules_of(namespace, RUNS)?;
        for key in &schedules {
            self.remove_schedule(*key)?;
        }
        if schedules.len() == RUNS {
            return Ok(false);
        }
        for key in self.store.runs_of(namespace, RUNS)? {
            if budget.is_spent() {
                break;
            }
            self.remove_run(key, budget)?;
            self.cleaning.gives_back = true;
        }
        // What is damaged of it goes with the file.
        let left = self.store.runs_of(namespace, RUNS)?;
        Ok(!self.damage.leaves_work(&left))
    }

    /// Removes a run from memory and from the file, as far as the budget allows. One that is still to
    /// be written with this batch is left for the next step.
    fn remove_run(&mut self, key: RunKey, budget: &mut Budget) -> Result<(), Error> {
        if self.damage.undeletable.contains(&key) {
            return Ok(());
        }
        if self.damage.unfilable.contains(&key) {
            self.damage.undeletable.insert(key);
            return Ok(());
        }
        if let Some(slot) = self.cache.get_mut(key) {
            if slot.is_touched || slot.is_dirty || slot.is_unfiled {
                budget.rows = budget.rows.saturating_sub(1);
                return Ok(());
            }
            if let Some(at) = slot.wake_at {
                self.wakes.remove(&(at, WakeKey::Run(key)));
            }
            self.cache.remove(key);
        }
        let is_gone = self.store.delete_run_in_steps(key, budget);
        if is_gone.as_ref().is_err_and(Error::is_damage) {
            tracing::error!(run = key, "a run cannot be deleted");
            self.damage.undeletable.insert(key);
        }
        self.cleaning.has_marked |= !is_gone?;
        // Whoever waits for news of it looks, and finds it gone.
        self.watchers.remove(&key);
        self.queries.forget_run(key);
        Ok(())
    }
}
