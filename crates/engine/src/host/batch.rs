//! The end of a batch: every changed run is written once, all in one transaction; when that is on
//! disk, everybody is answered.

use super::{Host, WakeKey, recover::Reason};
use crate::{
    clock::{Nanos, SECOND},
    core::RunKey,
    rpc::RpcError,
    store::Error,
};

/// When a run is tried again that could not be woken because it could not be read.
const WAKE_RETRY: Nanos = 10 * SECOND;
/// How long the second of two failed batches keeps the next one waiting, halved; doubled with each more.
const FIRST_RETRY: Nanos = SECOND / 40;

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

    /// Delivers the batch's messages, writes it, commits it, and answers everybody in it.
    pub(super) fn end_batch(&mut self) {
        let written = self.write_batch();
        let is_on_disk = match written {
            Ok(was_written) => {
                if was_written {
                    self.failed_batches = 0;
                }
                true
            }
            Err(error) => {
                let error = error.at(self.store.path());
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a batch cannot be written: all in it are answered with UNAVAILABLE"
                );
                self.failure = error.to_string();
                self.break_off();
                false
            }
        };
        for then in std::mem::take(&mut self.after_commit) {
            then(self, is_on_disk);
        }
        self.cache.evict();
    }

    /// Answers whether there was anything to write.
    fn write_batch(&mut self) -> Result<bool, Error> {
        if let Err(error) = self.deliver_messages() {
            tracing::error!(%error, "a message cannot be delivered");
            self.store.fail(None);
        }
        self.write_touched()?;
        self.write_schedules()?;
        self.store.commit()
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
                let journal = &mut self.unfiled.journal;
                run.durably(|state, history, stored| journal.add(key, state, &history[stored..]));
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
        if !self.is_broken || self.now() < self.retry_at {
            return;
        }
        match self.start_over() {
            Ok(()) => self.is_broken = false,
            Err(error) => {
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
