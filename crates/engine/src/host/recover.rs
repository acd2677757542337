//! From the file to memory, when the engine opens.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use super::{
    Host, Namespaces, WakeKey,
    batch_operations::BatchOperations,
    cache::Cache,
    cleaning::Cleaning,
    filing::Unfiled,
    matching::{QueueId, QueueKind, TaskQueues},
    queries::Queries,
    schedules::Schedules,
    updates::Waiters,
    workers::Workers,
};
use crate::{
    clock::Clock,
    core::RunKey,
    limits::Limits,
    rpc::RpcError,
    store::{Error, Store},
};

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
            schedules: Schedules::default(),
            after_commit: Vec::new(),
        };
        host.recover()?;
        host.end_batch();
        Ok(host)
    }

    /// Reads what memory needs: when runs are to be woken, and the tasks that wait for workers. Runs
    /// that only wait for time or a request stay on disk until then.
    pub(super) fn recover(&mut self) -> Result<(), Error> {
        self.namespaces = Namespaces::load(&mut self.store)?;
        self.replay_journal()?;
        self.next_key = self.store.next_run_key()?;
        let now = self.now();
        for (namespace, queue_type, name, config) in self.store.task_queue_configs()? {
            if let Some(kind) = QueueKind::from_number(queue_type) {
                let id = QueueId {
                    namespace,
                    kind,
                    name,
                };
                self.queues.set_config(&id, config, now);
            }
        }
        self.cleaning = Cleaning::new(!self.store.marked_deleted(1)?.is_empty());
        let mut open = self.store.open_batches()?;
        open.retain(|(namespace, _, _)| self.namespaces.goes_on(*namespace));
        self.batch_operations = BatchOperations::new(open);
        let mut ready = Vec::new();
        let wakes = &mut self.wakes;
        self.store.each_open_run(|key, row| {
            if let Some(at) = row.wake_at {
                wakes.insert((at, WakeKey::Run(key)));
            }
            if row.ready {
                ready.push(key);
            }
        })?;
        self.store.each_schedule_wake(|key, at| {
            wakes.insert((at, WakeKey::Schedule(key)));
        })?;
        for key in ready {
            if let Err(error) = self.resume(key) {
                tracing::error!(%error, run = key, "a run cannot go on");
            }
        }
        Ok(())
    }

    /// Lets a run go on. It is written again only if that changes it.
    fn resume(&mut self, key: RunKey) -> Result<(), RpcError> {
        let now = self.now();
        let slot = self.slot(key)?;
        let before = slot.run.state.clone();
        slot.run.resume(now);
        slot.is_dirty |= slot.run.state != before;
        self.settle(key)
    }
}
