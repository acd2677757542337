//! The end of a batch: every changed run is written once, all in one transaction; when that is on
//! disk, everybody is answered.

use super::{Host, WakeKey};
use crate::{core::RunKey, rpc::RpcError, store::Error};

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
                Err(error) => tracing::error!(%error, ?key, "cannot wake"),
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
        let is_on_disk = self.deliver_messages().is_ok() && self.write_batch();
        if !is_on_disk {
            self.store.roll_back();
            self.start_over();
        }
        for then in std::mem::take(&mut self.after_commit) {
            then(self, is_on_disk);
        }
        self.cache.evict();
    }

    fn write_batch(&mut self) -> bool {
        let written = self
            .write_touched()
            .and_then(|()| self.write_schedules())
            .and_then(|()| self.store.commit());
        if let Err(error) = &written {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a batch cannot be written"
            );
        }
        written.is_ok()
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

    /// Drops all of memory that may differ from the disk, and reads the disk again.
    fn start_over(&mut self) {
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
        if let Err(error) = self.recover() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the engine's file cannot be read again"
            );
        }
    }
}
