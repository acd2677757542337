//! The tasks of one queue that wait for a worker: the most urgent first, and in order among equals.
//!
//! Tasks of the same priority key that have fairness keys share what workers take: each key has its turn as often as its
//! weight says, however many tasks of it wait. Tasks without one count as one more key. A queue in which no task has a
//! fairness key is a plain list.

use std::collections::{BTreeSet, HashMap};

use super::{fifo::Fifo, matching::Waiting};
use crate::{clock::Nanos, core::Rank};

/// Priority keys go from 1, the most urgent, to this.
pub(crate) const LOWEST_PRIORITY: i32 = 5;
/// The priority key of a task that names none.
pub(crate) const DEFAULT_PRIORITY: i32 = 3;

const LANES: usize = LOWEST_PRIORITY as usize;
/// How far one task of weight 1 moves its key on.
const STRIDE: f64 = 1_000_000.0;
/// Weights count between these.
const WEIGHTS: (f32, f32) = (0.001, 1_000.0);
/// Keys without tasks that are remembered, so that they do not get more than their turn.
const REMEMBERED: usize = 1_000;

#[derive(Debug)]
struct Entry {
    since: Nanos,
    task: Waiting,
}

/// Tasks in the order in which they are handed out.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    lanes: [Lane; LANES],
    len: usize,
}

/// The tasks of one priority key.
#[derive(Debug, Default)]
struct Lane {
    /// Those without a fairness key.
    plain: Fifo<Entry>,
    /// The others; none as long as there are none.
    fair: Option<Box<Fair>>,
}

/// Tasks with fairness keys, and whose turn it is. A key's place is how far it has got; the one that is least far is next.
#[derive(Debug, Default)]
struct Fair {
    tasks: HashMap<String, Fifo<(f32, Entry)>>,
    order: BTreeSet<(u64, String)>,
    places: HashMap<String, u64>,
    /// Where the last one was whose turn it was.
    now: u64,
    /// The place of the tasks without a key.
    plain: u64,
}

/// The lane of a priority key; 0 is "none given", and what is past the lowest counts as the lowest.
fn lane(priority: i32) -> usize {
    let key = match priority {
        0 => DEFAULT_PRIORITY,
        given => given.clamp(1, LOWEST_PRIORITY),
    };
    usize::try_from(key - 1).unwrap_or_default()
}

fn step(weight: f32) -> u64 {
    let weight = if weight > 0.0 { weight } else { 1.0 };
    (STRIDE / f64::from(weight.clamp(WEIGHTS.0, WEIGHTS.1))) as u64
}

impl Fair {
    fn push(&mut self, key: String, weight: f32, entry: Entry) {
        let tasks = self.tasks.entry(key.clone()).or_default();
        if tasks.is_empty() {
            let place = self.places.entry(key.clone()).or_default();
            *place = self.now.max(*place);
            self.order.insert((*place, key));
        }
        tasks.push_back((weight, entry));
    }

    fn pop(&mut self) -> Option<Entry> {
        let (place, key) = self.order.pop_first()?;
        let tasks = self.tasks.get_mut(&key)?;
        let (weight, entry) = tasks.pop_front()?;
        let is_last = tasks.is_empty();
        self.now = place;
        let next = place + step(weight);
        self.places.insert(key.clone(), next);
        if is_last {
            self.tasks.remove(&key);
            if self.places.len() > self.tasks.len() + REMEMBERED {
                self.places
                    .retain(|key, place| *place > self.now || self.tasks.contains_key(key));
            }
        } else {
            self.order.insert((next, key));
        }
        Some(entry)
    }

    /// Where the next one is whose turn it is.
    fn next(&self) -> Option<u64> {
        self.order.first().map(|(place, _)| *place)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.tasks.values().flat_map(Fifo::iter).map(|(_, entry)| entry)
    }
}

impl Lane {
    fn push(&mut self, rank: Rank, entry: Entry) {
        if rank.fairness_key.is_empty() {
            self.plain.push_back(entry);
        } else {
            let fair = self.fair.get_or_insert_default();
            fair.push(rank.fairness_key, rank.fairness_weight, entry);
        }
    }

    fn pop(&mut self) -> Option<Entry> {
        let Some(fair) = &mut self.fair else {
            return self.plain.pop_front();
        };
        let plain = fair.plain.max(fair.now);
        let is_plain = !self.plain.is_empty() && fair.next().is_none_or(|place| plain <= place);
        let entry = if is_plain {
            fair.now = plain;
            fair.plain = plain + step(1.0);
            self.plain.pop_front()
        } else {
            fair.pop()
        };
        if fair.tasks.is_empty() && self.plain.is_empty() {
            self.fair = None;
        }
        entry
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.plain
            .iter()
            .chain(self.fair.iter().flat_map(|fair| fair.entries()))
    }

    fn len(&self) -> usize {
        let fair = self.fair.as_ref();
        self.plain.len() + fair.map_or(0, |fair| fair.tasks.values().map(Fifo::len).sum())
    }

    /// Since when the oldest task has waited.
    fn oldest(&self) -> Option<Nanos> {
        let fair = self.fair.iter().flat_map(|fair| fair.tasks.values());
        let firsts = fair.filter_map(|tasks| tasks.front().map(|(_, entry)| entry));
        self.plain
            .front()
            .into_iter()
            .chain(firsts)
            .map(|entry| entry.since)
            .min()
    }

