//! The life of an activity: scheduled by a command, started, heartbeating, tried again, closed.
//!
//! `ActivityTaskStarted` is written when the activity closes, with the attempt that closed it: the
//! attempts before are seen in the pending activity only.

use temporalio_protos::temporal::api::{
    common::v1::{Payload, Payloads},
    enums::v1::{RetryState, TimeoutType},
    failure::v1::{Failure, TimeoutFailureInfo, failure::FailureInfo},
    history::v1::{
        ActivityTaskCanceledEventAttributes, ActivityTaskCompletedEventAttributes,
        ActivityTaskFailedEventAttributes, ActivityTaskScheduledEventAttributes,
        ActivityTaskStartedEventAttributes, ActivityTaskTimedOutEventAttributes, history_event::Attributes,
    },
};

use super::{
    retry,
    run::{Run, Task},
    standalone::STANDALONE_EVENT,
    state::{Activity, StartedActivity},
};
use crate::{clock::Nanos, rpc::RpcError};

/// What the server answers to a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    pub cancel_requested: bool,
    pub paused: bool,
    pub reset: bool,
}

impl Activity {
    /// Whether its current attempt waits on a task queue.
    pub(crate) fn is_waiting(&self) -> bool {
        self.started.is_none() && !self.backing_off && self.pause.is_none()
    }

    /// Whether its time-outs are held: those of a workflow's paused activity wait for the end of the pause, those of a
    /// standalone one go on, as on the real server.
    fn holds_timeouts(&self) -> bool {
        // A workflow's first event is its start.
        let is_standalone = self.scheduled_event_id == STANDALONE_EVENT;
        self.pause.is_some() && !is_standalone
    }

    /// When this activity must be looked at next.
    pub(super) fn next_wake(&self) -> Nanos {
        if self.holds_timeouts() {
            return Nanos::MAX;
        }
        let expiration = if self.schedule_to_close == 0 {
            Nanos::MAX
        } else {
            self.expiration()
        };
        if self.started.is_some() {
            return expiration.min(self.attempt_deadline().0);
        }
        if self.pause.is_some() {
            return expiration;
        }
        if self.backing_off {
            return expiration.min(self.attempt_at);
        }
        expiration.min(after(self.attempt_at, self.schedule_to_start))
    }

    /// When all attempts must have ended; 0: never.
    pub(crate) fn expiration(&self) -> Nanos {
        if self.schedule_to_close == 0 {
            0
        } else {
            self.scheduled_at.saturating_add(self.schedule_to_close)
        }
    }

    /// When the started attempt times out, and which time-out that is.
    fn attempt_deadline(&self) -> (Nanos, TimeoutType) {
        let Some(started) = &self.started else {
            return (Nanos::MAX, TimeoutType::Unspecified);
        };
        let close = after(started.at, self.start_to_close);
        let beat = after(started.at.max(self.last_heartbeat_at), self.heartbeat);
        if beat < close {
            (beat, TimeoutType::Heartbeat)
        } else {
            (close, TimeoutType::StartToClose)
        }
    }

    /// The time-out that is due, if one is.
    pub(super) fn due_timeout(&self, now: Nanos) -> Option<TimeoutType> {
        if self.holds_timeouts() {
            return None;
        }
        if self.schedule_to_close != 0 && self.expiration() <= now {
            return Some(TimeoutType::ScheduleToClose);
        }
        if self.started.is_some() {
            let (at, timeout) = self.attempt_deadline();
            return (at <= now).then_some(timeout);
        }
        let waits_since = after(self.attempt_at, self.schedule_to_start);
        (self.is_waiting() && waits_since <= now).then_some(TimeoutType::ScheduleToStart)
    }
}

/// `from + by`, never where `by` is 0.
fn after(from: Nanos, by: Nanos) -> Nanos {
    if by == 0 {
        Nanos::MAX
    } else {
        from.saturating_add(by)
    }
}

impl Run {
    /// The pending activity that this event scheduled.
    pub fn activity(&self, scheduled_event_id: i64) -> Option<&Activity> {
        self.state
            .activities
            .iter()
            .find(|activity| activity.scheduled_event_id == scheduled_event_id)
    }

    pub(super) fn activity_mut(&mut self, scheduled_event_id: i64) -> Option<&mut Activity> {
        self.state
            .activities
            .iter_mut()
            .find(|activity| activity.scheduled_event_id == scheduled_event_id)
    }

    /// The pending activity of this id.
    pub fn activity_by_id(&self, id: &str) -> Option<&Activity> {
        self.state.activities.iter().find(|activity| activity.id == id)
    }

