//! Tasks and workers meet. A task goes to a worker that waits, else it waits itself; a poll takes
//! the oldest task, else it waits.

use temporalio_protos::temporal::api::{
    taskqueue::v1::TaskQueueConfig, workflowservice::v1::PollActivityTaskQueueResponse,
};

use super::{
    Host,
    delivery::{self, WorkflowTaskAnswer},
    matching::{Delivery, Origin, Poller, QueueId, QueueKind, Waiting},
};
use crate::{
    core::{Queue, Rank, Run, RunKey, StartedActivity, Task},
    rpc::RpcError,
};

/// What became of a task that a worker was offered.
enum Offered {
    Taken,
    /// The task is stale; the worker still waits.
    Refused(Poller),
}

impl Host {
    /// Offers a run's task to the workers of its queue.
    pub(super) fn offer(&mut self, key: RunKey, task: Task) -> Result<(), RpcError> {
        let run = self.run(key)?;
        let namespace = run.state.namespace_key;
        let rank = run.task_rank(&task);
        let (id, waiting) = match task {
            Task::Activity {
                queue,
                scheduled_event_id,
                attempt,
            } => {
                let (version, _) = self.target(key, QueueKind::Activity, &queue)?;
                (
                    QueueId::new(namespace, QueueKind::Activity, queue).of_version(version),
                    Waiting::Activity {
                        key,
                        scheduled_event_id,
                        attempt,
                    },
                )
            }
            Task::Workflow { queue, scheduled_at } => {
                let id = self.live_queue(key, namespace, queue)?;
                (id, Waiting::Workflow { key, scheduled_at })
            }
        };
        self.offer_ranked(&id, rank, waiting)
    }

    /// The queue for a workflow task: the sticky one only while its worker is there and of the right version.
    fn live_queue(&mut self, key: RunKey, namespace: u32, queue: Queue) -> Result<QueueId, RpcError> {
        let queue_of = |name| QueueId::new(namespace, QueueKind::Workflow, name);
        let (normal, sticky) = match queue {
            Queue::Normal(name) => (name, None),
            Queue::Sticky { queue, normal } => (normal, Some(queue_of(queue))),
        };
        let (version, _) = self.target(key, QueueKind::Workflow, &normal)?;
        if let Some(sticky) = sticky {
            let now = self.now();
            if self.queues.is_alive(&sticky, now) && self.run(key)?.state.version() == version {
                return Ok(sticky);
            }
            self.slot(key)?.run.sticky = None;
        }
        Ok(queue_of(normal).of_version(version))
    }

    pub(super) fn offer_waiting(&mut self, id: &QueueId, task: Waiting) -> Result<(), RpcError> {
        self.offer_ranked(id, Rank::default(), task)
    }

    fn offer_ranked(&mut self, id: &QueueId, rank: Rank, task: Waiting) -> Result<(), RpcError> {
        let now = self.now();
        let queue = self.queues.queue(id);
        queue.added.note(now);
        // Only behind those that wait already: tasks are handed out in order.
        if queue.backlog() == 0
            && let Some(poller) = queue.take_poller()
        {
            if let Some(at) = queue.held_until(now) {
                self.queues.wait_for_task_first(id, poller);
                self.queues.hold(id, at);
            } else {
                if let Offered::Refused(poller) = self.hand_out(id, task, poller)? {
                    self.queues.wait_for_task(id, poller);
                }
                return Ok(());
            }
        }
        self.queues.wait_for_worker(id, rank, now, task);
        Ok(())
    }

