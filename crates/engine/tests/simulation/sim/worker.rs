//! What workers do: three of them, one in the engine's process.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::{EventType, QueryResultType},
    failure::v1::Failure,
    history::v1::HistoryEvent,
    protocol::v1::Message,
    query::v1::WorkflowQueryResult,
    taskqueue::v1::StickyExecutionAttributes,
    workflowservice::v1::*,
};

use super::{
    client::{CallKind, decoded},
    plan::Step,
    rng::Rng,
    updates,
    workflow::{QUEUE, View, commands, complete, millis, payloads, queue},
    world::{Call, Done, World},
};

const NAMESPACE: &str = "default";
/// The one in the engine's process: it ends with it.
const IN_PROCESS: usize = 0;
const WORKERS: usize = 3;

/// A workflow task in a worker's hands.
#[derive(Clone, Debug)]
struct WorkflowTask {
    worker: usize,
    token: Vec<u8>,
    workflow_id: String,
    run_id: String,
    history: Vec<HistoryEvent>,
    queries: Vec<String>,
    /// Updates that wait for their workflow.
    messages: Vec<Message>,
}

/// An activity task in a worker's hands.
#[derive(Clone, Debug)]
struct ActivityTask {
    worker: usize,
    token: Vec<u8>,
    execution: WorkflowExecution,
    activity_id: String,
    attempt: i32,
}

impl ActivityTask {
    /// What its results are found at: its workflow, or itself where it has none.
    fn owner(&self) -> &str {
        if self.execution.workflow_id.is_empty() {
            &self.activity_id
        } else {
            &self.execution.workflow_id
        }
    }
}

/// All workers.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    workflow_tasks: Vec<WorkflowTask>,
    activity_tasks: Vec<ActivityTask>,
    done_tasks: Vec<WorkflowTask>,
    done_activities: Vec<ActivityTask>,
    /// Histories that a worker has in its cache, by worker and run id.
    cached: BTreeMap<(usize, String), Vec<HistoryEvent>>,
    /// How often each worker has begun anew: its sticky queue has a name of its own each time.
    lives: [u32; WORKERS],
    /// Attempts that a worker was given: run id, activity id, attempt.
    attempts: BTreeSet<(String, String, i32)>,
    /// Workers complete whatever they get.
    finishing: bool,
}

impl Workers {
    /// The engine's process has ended.
    pub(crate) fn end_of_process(&mut self) {
        self.lose(IN_PROCESS);
    }

    fn lose(&mut self, worker: usize) {
        self.lives[worker] += 1;
        self.workflow_tasks.retain(|task| task.worker != worker);
        self.activity_tasks.retain(|task| task.worker != worker);
        self.cached.retain(|(of, _), _| *of != worker);
    }

    /// A run that a worker has had a task of, with its history as it was then.
    pub(crate) fn seen(&self, number: u64) -> Option<(WorkflowExecution, &[HistoryEvent])> {
        let tasks = &self.done_tasks;
        let task = tasks.get(number as usize % tasks.len().max(1))?;
        let execution = WorkflowExecution {
            workflow_id: task.workflow_id.clone(),
            run_id: task.run_id.clone(),
        };
        Some((execution, &task.history))
    }

    /// An activity of a workflow that a worker has or has had.
    pub(crate) fn activity_seen(&self, number: u64) -> Option<(WorkflowExecution, String)> {
        let all = self.activity_tasks.iter().chain(&self.done_activities);
        let of_workflows: Vec<_> = all
            .filter(|task| !task.execution.workflow_id.is_empty())
            .collect();
        let task = of_workflows.get(number as usize % of_workflows.len().max(1))?;
        Some((task.execution.clone(), task.activity_id.clone()))
    }

    fn instance(&self, worker: usize) -> String {
        format!("{worker}-{}", self.lives[worker])
    }

    fn sticky_queue(&self, worker: usize) -> String {
        format!("sticky-{worker}-{}", self.lives[worker])
    }
}

