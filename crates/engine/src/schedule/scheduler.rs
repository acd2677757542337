//! What happens to a schedule when something comes in.
//!
//! A transition puts the actions that are due into the buffer; [`Scheduler::plan`] then says what is
//! to be done with it. The host does that, and reports each start and each end of an execution.

use temporalio_protos::temporal::api::{
    common::v1::{Memo, Payloads, SearchAttributes, WorkflowExecution},
    enums::v1::{ScheduleOverlapPolicy as Policy, WorkflowExecutionStatus},
    failure::v1::Failure,
    schedule::v1::{
        Schedule, ScheduleActionResult, SchedulePatch, SchedulePolicies, ScheduleState,
        schedule_action::Action,
    },
    workflow::v1::NewWorkflowExecutionInfo,
};

use super::{
    overlap,
    record::{Backfill, BufferedStart, Running, ScheduleRecord},
    spec::Spec,
};
use crate::{
    clock::{Nanos, SECOND, duration, nanos, nanos_of, timestamp},
    rpc::RpcError,
};

const DAY: Nanos = 86_400 * SECOND;
const DEFAULT_CATCHUP_WINDOW: Nanos = 365 * DAY;
const LEAST_CATCHUP_WINDOW: Nanos = 10 * SECOND;
/// How long a schedule without further actions is kept.
const IDLE: Nanos = 7 * DAY;
/// Actions that are due and wait, and backfills that wait.
const BUFFER: usize = 1_000;
/// Steps of searches after which no further time is looked for in one go, some milliseconds of work and thousands of the
/// times of an everyday spec; the rest at once after it, with others' requests in between.
const STEPS: usize = 50_000;
/// Actions of backfills that are taken in one go.
const BACKFILLED: usize = 100;
/// Latest actions that are kept.
const RECENT: usize = 10;
/// Latest request ids that are kept.
const REQUEST_IDS: usize = 100;
/// How long after an error of the engine's own a start is tried again.
const RETRY: Nanos = 10 * SECOND;

/// A schedule in memory.
#[derive(Clone, Debug)]
pub(crate) struct Scheduler {
    pub(crate) record: ScheduleRecord,
    pub(super) spec: Spec,
    /// What makes its jitter its own.
    pub(super) seed: String,
    /// Something has changed by which the buffer is to be looked at.
    needs_plan: bool,
}

/// What the host is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Start(BufferedStart),
    Cancel(Running),
    Terminate(Running),
}

/// How an execution ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Closed {
    pub(crate) status: WorkflowExecutionStatus,
    pub(crate) result: Option<Payloads>,
    pub(crate) failure: Option<Failure>,
}

/// What an update puts in place of what was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replacement {
    pub(crate) schedule: Schedule,
    pub(crate) spec: Spec,
    /// None: they stay.
    pub(crate) search_attributes: Option<SearchAttributes>,
    /// None: it stays.
    pub(crate) memo: Option<Memo>,
    /// 0: whatever the schedule is by now.
    pub(crate) conflict_token: i64,
    pub(crate) request_id: String,
}

impl Scheduler {
    /// A new schedule. `record` has its ids and attributes and the canonical schedule.
    pub(crate) fn create(
        record: ScheduleRecord,
        spec: Spec,
        patch: Option<SchedulePatch>,
        now: Nanos,
    ) -> Self {
        let mut scheduler = Self::with_spec(
            ScheduleRecord {
                conflict_token: 1,
                created_at: now,
                processed: now,
                ..record
            },
            spec,
        );
        scheduler.write_out_defaults();
        if let Some(patch) = patch {
            scheduler.apply(patch, now);
        }
        scheduler
    }

    /// A schedule as it was kept.
    pub(crate) fn load(record: ScheduleRecord) -> Self {
        let spec = record
            .schedule
            .as_ref()
            .and_then(|schedule| schedule.spec.as_ref());
        let spec = spec.map(Spec::compile).transpose().unwrap_or_else(|error| {
            // Its time zone was known when it was made. It can still be described, and mended.
            tracing::error!(%error, schedule = record.id, "a schedule has no times any more");
            None
        });
        Self::with_spec(record, spec.unwrap_or_default())
    }

    fn with_spec(record: ScheduleRecord, spec: Spec) -> Self {
        Self {
            seed: format!("{}-{}", record.namespace_key, record.id),
            needs_plan: !record.buffer.is_empty(),
            record,
            spec,
        }
    }

