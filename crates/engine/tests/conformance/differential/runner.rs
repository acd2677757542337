//! Carries a plan out on one engine.

use std::{collections::HashMap, time::Duration};

use temporalio_client::tonic::{IntoRequest, Request};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, ModifyWorkflowPropertiesCommandAttributes, command::Attributes},
    common::v1::{Memo, Payloads, RetryPolicy, WorkflowExecution},
    enums::v1::{
        CommandType, EventType, PendingActivityState, PendingWorkflowTaskState, WorkflowTaskFailedCause,
    },
    history::v1::HistoryEvent,
    workflowservice::v1::*,
};
use tokio::time::{Instant, sleep};

use super::{
    description,
    plan::{ActivityEnd, ActivityKind, Do, IDS, StartOptions, Step, TaskEnd, UpdateEnd},
    settle::{LOOK, is_restless},
    transcript::{event, outcome},
    updates,
};
use crate::{
    bed::{Bed, commands, execution, millis, name_of, payloads, queue, rpc, seconds},
    update_messages,
};

/// For a task that is due.
const LONGEST_POLL: Duration = Duration::from_secs(40);
/// How the ids of timers begin that end almost at once.
pub(super) const SHORT: &str = "short";
/// Type of an activity for which no worker comes.
pub(super) const UNWANTED: &str = "Unwanted";
/// Type of an activity that has little time.
pub(super) const HURRIED: &str = "Hurried";

/// Carries it out and answers what was to be seen.
pub(super) async fn run(bed: &Bed, seed: u64, plan: &[Step]) -> Vec<String> {
    let mut runner = Runner {
        bed,
        seed,
        held: HashMap::new(),
        runs: Vec::new(),
        commands: 0,
        transcript: Vec::new(),
    };
    for step in plan {
        runner.note(format!("{step:?}"));
        runner.step(step).await;
        runner.settle().await;
    }
    runner.tell_histories().await;
    runner.transcript
}

pub(super) struct Runner<'a> {
    pub(super) bed: &'a Bed,
    seed: u64,
    /// The workflow tasks in the worker's hands, by the number of the workflow id.
    pub(super) held: HashMap<usize, PollWorkflowTaskQueueResponse>,
    /// Every run that was seen, in that order.
    runs: Vec<WorkflowExecution>,
    /// Commands and updates so far: for ids that no other one has.
    pub(super) commands: usize,
    transcript: Vec<String>,
}

