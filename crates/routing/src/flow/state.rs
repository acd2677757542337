//! What a flow knows, and what changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::window::Window;
use super::{Millis, Policy};

/// How large what waits may become, in bytes of state: a run's state has to fit the 2 MiB of its successor's input, with what
/// runs beside it.
const MOST_BYTES: usize = 1_400_000;
/// What an execution that waits takes besides its ids.
const BYTES_OF_ONE: usize = 80;

/// Longest cause of a failure that is kept, in bytes.
const LONGEST_CAUSE: usize = 300;

/// A flow: what waits, what runs, and what is held up by what.
///
/// Every execution that has [arrived](Self::arrive) is in one of these places until it has ended: it waits, it runs, or it
/// is about to be told that another takes its place. Nothing else removes one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct State {
    pub(super) route: String,
    pub(super) policy: Policy,
    /// The number of the next arrival.
    pub(super) next: u64,
    /// By key; of events without one under the empty key.
    pub(super) lanes: BTreeMap<String, Lane>,
    /// What runs, by workflow id.
    pub(super) running: BTreeMap<String, Running>,
    pub(super) starts: Window,
    /// Executions that run and asked again: they have not heard that they may.
    pub(super) again: BTreeSet<String>,
    /// Executions in whose place another one runs, with that one.
    pub(super) superseded: Vec<(String, String)>,
    /// When what runs was last looked after.
    pub(super) looked: Millis,
    /// Whether so many wait that no more are to be taken in, until it is tenth less.
    pub(super) full: bool,
    /// The ids of all that waits, by which a second arrival is known.
    #[serde(skip)]
    pub(super) held: BTreeSet<String>,
}

/// A [`State`] as it is written.
#[derive(Deserialize)]
struct Stored {
    route: String,
    policy: Policy,
    next: u64,
    lanes: BTreeMap<String, Lane>,
    running: BTreeMap<String, Running>,
    starts: Window,
    again: BTreeSet<String>,
    superseded: Vec<(String, String)>,
    looked: Millis,
    #[serde(default)]
    full: bool,
}

impl From<Stored> for State {
    fn from(stored: Stored) -> Self {
        let held = stored.lanes.values().flat_map(|lane| &lane.waiting);
        let held = held.map(|waiting| waiting.id.clone()).collect();
        let Stored {
            route,
            policy,
            next,
            lanes,
            running,
            starts,
            again,
            superseded,
            looked,
            full,
        } = stored;
        Self {
            route,
            policy,
            next,
            lanes,
            running,
            starts,
            again,
            superseded,
            looked,
            full,
            held,
        }
    }
}

/// The events of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lane {
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) waiting: VecDeque<Waiting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parked: Option<Parked>,
    /// Since when a person has paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<Millis>,
    /// How many run.
    #[serde(default)]
    pub(super) running: u32,
}

/// An execution that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) id: String,
    /// Its number among the arrivals.
    pub(super) seq: u64,
    pub(super) since: Millis,
    /// When the first of those came that it is the last of.
    pub(super) first: Millis,
    /// Size of its event.
    pub(super) bytes: u64,
    /// Whether the key is parked behind it: it is tried again, and the key's other events are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) retry: bool,
}

/// An execution that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) key: String,
    pub(super) since: Millis,
}

/// Why a key is parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Workflow id of the execution that failed for good.
    pub by: String,
    /// When.
    pub since: Millis,
    /// Why it failed.
    pub cause: String,
}

/// An execution asks whether it may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Its workflow id.
    pub id: String,
    /// Its event's key; empty if it has none.
    #[serde(default)]
    pub key: String,
    /// Size of its event.
    #[serde(default)]
    pub bytes: u64,
    /// What its route asks for.
    pub policy: Policy,
}

/// An execution has ended, or will with what it does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its workflow id.
    pub id: String,
    /// Its event's key.
    #[serde(default)]
    pub key: String,
    /// How.
    pub outcome: Outcome,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it had to.
    Done,
    /// A person cancelled, terminated or removed it: it is out of the way.
    Withdrawn,
    /// It failed for good.
    Failed {
        /// Why.
        cause: String,
    },
}

impl State {
    /// A flow of this route that knows of nothing.
    pub fn new(route: impl Into<String>) -> Self {
        Self {
            route: route.into(),
            ..Self::default()
        }
    }

