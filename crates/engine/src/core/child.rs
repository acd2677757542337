//! Children as their parent sees them: each starts or cannot, and closes once.
//!
//! A child is one execution, whatever runs it takes: when it continues as new or is tried again, the
//! parent hears nothing, and the last run of the chain tells how it ended.

use temporalio_protos::temporal::api::{
    common::v1::{Payloads, Priority, WorkflowExecution},
    enums::v1::{
        ParentClosePolicy, RetryState, StartChildWorkflowExecutionFailedCause, WorkflowIdReusePolicy,
    },
    failure::v1::Failure,
    history::v1::{
        ChildWorkflowExecutionCanceledEventAttributes, ChildWorkflowExecutionCompletedEventAttributes,
        ChildWorkflowExecutionFailedEventAttributes, ChildWorkflowExecutionStartedEventAttributes,
        ChildWorkflowExecutionTerminatedEventAttributes, ChildWorkflowExecutionTimedOutEventAttributes,
        StartChildWorkflowExecutionFailedEventAttributes,
        StartChildWorkflowExecutionInitiatedEventAttributes, history_event::Attributes,
    },
};

use super::{
    run::{Message, Run, RunKey},
    start::{NewRun, ParentOf},
    state::{Child, Parent},
    versioning::Inherited,
};
use crate::{
    clock::{Nanos, nanos},
    cron,
};

/// What a closed child tells its parent.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildClosed {
    /// The parent's run.
    pub parent: RunKey,
    /// The parent's event that initiated the child.
    pub initiated_event_id: i64,
    /// The run that closed.
    pub execution: WorkflowExecution,
    pub how: ChildEnd,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq)]
pub enum ChildEnd {
    Completed(Option<Payloads>),
    Failed(Box<Failure>, RetryState),
    TimedOut(RetryState),
    Canceled(Option<Payloads>),
    Terminated,
}

impl Run {
    /// What the command that initiated a child said.
    pub fn child_initiated(
        &self,
        initiated_event_id: i64,
    ) -> Option<StartChildWorkflowExecutionInitiatedEventAttributes> {
        match self.event(initiated_event_id)?.attributes {
            Some(Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(attributes)) => {
                Some(attributes)
            }
            _ => None,
        }
    }

    /// What a child begins with, without a run id; none where it need not be started any more.
    pub fn new_child(&self, now: Nanos, initiated_event_id: i64) -> Option<(NewRun, WorkflowIdReusePolicy)> {
        let state = &self.state;
        let is_wanted =
            |child: &Child| child.initiated_event_id == initiated_event_id && child.run_id.is_empty();
        if !self.is_running() || !state.children.iter().any(is_wanted) {
            return None;
        }
        let initiated = self.child_initiated(initiated_event_id)?;
        let own = self.started_attributes().ok()?;
        let execution = WorkflowExecution {
            workflow_id: state.workflow_id.clone(),
            run_id: state.run_id.clone(),
        };
        let parent = Parent {
            namespace_key: state.namespace_key,
            execution: Some(execution),
            initiated_event_id,
            run_key: self.key,
            namespace: initiated.namespace.clone(),
            namespace_id: initiated.namespace_id.clone(),
        };
        let event = self.event(initiated_event_id)?;
        let new = NewRun {
            namespace_key: state.namespace_key,
            workflow_id: initiated.workflow_id.clone(),
            workflow_type: initiated.workflow_type.clone().unwrap_or_default().name,
            task_queue: initiated.task_queue.clone().unwrap_or_default().name,
            input: initiated.input.clone(),
            header: initiated.header.clone(),
            memo: initiated.memo.clone(),
            search_attributes: initiated.search_attributes.clone(),
            execution_timeout: nanos(initiated.workflow_execution_timeout.as_ref()),
            run_timeout: nanos(initiated.workflow_run_timeout.as_ref()),
            task_timeout: nanos(initiated.workflow_task_timeout.as_ref()),
            retry_policy: initiated.retry_policy.clone(),
            first_task_delay: cron::backoff(&initiated.cron_schedule, now, now).unwrap_or_default(),
            cron_schedule: initiated.cron_schedule.clone(),
            user_metadata: event.user_metadata.clone(),
            priority: merged(own.priority.as_ref(), initiated.priority.as_ref()),
            inherited: initiated.versioning_override.clone().map(Inherited::of_override),
            parent: Some(Box::new(ParentOf {
                parent,
                root: state.root.clone(),
            })),
            ..Default::default()
        };
        Some((new, initiated.workflow_id_reuse_policy()))
    }

