//! What a flow does next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use segno_event::Event;
use serde_json::Value;

use super::state::{Lane, Running, State, Waiting};
use super::{Millis, Policy};
use crate::workflow_id;

/// Source of the events that batches are.
pub const BATCH_SOURCE: &str = "segno:batch";
/// Type of the events that batches are.
pub const BATCH_TYPE: &str = "segno.batch";
/// The events of a batch are at most so large together, in bytes, unless it is a single one: an execution's input is at
/// most 2 MiB.
pub const MAX_BATCH_BYTES: u64 = 1 << 20;

/// How long something runs before it is looked after, in milliseconds.
const LOOK: Millis = 60_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// This execution may run.
    Go {
        /// Its workflow id.
        id: String,
    },
    /// Another execution runs in place of this one.
    Supersede {
        /// Its workflow id.
        id: String,
        /// The other's.
        by: String,
    },
    /// These run as one.
    Batch {
        /// Workflow id of the execution that is to be started for them.
        id: String,
        /// The key they have in common.
        key: String,
        /// Their workflow ids, in their order.
        members: Vec<String>,
    },
}

/// The event that a batch is: its id is the workflow id of its first member, its data the list of the members.
pub fn batch_event(first: &str, key: &str, events: Vec<Value>) -> Event {
    let mut event = Event::new(BATCH_SOURCE, first, BATCH_TYPE).with_data(Value::Array(events));
    event.subject = (!key.is_empty()).then(|| key.to_owned());
    event
}

impl State {
    /// What is to be done now. What it says is done is taken as done.
    pub fn decide(&mut self, now: Millis) -> Vec<Action> {
        self.starts.expire(now, self.policy.rate());
        let mut actions: Vec<_> = std::mem::take(&mut self.superseded)
            .into_iter()
            .map(|(id, by)| Action::Supersede { id, by })
            .collect();
        actions.extend(
            std::mem::take(&mut self.again)
                .into_iter()
                .map(|id| Action::Go { id }),
        );

        // The first of each lane by their order of arrival; with a batch the lane's next batch is in its place.
        let mut heads: BinaryHeap<Reverse<(u64, String)>> = self
            .lanes
            .iter()
            .filter_map(|(key, lane)| self.head(key, lane, now))
            .collect();
        while let Some(Reverse((_, key))) = heads.pop() {
            if !self.has_room() {
                break;
            }
            let started = self.start(now, &key);
            actions.push(started);
            if let Some(lane) = self.lanes.get(&key)
                && let Some(head) = self.head(&key, lane, now)
            {
                heads.push(head);
            }
        }
        self.fill();
        actions
    }

    /// When to decide again if nothing happens before.
    pub fn wake_at(&self, now: Millis) -> Option<Millis> {
        let mut times = Vec::new();
        let mut held_back = false;
        for (key, lane) in &self.lanes {
            if self.is_open(key, lane)
                && let Some(ready) = self.ready_at(lane)
            {
                if ready > now {
                    times.push(ready);
                } else {
                    held_back = true;
                }
            }
        }
        // What could start and does not waits for a place, of which the flow hears, or for the rate. A flow that has
        // nothing else to do waits until it may forget the rate.
        let rate = self.policy.rate();
        if let Some(rate) = rate
            && ((held_back && self.starts.room(rate) == 0) || self.lanes.is_empty())
        {
            times.extend(self.starts.next(rate));
        }
        if let Some(oldest) = self.running.values().map(|running| running.since).min() {
            times.push(oldest.max(self.looked).saturating_add(LOOK));
        }
        times.into_iter().min()
    }

    /// What has run for long enough to be looked after: it may have been terminated without a word.
    pub fn look(&mut self, now: Millis) -> Vec<String> {
        let due = |since: Millis| since.saturating_add(LOOK) <= now;
        if !due(self.looked) {
            return Vec::new();
        }
        let long: Vec<_> = self
            .running
            .iter()
            .filter(|(_, running)| due(running.since))
            .map(|(id, _)| id.clone())
            .collect();
        if !long.is_empty() {
            self.looked = now;
        }
        long
    }

