//! Reset: a run goes on from a point in the history of another run of its workflow id.
//!
//! The new run has that run's events up to a workflow task, which then counts as failed. What these
//! events leave pending (activities, timers, children) is pending in the new run; signals and accepted
//! updates that came later are applied to it again, also those of runs that continued the old one as new.

use temporalio_protos::temporal::api::{
    common::v1::Link,
    enums::v1::{
        EventType, ResetReapplyExcludeType, ResetReapplyType, UpdateAdmittedEventOrigin,
        WorkflowTaskFailedCause,
    },
    failure::v1::{Failure, ResetWorkflowFailureInfo, failure::FailureInfo},
    history::v1::{
        HistoryEvent, WorkflowExecutionSignaledEventAttributes,
        WorkflowExecutionUpdateAdmittedEventAttributes, WorkflowTaskFailedEventAttributes,
        WorkflowTaskStartedEventAttributes, history_event::Attributes,
    },
    update::v1::Request,
};

use super::{
    message::Signal,
    rebuild::{Identity, Rebuilt, rebuild},
    run::{Message, Run, RunKey},
    state::Child,
};
use crate::{clock::Nanos, rpc::RpcError};

/// Who the events are from that a reset makes.
const IDENTITY: &str = "history-service";
/// Who terminates the run that a reset replaces.
const RESETTER: &str = "history-resetter";

/// The request by which a task was started that no worker asked for.
const NOBODYS_POLL: &str = "emptyUuid";

/// What a reset asks for.
#[derive(Clone, Debug, Default)]
pub struct Reset {
    /// Id of the new run.
    pub run_id: String,
    pub reason: String,
    pub request_id: String,
    /// The first event that the new run does not have: the end, or the start, of a workflow task.
    pub event_id: i64,
    pub reapply: Reapply,
}

/// Which of its workflow tasks a run is reset to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTarget {
    FirstWorkflowTask,
    LastWorkflowTask,
}

/// Which events that came after the point are applied again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reapply {
    pub signals: bool,
    pub updates: bool,
}

impl Default for Reapply {
    fn default() -> Self {
        Self {
            signals: true,
            updates: true,
        }
    }
}

impl Reapply {
    /// From what a request includes (the old way to say it) and excludes. Cancel requests are never
    /// applied again.
    pub fn new(
        include: ResetReapplyType,
        exclude: impl IntoIterator<Item = ResetReapplyExcludeType>,
    ) -> Self {
        let mut reapply = match include {
            ResetReapplyType::None => Self {
                signals: false,
                updates: false,
            },
            ResetReapplyType::Signal => Self {
                signals: true,
                updates: false,
            },
            ResetReapplyType::Unspecified | ResetReapplyType::AllEligible => Self::default(),
        };
        for excluded in exclude {
            match excluded {
                ResetReapplyExcludeType::Signal => reapply.signals = false,
                ResetReapplyExcludeType::Update => reapply.updates = false,
                _ => {}
            }
        }
        reapply
    }
}

impl Run {
    /// The run that begins with this run's events before `reset.event_id`. It is not complete until
    /// later events are applied again and [`Run::resume_reset`] is called.
    ///
    /// # Errors
    /// When the event is not one that can be reset to.
    pub fn reset(&self, key: RunKey, now: Nanos, reset: &Reset) -> Result<Run, RpcError> {
        // The start of a task that a worker has is an event to those who ask.
        let started = self.started_task.as_ref().map_or(0, |task| task.started_event_id);
        let end = self.state.next_event_id.max(started + 1);
        if reset.event_id <= 1 || reset.event_id >= end {
            return Err(RpcError::InvalidArgument(
                "Workflow task finish ID must be > 1 && <= workflow last event ID.".into(),
            ));
        }
        let kept = usize::try_from(reset.event_id - 1)
            .unwrap_or(0)
            .min(self.history.len());
        let history = self.history.head(kept);
        let identity = Identity {
            namespace_key: self.state.namespace_key,
            run_id: reset.run_id.clone(),
            start_request_id: self.state.start_request_id.clone(),
            parent: self.state.parent.clone(),
        };
        let Rebuilt {
            state,
            started_event_id,
        } = rebuild(identity, &history)?;
        let Some(task) = state.workflow_task.clone() else {
            return Err(RpcError::InvalidArgument(format!(
                "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: {}",
                reset.event_id
            )));
        };
        let mut run = Run {
            stored: 0,
            ..Run::load(key, state, history)
        };
        run.begin_anew(now, reset);
        let started_event_id = if started_event_id == 0 {
            let started = WorkflowTaskStartedEventAttributes {
                scheduled_event_id: task.scheduled_event_id,
                identity: IDENTITY.into(),
                request_id: NOBODYS_POLL.into(),
                history_size_bytes: run.state.history_size,
                ..Default::default()
            };
            run.append(now, Attributes::WorkflowTaskStartedEventAttributes(started))
        } else {
            started_event_id
        };
        run.state.workflow_task = None;
        let failed = WorkflowTaskFailedEventAttributes {
            scheduled_event_id: task.scheduled_event_id,
            started_event_id,
            cause: WorkflowTaskFailedCause::ResetWorkflow as i32,
            failure: Some(Failure {
                message: reset.reason.clone(),
                failure_info: Some(FailureInfo::ResetWorkflowFailureInfo(
                    ResetWorkflowFailureInfo::default(),
                )),
                ..Default::default()
            }),
            identity: IDENTITY.into(),
            base_run_id: self.state.run_id.clone(),
            new_run_id: reset.run_id.clone(),
            ..Default::default()
        };
        run.append(now, Attributes::WorkflowTaskFailedEventAttributes(failed));
        Ok(run)
    }

