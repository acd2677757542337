//! A test bed: an engine, a namespace and a task queue of the test's own, and RPCs on them.

use std::time::Duration;

use segno_test_support::TemporalServer;
use temporalio_client::{Client, tonic::Status};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, command::Attributes},
    common::v1::{ActivityType, Payload, Payloads, WorkflowExecution, WorkflowType},
    enums::v1::{CommandType, EventType, TaskQueueKind, WorkflowTaskFailedCause},
    history::v1::HistoryEvent,
    query::v1::WorkflowQuery,
    taskqueue::v1::{StickyExecutionAttributes, TaskQueue},
    workflowservice::v1::*,
};

use crate::embedded::TestEngine;

/// An engine under test.
pub(crate) struct Bed {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) queue: String,
    pub(crate) engine: Option<TestEngine>,
    pub(crate) server: Option<TemporalServer>,
}

/// Runs each scenario on both engines.
macro_rules! both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($bed:ident: &Bed) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$meta])*
            async fn scenario($bed: &Bed) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                scenario(&Bed::embedded().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn temporal() {
                scenario(&Bed::temporal().await).await;
            }
        }
    )*};
}
pub(crate) use both_engines;

/// Calls one RPC of the workflow service.
macro_rules! rpc {
    ($bed:expr, $method:ident, $request:expr) => {{
        let mut service = $bed.client.connection().workflow_service();
        service
            .$method(temporalio_client::tonic::IntoRequest::into_request($request))
            .await
            .map(temporalio_client::tonic::Response::into_inner)
    }};
}
pub(crate) use rpc;

impl Bed {
    pub(crate) async fn embedded() -> Self {
        Self::on(TestEngine::start().await).await
    }

    /// An embedded engine on which executions may hold so much.
    pub(crate) async fn embedded_with(limits: segno_engine::Limits) -> Self {
        Self::on(TestEngine::start_with(limits).await).await
    }

    async fn on(engine: TestEngine) -> Self {
        let client = engine.client().await;
        Self {
            client,
            namespace: "default".to_owned(),
            queue: "queue".to_owned(),
            engine: Some(engine),
            server: None,
        }
    }

    pub(crate) async fn temporal() -> Self {
        let server = TemporalServer::start().await;
        let namespace = server.namespace().await;
        let client = server.client(&namespace).await;
        Self {
            client,
            namespace,
            queue: "queue".to_owned(),
            engine: None,
            server: Some(server),
        }
    }

    /// `host:port` of the engine's gRPC, served now if it is the embedded one.
    pub(crate) async fn address(&self) -> String {
        if let Some(server) = &self.server {
            return server.address().to_owned();
        }
        let engine = self.engine.as_ref().expect("an embedded engine");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let handle = engine.handle();
        tokio::spawn(async move { segno_engine::serve(&handle, listener, std::future::pending()).await });
        address
    }