    fn write_out_defaults(&mut self) {
        let schedule = self.record.schedule.get_or_insert_default();
        schedule.spec.get_or_insert_default();
        schedule.action.get_or_insert_default();
        schedule.state.get_or_insert_default();
        let policies = schedule.policies.get_or_insert_default();
        if policies.overlap_policy() == Policy::Unspecified {
            policies.set_overlap_policy(Policy::Skip);
        }
        let window = match &policies.catchup_window {
            None => DEFAULT_CATCHUP_WINDOW,
            given => nanos(given.as_ref()).max(LEAST_CATCHUP_WINDOW),
        };
        policies.catchup_window = Some(duration(window));
    }

    pub(super) fn policies(&self) -> Option<&SchedulePolicies> {
        self.record.schedule.as_ref()?.policies.as_ref()
    }

    pub(super) fn state(&self) -> Option<&ScheduleState> {
        self.record.schedule.as_ref()?.state.as_ref()
    }

    fn state_mut(&mut self) -> &mut ScheduleState {
        let schedule = self.record.schedule.get_or_insert_default();
        schedule.state.get_or_insert_default()
    }

    /// The workflow that an action starts, if there is one.
    pub(crate) fn workflow(&self) -> Option<&NewWorkflowExecutionInfo> {
        let action = self.record.schedule.as_ref()?.action.as_ref()?;
        let Action::StartWorkflow(workflow) = action.action.as_ref()?;
        Some(workflow)
    }

    /// Whether no action is taken by the spec.
    pub(crate) fn is_paused(&self) -> bool {
        self.state().is_some_and(|state| state.paused)
    }

    /// Whether executions keep the workflow id as it is.
    pub(crate) fn keeps_workflow_id(&self) -> bool {
        self.policies()
            .is_some_and(|policies| policies.keep_original_workflow_id)
    }

    /// Whether actions by the spec are taken at all now.
    pub(super) fn takes_actions(&self) -> bool {
        self.state()
            .is_none_or(|state| !state.paused && (!state.limited_actions || state.remaining_actions > 0))
    }

    /// Whether this action may be taken now.
    pub(crate) fn permits(&self, start: &BufferedStart) -> bool {
        start.manual || self.takes_actions()
    }

    /// Deals with all times up to now, or with so many of them that the rest waits for the next call.
    pub(crate) fn advance(&mut self, now: Nanos) {
        if self.record.retry_at != 0 && self.record.retry_at <= now {
            self.record.retry_at = 0;
            self.needs_plan = true;
        }
        self.take_due(now);
        self.take_backfills();
    }

    fn take_due(&mut self, now: Nanos) {
        if !self.takes_actions() {
            // What passes while the schedule is paused or out of actions is passed, and not missed.
            self.record.processed = self.record.processed.max(now);
            return;
        }
        let window = self.policies().map_or(DEFAULT_CATCHUP_WINDOW, |policies| {
            nanos(policies.catchup_window.as_ref())
        });
        let mut steps = 0;
        while steps < STEPS {
            let next = self
                .spec
                .next_counting(&self.seed, self.record.processed, &mut steps);
            let Some(time) = next.filter(|time| time.actual <= now) else {
                return;
            };
            self.record.processed = time.nominal;
            if time.actual < self.record.updated_at {
                continue;
            }
            if now.saturating_sub(time.actual) > window {
                self.record.counts.missed_catchup_window += 1;
            } else {
                self.add_start(time.nominal, time.actual, Policy::Unspecified as i32, false);
            }
        }
    }

    fn take_backfills(&mut self) {
        let mut steps = 0;
        for _ in 0..BACKFILLED {
            if steps >= STEPS || !self.has_work() {
                return;
            }
            let Some(backfill) = self.record.backfills.first_mut() else {
                return;
            };
            let next = self
                .spec
                .next_counting(&self.seed, backfill.processed, &mut steps);
            match next.filter(|time| time.actual <= backfill.end) {
                Some(time) => {
                    backfill.processed = time.nominal;
                    let policy = backfill.overlap_policy;
                    self.add_start(time.nominal, time.actual, policy, true);
                }
                None => drop(self.record.backfills.remove(0)),
            }
        }
    }

    /// Whether a backfill can go on at once. They use half of the buffer, so that there is room for
    /// what becomes due meanwhile.
    fn has_work(&self) -> bool {
        !self.record.backfills.is_empty() && self.record.buffer.len() < BUFFER / 2
    }

    fn add_start(&mut self, nominal: Nanos, actual: Nanos, overlap_policy: i32, manual: bool) {
        if self.record.buffer.len() >= BUFFER {
            self.record.counts.buffer_dropped += 1;
            return;
        }
        self.record.buffer.push(BufferedStart {
            nominal,
            actual,
            overlap_policy,
            manual,
        });
        self.needs_plan = true;
    }

