//! Standalone activities by their ids: found, started by the rules of ids, deleted.

use temporalio_protos::temporal::api::enums::v1::{
    ActivityIdConflictPolicy, ActivityIdReusePolicy, WorkflowExecutionStatus as Status,
};

use super::{Host, WakeKey, cache::Slot, filing::FoundBy, unreadable, unwritable};
use crate::{
    core::{NewActivity, Run, RunKey, id_space},
    rpc::RpcError,
};

/// What a start may do where the activity id is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActivityIdPolicy {
    /// Where the last activity of the id has closed.
    pub(crate) reuse: ActivityIdReusePolicy,
    /// Where it is running.
    pub(crate) conflict: ActivityIdConflictPolicy,
}

impl Host {
    /// The key of a standalone activity: of the given run, or of the newest one of the id.
    pub(crate) fn find_activity(
        &self,
        namespace: u32,
        activity_id: &str,
        run_id: &str,
    ) -> Result<RunKey, RpcError> {
        if activity_id.is_empty() {
            return Err(RpcError::InvalidArgument("activity ID is required".into()));
        }
        if !run_id.is_empty() && uuid::Uuid::try_parse(run_id).is_err() {
            return Err(RpcError::InvalidArgument(
                "invalid run id: must be a valid UUID".into(),
            ));
        }
        let found = self.lookup(id_space(namespace, true), activity_id, run_id);
        found
            .map_err(unreadable)?
            .map(|run| run.key)
            .ok_or_else(|| RpcError::activity_not_found(activity_id))
    }

    /// Starts a standalone activity, or finds the one that stands for it; and whether it is new.
    ///
    /// # Errors
    /// When the id is taken and the policy allows neither another activity nor the use of that one.
    pub(crate) fn start_standalone(
        &mut self,
        new: NewActivity,
        policy: ActivityIdPolicy,
        attach_request_id: bool,
    ) -> Result<(RunKey, bool), RpcError> {
        let current = self.lookup(id_space(new.namespace_key, true), &new.activity_id, "");
        let Some(current) = current.map_err(unreadable)? else {
            return Ok((self.create_standalone(new)?, true));
        };
        let run = self.run(current.key)?;
        let state = &run.state;
        if state.start_request_id == new.request_id || state.request_ids.contains(&new.request_id) {
            return Ok((current.key, false));
        }
        let refused = RpcError::ActivityAlreadyStarted {
            start_request_id: state.start_request_id.clone(),
            run_id: state.run_id.clone(),
        };
        if run.is_running() {
            if policy.conflict != ActivityIdConflictPolicy::UseExisting {
                return Err(refused);
            }
            if attach_request_id {
                self.change(current.key, |run, _| {
                    run.state.request_ids.push(new.request_id);
                    Ok(())
                })?;
            }
            return Ok((current.key, false));
        }
        let succeeded = state.status == Status::Completed as i32;
        match policy.reuse {
            ActivityIdReusePolicy::RejectDuplicate => Err(refused),
            ActivityIdReusePolicy::AllowDuplicateFailedOnly if succeeded => Err(refused),
            _ => Ok((self.create_standalone(new)?, true)),
        }
    }

    fn create_standalone(&mut self, new: NewActivity) -> Result<RunKey, RpcError> {
        let now = self.now();
        let key = self.next_key;
        self.next_key += 1;
        let run = Run::begin_activity(key, new, now);
        self.unfiled.note_new(&run);
        self.cache.insert(Slot::new(run));
        self.cache.note_use(key);
        self.settle(key)?;
        Ok(key)
    }
}

impl Host {
    /// Removes a standalone activity with all that is known of it. If it runs, its worker finds it
    /// gone.
    pub(crate) fn delete_standalone(&mut self, key: RunKey) -> Result<(), RpcError> {
        // What the journal has of it would bring it back.
        self.file_all().map_err(unwritable)?;
        self.check_filed(key)?;
        let state = self.run(key)?.state.clone();
        self.unfiled.forget(key, &FoundBy::of(&state));
        let (space, id) = (state.id_space(), state.workflow_id);
        if let Some(at) = self.cache.remove(key).and_then(|slot| slot.wake_at) {
            self.wakes.remove(&(at, WakeKey::Run(key)));
        }
        self.store.delete_run(key, space, &id).map_err(unwritable)?;
        let unlisted = self
            .store
            .writing(|connection| Ok(crate::visibility::delete(connection, key)?));
        unlisted.map_err(unwritable)?;
        if let Some(watchers) = self.watchers.remove(&key) {
            self.after_commit(move |_, _| {
                for watcher in watchers {
                    // A watcher that is gone needs no news.
                    let _ = watcher.send(());
                }
            });
        }
        Ok(())
    }
}