    /// A start of workflow type `Test` under this id.
    pub(crate) fn start_request(&self, workflow_id: &str) -> StartWorkflowExecutionRequest {
        StartWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            workflow_id: workflow_id.to_owned(),
            workflow_type: Some(WorkflowType {
                name: "Test".to_owned(),
            }),
            task_queue: Some(queue(&self.queue)),
            request_id: uuid::Uuid::new_v4().to_string(),
            identity: "client".to_owned(),
            ..Default::default()
        }
    }

    /// Starts it, and answers its run id.
    pub(crate) async fn start(&self, workflow_id: &str) -> String {
        let request = self.start_request(workflow_id);
        rpc!(self, start_workflow_execution, request)
            .expect("a start")
            .run_id
    }

    /// The next workflow task of the test's queue.
    pub(crate) async fn task(&self) -> PollWorkflowTaskQueueResponse {
        let task = self.poll(queue(&self.queue)).await;
        assert!(!task.task_token.is_empty(), "a workflow task is due");
        task
    }

    pub(crate) async fn poll(&self, task_queue: TaskQueue) -> PollWorkflowTaskQueueResponse {
        let request = PollWorkflowTaskQueueRequest {
            namespace: self.namespace.clone(),
            task_queue: Some(task_queue),
            identity: "worker".to_owned(),
            ..Default::default()
        };
        rpc!(self, poll_workflow_task_queue, request).expect("a poll")
    }

    /// A completion of this task.
    pub(crate) fn completion(
        &self,
        task: &PollWorkflowTaskQueueResponse,
        commands: Vec<Command>,
    ) -> RespondWorkflowTaskCompletedRequest {
        RespondWorkflowTaskCompletedRequest {
            namespace: self.namespace.clone(),
            task_token: task.task_token.clone(),
            commands,
            identity: "worker".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) async fn complete(&self, task: &PollWorkflowTaskQueueResponse, commands: Vec<Command>) {
        self.try_complete(task, commands).await.expect("a completion");
    }

    pub(crate) async fn try_complete(
        &self,
        task: &PollWorkflowTaskQueueResponse,
        commands: Vec<Command>,
    ) -> Result<RespondWorkflowTaskCompletedResponse, Status> {
        rpc!(
            self,
            respond_workflow_task_completed,
            self.completion(task, commands)
        )
    }

    /// Completes it and asks for the run's next tasks on a queue of the worker's own.
    pub(crate) async fn complete_sticky(
        &self,
        task: &PollWorkflowTaskQueueResponse,
        commands: Vec<Command>,
        sticky: &str,
    ) {
        let mut request = self.completion(task, commands);
        request.sticky_attributes = Some(StickyExecutionAttributes {
            worker_task_queue: Some(sticky_queue(sticky, &self.queue)),
            schedule_to_start_timeout: Some(seconds(2)),
        });
        rpc!(self, respond_workflow_task_completed, request).expect("a completion");
    }

    /// A completion of this task that asks for the next one along with the answer, and for the run's tasks on a queue
    /// of the worker's own.
    pub(crate) fn wanting_next(
        &self,
        completion: RespondWorkflowTaskCompletedRequest,
    ) -> RespondWorkflowTaskCompletedRequest {
        RespondWorkflowTaskCompletedRequest {
            return_new_workflow_task: true,
            sticky_attributes: Some(StickyExecutionAttributes {
                worker_task_queue: Some(sticky_queue("own", &self.queue)),
                schedule_to_start_timeout: Some(seconds(5)),
            }),
            ..completion
        }
    }

    /// Fails this task, as a worker does whose workflow code is broken.
    pub(crate) async fn fail_task(&self, task: PollWorkflowTaskQueueResponse) {
        let request = RespondWorkflowTaskFailedRequest {
            namespace: self.namespace.clone(),
            task_token: task.task_token,
            cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure as i32,
            failure: Some(commands::failure("broken", false)),
            identity: "worker".to_owned(),
            ..Default::default()
        };
        rpc!(self, respond_workflow_task_failed, request).expect("a failure");
    }

    /// The next activity task of the test's queue.
    pub(crate) async fn activity_task(&self) -> PollActivityTaskQueueResponse {
        self.activity_task_of(&self.queue).await
    }

    /// The next activity task of this queue.
    pub(crate) async fn activity_task_of(&self, name: &str) -> PollActivityTaskQueueResponse {
        let request = PollActivityTaskQueueRequest {
            namespace: self.namespace.clone(),
            task_queue: Some(queue(name)),
            identity: "worker".to_owned(),
            ..Default::default()
        };
        let task = rpc!(self, poll_activity_task_queue, request).expect("a poll");
        assert!(!task.task_token.is_empty(), "an activity task is due");
        task
    }

    pub(crate) async fn signal(&self, workflow_id: &str, name: &str) {
        self.try_signal(workflow_id, name).await.expect("a signal");
    }

    pub(crate) async fn try_signal(&self, workflow_id: &str, name: &str) -> Result<(), Status> {
        let request = SignalWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            workflow_execution: Some(execution(workflow_id)),
            signal_name: name.to_owned(),
            input: Some(payloads(name)),
            identity: "client".to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        rpc!(self, signal_workflow_execution, request).map(drop)
    }

    pub(crate) async fn query(&self, workflow_id: &str, name: &str) -> Result<QueryWorkflowResponse, Status> {
        let request = QueryWorkflowRequest {
            namespace: self.namespace.clone(),
            execution: Some(execution(workflow_id)),
            query: Some(WorkflowQuery {
                query_type: name.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        rpc!(self, query_workflow, request)
    }

    /// The whole history.
    pub(crate) async fn history(&self, workflow_id: &str) -> Vec<HistoryEvent> {
        self.history_of(execution(workflow_id)).await
    }

    pub(crate) async fn history_of(&self, execution: WorkflowExecution) -> Vec<HistoryEvent> {
        let mut events = Vec::new();
        let mut next_page_token = Vec::new();
        loop {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: self.namespace.clone(),
                execution: Some(execution.clone()),
                next_page_token,
                ..Default::default()
            };
            let page = rpc!(self, get_workflow_execution_history, request).expect("a history");
            events.extend(page.history.unwrap_or_default().events);
            next_page_token = page.next_page_token;
            if next_page_token.is_empty() {
                check_history(&events, self.engine.is_some());
                return events;
            }
        }
    }

    /// The event types of the history, short: `WorkflowExecutionStarted`, …
    pub(crate) async fn event_types(&self, workflow_id: &str) -> Vec<&'static str> {
        self.history(workflow_id)
            .await
            .iter()
            .map(|event| name_of(event.event_type()))
            .collect()
    }

    /// The closing event, waited for.
    pub(crate) async fn close_event(&self, workflow_id: &str) -> HistoryEvent {
        use temporalio_common::protos::temporal::api::enums::v1::HistoryEventFilterType;
        loop {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: self.namespace.clone(),
                execution: Some(execution(workflow_id)),
                wait_new_event: true,
                history_event_filter_type: HistoryEventFilterType::CloseEvent as i32,
                ..Default::default()
            };
            let page = rpc!(self, get_workflow_execution_history, request).expect("a history");
            if let Some(event) = page.history.unwrap_or_default().events.pop() {
                return event;
            }
        }
    }

    pub(crate) async fn describe(&self, workflow_id: &str) -> DescribeWorkflowExecutionResponse {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            execution: Some(execution(workflow_id)),
        };
        rpc!(self, describe_workflow_execution, request).expect("a description")
    }

    /// Looks again and again until `holds`, a minute at most.
    pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut holds: impl FnMut() -> F,
    ) -> T {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = holds().await {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The ids of the run that this task is of.
pub(crate) fn run_of(task: &PollWorkflowTaskQueueResponse) -> WorkflowExecution {
    task.workflow_execution.clone().expect("an execution")
}

/// The attributes of the first event of this kind, which must be there.
macro_rules! attributes {
    ($events:expr, $kind:ident) => {
        $events
            .iter()
            .find_map(|event| match &event.attributes {
                Some(
                    temporalio_common::protos::temporal::api::history::v1::history_event::Attributes::$kind(
                        found,
                    ),
                ) => Some(found.clone()),
                _ => None,
            })
            .expect(stringify!($kind))
    };
}
pub(crate) use attributes;

/// What holds of every history: ids without gaps. In ours, times do not go back either; the real
/// server gives buffered events the time they came at.
fn check_history(events: &[HistoryEvent], is_ours: bool) {
    let time = |event: &HistoryEvent| event.event_time.map(|time| (time.seconds, time.nanos));
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.event_id, index as i64 + 1, "ids are without gaps");
        assert!(
            !is_ours || index == 0 || time(event) >= time(&events[index - 1]),
            "times do not go back"
        );
    }
}

