//! Messages from run to run: a child to start or to close, a signal, a cancel request, a child's end
//! for its parent.
//!
//! All runs are this host's, so a message is delivered within the batch that it was sent in, and one
//! transaction has both runs' changes: no crash can come between. A message may cause others (a run
//! that is terminated ends its children, and they end theirs), so they wait in a queue and are taken
//! from it one after the other. What the runs then ask for is offered when the queue is empty: the
//! results of many children that close together make one workflow task of their parent.

use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::{
        CancelExternalWorkflowExecutionFailedCause as CancelFailed, ParentClosePolicy,
        SignalExternalWorkflowExecutionFailedCause as SignalFailed,
        StartChildWorkflowExecutionFailedCause as StartFailed, WorkflowIdConflictPolicy,
    },
};

use super::{Host, start::IdPolicy};
use crate::{
    core::{
        CancelRequest, Child, ChildClosed, Completion, ENGINE_IDENTITY, Message, Outcome, OutgoingCancel,
        OutgoingSignal, Run, RunKey, Surroundings, new_run_id,
    },
    rpc::RpcError,
};

impl Host {
    /// Lets a run complete its workflow task, without yet doing what it asks for.
    ///
    /// # Errors
    /// When the task is not the one in a worker's hands.
    pub(crate) fn complete_workflow_task(
        &mut self,
        key: RunKey,
        completion: Completion,
    ) -> Result<Outcome, RpcError> {
        let namespace = self.run(key)?.state.namespace_key;
        let names = self.namespaces.names(namespace);
        let gate = self.attribute_gate(namespace);
        let surroundings = Surroundings {
            namespace: &names.name,
            namespace_id: &names.id,
            accept_attributes: &gate,
        };
        let outcome = self.change_unwritten(key, |run, now| {
            run.complete_workflow_task(now, completion, &surroundings)
        })?;
        if !matches!(outcome, Outcome::Discarded { .. }) {
            self.mark_dirty(key);
        }
        Ok(outcome)
    }

    /// Delivers all messages, also those that are sent meanwhile.
    ///
    /// # Errors
    /// When the file cannot be read: the batch must not be written then, as it would lack a delivery.
    pub(super) fn deliver_messages(&mut self) -> Result<(), RpcError> {
        let mut changed = Vec::new();
        while !self.messages.is_empty() {
            while let Some((sender, message)) = self.messages.pop_front() {
                match self.deliver_message(sender, message, &mut changed) {
                    Err(error @ RpcError::Unavailable(_)) => return Err(error),
                    Err(error) => tracing::error!(%error, run = sender, "a message is lost"),
                    Ok(()) => {}
                }
            }
            for key in changed.drain(..) {
                self.settle(key)?;
            }
        }
        Ok(())
    }

    fn deliver_message(
        &mut self,
        sender: RunKey,
        message: Message,
        changed: &mut Vec<RunKey>,
    ) -> Result<(), RpcError> {
        match message {
            Message::StartChild { initiated_event_id } => {
                self.start_child(sender, initiated_event_id, changed)
            }
            Message::Signal { initiated_event_id } => {
                let Some(outgoing) = self.run(sender)?.outgoing_signal(initiated_event_id) else {
                    return Ok(());
                };
                let outcome = match self.signal_other(sender, outgoing, changed) {
                    Ok(()) => Ok(()),
                    Err(error @ RpcError::Unavailable(_)) => return Err(error),
                    Err(RpcError::InvalidArgument(_)) => Err(SignalFailed::SignalCountLimitExceeded),
                    Err(_) => Err(SignalFailed::ExternalWorkflowExecutionNotFound),
                };
                let namespace = self.run(sender)?.state.namespace_key;
                let names = self.namespaces.names(namespace);
                self.tell(sender, changed, |run, now| {
                    run.signal_delivered(now, &names.name, initiated_event_id, outcome);
                })
            }
            Message::RequestCancel { initiated_event_id } => {
                let Some(outgoing) = self.run(sender)?.outgoing_cancel(initiated_event_id) else {
                    return Ok(());
                };
                let outcome = match self.cancel_other(sender, outgoing, changed) {
                    Ok(()) => Ok(()),
                    Err(error @ RpcError::Unavailable(_)) => return Err(error),
                    Err(_) => Err(CancelFailed::ExternalWorkflowExecutionNotFound),
                };
                let namespace = self.run(sender)?.state.namespace_key;
                let names = self.namespaces.names(namespace);
                self.tell(sender, changed, |run, now| {
                    run.cancel_delivered(now, &names.name, initiated_event_id, outcome);
                })
            }
            Message::ChildClosed(closed) => self.report_child(*closed, changed),
            Message::CloseChild(child) => self.close_child(sender, &child, changed),
        }
    }

