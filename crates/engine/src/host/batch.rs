//! The end of a batch: every changed run is written once, all in one transaction; when that is on
//! disk, everybody is answered.

use std::time::Duration;

use super::{AfterCommit, Host, InFlight, WakeKey, filing_round::Filed, recover::Reason};
use crate::{
    clock::{Nanos, SECOND},
    core::RunKey,
    rpc::RpcError,
    store::{Error, Unwritten},
};

/// When a run is tried again that could not be woken because it could not be read.
const WAKE_RETRY: Nanos = 10 * SECOND;
/// How long the second of two failed batches keeps the next one waiting, halved; doubled with each more.
const FIRST_RETRY: Nanos = SECOND / 40;

/// What a batch has come to.
enum Written {
    /// It is on its way to the disk, and so are the rows of these runs.
    InFlight(Vec<Filed>),
    OnDisk,
    /// It has changed nothing.
    Nothing,
}

impl Host {
    /// Wakes the runs whose time has come, and the queues.
    pub(super) fn wake_due(&mut self) {
        let now = self.now();
        if self.queues.next_release().is_some_and(|at| at <= now)
            && let Err(error) = self.release_held()
        {
            tracing::error!(%error, "cannot hand out tasks that were held back");
        }
        while let Some(&(at, key)) = self.wakes.first() {
            if at > now {
                break;
            }
            self.wakes.pop_first();
            let woken = match key {
                WakeKey::Run(key) => self.wake_run(key),
                WakeKey::Schedule(key) => self.wake_schedule(key),
            };
            match woken {
                // Deleted meanwhile.
                Ok(()) | Err(RpcError::NotFound(_)) => {}
                Err(error) => {
                    tracing::error!(%error, ?key, "cannot wake");
                    self.wakes.insert((now.saturating_add(WAKE_RETRY), key));
                }
            }
        }
    }

    fn wake_run(&mut self, key: RunKey) -> Result<(), RpcError> {
        if let Some(slot) = self.cache.get_mut(key) {
            slot.wake_at = None;
        }
        self.change(key, |run, now| {
            run.wake(now);
            Ok(())
        })
    }

    /// Delivers the batch's messages and writes it. Everybody in it is answered when it is on disk: at once, or
    /// by `settle_in_flight`. None may be in flight.
    pub(super) fn end_batch(&mut self) {
        let since = self.now();
        match self.write_batch() {
            Ok(Written::InFlight(filed)) => {
                let waiting = std::mem::take(&mut self.after_commit);
                self.in_flight = Some(InFlight {
                    since,
                    waiting,
                    filed,
                });
            }
            Ok(Written::OnDisk) => {
                self.count_batch(since);
                self.failed_batches = 0;
                self.work_apart();
                self.answer(Vec::new(), true);
            }
            Ok(Written::Nothing) => {
                self.work_apart();
                self.answer(Vec::new(), true);
            }
            Err(error) => self.fail_batch(error, Vec::new()),
        }
    }

    /// Answers the batch in flight if it is on disk by now. `wait`: for that. Answers whether none is in flight.
    pub(super) fn settle_in_flight(&mut self, wait: bool) -> bool {
        let Some(batch) = self.in_flight.take() else {
            return true;
        };
        match self.store.journal_outcome(wait) {
            None => {
                self.in_flight = Some(batch);
                return false;
            }
            Some(Ok(())) => {
                self.count_batch(batch.since);
                self.failed_batches = 0;
                for then in batch.waiting {
                    then(self, true);
                }
                self.note_filed(batch.filed);
            }
            // What came after it rests on it.
            Some(Err(Unwritten { error, run })) => {
                if let Some(key) = run {
                    self.note_unfilable(key, &error);
                }
                self.fail_batch(error, batch.waiting);
            }
        }
        true
    }

    /// Counts a batch that has been on its way since then.
    fn count_batch(&mut self, since: Nanos) {
        let took = self.now().saturating_sub(since);
        let took = Duration::from_nanos(took.max(0).unsigned_abs());
        self.counters.wrote_batch(took);
    }

