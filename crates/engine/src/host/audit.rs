//! Whether memory and file say the same, and whether every open run has a next step. For tests: it
//! reads everything.

use std::collections::{HashMap, HashSet};

use temporalio_protos::temporal::api::{enums::v1::EventType, history::v1::HistoryEvent};

use super::{Host, WakeKey, attributes::listed_status, matching::Waiting};
use crate::{
    clock::Nanos,
    core::{Events, Run, RunKey},
    store::OpenRun,
    visibility,
};

/// A task that waits for a worker.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Queued {
    /// With the name of its queue.
    Workflow(RunKey, Nanos, String),
    Activity(RunKey, i64, i32),
}

impl Host {
    /// What is not as it has to be between two batches.
    pub(crate) fn audit(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        if self.has_work() || self.is_broken {
            found.push("the audit is made between two batches".to_owned());
            return found;
        }
        let queued = self.queued();
        let rows: HashMap<RunKey, OpenRun> = {
            let mut rows = HashMap::new();
            let read = self.store.each_open_run(|key, row| {
                rows.insert(key, row);
            });
            if let Err(error) = read {
                found.push(format!("open_run cannot be read: {error}"));
            }
            rows
        };
        let mut wakes: HashMap<RunKey, Nanos> = HashMap::new();
        for (at, key) in &self.wakes {
            // In order: the first is the earliest.
            if let WakeKey::Run(key) = key {
                wakes.entry(*key).or_insert(*at);
            }
        }
        let listed = match self.listed() {
            Ok(listed) => listed,
            Err(error) => {
                found.push(format!("the executions cannot be read: {error}"));
                return found;
            }
        };
        let deleted: HashSet<RunKey> = match self.store.marked_deleted(usize::MAX) {
            Ok(keys) => keys.into_iter().collect(),
            Err(error) => {
                found.push(format!("deletion cannot be read: {error}"));
                return found;
            }
        };
        match visibility::audit(self.store.connection()) {
            Ok(differences) => found.extend(differences),
            Err(error) => found.push(format!("the executions cannot be compared: {error}")),
        }
        let last = self.store.next_run_key().unwrap_or(1);
        for key in 1..last {
            match self.store.load_run(key) {
                Ok(Some(stored)) => {
                    let status = listed.get(&key).copied();
                    if status != Some(listed_status(&stored)) && !deleted.contains(&key) {
                        found.push(format!(
                            "run {key} has the status {} and is listed with {status:?}",
                            listed_status(&stored)
                        ));
                    }
                    let row = rows.get(&key).copied();
                    let wake = wakes.get(&key).copied();
                    self.audit_run(&stored, row, wake, &queued, &mut found);
                }
                Ok(None) => {
                    if rows.contains_key(&key) {
                        found.push(format!("run {key} has a row in open_run and none in run"));
                    }
                    if listed.contains_key(&key) {
                        found.push(format!("run {key} is listed and has no row in run"));
                    }
                }
                Err(error) => found.push(format!("run {key} cannot be read: {error}")),
            }
        }
        found
    }

