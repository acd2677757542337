//! The calls that the SDK makes for one-activity workflows.

use prost::{Message, bytes::Bytes};
use temporalio_protos::temporal::api::{
    command::v1::command::Attributes,
    history::v1::History,
    namespace::v1::{NamespaceInfo, namespace_info},
    workflowservice::v1::{
        DescribeNamespaceResponse, GetSystemInfoResponse, GetWorkflowExecutionHistoryRequest,
        GetWorkflowExecutionHistoryResponse, PollActivityTaskQueueResponse, PollWorkflowTaskQueueRequest,
        PollWorkflowTaskQueueResponse, RecordWorkerHeartbeatResponse, RespondActivityTaskCompletedRequest,
        RespondActivityTaskCompletedResponse, RespondWorkflowTaskCompletedRequest,
        RespondWorkflowTaskCompletedResponse, ShutdownWorkerResponse, StartWorkflowExecutionRequest,
        StartWorkflowExecutionResponse, get_system_info_response::Capabilities,
    },
};
use tonic::Status;

use super::{
    Stub,
    run::{Run, number_of, of_token, run_id},
};

/// Answers the call `rpc`.
pub(super) async fn answer(stub: &Stub, rpc: &str, request: Bytes) -> Result<Vec<u8>, Status> {
    Ok(match rpc {
        "StartWorkflowExecution" => start(stub, decoded(request)?).encode_to_vec(),
        "GetWorkflowExecutionHistory" => history(stub, decoded(request)?).await?.encode_to_vec(),
        "PollWorkflowTaskQueue" => poll_workflow_task(stub, decoded(request)?).await?.encode_to_vec(),
        "RespondWorkflowTaskCompleted" => workflow_task_completed(stub, decoded(request)?)?.encode_to_vec(),
        "PollActivityTaskQueue" => poll_activity(stub).await?.encode_to_vec(),
        "RespondActivityTaskCompleted" => activity_completed(stub, decoded(request)?)?.encode_to_vec(),
        "GetSystemInfo" => system_info().encode_to_vec(),
        "DescribeNamespace" => namespace().encode_to_vec(),
        "RecordWorkerHeartbeat" => RecordWorkerHeartbeatResponse::default().encode_to_vec(),
        "ShutdownWorker" => {
            stub.close();
            ShutdownWorkerResponse::default().encode_to_vec()
        }
        other => return Err(Status::unimplemented(format!("the stub has no {other}"))),
    })
}

fn decoded<M: Message + Default>(request: Bytes) -> Result<M, Status> {
    M::decode(request).map_err(|error| Status::internal(error.to_string()))
}

fn system_info() -> GetSystemInfoResponse {
    let capabilities = Capabilities {
        internal_error_differentiation: true,
        activity_failure_include_heartbeat: true,
        encoded_failure_attributes: true,
        eager_workflow_start: true,
        sdk_metadata: true,
        ..Default::default()
    };
    GetSystemInfoResponse {
        capabilities: Some(capabilities),
        ..Default::default()
    }
}

fn namespace() -> DescribeNamespaceResponse {
    let capabilities = namespace_info::Capabilities {
        eager_workflow_start: true,
        ..Default::default()
    };
    let info = NamespaceInfo {
        name: "default".to_owned(),
        capabilities: Some(capabilities),
        ..Default::default()
    };
    DescribeNamespaceResponse {
        namespace_info: Some(info),
        ..Default::default()
    }
}

fn start(stub: &Stub, request: StartWorkflowExecutionRequest) -> StartWorkflowExecutionResponse {
    let eager = request.request_eager_execution;
    let run = stub.add(|number| Run::start(number, request));
    if !eager && let Some(queue) = &run.task_queue {
        stub.workflow_tasks(&queue.name).push(run.number);
    }
    StartWorkflowExecutionResponse {
        run_id: run_id(run.number),
        started: true,
        eager_workflow_task: eager.then(|| run.workflow_task()),
        ..Default::default()
    }
}

async fn poll_workflow_task(
    stub: &Stub,
    request: PollWorkflowTaskQueueRequest,
) -> Result<PollWorkflowTaskQueueResponse, Status> {
    let queue = stub.workflow_tasks(&request.task_queue.unwrap_or_default().name);
    match queue.next().await {
        Some(number) => Ok(stub.run(number)?.workflow_task()),
        None => Ok(PollWorkflowTaskQueueResponse::default()),
    }
}

async fn poll_activity(stub: &Stub) -> Result<PollActivityTaskQueueResponse, Status> {
    match stub.0.activities.next().await {
        Some(number) => Ok(stub.run(number)?.activity_task()),
        None => Ok(PollActivityTaskQueueResponse::default()),
    }
}

fn workflow_task_completed(
    stub: &Stub,
    request: RespondWorkflowTaskCompletedRequest,
) -> Result<RespondWorkflowTaskCompletedResponse, Status> {
    let run = tasked(stub, &request.task_token)?;
    let sticky = request
        .sticky_attributes
        .and_then(|sticky| sticky.worker_task_queue)
        .unwrap_or_default();
    run.end_workflow_task(sticky.name);
    let mut response = RespondWorkflowTaskCompletedResponse::default();
    for command in request.commands {
        match command.attributes {
            Some(Attributes::ScheduleActivityTaskCommandAttributes(command)) => {
                let eager = command.request_eager_execution;
                run.schedule_activity(command);
                if eager {
                    response.activity_tasks.push(run.activity_task());
                } else {
                    stub.0.activities.push(run.number);
                }
            }
            Some(Attributes::CompleteWorkflowExecutionCommandAttributes(command)) => {
                run.close(command.result)
            }
            other => return Err(Status::unimplemented(format!("the stub does not know {other:?}"))),
        }
    }
    Ok(response)
}

fn activity_completed(
    stub: &Stub,
    request: RespondActivityTaskCompletedRequest,
) -> Result<RespondActivityTaskCompletedResponse, Status> {
    let run = tasked(stub, &request.task_token)?;
    let queue = run.end_activity(request.result);
    stub.workflow_tasks(&queue).push(run.number);
    Ok(RespondActivityTaskCompletedResponse::default())
}

async fn history(
    stub: &Stub,
    request: GetWorkflowExecutionHistoryRequest,
) -> Result<GetWorkflowExecutionHistoryResponse, Status> {
    let execution = request.execution.unwrap_or_default();
    let number = number_of(&execution.run_id).ok_or_else(|| Status::not_found("no such run"))?;
    let events = stub.run(number)?.closed().await.into_iter().collect();
    Ok(GetWorkflowExecutionHistoryResponse {
        history: Some(History { events }),
        ..Default::default()
    })
}

/// The run that a task's token names.
fn tasked(stub: &Stub, token: &[u8]) -> Result<std::sync::Arc<Run>, Status> {
    stub.run(of_token(token).ok_or_else(|| Status::invalid_argument("not a token of the stub"))?)
}
