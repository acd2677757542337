//! From the file to memory, when the engine opens.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::{
    Host, Namespaces, WakeKey,
    batch_operations::BatchOperations,
    cache::Cache,
    cleaning::Cleaning,
    damage::Damage,
    deployments::Deployments,
    filing::Unfiled,
    matching::{QueueId, QueueKind, TaskQueues, Waiting},
    queries::Queries,
    schedules::Schedules,
    updates::Waiters,
    workers::Workers,
};
use crate::{
    clock::Clock,
    core::{Queue, Run, RunKey, Task},
    limits::Limits,
    rpc::RpcError,
    store::{Error, Store},
};

/// Why the file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The process is new: workers in the one before have ended with it.
    Opened,
    /// A batch has failed: the process, and the workers in it, are the same.
    Failed,
}

impl Host {
    /// A host over an open file, with all that waits in it ready to go on.
    pub(super) fn open(store: Store, clock: Arc<dyn Clock>, limits: Arc<Limits>) -> Result<Self, Error> {
        let mut host = Self {
            store,
            now: 0,
            clock,
            namespaces: Namespaces::default(),
            cache: Cache::new(limits),
            wakes: BTreeSet::new(),
            queues: TaskQueues::default(),
            queries: Queries::default(),
            workers: Workers::default(),
            update_waiters: Waiters::default(),
            watchers: HashMap::new(),
            next_key: 1,
            messages: VecDeque::new(),
            cleaning: Cleaning::default(),
            batch_operations: BatchOperations::default(),
            touched: Vec::new(),
            unfiled: Unfiled::default(),
            damage: Damage::default(),
            schedules: Schedules::default(),
            deployments: Deployments::default(),
            after_commit: Vec::new(),
            ahead: Vec::new(),
            life: 0,
            in_flight: None,
            is_broken: false,
            failure: String::new(),
            retry_at: 0,
            failed_batches: 0,
            counters: Arc::default(),
        };
        host.recover(Reason::Opened)?;
        host.end_batch();
        Ok(host)
    }

    /// Reads what memory needs: when runs are to be woken, and the tasks that wait for workers. Runs
    /// that only wait for time or a request stay on disk until then.
    pub(super) fn recover(&mut self, reason: Reason) -> Result<(), Error> {
        self.life = uuid::Uuid::new_v4().as_u64_pair().1;
        self.namespaces = Namespaces::load(&mut self.store)?;
        self.replay_journal()?;
        self.next_key = self.next_key.max(self.store.next_run_key()?);
        let now = self.now();
        for (namespace, queue_type, name, config) in self.store.task_queue_configs()? {
            if let Some(kind) = QueueKind::from_number(queue_type) {
                self.queues
                    .set_config(&QueueId::new(namespace, kind, name), config, now);
            }
        }
        self.deployments = Deployments::new(self.store.deployments()?);
        self.cleaning = Cleaning::new(!self.store.marked_deleted(1)?.is_empty());
        let mut open = self.store.open_batches()?;
        open.retain(|(namespace, _, _)| self.namespaces.goes_on(*namespace));
        self.batch_operations = BatchOperations::new(open);
        let mut wakes = Vec::new();
        let mut ready = Vec::new();
        // Their rows are older than they are; memory has them.
        let unfiled = self.unfiled_keys();
        self.store.each_open_run(|key, row| {
            if unfiled.contains(&key) {
                return;
            }
            if let Some(at) = row.wake_at {
                wakes.push((at, WakeKey::Run(key)));
            }
            if row.ready {
                ready.push(key);
            }
        })?;
        self.store
            .each_schedule_wake(|key, at| wakes.push((at, WakeKey::Schedule(key))))?;
        let mut unfiled_ready = Vec::new();
        for &key in &unfiled {
            if let Some(slot) = self.cache.get_mut(key) {
                wakes.extend(slot.wake_at.map(|at| (at, WakeKey::Run(key))));
                if slot.run.is_ready() {
                    unfiled_ready.push(key);
                }
            }
        }
        unfiled_ready.sort_unstable();
        // Made of all at once, a set is filled much faster than by one insertion after the other.
        self.wakes = BTreeSet::from_iter(wakes);
        let mut one_by_one = self.offer_stored(&ready, &unfiled, reason)?;
        one_by_one.extend(unfiled_ready);
        for key in one_by_one {
            if let Err(error) = self.resume(key, reason) {
                tracing::error!(%error, run = key, "a run cannot go on");
            }
        }
        Ok(())
    }

    /// Queues the tasks of the `ready` runs without reading more than the beginnings of their histories, and
    /// answers those that have to be taken one by one: going on changes them, or something is damaged.
    fn offer_stored(
        &mut self,
        ready: &[RunKey],
        unfiled: &HashSet<RunKey>,
        reason: Reason,
    ) -> Result<Vec<RunKey>, Error> {
        let now = self.now();
        let mut one_by_one = Vec::new();
        let mut last = 0;
        let (queues, deployments) = (&mut self.queues, &self.deployments);
        let read = self.store.each_ready_run(|key, stored| {
            last = key;
            if unfiled.contains(&key) {
                return;
            }
            let Some((state, beginning)) = stored else {
                one_by_one.push(key);
                return;
            };
            let namespace = state.namespace_key;
            let mut run = Run::load(key, state, beginning);
            if run.is_changed_by_restart(reason == Reason::Opened) {
                one_by_one.push(key);
                return;
            }
            run.offer_again();
            for task in std::mem::take(&mut run.effects.tasks) {
                let rank = run.task_rank(&task);
                let (kind, name, waiting) = match task {
                    Task::Workflow {
                        queue: Queue::Normal(name) | Queue::Sticky { normal: name, .. },
                        scheduled_at,
                    } => (QueueKind::Workflow, name, Waiting::Workflow { key, scheduled_at }),
                    Task::Activity {
                        queue,
                        scheduled_event_id,
                        attempt,
                    } => {
                        let waiting = Waiting::Activity {
                            key,
                            scheduled_event_id,
                            attempt,
                        };
                        (QueueKind::Activity, queue, waiting)
                    }
                };
                let (version, _) = deployments.target(&run.state, kind, &name);
                let id = QueueId::new(namespace, kind, name).of_version(version);
                queues.queue(&id).added.note(now);
                queues.wait_for_worker(&id, rank, now, waiting);
            }
        });
        match read {
            Err(error) if error.is_damage() => {
                one_by_one.extend(ready.iter().filter(|key| **key > last));
            }
            read => read?,
        }
        Ok(one_by_one)
    }

    /// Lets a run go on. It is written again only if that changes it.
    fn resume(&mut self, key: RunKey, reason: Reason) -> Result<(), RpcError> {
        let now = self.now();
        let slot = self.slot(key)?;
        slot.is_dirty |= match reason {
            Reason::Opened => slot.run.resume(now),
            Reason::Failed => slot.run.offer_again(),
        };
        self.settle(key)
    }
}
