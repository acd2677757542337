//! What a worker reports that is larger than an event may hold: taken, and told as a failure.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, RetryState, WorkflowTaskFailedCause},
    failure::v1::{Failure, failure::FailureInfo},
    history::v1::ActivityTaskFailedEventAttributes,
    query::v1::WorkflowQuery,
    workflowservice::v1::*,
};

use crate::bed::{Bed, attributes, both_engines, commands, execution, payloads, rpc};

/// More than 2 MiB.
fn large() -> String {
    "x".repeat(3_000_000)
}

/// Starts a workflow with one activity, and gives that to a worker.
async fn started(bed: &Bed, workflow_id: &str) -> PollActivityTaskQueueResponse {
    bed.start(workflow_id).await;
    let task = bed.task().await;
    bed.complete(&task, vec![commands::schedule(commands::activity("a", "tasks"))])
        .await;
    bed.activity_task_of("tasks").await
}

/// How the activity has failed; it is not tried again.
async fn failed(bed: &Bed, workflow_id: &str) -> Failure {
    let event: ActivityTaskFailedEventAttributes =
        attributes!(bed.history(workflow_id).await, ActivityTaskFailedEventAttributes);
    assert_eq!(event.retry_state(), RetryState::NonRetryableFailure);
    bed.complete(&bed.task().await, vec![commands::complete("done")])
        .await;
    event.failure.expect("a failure")
}

fn is_of_server(failure: &Failure) -> bool {
    matches!(&failure.failure_info, Some(FailureInfo::ServerFailureInfo(info)) if info.non_retryable)
}

both_engines! {
    async fn a_result_that_is_too_large_fails_its_activity(bed: &Bed) {
        let namespace = bed.namespace.clone();
        let activity = started(bed, "token").await;
        let request = RespondActivityTaskCompletedRequest {
            namespace: namespace.clone(),
            task_token: activity.task_token,
            result: Some(payloads(&large())),
            ..Default::default()
        };
        rpc!(bed, respond_activity_task_completed, request).expect("it is taken");
        let failure = failed(bed, "token").await;
        assert_eq!(failure.message, "Complete result exceeds size limit.");
        assert!(is_of_server(&failure), "{failure:?}");

        started(bed, "id").await;
        let request = RespondActivityTaskCompletedByIdRequest {
            namespace,
            workflow_id: "id".to_owned(),
            activity_id: "a".to_owned(),
            result: Some(payloads(&large())),
            ..Default::default()
        };
        rpc!(bed, respond_activity_task_completed_by_id, request).expect("it is taken");
        assert_eq!(failed(bed, "id").await.message, "Complete result exceeds size limit.");
    }

    async fn a_heartbeat_that_is_too_large_is_the_last(bed: &Bed) {
        let activity = started(bed, "w").await;
        let request = RecordActivityTaskHeartbeatRequest {
            namespace: bed.namespace.clone(),
            task_token: activity.task_token,
            details: Some(payloads(&large())),
            ..Default::default()
        };
        let answer = rpc!(bed, record_activity_task_heartbeat, request.clone()).expect("it is taken");
        assert!(answer.cancel_requested);
        let late = rpc!(bed, record_activity_task_heartbeat, request).expect_err("it has ended");
        assert_eq!(late.code(), Code::NotFound);
        let failure = failed(bed, "w").await;
        assert_eq!(failure.message, "Heartbeat details exceed size limit.");
        assert!(is_of_server(&failure), "{failure:?}");
    }

    async fn a_failure_that_is_too_large_is_cut_short(bed: &Bed) {
        let activity = started(bed, "w").await;
        let request = RespondActivityTaskFailedRequest {
            namespace: bed.namespace.clone(),
            task_token: activity.task_token,
            failure: Some(Failure { source: "here".to_owned(), ..commands::failure(&large(), false) }),
            last_heartbeat_details: Some(payloads(&"y".repeat(700_000))),
            ..Default::default()
        };
        let answer = rpc!(bed, respond_activity_task_failed, request).expect("it is taken");
        let failure = failed(bed, "w").await;
        assert_eq!(answer.failures, std::slice::from_ref(&failure));
        assert_eq!(failure.message, "Failure exceeds size limit.");
        assert!(is_of_server(&failure), "{failure:?}");
        let cause = failure.cause.expect("a cause");
        assert_eq!(cause.source, "here");
        assert!(matches!(cause.failure_info, Some(FailureInfo::ApplicationFailureInfo(_))), "{cause:?}");
        let length = cause.message.len();
        assert!(cause.message.starts_with("xxx") && (100_000..1_000_000).contains(&length), "{length}");
    }

    async fn an_attempt_fails_with_an_application_failure(bed: &Bed) {
        let activity = started(bed, "w").await;
        let request = RespondActivityTaskFailedRequest {
            namespace: bed.namespace.clone(),
            task_token: activity.task_token,
            failure: Some(Failure { message: "bare".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let refused = rpc!(bed, respond_activity_task_failed, request).expect_err("a bare failure");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(refused.message(), "Failure must have ApplicationFailureInfo.");
    }

    async fn a_failed_workflow_tasks_failure_is_cut_short(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let request = RespondWorkflowTaskFailedRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token,
            cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure as i32,
            failure: Some(commands::failure(&large(), false)),
            ..Default::default()
        };
        rpc!(bed, respond_workflow_task_failed, request).expect("it is taken");
        let failed = attributes!(bed.history("w").await, WorkflowTaskFailedEventAttributes);
        assert_eq!(failed.cause(), WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure);
        let failure = failed.failure.expect("a failure");
        assert_eq!(failure.message, "Failure exceeds size limit.");
        assert!(failure.cause.expect("a cause").message.starts_with("xxx"));
    }

    async fn a_completion_that_no_message_holds_ends_the_run(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let request = RespondWorkflowTaskFailedRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token,
            cause: WorkflowTaskFailedCause::GrpcMessageTooLarge as i32,
            failure: Some(commands::failure("too large", true)),
            ..Default::default()
        };
        rpc!(bed, respond_workflow_task_failed, request.clone()).expect("it is taken");
        let history = bed.history("w").await;
        let failed = attributes!(history, WorkflowTaskFailedEventAttributes);
        assert_eq!((failed.cause(), failed.failure), (WorkflowTaskFailedCause::ForceCloseCommand, None));
        let end = attributes!(history, WorkflowExecutionTerminatedEventAttributes);
        assert_eq!((end.reason.as_str(), end.identity.as_str()), ("GrpcMessageTooLarge", "history-service"));
        let late = rpc!(bed, respond_workflow_task_failed, request).expect_err("it has ended");
        assert_eq!(late.code(), Code::NotFound);
    }

    async fn an_answer_that_is_too_large_fails_its_query(bed: &Bed) {
        bed.start("w").await;
        bed.complete(&bed.task().await, vec![]).await;
        let request = QueryWorkflowRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
            query: Some(WorkflowQuery { query_type: "q".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let asks = async { rpc!(bed, query_workflow, request) };
        let answers = async {
            let task = bed.task().await;
            let request = RespondQueryTaskCompletedRequest {
                namespace: bed.namespace.clone(),
                task_token: task.task_token,
                query_result: Some(payloads(&large())),
                ..Default::default()
            };
            rpc!(bed, respond_query_task_completed, request).expect("it is taken");
        };
        let (answer, ()) = tokio::join!(asks, answers);
        let refused = answer.expect_err("too large");
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "Blob data size exceeds limit."));
        let types = bed.history("w").await;
        assert!(types.iter().all(|event| event.event_type() != EventType::WorkflowTaskFailed));
    }
}