impl World {
    /// What workers do.
    pub(crate) fn labour(&mut self, step: &Step) -> Done {
        match *step {
            Step::PollWorkflow { worker, sticky } => self.poll_workflow(worker as usize % WORKERS, sticky),
            Step::PollActivity { worker } => self.poll_activity(worker as usize % WORKERS),
            Step::Decide { task, choice } => {
                let held = &mut self.workers.workflow_tasks;
                if held.is_empty() {
                    return Ok(());
                }
                let task = held.remove(task as usize % held.len());
                self.workers.done_tasks.push(task.clone());
                self.decide(task, choice)
            }
            Step::DecideAgain { task } => {
                let done = &self.workers.done_tasks;
                match done.get(task as usize % done.len().max(1)).cloned() {
                    Some(task) => self.decide(task, 1),
                    None => Ok(()),
                }
            }
            Step::FailTask { task } => {
                let held = &mut self.workers.workflow_tasks;
                if held.is_empty() {
                    return Ok(());
                }
                let task = held.remove(task as usize % held.len());
                // The SDK drops a workflow from its cache when its task has failed.
                self.workers.cached.remove(&(task.worker, task.run_id));
                let request = RespondWorkflowTaskFailedRequest {
                    namespace: NAMESPACE.to_owned(),
                    task_token: task.token,
                    ..Default::default()
                };
                let in_process = task.worker == IN_PROCESS;
                self.send(
                    CallKind::FailTask,
                    "RespondWorkflowTaskFailed",
                    &request,
                    in_process,
                )
            }
            Step::FinishActivity { activity, choice } => {
                let held = &mut self.workers.activity_tasks;
                if held.is_empty() {
                    return Ok(());
                }
                let activity = held.remove(activity as usize % held.len());
                self.workers.done_activities.push(activity.clone());
                self.finish(activity, choice)
            }
            Step::FinishActivityAgain { activity } => {
                let done = &self.workers.done_activities;
                match done.get(activity as usize % done.len().max(1)).cloned() {
                    Some(activity) => self.finish(activity, 0),
                    None => Ok(()),
                }
            }
            Step::Heartbeat { activity } => {
                let held = &self.workers.activity_tasks;
                match held.get(activity as usize % held.len().max(1)).cloned() {
                    Some(activity) => self.heartbeat(&activity),
                    None => Ok(()),
                }
            }
            Step::LoseWorker { worker } => {
                self.lose_worker(worker as usize % WORKERS);
                Ok(())
            }
            Step::ShutDownWorker { worker } => {
                let worker = worker as usize % WORKERS;
                let request = ShutdownWorkerRequest {
                    namespace: NAMESPACE.to_owned(),
                    sticky_task_queue: self.workers.sticky_queue(worker),
                    worker_instance_key: self.workers.instance(worker),
                    ..Default::default()
                };
                self.lose_worker(worker);
                self.send(CallKind::Other, "ShutdownWorker", &request, worker == IN_PROCESS)
            }
            _ => Err(format!("nobody does {step:?}")),
        }
    }

    /// A worker ends, and its calls with it.
    fn lose_worker(&mut self, worker: usize) {
        self.workers.lose(worker);
        let (gone, kept) = std::mem::take(&mut self.calls)
            .into_iter()
            .partition(|call| call.kind.worker() == Some(worker));
        self.calls = kept;
        let gone: Vec<Call> = gone;
        for call in gone {
            self.never_answered(&call.kind);
        }
    }

