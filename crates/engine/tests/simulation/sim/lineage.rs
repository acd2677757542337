//! What has to hold between a run and its children once it has closed, and between a run and the one that a reset has
//! made of it.

use std::collections::{BTreeMap, BTreeSet};

use temporalio_protos::temporal::api::{
    enums::v1::{ParentClosePolicy, WorkflowTaskFailedCause},
    history::v1::{HistoryEvent, history_event::Attributes as Event},
};

use super::{
    file::{File, Stored, is_open},
    ledger::Ledger,
    others::is_reset,
};

/// The reason of those that ended because their parents did.
const BY_POLICY: &str = "by parent close policy";
/// The reason of those that a batch operation has ended.
pub(super) const OF_BATCHES: &str = "a simulation";
/// Who ends a run that a reset replaces.
const RESETTER: &str = "history-resetter";

/// What simulations should come to, together.
#[allow(dead_code, reason = "the command line has no use for it")]
pub(crate) fn to_be_seen() -> BTreeSet<&'static str> {
    SEEN.into_iter().map(|(what, _)| what).collect()
}

/// A child as the history of its parent has it.
#[derive(Debug)]
struct Child<'a> {
    workflow_id: &'a str,
    policy: ParentClosePolicy,
    /// The first run of the child's chain, once it has started.
    run_id: Option<&'a str>,
    has_ended: bool,
}

/// What it is, and whether a run has it.
type Sight = (&'static str, fn(&Stored) -> bool);

/// What a simulation has come to, so that rules about it are not kept by its absence alone.
const SEEN: [Sight; 5] = [
    ("a child is ended by its policy", |run| {
        has(
            run,
            |event| matches!(event, Event::WorkflowExecutionTerminatedEventAttributes(end) if end.reason == BY_POLICY),
        )
    }),
    ("a child is asked to cancel by its policy", |run| {
        has(run, |event| {
            matches!(event, Event::WorkflowExecutionCancelRequestedEventAttributes(asked)
                if asked.external_workflow_execution.is_some() && asked.external_initiated_event_id == 0)
        })
    }),
    ("a signal is applied again", |run| {
        let reset = run
            .history
            .iter()
            .position(|event| is_reset(std::slice::from_ref(event)));
        let later = reset.and_then(|reset| run.history.get(reset + 1));
        later.is_some_and(|event| messages(std::slice::from_ref(event)).next().is_some())
    }),
    ("an update starts its workflow", |run| {
        run.state.start_request_id.starts_with("request-of-update")
    }),
    ("a batch operation ends a run", |run| {
        has(
            run,
            |event| matches!(event, Event::WorkflowExecutionTerminatedEventAttributes(end) if end.reason == OF_BATCHES),
        )
    }),
];

fn has(run: &Stored, is_it: impl Fn(&Event) -> bool) -> bool {
    run.history
        .iter()
        .filter_map(|event| event.attributes.as_ref())
        .any(is_it)
}

impl File {
    /// What there is of all that a simulation should come to.
    pub(super) fn seen(&self) -> impl Iterator<Item = &'static str> {
        let is_there = |(_, is_it): &Sight| self.runs.values().any(is_it);
        SEEN.into_iter().filter(is_there).map(|(what, _)| what)
    }

    /// What is wrong with the children of a closed run, or with its own end.
    pub(super) fn check_lineage(&self, key: i64, run: &Stored, ledger: &Ledger) -> Option<String> {
        if is_open(&run.state) {
            return None;
        }
        self.wrong_with_children(run)
            .or_else(|| self.wrong_with_end(run))
            .map(|what| format!("run {key} ({}): {what}", run.state.workflow_id))
            .filter(|_| !ledger.deleted.contains(&run.state.workflow_id))
    }

    /// Children of a closed run go on only where their policy lets them.
    fn wrong_with_children(&self, run: &Stored) -> Option<String> {
        if is_replaced(run) {
            // Its children are those of the run that replaces it.
            return None;
        }
        for child in children(&run.history).into_values() {
            let Some(first) = child.run_id.filter(|_| !child.has_ended) else {
                continue;
            };
            let chain = || {
                let of_child = |other: &&Stored| other.state.workflow_id == child.workflow_id;
                let all = self.runs.values().filter(of_child);
                all.filter(|other| other.state.first_run_id == first)
            };
            // One that a reset has made may be from after the end of its parent, and goes on as it is.
            let goes_on = chain().any(|other| is_open(&other.state) && !is_reset(&other.history));
            match child.policy {
                ParentClosePolicy::Terminate if goes_on => {
                    return Some(format!("its child {} goes on without it", child.workflow_id));
                }
                ParentClosePolicy::RequestCancel
                    if goes_on && !chain().any(|other| other.state.cancel_requested) =>
                {
                    return Some(format!("its child {} was not asked to cancel", child.workflow_id));
                }
                _ => {}
            }
        }
        None
    }

    /// Nobody is ended by a policy but children of closed runs that have this policy.
    fn wrong_with_end(&self, run: &Stored) -> Option<String> {
        match run.history.last()?.attributes.as_ref()? {
            Event::WorkflowExecutionTerminatedEventAttributes(end) if end.reason == BY_POLICY => {}
            _ => return None,
        }
        let Some(own) = &run.state.parent else {
            return Some("it was ended for a parent that it has not".to_owned());
        };
        // None where it was deleted.
        let parent = self.runs.get(&own.run_key)?;
        let children = children(&parent.history);
        let policy = children.get(&own.initiated_event_id).map(|child| child.policy);
        // A closed parent may go on by a reset, and its children are then the new run's.
        let has_closed = !is_open(&parent.state) || is_reset(&parent.history);
        let is_right = has_closed && policy == Some(ParentClosePolicy::Terminate);
        (!is_right).then(|| format!("it was ended for run {}, whose policy is {policy:?}", own.run_key))
    }

    /// What messages a run has that a reset has made: all that the run had which it was made of, and the runs that
    /// continued that one as new.
    pub(super) fn check_reset(&self, run: &Stored) -> Option<String> {
        let made = run
            .history
            .iter()
            .rev()
            .find_map(|event| match &event.attributes {
                Some(Event::WorkflowTaskFailedEventAttributes(failed))
                    if failed.cause() == WorkflowTaskFailedCause::ResetWorkflow
                        && failed.new_run_id == run.state.run_id =>
                {
                    Some(failed)
                }
                _ => None,
            })?;
        let has: BTreeSet<&str> = messages(&run.history).collect();
        let mut base = made.base_run_id.as_str();
        loop {
            // Deleted, perhaps.
            let key = self.ids.get(&(run.state.workflow_id.clone(), base.to_owned()))?;
            let of = self.runs.get(key)?;
            if is_open(&of.state) {
                return Some(format!("{base}, which it was made of, is open"));
            }
            if let Some(lost) = messages(&of.history).find(|message| !has.contains(message)) {
                return Some(format!("{lost} of {base} was not applied again"));
            }
            base = match of.history.last()?.attributes.as_ref()? {
                Event::WorkflowExecutionContinuedAsNewEventAttributes(close) => &close.new_execution_run_id,
                _ => return None,
            };
        }
    }

    /// Whether a reset has put another run in the place of this child, which its parent still waits for.
    pub(super) fn goes_on_by_reset(&self, child: &Stored) -> bool {
        let own = child.state.parent.as_ref();
        self.runs.values().any(|other| {
            let parent = other.state.parent.as_ref();
            other.state.workflow_id == child.state.workflow_id
                && is_open(&other.state)
                && parent.map(|parent| (parent.run_key, parent.initiated_event_id))
                    == own.map(|parent| (parent.run_key, parent.initiated_event_id))
        })
    }
}

