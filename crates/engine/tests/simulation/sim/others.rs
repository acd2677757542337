//! What has to hold of what runs do to each other, and of what schedules start.

use std::collections::BTreeMap;

use segno_engine::{clock::Nanos, core::RunState};
use temporalio_protos::temporal::api::{
    activity::v1::activity_execution_outcome::Value,
    enums::v1::WorkflowTaskFailedCause,
    history::v1::{HistoryEvent, history_event::Attributes as Event},
};

use super::{
    file::{File, Stored, is_open, successor, time},
    ledger::Ledger,
    workflow::text_of,
};

/// Whether a reset has made the run.
pub(super) fn is_reset(history: &[HistoryEvent]) -> bool {
    history.iter().any(|event| match &event.attributes {
        Some(Event::WorkflowTaskFailedEventAttributes(failed)) => {
            failed.cause() == WorkflowTaskFailedCause::ResetWorkflow
        }
        _ => false,
    })
}

/// The workflow id of a history.
pub(super) fn owner(history: &[HistoryEvent]) -> Option<&str> {
    match history.first()?.attributes.as_ref()? {
        Event::WorkflowExecutionStartedEventAttributes(started) => Some(&started.workflow_id),
        _ => None,
    }
}

/// What an activity without a workflow ended with.
pub(super) fn standalone_result(state: &RunState) -> Option<String> {
    match state.standalone.as_ref()?.outcome.as_ref()?.value.as_ref()? {
        Value::Result(result) => text_of(Some(result)),
        Value::Failure(_) => None,
    }
}

/// How often something that a run has asked for was answered.
#[derive(Debug, Default)]
struct Asked {
    begun: usize,
    refused: usize,
    ended: usize,
}

impl File {
    /// What is wrong with the run's children, signals and cancel requests.
    pub(super) fn check_others(&self, key: i64, run: &Stored) -> Option<String> {
        let state = &run.state;
        let asked = asked(run);
        let is_whole = is_open(state) && !is_reset(&run.history);
        for (id, asked) in &asked {
            let outcomes = asked.begun + asked.refused;
            if outcomes > 1 || asked.ended > asked.begun {
                return Some(format!("what event {id} initiated is told as {asked:?}"));
            }
            if outcomes == 0 && is_whole {
                return Some(format!("what event {id} initiated has no outcome"));
            }
        }
        if !is_whole {
            return None;
        }
        for child in state.children.iter().filter(|child| !child.run_id.is_empty()) {
            let Some(last) = self.last_of_chain(&child.workflow_id, &child.run_id) else {
                return Some(format!("child {} of run {key} is not there", child.workflow_id));
            };
            if !is_open(&last.state) && !self.goes_on_by_reset(last) {
                return Some(format!(
                    "child {} has closed, and its parent does not know",
                    child.workflow_id
                ));
            }
        }
        None
    }

    fn last_of_chain(&self, workflow_id: &str, run_id: &str) -> Option<&Stored> {
        let by_id = |run_id: &str| {
            let key = self.ids.get(&(workflow_id.to_owned(), run_id.to_owned()))?;
            self.runs.get(key)
        };
        let mut run = by_id(run_id)?;
        while let Some(next) = run.history.last().and_then(successor) {
            run = by_id(next)?;
        }
        Some(run)
    }

    /// A schedule starts its action for each of its times once, unless somebody has triggered it besides; and a run
    /// that says it has sent a signal has sent it.
    pub(super) fn check_actions(&self, ledger: &Ledger) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut starts: BTreeMap<&str, usize> = BTreeMap::new();
        let labels = self.labels();
        for run in self.runs.values() {
            let id = run.state.workflow_id.as_str();
            let is_first = match run.history.first().and_then(|event| event.attributes.as_ref()) {
                Some(Event::WorkflowExecutionStartedEventAttributes(started)) => {
                    started.continued_execution_run_id.is_empty()
                }
                _ => false,
            };
            if let Some((schedule, _)) = action_of(id)
                && is_first
                && !is_reset(&run.history)
                && !ledger.triggered.contains(schedule)
            {
                *starts.entry(id).or_default() += 1;
            }
            for (signal, is_sent) in sent_signals(run) {
                if is_sent != labels.contains_key(signal) {
                    wrong.push(format!("signal {signal} is told to be sent: {is_sent}"));
                }
            }
        }
        let twice = starts.into_iter().filter(|(_, times)| *times > 1);
        wrong.extend(twice.map(|(id, times)| format!("{id} is started {times} times")));
        wrong
    }
}