    /// The status of each run in lists.
    fn listed(&self) -> rusqlite::Result<HashMap<RunKey, i32>> {
        let mut all = self
            .store
            .connection()
            .prepare("SELECT key, status FROM execution")?;
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    fn queued(&self) -> HashSet<Queued> {
        let waiting = self
            .queues
            .waiting()
            .filter_map(|(queue, waiting)| match waiting {
                Waiting::Workflow { key, scheduled_at } => {
                    Some(Queued::Workflow(*key, *scheduled_at, queue.name.clone()))
                }
                Waiting::Activity {
                    key,
                    scheduled_event_id,
                    attempt,
                } => Some(Queued::Activity(*key, *scheduled_event_id, *attempt)),
                Waiting::Query { .. } => None,
            });
        waiting.collect()
    }

    fn audit_run(
        &mut self,
        stored: &Run,
        row: Option<OpenRun>,
        wake: Option<Nanos>,
        queued: &HashSet<Queued>,
        found: &mut Vec<String>,
    ) {
        let key = stored.key;
        let mut wrong =
            |what: String| found.push(format!("run {key} ({}): {what}", stored.state.workflow_id));
        let mut slot = self.cache.get_mut(key);
        if let Some(slot) = &mut slot {
            if slot.is_dirty {
                wrong("is to be written and is in no batch".to_owned());
            }
            slot.run.durably(|state, _, _| {
                if *state != stored.state {
                    wrong(format!(
                        "memory and file differ: {state:?} and {:?}",
                        stored.state
                    ));
                }
            });
            if slot.run.history != stored.history {
                wrong("the history in memory is not the one in the file".to_owned());
            }
            if slot.open_row != row {
                wrong(format!(
                    "open_run is {row:?}, memory takes it for {:?}",
                    slot.open_row
                ));
            }
        }
        let run = slot.map_or(stored, |slot| &slot.run);
        let row_of = |run: &Run| {
            run.is_running().then(|| OpenRun {
                wake_at: run.wake_after_restart(),
                ready: run.is_ready(),
            })
        };
        // A speculative task is in memory alone; the row may be from before it, or know of it.
        let expected = row_of(run);
        if row != expected && row != row_of(stored) {
            wrong(format!("open_run is {row:?} and has to be {expected:?}"));
        }
        if let Some(at) = run.next_wake()
            && wake.is_none_or(|wake| wake > at)
        {
            wrong(format!("it wants to be woken at {at}, and nobody will"));
        }
        if let Some(what) = next_step_missing(run, queued) {
            wrong(what);
        }
    }
}

/// What an open run waits for and will not come; nothing is left of a closed one.
fn next_step_missing(run: &Run, queued: &HashSet<Queued>) -> Option<String> {
    let state = &run.state;
    if !run.is_running() {
        let is_over = state.workflow_task.is_none()
            && state.activities.is_empty()
            && state.timers.is_empty()
            && state.buffered.is_empty();
        return (!is_over).then(|| "it is closed, and something of it is pending".to_owned());
    }
    match &state.workflow_task {
        Some(task) if run.started_task.is_none() => {
            let waits_in = |queue: &String| {
                queued.contains(&Queued::Workflow(run.key, task.scheduled_at, queue.clone()))
            };
            // In a worker's own queue it has a deadline, but only as long as the run knows of that worker.
            let own = run.sticky.as_ref().map(|sticky| &sticky.task_queue);
            if !waits_in(&state.task_queue) && !own.is_some_and(waits_in) {
                return Some("its workflow task waits in no queue where anybody looks".to_owned());
            }
        }
        Some(_) => {}
        None if run.started_task.is_some() => return Some("a worker has a task that it has not".to_owned()),
        None => {
            if !state.buffered.is_empty() {
                return Some("it has buffered events and no workflow task".to_owned());
            }
            if state.first_task_at == 0
                && let Some(unseen) = unseen(&run.history)
            {
                return Some(format!(
                    "its worker has not seen {} and no workflow task is due",
                    unseen.event_type().as_str_name()
                ));
            }
        }
    }
    let lost = state.activities.iter().find(|activity| {
        let is_waiting = activity.is_waiting();
        let task = Queued::Activity(run.key, activity.scheduled_event_id, activity.attempt);
        is_waiting && !queued.contains(&task)
    });
    lost.map(|activity| format!("the task of activity {} waits in no queue", activity.id))
}

/// An event from outside after the last one that a worker has seen.
fn unseen(history: &Events) -> Option<HistoryEvent> {
    let is_completed = |event: HistoryEvent| event.event_type() == EventType::WorkflowTaskCompleted;
    let after = history.iter().rposition(is_completed).map_or(0, |at| at + 1);
    history.from(after).find(|event| {
        use EventType as E;
        matches!(
            event.event_type(),
            E::WorkflowExecutionStarted
                | E::WorkflowExecutionSignaled
                | E::WorkflowExecutionCancelRequested
                | E::TimerFired
                | E::ActivityTaskCompleted
                | E::ActivityTaskFailed
                | E::ActivityTaskTimedOut
                | E::ActivityTaskCanceled
                | E::ChildWorkflowExecutionStarted
                | E::ChildWorkflowExecutionCompleted
                | E::ChildWorkflowExecutionFailed
                | E::ChildWorkflowExecutionTimedOut
                | E::ChildWorkflowExecutionCanceled
                | E::ChildWorkflowExecutionTerminated
                | E::ExternalWorkflowExecutionSignaled
                | E::ExternalWorkflowExecutionCancelRequested
        )
    })
}