/// Whether a reset has ended the run.
fn is_replaced(run: &Stored) -> bool {
    matches!(
        run.history.last().and_then(|event| event.attributes.as_ref()),
        Some(Event::WorkflowExecutionTerminatedEventAttributes(end)) if end.identity == RESETTER
    )
}

/// Signals and updates.
fn messages(history: &[HistoryEvent]) -> impl Iterator<Item = &str> {
    history
        .iter()
        .filter_map(|event| match event.attributes.as_ref()? {
            Event::WorkflowExecutionSignaledEventAttributes(signal) => Some(signal.signal_name.as_str()),
            Event::WorkflowExecutionUpdateAcceptedEventAttributes(accepted) => {
                Some(&accepted.protocol_instance_id)
            }
            Event::WorkflowExecutionUpdateAdmittedEventAttributes(admitted) => {
                Some(&admitted.request.as_ref()?.meta.as_ref()?.update_id)
            }
            _ => None,
        })
}

/// By the events that initiated them.
fn children(history: &[HistoryEvent]) -> BTreeMap<i64, Child<'_>> {
    use Event as E;
    let mut children = BTreeMap::new();
    for event in history {
        let Some(attributes) = &event.attributes else {
            continue;
        };
        let ended = match attributes {
            E::StartChildWorkflowExecutionInitiatedEventAttributes(e) => {
                let child = Child {
                    workflow_id: &e.workflow_id,
                    policy: e.parent_close_policy(),
                    run_id: None,
                    has_ended: false,
                };
                children.insert(event.event_id, child);
                continue;
            }
            E::ChildWorkflowExecutionStartedEventAttributes(e) => {
                if let Some(child) = children.get_mut(&e.initiated_event_id) {
                    child.run_id = e.workflow_execution.as_ref().map(|run| run.run_id.as_str());
                }
                continue;
            }
            E::ChildWorkflowExecutionCompletedEventAttributes(e) => e.initiated_event_id,
            E::ChildWorkflowExecutionFailedEventAttributes(e) => e.initiated_event_id,
            E::ChildWorkflowExecutionCanceledEventAttributes(e) => e.initiated_event_id,
            E::ChildWorkflowExecutionTimedOutEventAttributes(e) => e.initiated_event_id,
            E::ChildWorkflowExecutionTerminatedEventAttributes(e) => e.initiated_event_id,
            _ => continue,
        };
        if let Some(child) = children.get_mut(&ended) {
            child.has_ended = true;
        }
    }
    children
}