/// By the events that initiated them.
fn asked(run: &Stored) -> BTreeMap<i64, Asked> {
    use Event as E;
    let mut all: BTreeMap<i64, Asked> = BTreeMap::new();
    for event in run.history.iter().chain(&run.state.buffered) {
        let Some(attributes) = &event.attributes else {
            continue;
        };
        let (id, begun, refused, ended) = match attributes {
            E::StartChildWorkflowExecutionInitiatedEventAttributes(_)
            | E::SignalExternalWorkflowExecutionInitiatedEventAttributes(_)
            | E::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(_) => {
                (event.event_id, 0, 0, 0)
            }
            E::ChildWorkflowExecutionStartedEventAttributes(e) => (e.initiated_event_id, 1, 0, 0),
            E::ExternalWorkflowExecutionSignaledEventAttributes(e) => (e.initiated_event_id, 1, 0, 0),
            E::ExternalWorkflowExecutionCancelRequestedEventAttributes(e) => (e.initiated_event_id, 1, 0, 0),
            E::StartChildWorkflowExecutionFailedEventAttributes(e) => (e.initiated_event_id, 0, 1, 0),
            E::SignalExternalWorkflowExecutionFailedEventAttributes(e) => (e.initiated_event_id, 0, 1, 0),
            E::RequestCancelExternalWorkflowExecutionFailedEventAttributes(e) => {
                (e.initiated_event_id, 0, 1, 0)
            }
            E::ChildWorkflowExecutionCompletedEventAttributes(e) => (e.initiated_event_id, 0, 0, 1),
            E::ChildWorkflowExecutionFailedEventAttributes(e) => (e.initiated_event_id, 0, 0, 1),
            E::ChildWorkflowExecutionCanceledEventAttributes(e) => (e.initiated_event_id, 0, 0, 1),
            E::ChildWorkflowExecutionTimedOutEventAttributes(e) => (e.initiated_event_id, 0, 0, 1),
            E::ChildWorkflowExecutionTerminatedEventAttributes(e) => (e.initiated_event_id, 0, 0, 1),
            _ => continue,
        };
        let asked = all.entry(id).or_default();
        asked.begun += begun;
        asked.refused += refused;
        asked.ended += ended;
    }
    all
}

/// The signals that the run has sent, or could not send.
fn sent_signals(run: &Stored) -> impl Iterator<Item = (&str, bool)> {
    run.history.iter().filter_map(|event| {
        let (id, is_sent) = match event.attributes.as_ref()? {
            Event::ExternalWorkflowExecutionSignaledEventAttributes(e) => (e.initiated_event_id, true),
            Event::SignalExternalWorkflowExecutionFailedEventAttributes(e) => (e.initiated_event_id, false),
            _ => return None,
        };
        let initiated = run.history.iter().find(|event| event.event_id == id)?;
        match initiated.attributes.as_ref()? {
            Event::SignalExternalWorkflowExecutionInitiatedEventAttributes(e) => {
                Some((e.signal_name.as_str(), is_sent))
            }
            _ => None,
        }
    })
}

/// The schedule and the time that a workflow id tells: `action-of-schedule-7-2026-01-01T00:00:00Z`.
fn action_of(workflow_id: &str) -> Option<(&str, Nanos)> {
    let (schedule, at) = workflow_id.strip_prefix("action-of-")?.split_at_checked(
        workflow_id
            .len()
            .checked_sub("action-of-".len() + "-2026-01-01T00:00:00Z".len())?,
    )?;
    let at: jiff::Timestamp = at.strip_prefix('-')?.parse().ok()?;
    Some((schedule, i64::try_from(at.as_nanosecond()).ok()?))
}

/// An action that was taken before its time.
pub(super) fn early_action(run: &Stored) -> Option<String> {
    let (_, due) = action_of(&run.state.workflow_id)?;
    let started = time(run.history.first()?);
    (started < due).then(|| "it was started before its time".to_owned())
}