    /// What the command that scheduled the activity said.
    pub fn activity_scheduled(
        &self,
        scheduled_event_id: i64,
    ) -> Option<ActivityTaskScheduledEventAttributes> {
        match self.event(scheduled_event_id)?.attributes {
            Some(Attributes::ActivityTaskScheduledEventAttributes(attributes)) => Some(attributes),
            _ => None,
        }
    }

    /// Puts the activity's current attempt on its task queue.
    pub(super) fn offer_activity(&mut self, scheduled_event_id: i64) {
        if let Some(activity) = self.activity_mut(scheduled_event_id) {
            activity.backing_off = false;
            let task = Task::Activity {
                queue: activity.task_queue.clone(),
                scheduled_event_id,
                attempt: activity.attempt,
            };
            self.effects.tasks.push(task);
        }
    }

    /// Whether this attempt may still be started by a worker of this task queue.
    pub fn can_start_activity(&self, scheduled_event_id: i64, attempt: i32, queue: &str) -> bool {
        self.is_running()
            && self.activity(scheduled_event_id).is_some_and(|activity| {
                activity.is_waiting() && activity.attempt == attempt && activity.task_queue == queue
            })
    }

    /// Hands the current attempt to a worker.
    pub fn start_activity(&mut self, now: Nanos, scheduled_event_id: i64, worker: StartedActivity) {
        if let Some(activity) = self.activity_mut(scheduled_event_id) {
            activity.last_identity.clone_from(&worker.identity);
            activity.last_started_at = now;
            activity.started = Some(StartedActivity { at: now, ..worker });
            self.state.transition_count += 1;
        }
    }

    /// Takes a started attempt back that never reached its worker, and offers it again.
    pub fn return_activity(&mut self, scheduled_event_id: i64, attempt: i32) {
        let is_it = |activity: &&mut Activity| activity.attempt == attempt && activity.started.is_some();
        if let Some(activity) = self.activity_mut(scheduled_event_id).filter(is_it) {
            activity.started = None;
            if activity.pause.is_none() {
                self.offer_activity(scheduled_event_id);
            }
        }
    }

    /// The started attempt that a task token names.
    fn started_attempt(&self, scheduled_event_id: i64, attempt: i32) -> Result<&Activity, RpcError> {
        if !self.is_standalone() {
            self.check_running()?;
        }
        self.activity(scheduled_event_id)
            .filter(|activity| activity.started.is_some() && (attempt == 0 || activity.attempt == attempt))
            .ok_or_else(|| {
                if self.is_standalone() {
                    return RpcError::activity_not_found(&self.state.workflow_id);
                }
                RpcError::NotFound(
                    "invalid activityID or activity already timed out or invoking workflow is completed"
                        .into(),
                )
            })
    }

    /// The attempt ended well. `attempt` 0: whichever is running, or waits for a worker: who knows the
    /// result by the activity's id needs none, and counts as its worker.
    ///
    /// # Errors
    /// When that attempt is not running, here and in the functions that follow.
    pub fn complete_activity(
        &mut self,
        now: Nanos,
        scheduled_event_id: i64,
        attempt: i32,
        result: Option<Payloads>,
        identity: &str,
    ) -> Result<(), RpcError> {
        if attempt == 0 && self.is_standalone() && !self.is_running() {
            let name = self.activity_status_name();
            return Err(RpcError::FailedPrecondition(format!(
                "invalid transition from {name}"
            )));
        }
        if attempt == 0
            && self.is_running()
            && let Some(activity) = self.activity_mut(scheduled_event_id)
            && activity.started.is_none()
        {
            activity.started = Some(StartedActivity {
                at: now,
                identity: identity.to_owned(),
                ..Default::default()
            });
        }
        self.started_attempt(scheduled_event_id, attempt)?;
        if let Some(activity) = self.activity_mut(scheduled_event_id) {
            activity.last_attempt_ended_at = now;
        }
        let started_event_id = self.write_activity_started(now, scheduled_event_id);
        self.close_activity(
            now,
            scheduled_event_id,
            Attributes::ActivityTaskCompletedEventAttributes(ActivityTaskCompletedEventAttributes {
                result,
                scheduled_event_id,
                started_event_id,
                identity: identity.to_owned(),
                ..Default::default()
            }),
        );
        Ok(())
    }

