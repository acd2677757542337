//! Activities: results, retries by the server, heartbeats, cancellation, completion by id.

use temporalio_common::protos::temporal::api::{
    common::v1::RetryPolicy,
    enums::v1::{EventType, RetryState},
    failure::v1::Failure,
    history::v1::history_event::Attributes,
    workflowservice::v1::*,
};

use crate::bed::{Bed, both_engines, commands, millis, payloads, rpc, seconds};

pub(crate) async fn fail(bed: &Bed, task: &PollActivityTaskQueueResponse, failure: Failure) {
    let request = RespondActivityTaskFailedRequest {
        namespace: bed.namespace.clone(),
        task_token: task.task_token.clone(),
        failure: Some(failure),
        identity: "worker".to_owned(),
        ..Default::default()
    };
    rpc!(bed, respond_activity_task_failed, request).expect("a failure");
}

pub(crate) async fn succeed(bed: &Bed, task: &PollActivityTaskQueueResponse, result: &str) {
    let request = RespondActivityTaskCompletedRequest {
        namespace: bed.namespace.clone(),
        task_token: task.task_token.clone(),
        result: Some(payloads(result)),
        identity: "worker".to_owned(),
        ..Default::default()
    };
    rpc!(bed, respond_activity_task_completed, request).expect("a result");
}

pub(crate) async fn beat(
    bed: &Bed,
    task: &PollActivityTaskQueueResponse,
    details: &str,
) -> RecordActivityTaskHeartbeatResponse {
    let request = RecordActivityTaskHeartbeatRequest {
        namespace: bed.namespace.clone(),
        task_token: task.task_token.clone(),
        details: Some(payloads(details)),
        identity: "worker".to_owned(),
        ..Default::default()
    };
    rpc!(bed, record_activity_task_heartbeat, request).expect("a heartbeat")
}

fn quick_retry(maximum_attempts: i32) -> Option<RetryPolicy> {
    Some(RetryPolicy {
        initial_interval: Some(millis(50)),
        backoff_coefficient: 1.0,
        maximum_attempts,
        ..Default::default()
    })
}

