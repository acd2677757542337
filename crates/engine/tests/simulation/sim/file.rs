//! What the file says, and what has to hold of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use prost::Message;
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use segno_engine::{clock::Nanos, core::RunState};
use temporalio_protos::temporal::api::{
    enums::v1::{EventType, WorkflowExecutionStatus as Status},
    history::v1::{History, HistoryEvent, history_event::Attributes as Event},
};

use super::{
    ledger::Ledger,
    others,
    workflow::{ended_activity, is_close, text_of},
    world::Done,
};

/// The histories as they were when they were last looked at: nothing of them may change.
pub(crate) type Known = BTreeMap<i64, Vec<HistoryEvent>>;

/// All that is in a file.
#[derive(Debug)]
pub(crate) struct File {
    pub(super) runs: BTreeMap<i64, Stored>,
    /// Workflow id and run id to key.
    pub(super) ids: BTreeMap<(String, String), i64>,
    executions: BTreeMap<i64, Execution>,
    schedules: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) state: RunState,
    pub(super) history: Vec<HistoryEvent>,
}

/// A row of what lists show.
#[derive(Debug, PartialEq, Eq)]
struct Execution {
    workflow_id: String,
    run_id: String,
    status: i32,
    close_time: Option<Nanos>,
    history_length: Option<i64>,
}

/// A sum of every row of every table, after SQLite has found the file whole.
pub(crate) fn content(path: &Path) -> Done<u64> {
    let connection = Connection::open(path).map_err(|error| error.to_string())?;
    sum(&connection).map_err(|error| format!("an image cannot be read: {error}"))?
}

fn sum(connection: &Connection) -> rusqlite::Result<Done<u64>> {
    let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if whole != "ok" {
        return Ok(Err(format!("an image is not whole: {whole}")));
    }
    let mut hasher = DefaultHasher::new();
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let names = tables.query_map([], |row| row.get::<_, String>(0))?;
    for name in names {
        let name = name?;
        name.hash(&mut hasher);
        let mut statement = connection.prepare(&format!("SELECT * FROM {name}"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                match row.get_ref(column)? {
                    ValueRef::Null => 0_u8.hash(&mut hasher),
                    ValueRef::Integer(value) => value.hash(&mut hasher),
                    ValueRef::Real(value) => value.to_bits().hash(&mut hasher),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.hash(&mut hasher),
                }
            }
        }
    }
    Ok(Ok(hasher.finish()))
}

/// Reads the file beside the engine that has it open.
pub(crate) fn read(path: &Path) -> Done<File> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let connection = connection.map_err(|error| error.to_string())?;
    let file = read_all(&connection).map_err(|error| format!("the file cannot be read: {error}"))?;
    file.map_err(|error| format!("the file does not decode: {error}"))
}

fn read_all(connection: &Connection) -> rusqlite::Result<Result<File, prost::DecodeError>> {
    let mut runs = BTreeMap::new();
    let mut statement = connection.prepare("SELECT key, state FROM run")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let state = match RunState::decode(row.get_ref(1)?.as_bytes()?) {
            Ok(state) => state,
            Err(error) => return Ok(Err(error)),
        };
        let history = Vec::new();
        runs.insert(row.get(0)?, Stored { state, history });
    }
    let mut statement = connection.prepare("SELECT key, events FROM history ORDER BY key, first_event")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let events = match History::decode(row.get_ref(1)?.as_bytes()?) {
            Ok(history) => history.events,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(stored) = runs.get_mut(&row.get(0)?) {
            stored.history.extend(events);
        }
    }
    // A run that is being deleted is there no longer.
    let mut statement = connection.prepare("SELECT key FROM deletion")?;
    let deleted = statement.query_map([], |row| row.get::<_, i64>(0))?;
    let deleted = deleted.collect::<rusqlite::Result<BTreeSet<_>>>()?;
    runs.retain(|key, _| !deleted.contains(key));
    // Without a run id: the mark that an id has no current run.
    let mut statement =
        connection.prepare("SELECT workflow_id, run_id, key FROM run_id WHERE run_id <> ''")?;
    let ids = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    let ids = ids.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare("SELECT id FROM schedule")?;
    let schedules = statement.query_map([], |row| row.get(0))?;
    let schedules = schedules.collect::<rusqlite::Result<_>>()?;
    // Schedules are among them, under negative keys.
    let mut statement = connection.prepare(
        "SELECT key, workflow_id, run_id, status, close_time, history_length FROM execution WHERE key > 0",
    )?;
    let executions = statement.query_map([], |row| {
        let execution = Execution {
            workflow_id: row.get(1)?,
            run_id: row.get(2)?,
            status: row.get(3)?,
            close_time: row.get(4)?,
            history_length: row.get(5)?,
        };
        Ok((row.get(0)?, execution))
    })?;
    let executions = executions.collect::<rusqlite::Result<_>>()?;
    Ok(Ok(File {
        runs,
        ids,
        executions,
        schedules,
    }))
}