    /// The child has started, as this run.
    pub fn child_started(&mut self, now: Nanos, initiated_event_id: i64, run_id: String) {
        let Some(initiated) = self.child_initiated(initiated_event_id) else {
            return;
        };
        let is_buffered = self.started_task.is_some();
        let Some(child) = self.child_mut(initiated_event_id) else {
            return;
        };
        child.run_id.clone_from(&run_id);
        let workflow_execution = Some(WorkflowExecution {
            workflow_id: initiated.workflow_id,
            run_id,
        });
        self.append_external(
            now,
            Attributes::ChildWorkflowExecutionStartedEventAttributes(
                ChildWorkflowExecutionStartedEventAttributes {
                    namespace: initiated.namespace,
                    namespace_id: initiated.namespace_id,
                    initiated_event_id,
                    workflow_execution,
                    workflow_type: initiated.workflow_type,
                    header: initiated.header,
                },
            ),
        );
        if !is_buffered {
            self.name_child_started(initiated_event_id, self.state.next_event_id - 1);
        }
        self.state.transition_count += 1;
        self.schedule_workflow_task(now);
    }

    /// The child cannot start.
    pub fn child_not_started(
        &mut self,
        now: Nanos,
        initiated_event_id: i64,
        cause: StartChildWorkflowExecutionFailedCause,
    ) {
        let Some(initiated) = self.child_initiated(initiated_event_id) else {
            return;
        };
        if self.take_child(initiated_event_id).is_none() {
            return;
        }
        #[allow(deprecated, reason = "clients still read it")]
        let failed = StartChildWorkflowExecutionFailedEventAttributes {
            namespace: initiated.namespace,
            namespace_id: initiated.namespace_id,
            workflow_id: initiated.workflow_id,
            workflow_type: initiated.workflow_type,
            cause: cause as i32,
            control: initiated.control,
            initiated_event_id,
            workflow_task_completed_event_id: 0,
        };
        self.append_external(
            now,
            Attributes::StartChildWorkflowExecutionFailedEventAttributes(failed),
        );
        self.state.transition_count += 1;
        self.schedule_workflow_task(now);
    }

    /// The child has closed for good. Nothing happens where this run has closed itself.
    pub fn child_closed(&mut self, now: Nanos, closed: ChildClosed) {
        let initiated_event_id = closed.initiated_event_id;
        if !self.is_running() {
            return;
        }
        let Some(initiated) = self.child_initiated(initiated_event_id) else {
            return;
        };
        let Some(child) = self.take_child(initiated_event_id) else {
            return;
        };
        let started_event_id = child.started_event_id;
        let (namespace, namespace_id) = (initiated.namespace, initiated.namespace_id);
        let (workflow_type, workflow_execution) = (initiated.workflow_type, Some(closed.execution));
        let event = match closed.how {
            ChildEnd::Completed(result) => Attributes::ChildWorkflowExecutionCompletedEventAttributes(
                ChildWorkflowExecutionCompletedEventAttributes {
                    result,
                    namespace,
                    namespace_id,
                    workflow_execution,
                    workflow_type,
                    initiated_event_id,
                    started_event_id,
                },
            ),
            ChildEnd::Failed(failure, retry_state) => {
                Attributes::ChildWorkflowExecutionFailedEventAttributes(
                    ChildWorkflowExecutionFailedEventAttributes {
                        failure: Some(*failure),
                        namespace,
                        namespace_id,
                        workflow_execution,
                        workflow_type,
                        initiated_event_id,
                        started_event_id,
                        retry_state: retry_state as i32,
                    },
                )
            }
            ChildEnd::TimedOut(retry_state) => Attributes::ChildWorkflowExecutionTimedOutEventAttributes(
                ChildWorkflowExecutionTimedOutEventAttributes {
                    namespace,
                    namespace_id,
                    workflow_execution,
                    workflow_type,
                    initiated_event_id,
                    started_event_id,
                    retry_state: retry_state as i32,
                },
            ),
            ChildEnd::Canceled(details) => Attributes::ChildWorkflowExecutionCanceledEventAttributes(
                ChildWorkflowExecutionCanceledEventAttributes {
                    details,
                    namespace,
                    namespace_id,
                    workflow_execution,
                    workflow_type,
                    initiated_event_id,
                    started_event_id,
                },
            ),
            ChildEnd::Terminated => Attributes::ChildWorkflowExecutionTerminatedEventAttributes(
                ChildWorkflowExecutionTerminatedEventAttributes {
                    namespace,
                    namespace_id,
                    workflow_execution,
                    workflow_type,
                    initiated_event_id,
                    started_event_id,
                },
            ),
        };
        self.append_external(now, event);
        self.state.transition_count += 1;
        self.schedule_workflow_task(now);
    }

