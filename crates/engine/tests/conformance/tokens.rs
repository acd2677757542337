//! Tokens that come back with another request than the one that they are for.

use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    query::v1::WorkflowQuery,
    workflowservice::v1::{
        GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryReverseRequest, QueryWorkflowRequest,
        RecordActivityTaskHeartbeatRequest, RespondActivityTaskCanceledRequest,
        RespondActivityTaskCompletedRequest, RespondActivityTaskFailedRequest,
        RespondQueryTaskCompletedRequest, RespondWorkflowTaskCompletedRequest,
        RespondWorkflowTaskFailedRequest,
    },
};

use crate::{
    bed::{Bed, both_engines, commands, rpc},
    namespaces::registered,
};

fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Status>, message: &str) {
    let refused = answer.expect_err("another namespace's");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, message)
    );
}

const OTHER: &str = "Operation requested with a token from a different namespace.";

both_engines! {
    async fn a_workflow_task_is_its_namespaces(bed: &Bed) {
        let other = registered(bed).await;
        bed.start("w").await;
        let task = bed.task().await;
        let complete = |namespace: &str| RespondWorkflowTaskCompletedRequest {
            namespace: namespace.to_owned(),
            task_token: task.task_token.clone(),
            ..Default::default()
        };
        assert_refused(rpc!(bed, respond_workflow_task_completed, complete(&other)), OTHER);
        let nowhere = rpc!(bed, respond_workflow_task_completed, complete("nowhere")).expect_err("unknown");
        assert_eq!(nowhere.code(), Code::NotFound);
        let fail = RespondWorkflowTaskFailedRequest {
            namespace: other,
            task_token: task.task_token.clone(),
            ..Default::default()
        };
        assert_refused(rpc!(bed, respond_workflow_task_failed, fail), OTHER);
        // A token says by itself which namespace it is of.
        rpc!(bed, respond_workflow_task_completed, complete("")).expect("a completion");

        for (token, message) in [
            (Vec::new(), "Task token not set on request."),
            (b"garbage".to_vec(), "Error deserializing task token."),
        ] {
            let garbage = RespondWorkflowTaskCompletedRequest { task_token: token, ..complete(&bed.namespace) };
            assert_refused(rpc!(bed, respond_workflow_task_completed, garbage), message);
        }
    }

    async fn an_activity_task_is_its_namespaces(bed: &Bed) {
        let other = registered(bed).await;
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        let task_token = bed.activity_task().await.task_token;
        let (namespace, token) = (other.clone(), task_token.clone());
        let request = RespondActivityTaskCompletedRequest { namespace, task_token: token, ..Default::default() };
        assert_refused(rpc!(bed, respond_activity_task_completed, request), OTHER);
        let (namespace, token) = (other.clone(), task_token.clone());
        let request = RespondActivityTaskFailedRequest { namespace, task_token: token, ..Default::default() };
        assert_refused(rpc!(bed, respond_activity_task_failed, request), OTHER);
        let (namespace, token) = (other.clone(), task_token.clone());
        let request = RespondActivityTaskCanceledRequest { namespace, task_token: token, ..Default::default() };
        assert_refused(rpc!(bed, respond_activity_task_canceled, request), OTHER);
        let (namespace, token) = (other, task_token.clone());
        let request = RecordActivityTaskHeartbeatRequest { namespace, task_token: token, ..Default::default() };
        assert_refused(rpc!(bed, record_activity_task_heartbeat, request), OTHER);
        let garbage = RecordActivityTaskHeartbeatRequest {
            namespace: bed.namespace.clone(),
            task_token: b"garbage".to_vec(),
            ..Default::default()
        };
        assert_refused(rpc!(bed, record_activity_task_heartbeat, garbage), "Error deserializing task token.");
        let own = RecordActivityTaskHeartbeatRequest { task_token, ..Default::default() };
        rpc!(bed, record_activity_task_heartbeat, own).expect("a heartbeat");
    }

    async fn a_query_task_is_its_namespaces(bed: &Bed) {
        let other = registered(bed).await;
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, Vec::new()).await;
        let query = QueryWorkflowRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
            query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let work = async {
            let task_token = bed.task().await.task_token;
            let answer = |namespace: &str| RespondQueryTaskCompletedRequest {
                namespace: namespace.to_owned(),
                task_token: task_token.clone(),
                completed_type: 1,
                ..Default::default()
            };
            assert_refused(rpc!(bed, respond_query_task_completed, answer(&other)), OTHER);
            rpc!(bed, respond_query_task_completed, answer(&bed.namespace)).expect("an answer");
        };
        let asked = async { rpc!(bed, query_workflow, query) };
        let (asked, ()) = tokio::join!(asked, work);
        asked.expect("an answer");
    }

    async fn a_page_token_is_its_executions(bed: &Bed) {
        let other = registered(bed).await;
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, Vec::new()).await;
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
            maximum_page_size: 1,
            ..Default::default()
        };
        let page = rpc!(bed, get_workflow_execution_history, request.clone()).expect("a page");
        let next = GetWorkflowExecutionHistoryRequest { next_page_token: page.next_page_token, ..request };
        let elsewhere = GetWorkflowExecutionHistoryRequest { namespace: other.clone(), ..next.clone() };
        let refused = rpc!(bed, get_workflow_execution_history, elsewhere).expect_err("another namespace");
        assert_eq!(refused.code(), Code::NotFound);
        let another = GetWorkflowExecutionHistoryRequest { execution: Some(execution("x")), ..next.clone() };
        let refused = rpc!(bed, get_workflow_execution_history, another).expect_err("another workflow id");
        assert_eq!(refused.code(), Code::NotFound);
        let another = GetWorkflowExecutionHistoryRequest { execution: Some(another_run()), ..next.clone() };
        assert_refused(
            rpc!(bed, get_workflow_execution_history, another),
            "RunId in the request does not match the NextPageToken.",
        );
        let nothing = GetWorkflowExecutionHistoryRequest { execution: None, ..next.clone() };
        assert_refused(rpc!(bed, get_workflow_execution_history, nothing), "Execution is not set on request.");
        let garbage = GetWorkflowExecutionHistoryRequest { next_page_token: b"garbage".to_vec(), ..next.clone() };
        assert_refused(rpc!(bed, get_workflow_execution_history, garbage), "Invalid NextPageToken.");
        rpc!(bed, get_workflow_execution_history, next).expect("the next page");

        let request = GetWorkflowExecutionHistoryReverseRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
            maximum_page_size: 1,
            ..Default::default()
        };
        let page = rpc!(bed, get_workflow_execution_history_reverse, request.clone()).expect("a page");
        let next = GetWorkflowExecutionHistoryReverseRequest { next_page_token: page.next_page_token, ..request };
        let elsewhere = GetWorkflowExecutionHistoryReverseRequest { namespace: other, ..next.clone() };
        let refused = rpc!(bed, get_workflow_execution_history_reverse, elsewhere).expect_err("another namespace");
        assert_eq!(refused.code(), Code::NotFound);
        let another = GetWorkflowExecutionHistoryReverseRequest { execution: Some(another_run()), ..next.clone() };
        assert_refused(
            rpc!(bed, get_workflow_execution_history_reverse, another),
            "RunId in the request does not match the NextPageToken.",
        );
        rpc!(bed, get_workflow_execution_history_reverse, next).expect("the next page");
    }
}

fn execution(workflow_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: String::new(),
    }
}

/// A run of `w` that there is not.
fn another_run() -> WorkflowExecution {
    WorkflowExecution {
        run_id: "0b4a25e8-3f5e-4dd0-8a1b-52d4d1a3a4c9".to_owned(),
        ..execution("w")
    }
}