impl File {
    /// Workflow id and run id of each open run.
    pub(crate) fn open_runs(&self) -> Vec<(String, String)> {
        let open = self.runs.values().filter(|run| is_open(&run.state));
        open.map(|run| (run.state.workflow_id.clone(), run.state.run_id.clone()))
            .collect()
    }

    /// The schedules.
    pub(crate) fn schedules(&self) -> impl Iterator<Item = &String> {
        self.schedules.iter()
    }

    /// Whether nothing is left of any run.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.ids.is_empty() && self.executions.is_empty()
    }

    /// How often each label is there. A run that a reset has made has events of another run as its own: what is there
    /// as well counts once.
    pub(crate) fn labels(&self) -> BTreeMap<String, usize> {
        let mut labels = BTreeMap::new();
        let mut copied: BTreeMap<String, usize> = BTreeMap::new();
        for run in self.runs.values() {
            let mut own: BTreeMap<String, usize> = BTreeMap::new();
            for event in run.history.iter().chain(&run.state.buffered) {
                if let Some(label) = label(event) {
                    *own.entry(label).or_default() += 1;
                }
            }
            if let Some(result) = others::standalone_result(&run.state) {
                *own.entry(result).or_default() += 1;
            }
            for (label, times) in own {
                if others::is_reset(&run.history) {
                    let most = copied.entry(label).or_default();
                    *most = times.max(*most);
                } else {
                    *labels.entry(label).or_default() += times;
                }
            }
        }
        for (label, times) in copied {
            let most = labels.entry(label).or_default();
            *most = times.max(*most);
        }
        labels
    }

    /// What is wrong with the file by itself.
    pub(crate) fn check(&self, known: &mut Known, ledger: &Ledger, clock_goes_back: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, old) in known.iter() {
            let is_kept = match self.runs.get(key) {
                Some(run) => run.history.starts_with(old),
                None => others::owner(old).is_none_or(|id| ledger.deleted.contains(id)),
            };
            if !is_kept {
                wrong.push(format!("run {key}: its history is not what it was"));
            }
        }
        let mut open = BTreeMap::new();
        for (key, run) in &self.runs {
            let state = &run.state;
            if state.standalone.is_some() {
                continue;
            }
            let name = format!("run {key} ({})", state.workflow_id);
            wrong.extend(check_history(run, clock_goes_back).map(|what| format!("{name}: {what}")));
            wrong.extend(self.check_rows(*key, run).map(|what| format!("{name}: {what}")));
            wrong.extend(self.check_others(*key, run).map(|what| format!("{name}: {what}")));
            wrong.extend(self.check_lineage(*key, run, ledger));
            wrong.extend(self.check_reset(run).map(|what| format!("{name}: {what}")));
            if !clock_goes_back {
                wrong.extend(others::early_action(run).map(|what| format!("{name}: {what}")));
            }
            if is_open(state)
                && let Some(other) = open.insert(&state.workflow_id, key)
            {
                wrong.push(format!(
                    "runs {other} and {key} of {} are both open",
                    state.workflow_id
                ));
            }
        }
        let rows = self.ids.values().chain(self.executions.keys());
        let lost = rows.filter(|key| !self.runs.contains_key(key));
        wrong.extend(lost.map(|key| format!("run {key} has other rows and none in run")));
        *known = self
            .runs
            .iter()
            .map(|(key, run)| (*key, run.history.clone()))
            .collect();
        wrong
    }

    fn check_rows(&self, key: i64, run: &Stored) -> Option<String> {
        let state = &run.state;
        let id = (state.workflow_id.clone(), state.run_id.clone());
        if self.ids.get(&id) != Some(&key) {
            return Some("it is not to be found by its ids".to_owned());
        }
        let is_open = is_open(state);
        let expected = Execution {
            workflow_id: state.workflow_id.clone(),
            run_id: state.run_id.clone(),
            status: state.status,
            close_time: (!is_open).then_some(state.close_time),
            history_length: (!is_open).then_some(run.history.len() as i64),
        };
        let listed = self.executions.get(&key);
        if listed != Some(&expected) {
            return Some(format!("it is listed as {listed:?} and is {expected:?}"));
        }
        if state.workflow_id.starts_with('d') {
            // The next run may have been deleted.
            return None;
        }
        let successor = run.history.last().and_then(successor)?;
        let next = self.ids.get(&(state.workflow_id.clone(), successor.to_owned()));
        let continues = next.and_then(|next| self.runs.get(next)?.history.first()?.attributes.as_ref());
        match continues {
            Some(Event::WorkflowExecutionStartedEventAttributes(started))
                if started.continued_execution_run_id == state.run_id =>
            {
                None
            }
            _ => Some(format!("the run {successor} that goes on after it is not there")),
        }
    }

    /// What the callers were told and the file does not say.
    pub(crate) fn check_ledger(&self, ledger: &Ledger) -> Vec<String> {
        let mut wrong = Vec::new();
        let run_of = |run_id: &str| self.runs.values().find(|run| run.state.run_id == run_id);
        for started in &ledger.started {
            if ledger.deleted.contains(&started.workflow_id) {
                continue;
            }
            let id = (started.workflow_id.clone(), started.run_id.clone());
            match self.ids.get(&id).and_then(|key| self.runs.get(key)) {
                None => wrong.push(format!(
                    "{} was started and is not in the file",
                    started.workflow_id
                )),
                Some(run) if started.is_new => {
                    let state = &run.state;
                    let by_it = state.start_request_id == started.request_id;
                    if !by_it {
                        wrong.push(format!("{} was started by another request", started.workflow_id));
                    }
                }
                Some(_) => {}
            }
        }
        let mut requests = BTreeSet::new();
        for run in self.runs.values() {
            let request = &run.state.start_request_id;
            let is_start = !others::is_reset(&run.history);
            if is_start && !request.is_empty() && !requests.insert(request) {
                wrong.push(format!("{request} has started two runs"));
            }
        }
        let of_deleted = ledger
            .started
            .iter()
            .filter(|run| ledger.deleted.contains(&run.workflow_id));
        let gone: BTreeSet<&str> = of_deleted.map(|run| run.run_id.as_str()).collect();
        for run_id in ledger.canceled.iter().filter(|id| !gone.contains(id.as_str())) {
            // To ask a closed run is no mistake, and changes nothing.
            let knows = |run: &Stored| run.state.cancel_requested || !is_open(&run.state);
            if !run_of(run_id).is_some_and(knows) {
                wrong.push(format!("run {run_id} was asked to cancel and does not know"));
            }
        }
        for run_id in ledger.terminated.iter().filter(|id| !gone.contains(id.as_str())) {
            if run_of(run_id).is_none_or(|run| run.state.status != Status::Terminated as i32) {
                wrong.push(format!("run {run_id} was terminated and is not"));
            }
        }
        for ((run_id, activity_id, attempt), number) in &ledger.heartbeats {
            let Some(run) = run_of(run_id) else { continue };
            let activity = run.state.activities.iter().find(|activity| {
                activity.id == *activity_id && activity.attempt == *attempt && activity.started.is_some()
            });
            let Some(activity) = activity else { continue };
            if ledger
                .attempts_reset
                .contains(&(run_id.clone(), activity_id.clone()))
            {
                continue;
            }
            let details = text_of(activity.heartbeat_details.as_ref());
            let known: u64 = details.and_then(|text| text.parse().ok()).unwrap_or(0);
            if known < *number {
                wrong.push(format!("heartbeat {number} of activity {activity_id} is lost"));
            }
        }
        for (id, is_there) in &ledger.schedules {
            if self.schedules.contains(id) != *is_there {
                wrong.push(format!("schedule {id}: that it is there was told as {is_there}"));
            }
        }
        wrong.extend(self.check_actions(ledger));
        wrong
    }
}