    /// This run closes: its parent is told if nothing goes on after it, and its children are dealt
    /// with by their policies. The closing event is the last of the history.
    pub(super) fn tell_relatives(&mut self) {
        if self.state.parent.is_some()
            && self.state.successor_run_id.is_empty()
            && let Some(closed) = self.closed_as_child()
        {
            self.effects.messages.push(Message::ChildClosed(Box::new(closed)));
        }
        // However it closes: a run that goes on as another one does not take its children along.
        for child in std::mem::take(&mut self.state.children) {
            let is_left_alone = child.parent_close_policy == ParentClosePolicy::Abandon as i32;
            if !is_left_alone && !child.run_id.is_empty() {
                self.effects.messages.push(Message::CloseChild(Box::new(child)));
            }
        }
    }

    /// What this run, the last of its chain, told or would tell its parent.
    pub fn closed_as_child(&self) -> Option<ChildClosed> {
        let parent = self.state.parent.as_ref()?;
        let how = match self.history.last()?.attributes? {
            Attributes::WorkflowExecutionCompletedEventAttributes(a) => ChildEnd::Completed(a.result),
            Attributes::WorkflowExecutionFailedEventAttributes(a) => {
                let retry_state = a.retry_state();
                ChildEnd::Failed(Box::new(a.failure.unwrap_or_default()), retry_state)
            }
            Attributes::WorkflowExecutionTimedOutEventAttributes(a) => ChildEnd::TimedOut(a.retry_state()),
            Attributes::WorkflowExecutionCanceledEventAttributes(a) => ChildEnd::Canceled(a.details),
            Attributes::WorkflowExecutionTerminatedEventAttributes(_) => ChildEnd::Terminated,
            _ => return None,
        };
        Some(ChildClosed {
            parent: parent.run_key,
            initiated_event_id: parent.initiated_event_id,
            execution: WorkflowExecution {
                workflow_id: self.state.workflow_id.clone(),
                run_id: self.state.run_id.clone(),
            },
            how,
        })
    }

    /// Whether this run is a child of the other.
    pub fn is_child_of(&self, parent: RunKey) -> bool {
        self.state
            .parent
            .as_ref()
            .is_some_and(|own| own.run_key == parent)
    }

    /// The event that says that a child has started got its id.
    pub(super) fn name_child_started(&mut self, initiated_event_id: i64, started_event_id: i64) {
        if let Some(child) = self.child_mut(initiated_event_id) {
            child.started_event_id = started_event_id;
        }
    }

    fn child_mut(&mut self, initiated_event_id: i64) -> Option<&mut Child> {
        self.state
            .children
            .iter_mut()
            .find(|child| child.initiated_event_id == initiated_event_id)
    }

    fn take_child(&mut self, initiated_event_id: i64) -> Option<Child> {
        let children = &mut self.state.children;
        let index = children
            .iter()
            .position(|child| child.initiated_event_id == initiated_event_id)?;
        Some(children.remove(index))
    }
}

/// The parent's priority, with what the child's own says instead.
fn merged(parent: Option<&Priority>, own: Option<&Priority>) -> Option<Priority> {
    let (Some(parent), Some(own)) = (parent, own) else {
        return own.or(parent).cloned();
    };
    let mut merged = parent.clone();
    if own.priority_key != 0 {
        merged.priority_key = own.priority_key;
    }
    if !own.fairness_key.is_empty() {
        merged.fairness_key.clone_from(&own.fairness_key);
    }
    if own.fairness_weight != 0.0 {
        merged.fairness_weight = own.fairness_weight;
    }
    Some(merged)
}