    /// The attempt failed: another one is due, or the activity has failed.
    pub fn fail_activity(
        &mut self,
        now: Nanos,
        scheduled_event_id: i64,
        attempt: i32,
        failure: Failure,
        last_heartbeat_details: Option<Payloads>,
        identity: &str,
    ) -> Result<(), RpcError> {
        self.started_attempt(scheduled_event_id, attempt)?;
        if let Some(activity) = self.activity_mut(scheduled_event_id) {
            activity.last_attempt_ended_at = now;
            if last_heartbeat_details.is_some() {
                activity.heartbeat_details = last_heartbeat_details;
                // The last heartbeat came with the failure.
                if let Some(standalone) = &mut self.state.standalone {
                    standalone.heartbeat_count += 1;
                }
            }
        }
        let Err(retry_state) = self.retry_activity(now, scheduled_event_id, &failure) else {
            return Ok(());
        };
        let started_event_id = self.write_activity_started(now, scheduled_event_id);
        self.close_activity(
            now,
            scheduled_event_id,
            Attributes::ActivityTaskFailedEventAttributes(ActivityTaskFailedEventAttributes {
                failure: Some(failure),
                scheduled_event_id,
                started_event_id,
                identity: identity.to_owned(),
                retry_state: retry_state as i32,
                ..Default::default()
            }),
        );
        Ok(())
    }

    /// The worker took note of the cancel request.
    pub fn cancel_activity(
        &mut self,
        now: Nanos,
        scheduled_event_id: i64,
        attempt: i32,
        details: Option<Payloads>,
        identity: &str,
    ) -> Result<(), RpcError> {
        let activity = self.started_attempt(scheduled_event_id, attempt)?;
        let latest_cancel_requested_event_id = activity.cancel_requested_event_id;
        if latest_cancel_requested_event_id == 0 {
            return Err(RpcError::InvalidArgument(
                "unable to mark activity as canceled without activity being request canceled first".into(),
            ));
        }
        let started_event_id = self.write_activity_started(now, scheduled_event_id);
        self.close_activity(
            now,
            scheduled_event_id,
            Attributes::ActivityTaskCanceledEventAttributes(ActivityTaskCanceledEventAttributes {
                details,
                latest_cancel_requested_event_id,
                scheduled_event_id,
                started_event_id,
                identity: identity.to_owned(),
                ..Default::default()
            }),
        );
        Ok(())
    }

    /// The worker says that it is alive, and how far it is.
    pub fn heartbeat_activity(
        &mut self,
        now: Nanos,
        scheduled_event_id: i64,
        attempt: i32,
        details: Option<Payloads>,
    ) -> Result<HeartbeatAnswer, RpcError> {
        let activity = self.started_attempt(scheduled_event_id, attempt)?;
        let answer = HeartbeatAnswer {
            cancel_requested: activity.cancel_requested_event_id != 0,
            paused: activity.pause.is_some(),
            reset: activity.was_reset,
        };
        if let Some(activity) = self.activity_mut(scheduled_event_id) {
            activity.last_heartbeat_at = now;
            activity.heartbeat_details = details;
        }
        if let Some(standalone) = &mut self.state.standalone {
            standalone.heartbeat_count += 1;
            self.state.transition_count += 1;
        }
        Ok(answer)
    }

    /// A time-out of the activity is due: another attempt, or the activity has timed out.
    pub(super) fn time_out_activity(&mut self, now: Nanos, scheduled_event_id: i64, timeout: TimeoutType) {
        let Some(activity) = self.activity_mut(scheduled_event_id) else {
            return;
        };
        let was_started = activity.started.is_some();
        let details = activity.heartbeat_details.clone();
        let last_failure = activity.last_failure.clone();
        if was_started {
            activity.last_attempt_ended_at = now;
        }
        let mut failure = timed_out(timeout, details.clone());
        let is_one_attempt_s = matches!(timeout, TimeoutType::StartToClose | TimeoutType::Heartbeat);
        let retry_state = if is_one_attempt_s {
            match self.retry_activity(now, scheduled_event_id, &failure) {
                Ok(()) => return,
                Err(state) => state,
            }
        } else {
            RetryState::Timeout
        };
        if retry_state == RetryState::Timeout && is_one_attempt_s {
            // No time is left for another attempt: it is the whole activity that ran out of time.
            failure = Failure {
                cause: Some(Box::new(failure)),
                ..timed_out(TimeoutType::ScheduleToClose, details)
            };
            failure.message = "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying".into();
        } else if timeout == TimeoutType::ScheduleToClose {
            failure.cause = last_failure.map(Box::new);
        }
        let started_event_id = if was_started {
            self.write_activity_started(now, scheduled_event_id)
        } else {
            0
        };
        self.close_activity(
            now,
            scheduled_event_id,
            Attributes::ActivityTaskTimedOutEventAttributes(ActivityTaskTimedOutEventAttributes {
                failure: Some(failure),
                scheduled_event_id,
                started_event_id,
                retry_state: retry_state as i32,
            }),
        );
    }

