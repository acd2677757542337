//! Signals and cancel requests from this run to other executions: what is to be delivered, and what
//! became of it.

use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::{CancelExternalWorkflowExecutionFailedCause, SignalExternalWorkflowExecutionFailedCause},
    history::v1::{
        ExternalWorkflowExecutionCancelRequestedEventAttributes,
        ExternalWorkflowExecutionSignaledEventAttributes,
        RequestCancelExternalWorkflowExecutionFailedEventAttributes,
        RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
        SignalExternalWorkflowExecutionFailedEventAttributes,
        SignalExternalWorkflowExecutionInitiatedEventAttributes, history_event::Attributes,
    },
};

use super::{
    message::{CancelRequest, Signal},
    run::Run,
};
use crate::clock::Nanos;

/// Who the engine is in what it does by itself.
pub(crate) const ENGINE_IDENTITY: &str = "history-service";

/// A signal on its way to another execution.
#[derive(Clone, Debug)]
pub struct OutgoingSignal {
    pub target: WorkflowExecution,
    /// Only if the target is a child of the sender.
    pub child_only: bool,
    pub signal: Signal,
}

/// A cancel request on its way to another execution.
#[derive(Clone, Debug)]
pub struct OutgoingCancel {
    pub target: WorkflowExecution,
    /// Only if the target is a child of the sender.
    pub child_only: bool,
    pub request: CancelRequest,
}

impl Run {
    fn as_sender(&self) -> WorkflowExecution {
        WorkflowExecution {
            workflow_id: self.state.workflow_id.clone(),
            run_id: self.state.run_id.clone(),
        }
    }

    /// What became of something that was sent is in the history, and the workflow goes on with it.
    fn told(&mut self, now: Nanos, event: Attributes) {
        self.append_external(now, event);
        self.state.transition_count += 1;
        self.schedule_workflow_task(now);
    }

    fn signal_initiated(
        &self,
        initiated_event_id: i64,
    ) -> Option<SignalExternalWorkflowExecutionInitiatedEventAttributes> {
        match self.event(initiated_event_id)?.attributes {
            Some(Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(a)) => Some(a),
            _ => None,
        }
    }

    fn cancel_initiated(
        &self,
        initiated_event_id: i64,
    ) -> Option<RequestCancelExternalWorkflowExecutionInitiatedEventAttributes> {
        match self.event(initiated_event_id)?.attributes {
            Some(Attributes::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(a)) => Some(a),
            _ => None,
        }
    }

    /// The signal that this event initiated; none where it need not be delivered any more.
    pub fn outgoing_signal(&self, initiated_event_id: i64) -> Option<OutgoingSignal> {
        if !self.is_running() || !self.state.outgoing_signals.contains(&initiated_event_id) {
            return None;
        }
        let initiated = self.signal_initiated(initiated_event_id)?;
        Some(OutgoingSignal {
            target: initiated.workflow_execution.clone().unwrap_or_default(),
            child_only: initiated.child_workflow_only,
            signal: Signal {
                name: initiated.signal_name.clone(),
                input: initiated.input.clone(),
                header: initiated.header.clone(),
                identity: ENGINE_IDENTITY.into(),
                request_id: String::new(),
                sender: Some(self.as_sender()),
                links: Vec::new(),
            },
        })
    }

    /// The signal has reached its target in this namespace, or could not.
    pub fn signal_delivered(
        &mut self,
        now: Nanos,
        namespace: &str,
        initiated_event_id: i64,
        outcome: Result<(), SignalExternalWorkflowExecutionFailedCause>,
    ) {
        let Some(initiated) = self.signal_initiated(initiated_event_id) else {
            return;
        };
        self.state.outgoing_signals.retain(|id| *id != initiated_event_id);
        #[allow(deprecated, reason = "clients still read it")]
        let event = match outcome {
            Ok(()) => Attributes::ExternalWorkflowExecutionSignaledEventAttributes(
                ExternalWorkflowExecutionSignaledEventAttributes {
                    initiated_event_id,
                    namespace: namespace.to_owned(),
                    namespace_id: initiated.namespace_id,
                    workflow_execution: initiated.workflow_execution,
                    control: initiated.control,
                },
            ),
            Err(cause) => Attributes::SignalExternalWorkflowExecutionFailedEventAttributes(
                SignalExternalWorkflowExecutionFailedEventAttributes {
                    cause: cause as i32,
                    workflow_task_completed_event_id: 0,
                    namespace: namespace.to_owned(),
                    namespace_id: initiated.namespace_id,
                    workflow_execution: initiated.workflow_execution,
                    initiated_event_id,
                    control: initiated.control,
                },
            ),
        };
        self.told(now, event);
    }

    /// The cancel request that this event initiated; none where it need not be delivered any more.
    pub fn outgoing_cancel(&self, initiated_event_id: i64) -> Option<OutgoingCancel> {
        if !self.is_running() || !self.state.outgoing_cancels.contains(&initiated_event_id) {
            return None;
        }
        let initiated = self.cancel_initiated(initiated_event_id)?;
        Some(OutgoingCancel {
            target: initiated.workflow_execution.clone().unwrap_or_default(),
            child_only: initiated.child_workflow_only,
            request: CancelRequest {
                cause: initiated.reason.clone(),
                identity: ENGINE_IDENTITY.into(),
                request_id: String::new(),
                sender: Some((self.as_sender(), initiated_event_id)),
                links: Vec::new(),
            },
        })
    }

    /// The cancel request has reached its target in this namespace, or could not.
    pub fn cancel_delivered(
        &mut self,
        now: Nanos,
        namespace: &str,
        initiated_event_id: i64,
        outcome: Result<(), CancelExternalWorkflowExecutionFailedCause>,
    ) {
        let Some(initiated) = self.cancel_initiated(initiated_event_id) else {
            return;
        };
        self.state.outgoing_cancels.retain(|id| *id != initiated_event_id);
        #[allow(deprecated, reason = "clients still read it")]
        let event = match outcome {
            Ok(()) => Attributes::ExternalWorkflowExecutionCancelRequestedEventAttributes(
                ExternalWorkflowExecutionCancelRequestedEventAttributes {
                    initiated_event_id,
                    namespace: namespace.to_owned(),
                    namespace_id: initiated.namespace_id,
                    workflow_execution: initiated.workflow_execution,
                },
            ),
            Err(cause) => Attributes::RequestCancelExternalWorkflowExecutionFailedEventAttributes(
                RequestCancelExternalWorkflowExecutionFailedEventAttributes {
                    cause: cause as i32,
                    workflow_task_completed_event_id: 0,
                    namespace: namespace.to_owned(),
                    namespace_id: initiated.namespace_id,
                    workflow_execution: initiated.workflow_execution,
                    initiated_event_id,
                    // As on the real server, which leaves it out here alone.
                    control: String::new(),
                },
            ),
        };
        self.told(now, event);
    }
}
