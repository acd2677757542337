//! The activities of an execution, put together from its history and from what is pending.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use temporalio_common::protos::temporal::api::{
    enums::v1::PendingActivityState,
    failure::v1::failure::FailureInfo,
    history::v1::{ActivityTaskFailedEventAttributes, history_event::Attributes},
    workflow::v1::PendingActivityInfo,
};
use utoipa::ToSchema;

use crate::pauses::is_pause;

use super::{failure::Failure, payload::value, timestamp::rfc3339};

/// An activity of an execution.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionActivity)]
pub(crate) struct Action {
    /// Its name: of an action or a consumer the one in the configuration.
    pub(crate) name: String,
    /// Its activity type: `deliver`, `consume` and others.
    #[serde(rename = "type")]
    pub(crate) ty: String,
    /// Where it is.
    pub(crate) state: State,
    /// How many attempts were started.
    pub(crate) attempts: i32,
    /// When it was scheduled (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<String>,
    /// When it ended for good (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
    /// What it returned: of `deliver` what `story` tells of the attempt and the payloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
    /// Why it failed, or why its last attempt did while it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    /// When it is tried again (RFC 3339); only while it waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_attempt_time: Option<String>,
}

/// Where an activity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ActivityState)]
pub(crate) enum State {
    /// It waits for a worker, or for its next attempt.
    Scheduled,
    /// A worker runs it.
    Running,
    /// It is done.
    Completed,
    /// It failed for good.
    Failed,
    /// It was cancelled.
    Canceled,
}

/// The activities by the id of the event that scheduled them.
#[derive(Default)]
pub(crate) struct Actions(BTreeMap<i64, (String, Action)>);

impl Actions {
    /// Takes note of one history event.
    pub(crate) fn see(&mut self, event_id: i64, at: Option<String>, attributes: Attributes) {
        match attributes {
            Attributes::ActivityTaskScheduledEventAttributes(scheduled) => {
                let action = Action {
                    name: scheduled.activity_id.clone(),
                    ty: scheduled.activity_type.unwrap_or_default().name,
                    state: State::Scheduled,
                    attempts: 0,
                    started: at,
                    ended: None,
                    result: None,
                    failure: None,
                    next_attempt_time: None,
                };
                self.0.insert(event_id, (scheduled.activity_id, action));
            }
            Attributes::ActivityTaskStartedEventAttributes(started) => {
                self.update(started.scheduled_event_id, |action| {
                    action.state = State::Running;
                    action.attempts = started.attempt;
                    action.failure = started.last_failure.map(Failure::of);
                });
            }
            Attributes::ActivityTaskCompletedEventAttributes(completed) => {
                self.update(completed.scheduled_event_id, |action| {
                    action.state = State::Completed;
                    action.ended = at;
                    action.result = Some(value(completed.result));
                    action.failure = None;
                });
            }
            Attributes::ActivityTaskFailedEventAttributes(failed) if found_pause(&failed) => {
                self.0.remove(&failed.scheduled_event_id);
            }
            Attributes::ActivityTaskFailedEventAttributes(failed) => {
                self.update(failed.scheduled_event_id, |action| {
                    action.state = State::Failed;
                    action.ended = at;
                    action.failure = failed.failure.map(Failure::of);
                });
            }
            Attributes::ActivityTaskTimedOutEventAttributes(timed_out) => {
                self.update(timed_out.scheduled_event_id, |action| {
                    action.state = State::Failed;
                    action.ended = at;
                    action.failure = timed_out.failure.map(Failure::of);
                });
            }
            Attributes::ActivityTaskCanceledEventAttributes(canceled) => {
                self.update(canceled.scheduled_event_id, |action| {
                    action.state = State::Canceled;
                    action.ended = at;
                });
            }
            _ => {}
        }
    }

    fn update(&mut self, scheduled_event_id: i64, change: impl FnOnce(&mut Action)) {
        if let Some((_, action)) = self.0.get_mut(&scheduled_event_id) {
            change(action);
        }
    }

    /// The activities in order, with what the history does not say of those that are not closed.
    pub(crate) fn with_pending(mut self, pending: Vec<PendingActivityInfo>) -> Vec<Action> {
        for info in pending {
            let running = info.state() == PendingActivityState::Started;
            let open = |state| matches!(state, State::Scheduled | State::Running);
            let found = self
                .0
                .values_mut()
                .rev()
                .find(|(id, action)| *id == info.activity_id && open(action.state));
            let Some((_, action)) = found else { continue };
            action.state = if running { State::Running } else { State::Scheduled };
            // While it waits, the engine counts the attempt that comes.
            action.attempts = if running { info.attempt } else { info.attempt - 1 };
            action.failure = info.last_failure.map(Failure::of);
            action.next_attempt_time = info
                .next_attempt_schedule_time
                .filter(|_| !running)
                .and_then(rfc3339);
        }
        self.0.into_values().map(|(_, action)| action).collect()
    }
}

/// Whether an activity has done nothing, as people hold up what it is for: it is run anew.
fn found_pause(failed: &ActivityTaskFailedEventAttributes) -> bool {
    match failed
        .failure
        .as_ref()
        .and_then(|failure| failure.failure_info.as_ref())
    {
        Some(FailureInfo::ApplicationFailureInfo(info)) => is_pause(&info.r#type),
        _ => false,
    }
}
