//! A one-activity workflow as the stub keeps it: the events that the next task still has to bring.

use std::{sync::Mutex, time::SystemTime};

use temporalio_protos::temporal::api::{
    command::v1::ScheduleActivityTaskCommandAttributes,
    common::v1::{ActivityType, Payloads, WorkflowExecution, WorkflowType},
    enums::v1::EventType,
    history::v1::{
        ActivityTaskCompletedEventAttributes, ActivityTaskScheduledEventAttributes,
        ActivityTaskStartedEventAttributes, History, HistoryEvent, WorkflowExecutionCompletedEventAttributes,
        WorkflowExecutionStartedEventAttributes, WorkflowTaskCompletedEventAttributes,
        WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes, history_event::Attributes,
    },
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        PollActivityTaskQueueResponse, PollWorkflowTaskQueueResponse, StartWorkflowExecutionRequest,
    },
};
use tokio::sync::watch;

use super::locked;

/// One run.
pub(super) struct Run {
    pub(super) number: usize,
    workflow_id: String,
    workflow_type: Option<WorkflowType>,
    pub(super) task_queue: Option<TaskQueue>,
    now: Mutex<Now>,
    /// The close event, once there is one.
    closed: watch::Sender<Option<HistoryEvent>>,
}

/// What changes of a run.
#[derive(Default)]
struct Now {
    /// Not yet sent to the worker.
    events: Vec<HistoryEvent>,
    last_event_id: i64,
    last_started: i64,
    previous_started: i64,
    sticky: String,
    activity: ScheduleActivityTaskCommandAttributes,
    activity_scheduled: i64,
}

impl Now {
    fn event(&mut self, kind: EventType, attributes: Attributes) -> i64 {
        self.last_event_id += 1;
        self.events.push(event(self.last_event_id, kind, attributes));
        self.last_event_id
    }

    fn workflow_task(&mut self) {
        let attributes = WorkflowTaskScheduledEventAttributes::default();
        self.event(
            EventType::WorkflowTaskScheduled,
            Attributes::WorkflowTaskScheduledEventAttributes(attributes),
        );
    }
}

impl Run {
    pub(super) fn start(number: usize, request: StartWorkflowExecutionRequest) -> Self {
        let mut now = Now::default();
        let started = WorkflowExecutionStartedEventAttributes {
            workflow_type: request.workflow_type.clone(),
            workflow_id: request.workflow_id.clone(),
            task_queue: request.task_queue.clone(),
            input: request.input,
            original_execution_run_id: run_id(number),
            first_execution_run_id: run_id(number),
            attempt: 1,
            ..Default::default()
        };
        now.event(
            EventType::WorkflowExecutionStarted,
            Attributes::WorkflowExecutionStartedEventAttributes(started),
        );
        now.workflow_task();
        Self {
            number,
            workflow_id: request.workflow_id,
            workflow_type: request.workflow_type,
            task_queue: request.task_queue,
            now: Mutex::new(now),
            closed: watch::Sender::new(None),
        }
    }

    fn execution(&self) -> Option<WorkflowExecution> {
        Some(WorkflowExecution {
            workflow_id: self.workflow_id.clone(),
            run_id: run_id(self.number),
        })
    }

    /// Hands its workflow task out, with the events since the last.
    pub(super) fn workflow_task(&self) -> PollWorkflowTaskQueueResponse {
        let mut now = locked(&self.now);
        let attributes = WorkflowTaskStartedEventAttributes {
            scheduled_event_id: now.last_event_id,
            ..Default::default()
        };
        now.last_started = now.event(
            EventType::WorkflowTaskStarted,
            Attributes::WorkflowTaskStartedEventAttributes(attributes),
        );
        let time = Some(SystemTime::now().into());
        PollWorkflowTaskQueueResponse {
            task_token: token(self.number),
            workflow_execution: self.execution(),
            workflow_type: self.workflow_type.clone(),
            previous_started_event_id: now.previous_started,
            started_event_id: now.last_started,
            attempt: 1,
            history: Some(History {
                events: std::mem::take(&mut now.events),
            }),
            workflow_execution_task_queue: self.task_queue.clone(),
            scheduled_time: time,
            started_time: time,
            ..Default::default()
        }
    }