    fn poll_workflow(&mut self, worker: usize, sticky: bool) -> Done {
        let name = if sticky {
            self.workers.sticky_queue(worker)
        } else {
            QUEUE.to_owned()
        };
        let request = PollWorkflowTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: Some(queue(&name)),
            identity: format!("worker {worker}"),
            worker_instance_key: self.workers.instance(worker),
            ..Default::default()
        };
        let kind = CallKind::PollWorkflow { worker };
        self.send(kind, "PollWorkflowTaskQueue", &request, worker == IN_PROCESS)
    }

    fn poll_activity(&mut self, worker: usize) -> Done {
        let request = PollActivityTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: Some(queue(QUEUE)),
            identity: format!("worker {worker}"),
            worker_instance_key: self.workers.instance(worker),
            ..Default::default()
        };
        let kind = CallKind::PollActivity { worker };
        self.send(kind, "PollActivityTaskQueue", &request, worker == IN_PROCESS)
    }

    fn decide(&mut self, task: WorkflowTask, choice: u64) -> Done {
        let mut rng = Rng::new(choice ^ 0x5e60);
        let view = View::of(&task.history);
        let mut answers = updates::Answers::of(&view, &task.messages, choice, self.workers.finishing);
        // A completion without any command lets the engine forget a task that brought updates alone.
        let is_bare = answers.only_rejects() && rng.one_in(2) && !self.workers.finishing;
        let marker = if is_bare {
            String::new()
        } else {
            self.ledger.label_at("marker", &task.workflow_id)
        };
        let mut made = Vec::new();
        if !is_bare {
            made = commands(&view, choice, &marker, &mut self.ledger);
            if self.workers.finishing {
                made.truncate(1);
                made.push(complete());
            }
            // Before what may close the workflow.
            made.splice(1..1, answers.commands());
        }
        let queries = task.queries.iter().map(|id| (id.clone(), answer_of(&view)));
        // A worker asks for a run's next tasks only while it has the run in its cache.
        let cached = (self.workers.cached).get(&(task.worker, task.run_id.clone()));
        let is_cached = cached == Some(&task.history);
        let sticky =
            (is_cached && !rng.one_in(3) && !self.workers.finishing).then(|| StickyExecutionAttributes {
                worker_task_queue: Some(queue(&self.workers.sticky_queue(task.worker))),
                schedule_to_start_timeout: Some(millis(5_000)),
            });
        let request = RespondWorkflowTaskCompletedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: task.token,
            commands: made,
            identity: format!("worker {}", task.worker),
            sticky_attributes: sticky,
            messages: answers.messages(),
            capabilities: Some(respond_workflow_task_completed_request::Capabilities {
                discard_speculative_workflow_task_with_events: true,
            }),
            return_new_workflow_task: rng.one_in(2),
            force_create_new_workflow_task: rng.one_in(9) && !self.workers.finishing,
            query_results: queries.collect::<HashMap<_, _>>(),
            ..Default::default()
        };
        let kind = CallKind::Decide {
            worker: task.worker,
            run_id: task.run_id,
            marker,
        };
        let in_process = task.worker == IN_PROCESS;
        self.send(kind, "RespondWorkflowTaskCompleted", &request, in_process)
    }

    fn finish(&mut self, activity: ActivityTask, choice: u64) -> Done {
        let in_process = activity.worker == IN_PROCESS;
        let namespace = NAMESPACE.to_owned();
        match choice % 8 {
            0..4 => {
                let label = self.ledger.label_at("result", activity.owner());
                let request = RespondActivityTaskCompletedRequest {
                    namespace,
                    task_token: activity.token,
                    result: payloads(&label),
                    ..Default::default()
                };
                let kind = CallKind::Finish { label };
                self.send(kind, "RespondActivityTaskCompleted", &request, in_process)
            }
            4 => {
                let label = self.ledger.label_at("result", activity.owner());
                let request = RespondActivityTaskCompletedByIdRequest {
                    namespace,
                    workflow_id: activity.execution.workflow_id,
                    run_id: activity.execution.run_id,
                    activity_id: activity.activity_id,
                    result: payloads(&label),
                    ..Default::default()
                };
                let kind = CallKind::Finish { label };
                self.send(kind, "RespondActivityTaskCompletedById", &request, in_process)
            }
            5 => {
                let request = RespondActivityTaskCanceledRequest {
                    namespace,
                    task_token: activity.token,
                    ..Default::default()
                };
                self.send(
                    CallKind::Other,
                    "RespondActivityTaskCanceled",
                    &request,
                    in_process,
                )
            }
            _ => {
                let request = RespondActivityTaskFailedRequest {
                    namespace,
                    task_token: activity.token,
                    failure: Some(Failure {
                        message: "the activity fails".to_owned(),
                        ..Default::default()
                    }),
                    ..Default::default()
                };
                self.send(CallKind::Other, "RespondActivityTaskFailed", &request, in_process)
            }
        }
    }

    fn heartbeat(&mut self, activity: &ActivityTask) -> Done {
        let number = self.ledger.number();
        let request = RecordActivityTaskHeartbeatRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: activity.token.clone(),
            details: payloads(&number.to_string()),
            ..Default::default()
        };
        let kind = CallKind::Heartbeat {
            of: (
                activity.execution.run_id.clone(),
                activity.activity_id.clone(),
                activity.attempt,
            ),
            number,
        };
        let in_process = activity.worker == IN_PROCESS;
        self.send(kind, "RecordActivityTaskHeartbeat", &request, in_process)
    }

    /// An answer to a worker has come.
    pub(crate) fn worker_answered(&mut self, kind: CallKind, bytes: &[u8]) -> Done {
        match kind {
            CallKind::PollWorkflow { worker } => self.take_workflow_task(worker, decoded(bytes)?),
            CallKind::PollActivity { worker } => self.take_activity_task(worker, decoded(bytes)?),
            CallKind::Decide { worker, run_id, .. } => {
                let answer: RespondWorkflowTaskCompletedResponse = decoded(bytes)?;
                if answer.reset_history_event_id != 0
                    && let Some(cached) = self.workers.cached.get_mut(&(worker, run_id))
                {
                    // The task never was.
                    cached.truncate(usize::try_from(answer.reset_history_event_id).unwrap_or(0));
                }
                if let Some(task) = answer.workflow_task {
                    self.take_workflow_task(worker, task)?;
                }
                for task in answer.activity_tasks {
                    self.take_activity_task(worker, task)?;
                }
                Ok(())
            }
            CallKind::Heartbeat { of, number } => {
                self.ledger.heartbeats.insert(of, number);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_workflow_task(&mut self, worker: usize, task: PollWorkflowTaskQueueResponse) -> Done {
        if task.task_token.is_empty() {
            return Ok(());
        }
        let WorkflowExecution { workflow_id, run_id } = task.workflow_execution.unwrap_or_default();
        let cached = self.workers.cached.remove(&(worker, run_id.clone()));
        let events = task.history.unwrap_or_default().events;
        if !task.next_page_token.is_empty() {
            // Too long for one page: this worker gives up on it, and it times out.
            return Ok(());
        }
        let history = joined(cached, events).map_err(|what| format!("a task of run {run_id}: {what}"))?;
        if let Some(_query) = task.query {
            let view = View::of(&history);
            self.workers.cached.insert((worker, run_id), history);
            let answer = answer_of(&view);
            let request = RespondQueryTaskCompletedRequest {
                namespace: NAMESPACE.to_owned(),
                task_token: task.task_token,
                completed_type: answer.result_type,
                query_result: answer.answer,
                ..Default::default()
            };
            let in_process = worker == IN_PROCESS;
            return self.send(CallKind::Other, "RespondQueryTaskCompleted", &request, in_process);
        }
        let last = history.last();
        let ends_right = last.is_some_and(|event| {
            event.event_type() == EventType::WorkflowTaskStarted && event.event_id == task.started_event_id
        });
        if !ends_right {
            return Err(format!(
                "a task of run {run_id} does not end with its start: {last:?}"
            ));
        }
        let mut queries: Vec<_> = task.queries.into_keys().collect();
        queries.sort();
        self.workers
            .cached
            .insert((worker, run_id.clone()), history.clone());
        self.workers.workflow_tasks.push(WorkflowTask {
            worker,
            token: task.task_token,
            workflow_id,
            run_id,
            history,
            queries,
            messages: task.messages,
        });
        Ok(())
    }

    fn take_activity_task(&mut self, worker: usize, task: PollActivityTaskQueueResponse) -> Done {
        if task.task_token.is_empty() {
            return Ok(());
        }
        let mut execution = task.workflow_execution.unwrap_or_default();
        if execution.run_id.is_empty() {
            execution.run_id = task.activity_run_id;
        }
        let of = (execution.run_id.clone(), task.activity_id.clone());
        let attempt = (of.0.clone(), of.1.clone(), task.attempt);
        if !self.workers.attempts.insert(attempt) && !self.ledger.attempts_reset.contains(&of) {
            return Err(format!(
                "attempt {} of activity {} is given out twice",
                task.attempt, task.activity_id
            ));
        }
        self.workers.activity_tasks.push(ActivityTask {
            worker,
            token: task.task_token,
            execution,
            activity_id: task.activity_id,
            attempt: task.attempt,
        });
        Ok(())
    }

    /// One round in which workers do all they can to bring these runs (workflow id, run id) to an end.
    pub(crate) fn end_of_day(&mut self, open: &[(String, String)], round: u64) -> Done {
        self.workers.finishing = true;
        for (workflow_id, run_id) in open {
            if round % 8 == 7 {
                // It may wait for nothing but a word from outside.
                self.signal_run(workflow_id.clone(), run_id.clone(), false)?;
            }
            self.poll_workflow(IN_PROCESS, false)?;
        }
        for worker in 0..WORKERS {
            self.poll_workflow(worker, true)?;
        }
        self.work()?;
        while let Some(task) = self.workers.workflow_tasks.pop() {
            self.decide(task, round)?;
        }
        self.work()?;
        // The rest of the polls go away, so that none takes a task unseen.
        self.calls
            .retain(|call| !matches!(call.kind, CallKind::PollWorkflow { .. }));
        self.work()
    }
}

/// What the worker had, and what it was given: from event 1 without a gap.
fn joined(cached: Option<Vec<HistoryEvent>>, events: Vec<HistoryEvent>) -> Done<Vec<HistoryEvent>> {
    let first = events.first().map(|event| event.event_id);
    let mut history = cached.unwrap_or_default();
    if let Some(first) = first {
        // A task that was forgotten leaves its event ids to the next.
        history.truncate(usize::try_from(first - 1).unwrap_or(0));
    }
    history.extend(events);
    let gap = (1..).zip(&history).find(|(id, event)| event.event_id != *id);
    match gap {
        Some((id, event)) => Err(format!("event {} comes where {id} is due", event.event_id)),
        None => Ok(history),
    }
}

fn answer_of(view: &View) -> WorkflowQueryResult {
    WorkflowQueryResult {
        result_type: QueryResultType::Answered as i32,
        answer: payloads(&view.signals.join(" ")),
        ..Default::default()
    }
}
