//! Tasks that come without a poll, and results that come without a worker.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    common::v1::RetryPolicy,
    enums::v1::{RetryState, TimeoutType},
    failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo},
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::*,
};

use crate::{
    activities::{fail, succeed},
    bed::{Bed, both_engines, commands, execution, millis, payloads, rpc, seconds},
};

async fn find<T>(bed: &Bed, pick: impl Fn(HistoryEvent) -> Option<T>) -> T {
    let found = bed.history("w").await.into_iter().find_map(pick);
    found.expect("such an event")
}

fn complete_by_id(bed: &Bed) -> RespondActivityTaskCompletedByIdRequest {
    RespondActivityTaskCompletedByIdRequest {
        namespace: bed.namespace.clone(),
        workflow_id: "w".to_owned(),
        activity_id: "a".to_owned(),
        result: Some(payloads("from afar")),
        identity: "somebody".to_owned(),
        ..Default::default()
    }
}

both_engines! {
    async fn an_eager_attempt_is_the_first_and_others_come_by_the_queue(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.request_eager_execution = true;
        activity.retry_policy = Some(RetryPolicy { initial_interval: Some(millis(50)), ..Default::default() });
        let answer = bed.try_complete(&task, vec![commands::schedule(activity)]).await.expect("a completion");
        assert_eq!((answer.activity_tasks.len(), answer.activity_tasks[0].attempt), (1, 1));
        fail(bed, &answer.activity_tasks[0], commands::failure("once", false)).await;
        let again = bed.activity_task().await;
        assert_eq!(again.attempt, 2);
        succeed(bed, &again, "result").await;
        bed.task().await;
    }

    async fn whoever_asks_for_an_eager_activity_gets_it_whatever_its_queue(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut eager = commands::activity("a", "other");
        eager.request_eager_execution = true;
        let lazy = commands::activity("b", &bed.queue);
        let commands = vec![commands::schedule(eager), commands::schedule(lazy)];
        let answer = bed.try_complete(&task, commands).await.expect("a completion");
        let ids: Vec<_> = answer.activity_tasks.iter().map(|task| task.activity_id.as_str()).collect();
        assert_eq!(ids, ["a"]);
        assert_eq!(bed.activity_task().await.activity_id, "b");
    }

    async fn an_activity_canceled_with_its_scheduling_never_starts(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.request_eager_execution = true;
        let commands = vec![commands::schedule(activity), commands::cancel_activity(5)];
        let answer = bed.try_complete(&task, commands).await.expect("a completion");
        assert!(answer.activity_tasks.is_empty());
        let details = find(bed, |event| match event.attributes {
            Some(Attributes::ActivityTaskCanceledEventAttributes(canceled)) => Some(canceled.details),
            _ => None,
        })
        .await;
        assert_eq!(details, Some(payloads("ACTIVITY_ID_NOT_STARTED")));
        bed.task().await;
    }

    async fn a_back_off_ends_with_the_cancellation(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.retry_policy = Some(RetryPolicy { initial_interval: Some(seconds(600)), ..Default::default() });
        bed.complete(&task, vec![commands::schedule(activity)]).await;
        let task = bed.activity_task().await;
        fail(bed, &task, commands::failure("once", false)).await;
        bed.signal("w", "stop").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::cancel_activity(5)]).await;
        bed.task().await;
        assert!(bed.event_types("w").await.contains(&"ActivityTaskCanceled"));
        assert!(bed.describe("w").await.pending_activities.is_empty());
    }

    async fn a_workflow_may_start_with_its_first_task_in_the_answer(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.request_eager_execution = true;
        let answer = rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = answer.eager_workflow_task.expect("its first task");
        assert_eq!((task.attempt, task.started_event_id), (1, 3));
        assert_eq!(task.history.as_ref().map(|history| history.events.len()), Some(3));
        bed.complete(&task, vec![commands::complete("done")]).await;
        bed.close_event("w").await;
    }

    async fn a_result_by_id_needs_no_worker(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", "nobody"))]).await;
        rpc!(bed, respond_activity_task_completed_by_id, complete_by_id(bed)).expect("a result");
        bed.task().await;
        let started = find(bed, |event| match event.attributes {
            Some(Attributes::ActivityTaskStartedEventAttributes(started)) => Some(started),
            _ => None,
        })
        .await;
        assert_eq!((started.identity.as_str(), started.attempt), ("somebody", 1));
    }

    async fn a_failure_or_a_heartbeat_by_id_needs_a_worker(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", "nobody"))]).await;
        let failed = RespondActivityTaskFailedByIdRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        let error = rpc!(bed, respond_activity_task_failed_by_id, failed).expect_err("nobody has it");
        assert_eq!(error.code(), Code::NotFound);
        let beat = RecordActivityTaskHeartbeatByIdRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        let error = rpc!(bed, record_activity_task_heartbeat_by_id, beat).expect_err("nobody has it");
        assert_eq!(error.code(), Code::NotFound);
        let mut unknown = complete_by_id(bed);
        unknown.activity_id = "never".to_owned();
        let error = rpc!(bed, respond_activity_task_completed_by_id, unknown).expect_err("unknown");
        assert_eq!(error.code(), Code::NotFound);
    }

    async fn nobody_is_canceled_who_was_not_asked(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        let task = bed.activity_task().await;
        let canceled = RespondActivityTaskCanceledRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token,
            ..Default::default()
        };
        let error = rpc!(bed, respond_activity_task_canceled, canceled).expect_err("nobody asked");
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(
            error.message(),
            "unable to mark activity as canceled without activity being request canceled first"
        );
        let by_id = RespondActivityTaskCanceledByIdRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        let error = rpc!(bed, respond_activity_task_canceled_by_id, by_id).expect_err("nobody asked");
        assert_eq!(error.code(), Code::InvalidArgument);
    }

    async fn a_failure_may_name_the_delay_of_the_next_attempt(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        let task = bed.activity_task().await;
        let info = ApplicationFailureInfo {
            r#type: "Later".to_owned(),
            next_retry_delay: Some(seconds(77)),
            ..Default::default()
        };
        let failure = Failure {
            message: "later".to_owned(),
            failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
            ..Default::default()
        };
        fail(bed, &task, failure).await;
        let pending = bed.describe("w").await.pending_activities.remove(0);
        assert_eq!(pending.current_retry_interval.map(|interval| interval.seconds), Some(77));
        assert!(pending.scheduled_time.is_some());
        assert_eq!(pending.scheduled_time, pending.next_attempt_schedule_time);
    }

    async fn a_policy_may_name_failures_that_are_not_tried_again(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.retry_policy = Some(RetryPolicy {
            non_retryable_error_types: vec!["Test".to_owned()],
            ..Default::default()
        });
        bed.complete(&task, vec![commands::schedule(activity)]).await;
        let task = bed.activity_task().await;
        fail(bed, &task, commands::failure("for good", false)).await;
        bed.task().await;
        let state = find(bed, |event| match event.attributes {
            Some(Attributes::ActivityTaskFailedEventAttributes(failed)) => Some(failed.retry_state()),
            _ => None,
        })
        .await;
        assert_eq!(state, RetryState::NonRetryableFailure);
    }

    async fn all_attempts_together_have_their_time(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.schedule_to_close_timeout = Some(seconds(2));
        activity.retry_policy = Some(RetryPolicy { initial_interval: Some(millis(200)), ..Default::default() });
        bed.complete(&task, vec![commands::schedule(activity)]).await;
        let task = bed.activity_task().await;
        fail(bed, &task, commands::failure("once", false)).await;
        assert_eq!(bed.activity_task().await.attempt, 2);
        bed.task().await;
        let failure = find(bed, |event| match event.attributes {
            Some(Attributes::ActivityTaskTimedOutEventAttributes(timed_out)) => timed_out.failure,
            _ => None,
        })
        .await;
        let Some(FailureInfo::TimeoutFailureInfo(info)) = failure.failure_info else { panic!("a time-out") };
        assert!(
            matches!(info.timeout_type(), TimeoutType::ScheduleToClose | TimeoutType::StartToClose),
            "{info:?}"
        );
    }
}

/// A token that a worker elsewhere got before the engine started again still names its attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_the_engine() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let task = bed.task().await;
    bed.complete(
        &task,
        vec![commands::schedule(commands::activity("a", &bed.queue))],
    )
    .await;
    let address = bed.address().await;
    let far = crate::cli::client_over_grpc(&address).await;
    let far = Bed {
        client: far,
        namespace: bed.namespace.clone(),
        queue: bed.queue.clone(),
        engine: None,
        server: None,
    };
    let task = far.activity_task().await;
    drop(far);
    let bed = crate::restart::restarted(bed).await;
    succeed(&bed, &task, "result").await;
    bed.task().await;
    assert_eq!(bed.history_of(execution("w")).await.len(), 9);
}