both_engines! {
    async fn an_activity_completes(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        let activity = bed.activity_task().await;
        assert_eq!(activity.activity_id, "a");
        assert_eq!(activity.attempt, 1);
        assert_eq!(activity.input, Some(payloads("a")));
        assert!(activity.heartbeat_timeout.is_some() && activity.schedule_to_close_timeout.is_some());
        succeed(bed, &activity, "result").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(
            bed.event_types("w").await[4..],
            [
                "ActivityTaskScheduled",
                "ActivityTaskStarted",
                "ActivityTaskCompleted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }

    async fn a_failed_attempt_is_tried_again_by_the_server(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.retry_policy = quick_retry(0);
        bed.complete(&task, vec![commands::schedule(activity)]).await;
        for attempt in 1..=2 {
            let task = bed.activity_task().await;
            assert_eq!(task.attempt, attempt);
            fail(bed, &task, commands::failure("not yet", false)).await;
        }
        let task = bed.activity_task().await;
        assert_eq!(task.attempt, 3);
        let pending = &bed.describe("w").await.pending_activities[0];
        assert_eq!(pending.attempt, 3);
        assert_eq!(pending.last_failure.as_ref().map(|f| f.message.as_str()), Some("not yet"));
        succeed(bed, &task, "result").await;
        bed.task().await;
        let started = bed.history("w").await.into_iter().find_map(|event| match event.attributes {
            Some(Attributes::ActivityTaskStartedEventAttributes(started)) => Some(started),
            _ => None,
        });
        let started = started.expect("one started event");
        assert_eq!(started.attempt, 3);
        assert_eq!(started.last_failure.map(|f| f.message), Some("not yet".to_owned()));
    }

    async fn attempts_have_an_end(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.retry_policy = quick_retry(2);
        bed.complete(&task, vec![commands::schedule(activity)]).await;
        for _ in 0..2 {
            let task = bed.activity_task().await;
            fail(bed, &task, commands::failure("never", false)).await;
        }
        bed.task().await;
        assert_eq!(retry_state(bed).await, RetryState::MaximumAttemptsReached);
    }

    async fn a_non_retryable_failure_is_the_last(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        let task = bed.activity_task().await;
        fail(bed, &task, commands::failure("for good", true)).await;
        bed.task().await;
        assert_eq!(retry_state(bed).await, RetryState::NonRetryableFailure);
    }

    async fn heartbeat_details_reach_the_next_attempt(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.retry_policy = quick_retry(0);
        activity.heartbeat_timeout = Some(seconds(30));
        bed.complete(&task, vec![commands::schedule(activity)]).await;
        let task = bed.activity_task().await;
        assert_eq!(task.heartbeat_details, None);
        let beat = RecordActivityTaskHeartbeatRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token.clone(),
            details: Some(payloads("half")),
            identity: "worker".to_owned(),
            ..Default::default()
        };
        let answer = rpc!(bed, record_activity_task_heartbeat, beat).expect("a heartbeat");
        assert!(!answer.cancel_requested);
        fail(bed, &task, commands::failure("fell over", false)).await;
        let again = bed.activity_task().await;
        assert_eq!(again.heartbeat_details, Some(payloads("half")));
    }

    async fn a_started_activity_learns_of_its_cancellation_by_heartbeat(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        let activity = bed.activity_task().await;
        bed.signal("w", "stop").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::cancel_activity(5)]).await;
        let beat = RecordActivityTaskHeartbeatRequest {
            namespace: bed.namespace.clone(),
            task_token: activity.task_token.clone(),
            ..Default::default()
        };
        assert!(rpc!(bed, record_activity_task_heartbeat, beat).expect("a heartbeat").cancel_requested);
        let canceled = RespondActivityTaskCanceledRequest {
            namespace: bed.namespace.clone(),
            task_token: activity.task_token.clone(),
            details: Some(payloads("gone")),
            identity: "worker".to_owned(),
            ..Default::default()
        };
        rpc!(bed, respond_activity_task_canceled, canceled).expect("a cancellation");
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let types = bed.event_types("w").await;
        let closing = ["ActivityTaskCancelRequested", "ActivityTaskStarted", "ActivityTaskCanceled"];
        let at = types.iter().position(|name| *name == closing[0]).expect("a cancel request");
        assert_eq!(types[at..at + 3], closing);
    }

    async fn an_activity_that_no_worker_has_is_canceled_at_once(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", "nobody"))]).await;
        bed.signal("w", "stop").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::cancel_activity(5)]).await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let types = bed.event_types("w").await;
        let at = types.iter().position(|name| *name == "ActivityTaskCancelRequested").expect("a request");
        assert_eq!(types[at..at + 3], ["ActivityTaskCancelRequested", "ActivityTaskCanceled", "WorkflowTaskScheduled"]);
    }

    async fn an_activity_can_be_completed_by_its_id(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        bed.activity_task().await;
        let by_id = RespondActivityTaskCompletedByIdRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            activity_id: "a".to_owned(),
            result: Some(payloads("from afar")),
            identity: "somebody".to_owned(),
            ..Default::default()
        };
        rpc!(bed, respond_activity_task_completed_by_id, by_id.clone()).expect("a result");
        let gone = rpc!(bed, respond_activity_task_completed_by_id, by_id).expect_err("it is closed");
        assert_eq!(gone.code(), temporalio_client::tonic::Code::NotFound);
        bed.task().await;
    }

    async fn results_follow_signals_that_came_in_with_them(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        let activity = bed.activity_task().await;
        bed.signal("w", "first").await;
        let task = bed.task().await;
        succeed(bed, &activity, "result").await;
        bed.signal("w", "second").await;
        bed.complete(&task, vec![]).await;
        bed.task().await;
        let types = bed.event_types("w").await;
        let at = types.iter().rposition(|name| *name == "WorkflowTaskCompleted").expect("a completion");
        assert_eq!(
            types[at + 1..at + 4],
            ["ActivityTaskStarted", "WorkflowExecutionSignaled", "ActivityTaskCompleted"]
        );
        let history = bed.history("w").await;
        let started = history.iter().find(|e| e.event_type() == EventType::ActivityTaskStarted).map(|e| e.event_id);
        let named = history.iter().find_map(|event| match &event.attributes {
            Some(Attributes::ActivityTaskCompletedEventAttributes(completed)) => Some(completed.started_event_id),
            _ => None,
        });
        assert_eq!(named, started);
    }

    async fn an_eager_activity_comes_with_the_completion(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.request_eager_execution = true;
        let answer = bed.try_complete(&task, vec![commands::schedule(activity)]).await.expect("a completion");
        assert_eq!(answer.activity_tasks.len(), 1);
        succeed(bed, &answer.activity_tasks[0], "result").await;
        bed.task().await;
    }
}

async fn retry_state(bed: &Bed) -> RetryState {
    let history = bed.history("w").await;
    let failed = history.into_iter().find_map(|event| match event.attributes {
        Some(Attributes::ActivityTaskFailedEventAttributes(failed)) => Some(failed.retry_state()),
        _ => None,
    });
    failed.expect("a failed activity")
}
