//! Tokens of one namespace are no good in another: a key for one must not reach what is in another by numbers
//! that can be guessed.

use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, ScheduleActivityTaskCommandAttributes, command::Attributes},
    common::v1::ActivityType,
    enums::v1::CommandType,
    query::v1::WorkflowQuery,
    workflowservice::v1::*,
};

use crate::bed::{Port, call, complete_workflow, execution, keys, queue};

const OURS: &str = "our-key-0123456789";
const THEIRS: &str = "their-key-0123456789";

async fn port() -> Port {
    let keys = keys(&[
        ("ours", OURS, &["ours"], false),
        ("theirs", THEIRS, &["theirs"], false),
    ]);
    let port = Port::open(|server, _| server.with_api_keys(keys)).await;
    port.register("ours").await;
    port.register("theirs").await;
    port
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let status = answer.expect_err("a token of another namespace");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("different namespace"), "{status:?}");
}

/// Of another's history there is nothing to be found.
fn not_found<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let status = answer.expect_err("a token of another namespace");
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
}

fn activity() -> Command {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let attributes = ScheduleActivityTaskCommandAttributes {
        activity_id: "a".to_owned(),
        activity_type: Some(ActivityType { name: "A".to_owned() }),
        task_queue: Some(queue("queue")),
        start_to_close_timeout: seconds(60),
        heartbeat_timeout: seconds(60),
        ..Default::default()
    };
    Command {
        command_type: CommandType::ScheduleActivityTask as i32,
        attributes: Some(Attributes::ScheduleActivityTaskCommandAttributes(attributes)),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn task_tokens_belong_to_their_namespace() {
    let port = port().await;
    let (ours, theirs) = (port.raw(Some(OURS)).await, port.raw(Some(THEIRS)).await);
    let named = || "ours".to_owned();
    theirs.start("theirs", "w").await.expect("a start");
    let task = theirs.task("theirs").await.expect("a task");
    let task_token = || task.task_token.clone();

    refused(
        ours.complete("ours", task_token(), vec![complete_workflow()])
            .await,
    );
    let failed = RespondWorkflowTaskFailedRequest {
        namespace: named(),
        task_token: task_token(),
        ..Default::default()
    };
    refused(call!(ours, respond_workflow_task_failed, failed));
    theirs
        .complete("theirs", task_token(), vec![activity()])
        .await
        .expect("a completion");

    let poll = PollActivityTaskQueueRequest {
        namespace: "theirs".to_owned(),
        task_queue: Some(queue("queue")),
        ..Default::default()
    };
    let activity = call!(theirs, poll_activity_task_queue, poll).expect("an activity");
    let task_token = || activity.task_token.clone();
    let completed = RespondActivityTaskCompletedRequest {
        namespace: named(),
        task_token: task_token(),
        ..Default::default()
    };
    refused(call!(ours, respond_activity_task_completed, completed.clone()));
    let failed = RespondActivityTaskFailedRequest {
        namespace: named(),
        task_token: task_token(),
        ..Default::default()
    };
    refused(call!(ours, respond_activity_task_failed, failed));
    let canceled = RespondActivityTaskCanceledRequest {
        namespace: named(),
        task_token: task_token(),
        ..Default::default()
    };
    refused(call!(ours, respond_activity_task_canceled, canceled));
    let heartbeat = RecordActivityTaskHeartbeatRequest {
        namespace: named(),
        task_token: task_token(),
        ..Default::default()
    };
    refused(call!(ours, record_activity_task_heartbeat, heartbeat));
    let completed = RespondActivityTaskCompletedRequest {
        namespace: "theirs".to_owned(),
        ..completed
    };
    call!(theirs, respond_activity_task_completed, completed).expect("a completion");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_tokens_belong_to_their_namespace() {
    let port = port().await;
    let (ours, theirs) = (port.raw(Some(OURS)).await, port.raw(Some(THEIRS)).await);
    theirs.start("theirs", "w").await.expect("a start");
    ours.start("ours", "w").await.expect("a start");
    let request = |namespace: &str, next_page_token| GetWorkflowExecutionHistoryRequest {
        namespace: namespace.to_owned(),
        execution: Some(execution("w")),
        maximum_page_size: 1,
        next_page_token,
        ..Default::default()
    };
    let page = call!(
        theirs,
        get_workflow_execution_history,
        request("theirs", Vec::new())
    );
    let token = page.expect("a page").next_page_token;
    assert!(!token.is_empty(), "there is more");
    not_found(call!(
        ours,
        get_workflow_execution_history,
        request("ours", token.clone())
    ));
    call!(theirs, get_workflow_execution_history, request("theirs", token)).expect("the rest");

    let request = |namespace: &str, next_page_token| GetWorkflowExecutionHistoryReverseRequest {
        namespace: namespace.to_owned(),
        execution: Some(execution("w")),
        maximum_page_size: 1,
        next_page_token,
    };
    let page = call!(
        theirs,
        get_workflow_execution_history_reverse,
        request("theirs", Vec::new())
    );
    let token = page.expect("a page").next_page_token;
    assert!(!token.is_empty(), "there is more");
    not_found(call!(
        ours,
        get_workflow_execution_history_reverse,
        request("ours", token.clone())
    ));
    call!(
        theirs,
        get_workflow_execution_history_reverse,
        request("theirs", token)
    )
    .expect("the rest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_answered_in_their_namespace() {
    let port = port().await;
    let (ours, theirs) = (port.raw(Some(OURS)).await, port.raw(Some(THEIRS)).await);
    theirs.start("theirs", "w").await.expect("a start");
    let task = theirs.task("theirs").await.expect("a task");
    theirs
        .complete("theirs", task.task_token, Vec::new())
        .await
        .expect("a completion");

    let query = QueryWorkflowRequest {
        namespace: "theirs".to_owned(),
        execution: Some(execution("w")),
        query: Some(WorkflowQuery {
            query_type: "q".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let asker = theirs.clone();
    let asking = tokio::spawn(async move { call!(asker, query_workflow, query) });
    let task = theirs.task("theirs").await.expect("the query");
    assert!(task.query.is_some(), "a query by itself");
    let answer = |namespace: &str| RespondQueryTaskCompletedRequest {
        namespace: namespace.to_owned(),
        task_token: task.task_token.clone(),
        completed_type: 1,
        ..Default::default()
    };
    refused(call!(ours, respond_query_task_completed, answer("ours")));

    // Nor does an answer count that comes with a task of another run.
    ours.start("ours", "w").await.expect("a start");
    let own = ours.task("ours").await.expect("a task");
    let results = (0..100).map(|id: u32| (id.to_string(), Default::default()));
    let completion = RespondWorkflowTaskCompletedRequest {
        namespace: "ours".to_owned(),
        task_token: own.task_token,
        query_results: results.collect(),
        ..Default::default()
    };
    call!(ours, respond_workflow_task_completed, completion).expect("a completion");

    call!(theirs, respond_query_task_completed, answer("theirs")).expect("an answer");
    asking.await.expect("it asks").expect("it is answered");
}
