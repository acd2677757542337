//! What a run needs when the engine starts again: whatever was in the ended process's hands is lost.

use super::run::Run;
use crate::clock::Nanos;

impl Run {
    /// Whether the run has something for a task queue, or something that a restart must put right.
    pub fn is_ready(&self) -> bool {
        let state = &self.state;
        state.workflow_task.as_ref().is_some_and(|task| !task.speculative)
            || !state.buffered.is_empty()
            || state.activities.iter().any(|activity| match &activity.started {
                Some(worker) => worker.in_process,
                None => activity.is_waiting(),
            })
    }

    /// When the run wants to be woken if the engine starts again now: without a worker's deadline,
    /// because the worker's task will be offered again.
    pub fn wake_after_restart(&self) -> Option<Nanos> {
        let is_speculative = self
            .state
            .workflow_task
            .as_ref()
            .is_some_and(|task| task.speculative);
        if self.started_task.is_none() && self.sticky.is_none() && !is_speculative {
            return self.next_wake();
        }
        let state = &self.state;
        let fixed = [
            state.run_expiration,
            state.execution_expiration,
            state.first_task_at,
        ];
        let fixed = fixed.into_iter().filter(|at| *at != 0);
        let timers = state.timers.iter().map(|timer| timer.fire_at);
        let activities = state.activities.iter().map(super::state::Activity::next_wake);
        fixed
            .chain(timers)
            .chain(activities)
            .filter(|at| *at != Nanos::MAX)
            .min()
    }

    /// Goes on after the engine's process ended: what no worker has is offered again, and attempts
    /// of activities whose worker was in that process have ended with it.
    pub fn resume(&mut self, now: Nanos) {
        self.flush_buffered();
        self.offer_workflow_task();
        let pending: Vec<_> = self
            .state
            .activities
            .iter()
            .map(|activity| {
                (
                    activity.scheduled_event_id,
                    activity.started.clone(),
                    activity.is_waiting(),
                )
            })
            .collect();
        for (id, started, is_waiting) in pending {
            match started {
                Some(worker) if worker.in_process => self.lose_activity_worker(now, id),
                Some(_) => {}
                None if is_waiting => self.offer_activity(id),
                None => {}
            }
        }
    }
}
