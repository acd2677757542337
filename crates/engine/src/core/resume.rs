//! What a run needs when the engine starts again: whatever was in the ended process's hands is lost.

use super::{
    run::Run,
    state::{Activity, StartedActivity},
};
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
        let activities = state.activities.iter().map(Activity::next_wake);
        fixed
            .chain(timers)
            .chain(activities)
            .filter(|at| *at != Nanos::MAX)
            .min()
    }

    /// Whether going on changes the run, and not only offers what no worker has. `workers_are_gone`: those in
    /// the engine's process have ended with it.
    pub(crate) fn is_changed_by_restart(&self, workers_are_gone: bool) -> bool {
        let is_lost = |worker: &StartedActivity| worker.in_process;
        let mut activities = self.state.activities.iter();
        !self.state.buffered.is_empty()
            || workers_are_gone && activities.any(|activity| activity.started.as_ref().is_some_and(is_lost))
    }

    /// Goes on after the engine's process ended: what no worker has is offered again, and attempts
    /// of activities whose worker was in that process have ended with it. Answers whether that has
    /// changed the run.
    pub fn resume(&mut self, now: Nanos) -> bool {
        let lost = self.lose_workers(now);
        let flushed = self.offer_again();
        lost || flushed
    }

    /// Offers what no worker has, where the task queues are made anew and the workers are still there.
    /// Answers whether that has changed the run.
    pub fn offer_again(&mut self) -> bool {
        let flushed = self.flush_buffered();
        // What was to be offered is offered with all the rest.
        self.effects.tasks.clear();
        self.offer_workflow_task();
        let waiting = self.state.activities.iter();
        let waiting = waiting.filter(|activity| activity.is_waiting());
        let waiting: Vec<_> = waiting.map(|activity| activity.scheduled_event_id).collect();
        for id in waiting {
            self.offer_activity(id);
        }
        flushed
    }

    /// Ends the attempts whose worker was in the process that ended. Answers whether there were any.
    fn lose_workers(&mut self, now: Nanos) -> bool {
        let is_lost = |worker: &StartedActivity| worker.in_process;
        let lost = self.state.activities.iter();
        let lost = lost.filter(|activity| activity.started.as_ref().is_some_and(is_lost));
        let lost: Vec<_> = lost.map(|activity| activity.scheduled_event_id).collect();
        if !lost.is_empty() {
            // They end after what came in before.
            self.flush_buffered();
        }
        for id in &lost {
            self.lose_activity_worker(now, *id);
        }
        !lost.is_empty()
    }
}