    /// The attempt's worker is known to be gone: it was in a process that has ended.
    pub fn lose_activity_worker(&mut self, now: Nanos, scheduled_event_id: i64) {
        self.time_out_activity(now, scheduled_event_id, TimeoutType::StartToClose);
    }

    /// Schedules the next attempt, or answers why there is none.
    fn retry_activity(
        &mut self,
        now: Nanos,
        scheduled_event_id: i64,
        failure: &Failure,
    ) -> Result<(), RetryState> {
        let is_standalone = self.is_standalone();
        let Some(activity) = self.activity_mut(scheduled_event_id) else {
            return Err(RetryState::InternalServerError);
        };
        if activity.cancel_requested_event_id != 0 {
            return Err(RetryState::CancelRequested);
        }
        let (attempt, at) = if is_standalone && activity.was_reset {
            // A standalone activity's reset waits for the end of the running attempt, however that ends.
            (1, now)
        } else {
            let at = match retry::next_attempt(
                activity.retry_policy.as_ref(),
                activity.attempt,
                now,
                activity.expiration(),
                failure,
            ) {
                // As on the real server: who has paused it decides, and not the attempts or the time that are left.
                Err(RetryState::MaximumAttemptsReached | RetryState::Timeout)
                    if activity.holds_timeouts() =>
                {
                    now
                }
                next => next?,
            };
            (activity.attempt + 1, at)
        };
        activity.attempt = attempt;
        activity.started = None;
        if activity.pause.is_none() {
            activity.attempt_at = at;
            activity.backing_off = at > now;
        }
        let is_waiting = activity.is_waiting();
        activity.last_failure = Some(failure.clone());
        activity.was_reset = false;
        if std::mem::take(&mut activity.forget_heartbeat) {
            activity.heartbeat_details = None;
            activity.last_heartbeat_at = 0;
        }
        self.state.transition_count += 1;
        // A standalone one that is paused is listed so from now on.
        if is_standalone {
            self.note_pause();
        }
        if is_waiting {
            self.offer_activity(scheduled_event_id);
        }
        Ok(())
    }

    fn write_activity_started(&mut self, now: Nanos, scheduled_event_id: i64) -> i64 {
        let Some(activity) = self.activity(scheduled_event_id) else {
            return 0;
        };
        let Some(started) = &activity.started else {
            return 0;
        };
        if self.is_standalone() {
            return 0;
        }
        let at = started.at;
        let attributes = ActivityTaskStartedEventAttributes {
            scheduled_event_id,
            identity: started.identity.clone(),
            request_id: started.request_id.clone(),
            attempt: activity.attempt,
            last_failure: activity.last_failure.clone(),
            ..Default::default()
        };
        self.append_external(
            at.min(now),
            Attributes::ActivityTaskStartedEventAttributes(attributes),
        );
        // Buffered, it has no id yet: the flush names it.
        if self.started_task.is_some() {
            0
        } else {
            self.state.next_event_id - 1
        }
    }

    fn close_activity(&mut self, now: Nanos, scheduled_event_id: i64, how: Attributes) {
        let is_it = |activity: &Activity| activity.scheduled_event_id == scheduled_event_id;
        let Some(index) = self.state.activities.iter().position(is_it) else {
            return;
        };
        let activity = self.state.activities.remove(index);
        if self.is_standalone() {
            self.close_standalone(now, activity, how);
            return;
        }
        if activity.pause.is_some() {
            self.note_pause();
        }
        self.append_external(now, how);
        self.state.transition_count += 1;
        self.schedule_workflow_task(now);
    }
}

fn timed_out(timeout: TimeoutType, last_heartbeat_details: Option<Payloads>) -> Failure {
    Failure {
        message: format!("activity {} timeout", retry::timeout_name(timeout)),
        source: "Server".into(),
        failure_info: Some(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
            timeout_type: timeout as i32,
            last_heartbeat_details,
        })),
        ..Default::default()
    }
}

/// A string as a payload.
pub(super) fn json_payload(text: &str) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: serde_json::Value::from(text).to_string().into_bytes(),
        ..Default::default()
    }
}
