//! What clients tell a running execution: signals, cancel requests, termination.

use temporalio_protos::temporal::api::{
    common::v1::{Header, Link, Payloads, WorkflowExecution},
    enums::v1::WorkflowExecutionStatus,
    history::v1::{
        WorkflowExecutionCancelRequestedEventAttributes, WorkflowExecutionOptionsUpdatedEventAttributes,
        WorkflowExecutionSignaledEventAttributes, WorkflowExecutionTerminatedEventAttributes,
        history_event::Attributes,
    },
};

use super::run::Run;
use crate::{clock::Nanos, rpc::RpcError};

/// A signal.
#[derive(Clone, Debug, Default)]
pub struct Signal {
    pub name: String,
    pub input: Option<Payloads>,
    pub header: Option<Header>,
    pub identity: String,
    /// A repeated id is the same signal; empty: never the same.
    pub request_id: String,
    /// The execution that sent it, if one did.
    pub sender: Option<WorkflowExecution>,
    /// Where it comes from, for people.
    pub links: Vec<Link>,
}

/// A request to cancel.
#[derive(Clone, Debug, Default)]
pub struct CancelRequest {
    pub cause: String,
    pub identity: String,
    pub request_id: String,
    /// The execution that asks, if one does, and its event that initiated the request.
    pub sender: Option<(WorkflowExecution, i64)>,
    /// Where it comes from, for people.
    pub links: Vec<Link>,
}

impl Run {
    /// Records a signal and wakes the workflow; the same request id again does nothing.
    ///
    /// # Errors
    /// When the run is closed, or has had as many signals as a run may have.
    pub fn signal(&mut self, now: Nanos, signal: Signal) -> Result<(), RpcError> {
        self.check_running()?;
        if !self.is_new_request(&signal.request_id) {
            return Ok(());
        }
        if self.state.signal_count >= self.limits.signals {
            return Err(RpcError::InvalidArgument(
                "exceeded workflow execution limit for signal events".into(),
            ));
        }
        self.record_signal(now, signal);
        self.state.transition_count += 1;
        self.schedule_workflow_task(now);
        Ok(())
    }

    /// Whoever would have started the execution does not wait for its first workflow task, whatever
    /// that waits for: it is due now.
    pub fn end_start_delay(&mut self, now: Nanos) {
        if self.is_running() && self.state.first_task_at != 0 {
            self.state.first_task_at = 0;
            self.schedule_first_task(now);
        }
    }

    /// Records what a start attaches that found this run instead of making one: its request id, which
    /// then is known as the run's own is, and its links. The workflow is not woken for it.
    pub fn attach(&mut self, now: Nanos, request_id: String, links: Vec<Link>) {
        let is_known = !request_id.is_empty() && self.state.attached_request_ids.contains(&request_id);
        if !self.is_running() || is_known {
            return;
        }
        if !request_id.is_empty() {
            self.state.attached_request_ids.push(request_id.clone());
        }
        let updated = WorkflowExecutionOptionsUpdatedEventAttributes {
            attached_request_id: request_id,
            ..Default::default()
        };
        let event = Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(updated);
        self.append_external_with(now, event, links);
        self.state.transition_count += 1;
    }

    pub(super) fn record_signal(&mut self, now: Nanos, signal: Signal) {
        self.state.signal_count += 1;
        if !signal.request_id.is_empty() {
            self.state.request_ids.push(signal.request_id.clone());
        }
        self.append_external_with(
            now,
            Attributes::WorkflowExecutionSignaledEventAttributes(WorkflowExecutionSignaledEventAttributes {
                signal_name: signal.name,
                input: signal.input,
                identity: signal.identity,
                header: signal.header,
                request_id: signal.request_id,
                external_workflow_execution: signal.sender,
                ..Default::default()
            }),
            signal.links,
        );
    }

    /// Records that the execution is asked to cancel. A second request does nothing, nor does one to a
    /// run that has closed: there is nothing left to cancel.
    pub fn request_cancel(&mut self, now: Nanos, request: CancelRequest) {
        if !self.is_running() || self.state.cancel_requested {
            return;
        }
        self.state.cancel_requested = true;
        self.state.request_ids.push(request.request_id);
        let (external_workflow_execution, external_initiated_event_id) = match request.sender {
            Some((execution, initiated)) => (Some(execution), initiated),
            None => (None, 0),
        };
        self.append_external_with(
            now,
            Attributes::WorkflowExecutionCancelRequestedEventAttributes(
                WorkflowExecutionCancelRequestedEventAttributes {
                    cause: request.cause,
                    identity: request.identity,
                    external_initiated_event_id,
                    external_workflow_execution,
                },
            ),
            request.links,
        );
        self.state.transition_count += 1;
        // A run that waits for its start, its retry or its schedule is not kept waiting for its end.
        self.state.first_task_at = 0;
        self.schedule_workflow_task(now);
    }

    /// Closes the run at once, whatever its workflow is at.
    ///
    /// # Errors
    /// When the run is closed already.
    pub fn terminate(
        &mut self,
        now: Nanos,
        reason: String,
        details: Option<Payloads>,
        identity: String,
    ) -> Result<(), RpcError> {
        self.terminate_with(now, reason, details, identity, Vec::new())
    }

    /// The same with links to where it comes from.
    ///
    /// # Errors
    /// When the run is closed already.
    pub fn terminate_with(
        &mut self,
        now: Nanos,
        reason: String,
        details: Option<Payloads>,
        identity: String,
        links: Vec<Link>,
    ) -> Result<(), RpcError> {
        self.check_running()?;
        self.force_fail_workflow_task(now);
        self.flush_buffered();
        let terminated = WorkflowExecutionTerminatedEventAttributes {
            reason,
            details,
            identity,
        };
        self.append_linked(
            now,
            Attributes::WorkflowExecutionTerminatedEventAttributes(terminated),
            links,
        );
        self.close(now, WorkflowExecutionStatus::Terminated);
        Ok(())
    }

    fn is_new_request(&self, request_id: &str) -> bool {
        request_id.is_empty() || !self.state.request_ids.iter().any(|known| known == request_id)
    }
}