    fn tell(
        &mut self,
        key: RunKey,
        changed: &mut Vec<RunKey>,
        transition: impl FnOnce(&mut Run, i64),
    ) -> Result<(), RpcError> {
        self.change_quietly(key, |run, now| {
            transition(run, now);
            Ok(())
        })?;
        if !changed.contains(&key) {
            changed.push(key);
        }
        Ok(())
    }

    fn start_child(
        &mut self,
        parent: RunKey,
        initiated_event_id: i64,
        changed: &mut Vec<RunKey>,
    ) -> Result<(), RpcError> {
        let now = self.now();
        let Some((mut new, reuse)) = self.run(parent)?.new_child(now, initiated_event_id) else {
            return Ok(());
        };
        new.run_id = new_run_id();
        if self
            .check_override(new.namespace_key, &new.task_queue, new.versioning_override())
            .is_err()
        {
            return self.tell(parent, changed, |run, now| {
                run.child_not_started(now, initiated_event_id, StartFailed::InvalidVersioningOverride);
            });
        }
        self.inherit_version(parent, &mut new)?;
        let policy = IdPolicy::resolve(reuse, WorkflowIdConflictPolicy::Unspecified)?;
        match self.start(new, policy) {
            Ok(started) => {
                let run_id = self.run(started.key)?.state.run_id.clone();
                self.tell(parent, changed, |run, now| {
                    run.child_started(now, initiated_event_id, run_id);
                })
            }
            Err(RpcError::AlreadyStarted { .. }) => self.tell(parent, changed, |run, now| {
                run.child_not_started(now, initiated_event_id, StartFailed::WorkflowAlreadyExists);
            }),
            Err(error) => Err(error),
        }
    }

    /// The run that a message of `sender` is for.
    fn find_other(
        &mut self,
        sender: RunKey,
        target: &WorkflowExecution,
        child_only: bool,
    ) -> Result<RunKey, RpcError> {
        let state = &self.run(sender)?.state;
        let namespace = state.namespace_key;
        // An execution cannot message itself, whichever of its runs is meant.
        if state.workflow_id == target.workflow_id {
            return Err(RpcError::workflow_not_found(&target.workflow_id));
        }
        let key = self.find(namespace, target)?;
        if child_only && !self.run(key)?.is_child_of(sender) {
            return Err(RpcError::workflow_not_found(&target.workflow_id));
        }
        Ok(key)
    }

    fn signal_other(
        &mut self,
        sender: RunKey,
        outgoing: OutgoingSignal,
        changed: &mut Vec<RunKey>,
    ) -> Result<(), RpcError> {
        let key = self.find_other(sender, &outgoing.target, outgoing.child_only)?;
        self.change_quietly(key, |run, now| run.signal(now, outgoing.signal))?;
        changed.push(key);
        Ok(())
    }

    fn cancel_other(
        &mut self,
        sender: RunKey,
        outgoing: OutgoingCancel,
        changed: &mut Vec<RunKey>,
    ) -> Result<(), RpcError> {
        let key = self.find_other(sender, &outgoing.target, outgoing.child_only)?;
        self.tell(key, changed, |run, now| run.request_cancel(now, outgoing.request))
    }

    fn report_child(&mut self, closed: ChildClosed, changed: &mut Vec<RunKey>) -> Result<(), RpcError> {
        match self.run(closed.parent) {
            Ok(parent) if parent.is_running() => {}
            // A parent that has closed, or is not there any more, does not need to know.
            Ok(_) | Err(RpcError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        self.tell(closed.parent, changed, |run, now| run.child_closed(now, closed))
    }

    /// Does to the child of a closed run what its policy says, whichever run of its chain is current.
    fn close_child(
        &mut self,
        parent: RunKey,
        child: &Child,
        changed: &mut Vec<RunKey>,
    ) -> Result<(), RpcError> {
        let namespace = self.run(parent)?.state.namespace_key;
        let Some(key) = self.current(namespace, &child.workflow_id)? else {
            return Ok(());
        };
        let run = self.run(key)?;
        if run.state.first_run_id != child.run_id || !run.is_running() {
            return Ok(());
        }
        if child.parent_close_policy == ParentClosePolicy::RequestCancel as i32 {
            let parent = super::delivery::execution(self.run(parent)?);
            let request = CancelRequest {
                identity: ENGINE_IDENTITY.into(),
                sender: Some((parent, 0)),
                ..Default::default()
            };
            return self.tell(key, changed, |run, now| run.request_cancel(now, request));
        }
        let reason = "by parent close policy".to_owned();
        self.change_quietly(key, |run, now| {
            run.terminate(now, reason, None, ENGINE_IDENTITY.into())
        })?;
        changed.push(key);
        Ok(())
    }
}