    /// Applies a patch.
    pub(crate) fn patch(&mut self, patch: SchedulePatch, request_id: &str, now: Nanos) {
        if self.is_new_request(request_id) {
            self.take_due(now);
            self.apply(patch, now);
        }
    }

    fn apply(&mut self, patch: SchedulePatch, now: Nanos) {
        if let Some(trigger) = patch.trigger_immediately {
            let at = trigger.scheduled_time.as_ref().map_or(now, nanos_of);
            self.add_start(at, at, trigger.overlap_policy, true);
        }
        for range in patch.backfill_request {
            if self.record.backfills.len() >= BUFFER {
                self.record.counts.buffer_dropped += 1;
                continue;
            }
            let (start, end) = (range.start_time.as_ref(), range.end_time.as_ref());
            self.record.backfills.push(Backfill {
                // The start itself belongs to the range.
                processed: start.map_or(0, nanos_of).saturating_sub(1),
                end: end.map_or(0, nanos_of),
                overlap_policy: range.overlap_policy,
            });
        }
        for (paused, notes) in [(true, patch.pause), (false, patch.unpause)] {
            if !notes.is_empty() {
                let state = self.state_mut();
                state.paused = paused;
                state.notes = notes;
                self.record.conflict_token += 1;
            }
        }
    }

    /// Puts another schedule in its place; the same request id again does nothing.
    ///
    /// # Errors
    /// When the conflict token is not the schedule's.
    pub(crate) fn update(&mut self, new: Replacement, now: Nanos) -> Result<(), RpcError> {
        if self.record.request_ids.contains(&new.request_id) {
            return Ok(());
        }
        if new.conflict_token != 0 && new.conflict_token != self.record.conflict_token {
            return Err(RpcError::FailedPrecondition("mismatched conflict token".into()));
        }
        self.is_new_request(&new.request_id);
        self.take_due(now);
        self.record.schedule = Some(new.schedule);
        self.spec = new.spec;
        self.record.search_attributes = new.search_attributes.or(self.record.search_attributes.take());
        self.record.memo = new.memo.or(self.record.memo.take());
        self.write_out_defaults();
        self.record.updated_at = now;
        self.record.conflict_token += 1;
        // By the new spec only times from now on count. They may have begun before: jitter.
        let earliest = now.saturating_sub(self.spec.jitter()).saturating_sub(SECOND);
        self.record.processed = self.record.processed.max(earliest);
        self.needs_plan = true;
        Ok(())
    }

    /// Remembers a request id; whether it had not come before.
    fn is_new_request(&mut self, request_id: &str) -> bool {
        if request_id.is_empty() {
            return true;
        }
        let known = &mut self.record.request_ids;
        if known.iter().any(|known| known == request_id) {
            return false;
        }
        if known.len() >= REQUEST_IDS {
            known.remove(0);
        }
        known.push(request_id.to_owned());
        true
    }

    /// What is to be done now; empty: nothing more. To be called until it is, after the host has done
    /// what it said.
    pub(crate) fn plan(&mut self) -> Vec<Effect> {
        if !std::mem::take(&mut self.needs_plan) {
            return Vec::new();
        }
        let buffer = std::mem::take(&mut self.record.buffer);
        if buffer.is_empty() || self.workflow().is_none() {
            return Vec::new();
        }
        let is_running = !self.record.running.is_empty();
        let default = self
            .policies()
            .map_or(Policy::Skip, SchedulePolicies::overlap_policy);
        let plan = overlap::plan(buffer, is_running, default);
        self.record.buffer = plan.buffer;
        self.record.counts.overlap_skipped += plan.skipped;
        let starts = plan.side_by_side.into_iter().chain(plan.alone);
        let mut effects: Vec<Effect> = starts.map(Effect::Start).collect();
        let running = self.record.running.iter().cloned();
        if plan.terminate {
            effects.extend(running.map(Effect::Terminate));
        } else if plan.cancel {
            effects.extend(running.map(Effect::Cancel));
        }
        effects
    }

    /// The host has started an action's workflow.
    pub(crate) fn started(&mut self, start: &BufferedStart, execution: Running, now: Nanos) {
        let state = self.state_mut();
        if !start.manual && state.limited_actions {
            state.remaining_actions = (state.remaining_actions - 1).max(0);
            self.record.conflict_token += 1;
        }
        self.record.counts.taken += 1;
        let recent = &mut self.record.recent;
        if recent.len() >= RECENT {
            recent.remove(0);
        }
        recent.push(ScheduleActionResult {
            schedule_time: Some(timestamp(start.actual)),
            actual_time: Some(timestamp(now)),
            start_workflow_result: Some(WorkflowExecution {
                workflow_id: execution.workflow_id.clone(),
                run_id: execution.first_run_id.clone(),
            }),
            start_workflow_status: WorkflowExecutionStatus::Running as i32,
        });
        if !self.is_side_by_side(start) {
            self.record.running.push(execution);
        }
    }

