//! What time does to a run: everything that is due by now, in one transition.

use super::run::Run;
use crate::clock::Nanos;

use temporalio_protos::temporal::api::history::v1::{TimerFiredEventAttributes, history_event::Attributes};

impl Run {
    /// Does all that is due at `now`.
    pub fn wake(&mut self, now: Nanos) {
        if !self.is_running() {
            return;
        }
        let state = &self.state;
        let is_due = |at: Nanos| at != 0 && at <= now;
        if is_due(state.run_expiration) || is_due(state.execution_expiration) {
            self.time_out(now);
            return;
        }
        if is_due(state.first_task_at) {
            self.state.first_task_at = 0;
            self.schedule_first_task(now);
        }
        self.fire_timers(now);
        self.wake_activities(now);
        if self.workflow_task_deadline().is_some_and(|at| at <= now) {
            if self.started_task.is_some() {
                self.time_out_workflow_task(now);
            } else {
                self.time_out_waiting_task(now);
            }
        }
    }

    fn fire_timers(&mut self, now: Nanos) {
        if !self.state.timers.iter().any(|timer| timer.fire_at <= now) {
            return;
        }
        let (mut due, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.state.timers)
            .into_iter()
            .partition(|timer| timer.fire_at <= now);
        self.state.timers = open;
        due.sort_by_key(|timer| (timer.fire_at, timer.started_event_id));
        for timer in due {
            self.append_external(
                now,
                Attributes::TimerFiredEventAttributes(TimerFiredEventAttributes {
                    timer_id: timer.id,
                    started_event_id: timer.started_event_id,
                }),
            );
        }
        self.state.transition_count += 1;
        self.schedule_workflow_task(now);
    }

    fn wake_activities(&mut self, now: Nanos) {
        let ids: Vec<i64> = self
            .state
            .activities
            .iter()
            .map(|activity| activity.scheduled_event_id)
            .collect();
        for id in ids {
            let Some(activity) = self.activity(id) else {
                continue;
            };
            if let Some(timeout) = activity.due_timeout(now) {
                self.time_out_activity(now, id, timeout);
            } else if activity.backing_off && activity.pause.is_none() && activity.attempt_at <= now {
                self.offer_activity(id);
            }
        }
    }
}