    /// An execution asks whether it may run; [`decide`](Self::decide) says what becomes of it. One that waits already goes
    /// on waiting, and one that runs is told once more that it may. Where twice as many wait as should, or the state would
    /// grow too large, it is not noted: it asks again later.
    pub fn arrive(&mut self, now: Millis, arrival: Arrival) {
        let Arrival {
            id,
            key,
            bytes,
            policy,
        } = arrival;
        self.policy = policy;
        if self.running.contains_key(&id) {
            self.again.insert(id);
            return;
        }
        if self.held.contains(&id) {
            return;
        }
        let behind_it = |lane: &Lane| lane.parked.as_ref().is_some_and(|parked| parked.by == id);
        if self.is_overfull() && !self.lanes.get(&key).is_some_and(behind_it) {
            return;
        }
        self.held.insert(id.clone());
        let seq = self.next;
        self.next += 1;
        let lane = self.lanes.entry(key.clone()).or_default();
        let mut waiting = Waiting {
            id,
            seq,
            since: now,
            first: now,
            bytes,
            retry: false,
        };
        if lane.parked.as_ref().is_some_and(|parked| parked.by == waiting.id) {
            waiting.retry = true;
            lane.waiting.push_front(waiting);
            return;
        }
        if self.policy.debounce.is_some() && !key.is_empty() {
            let earlier: Vec<_> = lane.waiting.iter().filter(|held| !held.retry).cloned().collect();
            lane.waiting.retain(|held| held.retry);
            for held in earlier {
                waiting.first = waiting.first.min(held.first);
                self.held.remove(&held.id);
                self.superseded.push((held.id, waiting.id.clone()));
            }
        }
        lane.waiting.push_back(waiting);
    }

    /// An execution has ended. With order, one that failed for good parks its key.
    pub fn ended(&mut self, now: Millis, ended: Ended) {
        let Ended { id, key, outcome } = ended;
        self.again.remove(&id);
        let key = match self.running.remove(&id) {
            Some(ran) => {
                let lane = self.lanes.entry(ran.key.clone()).or_default();
                lane.running = lane.running.saturating_sub(1);
                ran.key
            }
            None => key,
        };
        let lane = self.lanes.entry(key.clone()).or_default();
        if self.held.remove(&id) {
            lane.waiting.retain(|waiting| waiting.id != id);
        }
        let behind_it = lane.parked.as_ref().is_some_and(|parked| parked.by == id);
        match outcome {
            Outcome::Failed { mut cause } if self.policy.order && !key.is_empty() => {
                cause.truncate(cause.floor_char_boundary(LONGEST_CAUSE));
                // Parked behind one execution already: that one goes first, and this one is behind it.
                if behind_it || lane.parked.is_none() {
                    lane.parked = Some(Parked {
                        by: id,
                        since: now,
                        cause,
                    });
                }
            }
            _ if behind_it => lane.parked = None,
            _ => {}
        }
        self.tidy(&key);
    }

    /// An execution that was told to run is not there any more. What has reported its end already is none of these.
    pub fn gone(&mut self, now: Millis, id: &str) {
        if let Some(key) = self.running.get(id).map(|running| running.key.clone()) {
            let ended = Ended {
                id: id.to_owned(),
                key,
                outcome: Outcome::Withdrawn,
            };
            self.ended(now, ended);
        }
    }

    /// Whether an execution may run and has not ended.
    pub fn runs(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    /// A person lets the events go on that wait behind the one that failed. False: the key is not parked.
    pub fn release(&mut self, key: &str) -> bool {
        let Some(lane) = self.lanes.get_mut(key) else {
            return false;
        };
        let released = lane.parked.take().is_some();
        // One that was to be tried again is an event as any other now, and still the first.
        for waiting in &mut lane.waiting {
            waiting.retry = false;
        }
        self.tidy(key);
        released
    }

    /// A person pauses a key. False: it is paused.
    pub fn pause(&mut self, now: Millis, key: &str) -> bool {
        let lane = self.lanes.entry(key.to_owned()).or_default();
        let pauses = lane.paused.is_none();
        lane.paused.get_or_insert(now);
        pauses
    }

    /// A person lets a paused key go on. False: it is not paused.
    pub fn resume(&mut self, key: &str) -> bool {
        let Some(lane) = self.lanes.get_mut(key) else {
            return false;
        };
        let resumed = lane.paused.take().is_some();
        self.tidy(key);
        resumed
    }

    /// Whether so many wait that no more are to be taken in. It stays so until it is a tenth less.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Sees whether it is full.
    pub(super) fn fill(&mut self) {
        let most = self.policy.max_waiting();
        let enough = if self.full { most - most / 10 } else { most };
        // The ids are added up only where there are many.
        let large = self.held.len() >= MOST_BYTES / 2_000 && self.bytes() >= MOST_BYTES / 2;
        self.full = self.held.len() >= enough || large;
    }

    fn is_overfull(&self) -> bool {
        self.full
            && (self.held.len() >= self.policy.max_waiting().saturating_mul(2) || self.bytes() >= MOST_BYTES)
    }

    /// About how large what waits is.
    fn bytes(&self) -> usize {
        self.held.iter().map(|id| id.len() + BYTES_OF_ONE).sum()
    }

    /// The route.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// How many keys are parked.
    pub fn parked(&self) -> usize {
        self.lanes.values().filter(|lane| lane.parked.is_some()).count()
    }

    /// How many keys a person has paused.
    pub fn paused(&self) -> usize {
        self.lanes.values().filter(|lane| lane.paused.is_some()).count()
    }

    /// Forgets a key of which there is nothing to know.
    pub(super) fn tidy(&mut self, key: &str) {
        let empty = self.lanes.get(key).is_some_and(|lane| {
            lane.waiting.is_empty() && lane.parked.is_none() && lane.paused.is_none() && lane.running == 0
        });
        if empty {
            self.lanes.remove(key);
        }
    }
}