pub(super) fn is_open(state: &RunState) -> bool {
    state.status == Status::Running as i32
}

fn label(event: &HistoryEvent) -> Option<String> {
    match event.attributes.as_ref()? {
        Event::WorkflowExecutionSignaledEventAttributes(signal) => Some(signal.signal_name.clone()),
        Event::MarkerRecordedEventAttributes(marker) => Some(marker.marker_name.clone()),
        Event::WorkflowExecutionUpdateAcceptedEventAttributes(accepted) => {
            Some(accepted.protocol_instance_id.clone())
        }
        Event::ActivityTaskCompletedEventAttributes(completed) => text_of(completed.result.as_ref()),
        _ => None,
    }
}

pub(super) fn successor(close: &HistoryEvent) -> Option<&str> {
    let run_id = match close.attributes.as_ref()? {
        Event::WorkflowExecutionContinuedAsNewEventAttributes(close) => &close.new_execution_run_id,
        Event::WorkflowExecutionFailedEventAttributes(close) => &close.new_execution_run_id,
        Event::WorkflowExecutionCompletedEventAttributes(close) => &close.new_execution_run_id,
        Event::WorkflowExecutionTimedOutEventAttributes(close) => &close.new_execution_run_id,
        _ => return None,
    };
    (!run_id.is_empty()).then_some(run_id)
}

