//! Schedules on the host: kept in memory while something happens to them, woken when their next time
//! comes, told when an execution that they started ends. What they start is written together with
//! what they know of it, so no action is lost and none is taken twice.

use std::collections::HashMap;

use rusqlite::Connection;
use temporalio_protos::temporal::api::{
    common::v1::Memo,
    enums::v1::{WorkflowExecutionStatus, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
    history::v1::{HistoryEvent, history_event::Attributes},
};

use super::{Host, WakeKey, start::IdPolicy, unreadable, unwritable};
use crate::{
    clock::Nanos,
    core::{CancelRequest, NewRun, RunKey, new_run_id},
    rpc::RpcError,
    schedule::{
        BufferedStart, Closed, Effect, Running, Scheduler, TASK_QUEUE, WORKFLOW_ID_PREFIX, WORKFLOW_TYPE,
        identity, new_run,
    },
    store::{Error, ScheduleKey, load_schedule},
    visibility::{
        IndexedAttributes, Registry, StartedExecution, delete, replace_attributes, replace_memo, upsert_start,
    },
};

/// Schedules kept in memory at most, between batches.
const KEPT: usize = 10_000;
/// Rounds of starting and ending executions in one go; where more are needed, the schedule goes on
/// at once after the batch.
const ROUNDS: usize = 100;

/// A schedule and what the host knows of it.
struct Slot {
    scheduler: Scheduler,
    /// Its entry in the host's wake-up order.
    wake_at: Option<Nanos>,
    is_touched: bool,
    /// What lists find it by, as it is filed; none: it is to be filed anew.
    filed_as_paused: Option<bool>,
    /// The host is doing what the schedule has asked for.
    is_busy: bool,
}

/// The schedules in memory.
#[derive(Default)]
pub(super) struct Schedules {
    slots: HashMap<ScheduleKey, Slot>,
    touched: Vec<ScheduleKey>,
}

impl Schedules {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether something is to be written with this batch.
    pub(super) fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }
}