    /// Whether there is nothing to know any more.
    pub fn is_done(&mut self, now: Millis) -> bool {
        self.starts.expire(now, self.policy.rate());
        self.lanes.is_empty()
            && self.running.is_empty()
            && self.again.is_empty()
            && self.superseded.is_empty()
            && self.starts.is_empty()
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.policy.concurrency()
            && self.policy.rate().is_none_or(|rate| self.starts.room(rate) > 0)
    }

    /// Whether nothing of the key itself holds up its first event.
    pub(super) fn is_open(&self, key: &str, lane: &Lane) -> bool {
        let Some(first) = lane.waiting.front() else {
            return false;
        };
        lane.paused.is_none()
            && (lane.parked.is_none() || first.retry)
            && !(self.policy.order && !key.is_empty() && lane.running > 0)
    }

    /// When the lane's first event, or its next batch, may run.
    pub(super) fn ready_at(&self, lane: &Lane) -> Option<Millis> {
        let first = lane.waiting.front()?;
        if first.retry {
            return Some(0);
        }
        let Policy { debounce, batch, .. } = &self.policy;
        if let Some(batch) = batch {
            let full = next_batch(lane, batch.size.get() as usize).1;
            return Some(if full {
                0
            } else {
                first.since.saturating_add(batch.within)
            });
        }
        Some(match debounce {
            Some(debounce) => {
                let quiet = first.since.saturating_add(debounce.quiet);
                quiet.min(first.first.saturating_add(debounce.max))
            }
            None => 0,
        })
    }

    fn head(&self, key: &str, lane: &Lane, now: Millis) -> Option<Reverse<(u64, String)>> {
        let ready = self.is_open(key, lane) && self.ready_at(lane)? <= now;
        let first = lane.waiting.front()?;
        ready.then(|| Reverse((first.seq, key.to_owned())))
    }

    /// Starts the first event of a lane, or its next batch. The lane has one.
    fn start(&mut self, now: Millis, key: &str) -> Action {
        let lane = self.lanes.entry(key.to_owned()).or_default();
        let count = match (&self.policy.batch, lane.waiting.front()) {
            (Some(batch), Some(first)) if !first.retry => next_batch(lane, batch.size.get() as usize).0,
            _ => 1,
        };
        let taken: Vec<Waiting> = lane.waiting.drain(..count.min(lane.waiting.len())).collect();
        for waiting in &taken {
            self.held.remove(&waiting.id);
        }
        let batched = self.policy.batch.is_some() && !taken.iter().any(|waiting| waiting.retry);
        let mut members: Vec<String> = taken.into_iter().map(|waiting| waiting.id).collect();
        let first = members.first().cloned().unwrap_or_default();
        let id = if batched {
            workflow_id(&self.route, &batch_event(&first, key, Vec::new()))
        } else {
            first
        };
        lane.running += 1;
        let running = Running {
            key: key.to_owned(),
            since: now,
        };
        self.running.insert(id.clone(), running);
        if let Some(rate) = self.policy.rate() {
            self.starts.take(now, rate);
        }
        if batched {
            members.shrink_to_fit();
            Action::Batch {
                id,
                key: key.to_owned(),
                members,
            }
        } else {
            Action::Go { id }
        }
    }
}

/// How many events the lane's next batch has, and whether it is full.
fn next_batch(lane: &Lane, size: usize) -> (usize, bool) {
    let mut bytes: u64 = 0;
    for (n, waiting) in lane.waiting.iter().enumerate() {
        bytes = bytes.saturating_add(waiting.bytes);
        if n > 0 && bytes > MAX_BATCH_BYTES {
            return (n, true);
        }
        if n + 1 >= size {
            return (n + 1, true);
        }
    }
    (lane.waiting.len().max(1), false)
}