    /// The event to reset this run to.
    ///
    /// # Errors
    /// When the run has no such workflow task.
    pub fn reset_event(&self, target: ResetTarget) -> Result<i64, RpcError> {
        let completed = |event: &HistoryEvent| event.event_type() == EventType::WorkflowTaskCompleted;
        let scheduled = |event: &HistoryEvent| event.event_type() == EventType::WorkflowTaskScheduled;
        let events = &self.history;
        let found = match target {
            ResetTarget::FirstWorkflowTask => events.iter().find(completed).map(|event| event.event_id),
            ResetTarget::LastWorkflowTask => events.iter().rfind(completed).map(|event| event.event_id),
        };
        // Where no task was completed, the one that is scheduled.
        found
            .or_else(|| events.iter().rfind(scheduled).map(|event| event.event_id + 1))
            .ok_or_else(|| RpcError::InvalidArgument("the run has no workflow task to reset to".into()))
    }

    /// Its times begin with the reset, as those of a run that starts now.
    fn begin_anew(&mut self, now: Nanos, reset: &Reset) {
        let state = &mut self.state;
        let from_now = |timeout: Nanos| {
            if timeout == 0 {
                0
            } else {
                now.saturating_add(timeout)
            }
        };
        state.original_start_time = state.start_time;
        state.start_time = now;
        state.execution_time = now;
        state.run_expiration = from_now(state.run_timeout);
        state.execution_expiration = from_now(state.execution_timeout);
        state.reset_at = now;
        state.reset_request_id.clone_from(&reset.request_id);
        if let Some(root) = &mut state.root
            && root.workflow_id == state.workflow_id
            && state.parent.is_none()
        {
            // It is its own root, as the run before was.
            root.run_id.clone_from(&state.run_id);
        }
        for activity in &mut state.activities {
            activity.scheduled_at = now;
            activity.attempt_at = now;
        }
    }

    /// Applies events that came after the point again: signals, and what became of children, signals
    /// and cancel requests that were under way at the point.
    pub fn reapply(&mut self, now: Nanos, events: impl Iterator<Item = HistoryEvent>, reapply: Reapply) {
        use Attributes as A;
        for event in events {
            let Some(attributes) = &event.attributes else {
                continue;
            };
            let initiated = match attributes {
                A::WorkflowExecutionSignaledEventAttributes(signaled) => {
                    if reapply.signals {
                        self.reapply_signal(now, signaled, &event.links);
                    }
                    continue;
                }
                A::WorkflowExecutionUpdateAcceptedEventAttributes(accepted) => {
                    // One without its request was admitted by an event before, which has it.
                    if reapply.updates && accepted.accepted_request.is_some() {
                        self.reapply_update(now, accepted.accepted_request.clone());
                    }
                    continue;
                }
                A::WorkflowExecutionUpdateAdmittedEventAttributes(admitted) => {
                    if reapply.updates {
                        self.reapply_update(now, admitted.request.clone());
                    }
                    continue;
                }
                A::ChildWorkflowExecutionStartedEventAttributes(a) => a.initiated_event_id,
                A::StartChildWorkflowExecutionFailedEventAttributes(a) => a.initiated_event_id,
                A::ChildWorkflowExecutionCompletedEventAttributes(a) => a.initiated_event_id,
                A::ChildWorkflowExecutionFailedEventAttributes(a) => a.initiated_event_id,
                A::ChildWorkflowExecutionTimedOutEventAttributes(a) => a.initiated_event_id,
                A::ChildWorkflowExecutionCanceledEventAttributes(a) => a.initiated_event_id,
                A::ChildWorkflowExecutionTerminatedEventAttributes(a) => a.initiated_event_id,
                A::ExternalWorkflowExecutionSignaledEventAttributes(a) => a.initiated_event_id,
                A::SignalExternalWorkflowExecutionFailedEventAttributes(a) => a.initiated_event_id,
                A::ExternalWorkflowExecutionCancelRequestedEventAttributes(a) => a.initiated_event_id,
                A::RequestCancelExternalWorkflowExecutionFailedEventAttributes(a) => a.initiated_event_id,
                _ => continue,
            };
            let state = &self.state;
            let is_under_way = state
                .children
                .iter()
                .any(|child| child.initiated_event_id == initiated)
                || state.outgoing_signals.contains(&initiated)
                || state.outgoing_cancels.contains(&initiated);
            if is_under_way {
                self.reapply_outcome(now, attributes.clone());
            }
        }
    }