    /// Drops the batch that is being made, and answers it and those that `waiting` are for.
    fn fail_batch(&mut self, error: Error, waiting: Vec<AfterCommit>) {
        let error = error.at(self.store.path());
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a batch cannot be written: all in it are answered with UNAVAILABLE"
        );
        self.counters.lost_batch();
        self.failure = error.to_string();
        let mut waiting = waiting;
        waiting.append(&mut self.after_commit);
        self.break_off();
        self.answer(waiting, false);
    }

    /// Answers `waiting`, and everybody in the batch that has just ended.
    fn answer(&mut self, waiting: Vec<AfterCommit>, is_on_disk: bool) {
        let ended = std::mem::take(&mut self.after_commit);
        for then in waiting.into_iter().chain(ended) {
            then(self, is_on_disk);
        }
        self.cache.evict();
    }

    fn write_batch(&mut self) -> Result<Written, Error> {
        if let Err(error) = self.deliver_messages() {
            tracing::error!(%error, "a message cannot be delivered");
            self.store.fail(None);
        }
        self.write_touched()?;
        self.write_schedules()?;
        if !self.unfiled.journal.is_empty() {
            // Where a part of the file is damaged, this batch is filed before the next one.
            if !self.damage.is_met && self.store.can_send_journal() {
                let (filed, filings, until) = self.file_some();
                self.store.send_journal(&mut self.unfiled.journal, filings, until);
                return Ok(Written::InFlight(filed));
            }
            self.store.append_journal(&mut self.unfiled.journal)?;
        }
        Ok(match self.store.commit()? {
            true => Written::OnDisk,
            false => Written::Nothing,
        })
    }

    fn write_touched(&mut self) -> Result<(), Error> {
        for key in std::mem::take(&mut self.touched) {
            let Some(slot) = self.cache.get_mut(key) else {
                continue;
            };
            slot.is_touched = false;
            let run = &mut slot.run;
            let has_news = run.history.len() > run.stored || slot.is_dirty && run.is_standalone();
            if slot.is_dirty {
                slot.is_dirty = false;
                run.state.life = self.life;
                let journal = &mut self.unfiled.journal;
                run.durably(|state, history, stored| {
                    journal.add(key, state, history.encoded(stored..history.len()));
                });
                run.stored = run.history.len();
                self.unfiled.note_written(slot);
            }
            let wake_at = slot.run.next_wake();
            if wake_at != slot.wake_at {
                if let Some(at) = slot.wake_at {
                    self.wakes.remove(&(at, WakeKey::Run(key)));
                }
                if let Some(at) = wake_at {
                    self.wakes.insert((at, WakeKey::Run(key)));
                }
                slot.wake_at = wake_at;
            }
            if has_news {
                self.notify_watchers(key);
            }
        }
        self.write_changes()
    }

    fn notify_watchers(&mut self, key: RunKey) {
        if let Some(watchers) = self.watchers.remove(&key) {
            self.after_commit(move |_, _| {
                for watcher in watchers {
                    // A watcher that is gone needs no news.
                    let _ = watcher.send(());
                }
            });
        }
    }

    /// Whether there is something to do without a further request.
    pub(super) fn has_work(&self) -> bool {
        !self.touched.is_empty() || self.schedules.has_touched() || !self.after_commit.is_empty()
    }

    /// Whether memory is what the file says. If it is not, because a batch has failed, the file is read
    /// again.
    pub(super) fn is_sound(&mut self) -> bool {
        self.recover_if_broken();
        !self.is_broken
    }

    /// A batch has failed: memory is to be read again. At once after the first failure; then, as long as
    /// nothing can be written, after a while, so that a full disk is not asked without end.
    fn break_off(&mut self) {
        self.is_broken = true;
        let doublings = self.failed_batches.min(5);
        self.retry_at = match self.failed_batches {
            0 => self.now,
            _ => self.now.saturating_add(FIRST_RETRY << doublings),
        };
        self.failed_batches = self.failed_batches.saturating_add(1);
        self.recover_if_broken();
    }

    fn recover_if_broken(&mut self) {
        if self.is_broken && self.now() >= self.retry_at {
            self.reread();
        }
    }

    /// Reads the file again.
    pub(super) fn reread(&mut self) {
        match self.start_over() {
            Ok(()) => self.is_broken = false,
            Err(error) => {
                self.is_broken = true;
                self.retry_at = self.now.saturating_add(SECOND);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the engine's file cannot be read again: nobody is served until it can"
                );
            }
        }
    }

    /// Drops all of memory that may differ from the disk, and reads the disk again.
    fn start_over(&mut self) -> Result<(), Error> {
        self.messages.clear();
        self.ahead.clear();
        self.touched.clear();
        self.unfiled.clear();
        self.cache.clear();
        self.schedules.clear();
        self.wakes.clear();
        self.queues.clear();
        self.queries.clear();
        self.update_waiters.clear();
        self.watchers.clear();
        self.store.roll_back()?;
        self.recover(Reason::Failed)
    }
}
