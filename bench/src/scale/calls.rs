//! Single calls, made by hand: a worker of the SDK would take longer than the engine.

use std::time::Duration;

use anyhow::Result;
use temporalio_client::{Client, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::{
    command::v1::{
        Command, CompleteWorkflowExecutionCommandAttributes, StartTimerCommandAttributes, command::Attributes,
    },
    common::v1::{SearchAttributes, WorkflowExecution, WorkflowType},
    enums::v1::CommandType,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse, RespondWorkflowTaskCompletedRequest,
        StartWorkflowExecutionRequest, TerminateWorkflowExecutionRequest,
    },
};

pub(super) const NAMESPACE: &str = "default";
const QUEUE: &str = "scale";

/// Starts an execution: of the type `Scale`, or of this one with these search attributes.
pub(super) async fn start(
    client: &Client,
    id: &str,
    attributes: Option<(String, SearchAttributes)>,
) -> Result<()> {
    let (name, search_attributes) = match attributes {
        Some((name, attributes)) => (name, Some(attributes)),
        None => ("Scale".to_owned(), None),
    };
    let request = StartWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType { name }),
        task_queue: Some(queue()),
        request_id: id.to_owned(),
        search_attributes,
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    service.start_workflow_execution(request.into_request()).await?;
    Ok(())
}

/// Ends an execution by force: no worker is needed.
pub(super) async fn terminate(client: &Client, id: &str) -> Result<()> {
    let request = TerminateWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: id.to_owned(),
            run_id: String::new(),
        }),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    service
        .terminate_workflow_execution(request.into_request())
        .await?;
    Ok(())
}

/// Takes whichever workflow task is due.
pub(super) async fn poll(client: &Client) -> Result<PollWorkflowTaskQueueResponse> {
    let poll = PollWorkflowTaskQueueRequest {
        namespace: NAMESPACE.to_owned(),
        task_queue: Some(queue()),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    Ok(service
        .poll_workflow_task_queue(poll.into_request())
        .await?
        .into_inner())
}

/// Takes whichever workflow task is due, and starts a timer with it.
pub(super) async fn start_timer(client: &Client, fires_in: Duration) -> Result<()> {
    let task = poll(client).await?;
    let timer = StartTimerCommandAttributes {
        timer_id: "1".to_owned(),
        start_to_fire_timeout: Some(prost_types::Duration::try_from(fires_in)?),
    };
    let timer = Attributes::StartTimerCommandAttributes(timer);
    complete(client, task.task_token, CommandType::StartTimer, timer).await
}

/// Completes a workflow with its task.
pub(super) async fn finish(client: &Client, task_token: Vec<u8>) -> Result<()> {
    let result = CompleteWorkflowExecutionCommandAttributes::default();
    let result = Attributes::CompleteWorkflowExecutionCommandAttributes(result);
    complete(client, task_token, CommandType::CompleteWorkflowExecution, result).await
}

async fn complete(
    client: &Client,
    task_token: Vec<u8>,
    kind: CommandType,
    attributes: Attributes,
) -> Result<()> {
    let completion = RespondWorkflowTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token,
        commands: vec![Command {
            command_type: kind as i32,
            attributes: Some(attributes),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    service
        .respond_workflow_task_completed(completion.into_request())
        .await?;
    Ok(())
}

fn queue() -> TaskQueue {
    TaskQueue {
        name: QUEUE.to_owned(),
        ..Default::default()
    }
}
