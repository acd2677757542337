//! Activities that a client starts without a workflow.

use std::time::Duration;

use prost::Message as _;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::{
    google::rpc,
    temporal::api::{
        activity::v1::{ActivityExecutionInfo, ActivityOptions, activity_execution_outcome::Value},
        common::v1::{ActivityType, Header, Payload, Priority, RetryPolicy, SearchAttributes},
        enums::v1::{
            ActivityExecutionStatus, ActivityIdConflictPolicy, ActivityIdReusePolicy, IndexedValueType,
            PendingActivityState, RetryState, TimeoutType,
        },
        errordetails::v1::ActivityExecutionAlreadyStartedFailure,
        failure::v1::{Failure, failure::FailureInfo},
        sdk::v1::UserMetadata,
        workflowservice::v1::*,
    },
};

use crate::{
    activities::{beat, fail, succeed},
    bed::{Bed, both_engines, commands, millis, payloads, queue, rpc, seconds},
    visibility::{add_attribute, attributes},
};

fn start_request(bed: &Bed, id: &str) -> StartActivityExecutionRequest {
    StartActivityExecutionRequest {
        namespace: bed.namespace.clone(),
        identity: "client".to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        activity_id: id.to_owned(),
        activity_type: Some(ActivityType {
            name: "Act".to_owned(),
        }),
        task_queue: Some(queue(&bed.queue)),
        start_to_close_timeout: Some(seconds(30)),
        retry_policy: quick_retry(0),
        input: Some(payloads(id)),
        ..Default::default()
    }
}

fn quick_retry(maximum_attempts: i32) -> Option<RetryPolicy> {
    Some(RetryPolicy {
        initial_interval: Some(millis(50)),
        backoff_coefficient: 1.0,
        maximum_attempts,
        ..Default::default()
    })
}

async fn start(bed: &Bed, id: &str) -> String {
    let started = rpc!(bed, start_activity_execution, start_request(bed, id)).expect("a start");
    assert!(started.started);
    started.run_id
}

fn describe_request(bed: &Bed, id: &str) -> DescribeActivityExecutionRequest {
    DescribeActivityExecutionRequest {
        namespace: bed.namespace.clone(),
        activity_id: id.to_owned(),
        include_input: true,
        include_outcome: true,
        include_heartbeat_details: true,
        include_last_failure: true,
        ..Default::default()
    }
}

async fn describe(bed: &Bed, id: &str) -> ActivityExecutionInfo {
    let described = rpc!(bed, describe_activity_execution, describe_request(bed, id)).expect("a description");
    described.info.expect("its info")
}

/// What the activity ends with, waited for, and its retry state.
async fn outcome(bed: &Bed, id: &str) -> (Value, RetryState) {
    loop {
        let request = PollActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            activity_id: id.to_owned(),
            run_id: String::new(),
        };
        let answer = rpc!(bed, poll_activity_execution, request).expect("a poll");
        if let Some(outcome) = answer.outcome {
            let state = outcome.retry_state();
            return (outcome.value.expect("a value"), state);
        }
    }
}

async fn failure(bed: &Bed, id: &str) -> (Failure, RetryState) {
    match outcome(bed, id).await {
        (Value::Failure(failure), state) => (failure, state),
        (Value::Result(result), _) => panic!("{id} succeeded with {result:?}"),
    }
}

fn cancel_request(bed: &Bed, id: &str, request_id: &str) -> RequestCancelActivityExecutionRequest {
    RequestCancelActivityExecutionRequest {
        namespace: bed.namespace.clone(),
        activity_id: id.to_owned(),
        identity: "client".to_owned(),
        request_id: request_id.to_owned(),
        reason: "changed my mind".to_owned(),
        ..Default::default()
    }
}

fn terminate_request(bed: &Bed, id: &str) -> TerminateActivityExecutionRequest {
    TerminateActivityExecutionRequest {
        namespace: bed.namespace.clone(),
        activity_id: id.to_owned(),
        identity: "client".to_owned(),
        request_id: "end".to_owned(),
        reason: "enough".to_owned(),
        ..Default::default()
    }
}