impl Host {
    /// The schedule of this id.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find_schedule(&self, namespace: u32, id: &str) -> Result<ScheduleKey, RpcError> {
        let found = self.store.find_schedule(namespace, id).map_err(unreadable)?;
        found.ok_or_else(|| RpcError::workflow_not_found(&format!("{WORKFLOW_ID_PREFIX}{id}")))
    }

    /// The schedule of this key.
    pub(crate) fn schedule(&mut self, key: ScheduleKey) -> Result<&Scheduler, RpcError> {
        Ok(&self.schedule_slot(key)?.scheduler)
    }

    fn schedule_slot(&mut self, key: ScheduleKey) -> Result<&mut Slot, RpcError> {
        let slot = match self.schedules.slots.entry(key) {
            std::collections::hash_map::Entry::Occupied(slot) => slot.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let read = load_schedule(self.store.connection(), key).map_err(unreadable)?;
                let (record, wake_at) =
                    read.ok_or_else(|| RpcError::NotFound("schedule not found".into()))?;
                let scheduler = Scheduler::load(record);
                place.insert(Slot {
                    filed_as_paused: Some(scheduler.is_paused()),
                    scheduler,
                    wake_at,
                    is_touched: false,
                    is_busy: false,
                })
            }
        };
        Ok(slot)
    }

    /// Adds a schedule, or finds the one that the same request made before.
    ///
    /// # Errors
    /// When there is another one of the id.
    pub(crate) fn create_schedule(
        &mut self,
        namespace: u32,
        id: &str,
        request_id: &str,
        make: impl FnOnce(Nanos) -> Scheduler,
    ) -> Result<ScheduleKey, RpcError> {
        let now = self.now();
        if let Some(key) = self.store.find_schedule(namespace, id).map_err(unreadable)? {
            let record = &self.schedule(key)?.record;
            if record.create_request_id == request_id {
                return Ok(key);
            }
            return Err(RpcError::AlreadyStarted {
                message: format!("schedule {id:?} is already registered"),
                start_request_id: record.create_request_id.clone(),
                run_id: record.run_id.clone(),
                first_run_id: record.run_id.clone(),
            });
        }
        let scheduler = make(now);
        let key = self
            .store
            .insert_schedule(&scheduler.record)
            .map_err(unwritable)?;
        let registry = self.namespaces.registry(namespace);
        file(self.store.connection(), key, &scheduler, &registry)
            .map_err(|error| unwritable(error.into()))?;
        let slot = Slot {
            filed_as_paused: Some(scheduler.is_paused()),
            scheduler,
            wake_at: None,
            is_touched: false,
            is_busy: false,
        };
        self.schedules.slots.insert(key, slot);
        self.change_schedule(key, |_, _| Ok(()))?;
        Ok(key)
    }

    /// Applies a transition to a schedule, and does what it asks for. On an error nothing has changed.
    pub(crate) fn change_schedule<R>(
        &mut self,
        key: ScheduleKey,
        transition: impl FnOnce(&mut Scheduler, Nanos) -> Result<R, RpcError>,
    ) -> Result<R, RpcError> {
        let now = self.now();
        let slot = self.schedule_slot(key)?;
        let result = transition(&mut slot.scheduler, now)?;
        slot.scheduler.advance(now);
        if !slot.is_touched {
            slot.is_touched = true;
            self.schedules.touched.push(key);
        }
        self.carry_out_plans(key)?;
        Ok(result)
    }

    /// Has the schedule filed anew: its memo or search attributes have changed.
    pub(crate) fn refile_schedule(&mut self, key: ScheduleKey) -> Result<(), RpcError> {
        self.schedule_slot(key)?.filed_as_paused = None;
        Ok(())
    }

    /// Removes a schedule. What it has started goes on.
    pub(crate) fn delete_schedule(&mut self, key: ScheduleKey) -> Result<(), RpcError> {
        self.remove_schedule(key).map_err(unwritable)
    }

    pub(super) fn remove_schedule(&mut self, key: ScheduleKey) -> Result<(), Error> {
        let wake_at = match self.schedules.slots.remove(&key) {
            Some(slot) => slot.wake_at,
            None => load_schedule(self.store.connection(), key)?.and_then(|(_, wake_at)| wake_at),
        };
        if let Some(at) = wake_at {
            self.wakes.remove(&(at, WakeKey::Schedule(key)));
        }
        self.store.delete_schedule(key)?;
        delete(self.store.connection(), row_key(key))?;
        Ok(())
    }

    /// The schedule's time has come.
    pub(super) fn wake_schedule(&mut self, key: ScheduleKey) -> Result<(), RpcError> {
        let now = self.now();
        let slot = self.schedule_slot(key)?;
        slot.wake_at = None;
        if slot.scheduler.is_expired(now) {
            return self.delete_schedule(key);
        }
        self.change_schedule(key, |_, _| Ok(()))
    }

    /// Tells a run's schedule that the run has closed and nothing goes on after it.
    pub(super) fn tell_schedule(&mut self, run: RunKey) -> Result<(), RpcError> {
        let run = self.run(run)?;
        let key = run.state.scheduled_by;
        let execution = Running {
            workflow_id: run.state.workflow_id.clone(),
            first_run_id: run.state.first_run_id.clone(),
        };
        let closed = closed(run.state.status, run.close_event().as_ref());
        let told = self.change_schedule(key, |scheduler, _| {
            scheduler.closed(&execution, closed);
            Ok(())
        });
        match told {
            // It has been deleted.
            Err(RpcError::NotFound(_)) => Ok(()),
            told => told,
        }
    }

    /// Does what the schedule asks for, until it asks for nothing more. An execution that ends
    /// thereby comes back here; it is then only noted, and seen in the next round.
    fn carry_out_plans(&mut self, key: ScheduleKey) -> Result<(), RpcError> {
        if std::mem::replace(&mut self.schedule_slot(key)?.is_busy, true) {
            return Ok(());
        }
        let done = self.carry_out_rounds(key);
        self.schedule_slot(key)?.is_busy = false;
        done
    }

    fn carry_out_rounds(&mut self, key: ScheduleKey) -> Result<(), RpcError> {
        for _ in 0..ROUNDS {
            let effects = self.schedule_slot(key)?.scheduler.plan();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Start(start) => self.start_action(key, start)?,
                    Effect::Cancel(execution) => self.end_execution(key, &execution, false)?,
                    Effect::Terminate(execution) => self.end_execution(key, &execution, true)?,
                }
            }
        }
        Ok(())
    }

    fn start_action(&mut self, key: ScheduleKey, start: BufferedStart) -> Result<(), RpcError> {
        let now = self.now();
        let namespace = self.schedule(key)?.record.namespace_key;
        let name = self.namespaces.name_of(namespace);
        let scheduler = &mut self.schedule_slot(key)?.scheduler;
        let new = match scheduler.workflow() {
            Some(workflow) if scheduler.permits(&start) => new_run(scheduler, workflow, &start, &name),
            _ => {
                scheduler.dropped();
                return Ok(());
            }
        };
        let keeps_id = scheduler.keeps_workflow_id();
        let mut new = NewRun {
            run_id: new_run_id(),
            request_id: uuid::Uuid::new_v4().to_string(),
            scheduled_by: key,
            ..new
        };
        let policy = IdPolicy {
            // A time of the spec has an id of its own, and is never taken twice.
            reuse: if start.manual || keeps_id {
                WorkflowIdReusePolicy::AllowDuplicate
            } else {
                WorkflowIdReusePolicy::RejectDuplicate
            },
            conflict: WorkflowIdConflictPolicy::Fail,
        };
        let workflow_id = new.workflow_id.clone();
        let run_id = new.run_id.clone();
        let started = self
            .accept_attributes(namespace, new.search_attributes.as_mut())
            .and_then(|()| self.check_override(namespace, &new.task_queue, new.versioning_override()))
            .and_then(|()| self.start(new, policy));
        let scheduler = &mut self.schedule_slot(key)?.scheduler;
        match started {
            Ok(_) => {
                let execution = Running {
                    workflow_id,
                    first_run_id: run_id,
                };
                scheduler.started(&start, execution, now);
            }
            Err(error @ (RpcError::Unavailable(_) | RpcError::Internal(_))) => {
                tracing::error!(%error, workflow_id, "a scheduled workflow cannot be started now");
                scheduler.postponed(start, now);
            }
            Err(error) => {
                tracing::warn!(%error, workflow_id, "a scheduled workflow is not started");
                scheduler.dropped();
            }
        }
        Ok(())
    }

    fn end_execution(
        &mut self,
        key: ScheduleKey,
        execution: &Running,
        by_force: bool,
    ) -> Result<(), RpcError> {
        let record = &self.schedule(key)?.record;
        let (namespace, id) = (record.namespace_key, record.id.clone());
        let identity = identity(&self.namespaces.name_of(namespace), &id);
        let current = self.current(namespace, &execution.workflow_id)?;
        let current = match current {
            Some(key) => {
                let run = self.run(key)?;
                let is_it = run.is_running() && run.state.first_run_id == execution.first_run_id;
                is_it.then_some(key)
            }
            None => None,
        };
        let ended = match current {
            None => Err(RpcError::already_completed()),
            Some(run) if by_force => self.change(run, |run, now| {
                let reason = "terminated by schedule overlap policy".to_owned();
                run.terminate(now, reason, None, identity)
            }),
            Some(run) => self.change(run, |run, now| {
                let request = CancelRequest {
                    cause: "cancelled by schedule overlap policy".to_owned(),
                    identity,
                    request_id: uuid::Uuid::new_v4().to_string(),
                    sender: None,
                    links: Vec::new(),
                };
                run.request_cancel(now, request);
                Ok(())
            }),
        };
        match ended {
            // It is gone without the schedule having been told.
            Err(RpcError::NotFound(_)) => {
                let scheduler = &mut self.schedule_slot(key)?.scheduler;
                scheduler.closed(execution, Closed::default());
                Ok(())
            }
            ended => ended,
        }
    }

    /// Writes the schedules that have changed with this batch.
    pub(super) fn write_schedules(&mut self) -> Result<(), Error> {
        for key in std::mem::take(&mut self.schedules.touched) {
            let Some(slot) = self.schedules.slots.get_mut(&key) else {
                continue;
            };
            slot.is_touched = false;
            let wake_at = slot.scheduler.next_wake(self.now);
            if wake_at != slot.wake_at {
                if let Some(at) = slot.wake_at {
                    self.wakes.remove(&(at, WakeKey::Schedule(key)));
                }
                if let Some(at) = wake_at {
                    self.wakes.insert((at, WakeKey::Schedule(key)));
                }
                slot.wake_at = wake_at;
            }
            self.store.put_schedule(key, wake_at, &slot.scheduler.record)?;
            let is_paused = Some(slot.scheduler.is_paused());
            if slot.filed_as_paused != is_paused {
                let registry = self.namespaces.registry(slot.scheduler.record.namespace_key);
                refile(self.store.connection(), key, &slot.scheduler, &registry)?;
                slot.filed_as_paused = is_paused;
            }
        }
        if self.schedules.slots.len() > KEPT {
            self.schedules.slots.clear();
        }
        Ok(())
    }
}