    /// A worker asks for a task.
    pub(crate) fn poll(&mut self, id: &QueueId, mut poller: Poller) -> Result<(), RpcError> {
        if self.queues.has_shut_down(&poller.worker_instance_key) {
            // A poll that is gone already needs no answer.
            let _ = poller.reply.send(Delivery::Nothing);
            return Ok(());
        }
        let now = self.now();
        poller.since = now;
        let limit_changed = self.queues.note_poll(id, &poller, now);
        if id.version.is_some() {
            self.note_version(id)?;
        }
        loop {
            let queue = self.queues.queue(id);
            if queue.backlog() == 0 {
                break;
            }
            if let Some(at) = queue.held_until(now) {
                self.queues.hold(id, at);
                break;
            }
            let Some(task) = queue.take_task() else { break };
            match self.hand_out(id, task, poller)? {
                Offered::Taken if limit_changed => return self.match_waiting(id),
                Offered::Taken => return Ok(()),
                Offered::Refused(again) => poller = again,
            }
        }
        self.queues.wait_for_task(id, poller);
        if limit_changed {
            self.match_waiting(id)
        } else {
            Ok(())
        }
    }

    /// Hands out what rate limits let go by now.
    pub(super) fn release_held(&mut self) -> Result<(), RpcError> {
        let now = self.now();
        while let Some(id) = self.queues.take_released(now) {
            self.match_waiting(&id)?;
        }
        Ok(())
    }

    /// Tasks and workers of a queue that both wait are brought together.
    fn match_waiting(&mut self, id: &QueueId) -> Result<(), RpcError> {
        let now = self.now();
        loop {
            let queue = self.queues.queue(id);
            if queue.backlog() == 0 {
                return Ok(());
            }
            let Some(poller) = queue.take_poller() else {
                return Ok(());
            };
            if let Some(at) = queue.held_until(now) {
                self.queues.wait_for_task_first(id, poller);
                self.queues.hold(id, at);
                return Ok(());
            }
            if let Some(task) = queue.take_task()
                && let Offered::Refused(poller) = self.hand_out(id, task, poller)?
            {
                self.queues.wait_for_task_first(id, poller);
            }
        }
    }

    /// Gives a task queue another configuration.
    pub(crate) fn configure_queue(&mut self, id: &QueueId, config: TaskQueueConfig) -> Result<(), RpcError> {
        let now = self.now();
        self.store
            .put_task_queue_config(id.namespace, id.kind.number(), &id.name, &config)
            .map_err(super::unwritable)?;
        self.queues.set_config(id, config, now);
        self.match_waiting(id)
    }

    fn hand_out(&mut self, id: &QueueId, task: Waiting, poller: Poller) -> Result<Offered, RpcError> {
        let found = match task {
            Waiting::Workflow { key, scheduled_at } => self
                .start_workflow_task(id, key, Some(scheduled_at), &poller.identity)?
                .map(|(task, origin)| Delivery::Workflow {
                    task: Box::new(task),
                    origin,
                }),
            Waiting::Activity {
                key,
                scheduled_event_id,
                attempt,
            } if self.is_for_version(id, key, scheduled_event_id, attempt)? => self
                .start_activity(
                    key,
                    scheduled_event_id,
                    attempt,
                    &id.name,
                    &poller.identity,
                    poller.in_process,
                )?
                .map(|(task, origin)| Delivery::Activity {
                    task: Box::new(task),
                    origin,
                }),
            Waiting::Activity { .. } => None,
            Waiting::Query { key, query } => self.hand_out_query(id, key, query)?,
        };
        let Some(mut delivery) = found else {
            return Ok(Offered::Refused(poller));
        };
        let now = self.now();
        let queue = self.queues.queue(id);
        queue.note_dispatch(now);
        let scaling = queue.scaling(poller.since, now);
        match &mut delivery {
            Delivery::Workflow { task, .. } => task.message.poller_scaling_decision = scaling,
            Delivery::Activity { task, .. } => task.poller_scaling_decision = scaling,
            Delivery::Nothing | Delivery::Refused(_) => {}
        }
        self.deliver(poller, delivery);
        Ok(Offered::Taken)
    }

