//! The tasks of one queue that wait for a worker: the most urgent first, and in order among equals.
//!
//! Of a task's priority only the key counts. Fairness keys and weights are not looked at: they share
//! out a backlog among tenants of a cluster, and here one thread hands out all there is.

use std::collections::VecDeque;

use super::matching::Waiting;
use crate::clock::Nanos;

/// Priority keys go from 1, the most urgent, to this.
pub(crate) const LOWEST_PRIORITY: i32 = 5;
/// The priority key of a task that names none.
pub(crate) const DEFAULT_PRIORITY: i32 = 3;

const LANES: usize = LOWEST_PRIORITY as usize;

#[derive(Debug)]
struct Entry {
    since: Nanos,
    task: Waiting,
}

/// Tasks in the order in which they are handed out.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    lanes: [VecDeque<Entry>; LANES],
    len: usize,
}

/// The lane of a priority key; 0 is "none given", and what is past the lowest counts as the lowest.
fn lane(priority: i32) -> usize {
    let key = match priority {
        0 => DEFAULT_PRIORITY,
        given => given.clamp(1, LOWEST_PRIORITY),
    };
    usize::try_from(key - 1).unwrap_or_default()
}

impl Backlog {
    pub(crate) fn push(&mut self, priority: i32, since: Nanos, task: Waiting) {
        self.lanes[lane(priority)].push_back(Entry { since, task });
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let entry = self.lanes.iter_mut().find_map(VecDeque::pop_front)?;
        self.len -= 1;
        Some(entry.task)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many tasks of this priority key wait.
    pub(crate) fn len_of(&self, priority: i32) -> usize {
        self.lanes[lane(priority)].len()
    }

    /// Since when the oldest task has waited: of this priority key, or (none) of all.
    pub(crate) fn oldest(&self, priority: Option<i32>) -> Option<Nanos> {
        let lanes = match priority {
            Some(priority) => &self.lanes[lane(priority)..=lane(priority)],
            None => &self.lanes[..],
        };
        lanes
            .iter()
            .filter_map(|lane| lane.front())
            .map(|entry| entry.since)
            .min()
    }

    /// Every task that waits.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Waiting> {
        self.lanes.iter().flatten().map(|entry| &entry.task)
    }

    /// All tasks that wait.
    pub(crate) fn into_tasks(self) -> impl Iterator<Item = Waiting> {
        self.lanes.into_iter().flatten().map(|entry| entry.task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(key: i64) -> Waiting {
        Waiting::Workflow { key, scheduled_at: 0 }
    }

    fn drain(backlog: &mut Backlog) -> Vec<i64> {
        std::iter::from_fn(|| backlog.pop())
            .map(|task| match task {
                Waiting::Workflow { key, .. } => key,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn urgent_tasks_come_first_and_equals_in_order() {
        let mut backlog = Backlog::default();
        for (at, (priority, key)) in [(0, 1), (5, 2), (1, 3), (3, 4), (1, 5), (99, 6), (-7, 7)]
            .iter()
            .enumerate()
        {
            backlog.push(*priority, at as Nanos, task(*key));
        }
        assert_eq!((backlog.len(), backlog.len_of(3), backlog.len_of(1)), (7, 2, 3));
        assert_eq!(
            (
                backlog.oldest(None),
                backlog.oldest(Some(1)),
                backlog.oldest(Some(2))
            ),
            (Some(0), Some(2), None)
        );
        assert_eq!(drain(&mut backlog), [3, 5, 7, 1, 4, 2, 6]);
        assert!(backlog.is_empty());
    }
}
