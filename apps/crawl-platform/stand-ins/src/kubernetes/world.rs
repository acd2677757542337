//! What is beside the API server in a cluster: the scheduler, the nodes and the controllers; and what they are told to do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::{
    admission::{suffix, timestamp},
    kinds::{Key, Kind},
    logs::Logs,
    store::{Outcome, Store},
};

/// What becomes of a pod.
#[derive(Clone, Debug)]
pub struct Plan {
    /// From its place on a node until it runs.
    pub start: Start,
    /// What it does then.
    pub course: Course,
    /// The exit code with which it ends at once when it is told to (SIGTERM); without one, it does not listen and is
    /// killed when its grace is over. Real processes decide for themselves.
    pub on_stop: Option<i32>,
    /// What it writes at its start.
    pub log: String,
}

/// How a pod starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// It runs after so long.
    After(Duration),
    /// It does not: its image cannot be had.
    ImagePullBackOff,
}

/// What a running pod does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Course {
    /// It runs until [`World::end`].
    UntilTold,
    /// It ends by itself after so long.
    Ends(Duration, End),
    /// Its container's command runs as a process on this machine, whatever its image.
    Process,
}

/// How a pod ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// Its process ends with this code.
    Exits(i32),
    /// It is killed because it took more memory than it may.
    OutOfMemory,
    /// The node puts it out, for this reason.
    Evicted(String),
}

impl Default for Plan {
    /// It starts at once and soon succeeds.
    fn default() -> Self {
        Self {
            start: Start::After(Duration::ZERO),
            course: Course::Ends(Duration::from_millis(100), End::Exits(0)),
            on_stop: Some(143),
            log: String::new(),
        }
    }
}

/// The room that the nodes have.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) places: usize,
    pub(crate) taken: usize,
    /// What the scheduler says when there is none.
    pub(crate) message: String,
}

/// A pod that has a life of its own here.
pub(crate) struct Living {
    pub(crate) key: Key,
    /// Counts the changes of its object.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) told: watch::Sender<Option<End>>,
}

type Plans = Box<dyn FnMut(&Value) -> Plan + Send>;

/// The world beside the API server. It goes on while that is away.
pub struct World {
    pub(crate) store: Arc<Store>,
    pub(crate) logs: Arc<Logs>,
    plans: Mutex<Plans>,
    pub(crate) room: watch::Sender<Room>,
    /// By their ids.
    pub(crate) living: Mutex<HashMap<String, Living>>,
}

impl World {
    pub(crate) fn new(store: Arc<Store>, logs: Arc<Logs>) -> Self {
        Self {
            store,
            logs,
            plans: Mutex::new(Box::new(|_| Plan::default())),
            room: watch::Sender::new(Room {
                places: usize::MAX,
                taken: 0,
                message: String::new(),
            }),
            living: Mutex::new(HashMap::new()),
        }
    }

    /// Decides what becomes of each new pod, by its object, from now on.
    pub fn plan(&self, decide: impl FnMut(&Value) -> Plan + Send + 'static) {
        *locked(&self.plans) = Box::new(decide);
    }

    /// From now on the nodes have room for so many pods. Others stay pending, with this as the scheduler's reason.
    pub fn limit(&self, places: usize, message: &str) {
        self.room.send_modify(|room| {
            room.places = places;
            message.clone_into(&mut room.message);
        });
    }

    /// Ends the running pods of this job, whatever their plan. How many were told.
    pub fn end(&self, namespace: &str, job: &str, end: &End) -> usize {
        let mut told = 0;
        for living in locked(&self.living).values() {
            let of_job = living.key.namespace == namespace
                && self
                    .store
                    .get(&living.key)
                    .is_some_and(|pod| pod["metadata"]["labels"]["job-name"] == job);
            if of_job {
                living.told.send_replace(Some(end.clone()));
                told += 1;
            }
        }
        told
    }

    /// Adds to the logs of this job's pods.
    pub fn write_log(&self, namespace: &str, job: &str, text: &str) {
        for pod in self.store.list(Kind::Pod, Some(namespace)).objects {
            if pod["metadata"]["labels"]["job-name"] == job {
                self.logs
                    .write(pod["metadata"]["uid"].as_str().unwrap_or_default(), text);
            }
        }
    }

    /// Deletes an object as if a person with rights to everything had, with nothing left behind and nobody asked.
    pub fn vanish(&self, kind: &str, namespace: &str, name: &str) {
        if let Some(kind) = Kind::ALL.into_iter().find(|one| one.name() == kind) {
            let key = Key::new(kind, namespace, name);
            // Whether it was there decides nothing.
            let _ = self.store.change(&key, |_| Ok(Outcome::Remove));
        }
    }

    /// An object as it is now; for a kind's name as `Job` or `Pod`.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = Kind::ALL.into_iter().find(|one| one.name() == kind)?;
        let object = self.store.get(&Key::new(kind, namespace, name))?;
        Some(object.as_ref().clone())
    }

    /// All objects of a kind in a namespace.
    pub fn objects(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let Some(kind) = Kind::ALL.into_iter().find(|one| one.name() == kind) else {
            return Vec::new();
        };
        let listing = self.store.list(kind, Some(namespace));
        listing
            .objects
            .iter()
            .map(|object| object.as_ref().clone())
            .collect()
    }

    pub(crate) fn plan_of(&self, pod: &Value) -> Plan {
        (locked(&self.plans))(pod)
    }

    /// Writes an event about an object.
    pub(crate) fn event(&self, about: &Value, component: &str, kind: &str, reason: &str, message: &str) {
        let metadata = &about["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        let name = format!("{}.{}", text("name"), suffix());
        let now = timestamp(OffsetDateTime::now_utc());
        let event = json!({
            "kind": "Event", "apiVersion": "v1",
            "metadata": { "name": name, "namespace": metadata["namespace"], "creationTimestamp": now },
            "involvedObject": {
                "kind": about["kind"], "apiVersion": about["apiVersion"], "namespace": metadata["namespace"],
                "name": metadata["name"], "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
            },
            "reason": reason, "message": message, "type": kind, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now,
            "source": { "component": component }, "reportingComponent": "", "reportingInstance": "",
        });
        let key = Key::new(Kind::Event, text("namespace"), &name);
        // An event that is not written is missed by nobody.
        let _ = self.store.change(&key, |_| Ok(Outcome::Put(event)));
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