/// The detail that a refused start carries.
fn already_started(error: &Status) -> ActivityExecutionAlreadyStartedFailure {
    assert_eq!(error.code(), Code::AlreadyExists);
    let status = rpc::Status::decode(error.details()).expect("a status");
    let detail = status.details.first().expect("a detail");
    assert!(
        detail
            .type_url
            .ends_with("errordetails.v1.ActivityExecutionAlreadyStartedFailure")
    );
    ActivityExecutionAlreadyStartedFailure::decode(detail.value.as_slice()).expect("its kind")
}

async fn list(bed: &Bed, query: &str) -> Vec<String> {
    let request = ListActivityExecutionsRequest {
        namespace: bed.namespace.clone(),
        query: query.to_owned(),
        ..Default::default()
    };
    let listed = rpc!(bed, list_activity_executions, request).expect("a list");
    let mut ids: Vec<String> = listed
        .executions
        .into_iter()
        .map(|activity| activity.activity_id)
        .collect();
    ids.sort();
    ids
}

async fn count(bed: &Bed, query: &str) -> CountActivityExecutionsResponse {
    let request = CountActivityExecutionsRequest {
        namespace: bed.namespace.clone(),
        query: query.to_owned(),
    };
    rpc!(bed, count_activity_executions, request).expect("a count")
}