/// `WorkflowTaskStarted` for `EVENT_TYPE_WORKFLOW_TASK_STARTED`.
pub(crate) fn name_of(event_type: EventType) -> &'static str {
    let name = event_type.as_str_name().trim_start_matches("EVENT_TYPE_");
    let words = name
        .split('_')
        .map(|word| format!("{}{}", &word[..1], word[1..].to_ascii_lowercase()));
    Box::leak(words.collect::<String>().into_boxed_str())
}

pub(crate) fn execution(workflow_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: String::new(),
    }
}

pub(crate) fn queue(name: &str) -> TaskQueue {
    TaskQueue {
        name: name.to_owned(),
        kind: TaskQueueKind::Normal as i32,
        normal_name: String::new(),
    }
}

pub(crate) fn sticky_queue(name: &str, normal: &str) -> TaskQueue {
    TaskQueue {
        name: name.to_owned(),
        kind: TaskQueueKind::Sticky as i32,
        normal_name: normal.to_owned(),
    }
}

/// One JSON string.
pub(crate) fn payloads(text: &str) -> Payloads {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    let data = format!("{text:?}").into_bytes();
    Payloads {
        payloads: vec![Payload {
            metadata,
            data,
            ..Default::default()
        }],
    }
}

pub(crate) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

pub(crate) fn millis(millis: i32) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::from(millis / 1_000),
        nanos: millis % 1_000 * 1_000_000,
    }
}

fn command(command_type: CommandType, attributes: Attributes) -> Command {
    Command {
        command_type: command_type as i32,
        attributes: Some(attributes),
        ..Default::default()
    }
}