impl Runner<'_> {
    pub(super) fn note(&mut self, line: String) {
        self.transcript.push(line);
    }

    pub(super) fn note_outcome<T>(
        &mut self,
        what: &str,
        result: &Result<T, temporalio_client::tonic::Status>,
    ) {
        let outcome = outcome(result, &self.bed.namespace);
        self.note(format!("  {what}: {outcome}"));
    }

    /// The workflow id with this number, which is also its task queue: workers take nothing of others.
    pub(super) fn name(&self, id: usize) -> String {
        format!("seed-{}-{id}", self.seed)
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Start { id, options } => self.start(*id, options).await,
            Step::SignalWithStart { id } => self.signal_with_start(*id).await,
            Step::Signal { id } => {
                let result = self.bed.try_signal(&self.name(*id), "signal").await;
                self.note_outcome("signal", &result);
            }
            Step::RequestCancel { id } => {
                let request = RequestCancelWorkflowExecutionRequest {
                    namespace: self.bed.namespace.clone(),
                    workflow_execution: Some(execution(&self.name(*id))),
                    identity: "client".to_owned(),
                    reason: "asked".to_owned(),
                    ..Default::default()
                };
                let result = rpc!(self.bed, request_cancel_workflow_execution, request);
                self.note_outcome("cancel", &result);
            }
            Step::Terminate { id } => {
                let request = TerminateWorkflowExecutionRequest {
                    namespace: self.bed.namespace.clone(),
                    workflow_execution: Some(execution(&self.name(*id))),
                    reason: "enough".to_owned(),
                    identity: "client".to_owned(),
                    ..Default::default()
                };
                let result = rpc!(self.bed, terminate_workflow_execution, request);
                self.note_outcome("terminate", &result);
                self.held.remove(id);
            }
            Step::Query { id } => self.query(*id).await,
            Step::Update { id, how } => self.update(*id, *how).await,
            Step::Reset { id, to_last } => self.reset(*id, *to_last).await,
            Step::TakeTask { id } => self.take_task(*id).await,
            Step::EndTask { id, how } => self.end_task(*id, how).await,
            Step::Activity { id, pick, how } => self.activity(*id, *pick, *how).await,
        }
    }

    async fn describe(&self, id: usize) -> Option<DescribeWorkflowExecutionResponse> {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.bed.namespace.clone(),
            execution: Some(execution(&self.name(id))),
        };
        let mut described = rpc!(self.bed, describe_workflow_execution, request).ok()?;
        if !is_open(&described) {
            // The real server still shows what was pending when the run closed.
            described.pending_activities.clear();
            described.pending_workflow_task = None;
        }
        described
            .pending_activities
            .sort_by(|a, b| a.activity_id.cmp(&b.activity_id));
        Some(described)
    }

    fn start_request(&self, id: usize) -> StartWorkflowExecutionRequest {
        StartWorkflowExecutionRequest {
            task_queue: Some(queue(&self.name(id))),
            input: Some(payloads("input")),
            // So long that no task times out on a busy machine.
            workflow_task_timeout: Some(seconds(100)),
            ..self.bed.start_request(&self.name(id))
        }
    }

    async fn start(&mut self, id: usize, options: &StartOptions) {
        let mut request = self.start_request(id);
        request.workflow_id_reuse_policy = options.reuse;
        request.workflow_id_conflict_policy = options.conflict;
        request.retry_policy = options.retries.then(|| RetryPolicy {
            initial_interval: Some(millis(30)),
            maximum_attempts: 2,
            ..Default::default()
        });
        request.workflow_start_delay = options.delayed.then(|| millis(200));
        request.memo = options.memo.then(memo);
        request.workflow_run_timeout = options.times_out.then(|| seconds(1));
        let result = rpc!(self.bed, start_workflow_execution, request);
        self.note_outcome("start", &result);
        if let Ok(answer) = &result {
            self.note(format!(
                "  started {} status {:?}",
                answer.started,
                answer.status()
            ));
            let known = self.runs.iter().any(|run| run.run_id == answer.run_id);
            self.note(format!("  a known run: {known}"));
            if !known {
                // The one before is closed now, and its task is worth nothing.
                self.held.remove(&id);
            }
        }
    }

    async fn signal_with_start(&mut self, id: usize) {
        let start = self.start_request(id);
        let request = SignalWithStartWorkflowExecutionRequest {
            namespace: start.namespace,
            workflow_id: start.workflow_id,
            workflow_type: start.workflow_type,
            task_queue: start.task_queue,
            input: start.input,
            workflow_task_timeout: start.workflow_task_timeout,
            request_id: start.request_id,
            identity: start.identity,
            signal_name: "with start".to_owned(),
            ..Default::default()
        };
        let result = rpc!(self.bed, signal_with_start_workflow_execution, request);
        self.note_outcome("signal with start", &result);
        if let Ok(answer) = result {
            self.note(format!("  started {}", answer.started));
        }
    }

    async fn reset(&mut self, id: usize, to_last: bool) {
        let Some(described) = self.describe(id).await else {
            return self.note("  nothing to reset".to_owned());
        };
        let info = described.workflow_execution_info.unwrap_or_default();
        let run = info.execution.unwrap_or_default();
        let mut completed = self.history(&run).await;
        completed.retain(|event| event.event_type() == EventType::WorkflowTaskCompleted);
        let point = if to_last {
            completed.last()
        } else {
            completed.first()
        };
        let request = ResetWorkflowExecutionRequest {
            namespace: self.bed.namespace.clone(),
            workflow_execution: Some(run.clone()),
            workflow_task_finish_event_id: point.map_or(3, |event| event.event_id),
            request_id: format!("reset of {}", run.run_id),
            reason: "once more".to_owned(),
            identity: "client".to_owned(),
            ..Default::default()
        };
        let result = rpc!(self.bed, reset_workflow_execution, request);
        self.note_outcome("reset", &result);
        if result.is_ok() {
            self.held.remove(&id);
        }
    }

    /// A query that comes while no workflow task is due: a worker gets it as a task of its own.
    async fn query(&mut self, id: usize) {
        let Some(described) = self.describe(id).await else {
            let result = self.bed.query(&self.name(id), "question").await;
            return self.note_outcome("query", &result);
        };
        let info = described.workflow_execution_info.unwrap_or_default();
        if described.pending_workflow_task.is_some() || self.held.contains_key(&id) {
            return self.note("  not now".to_owned());
        }
        let history = self.history(&info.execution.unwrap_or_default()).await;
        if !history
            .iter()
            .any(|event| name_of(event.event_type()) == "WorkflowTaskCompleted")
        {
            return self.note("  not yet".to_owned());
        }
        let name = self.name(id);
        let (answer, ()) = tokio::join!(self.bed.query(&name, "question"), async {
            let Some(task) = self.poll(id).await else { return };
            let request = RespondQueryTaskCompletedRequest {
                namespace: self.bed.namespace.clone(),
                task_token: task.task_token,
                completed_type: 1,
                query_result: Some(payloads("answer")),
                ..Default::default()
            };
            rpc!(self.bed, respond_query_task_completed, request).expect("an answer to a query");
        });
        self.note_outcome("query", &answer);
        let result = answer.map(|answer| answer.query_result);
        self.note(format!("  {:?}", result.ok()));
    }

    pub(super) async fn poll(&self, id: usize) -> Option<PollWorkflowTaskQueueResponse> {
        let request = PollWorkflowTaskQueueRequest {
            namespace: self.bed.namespace.clone(),
            task_queue: Some(queue(&self.name(id))),
            identity: "worker".to_owned(),
            ..Default::default()
        };
        let mut request = Request::new(request);
        request.set_timeout(LONGEST_POLL);
        let polled = rpc!(self.bed, poll_workflow_task_queue, request);
        polled.ok().filter(|task| !task.task_token.is_empty())
    }

    async fn poll_activity(&self, queue_name: &str) -> Option<PollActivityTaskQueueResponse> {
        let request = PollActivityTaskQueueRequest {
            namespace: self.bed.namespace.clone(),
            task_queue: Some(queue(queue_name)),
            identity: "worker".to_owned(),
            ..Default::default()
        };
        let mut request = Request::new(request);
        request.set_timeout(LONGEST_POLL);
        let polled = rpc!(self.bed, poll_activity_task_queue, request);
        polled.ok().filter(|task| !task.task_token.is_empty())
    }

    /// Takes the workflow task that is due, if one is.
    pub(super) async fn take_task(&mut self, id: usize) {
        if self.held.contains_key(&id) {
            return;
        }
        let described = self.describe(id).await;
        let Some(pending) = described.and_then(|described| described.pending_workflow_task) else {
            return self.note("  no task is due".to_owned());
        };
        if pending.state() != PendingWorkflowTaskState::Scheduled {
            return self.note(format!("  the task is {:?}", pending.state()));
        }
        let Some(task) = self.poll(id).await else {
            return self.note("  no task comes".to_owned());
        };
        let types: Vec<_> = task
            .history
            .iter()
            .flat_map(|history| &history.events)
            .map(|e| name_of(e.event_type()))
            .collect();
        let asked = task.messages.iter().map(|message| message.id.as_str());
        self.note(format!(
            "  task: attempt {} started {} previous {} history {types:?} messages {:?}",
            task.attempt,
            task.started_event_id,
            task.previous_started_event_id,
            asked.collect::<Vec<_>>()
        ));
        self.held.insert(id, task);
    }

    pub(super) async fn end_task(&mut self, id: usize, how: &TaskEnd) {
        self.take_task(id).await;
        let Some(task) = self.held.remove(&id) else { return };
        match how {
            TaskEnd::Complete { commands, force_new } => {
                let mut answers = updates::answers(&task, UpdateEnd::Complete);
                let mut placed: Vec<Command> = answers.iter().map(update_messages::place).collect();
                for command in commands {
                    placed.push(match *command {
                        Do::CompleteUpdate(pick) => match updates::completed(&task, pick, &answers) {
                            Some(answer) => {
                                let command = update_messages::place(&answer);
                                answers.push(answer);
                                command
                            }
                            None => commands::marker("no update"),
                        },
                        command => self.command(id, command, &task),
                    });
                }
                let mut request = self.bed.completion(&task, placed);
                request.messages = answers;
                request.force_create_new_workflow_task = *force_new;
                let result = rpc!(self.bed, respond_workflow_task_completed, request);
                self.note_outcome("completed", &result);
            }
            TaskEnd::Fail => {
                let request = RespondWorkflowTaskFailedRequest {
                    namespace: self.bed.namespace.clone(),
                    task_token: task.task_token.clone(),
                    cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure as i32,
                    failure: Some(commands::failure("a mistake", false)),
                    identity: "worker".to_owned(),
                    ..Default::default()
                };
                let result = rpc!(self.bed, respond_workflow_task_failed, request);
                self.note_outcome("failed", &result);
            }
        }
    }

    fn command(&mut self, id: usize, what: Do, task: &PollWorkflowTaskQueueResponse) -> Command {
        self.commands += 1;
        let number = self.commands;
        match what {
            Do::Activity(kind) => {
                // A queue of its own: a worker takes this one and no other.
                let name = format!("activity-{number}");
                let mut activity = commands::activity(&name, &format!("{}-{name}", self.name(id)));
                activity.start_to_close_timeout = Some(seconds(100));
                activity.retry_policy = Some(RetryPolicy {
                    initial_interval: Some(millis(30)),
                    maximum_attempts: if kind == ActivityKind::Retried { 2 } else { 1 },
                    ..Default::default()
                });
                let kind_name = match kind {
                    ActivityKind::Plain | ActivityKind::Retried => "Act",
                    ActivityKind::Unwanted => {
                        activity.schedule_to_start_timeout = Some(millis(200));
                        UNWANTED
                    }
                    ActivityKind::Hurried => {
                        activity.start_to_close_timeout = Some(millis(300));
                        HURRIED
                    }
                };
                if let Some(kind) = &mut activity.activity_type {
                    kind.name = kind_name.to_owned();
                }
                commands::schedule(activity)
            }
            Do::ShortTimer => commands::start_timer(&format!("{SHORT}-{number}"), millis(30)),
            Do::LongTimer(timer) => commands::start_timer(&format!("long-{timer}"), seconds(3_600)),
            Do::CancelTimer(timer) => commands::cancel_timer(&format!("long-{timer}")),
            Do::CancelActivity(pick) => {
                let scheduled = open_activities(task.history.iter().flat_map(|history| &history.events));
                match scheduled.get(pick) {
                    Some(event_id) => commands::cancel_activity(*event_id),
                    None => commands::marker("no activity"),
                }
            }
            // It is placed where the messages are.
            Do::CompleteUpdate(_) => commands::marker("update"),
            Do::Marker => commands::marker("marker"),
            Do::UpsertMemo => Command {
                command_type: CommandType::ModifyWorkflowProperties as i32,
                attributes: Some(Attributes::ModifyWorkflowPropertiesCommandAttributes(
                    ModifyWorkflowPropertiesCommandAttributes {
                        upserted_memo: Some(memo()),
                    },
                )),
                ..Default::default()
            },
            Do::Complete => commands::complete("result"),
            Do::Fail => commands::fail("failed"),
            Do::Cancel => commands::cancel_workflow(),
            Do::ContinueAsNew => commands::continue_as_new("next"),
        }
    }

    async fn activity(&mut self, id: usize, pick: usize, how: ActivityEnd) {
        let Some(described) = self.describe(id).await.filter(is_open) else {
            return self.note("  no run is open".to_owned());
        };
        let mut waiting = described.pending_activities;
        waiting.retain(|activity| activity.state() == PendingActivityState::Scheduled);
        waiting.retain(|activity| {
            activity
                .activity_type
                .as_ref()
                .is_none_or(|kind| kind.name != UNWANTED)
        });
        if waiting.is_empty() {
            return self.note("  no activity waits".to_owned());
        }
        let activity_id = waiting[pick % waiting.len()].activity_id.clone();
        let Some(task) = self
            .poll_activity(&format!("{}-{activity_id}", self.name(id)))
            .await
        else {
            return self.note(format!("  activity {activity_id} does not come"));
        };
        self.note(format!(
            "  activity {activity_id} attempt {} details {:?}",
            task.attempt, task.heartbeat_details
        ));
        if task
            .activity_type
            .as_ref()
            .is_some_and(|kind| kind.name == HURRIED)
        {
            return;
        }
        self.end_activity(id, &activity_id, task, how).await;
    }

    async fn end_activity(
        &mut self,
        id: usize,
        activity_id: &str,
        task: PollActivityTaskQueueResponse,
        how: ActivityEnd,
    ) {
        let (namespace, task_token) = (self.bed.namespace.clone(), task.task_token);
        let identity = "worker".to_owned();
        let heartbeat = RecordActivityTaskHeartbeatRequest {
            namespace: namespace.clone(),
            task_token: task_token.clone(),
            details: Some(payloads("half")),
            identity: identity.clone(),
            ..Default::default()
        };
        match how {
            ActivityEnd::Nothing => {}
            ActivityEnd::Complete => {
                let request = RespondActivityTaskCompletedRequest {
                    namespace,
                    task_token,
                    result: Some(payloads("done")),
                    identity,
                    ..Default::default()
                };
                let result = rpc!(self.bed, respond_activity_task_completed, request);
                self.note_outcome("activity completed", &result);
            }
            ActivityEnd::CompleteById => {
                let request = RespondActivityTaskCompletedByIdRequest {
                    namespace,
                    workflow_id: self.name(id),
                    activity_id: activity_id.to_owned(),
                    result: Some(payloads("by id")),
                    identity,
                    ..Default::default()
                };
                let result = rpc!(self.bed, respond_activity_task_completed_by_id, request);
                self.note_outcome("activity completed by id", &result);
            }
            ActivityEnd::Cancel => {
                let request = RespondActivityTaskCanceledRequest {
                    namespace,
                    task_token,
                    identity,
                    ..Default::default()
                };
                let result = rpc!(self.bed, respond_activity_task_canceled, request);
                self.note_outcome("activity canceled", &result);
            }
            ActivityEnd::Fail | ActivityEnd::FailForGood | ActivityEnd::Heartbeat => {
                let beat = rpc!(self.bed, record_activity_task_heartbeat, heartbeat);
                self.note_outcome("heartbeat", &beat);
                if let Ok(answer) = beat {
                    self.note(format!("  asked to cancel: {}", answer.cancel_requested));
                }
                if matches!(how, ActivityEnd::Heartbeat) {
                    return;
                }
                let is_final = matches!(how, ActivityEnd::FailForGood);
                let request = RespondActivityTaskFailedRequest {
                    namespace,
                    task_token,
                    failure: Some(commands::failure("the activity's", is_final)),
                    identity,
                    ..Default::default()
                };
                let result = rpc!(self.bed, respond_activity_task_failed, request);
                self.note_outcome("activity failed", &result);
            }
        }
    }

    async fn history(&self, run: &WorkflowExecution) -> Vec<HistoryEvent> {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: self.bed.namespace.clone(),
            execution: Some(run.clone()),
            ..Default::default()
        };
        let answer = rpc!(self.bed, get_workflow_execution_history, request.into_request());
        answer
            .ok()
            .and_then(|answer| answer.history)
            .unwrap_or_default()
            .events
    }

    /// Waits until nothing happens by itself any more, and remembers the runs there are.
    async fn settle(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        for id in 0..IDS {
            while let Some(described) = self.describe(id).await {
                let info = described.workflow_execution_info.clone().unwrap_or_default();
                let run = info.execution.unwrap_or_default();
                if !self.runs.contains(&run) {
                    self.runs.push(run.clone());
                    self.held.remove(&id);
                }
                let history = self.history(&run).await;
                // What happens while a worker has the task is seen when it has ended.
                if self.held.contains_key(&id) || !is_restless(&described, &history) {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "seed {}: {id} comes to no rest",
                    self.seed
                );
                sleep(LOOK).await;
            }
        }
    }

    async fn tell_histories(&mut self) {
        for run in self.runs.clone() {
            self.note(format!("history of a run of {}", run.workflow_id));
            for each in written(self.history(&run).await) {
                let line = event(&each, &self.bed.namespace);
                self.note(format!("  {line}"));
            }
        }
        for run in self.runs.clone() {
            self.note(format!("a run of {}", run.workflow_id));
            let request = DescribeWorkflowExecutionRequest {
                namespace: self.bed.namespace.clone(),
                execution: Some(run),
            };
            let described = rpc!(self.bed, describe_workflow_execution, request).unwrap_or_default();
            for line in description::lines(described, &self.bed.namespace) {
                self.note(format!("  {line}"));
            }
        }
    }
}

