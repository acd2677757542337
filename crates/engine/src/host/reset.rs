//! Resets: the run that a reset starts from, the one that it replaces, and those in between.

use temporalio_protos::temporal::api::common::v1::WorkflowExecution;

use super::Host;
use crate::{
    core::{Child, OptionsChange, Reset, Run, RunKey},
    rpc::RpcError,
};

impl Host {
    /// Resets an execution, changes the new run's options, and answers the new run's key. The same request again finds the same run.
    ///
    /// # Errors
    /// When there is no such run, or it cannot be reset to that event; then nothing has changed.
    pub(crate) fn reset(
        &mut self,
        namespace: u32,
        execution: &WorkflowExecution,
        reset: Reset,
        after: Vec<OptionsChange>,
    ) -> Result<RunKey, RpcError> {
        let base = self.find(namespace, execution)?;
        let latest = WorkflowExecution {
            run_id: String::new(),
            ..execution.clone()
        };
        let current = self.find(namespace, &latest)?;
        if self.run(current)?.state.reset_request_id == reset.request_id {
            return Ok(current);
        }
        let now = self.now();
        let key = self.next_key;
        // Before anything is changed: this refuses what cannot be reset to.
        let mut run = self.run(base)?.reset(key, now, &reset)?;
        for change in &after {
            let given = change.versioning_override.as_ref().and_then(Option::as_ref);
            self.check_override(namespace, &run.state.task_queue, given)?;
        }
        self.next_key += 1;
        if self.run(current)?.is_running() {
            let reason = reset.reason.clone();
            let kept: Vec<i64> = if current == base {
                run.state
                    .children
                    .iter()
                    .map(|child| child.initiated_event_id)
                    .collect()
            } else {
                Vec::new()
            };
            self.change(current, |run, now| run.terminate_for_reset(now, reason, &kept))?;
        }
        self.change(base, |run, _| {
            run.state.reset_run_id.clone_from(&reset.run_id);
            Ok(())
        })?;
        let mut from = (base, usize::try_from(reset.event_id - 1).unwrap_or(0));
        loop {
            let (key, skip) = from;
            let source = self.run(key)?;
            run.reapply(now, source.history.from(skip), reset.reapply);
            let Some(next) = source.continued_as() else { break };
            let next = WorkflowExecution {
                workflow_id: source.state.workflow_id.clone(),
                run_id: next,
            };
            match self.find(namespace, &next) {
                Ok(key) => from = (key, 0),
                // Deleted meanwhile: what it was told is gone with it.
                Err(RpcError::NotFound(_)) => break,
                Err(error) => return Err(error),
            }
        }
        for change in after {
            run.change_options(now, change)?;
        }
        self.take_children_over(&mut run)?;
        run.resume_reset(now);
        self.adopt(run)
    }

    /// The children that a reset run has pending report to it from now on; those that have closed
    /// meanwhile do so at once.
    fn take_children_over(&mut self, run: &mut Run) -> Result<(), RpcError> {
        for child in run.state.children.clone() {
            if child.run_id.is_empty() {
                continue;
            }
            let Some(key) = self.latest_of_child(run.state.namespace_key, &child)? else {
                continue;
            };
            let current = self.run(key)?;
            if current.is_running() {
                let (parent, run_id) = (run.key, run.state.run_id.clone());
                self.change(key, |child, _| {
                    child.follow_parent(parent, &run_id);
                    Ok(())
                })?;
            } else if let Some(closed) = current.closed_as_child() {
                let now = self.now();
                run.child_closed(now, closed);
            }
        }
        Ok(())
    }

    /// The newest run of a child; none where it has been deleted.
    fn latest_of_child(&mut self, namespace: u32, child: &Child) -> Result<Option<RunKey>, RpcError> {
        if let Some(key) = self.current(namespace, &child.workflow_id)?
            && self.run(key)?.state.first_run_id == child.run_id
        {
            return Ok(Some(key));
        }
        // Another execution has the workflow id by now.
        let mut execution = WorkflowExecution {
            workflow_id: child.workflow_id.clone(),
            run_id: child.run_id.clone(),
        };
        loop {
            let key = match self.find(namespace, &execution) {
                Ok(key) => key,
                Err(RpcError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            let state = &self.run(key)?.state;
            let next = match state.reset_run_id.as_str() {
                "" => &state.successor_run_id,
                reset => reset,
            };
            if next.is_empty() {
                return Ok(Some(key));
            }
            next.clone_into(&mut execution.run_id);
        }
    }
}