/// Commands, as a worker would send them.
pub(crate) mod commands {
    use temporalio_common::protos::temporal::api::{
        command::v1::*,
        failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo},
    };

    use super::*;

    pub(crate) fn complete(result: &str) -> Command {
        let attributes = CompleteWorkflowExecutionCommandAttributes {
            result: Some(payloads(result)),
        };
        command(
            CommandType::CompleteWorkflowExecution,
            Attributes::CompleteWorkflowExecutionCommandAttributes(attributes),
        )
    }

    pub(crate) fn fail(message: &str) -> Command {
        let attributes = FailWorkflowExecutionCommandAttributes {
            failure: Some(failure(message, false)),
        };
        command(
            CommandType::FailWorkflowExecution,
            Attributes::FailWorkflowExecutionCommandAttributes(attributes),
        )
    }

    pub(crate) fn cancel_workflow() -> Command {
        let attributes = CancelWorkflowExecutionCommandAttributes { details: None };
        command(
            CommandType::CancelWorkflowExecution,
            Attributes::CancelWorkflowExecutionCommandAttributes(attributes),
        )
    }

    pub(crate) fn continue_as_new(input: &str) -> Command {
        let attributes = ContinueAsNewWorkflowExecutionCommandAttributes {
            workflow_type: Some(WorkflowType {
                name: "Test".to_owned(),
            }),
            input: Some(payloads(input)),
            ..Default::default()
        };
        command(
            CommandType::ContinueAsNewWorkflowExecution,
            Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(attributes),
        )
    }

    pub(crate) fn start_timer(id: &str, after: prost_types::Duration) -> Command {
        let attributes = StartTimerCommandAttributes {
            timer_id: id.to_owned(),
            start_to_fire_timeout: Some(after),
        };
        command(
            CommandType::StartTimer,
            Attributes::StartTimerCommandAttributes(attributes),
        )
    }

    pub(crate) fn cancel_timer(id: &str) -> Command {
        let attributes = CancelTimerCommandAttributes {
            timer_id: id.to_owned(),
        };
        command(
            CommandType::CancelTimer,
            Attributes::CancelTimerCommandAttributes(attributes),
        )
    }

    pub(crate) fn marker(name: &str) -> Command {
        let attributes = RecordMarkerCommandAttributes {
            marker_name: name.to_owned(),
            ..Default::default()
        };
        command(
            CommandType::RecordMarker,
            Attributes::RecordMarkerCommandAttributes(attributes),
        )
    }

    /// What an activity needs at least; change it before it becomes a command.
    pub(crate) fn activity(id: &str, queue_name: &str) -> ScheduleActivityTaskCommandAttributes {
        ScheduleActivityTaskCommandAttributes {
            activity_id: id.to_owned(),
            activity_type: Some(ActivityType {
                name: "Act".to_owned(),
            }),
            task_queue: Some(queue(queue_name)),
            input: Some(payloads(id)),
            start_to_close_timeout: Some(seconds(30)),
            ..Default::default()
        }
    }

    /// What a child needs at least; change it before it becomes a command.
    pub(crate) fn child(workflow_id: &str) -> StartChildWorkflowExecutionCommandAttributes {
        StartChildWorkflowExecutionCommandAttributes {
            workflow_id: workflow_id.to_owned(),
            workflow_type: Some(WorkflowType {
                name: "Child".to_owned(),
            }),
            input: Some(payloads(workflow_id)),
            ..Default::default()
        }
    }

    pub(crate) fn start_child(attributes: StartChildWorkflowExecutionCommandAttributes) -> Command {
        command(
            CommandType::StartChildWorkflowExecution,
            Attributes::StartChildWorkflowExecutionCommandAttributes(attributes),
        )
    }

    /// A signal to another execution; change it before it becomes a command.
    pub(crate) fn external_signal(workflow_id: &str) -> SignalExternalWorkflowExecutionCommandAttributes {
        SignalExternalWorkflowExecutionCommandAttributes {
            execution: Some(execution(workflow_id)),
            signal_name: "hello".to_owned(),
            input: Some(payloads("hello")),
            ..Default::default()
        }
    }

    pub(crate) fn signal_external(attributes: SignalExternalWorkflowExecutionCommandAttributes) -> Command {
        command(
            CommandType::SignalExternalWorkflowExecution,
            Attributes::SignalExternalWorkflowExecutionCommandAttributes(attributes),
        )
    }

    /// A cancel request to another execution; change it before it becomes a command.
    pub(crate) fn external_cancel(
        workflow_id: &str,
    ) -> RequestCancelExternalWorkflowExecutionCommandAttributes {
        RequestCancelExternalWorkflowExecutionCommandAttributes {
            workflow_id: workflow_id.to_owned(),
            reason: "enough".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) fn cancel_external(
        attributes: RequestCancelExternalWorkflowExecutionCommandAttributes,
    ) -> Command {
        command(
            CommandType::RequestCancelExternalWorkflowExecution,
            Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(attributes),
        )
    }

    pub(crate) fn schedule(attributes: ScheduleActivityTaskCommandAttributes) -> Command {
        command(
            CommandType::ScheduleActivityTask,
            Attributes::ScheduleActivityTaskCommandAttributes(attributes),
        )
    }

    pub(crate) fn cancel_activity(scheduled_event_id: i64) -> Command {
        let attributes = RequestCancelActivityTaskCommandAttributes { scheduled_event_id };
        command(
            CommandType::RequestCancelActivityTask,
            Attributes::RequestCancelActivityTaskCommandAttributes(attributes),
        )
    }

    pub(crate) fn failure(message: &str, non_retryable: bool) -> Failure {
        let info = ApplicationFailureInfo {
            r#type: "Test".to_owned(),
            non_retryable,
            ..Default::default()
        };
        Failure {
            message: message.to_owned(),
            failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
            ..Default::default()
        }
    }
}
