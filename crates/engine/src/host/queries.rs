//! Queries on their way to a worker and back. They live in memory: whoever asked is waiting.
//!
//! A query rides along with the run's next workflow task where one is due, so that it sees all that
//! was acknowledged before; else it goes to a worker by itself.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use temporalio_protos::temporal::api::{
    common::v1::Payloads,
    query::v1::{WorkflowQuery, WorkflowQueryResult},
};
use tokio::sync::oneshot;

use super::{
    Host, delivery,
    matching::{Delivery, DirectQuery, Origin, QueueId, QueueKind, Waiting},
};
use crate::{core::RunKey, rpc::RpcError};

/// From this attempt of the workflow task on, a query is not left waiting for it.
const FAILING_FROM_ATTEMPT: i32 = 3;

/// How long the worker that has a run at hand is waited for, where it has not said so: what the SDKs say.
const PATIENCE: Duration = Duration::from_secs(10);

/// Less is not taken from a worker: the host is asked each time that it is over.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// What a query ends with.
pub(crate) type Answer = Result<Option<Payloads>, RpcError>;

/// A query that waits for its answer.
#[derive(Debug)]
struct Pending {
    run: RunKey,
    query: WorkflowQuery,
    reply: oneshot::Sender<Answer>,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It waits for the run's next workflow task.
    NextTask,
    /// It went along with the run's current workflow task.
    WithTask,
    /// It goes by itself, to the worker that has the run at hand.
    ToItsWorker,
    /// It goes by itself, to any worker.
    ToAnyWorker,
}

impl Way {
    fn is_alone(self) -> bool {
        matches!(self, Self::ToItsWorker | Self::ToAnyWorker)
    }
}

/// All queries under way, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    pending: HashMap<u64, Pending>,
    by_run: HashMap<RunKey, Vec<u64>>,
    last_id: u64,
}

impl Queries {
    /// Takes the run's waiting queries along with a workflow task.
    pub(super) fn attach(&mut self, run: RunKey) -> HashMap<String, WorkflowQuery> {
        let ids = self.by_run.get(&run).cloned().unwrap_or_default();
        let mut attached = HashMap::new();
        for id in ids {
            if let Some(pending) = self.pending.get_mut(&id)
                && !pending.way.is_alone()
                && !pending.reply.is_closed()
            {
                pending.way = Way::WithTask;
                attached.insert(id.to_string(), pending.query.clone());
            }
        }
        attached
    }

    /// Whether somebody waits for an answer of this run.
    pub(super) fn are_there_for(&self, run: RunKey) -> bool {
        self.by_run.contains_key(&run)
    }

    /// Takes out who asked a query of this run, for whose worker ids of other runs' queries are none.
    fn take(&mut self, run: RunKey, id: u64) -> Option<oneshot::Sender<Answer>> {
        let Entry::Occupied(entry) = self.pending.entry(id) else {
            return None;
        };
        if entry.get().run != run {
            return None;
        }
        let pending = entry.remove();
        if let Some(ids) = self.by_run.get_mut(&pending.run) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_run.remove(&pending.run);
            }
        }
        Some(pending.reply)
    }

    /// Answers the queries of a run that is gone.
    pub(super) fn forget_run(&mut self, run: RunKey) {
        for id in self.by_run.get(&run).cloned().unwrap_or_default() {
            let gone = RpcError::NotFound("workflow execution not found".into());
            // Whoever asked may have gone.
            drop(self.take(run, id).map(|reply| reply.send(Err(gone))));
        }
    }

    fn waiting_for_task(&self, run: RunKey) -> Vec<u64> {
        let ids = self.by_run.get(&run).map(Vec::as_slice).unwrap_or_default();
        let waits = |id: &&u64| {
            self.pending
                .get(id)
                .is_some_and(|pending| !pending.way.is_alone())
        };
        ids.iter().filter(waits).copied().collect()
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            last_id: self.last_id,
            ..Self::default()
        };
    }
}

impl Host {
    /// Asks a run, and answers the query's id. The answer comes through `reply`.
    pub(crate) fn query(
        &mut self,
        key: RunKey,
        query: WorkflowQuery,
        reply: oneshot::Sender<Answer>,
    ) -> Result<u64, RpcError> {
        let run = self.run(key)?;
        let rides = match &run.state.workflow_task {
            Some(task) if task.attempt >= FAILING_FROM_ATTEMPT => {
                return Err(RpcError::NotReady(
                    "Unable to query workflow due to Workflow Task in failed state.".into(),
                ));
            }
            Some(_) => run.is_running(),
            None if run.is_running() && run.state.last_started_event_id == 0 => {
                return Err(RpcError::NotReady("Workflow task is not scheduled yet.".into()));
            }
            None => false,
        };
        self.queries.last_id += 1;
        let id = self.queries.last_id;
        self.queries.pending.insert(
            id,
            Pending {
                run: key,
                query: query.clone(),
                reply,
                way: Way::NextTask,
            },
        );
        self.queries.by_run.entry(key).or_default().push(id);
        if !rides {
            self.offer_query(key, id, query)?;
        }
        Ok(id)
    }

    /// How long an answer is waited for until [`Self::ask_any_worker`] is in order.
    pub(crate) fn patience(&mut self, key: RunKey) -> Result<Duration, RpcError> {
        let sticky = self.run(key)?.sticky.as_ref();
        let nanos = sticky.and_then(|sticky| u64::try_from(sticky.schedule_to_start).ok());
        Ok(nanos.map_or(PATIENCE, |nanos| Duration::from_nanos(nanos).max(LEAST_PATIENCE)))
    }

