//! Updates as clients send them and workers answer them, made by hand.

use prost::Message as _;
use temporalio_client::tonic::Status;
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, ProtocolMessageCommandAttributes, command::Attributes},
    enums::v1::{CommandType, UpdateWorkflowExecutionLifecycleStage as Stage},
    protocol::v1::{Message, message::SequencingId},
    update::v1::{
        Acceptance, Input, Meta, Outcome, Rejection, Request, Response, UpdateRef, WaitPolicy, outcome,
    },
    workflowservice::v1::*,
};

use crate::bed::{Bed, commands, execution, payloads, rpc};

/// A request to update a workflow by this update id, for a handler `change`.
pub(crate) fn request(
    bed: &Bed,
    workflow_id: &str,
    id: &str,
    stage: Stage,
) -> UpdateWorkflowExecutionRequest {
    UpdateWorkflowExecutionRequest {
        namespace: bed.namespace.clone(),
        workflow_execution: Some(execution(workflow_id)),
        wait_policy: Some(WaitPolicy {
            lifecycle_stage: stage as i32,
        }),
        request: Some(Request {
            meta: Some(Meta {
                update_id: id.to_owned(),
                identity: "client".to_owned(),
            }),
            input: Some(Input {
                header: None,
                name: "change".to_owned(),
                args: Some(payloads(id)),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) async fn update(
    bed: &Bed,
    workflow_id: &str,
    id: &str,
    stage: Stage,
) -> Result<UpdateWorkflowExecutionResponse, Status> {
    rpc!(
        bed,
        update_workflow_execution,
        request(bed, workflow_id, id, stage)
    )
}

pub(crate) async fn poll(
    bed: &Bed,
    workflow_id: &str,
    id: &str,
    stage: Stage,
) -> Result<PollWorkflowExecutionUpdateResponse, Status> {
    let request = PollWorkflowExecutionUpdateRequest {
        namespace: bed.namespace.clone(),
        update_ref: Some(UpdateRef {
            workflow_execution: Some(execution(workflow_id)),
            update_id: id.to_owned(),
        }),
        identity: "client".to_owned(),
        wait_policy: Some(WaitPolicy {
            lifecycle_stage: stage as i32,
        }),
    };
    rpc!(bed, poll_workflow_execution_update, request)
}

/// What a successful outcome holds.
pub(crate) fn success(text: &str) -> Option<Outcome> {
    Some(Outcome {
        value: Some(outcome::Value::Success(payloads(text))),
    })
}

/// The message of a failed outcome.
pub(crate) fn failure_of(outcome: Option<Outcome>) -> String {
    match outcome.and_then(|outcome| outcome.value) {
        Some(outcome::Value::Failure(failure)) => failure.message,
        other => panic!("no failure: {other:?}"),
    }
}

/// The update that the message brings.
pub(crate) fn request_of(message: &Message) -> Request {
    let body = message.body.as_ref().expect("a body");
    assert_eq!(
        body.type_url,
        "type.googleapis.com/temporal.api.update.v1.Request"
    );
    Request::decode(body.value.as_slice()).expect("a request")
}

/// The only message of a task.
pub(crate) fn message_of(task: &PollWorkflowTaskQueueResponse) -> Message {
    assert_eq!(task.messages.len(), 1, "{:?}", task.messages);
    task.messages[0].clone()
}

fn answer(to: &Message, suffix: &str, name: &str, body: &impl prost::Message) -> Message {
    Message {
        id: format!("{}/{suffix}", to.protocol_instance_id),
        protocol_instance_id: to.protocol_instance_id.clone(),
        sequencing_id: None,
        body: Some(prost_types::Any {
            type_url: format!("type.googleapis.com/temporal.api.update.v1.{name}"),
            value: body.encode_to_vec(),
        }),
    }
}

fn sequencing_event_id(message: &Message) -> i64 {
    match message.sequencing_id {
        Some(SequencingId::EventId(id)) => id,
        _ => 0,
    }
}

pub(crate) fn acceptance(to: &Message) -> Message {
    let body = Acceptance {
        accepted_request_message_id: to.id.clone(),
        accepted_request_sequencing_event_id: sequencing_event_id(to),
        accepted_request: Some(request_of(to)),
    };
    answer(to, "accept", "Acceptance", &body)
}

pub(crate) fn rejection(to: &Message, why: &str) -> Message {
    let body = Rejection {
        rejected_request_message_id: to.id.clone(),
        rejected_request_sequencing_event_id: sequencing_event_id(to),
        rejected_request: Some(request_of(to)),
        failure: Some(commands::failure(why, false)),
    };
    answer(to, "reject", "Rejection", &body)
}

pub(crate) fn response(to: &Message, result: &str) -> Message {
    let body = Response {
        meta: Some(Meta {
            update_id: to.protocol_instance_id.clone(),
            identity: "client".to_owned(),
        }),
        outcome: success(result),
    };
    answer(to, "complete", "Response", &body)
}

/// The command that puts a message at its place among the commands.
pub(crate) fn place(message: &Message) -> Command {
    Command {
        command_type: CommandType::ProtocolMessage as i32,
        attributes: Some(Attributes::ProtocolMessageCommandAttributes(
            ProtocolMessageCommandAttributes {
                message_id: message.id.clone(),
            },
        )),
        ..Default::default()
    }
}

/// Completes a task with messages, each placed by a command after `before`.
pub(crate) fn completion(
    bed: &Bed,
    task: &PollWorkflowTaskQueueResponse,
    before: Vec<Command>,
    messages: Vec<Message>,
) -> RespondWorkflowTaskCompletedRequest {
    let mut commands = before;
    commands.extend(messages.iter().map(place));
    let mut request = bed.completion(task, commands);
    request.messages = messages;
    request
}

/// Completes a task with messages alone.
pub(crate) fn unplaced(
    bed: &Bed,
    task: &PollWorkflowTaskQueueResponse,
    messages: Vec<Message>,
) -> RespondWorkflowTaskCompletedRequest {
    let mut request = bed.completion(task, vec![]);
    request.messages = messages;
    request
}

pub(crate) async fn complete(
    bed: &Bed,
    request: RespondWorkflowTaskCompletedRequest,
) -> RespondWorkflowTaskCompletedResponse {
    rpc!(bed, respond_workflow_task_completed, request).expect("a completion")
}

/// A run whose first workflow task is done.
pub(crate) async fn idle(bed: &Bed, workflow_id: &str) -> String {
    let run_id = bed.start(workflow_id).await;
    let task = bed.task().await;
    bed.complete(&task, vec![]).await;
    run_id
}