fn check_history(run: &Stored, clock_goes_back: bool) -> Option<String> {
    let (state, history) = (&run.state, &run.history);
    let gap = (1..).zip(history).find(|(id, event)| event.event_id != *id);
    if let Some((id, event)) = gap {
        return Some(format!("event {} is where {id} has to be", event.event_id));
    }
    if state.next_event_id != history.len() as i64 + 1 {
        return Some(format!("the next event is {}", state.next_event_id));
    }
    if !history.iter().map(time).is_sorted() {
        return Some("event times go back".to_owned());
    }
    let first = history.first().map(HistoryEvent::event_type);
    if first != Some(EventType::WorkflowExecutionStarted) {
        return Some(format!("it begins with {first:?}"));
    }
    let closes = history.iter().filter(|event| is_close(event)).count();
    let is_closed = history.last().is_some_and(is_close);
    if closes > 1 || (closes == 1) != is_closed || is_closed == is_open(state) {
        return Some(format!(
            "it is closed {closes} times, its status is {}",
            state.status
        ));
    }
    pairs(history).or_else(|| if clock_goes_back { None } else { early(run) })
}

/// Activities and timers that end twice, or that end without a beginning.
fn pairs(history: &[HistoryEvent]) -> Option<String> {
    let mut ended = BTreeSet::new();
    for event in history {
        let (of, begins) = match (&event.attributes, ended_activity(event)) {
            (_, Some(scheduled)) => (scheduled, EventType::ActivityTaskScheduled),
            (Some(Event::TimerFiredEventAttributes(fired)), _) => {
                (fired.started_event_id, EventType::TimerStarted)
            }
            (Some(Event::TimerCanceledEventAttributes(canceled)), _) => {
                (canceled.started_event_id, EventType::TimerStarted)
            }
            _ => continue,
        };
        let begun = history.iter().find(|event| event.event_id == of);
        if begun.map(HistoryEvent::event_type) != Some(begins) || of >= event.event_id {
            return Some(format!("event {} ends what has not begun", event.event_id));
        }
        if !ended.insert(of) {
            return Some(format!("what event {of} began ends twice"));
        }
    }
    None
}

/// What time has done too early, and attempts past the last one.
fn early(run: &Stored) -> Option<String> {
    let history = &run.history;
    for event in history {
        match &event.attributes {
            Some(Event::TimerFiredEventAttributes(fired)) => {
                let begun = history
                    .iter()
                    .find(|event| event.event_id == fired.started_event_id)?;
                let Some(Event::TimerStartedEventAttributes(timer)) = &begun.attributes else {
                    continue;
                };
                let after = nanos(timer.start_to_fire_timeout.as_ref());
                if time(event) < time(begun) + after {
                    return Some(format!("timer {} has fired early", fired.timer_id));
                }
            }
            Some(Event::ActivityTaskStartedEventAttributes(started)) => {
                let of = history
                    .iter()
                    .find(|event| event.event_id == started.scheduled_event_id)?;
                let Some(Event::ActivityTaskScheduledEventAttributes(scheduled)) = &of.attributes else {
                    continue;
                };
                let most = scheduled
                    .retry_policy
                    .as_ref()
                    .map_or(0, |policy| policy.maximum_attempts);
                if most != 0 && started.attempt > most {
                    return Some(format!(
                        "activity {} has had too many attempts",
                        scheduled.activity_id
                    ));
                }
            }
            Some(Event::WorkflowExecutionTimedOutEventAttributes(_)) => {
                let state = &run.state;
                let ends = [state.run_expiration, state.execution_expiration];
                let first = ends.into_iter().filter(|at| *at != 0).min();
                if first.is_none_or(|at| time(event) < at) {
                    return Some("it has timed out early".to_owned());
                }
            }
            _ => {}
        }
    }
    None
}

pub(super) fn time(event: &HistoryEvent) -> Nanos {
    let time = event.event_time.unwrap_or_default();
    time.seconds * 1_000_000_000 + i64::from(time.nanos)
}

fn nanos(of: Option<&prost_types::Duration>) -> Nanos {
    of.map_or(0, |of| of.seconds * 1_000_000_000 + i64::from(of.nanos))
}
