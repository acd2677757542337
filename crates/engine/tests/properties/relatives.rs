//! The executions that the world's run deals with: its children, and one that it sends signals and cancel
//! requests to. What it sends to them is delivered as the host does, but later where inputs say so.

use segno_engine::core::{ChildClosed, ChildEnd, Message, RunKey};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::{
        CancelExternalWorkflowExecutionFailedCause as CancelFailed, RetryState,
        SignalExternalWorkflowExecutionFailedCause as SignalFailed,
        StartChildWorkflowExecutionFailedCause as StartFailed,
    },
};

use crate::{script, world::World};

/// How a child ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Completed,
    Failed,
    TimedOut,
    Canceled,
    Terminated,
}

/// A child that has started.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    execution: WorkflowExecution,
    parent: RunKey,
    initiated_event_id: i64,
    end: Option<ChildEnd>,
}

impl World {
    /// Delivers the message that has waited longest.
    pub(crate) fn deliver(&mut self, succeeds: bool) {
        let Some((sender, message)) = self.messages.pop_front() else {
            return;
        };
        let (now, is_from_here) = (self.now, sender == self.run.key);
        match message {
            Message::StartChild { initiated_event_id } if is_from_here => {
                self.start_child(initiated_event_id, succeeds);
            }
            Message::Signal {
                initiated_event_id: id,
            } if is_from_here => {
                if self.run.outgoing_signal(id).is_some() {
                    let failed = SignalFailed::ExternalWorkflowExecutionNotFound;
                    let outcome = if succeeds { Ok(()) } else { Err(failed) };
                    self.run.signal_delivered(now, "default", id, outcome);
                }
            }
            Message::RequestCancel {
                initiated_event_id: id,
            } if is_from_here => {
                if self.run.outgoing_cancel(id).is_some() {
                    let failed = CancelFailed::ExternalWorkflowExecutionNotFound;
                    let outcome = if succeeds { Ok(()) } else { Err(failed) };
                    self.run.cancel_delivered(now, "default", id, outcome);
                }
            }
            Message::CloseChild(closed) => {
                let is_it = |child: &Child| child.execution.run_id == closed.run_id;
                if let Some(index) = self.children.iter().position(is_it) {
                    self.end(index, ChildEnd::Terminated);
                }
            }
            // The sender has been replaced, and nothing that it wants needs to be done.
            Message::StartChild { .. } | Message::Signal { .. } | Message::RequestCancel { .. } => {}
            Message::ChildClosed(_) => panic!("the run has no parent"),
        }
    }

    /// Whether each child that the run wants has started, and each of its requests has an outcome.
    pub(crate) fn has_sent_all(&self) -> bool {
        let state = &self.run.state;
        let is_started = |child: &segno_engine::core::Child| !child.run_id.is_empty();
        state.children.iter().all(is_started)
            && state.outgoing_signals.is_empty()
            && state.outgoing_cancels.is_empty()
    }

    fn start_child(&mut self, initiated_event_id: i64, succeeds: bool) {
        let now = self.now;
        let Some((new, _)) = self.run.new_child(now, initiated_event_id) else {
            return;
        };
        let is_open = |child: &Child| child.execution.workflow_id == new.workflow_id && child.end.is_none();
        if !succeeds || self.children.iter().any(is_open) {
            let cause = StartFailed::WorkflowAlreadyExists;
            self.run.child_not_started(now, initiated_event_id, cause);
            return;
        }
        let run_id = format!("00000000-0000-4000-8000-{:012x}", self.children.len());
        self.children.push(Child {
            execution: WorkflowExecution {
                workflow_id: new.workflow_id,
                run_id: run_id.clone(),
            },
            parent: self.run.key,
            initiated_event_id,
            end: None,
        });
        self.run.child_started(now, initiated_event_id, run_id);
    }

    /// One of the open children ends.
    pub(crate) fn end_child(&mut self, which: usize, end: End) {
        let mut open = Vec::new();
        for (index, child) in self.children.iter().enumerate() {
            if child.end.is_none() {
                open.push(index);
            }
        }
        let Some(index) = which.checked_rem(open.len()).map(|which| open[which]) else {
            return;
        };
        let end = match end {
            End::Completed => ChildEnd::Completed(Some(script::json("null"))),
            End::Failed => ChildEnd::Failed(Box::default(), RetryState::RetryPolicyNotSet),
            End::TimedOut => ChildEnd::TimedOut(RetryState::RetryPolicyNotSet),
            End::Canceled => ChildEnd::Canceled(None),
            End::Terminated => ChildEnd::Terminated,
        };
        self.end(index, end);
    }

    fn end(&mut self, index: usize, end: ChildEnd) {
        let child = &mut self.children[index];
        if child.end.is_none() {
            child.end = Some(end);
            self.tell_end(index);
        }
    }

    fn tell_end(&mut self, index: usize) {
        let child = &self.children[index];
        if let Some(how) = child.end.clone()
            && child.parent == self.run.key
        {
            let closed = ChildClosed {
                parent: child.parent,
                initiated_event_id: child.initiated_event_id,
                execution: child.execution.clone(),
                how,
            };
            self.run.child_closed(self.now, closed);
        }
    }

    /// The children that the run has from the one that it replaces report to it from now on.
    pub(crate) fn take_children_over(&mut self) {
        for pending in self.run.state.children.clone() {
            let is_it = |child: &Child| child.execution.run_id == pending.run_id;
            if let Some(index) = self.children.iter().position(is_it) {
                self.children[index].parent = self.run.key;
                self.tell_end(index);
            }
        }
    }
}
