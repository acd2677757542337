//! A schedule as clients see it.

use prost::Message as _;
use temporalio_protos::temporal::api::{
    common::v1::{SearchAttributes, WorkflowExecution},
    schedule::v1::{ScheduleInfo, ScheduleListInfo},
};

use super::{
    DIVISION,
    action::{json, typed},
    scheduler::Scheduler,
};
use crate::clock::{Nanos, timestamp, timestamp_opt};

/// Times in a description.
const DESCRIBED: usize = 10;
/// Times, actions and parts of the spec in a list's entry.
const LISTED: (usize, usize, usize) = (5, 5, 10);
/// Times of one answer about a range.
const MATCHING: usize = 1_000;

impl Scheduler {
    /// What it has done and will do.
    pub(crate) fn info(&self, now: Nanos) -> ScheduleInfo {
        let record = &self.record;
        let counts = &record.counts;
        ScheduleInfo {
            action_count: counts.taken,
            missed_catchup_window: counts.missed_catchup_window,
            overlap_skipped: counts.overlap_skipped,
            buffer_dropped: counts.buffer_dropped,
            buffer_size: i64::try_from(record.buffer.len()).unwrap_or(i64::MAX),
            running_workflows: record
                .running
                .iter()
                .map(|running| WorkflowExecution {
                    workflow_id: running.workflow_id.clone(),
                    run_id: running.first_run_id.clone(),
                })
                .collect(),
            recent_actions: record.recent.clone(),
            future_action_times: self.future_times(now, DESCRIBED),
            create_time: Some(timestamp(record.created_at)),
            update_time: timestamp_opt(record.updated_at),
            state_size_bytes: i64::try_from(record.encoded_len()).unwrap_or(i64::MAX),
            ..Default::default()
        }
    }

    /// The short form that lists have.
    pub(crate) fn list_info(&self, now: Nanos) -> ScheduleListInfo {
        let (times, actions, parts) = LISTED;
        let record = &self.record;
        let mut spec = record
            .schedule
            .as_ref()
            .and_then(|schedule| schedule.spec.clone())
            .unwrap_or_default();
        spec.timezone_data = Vec::new();
        spec.structured_calendar.truncate(parts);
        spec.exclude_structured_calendar.truncate(parts);
        spec.interval.truncate(parts);
        let recent = record.recent.len().saturating_sub(actions);
        ScheduleListInfo {
            spec: Some(spec),
            workflow_type: self
                .workflow()
                .and_then(|workflow| workflow.workflow_type.clone()),
            notes: self.state().map(|state| state.notes.clone()).unwrap_or_default(),
            paused: self.is_paused(),
            recent_actions: record.recent[recent..].to_vec(),
            future_action_times: self.future_times(now, times),
            state_size_bytes: i64::try_from(record.encoded_len()).unwrap_or(i64::MAX),
        }
    }

    /// The next times, at most as many as there are actions left. While it is paused: those that
    /// would be, were it not.
    fn future_times(&self, now: Nanos, at_most: usize) -> Vec<prost_types::Timestamp> {
        let left = self
            .state()
            .filter(|state| state.limited_actions)
            .map_or(at_most, |state| {
                usize::try_from(state.remaining_actions).unwrap_or(0)
            });
        let after = if self.takes_actions() {
            self.record.processed
        } else {
            self.record.processed.max(now)
        };
        self.times(after)
            .take(left.min(at_most))
            .map(|time| timestamp(time.actual))
            .collect()
    }

    /// The times after `start` up to `end`, the first thousand.
    pub(crate) fn matching_times(&self, start: Nanos, end: Nanos) -> Vec<prost_types::Timestamp> {
        let next = |after: Nanos| self.spec.next(&self.seed, after);
        std::iter::successors(next(start), |time| next(time.nominal))
            .take_while(|time| time.actual <= end)
            .take(MATCHING)
            .map(|time| timestamp(time.actual))
            .collect()
    }

    /// The attributes it is found by: its own, and those that mark it as a schedule.
    pub(crate) fn filed_attributes(&self) -> SearchAttributes {
        let mut attributes = self.record.search_attributes.clone().unwrap_or_default();
        let fields = &mut attributes.indexed_fields;
        fields.insert("TemporalNamespaceDivision".into(), json(DIVISION, "Keyword"));
        fields.insert(
            "TemporalSchedulePaused".into(),
            typed(self.is_paused().to_string(), "Bool"),
        );
        attributes
    }
}