/// A history without the events of a further attempt, which both make up for readers, the real server in its own way.
fn written(mut history: Vec<HistoryEvent>) -> Vec<HistoryEvent> {
    use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes as A;
    let is_transient = |event: &HistoryEvent| matches!(&event.attributes, Some(A::WorkflowTaskScheduledEventAttributes(scheduled)) if scheduled.attempt > 1);
    let last = history.len().saturating_sub(2);
    if let Some(at) = history[last..].iter().position(is_transient)
        && history[last + at + 1..]
            .iter()
            .all(|event| name_of(event.event_type()) == "WorkflowTaskStarted")
    {
        history.truncate(last + at);
    }
    history
}

/// The scheduled event ids of the activities that a worker takes to be open.
fn open_activities<'a>(events: impl Iterator<Item = &'a HistoryEvent>) -> Vec<i64> {
    use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes as A;
    let mut open = Vec::new();
    for event in events {
        let closed = match &event.attributes {
            Some(A::ActivityTaskScheduledEventAttributes(_)) => {
                open.push(event.event_id);
                continue;
            }
            Some(A::ActivityTaskCompletedEventAttributes(closed)) => closed.scheduled_event_id,
            Some(A::ActivityTaskFailedEventAttributes(closed)) => closed.scheduled_event_id,
            Some(A::ActivityTaskTimedOutEventAttributes(closed)) => closed.scheduled_event_id,
            Some(A::ActivityTaskCanceledEventAttributes(closed)) => closed.scheduled_event_id,
            _ => continue,
        };
        open.retain(|event_id| *event_id != closed);
    }
    open
}

fn is_open(described: &DescribeWorkflowExecutionResponse) -> bool {
    let info = described.workflow_execution_info.as_ref();
    info.is_some_and(|info| info.close_time.is_none())
}

fn memo() -> Memo {
    let Payloads { payloads } = payloads("kept");
    Memo {
        fields: [("key".to_owned(), payloads.into_iter().next().unwrap_or_default())].into(),
    }
}
