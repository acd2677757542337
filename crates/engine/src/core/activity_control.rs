//! What a person does to a pending activity: pause it, let it go on, begin it anew, change its options.
//!
//! None of this reaches an attempt that runs by itself: its worker learns of a pause or a reset from
//! the answer to its next heartbeat. What waits for a worker or for the end of a back-off is held,
//! or goes on at once.

use temporalio_protos::temporal::api::activity::v1::ActivityOptions;

use super::{
    activity_options::{OptionsUpdate, apply_options},
    retry,
    run::Run,
    state::{Activity, ActivityPause},
};
use crate::{
    clock::{Nanos, duration},
    rpc::RpcError,
};

/// Which of a run's pending activities are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum ActivitySelection {
    Id(String),
    Type(String),
    All,
}

/// How an activity goes on after a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ActivityUnpause {
    pub reset_attempts: bool,
    pub reset_heartbeat: bool,
    /// How long from now the attempt begins, if none is running.
    pub delay: Nanos,
}

/// How an activity begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ActivityReset {
    pub reset_heartbeat: bool,
    pub keep_paused: bool,
    pub restore_options: bool,
    /// How long from now the attempt begins, if none is running.
    pub delay: Nanos,
}

impl Run {
    /// The scheduled event ids of the selected activities.
    ///
    /// # Errors
    /// When the run is closed, or the activity of this id, or any of this type, is not pending.
    pub fn select_activities(&self, selection: &ActivitySelection) -> Result<Vec<i64>, RpcError> {
        self.check_running()?;
        let is_meant = |activity: &&Activity| match selection {
            ActivitySelection::Id(id) => activity.id == *id,
            ActivitySelection::Type(name) => activity.activity_type == *name,
            ActivitySelection::All => true,
        };
        let found: Vec<i64> = self
            .state
            .activities
            .iter()
            .filter(is_meant)
            .map(|activity| activity.scheduled_event_id)
            .collect();
        if found.is_empty() && *selection != ActivitySelection::All {
            return Err(RpcError::NotFound(
                "Can't find pending activity with such ID. Invalid activityID or activity already completed"
                    .into(),
            ));
        }
        Ok(found)
    }

    /// Lets no further attempt begin.
    ///
    /// # Errors
    /// When another request has paused it.
    pub fn pause_activity(&mut self, scheduled_event_id: i64, pause: ActivityPause) -> Result<(), RpcError> {
        let is_standalone = self.is_standalone();
        let Some(activity) = self.activity_mut(scheduled_event_id) else {
            return Ok(());
        };
        if let Some(before) = &activity.pause {
            if before.request_id == pause.request_id {
                return Ok(());
            }
            if is_standalone {
                return Err(RpcError::FailedPrecondition(format!(
                    "activity is in non-pausable state {}",
                    self.activity_status_name()
                )));
            }
            return Err(RpcError::FailedPrecondition("activity is already paused".into()));
        }
        activity.pause = Some(pause);
        self.state.transition_count += 1;
        self.note_pause();
        Ok(())
    }

    /// Ends a pause, if there is one.
    pub fn unpause_activity(&mut self, now: Nanos, scheduled_event_id: i64, how: ActivityUnpause) {
        let is_standalone = self.is_standalone();
        let Some(activity) = self.activity_mut(scheduled_event_id) else {
            return;
        };
        if activity.pause.take().is_none() {
            return;
        }
        // As on the real server: what was the matter before is settled.
        if !is_standalone {
            activity.last_failure = None;
        }
        if how.reset_attempts {
            activity.attempt = 1;
        }
        if how.reset_heartbeat {
            forget_heartbeat(activity);
        }
        self.state.transition_count += 1;
        self.note_pause();
        self.schedule_activity_attempt(scheduled_event_id, now, now.saturating_add(how.delay));
    }

    /// Counts attempts from the beginning again. A running attempt may end as it does; where none
    /// runs, the first begins without further back-off.
    ///
    /// A running attempt other than the first is no longer known by its token then, as its number is
    /// gone: the real server has it so too.
    ///
    /// # Errors
    /// When the options to be restored are not in the history.
    pub fn reset_activity(
        &mut self,
        now: Nanos,
        scheduled_event_id: i64,
        how: ActivityReset,
    ) -> Result<(), RpcError> {
        let Some(activity) = self.activity(scheduled_event_id) else {
            return Ok(());
        };
        let is_standalone = self.is_standalone();
        let options = if how.restore_options {
            Some(self.updated_options(activity, OptionsUpdate::Restore)?)
        } else {
            None
        };
        let Some(activity) = self.activity_mut(scheduled_event_id) else {
            return Ok(());
        };
        if let Some(options) = options {
            apply_options(activity, &options);
        }
        // A standalone activity's reset waits for the end of a running attempt.
        if !is_standalone || activity.started.is_none() {
            activity.attempt = 1;
        }
        if !how.keep_paused {
            activity.pause = None;
        }
        if activity.started.is_some() {
            activity.was_reset = true;
            activity.forget_heartbeat |= how.reset_heartbeat;
        } else if how.reset_heartbeat {
            forget_heartbeat(activity);
        }
        self.state.transition_count += 1;
        self.note_pause();
        self.schedule_activity_attempt(scheduled_event_id, now, now.saturating_add(how.delay));
        Ok(())
    }

    /// Changes the activity's options, and answers what they are then. A running attempt keeps its
    /// worker and gets the new time-outs; a back-off is counted anew.
    ///
    /// # Errors
    /// When the options do not go together.
    pub fn update_activity_options(
        &mut self,
        now: Nanos,
        scheduled_event_id: i64,
        update: OptionsUpdate,
    ) -> Result<Option<ActivityOptions>, RpcError> {
        let Some(activity) = self.activity(scheduled_event_id) else {
            return Ok(None);
        };
        let mut options = self.updated_options(activity, update)?;
        let start_delay = self.state.standalone.as_ref().map(|own| own.start_delay);
        options.start_delay = start_delay.filter(|delay| *delay != 0).map(duration);
        let Some(activity) = self.activity_mut(scheduled_event_id) else {
            return Ok(None);
        };
        let policy_before = activity.retry_policy.clone();
        apply_options(activity, &options);
        let mut at = activity.attempt_at;
        if activity.backing_off && activity.attempt > 1 && activity.retry_policy != policy_before {
            let policy = activity.retry_policy.clone().unwrap_or_default();
            let interval = retry::backoff(&policy, activity.attempt - 1);
            at = activity.last_attempt_ended_at.saturating_add(interval);
        }
        self.state.transition_count += 1;
        self.note_pause();
        self.schedule_activity_attempt(scheduled_event_id, now, at);
        Ok(Some(options))
    }

    /// Lists show what is paused.
    pub(super) fn note_pause(&mut self) {
        self.effects.attributes_changed = true;
    }

    /// Lets the current attempt wait for a worker from `at` on, unless it runs or is paused.
    fn schedule_activity_attempt(&mut self, scheduled_event_id: i64, now: Nanos, at: Nanos) {
        let Some(activity) = self.activity_mut(scheduled_event_id) else {
            return;
        };
        if activity.started.is_some() || activity.pause.is_some() {
            return;
        }
        // Not before the start delay of a standalone activity is over.
        let at = at.max(activity.scheduled_at);
        activity.attempt_at = at;
        activity.backing_off = at > now;
        if !activity.backing_off {
            self.offer_activity(scheduled_event_id);
        }
    }
}

fn forget_heartbeat(activity: &mut Activity) {
    activity.heartbeat_details = None;
    activity.last_heartbeat_at = 0;
}