/// How a run ended, for its schedule.
fn closed(status: i32, event: Option<&HistoryEvent>) -> Closed {
    let (result, failure) = match event.and_then(|event| event.attributes.as_ref()) {
        Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => {
            (completed.result.clone(), None)
        }
        Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) => (None, failed.failure.clone()),
        _ => (None, None),
    };
    Closed {
        status: WorkflowExecutionStatus::try_from(status).unwrap_or_default(),
        result,
        failure,
    }
}

/// The key of a schedule among executions: those of runs are positive.
fn row_key(key: ScheduleKey) -> i64 {
    -key
}

/// The key of the schedule that is filed under this key among executions.
pub(crate) fn schedule_of_row(key: i64) -> ScheduleKey {
    -key
}

/// Files a schedule among executions, in the namespace division of schedules: so lists of schedules
/// have the query language, the order and the page tokens of all lists.
fn file(
    connection: &Connection,
    key: ScheduleKey,
    scheduler: &Scheduler,
    registry: &Registry,
) -> rusqlite::Result<()> {
    let record = &scheduler.record;
    let memo = encoded(record.memo.as_ref());
    let started = StartedExecution {
        key: row_key(key),
        namespace_key: i64::from(record.namespace_key),
        workflow_id: &format!("{WORKFLOW_ID_PREFIX}{}", record.id),
        run_id: &record.run_id,
        workflow_type: WORKFLOW_TYPE,
        task_queue: TASK_QUEUE,
        status: WorkflowExecutionStatus::Running as i32,
        start_time: record.created_at,
        execution_time: record.created_at,
        parent: None,
        root: None,
        memo: memo.as_deref(),
        closed: None,
    };
    let attributes = IndexedAttributes::accepted(&scheduler.filed_attributes(), registry);
    upsert_start(connection, &started, &attributes)
}

fn refile(
    connection: &Connection,
    key: ScheduleKey,
    scheduler: &Scheduler,
    registry: &Registry,
) -> rusqlite::Result<()> {
    let memo = encoded(scheduler.record.memo.as_ref());
    replace_memo(connection, row_key(key), memo.as_deref())?;
    let attributes = IndexedAttributes::accepted(&scheduler.filed_attributes(), registry);
    replace_attributes(connection, row_key(key), &attributes).map(drop)
}

fn encoded(memo: Option<&Memo>) -> Option<Vec<u8>> {
    memo.map(prost::Message::encode_to_vec)
}