    /// Whether an action's workflow runs beside others: nothing waits for it, and what it ends with
    /// is not passed on.
    pub(crate) fn is_side_by_side(&self, start: &BufferedStart) -> bool {
        let default = self.policies().map(SchedulePolicies::overlap_policy);
        match start.policy() {
            Policy::Unspecified => default == Some(Policy::AllowAll),
            given => given == Policy::AllowAll,
        }
    }

    /// The action was not taken: it was not permitted, or its workflow cannot be started.
    pub(crate) fn dropped(&mut self) {
        self.needs_plan = true;
    }

    /// The engine could not start the action's workflow now.
    pub(crate) fn postponed(&mut self, start: BufferedStart, now: Nanos) {
        self.record.buffer.insert(0, start);
        self.record.retry_at = now.saturating_add(RETRY);
    }

    /// An execution of the schedule's has ended, its chain with it.
    pub(crate) fn closed(&mut self, execution: &Running, closed: Closed) {
        let recent = self.record.recent.iter_mut().rev().find(|action| {
            let result = action.start_workflow_result.as_ref();
            result.is_some_and(|started| started.run_id == execution.first_run_id)
        });
        if let Some(action) = recent {
            action.start_workflow_status = closed.status as i32;
        }
        self.pause_on_failure(execution, &closed);
        let place = self
            .record
            .running
            .iter()
            .position(|running| running == execution);
        let Some(place) = place else { return };
        self.record.running.remove(place);
        self.needs_plan = true;
        if closed.result.is_some() {
            self.record.last_completion_result = closed.result;
            self.record.continued_failure = None;
        } else if closed.failure.is_some() {
            self.record.continued_failure = closed.failure;
        }
    }

    fn pause_on_failure(&mut self, execution: &Running, closed: &Closed) {
        let pauses = self.policies().is_some_and(|policies| policies.pause_on_failure);
        if !pauses || self.is_paused() {
            return;
        }
        let id = &execution.workflow_id;
        let notes = match closed.status {
            WorkflowExecutionStatus::Failed => {
                let message = closed
                    .failure
                    .as_ref()
                    .map_or("", |failure| failure.message.as_str());
                format!("paused due to workflow failure: {id}: {message}")
            }
            WorkflowExecutionStatus::TimedOut => format!("paused due to workflow timeout: {id}"),
            _ => return,
        };
        let state = self.state_mut();
        state.paused = true;
        state.notes = notes;
        self.record.conflict_token += 1;
    }

    /// When something is to be done next; none: only a request or the end of an execution does.
    pub(crate) fn next_wake(&self, now: Nanos) -> Option<Nanos> {
        if self.has_work() || self.needs_plan {
            return Some(now);
        }
        let due = if self.takes_actions() {
            self.next_due()
        } else {
            None
        };
        let retry = (self.record.retry_at != 0).then_some(self.record.retry_at);
        due.into_iter().chain(retry).min().or_else(|| self.expiry())
    }

    fn next_due(&self) -> Option<Nanos> {
        self.times(self.record.processed).next().map(|time| time.actual)
    }

    /// The actual times by the spec after this nominal one that are not before the last update.
    pub(super) fn times(&self, after: Nanos) -> impl Iterator<Item = super::Time> {
        let next = move |after: Nanos| self.spec.next(&self.seed, after);
        std::iter::successors(next(after), move |time| next(time.nominal))
            .skip_while(|time| time.actual < self.record.updated_at)
    }

    /// When a schedule that will take no more actions is removed.
    fn expiry(&self) -> Option<Nanos> {
        if self.is_paused() {
            return None;
        }
        let last_action = self
            .record
            .recent
            .last()
            .and_then(|action| action.actual_time.as_ref());
        let last = last_action.map_or(0, nanos_of);
        let last = last.max(self.record.created_at).max(self.record.updated_at);
        Some(last.saturating_add(IDLE))
    }

    /// Whether it has had no more actions for so long that it is to be removed.
    pub(crate) fn is_expired(&self, now: Nanos) -> bool {
        let is_done = !self.has_work()
            && self.record.buffer.is_empty()
            && (!self.takes_actions() || self.next_due().is_none());
        is_done && self.expiry().is_some_and(|at| at <= now)
    }
}