    /// Takes out the tasks that `is_it` says.
    fn take(&mut self, is_it: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let mut taken = Vec::new();
        let (out, kept): (Fifo<_>, _) = std::mem::take(&mut self.plain)
            .into_iter()
            .partition(|entry| is_it(&entry.task));
        self.plain = kept;
        taken.extend(out.into_iter().map(|entry| entry.task));
        if let Some(fair) = &mut self.fair {
            for tasks in fair.tasks.values_mut() {
                let (out, kept): (Fifo<_>, _) = std::mem::take(tasks)
                    .into_iter()
                    .partition(|(_, entry)| is_it(&entry.task));
                *tasks = kept;
                taken.extend(out.into_iter().map(|(_, entry)| entry.task));
            }
            fair.tasks.retain(|_, tasks| !tasks.is_empty());
            let Fair { order, tasks, .. } = &mut **fair;
            order.retain(|(_, key)| tasks.contains_key(key));
        }
        taken
    }
}

impl Backlog {
    pub(crate) fn push(&mut self, rank: Rank, since: Nanos, task: Waiting) {
        self.lanes[lane(rank.priority)].push(rank, Entry { since, task });
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let entry = self.lanes.iter_mut().find_map(Lane::pop)?;
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
        lanes.iter().filter_map(Lane::oldest).min()
    }

    /// Every task that waits.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Waiting> {
        self.lanes.iter().flat_map(Lane::entries).map(|entry| &entry.task)
    }

    /// Takes out the tasks that `is_it` says: they are offered anew. Goes through all tasks.
    pub(crate) fn take(&mut self, is_it: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let taken: Vec<_> = self.lanes.iter_mut().flat_map(|lane| lane.take(&is_it)).collect();
        self.len -= taken.len();
        taken
    }

    /// All tasks that wait, in order.
    pub(crate) fn into_tasks(mut self) -> impl Iterator<Item = Waiting> {
        std::iter::from_fn(move || self.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(key: i64) -> Waiting {
        Waiting::Workflow { key, scheduled_at: 0 }
    }

    fn rank(priority: i32, fairness_key: &str, fairness_weight: f32) -> Rank {
        Rank {
            priority,
            fairness_key: fairness_key.to_owned(),
            fairness_weight,
        }
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
            backlog.push(rank(*priority, "", 0.0), at as Nanos, task(*key));
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

    #[test]
    fn keys_take_turns_however_many_tasks_they_have() {
        let mut backlog = Backlog::default();
        for key in 0..8 {
            backlog.push(rank(0, "many", 0.0), 0, task(key));
        }
        backlog.push(rank(0, "few", 0.0), 0, task(100));
        backlog.push(rank(0, "few", 0.0), 0, task(101));
        backlog.push(rank(0, "", 0.0), 0, task(200));
        backlog.push(rank(1, "many", 0.0), 0, task(300));
        assert_eq!((backlog.len(), backlog.len_of(3)), (12, 11));
        let order = drain(&mut backlog);
        assert_eq!(order[0], 300, "priority goes before fairness");
        let place = |key: i64| order.iter().position(|other| *other == key).unwrap();
        assert!(place(100) <= 3 && place(101) <= 6 && place(200) <= 3, "{order:?}");
        let many: Vec<_> = order.iter().filter(|key| **key < 8).collect();
        assert!(many.is_sorted(), "a key's own tasks stay in order: {order:?}");
        assert!(
            backlog.lanes.iter().all(|lane| lane.fair.is_none()),
            "forgotten when empty"
        );
    }

    #[test]
    fn a_weight_says_how_often() {
        let mut backlog = Backlog::default();
        for key in 0..40 {
            backlog.push(rank(0, "light", 1.0), 0, task(key));
            backlog.push(rank(0, "heavy", 3.0), 0, task(100 + key));
        }
        let first = std::iter::from_fn(|| backlog.pop()).take(40);
        let heavy = first
            .filter(|task| matches!(task, Waiting::Workflow { key, .. } if *key >= 100))
            .count();
        assert!((28..=32).contains(&heavy), "{heavy} of 40");
    }

    #[test]
    fn a_key_that_comes_back_has_no_more_than_its_turn() {
        let mut backlog = Backlog::default();
        for key in 0..10 {
            backlog.push(rank(0, "waits", 0.0), 0, task(key));
        }
        let mut order = Vec::new();
        for n in 0..10 {
            backlog.push(rank(0, "eager", 0.0), 0, task(100 + n));
            match backlog.pop() {
                Some(Waiting::Workflow { key, .. }) => order.push(key),
                other => panic!("{other:?}"),
            }
        }
        let eager = order.iter().filter(|key| **key >= 100).count();
        assert!((4..=6).contains(&eager), "{order:?}");
    }

    #[test]
    fn tasks_are_taken_out() {
        let mut backlog = Backlog::default();
        for (key, fairness) in [(1, ""), (2, "a"), (3, ""), (4, "a"), (5, "b")] {
            backlog.push(rank(0, fairness, 0.0), 0, task(key));
        }
        let is_it = |waiting: &Waiting| matches!(waiting, Waiting::Workflow { key: 1 | 4 | 5, .. });
        assert_eq!(backlog.take(is_it).len(), 3);
        assert_eq!(backlog.len(), 2);
        let mut rest = drain(&mut backlog);
        rest.sort_unstable();
        assert_eq!(rest, [2, 3]);
    }
}