    /// Answers a poll once the batch is on disk; with a workflow task or a query at once. If the worker is gone by then,
    /// somebody else gets the task.
    ///
    /// What a worker does with a workflow task is told to nobody before its completion is on disk, and so all that it
    /// rests on; what was lost before that makes the completion void ([`life`](crate::core::RunState::life)). Queries go
    /// the same way, and the task of a run that is being asked does not: the SDKs do not expect a query of a run whose task
    /// they are at, so it must not overtake one.
    fn deliver(&mut self, poller: Poller, delivery: Delivery) {
        let goes_ahead = match &delivery {
            Delivery::Workflow {
                origin: Origin::Workflow { key, .. },
                ..
            } => !self.queries.are_there_for(*key),
            Delivery::Workflow { .. } => true,
            _ => false,
        };
        if goes_ahead {
            self.ahead.push((poller, delivery));
            return;
        }
        self.after_commit(move |host, is_on_disk| {
            if is_on_disk {
                host.hand_over(poller, delivery);
            }
        });
    }

    /// Hands workers the tasks that do not wait for the disk.
    pub(super) fn hand_ahead(&mut self) {
        while !self.ahead.is_empty() {
            for (poller, delivery) in std::mem::take(&mut self.ahead) {
                self.hand_over(poller, delivery);
            }
        }
    }

    fn hand_over(&mut self, poller: Poller, delivery: Delivery) {
        if let Err(delivery) = poller.reply.send(delivery) {
            self.take_back(delivery);
        }
    }

    /// Takes back a task that did not reach its worker.
    pub(crate) fn take_back(&mut self, delivery: Delivery) {
        let origin = match delivery {
            Delivery::Workflow { origin, .. } | Delivery::Activity { origin, .. } => origin,
            Delivery::Nothing | Delivery::Refused(_) => return,
        };
        let taken_back = match origin {
            Origin::Workflow {
                key,
                started_event_id,
                attempt,
            } => self.change(key, |run, now| {
                run.return_workflow_task(now, started_event_id, attempt);
                Ok(())
            }),
            Origin::Activity {
                key,
                scheduled_event_id,
                attempt,
            } => self.change(key, |run, _| {
                run.return_activity(scheduled_event_id, attempt);
                Ok(())
            }),
            Origin::Query { id } => self.reoffer_query(id),
        };
        if let Err(error) = taken_back {
            tracing::error!(%error, "cannot take a task back");
        }
    }

    /// Starts a run's pending workflow task for a worker of queue `id`; none where it is stale.
    /// `scheduled_at`: the task must be the one scheduled then.
    pub(crate) fn start_workflow_task(
        &mut self,
        id: &QueueId,
        key: RunKey,
        scheduled_at: Option<i64>,
        identity: &str,
    ) -> Result<Option<(WorkflowTaskAnswer, Origin)>, RpcError> {
        self.start_task(id, key, scheduled_at, identity, true)
    }

    /// Starts the task that follows a heartbeat, for the worker that sent it: that worker is still at
    /// the updates that it has.
    pub(crate) fn start_task_after_heartbeat(
        &mut self,
        id: &QueueId,
        key: RunKey,
        identity: &str,
    ) -> Result<Option<(WorkflowTaskAnswer, Origin)>, RpcError> {
        self.start_task(id, key, None, identity, false)
    }

