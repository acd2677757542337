//! The end of a batch: every changed run is written once, all in one transaction; when that is on
//! disk, everybody is answered.

use super::{Host, Namespaces, attributes, cache::Slot};
use crate::{
    core::RunKey,
    store::{Error, OpenRun, Store},
};

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
            if let Some(slot) = self.cache.get_mut(key) {
                slot.wake_at = None;
            }
            let woken = self.change(key, |run, now| {
                run.wake(now);
                Ok(())
            });
            if let Err(error) = woken {
                tracing::error!(%error, run = key, "cannot wake a run");
            }
        }
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
        let written = self.write_touched().and_then(|()| self.store.commit());
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
            let has_news = slot.run.history.len() > slot.run.stored
                || slot.was_open != slot.run.is_running()
                || slot.is_dirty && slot.run.is_standalone();
            if slot.is_dirty {
                write(&mut self.store, slot, &self.namespaces)?;
            }
            let wake_at = slot.run.next_wake();
            if wake_at != slot.wake_at {
                if let Some(at) = slot.wake_at {
                    self.wakes.remove(&(at, key));
                }
                if let Some(at) = wake_at {
                    self.wakes.insert((at, key));
                }
                slot.wake_at = wake_at;
            }
            if has_news {
                self.notify_watchers(key);
            }
        }
        Ok(())
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
        self.cache.clear();
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

/// Writes what has changed of a run.
fn write(store: &mut Store, slot: &mut Slot, namespaces: &Namespaces) -> Result<(), Error> {
    store.begin()?;
    let run = &mut slot.run;
    store.append_history(run.key, &run.history[run.stored..])?;
    run.stored = run.history.len();
    // A speculative task is in memory alone: after a crash its updates are sent again, and bring a new one.
    let speculative = run.state.workflow_task.take_if(|task| task.speculative);
    let put = store.put_state(run.key, &run.state);
    if speculative.is_some() {
        run.state.workflow_task = speculative;
    }
    put?;

    let is_open = run.is_running();
    let open_row = is_open.then(|| OpenRun {
        wake_at: run.wake_after_restart(),
        ready: run.is_ready(),
    });
    if open_row != slot.open_row && (slot.was_open || is_open) {
        store.put_open_run(run.key, open_row)?;
        slot.open_row = open_row;
    }

    let connection = store.connection();
    if slot.is_new {
        attributes::file_started(connection, run, &namespaces.registry(run.state.namespace_key))?;
    }
    if slot.was_open && !is_open {
        attributes::file_closed(connection, run)?;
    } else if run.effects.attributes_changed && !slot.is_new {
        attributes::file_attributes(connection, run, &namespaces.registry(run.state.namespace_key))?;
    }
    run.effects.attributes_changed = false;
    slot.is_new = false;
    slot.was_open = is_open;
    slot.is_dirty = false;
    Ok(())
}