    /// The worker that has the run at hand has not answered in time: it has lost the query, or is gone. Any worker is asked
    /// then, and the run's next tasks are for any too: as the real server does.
    pub(crate) fn ask_any_worker(&mut self, key: RunKey, id: u64) -> Result<(), RpcError> {
        let pending = self.queries.pending.get(&id);
        if pending.is_none_or(|pending| pending.way != Way::ToItsWorker) {
            return Ok(());
        }
        self.change(key, |run, _| {
            run.leave_its_worker();
            Ok(())
        })?;
        self.reoffer_query(id)
    }

    /// Answers a query of this run, once what the answer may tell of is on disk. False: there is none of this id.
    pub(crate) fn answer_query(&mut self, key: RunKey, id: u64, answer: Answer) -> bool {
        let Some(reply) = self.queries.take(key, id) else {
            return false;
        };
        self.after_commit(move |_, is_on_disk| {
            if is_on_disk {
                // Whoever asked may have gone.
                let _ = reply.send(answer);
            }
        });
        true
    }

    /// Forgets a query whose asker has gone.
    pub(crate) fn forget_query(&mut self, key: RunKey) {
        let ids = self.queries.by_run.get(&key).cloned().unwrap_or_default();
        for id in ids {
            if self
                .queries
                .pending
                .get(&id)
                .is_some_and(|pending| pending.reply.is_closed())
            {
                self.queries.take(key, id);
            }
        }
    }

    fn offer_query(&mut self, key: RunKey, id: u64, query: WorkflowQuery) -> Result<(), RpcError> {
        let run = self.run(key)?;
        let namespace = run.state.namespace_key;
        let normal = run.state.task_queue.clone();
        let sticky = run.sticky.as_ref().map(|sticky| sticky.task_queue.clone());
        let queue = |name| QueueId::new(namespace, QueueKind::Workflow, name);
        let (id_of_queue, way) = match sticky.map(queue) {
            Some(sticky) if self.queues.has_poller(&sticky) => (sticky, Way::ToItsWorker),
            _ => {
                let (version, _) = self.target(key, QueueKind::Workflow, &normal)?;
                (queue(normal).of_version(version), Way::ToAnyWorker)
            }
        };
        if let Some(pending) = self.queries.pending.get_mut(&id) {
            pending.way = way;
        }
        self.offer_waiting(
            &id_of_queue,
            Waiting::Query {
                key,
                query: DirectQuery { id, query },
            },
        )
    }

    /// Offers a direct query to another worker.
    pub(super) fn reoffer_query(&mut self, id: u64) -> Result<(), RpcError> {
        match self.queries.pending.get(&id) {
            Some(pending) if !pending.reply.is_closed() => {
                let (key, query) = (pending.run, pending.query.clone());
                self.offer_query(key, id, query)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn hand_out_query(
        &mut self,
        id: &QueueId,
        key: RunKey,
        query: DirectQuery,
    ) -> Result<Option<Delivery>, RpcError> {
        if self
            .queries
            .pending
            .get(&query.id)
            .is_none_or(|pending| pending.reply.is_closed())
        {
            return Ok(None);
        }
        let run = self.run(key)?;
        let partial = run
            .sticky
            .as_ref()
            .is_some_and(|sticky| sticky.task_queue == id.name);
        let mut task = delivery::query_task(run, partial, query.id);
        task.message.query = Some(query.query);
        Ok(Some(Delivery::Workflow {
            task: Box::new(task),
            origin: Origin::Query { id: query.id },
        }))
    }

    /// Takes the answers that came with a completed workflow task, and sends what else waits for one
    /// by itself if no further task is due.
    pub(crate) fn answer_queries(
        &mut self,
        key: RunKey,
        results: HashMap<String, WorkflowQueryResult>,
    ) -> Result<(), RpcError> {
        let most = self.run(key)?.limits.blob_size;
        for (id, result) in results {
            if let Ok(id) = id.parse() {
                self.answer_query(key, id, answer_of(result, most));
            }
        }
        self.release_queries(key)
    }

    /// Sends the queries that wait for a workflow task by themselves, if none is due any more.
    pub(crate) fn release_queries(&mut self, key: RunKey) -> Result<(), RpcError> {
        if !self.queries.are_there_for(key) || self.run(key)?.state.workflow_task.is_some() {
            return Ok(());
        }
        for id in self.queries.waiting_for_task(key) {
            if let Some(pending) = self.queries.pending.get(&id) {
                let query = pending.query.clone();
                self.offer_query(key, id, query)?;
            }
        }
        Ok(())
    }
}

fn answer_of(result: WorkflowQueryResult, most: usize) -> Answer {
    use temporalio_protos::temporal::api::enums::v1::QueryResultType;
    let size = result.answer.as_ref().map_or(0, prost::Message::encoded_len);
    if size > most {
        return Err(RpcError::InvalidArgument("Blob data size exceeds limit.".into()));
    }
    if result.result_type() == QueryResultType::Failed {
        return Err(RpcError::QueryFailed {
            message: result.error_message,
            failure: result.failure.map(Box::new),
        });
    }
    Ok(result.answer)
}