    fn start_task(
        &mut self,
        id: &QueueId,
        key: RunKey,
        scheduled_at: Option<i64>,
        identity: &str,
        sends_updates_again: bool,
    ) -> Result<Option<(WorkflowTaskAnswer, Origin)>, RpcError> {
        let backlog = self.queues.queue(id).backlog();
        let now = self.now();
        match self.slot(key) {
            Ok(_) => {}
            Err(RpcError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some(slot) = self.cache.get_mut(key) else {
            return Ok(None);
        };
        let run = &mut slot.run;
        let scheduled_at = scheduled_at.or(run.state.workflow_task.as_ref().map(|task| task.scheduled_at));
        if !scheduled_at.is_some_and(|at| run.can_start_workflow_task(at)) {
            return Ok(None);
        }
        let is_sticky = run
            .sticky
            .as_ref()
            .is_some_and(|sticky| sticky.task_queue == id.name);
        let (version, revision) =
            self.deployments
                .target(&run.state, QueueKind::Workflow, &run.state.task_queue);
        let is_here = match is_sticky {
            true => version == run.state.version(),
            false => version.as_ref() == id.version.as_deref(),
        };
        if !is_here {
            // Another version has become the right one while it waited.
            run.sticky = None;
            run.offer_workflow_task();
            self.settle(key)?;
            return Ok(None);
        }
        if !is_sticky {
            run.sticky = None;
            slot.is_dirty |= run.go_with(version, revision);
        }
        let partial = is_sticky && run.state.last_started_event_id != 0;
        let events_before = run.history.len();
        let request_id = uuid::Uuid::new_v4().to_string();
        let target_changed = self.deployments.has_moved_on(&run.state);
        run.start_workflow_task(now, identity, request_id)?;
        let Some(started) = &mut run.started_task else {
            return Ok(None);
        };
        started.target_changed = target_changed;
        let origin = Origin::Workflow {
            key,
            started_event_id: started.started_event_id,
            attempt: started.attempt,
        };
        slot.is_dirty |= run.history.len() != events_before;
        if slot.is_dirty {
            started.life = self.life;
        }
        let messages = run.outgoing_messages(sends_updates_again);
        let mut task = delivery::workflow_task(run, partial, backlog);
        task.message.messages = messages;
        task.message.queries = self.queries.attach(key);
        self.touch(key);
        Ok(Some((task, origin)))
    }

    /// Starts an activity attempt for a worker of `queue`; none where it is stale.
    pub(crate) fn start_activity(
        &mut self,
        key: RunKey,
        scheduled_event_id: i64,
        attempt: i32,
        queue: &str,
        identity: &str,
        in_process: bool,
    ) -> Result<Option<(PollActivityTaskQueueResponse, Origin)>, RpcError> {
        let is_due = |run: &Run| run.can_start_activity(scheduled_event_id, attempt, queue);
        match self.run(key) {
            Ok(run) if is_due(run) => {}
            Ok(_) | Err(RpcError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        self.change(key, |run, now| {
            let worker = StartedActivity {
                identity: identity.to_owned(),
                request_id: uuid::Uuid::new_v4().to_string(),
                in_process,
                at: now,
            };
            run.start_activity(now, scheduled_event_id, worker);
            Ok(())
        })?;
        let namespace = self.run(key)?.state.namespace_key;
        let namespace = self.namespaces.name_of(namespace);
        let task = delivery::activity_task(self.run(key)?, &namespace, scheduled_event_id);
        Ok(task.map(|task| {
            (
                task,
                Origin::Activity {
                    key,
                    scheduled_event_id,
                    attempt,
                },
            )
        }))
    }

    /// A worker is being shut down: its polls end, its sticky queue goes.
    pub(crate) fn shut_down_worker(
        &mut self,
        namespace: u32,
        sticky: &str,
        worker_instance_key: &str,
    ) -> Result<(), RpcError> {
        if !worker_instance_key.is_empty() {
            let now = self.now();
            self.queues.end_polls(worker_instance_key, now);
        }
        if sticky.is_empty() {
            return Ok(());
        }
        let id = QueueId::new(namespace, QueueKind::Workflow, sticky.to_owned());
        for task in self.queues.remove(&id) {
            match task {
                Waiting::Workflow { key, .. } => self.change(key, |run, _| {
                    run.sticky = None;
                    run.offer_workflow_task();
                    Ok(())
                })?,
                Waiting::Query { query, .. } => self.reoffer_query(query.id)?,
                Waiting::Activity { .. } => {}
            }
        }
        Ok(())
    }
}