    fn reapply_signal(
        &mut self,
        now: Nanos,
        signaled: &WorkflowExecutionSignaledEventAttributes,
        links: &[Link],
    ) {
        self.record_signal(
            now,
            Signal {
                name: signaled.signal_name.clone(),
                input: signaled.input.clone(),
                header: signaled.header.clone(),
                identity: signaled.identity.clone(),
                request_id: signaled.request_id.clone(),
                sender: signaled.external_workflow_execution.clone(),
                links: links.to_vec(),
            },
        );
    }

    /// The workflow is asked again, as if it had never answered.
    fn reapply_update(&mut self, now: Nanos, request: Option<Request>) {
        self.append(
            now,
            Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(
                WorkflowExecutionUpdateAdmittedEventAttributes {
                    request,
                    origin: UpdateAdmittedEventOrigin::Reapply as i32,
                },
            ),
        );
    }

    fn reapply_outcome(&mut self, now: Nanos, attributes: Attributes) {
        self.append(now, attributes);
        let Some(event) = self.history.last() else {
            return;
        };
        let mut rebuilt = Rebuilt {
            state: std::mem::take(&mut self.state),
            started_event_id: 0,
        };
        // Each of these events can be replayed.
        let _ = rebuilt.replay(&event);
        self.state = rebuilt.state;
    }

    /// The run goes on: its activities and its next workflow task are offered to workers, and what it has initiated
    /// without an outcome is sent (again). The run that it replaces has closed before that was delivered: what it sent
    /// is void.
    pub fn resume_reset(&mut self, now: Nanos) {
        let state = &self.state;
        let unstarted = state.children.iter().filter(|child| child.run_id.is_empty());
        let start = |child: &Child| Message::StartChild {
            initiated_event_id: child.initiated_event_id,
        };
        let signal = |id: &i64| Message::Signal {
            initiated_event_id: *id,
        };
        let cancel = |id: &i64| Message::RequestCancel {
            initiated_event_id: *id,
        };
        let messages = &mut self.effects.messages;
        messages.extend(unstarted.map(start));
        messages.extend(state.outgoing_signals.iter().map(signal));
        messages.extend(state.outgoing_cancels.iter().map(cancel));
        let pending: Vec<i64> = self
            .state
            .activities
            .iter()
            .map(|activity| activity.scheduled_event_id)
            .collect();
        for id in pending {
            self.offer_activity(id);
        }
        self.schedule_workflow_task(now);
    }

    /// Belongs to this run of its parent from now on: a reset made it.
    pub fn follow_parent(&mut self, parent: RunKey, run_id: &str) {
        if let Some(own) = &mut self.state.parent {
            own.run_key = parent;
            if let Some(execution) = &mut own.execution {
                run_id.clone_into(&mut execution.run_id);
            }
        }
    }

    /// Ends this run because a reset replaces it. Its parent is not told, as the execution goes on; nor
    /// does anything happen to the children in `kept`, by their initiating events: the new run has them.
    ///
    /// # Errors
    /// When it is closed already.
    pub fn terminate_for_reset(&mut self, now: Nanos, reason: String, kept: &[i64]) -> Result<(), RpcError> {
        self.check_running()?;
        let parent = self.state.parent.take();
        self.state
            .children
            .retain(|child| !kept.contains(&child.initiated_event_id));
        let ended = self.terminate(now, reason, None, RESETTER.into());
        self.state.parent = parent;
        ended
    }

    /// The run that goes on after this one by continue-as-new.
    pub fn continued_as(&self) -> Option<String> {
        match self.close_event()?.attributes {
            Some(Attributes::WorkflowExecutionContinuedAsNewEventAttributes(continued)) => {
                Some(continued.new_execution_run_id)
            }
            _ => None,
        }
    }
}
