//! One task queue: who waits for a task, what waits for a worker, and how fast it goes. In memory alone.

use std::collections::{HashMap, VecDeque};

use temporalio_protos::temporal::api::{
    deployment::v1::WorkerDeploymentOptions, taskqueue::v1::PollerScalingDecision,
};

use super::{
    backlog::Backlog,
    matching::{Poller, Waiting},
    rates::{Meter, Throttle},
};
use crate::clock::{Nanos, SECOND};

/// Who has polled is shown so long.
pub(super) const POLLER_SHOWN: Nanos = 300 * SECOND;
/// A poll that has waited so long was one too many.
const IDLE_POLL: Nanos = SECOND;
/// A task that has waited so long wants more polls.
const OLD_TASK: Nanos = SECOND / 5;
/// More polls are asked for this often at most.
const MORE_POLLS_EVERY: Nanos = SECOND / 10;
/// How long a queue counts as held back by its rate limit.
const THROTTLING_SHOWN: Nanos = 30 * SECOND;

/// A poll of late, by its identity.
#[derive(Clone, Debug)]
pub(crate) struct SeenPoller {
    pub(crate) at: Nanos,
    pub(crate) rate: Option<f64>,
    pub(crate) deployment: Option<WorkerDeploymentOptions>,
}

/// One task queue.
#[derive(Debug, Default)]
pub(crate) struct TaskQueue {
    pub(crate) backlog: Backlog,
    pub(super) pollers: VecDeque<Poller>,
    pub(super) last_poll_at: Nanos,
    pub(super) seen: HashMap<String, SeenPoller>,
    pub(crate) added: Meter,
    pub(crate) dispatched: Meter,
    /// What the last worker asked for.
    pub(super) worker_rate: Option<f64>,
    throttle: Option<Throttle>,
    throttled_at: Nanos,
    more_polls_at: Nanos,
}

impl TaskQueue {
    /// The worker that has waited longest and still waits.
    pub(crate) fn take_poller(&mut self) -> Option<Poller> {
        while let Some(poller) = self.pollers.pop_front() {
            if !poller.reply.is_closed() {
                return Some(poller);
            }
        }
        None
    }

    pub(crate) fn take_task(&mut self) -> Option<Waiting> {
        self.backlog.pop()
    }

    pub(crate) fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// Tasks a second at most, where something limits them.
    pub(crate) fn limit(&self) -> Option<f64> {
        self.throttle.as_ref().map(Throttle::per_second)
    }

    /// When the next task may be handed out; none: now.
    pub(crate) fn held_until(&mut self, now: Nanos) -> Option<Nanos> {
        let at = self.throttle.as_ref()?.ready_at(now);
        if at <= now {
            return None;
        }
        self.throttled_at = now;
        Some(at)
    }

    /// Whether the rate limit held a task back of late.
    pub(crate) fn was_throttled(&self, now: Nanos) -> bool {
        self.throttled_at != 0 && self.throttled_at.saturating_add(THROTTLING_SHOWN) > now
    }

    /// A task was handed out.
    pub(crate) fn note_dispatch(&mut self, now: Nanos) {
        self.dispatched.note(now);
        if let Some(throttle) = &mut self.throttle {
            throttle.take(now);
        }
    }

    pub(super) fn set_limit(&mut self, limit: Option<f64>, now: Nanos) {
        if self.limit() != limit {
            self.throttle = limit.map(|rate| Throttle::new(rate, now));
        }
    }

    /// Who has polled of late, by identity.
    pub(crate) fn seen_pollers(&self, now: Nanos) -> impl Iterator<Item = (&str, &SeenPoller)> {
        let of_late = move |seen: &SeenPoller| seen.at.saturating_add(POLLER_SHOWN) > now;
        self.seen
            .iter()
            .filter(move |(_, seen)| of_late(seen))
            .map(|(identity, seen)| (identity.as_str(), seen))
    }

    /// Whether the worker whose poll is being answered does well to poll more, or less.
    pub(crate) fn scaling(&mut self, poll_since: Nanos, now: Nanos) -> Option<PollerScalingDecision> {
        let suggest = |poll_request_delta_suggestion| {
            Some(PollerScalingDecision {
                poll_request_delta_suggestion,
            })
        };
        if poll_since.saturating_add(IDLE_POLL) <= now {
            return suggest(-1);
        }
        let oldest = self.backlog.oldest(None)?;
        if oldest.saturating_add(OLD_TASK) > now
            || self.more_polls_at.saturating_add(MORE_POLLS_EVERY) > now
            || self.was_throttled(now)
        {
            return None;
        }
        self.more_polls_at = now;
        suggest(1)
    }

    pub(super) fn is_unused(&self, now: Nanos) -> bool {
        self.backlog.is_empty()
            && self.pollers.is_empty()
            && self.last_poll_at.saturating_add(POLLER_SHOWN) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Rank;

    const START: Nanos = 1_000 * SECOND;

    fn suggested(queue: &mut TaskQueue, poll_since: Nanos, now: Nanos) -> Option<i32> {
        let decision = queue.scaling(poll_since, now);
        decision.map(|decision| decision.poll_request_delta_suggestion)
    }

    #[test]
    fn idle_polls_are_too_many_and_old_tasks_want_more() {
        let mut queue = TaskQueue::default();
        let task = || Waiting::Workflow {
            key: 1,
            scheduled_at: 0,
        };
        assert_eq!(suggested(&mut queue, START, START), None);
        assert_eq!(suggested(&mut queue, START, START + IDLE_POLL), Some(-1));
        queue.backlog.push(Rank::default(), START, task());
        assert_eq!(suggested(&mut queue, START, START), None, "the task is new");
        let later = START + OLD_TASK;
        assert_eq!(suggested(&mut queue, later, later), Some(1));
        assert_eq!(suggested(&mut queue, later, later), None, "just suggested");
        let later = later + MORE_POLLS_EVERY;
        assert_eq!(suggested(&mut queue, later, later), Some(1));
    }

    #[test]
    fn a_rate_limit_holds_tasks_back_and_more_polls_would_not_help() {
        let mut queue = TaskQueue::default();
        assert_eq!(queue.held_until(START), None);
        queue.set_limit(Some(2.0), START);
        for _ in 0..2 {
            assert_eq!(queue.held_until(START), None);
            queue.note_dispatch(START);
        }
        let until = queue.held_until(START).expect("the next second's");
        assert!((START..=START + SECOND / 2 + 2).contains(&until));
        assert!(queue.was_throttled(START) && !queue.was_throttled(START + THROTTLING_SHOWN));
        let task = Waiting::Workflow {
            key: 1,
            scheduled_at: 0,
        };
        queue.backlog.push(Rank::default(), START, task);
        assert_eq!(suggested(&mut queue, START + SECOND, START + SECOND), None);
        queue.set_limit(None, START);
        assert_eq!(queue.held_until(START), None);
    }
}
