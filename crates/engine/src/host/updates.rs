//! Whoever waits for an update. Updates themselves are the run's; here is who is to be told of them.

use std::collections::HashMap;

use temporalio_protos::temporal::api::{common::v1::WorkflowExecution, update::v1::Request};
use tokio::sync::mpsc;

use super::{Host, delivery};
use crate::{
    core::{RunKey, UpdateEnd, UpdateStage, UpdateStatus},
    rpc::RpcError,
};

/// What a waiter is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// The update has come so far.
    At(UpdateStatus),
    /// The run has closed before a worker answered; the run that goes on may be asked.
    Continued,
    /// It will not come any further.
    Failed(RpcError),
}

/// An update that somebody waits for.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) run: RunKey,
    pub(crate) execution: WorkflowExecution,
    /// Where the update was when the wait began.
    pub(crate) status: UpdateStatus,
    pub(crate) progress: mpsc::UnboundedReceiver<Progress>,
}

#[derive(Debug)]
struct Waiter {
    update_id: String,
    told: UpdateStage,
    sender: mpsc::UnboundedSender<Progress>,
}

/// All who wait, by the run.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_run: HashMap<RunKey, Vec<Waiter>>,
}

impl Waiters {
    pub(super) fn are_there_for(&self, run: RunKey) -> bool {
        !self.by_run.is_empty() && self.by_run.contains_key(&run)
    }

    pub(super) fn clear(&mut self) {
        self.by_run.clear();
    }

    /// Forgets those of a run who have gone.
    pub(crate) fn forget_gone(&mut self, run: RunKey) {
        if let Some(waiters) = self.by_run.get_mut(&run) {
            waiters.retain(|waiter| !waiter.sender.is_closed());
            if waiters.is_empty() {
                self.by_run.remove(&run);
            }
        }
    }
}

impl Host {
    /// Admits an update to a run, or finds it there, and lets the caller watch it.
    pub(crate) fn update(&mut self, run: RunKey, id: &str, request: Request) -> Result<Watched, RpcError> {
        // Nothing of an update is written before a worker has accepted it.
        let status = self.change_unwritten(run, |run, now| run.admit_update(now, id, request))?;
        let watched = self.watch_update_at(run, id, status)?;
        self.settle(run)?;
        Ok(watched)
    }

    /// Lets the caller watch an update that the run knows.
    pub(crate) fn watch_update(&mut self, run: RunKey, id: &str) -> Result<Watched, RpcError> {
        let status = self.slot(run)?.run.update_status(id);
        let status = status.ok_or_else(|| RpcError::NotFound(format!("update {id:?} not found")))?;
        self.watch_update_at(run, id, status)
    }

    /// Whether the run's history has this update's outcome, and whether it knows of it at all.
    pub(crate) fn knows_update(&mut self, run: RunKey, id: &str) -> Result<(bool, bool), RpcError> {
        let run = &mut self.slot(run)?.run;
        Ok((run.has_update_outcome(id), run.update_status(id).is_some()))
    }

    fn watch_update_at(&mut self, run: RunKey, id: &str, status: UpdateStatus) -> Result<Watched, RpcError> {
        let execution = delivery::execution(self.run(run)?);
        let (sender, progress) = mpsc::unbounded_channel();
        if status.stage != UpdateStage::Completed {
            self.update_waiters.by_run.entry(run).or_default().push(Waiter {
                update_id: id.to_owned(),
                told: status.stage,
                sender,
            });
        }
        Ok(Watched {
            run,
            execution,
            status,
            progress,
        })
    }

    /// Tells those who wait for updates of a run how far these are, once that is on disk.
    pub(super) fn tell_update_waiters(
        &mut self,
        key: RunKey,
        ends: Vec<(String, UpdateEnd)>,
    ) -> Result<(), RpcError> {
        let Some(waiters) = self.update_waiters.by_run.remove(&key) else {
            return Ok(());
        };
        let run = &mut self.slot(key)?.run;
        let mut news = Vec::new();
        let mut waiting = Vec::with_capacity(waiters.len());
        for mut waiter in waiters {
            let end = ends.iter().find(|(id, _)| *id == waiter.update_id);
            let progress = match (end, run.update_status(&waiter.update_id)) {
                (Some((_, end)), _) => of_end(end),
                (None, Some(status)) if status.stage > waiter.told => Progress::At(status),
                (None, Some(_)) => {
                    waiting.push(waiter);
                    continue;
                }
                (None, None) => Progress::Failed(RpcError::Unavailable("workflow update was aborted".into())),
            };
            news.push((waiter.sender.clone(), progress.clone()));
            if let Progress::At(status) = progress
                && status.stage != UpdateStage::Completed
            {
                waiter.told = status.stage;
                waiting.push(waiter);
            }
        }
        if !waiting.is_empty() {
            self.update_waiters.by_run.insert(key, waiting);
        }
        self.after_commit(move |_, is_on_disk| {
            if is_on_disk {
                for (sender, progress) in news {
                    // Whoever waited may have gone.
                    let _ = sender.send(progress);
                }
            }
        });
        Ok(())
    }
}

fn of_end(end: &UpdateEnd) -> Progress {
    match end {
        UpdateEnd::Rejected(failure) => Progress::At(UpdateStatus::failed(*failure.clone())),
        UpdateEnd::Continued => Progress::Continued,
        UpdateEnd::Closed => Progress::Failed(RpcError::NotFound(
            "workflow update was aborted by closing workflow".into(),
        )),
        UpdateEnd::TaskFailed => Progress::Failed(RpcError::NotReady(
            "Unable to perform workflow execution update due to unexpected workflow task failure.".into(),
        )),
    }
}
