//! The workers that say they are there, as their last heartbeats described them. In memory alone:
//! a worker tells again within a minute.

use std::collections::BTreeMap;

use temporalio_protos::temporal::api::{enums::v1::WorkerStatus, worker::v1::WorkerHeartbeat};

use crate::clock::{Nanos, SECOND};

/// A worker that has not been heard of for so long is forgotten: five of the SDKs' heartbeats.
const KEPT: Nanos = 300 * SECOND;
/// Workers known at most.
const CAPACITY: usize = 10_000;

#[derive(Debug)]
struct Worker {
    heartbeat: WorkerHeartbeat,
    heard_at: Nanos,
}

/// All workers, by namespace and worker instance key.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    workers: BTreeMap<(u32, String), Worker>,
}

impl Workers {
    /// Takes note of a heartbeat; of a worker that has shut down nothing is kept.
    pub(crate) fn record(&mut self, namespace: u32, heartbeat: WorkerHeartbeat, now: Nanos) {
        let key = (namespace, heartbeat.worker_instance_key.clone());
        if heartbeat.worker_instance_key.is_empty() || heartbeat.status() == WorkerStatus::Shutdown {
            self.workers.remove(&key);
            return;
        }
        if self.workers.len() >= CAPACITY && !self.workers.contains_key(&key) {
            self.make_room(now);
        }
        let worker = Worker {
            heartbeat,
            heard_at: now,
        };
        self.workers.insert(key, worker);
    }

    /// Forgets a namespace that is gone.
    pub(super) fn remove_namespace(&mut self, namespace: u32) {
        self.workers.retain(|(of, _), _| *of != namespace);
    }

    pub(crate) fn get(
        &self,
        namespace: u32,
        worker_instance_key: &str,
        now: Nanos,
    ) -> Option<&WorkerHeartbeat> {
        let worker = self.workers.get(&(namespace, worker_instance_key.to_owned()))?;
        is_fresh(worker, now).then_some(&worker.heartbeat)
    }

    /// The workers of a namespace in the order of their keys, from after `after` on.
    pub(crate) fn list(
        &self,
        namespace: u32,
        after: &str,
        now: Nanos,
    ) -> impl Iterator<Item = &WorkerHeartbeat> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.workers
            .range((Excluded((namespace, after.to_owned())), Unbounded))
            .take_while(move |((of, _), _)| *of == namespace)
            .filter(move |(_, worker)| is_fresh(worker, now))
            .map(|(_, worker)| &worker.heartbeat)
    }

    /// Forgets those not heard of for long.
    pub(crate) fn forget_silent(&mut self, now: Nanos) {
        self.workers.retain(|_, worker| is_fresh(worker, now));
    }

    fn make_room(&mut self, now: Nanos) {
        self.forget_silent(now);
        if self.workers.len() < CAPACITY {
            return;
        }
        let oldest = self.workers.iter().min_by_key(|(_, worker)| worker.heard_at);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.workers.remove(&key);
        }
    }
}

fn is_fresh(worker: &Worker, now: Nanos) -> bool {
    worker.heard_at.saturating_add(KEPT) > now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(key: &str) -> WorkerHeartbeat {
        WorkerHeartbeat {
            worker_instance_key: key.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn a_worker_is_known_until_it_is_silent_for_long() {
        let mut workers = Workers::default();
        workers.record(1, heartbeat("a"), SECOND);
        workers.record(1, heartbeat("b"), 2 * SECOND);
        workers.record(2, heartbeat("c"), 2 * SECOND);
        let keys = |workers: &Workers, after: &str, now| -> Vec<String> {
            workers
                .list(1, after, now)
                .map(|worker| worker.worker_instance_key.clone())
                .collect()
        };
        assert_eq!(keys(&workers, "", 3 * SECOND), ["a", "b"]);
        assert_eq!(keys(&workers, "a", 3 * SECOND), ["b"]);
        assert_eq!(keys(&workers, "", SECOND + KEPT), ["b"]);
        assert!(workers.get(1, "a", SECOND + KEPT).is_none());
        let ended = WorkerHeartbeat {
            status: WorkerStatus::Shutdown as i32,
            ..heartbeat("b")
        };
        workers.record(1, ended, 3 * SECOND);
        assert!(workers.get(1, "b", 3 * SECOND).is_none());
        assert!(workers.get(2, "c", 3 * SECOND).is_some());
    }

    #[test]
    fn the_number_of_workers_is_bounded() {
        let mut workers = Workers::default();
        for n in 0..CAPACITY + 10 {
            workers.record(1, heartbeat(&format!("{n:09}")), SECOND + n as Nanos);
        }
        assert_eq!(workers.workers.len(), CAPACITY);
        assert!(workers.get(1, "000000000", 2 * SECOND).is_none());
    }
}