    /// The worker is done with the workflow task, and wants the next on its queue `sticky`.
    pub(super) fn end_workflow_task(&self, sticky: String) {
        let mut now = locked(&self.now);
        let attributes = WorkflowTaskCompletedEventAttributes {
            scheduled_event_id: now.last_started - 1,
            started_event_id: now.last_started,
            ..Default::default()
        };
        now.event(
            EventType::WorkflowTaskCompleted,
            Attributes::WorkflowTaskCompletedEventAttributes(attributes),
        );
        now.previous_started = now.last_started;
        now.sticky = sticky;
    }

    pub(super) fn schedule_activity(&self, command: ScheduleActivityTaskCommandAttributes) {
        let mut now = locked(&self.now);
        let attributes = ActivityTaskScheduledEventAttributes {
            activity_id: command.activity_id.clone(),
            activity_type: command.activity_type.clone(),
            task_queue: command.task_queue.clone(),
            input: command.input.clone(),
            start_to_close_timeout: command.start_to_close_timeout,
            workflow_task_completed_event_id: now.last_event_id,
            ..Default::default()
        };
        now.activity_scheduled = now.event(
            EventType::ActivityTaskScheduled,
            Attributes::ActivityTaskScheduledEventAttributes(attributes),
        );
        now.activity = command;
    }

    /// Hands its activity out.
    pub(super) fn activity_task(&self) -> PollActivityTaskQueueResponse {
        let now = locked(&self.now);
        let time = Some(SystemTime::now().into());
        PollActivityTaskQueueResponse {
            task_token: token(self.number),
            workflow_namespace: "default".to_owned(),
            workflow_type: self.workflow_type.clone(),
            workflow_execution: self.execution(),
            activity_type: Some(ActivityType {
                name: now.activity.activity_type.clone().unwrap_or_default().name,
            }),
            activity_id: now.activity.activity_id.clone(),
            input: now.activity.input.clone(),
            scheduled_time: time,
            current_attempt_scheduled_time: time,
            started_time: time,
            attempt: 1,
            start_to_close_timeout: now.activity.start_to_close_timeout,
            ..Default::default()
        }
    }

    /// The activity has a result. Answers the queue for the workflow task that follows.
    pub(super) fn end_activity(&self, result: Option<Payloads>) -> String {
        let mut now = locked(&self.now);
        let scheduled_event_id = now.activity_scheduled;
        let started = ActivityTaskStartedEventAttributes {
            scheduled_event_id,
            attempt: 1,
            ..Default::default()
        };
        let started_event_id = now.event(
            EventType::ActivityTaskStarted,
            Attributes::ActivityTaskStartedEventAttributes(started),
        );
        let completed = ActivityTaskCompletedEventAttributes {
            result,
            scheduled_event_id,
            started_event_id,
            ..Default::default()
        };
        now.event(
            EventType::ActivityTaskCompleted,
            Attributes::ActivityTaskCompletedEventAttributes(completed),
        );
        now.workflow_task();
        now.sticky.clone()
    }

    pub(super) fn close(&self, result: Option<Payloads>) {
        let mut now = locked(&self.now);
        now.last_event_id += 1;
        let attributes = WorkflowExecutionCompletedEventAttributes {
            result,
            ..Default::default()
        };
        let attributes = Attributes::WorkflowExecutionCompletedEventAttributes(attributes);
        let event = event(
            now.last_event_id,
            EventType::WorkflowExecutionCompleted,
            attributes,
        );
        self.closed.send_replace(Some(event));
    }

    /// The close event, when there is one.
    pub(super) async fn closed(&self) -> Option<HistoryEvent> {
        let mut closed = self.closed.subscribe();
        closed.wait_for(Option::is_some).await.ok()?.clone()
    }
}

fn event(event_id: i64, kind: EventType, attributes: Attributes) -> HistoryEvent {
    HistoryEvent {
        event_id,
        event_time: Some(SystemTime::now().into()),
        event_type: kind.into(),
        attributes: Some(attributes),
        ..Default::default()
    }
}

/// A run's id: its number, in the shape of a UUID.
pub(super) fn run_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// The number of the run of this id.
pub(super) fn number_of(run_id: &str) -> Option<usize> {
    usize::from_str_radix(run_id.rsplit('-').next()?, 16).ok()
}

/// What names the run in a task.
fn token(number: usize) -> Vec<u8> {
    run_id(number).into_bytes()
}

/// The number of the run that a token names.
pub(super) fn of_token(token: &[u8]) -> Option<usize> {
    number_of(std::str::from_utf8(token).ok()?)
}