both_engines! {
    async fn an_activity_is_started_done_and_its_result_waited_for(bed: &Bed) {
        let mut request = start_request(bed, "a");
        request.header = Some(Header { fields: [("trace".to_owned(), Payload::default())].into() });
        request.priority = Some(Priority { priority_key: 2, ..Default::default() });
        request.user_metadata = Some(UserMetadata {
            summary: payloads("a summary").payloads.pop(),
            ..Default::default()
        });
        let started = rpc!(bed, start_activity_execution, request.clone()).expect("a start");
        assert!(started.started);
        let info = describe(bed, "a").await;
        assert_eq!(info.status(), ActivityExecutionStatus::Running);
        assert_eq!(info.run_state(), PendingActivityState::Scheduled);
        assert_eq!((info.attempt, info.task_queue.as_str()), (1, bed.queue.as_str()));
        assert_eq!(info.run_id, started.run_id);
        assert_eq!(info.user_metadata, request.user_metadata);
        assert_eq!(info.header, request.header);
        assert!(info.schedule_time.is_some() && info.execution_time == info.schedule_time);

        let task = bed.activity_task().await;
        assert_eq!((task.activity_id.as_str(), task.attempt), ("a", 1));
        assert_eq!(task.activity_run_id, started.run_id);
        assert_eq!(task.workflow_namespace, bed.namespace);
        assert!(task.workflow_execution.unwrap_or_default().workflow_id.is_empty());
        assert_eq!((task.input.clone(), task.header.clone()), (Some(payloads("a")), request.header));
        assert_eq!(task.priority.map(|priority| priority.priority_key), Some(2));
        let task = PollActivityTaskQueueResponse { workflow_execution: None, priority: None, ..task };
        beat(bed, &task, "half").await;
        let info = describe(bed, "a").await;
        assert_eq!(info.run_state(), PendingActivityState::Started);
        assert_eq!((info.heartbeat_details, info.total_heartbeat_count), (Some(payloads("half")), 1));
        assert_eq!(info.last_worker_identity, "worker");
        let (answer, ()) = tokio::join!(outcome(bed, "a"), succeed(bed, &task, "result"));
        assert_eq!(answer.0, Value::Result(payloads("result")));
        let described = rpc!(bed, describe_activity_execution, describe_request(bed, "a")).expect("a description");
        assert_eq!(described.input, Some(payloads("a")));
        assert_eq!(described.outcome.and_then(|outcome| outcome.value), Some(Value::Result(payloads("result"))));
        let info = described.info.expect("its info");
        assert_eq!(info.status(), ActivityExecutionStatus::Completed);
        assert!(info.close_time.is_some() && info.execution_duration.is_some());
    }

    async fn failed_attempts_are_tried_again_until_the_policy_says_no(bed: &Bed) {
        let request = StartActivityExecutionRequest { retry_policy: quick_retry(2), ..start_request(bed, "a") };
        rpc!(bed, start_activity_execution, request).expect("a start");
        let task = bed.activity_task().await;
        beat(bed, &task, "half").await;
        fail(bed, &task, commands::failure("once", false)).await;
        let info = describe(bed, "a").await;
        assert_eq!((info.attempt, info.last_failure.map(|f| f.message)), (2, Some("once".to_owned())));
        let task = bed.activity_task().await;
        assert_eq!((task.attempt, task.heartbeat_details.clone()), (2, Some(payloads("half"))));
        fail(bed, &task, commands::failure("twice", false)).await;
        let (failure, state) = failure(bed, "a").await;
        assert_eq!((failure.message.as_str(), state), ("twice", RetryState::MaximumAttemptsReached));
        assert_eq!(describe(bed, "a").await.status(), ActivityExecutionStatus::Failed);
    }

    async fn time_outs_end_attempts_and_the_activity(bed: &Bed) {
        let short = StartActivityExecutionRequest {
            start_to_close_timeout: Some(millis(300)),
            retry_policy: quick_retry(1),
            ..start_request(bed, "short")
        };
        rpc!(bed, start_activity_execution, short).expect("a start");
        bed.activity_task().await;
        let silent = StartActivityExecutionRequest {
            heartbeat_timeout: Some(millis(300)),
            retry_policy: quick_retry(2),
            ..start_request(bed, "silent")
        };
        rpc!(bed, start_activity_execution, silent).expect("a start");
        let task = bed.activity_task().await;
        assert_eq!(task.attempt, 1);
        let again = bed.activity_task().await;
        assert_eq!((again.activity_id.as_str(), again.attempt), ("silent", 2));
        let waiting = StartActivityExecutionRequest {
            schedule_to_start_timeout: Some(millis(300)),
            task_queue: Some(queue("nobody")),
            ..start_request(bed, "waiting")
        };
        rpc!(bed, start_activity_execution, waiting).expect("a start");
        let whole = StartActivityExecutionRequest {
            schedule_to_close_timeout: Some(millis(300)),
            task_queue: Some(queue("nobody")),
            ..start_request(bed, "whole")
        };
        rpc!(bed, start_activity_execution, whole).expect("a start");
        for (id, kind) in [
            ("short", TimeoutType::StartToClose),
            ("silent", TimeoutType::Heartbeat),
            ("waiting", TimeoutType::ScheduleToStart),
        ] {
            let (failure, _) = failure(bed, id).await;
            let Some(FailureInfo::TimeoutFailureInfo(info)) = failure.failure_info else { panic!("a time-out: {id}") };
            assert_eq!(info.timeout_type(), kind, "{id}");
            assert_eq!(describe(bed, id).await.status(), ActivityExecutionStatus::TimedOut);
        }
        let (failure, _) = failure(bed, "whole").await;
        assert!(matches!(failure.failure_info, Some(FailureInfo::TimeoutFailureInfo(_))), "{failure:?}");
    }

    async fn an_id_is_one_running_activitys(bed: &Bed) {
        let request = start_request(bed, "a");
        let first = rpc!(bed, start_activity_execution, request.clone()).expect("a start");
        let same = rpc!(bed, start_activity_execution, request.clone()).expect("the same start");
        assert_eq!((same.run_id.as_str(), same.started), (first.run_id.as_str(), false));
        let error = rpc!(bed, start_activity_execution, start_request(bed, "a")).expect_err("it runs");
        assert_eq!(error.message(), "activity execution already started");
        let detail = already_started(&error);
        assert_eq!((detail.run_id, detail.start_request_id), (first.run_id.clone(), request.request_id));
        let mut existing = start_request(bed, "a");
        existing.id_conflict_policy = ActivityIdConflictPolicy::UseExisting as i32;
        let existing = rpc!(bed, start_activity_execution, existing).expect("the running one");
        assert_eq!((existing.run_id, existing.started), (first.run_id, false));
    }

    async fn the_reuse_policy_decides_once_it_has_closed(bed: &Bed) {
        let run = start(bed, "a").await;
        let task = bed.activity_task().await;
        succeed(bed, &task, "result").await;
        for policy in [ActivityIdReusePolicy::RejectDuplicate, ActivityIdReusePolicy::AllowDuplicateFailedOnly] {
            let mut request = start_request(bed, "a");
            request.id_reuse_policy = policy as i32;
            let error = rpc!(bed, start_activity_execution, request).expect_err("taken");
            assert_eq!(already_started(&error).run_id, run);
        }
        let second = start(bed, "a").await;
        assert_ne!(second, run);
        rpc!(bed, terminate_activity_execution, terminate_request(bed, "a")).expect("an end");
        let mut request = start_request(bed, "a");
        request.id_reuse_policy = ActivityIdReusePolicy::AllowDuplicateFailedOnly as i32;
        assert!(rpc!(bed, start_activity_execution, request).expect("it had failed").started);
        let first = DescribeActivityExecutionRequest { run_id: run.clone(), ..describe_request(bed, "a") };
        let first = rpc!(bed, describe_activity_execution, first).expect("a description");
        assert_eq!((first.run_id, first.info.map(|info| info.status())), (run, Some(ActivityExecutionStatus::Completed)));
    }

    async fn an_activity_that_nobody_has_is_canceled_at_once(bed: &Bed) {
        start(bed, "a").await;
        rpc!(bed, request_cancel_activity_execution, cancel_request(bed, "a", "one")).expect("a request");
        let (failure, _) = failure(bed, "a").await;
        let Some(FailureInfo::CanceledFailureInfo(info)) = failure.failure_info else { panic!("canceled") };
        assert_eq!(info.details.map(|details| details.payloads[0].data.clone()), Some(b"\"changed my mind\"".to_vec()));
        let info = describe(bed, "a").await;
        assert_eq!((info.status(), info.canceled_reason.as_str()), (ActivityExecutionStatus::Canceled, "changed my mind"));
        rpc!(bed, request_cancel_activity_execution, cancel_request(bed, "a", "one")).expect("the same request");
        let late = rpc!(bed, request_cancel_activity_execution, cancel_request(bed, "a", "two")).expect_err("closed");
        assert_eq!((late.code(), late.message()), (Code::FailedPrecondition, "activity is in terminal state Canceled"));
    }

    async fn a_started_activity_agrees_to_its_cancellation(bed: &Bed) {
        start(bed, "a").await;
        let task = bed.activity_task().await;
        let canceled = RespondActivityTaskCanceledRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token.clone(),
            details: Some(payloads("gone")),
            ..Default::default()
        };
        let unasked = rpc!(bed, respond_activity_task_canceled, canceled.clone()).expect_err("nobody asked");
        assert_eq!(unasked.code(), Code::InvalidArgument);
        rpc!(bed, request_cancel_activity_execution, cancel_request(bed, "a", "one")).expect("a request");
        let other = rpc!(bed, request_cancel_activity_execution, cancel_request(bed, "a", "two")).expect_err("asked");
        assert_eq!(other.code(), Code::FailedPrecondition);
        assert_eq!(other.message(), "cancellation already requested with request ID one");
        assert!(beat(bed, &task, "half").await.cancel_requested);
        assert_eq!(describe(bed, "a").await.run_state(), PendingActivityState::CancelRequested);
        rpc!(bed, respond_activity_task_canceled, canceled).expect("a cancellation");
        let (failure, _) = failure(bed, "a").await;
        let Some(FailureInfo::CanceledFailureInfo(info)) = failure.failure_info else { panic!("canceled") };
        assert_eq!(info.details, Some(payloads("gone")));
    }

    async fn a_terminated_activity_is_gone_for_its_worker(bed: &Bed) {
        start(bed, "a").await;
        let task = bed.activity_task().await;
        rpc!(bed, terminate_activity_execution, terminate_request(bed, "a")).expect("an end");
        rpc!(bed, terminate_activity_execution, terminate_request(bed, "a")).expect("the same end");
        let (failure, _) = failure(bed, "a").await;
        assert_eq!(failure.message, "enough");
        assert!(matches!(failure.failure_info, Some(FailureInfo::TerminatedFailureInfo(_))));
        let beat = RecordActivityTaskHeartbeatRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token,
            ..Default::default()
        };
        let gone = rpc!(bed, record_activity_task_heartbeat, beat).expect_err("it is over");
        assert_eq!((gone.code(), gone.message()), (Code::NotFound, "activity not found for ID: a"));
        assert_eq!(describe(bed, "a").await.status(), ActivityExecutionStatus::Terminated);
    }

    async fn others_report_by_the_activity_id(bed: &Bed) {
        start(bed, "a").await;
        bed.activity_task().await;
        let beat = RecordActivityTaskHeartbeatByIdRequest {
            namespace: bed.namespace.clone(),
            activity_id: "a".to_owned(),
            details: Some(payloads("afar")),
            ..Default::default()
        };
        rpc!(bed, record_activity_task_heartbeat_by_id, beat).expect("a heartbeat");
        assert_eq!(describe(bed, "a").await.heartbeat_details, Some(payloads("afar")));
        let completed = RespondActivityTaskCompletedByIdRequest {
            namespace: bed.namespace.clone(),
            activity_id: "a".to_owned(),
            result: Some(payloads("from afar")),
            ..Default::default()
        };
        rpc!(bed, respond_activity_task_completed_by_id, completed.clone()).expect("a result");
        assert_eq!(outcome(bed, "a").await.0, Value::Result(payloads("from afar")));
        let gone = rpc!(bed, respond_activity_task_completed_by_id, completed).expect_err("it is closed");
        assert_eq!((gone.code(), gone.message()), (Code::FailedPrecondition, "invalid transition from Completed"));
        let failed = RespondActivityTaskFailedByIdRequest {
            namespace: bed.namespace.clone(),
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        let gone = rpc!(bed, respond_activity_task_failed_by_id, failed).expect_err("it is closed");
        assert_eq!((gone.code(), gone.message()), (Code::NotFound, "activity not found for ID: a"));
    }

    async fn a_watcher_hears_of_the_next_change(bed: &Bed) {
        let run_id = start(bed, "a").await;
        let first = rpc!(bed, describe_activity_execution, describe_request(bed, "a")).expect("a description");
        assert!(!first.long_poll_token.is_empty());
        let watch = DescribeActivityExecutionRequest {
            run_id,
            long_poll_token: first.long_poll_token,
            ..describe_request(bed, "a")
        };
        let watching = async { rpc!(bed, describe_activity_execution, watch).expect("a description") };
        let (changed, _) = tokio::join!(watching, bed.activity_task());
        assert_eq!(changed.info.expect("its info").run_state(), PendingActivityState::Started);
    }

    async fn the_first_attempt_may_be_delayed(bed: &Bed) {
        let request = StartActivityExecutionRequest { start_delay: Some(millis(1_500)), ..start_request(bed, "a") };
        rpc!(bed, start_activity_execution, request).expect("a start");
        let info = describe(bed, "a").await;
        assert_eq!(info.start_delay, Some(millis(1_500)));
        assert!(info.next_attempt_schedule_time.is_some() && info.next_attempt_schedule_time == info.execution_time);
        let begun = tokio::time::Instant::now();
        let task = bed.activity_task().await;
        assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
        succeed(bed, &task, "late").await;
    }

    async fn a_person_pauses_resets_and_changes_it(bed: &Bed) {
        start(bed, "a").await;
        let pause = PauseActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            activity_id: "a".to_owned(),
            request_id: "one".to_owned(),
            ..Default::default()
        };
        rpc!(bed, pause_activity_execution, pause.clone()).expect("a pause");
        rpc!(bed, pause_activity_execution, pause.clone()).expect("the same pause");
        let other = PauseActivityExecutionRequest { request_id: "two".to_owned(), ..pause.clone() };
        let error = rpc!(bed, pause_activity_execution, other).expect_err("paused already");
        assert_eq!((error.code(), error.message()), (Code::FailedPrecondition, "activity is in non-pausable state Paused"));
        let info = describe(bed, "a").await;
        assert_eq!(info.status(), ActivityExecutionStatus::Paused);
        assert_eq!(info.run_state(), PendingActivityState::Paused);
        bed.eventually("lists show it", || async {
            (list(bed, "ExecutionStatus = 'Paused'").await == ["a"]).then_some(())
        })
        .await;
        let update = UpdateActivityExecutionOptionsRequest {
            namespace: bed.namespace.clone(),
            activity_id: "a".to_owned(),
            activity_options: Some(ActivityOptions { heartbeat_timeout: Some(seconds(7)), ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["heartbeat_timeout".to_owned()] }),
            ..Default::default()
        };
        let options = rpc!(bed, update_activity_execution_options, update.clone()).expect("an update");
        assert_eq!(options.activity_options.and_then(|options| options.heartbeat_timeout), Some(seconds(7)));
        let mut unknown = update;
        unknown.update_mask = Some(prost_types::FieldMask { paths: vec!["color".to_owned()] });
        let error = rpc!(bed, update_activity_execution_options, unknown).expect_err("no option");
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "unsupported update_mask path: \"color\""));
        let unpause = UnpauseActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        rpc!(bed, unpause_activity_execution, unpause.clone()).expect("the end of a pause");
        let error = rpc!(bed, unpause_activity_execution, unpause).expect_err("not paused");
        assert_eq!(error.message(), "activity is in non-unpausable state Scheduled");
        let task = bed.activity_task().await;
        assert_eq!((task.attempt, task.heartbeat_timeout), (1, Some(seconds(7))));
        fail(bed, &task, commands::failure("once", false)).await;
        let task = bed.activity_task().await;
        assert_eq!(task.attempt, 2);
        let reset = ResetActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        rpc!(bed, reset_activity_execution, reset).expect("a reset");
        assert!(beat(bed, &task, "half").await.activity_reset);
        fail(bed, &task, commands::failure("twice", false)).await;
        assert_eq!(bed.activity_task().await.attempt, 1);
        rpc!(bed, terminate_activity_execution, terminate_request(bed, "a")).expect("an end");
        let error = rpc!(bed, pause_activity_execution, PauseActivityExecutionRequest { request_id: "three".to_owned(), ..pause })
            .expect_err("closed");
        assert_eq!(error.message(), "activity is in non-pausable state Terminated");
    }

    async fn activities_are_listed_and_counted_apart_from_workflows(bed: &Bed) {
        for id in ["done", "ended", "open"] {
            start(bed, id).await;
        }
        bed.start("workflow").await;
        for _ in 0..3 {
            let task = bed.activity_task().await;
            if task.activity_id == "done" {
                succeed(bed, &task, "result").await;
            }
        }
        rpc!(bed, terminate_activity_execution, terminate_request(bed, "ended")).expect("an end");
        bed.eventually("lists have all of it", || async {
            let closed = list(bed, "CloseTime IS NOT NULL").await;
            (closed == ["done", "ended"] && list(bed, "").await.len() == 3).then_some(())
        })
        .await;
        for (query, found) in [
            ("ActivityId = 'done'", vec!["done"]),
            ("ActivityType = 'Act' AND ExecutionStatus = 'Terminated'", vec!["ended"]),
            ("ExecutionStatus IN ('Running', 'Completed')", vec!["done", "open"]),
            ("TaskQueue = 'nobody'", vec![]),
            ("ActivityId STARTS_WITH 'o' AND StartTime > '2020-01-01T00:00:00Z'", vec!["open"]),
        ] {
            assert_eq!(list(bed, query).await, found, "{query}");
        }
        assert_eq!(count(bed, "ActivityType = 'Act'").await.count, 3);
        let grouped = count(bed, "GROUP BY ExecutionStatus").await;
        let mut groups: Vec<(Vec<u8>, i64)> = grouped
            .groups
            .into_iter()
            .map(|group| (group.group_values[0].data.clone(), group.count))
            .collect();
        groups.sort();
        let expected: Vec<(Vec<u8>, i64)> = ["\"Completed\"", "\"Running\"", "\"Terminated\""]
            .map(|name| (name.as_bytes().to_vec(), 1))
            .into();
        assert_eq!((grouped.count, groups), (3, expected));
        let wrong = CountActivityExecutionsRequest { namespace: bed.namespace.clone(), query: "Nothing = 1".to_owned() };
        let error = rpc!(bed, count_activity_executions, wrong).expect_err("no such attribute");
        assert_eq!(error.message(), "invalid query: invalid search attribute: Nothing");

        let workflows = ListWorkflowExecutionsRequest { namespace: bed.namespace.clone(), ..Default::default() };
        bed.eventually("the workflow is listed, alone", || async {
            let listed = rpc!(bed, list_workflow_executions, workflows.clone()).expect("a list").executions;
            assert!(listed.len() <= 1);
            (listed.len() == 1).then_some(())
        })
        .await;
    }

    async fn activities_are_found_by_custom_attributes(bed: &Bed) {
        add_attribute(bed, "Color", IndexedValueType::Keyword).await;
        for (id, color) in [("a", "\"red\""), ("b", "\"blue\"")] {
            let request = StartActivityExecutionRequest {
                search_attributes: attributes("Color", color),
                ..start_request(bed, id)
            };
            rpc!(bed, start_activity_execution, request).expect("a start");
        }
        bed.eventually("it is found", || async { (list(bed, "Color = 'red'").await == ["a"]).then_some(()) }).await;
        let described = describe(bed, "a").await.search_attributes.expect("attributes");
        assert_eq!(described.indexed_fields["Color"].data, b"\"red\"");
    }

    async fn lists_have_pages(bed: &Bed) {
        for n in 0..5 {
            start(bed, &format!("a{n}")).await;
        }
        bed.eventually("all are listed", || async { (list(bed, "").await.len() == 5).then_some(()) }).await;
        let (mut found, mut token) = (Vec::new(), Vec::new());
        loop {
            let request = ListActivityExecutionsRequest {
                namespace: bed.namespace.clone(),
                page_size: 2,
                next_page_token: token,
                ..Default::default()
            };
            let page = rpc!(bed, list_activity_executions, request).expect("a page");
            assert!(page.executions.len() <= 2);
            found.extend(page.executions.into_iter().map(|activity| activity.activity_id));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, ["a0", "a1", "a2", "a3", "a4"]);
    }

    async fn a_deleted_activity_is_gone(bed: &Bed) {
        start(bed, "open").await;
        let request = DeleteActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            activity_id: "open".to_owned(),
            ..Default::default()
        };
        rpc!(bed, delete_activity_execution, request.clone()).expect("a deletion");
        bed.eventually("it is gone", || async {
            let described = rpc!(bed, describe_activity_execution, describe_request(bed, "open"));
            (described.err().map(|error| error.code()) == Some(Code::NotFound)).then_some(())
        })
        .await;
        bed.eventually("lists have forgotten it", || async { list(bed, "").await.is_empty().then_some(()) }).await;
        let unknown = DeleteActivityExecutionRequest { activity_id: "never".to_owned(), ..request };
        let error = rpc!(bed, delete_activity_execution, unknown).expect_err("unknown");
        assert_eq!((error.code(), error.message()), (Code::NotFound, "activity not found for ID: never"));
    }

    async fn what_a_start_needs_is_named(bed: &Bed) {
        let good = start_request(bed, "a");
        for (request, message) in [
            (StartActivityExecutionRequest { activity_id: String::new(), ..good.clone() }, "activityId is not set"),
            (StartActivityExecutionRequest { activity_type: None, ..good.clone() }, "activityType is not set"),
            (StartActivityExecutionRequest { task_queue: None, ..good.clone() }, "taskQueue is not set"),
            (
                StartActivityExecutionRequest { task_queue: Some(Default::default()), ..good.clone() },
                "missing task queue name",
            ),
            (
                StartActivityExecutionRequest { heartbeat_timeout: Some(seconds(-1)), ..good.clone() },
                "invalid HeartbeatTimeout: negative duration",
            ),
            (
                StartActivityExecutionRequest { start_to_close_timeout: None, ..good.clone() },
                "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. \
                 ActivityId=a ActivityType=Act",
            ),
        ] {
            let error = rpc!(bed, start_activity_execution, request).expect_err("incomplete");
            assert_eq!((error.code(), error.message()), (Code::InvalidArgument, message));
        }
        let attributes = SearchAttributes { indexed_fields: [("Nothing".to_owned(), Payload::default())].into() };
        let request = StartActivityExecutionRequest { search_attributes: Some(attributes), ..good };
        let error = rpc!(bed, start_activity_execution, request).expect_err("no such attribute");
        assert_eq!(error.code(), Code::InvalidArgument);
        let mut wrong = describe_request(bed, "a");
        wrong.run_id = "no run".to_owned();
        let error = rpc!(bed, describe_activity_execution, wrong).expect_err("no run id");
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "invalid run id: must be a valid UUID"));
    }

    async fn a_workflow_may_have_the_same_id(bed: &Bed) {
        start(bed, "same").await;
        bed.start("same").await;
        assert_eq!(describe(bed, "same").await.activity_id, "same");
        assert_eq!(bed.describe("same").await.pending_activities.len(), 0);
        assert!(crate::namespaces::capabilities(bed).await.standalone_activities);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_go_on_after_a_restart() {
    let bed = Bed::embedded().await;
    start(&bed, "waits").await;
    let later = StartActivityExecutionRequest {
        start_delay: Some(millis(800)),
        task_queue: Some(queue("later")),
        ..start_request(&bed, "later")
    };
    rpc!(bed, start_activity_execution, later).expect("a start");
    let done = StartActivityExecutionRequest {
        task_queue: Some(queue("done")),
        ..start_request(&bed, "done")
    };
    rpc!(bed, start_activity_execution, done).expect("a start");
    let task = bed.activity_task_of("done").await;
    succeed(&bed, &task, "result").await;
    let lost = StartActivityExecutionRequest {
        task_queue: Some(queue("lost")),
        ..start_request(&bed, "lost")
    };
    rpc!(bed, start_activity_execution, lost).expect("a start");
    assert_eq!(bed.activity_task_of("lost").await.attempt, 1);
    let before = describe(&bed, "done").await;

    let bed = crate::restart::restarted(bed).await;
    assert_eq!(describe(&bed, "done").await, before);
    assert_eq!(outcome(&bed, "done").await.0, Value::Result(payloads("result")));
    let task = bed.activity_task().await;
    assert_eq!(task.activity_id, "waits");
    succeed(&bed, &task, "after all").await;
    assert_eq!(
        outcome(&bed, "waits").await.0,
        Value::Result(payloads("after all"))
    );
    assert_eq!(bed.activity_task_of("later").await.activity_id, "later");
    assert_eq!(
        bed.activity_task_of("lost").await.attempt,
        2,
        "its worker ended with the process"
    );
    assert_eq!(list(&bed, "").await, ["done", "later", "lost", "waits"]);
}

/// What a client holds of a deleted activity is nobody else's, also after the engine has started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_deleted_activity_fits_no_later_one() {
    let bed = Bed::embedded().await;
    start(&bed, "a").await;
    let old = bed.activity_task().await;
    let request = DeleteActivityExecutionRequest {
        namespace: bed.namespace.clone(),
        activity_id: "a".to_owned(),
        ..Default::default()
    };
    rpc!(bed, delete_activity_execution, request).expect("it is deleted");
    let bed = crate::restart::restarted(bed).await;
    start(&bed, "b").await;
    let new = bed.activity_task().await;
    let complete = |token: Vec<u8>| RespondActivityTaskCompletedRequest {
        namespace: bed.namespace.clone(),
        task_token: token,
        ..Default::default()
    };
    let refused =
        rpc!(bed, respond_activity_task_completed, complete(old.task_token)).expect_err("it is gone");
    assert_eq!(refused.code(), Code::NotFound);
    rpc!(bed, respond_activity_task_completed, complete(new.task_token)).expect("a result");
}
