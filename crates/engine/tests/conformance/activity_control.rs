//! Activities paused, unpaused, reset and given other options by a person.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    activity::v1::ActivityOptions,
    command::v1::ScheduleActivityTaskCommandAttributes,
    common::v1::{Priority, RetryPolicy},
    enums::v1::PendingActivityState,
    taskqueue::v1::TaskQueue,
    workflow::v1::{PendingActivityInfo, pending_activity_info::pause_info::PausedBy},
    workflowservice::v1::*,
};

use crate::{
    activities::{beat, fail, succeed},
    bed::{Bed, both_engines, commands, execution, millis, payloads, queue, rpc, seconds},
};

/// Starts `w` with an activity `a` that is tried again after `interval`.
async fn scheduled(bed: &Bed, interval: prost_types::Duration) {
    bed.start("w").await;
    let task = bed.task().await;
    let mut activity = commands::activity("a", &bed.queue);
    activity.retry_policy = Some(RetryPolicy {
        initial_interval: Some(interval),
        backoff_coefficient: 1.0,
        ..Default::default()
    });
    bed.complete(&task, vec![commands::schedule(activity)]).await;
}

async fn pending(bed: &Bed) -> PendingActivityInfo {
    let mut all = bed.describe("w").await.pending_activities;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn pause_request(bed: &Bed, request_id: &str) -> PauseActivityRequest {
    PauseActivityRequest {
        namespace: bed.namespace.clone(),
        execution: Some(execution("w")),
        identity: "somebody".to_owned(),
        reason: "to look at it".to_owned(),
        request_id: request_id.to_owned(),
        activity: Some(pause_activity_request::Activity::Id("a".to_owned())),
    }
}

pub(crate) async fn pause(bed: &Bed) {
    rpc!(bed, pause_activity, pause_request(bed, "pause")).expect("a pause");
}

fn unpause_request(bed: &Bed) -> UnpauseActivityRequest {
    UnpauseActivityRequest {
        namespace: bed.namespace.clone(),
        execution: Some(execution("w")),
        activity: Some(unpause_activity_request::Activity::Id("a".to_owned())),
        ..Default::default()
    }
}

pub(crate) async fn unpause(bed: &Bed) {
    rpc!(bed, unpause_activity, unpause_request(bed)).expect("the end of a pause");
}

fn reset_request(bed: &Bed) -> ResetActivityRequest {
    ResetActivityRequest {
        namespace: bed.namespace.clone(),
        execution: Some(execution("w")),
        activity: Some(reset_activity_request::Activity::Id("a".to_owned())),
        ..Default::default()
    }
}

fn update_request(bed: &Bed, options: ActivityOptions, paths: &[&str]) -> UpdateActivityOptionsRequest {
    UpdateActivityOptionsRequest {
        namespace: bed.namespace.clone(),
        execution: Some(execution("w")),
        activity_options: Some(options),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        activity: Some(update_activity_options_request::Activity::Id("a".to_owned())),
        ..Default::default()
    }
}

/// Nothing comes from this queue within a second.
async fn assert_no_activity_task(bed: &Bed) {
    let mut request = temporalio_client::tonic::Request::new(PollActivityTaskQueueRequest {
        namespace: bed.namespace.clone(),
        task_queue: Some(queue(&bed.queue)),
        ..Default::default()
    });
    request.set_timeout(std::time::Duration::from_secs(2));
    let mut service = bed.client.connection().workflow_service();
    if let Ok(answer) = service.poll_activity_task_queue(request).await {
        assert!(
            answer.into_inner().task_token.is_empty(),
            "no activity task is due"
        );
    }
}

both_engines! {
    async fn a_paused_activity_waits_until_it_is_unpaused(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        pause(bed).await;
        let paused = pending(bed).await;
        assert_eq!(paused.state(), PendingActivityState::Paused);
        assert!(paused.paused);
        let info = paused.pause_info.expect("by whom");
        assert!(info.pause_time.is_some());
        let Some(PausedBy::Manual(by)) = info.paused_by else { panic!("by a person") };
        assert_eq!((by.identity.as_str(), by.reason.as_str()), ("somebody", "to look at it"));
        assert_no_activity_task(bed).await;
        unpause(bed).await;
        unpause(bed).await;
        assert_eq!(pending(bed).await.state(), PendingActivityState::Scheduled);
        let task = bed.activity_task().await;
        assert_eq!(task.attempt, 1);
        succeed(bed, &task, "result").await;
        bed.task().await;
    }

    async fn a_running_attempt_learns_of_the_pause_and_is_the_last(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        let task = bed.activity_task().await;
        pause(bed).await;
        assert!(beat(bed, &task, "half").await.activity_paused);
        assert_eq!(pending(bed).await.state(), PendingActivityState::PauseRequested);
        fail(bed, &task, commands::failure("once", false)).await;
        let paused = pending(bed).await;
        assert_eq!(paused.state(), PendingActivityState::Paused);
        assert_eq!((paused.attempt, paused.next_attempt_schedule_time), (2, None));
        assert_no_activity_task(bed).await;
        unpause(bed).await;
        let again = bed.activity_task().await;
        assert_eq!(again.attempt, 2);
        assert_eq!(again.heartbeat_details, Some(payloads("half")));
        assert!(!beat(bed, &again, "half").await.activity_paused);
    }

    async fn a_paused_attempt_that_fails_as_the_last_is_kept(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let once = RetryPolicy { maximum_attempts: 1, ..Default::default() };
        let activity = ScheduleActivityTaskCommandAttributes {
            retry_policy: Some(once),
            ..commands::activity("a", &bed.queue)
        };
        bed.complete(&task, vec![commands::schedule(activity)]).await;
        let task = bed.activity_task().await;
        pause(bed).await;
        fail(bed, &task, commands::failure("once", false)).await;
        let paused = pending(bed).await;
        assert_eq!((paused.state(), paused.attempt), (PendingActivityState::Paused, 2));
        assert_eq!(paused.last_failure.map(|failure| failure.message).as_deref(), Some("once"));
        unpause(bed).await;
        assert_eq!(pending(bed).await.last_failure, None);
        let again = bed.activity_task().await;
        assert_eq!(again.attempt, 2);
        fail(bed, &again, commands::failure("twice", false)).await;
        bed.task().await;
        assert_eq!(bed.event_types("w").await[5..7], ["ActivityTaskStarted", "ActivityTaskFailed"]);
    }

    async fn a_failure_that_is_not_to_be_retried_ends_a_paused_activity(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        let task = bed.activity_task().await;
        pause(bed).await;
        fail(bed, &task, commands::failure("for good", true)).await;
        bed.task().await;
        assert!(bed.describe("w").await.pending_activities.is_empty());
    }

    async fn time_outs_wait_for_the_end_of_a_pause(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let once = RetryPolicy { maximum_attempts: 1, ..Default::default() };
        let running = ScheduleActivityTaskCommandAttributes {
            start_to_close_timeout: Some(seconds(1)),
            retry_policy: Some(once),
            ..commands::activity("a", &bed.queue)
        };
        // Its time is over when that of the paused one is, too.
        let beside = ScheduleActivityTaskCommandAttributes {
            schedule_to_start_timeout: Some(seconds(2)),
            ..commands::activity("b", "nobody's")
        };
        bed.complete(&task, [running, beside].map(commands::schedule).into()).await;
        let _held = bed.activity_task().await;
        pause(bed).await;
        let task = bed.task().await;
        let pending = bed.describe("w").await.pending_activities;
        let told: Vec<_> = pending.iter().map(|activity| (activity.activity_id.as_str(), activity.state())).collect();
        assert_eq!(told, [("a", PendingActivityState::PauseRequested)]);
        bed.complete(&task, vec![]).await;
        unpause(bed).await;
        bed.task().await;
        assert!(bed.describe("w").await.pending_activities.is_empty());
    }

    async fn a_paused_attempt_may_still_complete(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        let task = bed.activity_task().await;
        pause(bed).await;
        succeed(bed, &task, "result").await;
        bed.task().await;
        assert!(bed.describe("w").await.pending_activities.is_empty());
    }

    async fn a_back_off_ends_with_the_pause_in_it(bed: &Bed) {
        scheduled(bed, seconds(600)).await;
        let task = bed.activity_task().await;
        fail(bed, &task, commands::failure("once", false)).await;
        assert!(pending(bed).await.next_attempt_schedule_time.is_some());
        pause(bed).await;
        assert_eq!(pending(bed).await.next_attempt_schedule_time, None);
        let request = UnpauseActivityRequest { reset_attempts: true, ..unpause_request(bed) };
        rpc!(bed, unpause_activity, request).expect("the end of a pause");
        assert_eq!(bed.activity_task().await.attempt, 1);
    }

    async fn all_activities_of_a_type_are_paused_and_go_on_within_the_jitter(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let activities = ["a", "b"].map(|id| commands::schedule(commands::activity(id, &bed.queue)));
        bed.complete(&task, activities.into()).await;
        let mut pause = pause_request(bed, "pause");
        pause.activity = Some(pause_activity_request::Activity::Type("Act".to_owned()));
        rpc!(bed, pause_activity, pause).expect("a pause");
        let paused = bed.describe("w").await.pending_activities;
        assert_eq!(paused.iter().filter(|activity| activity.paused).count(), 2);
        let unpause = UnpauseActivityRequest {
            activity: Some(unpause_activity_request::Activity::Type("Act".to_owned())),
            jitter: Some(millis(500)),
            ..unpause_request(bed)
        };
        rpc!(bed, unpause_activity, unpause).expect("the end of a pause");
        let mut ids = [bed.activity_task().await.activity_id, bed.activity_task().await.activity_id];
        ids.sort();
        assert_eq!(ids, ["a", "b"]);
    }

    async fn a_pause_is_one_persons(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        pause(bed).await;
        pause(bed).await;
        let other = rpc!(bed, pause_activity, pause_request(bed, "another")).expect_err("paused already");
        assert_eq!(other.code(), Code::FailedPrecondition);
        let mut unknown = pause_request(bed, "another");
        unknown.activity = Some(pause_activity_request::Activity::Type("Nobody".to_owned()));
        assert_eq!(rpc!(bed, pause_activity, unknown.clone()).expect_err("none").code(), Code::NotFound);
        unknown.activity = None;
        assert_eq!(rpc!(bed, pause_activity, unknown).expect_err("none").code(), Code::InvalidArgument);
    }

    async fn a_reset_in_back_off_begins_the_first_attempt_at_once(bed: &Bed) {
        scheduled(bed, seconds(600)).await;
        let task = bed.activity_task().await;
        beat(bed, &task, "half").await;
        fail(bed, &task, commands::failure("once", false)).await;
        assert!(pending(bed).await.last_heartbeat_time.is_some());
        let request = ResetActivityRequest {
            reset_heartbeat: true,
            activity: Some(reset_activity_request::Activity::MatchAll(true)),
            ..reset_request(bed)
        };
        rpc!(bed, reset_activity, request).expect("a reset");
        let again = bed.activity_task().await;
        assert_eq!((again.attempt, again.heartbeat_details), (1, None));
    }

    async fn a_running_first_attempt_learns_of_the_reset(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        let task = bed.activity_task().await;
        beat(bed, &task, "half").await;
        let request = ResetActivityRequest { reset_heartbeat: true, ..reset_request(bed) };
        rpc!(bed, reset_activity, request).expect("a reset");
        assert_eq!(pending(bed).await.heartbeat_details, Some(payloads("half")));
        assert!(beat(bed, &task, "more").await.activity_reset);
        fail(bed, &task, commands::failure("once", false)).await;
        let again = bed.activity_task().await;
        assert_eq!((again.attempt, again.heartbeat_details.clone()), (2, None));
        assert!(!beat(bed, &again, "half").await.activity_reset);
    }

    async fn a_later_attempt_is_gone_for_its_worker_after_a_reset(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        let task = bed.activity_task().await;
        fail(bed, &task, commands::failure("once", false)).await;
        let task = bed.activity_task().await;
        assert_eq!(task.attempt, 2);
        rpc!(bed, reset_activity, reset_request(bed)).expect("a reset");
        let beat = RecordActivityTaskHeartbeatRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token.clone(),
            ..Default::default()
        };
        let gone = rpc!(bed, record_activity_task_heartbeat, beat).expect_err("its number is gone");
        assert_eq!(gone.code(), Code::NotFound);
        assert_eq!(pending(bed).await.attempt, 1);
    }

    async fn a_reset_may_keep_the_pause(bed: &Bed) {
        scheduled(bed, seconds(600)).await;
        let task = bed.activity_task().await;
        fail(bed, &task, commands::failure("once", false)).await;
        pause(bed).await;
        let keep = ResetActivityRequest { keep_paused: true, ..reset_request(bed) };
        rpc!(bed, reset_activity, keep).expect("a reset");
        let paused = pending(bed).await;
        assert_eq!((paused.state(), paused.attempt), (PendingActivityState::Paused, 1));
        rpc!(bed, reset_activity, reset_request(bed)).expect("a reset");
        assert_eq!(bed.activity_task().await.attempt, 1);
        assert!(!pending(bed).await.paused);
    }

    async fn options_change_as_far_as_the_mask_says(bed: &Bed) {
        scheduled(bed, seconds(600)).await;
        let task = bed.activity_task().await;
        fail(bed, &task, commands::failure("once", false)).await;
        let options = ActivityOptions {
            task_queue: Some(TaskQueue { name: "other".to_owned(), ..Default::default() }),
            heartbeat_timeout: Some(seconds(7)),
            schedule_to_close_timeout: Some(seconds(1)),
            retry_policy: Some(RetryPolicy {
                initial_interval: Some(millis(1)),
                maximum_attempts: 7,
                ..Default::default()
            }),
            priority: Some(Priority { priority_key: 2, ..Default::default() }),
            ..Default::default()
        };
        let paths = [
            "task_queue.name",
            "heartbeatTimeout",
            "retry_policy.initial_interval",
            "retry_policy.maximum_attempts",
            "priority.priority_key",
        ];
        let updated = rpc!(bed, update_activity_options, update_request(bed, options, &paths)).expect("an update");
        let updated = updated.activity_options.expect("options");
        assert_eq!(updated.task_queue.map(|queue| queue.name), Some("other".to_owned()));
        assert_eq!(updated.heartbeat_timeout, Some(seconds(7)));
        assert_eq!(updated.start_to_close_timeout, Some(seconds(30)));
        let policy = updated.retry_policy.expect("a policy");
        assert_eq!((policy.maximum_attempts, policy.backoff_coefficient), (7, 1.0));
        let task = bed.activity_task_of("other").await;
        assert_eq!(task.attempt, 2);
        assert_eq!(task.priority.map(|priority| priority.priority_key), Some(2));
        assert_eq!(pending(bed).await.activity_options.and_then(|o| o.heartbeat_timeout), Some(seconds(7)));

        let restore = UpdateActivityOptionsRequest {
            activity_options: None,
            update_mask: None,
            restore_original: true,
            activity: Some(update_activity_options_request::Activity::MatchAll(true)),
            ..update_request(bed, ActivityOptions::default(), &[])
        };
        let restored = rpc!(bed, update_activity_options, restore).expect("an update");
        let restored = restored.activity_options.expect("options");
        assert_eq!(restored.task_queue.map(|queue| queue.name), Some(bed.queue.clone()));
        assert_eq!(restored.retry_policy.map(|policy| policy.maximum_attempts), Some(0));
    }

    async fn a_waiting_task_moves_to_its_new_queue(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        let options = ActivityOptions { task_queue: Some(queue("other")), ..Default::default() };
        let request = update_request(bed, options, &["task_queue.name"]);
        rpc!(bed, update_activity_options, request).expect("an update");
        assert_no_activity_task(bed).await;
        assert_eq!(bed.activity_task_of("other").await.attempt, 1);
    }

    async fn options_that_do_not_go_together_are_refused(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        let refused = async |request: UpdateActivityOptionsRequest| {
            let error = rpc!(bed, update_activity_options, request).expect_err("refused");
            assert_eq!(error.code(), Code::InvalidArgument);
            error.message().to_owned()
        };
        let none = ActivityOptions::default();
        let mut request = update_request(bed, none.clone(), &["start_to_close_timeout"]);
        let message = refused(request.clone()).await;
        assert!(message.contains("valid StartToCloseTimeout or ScheduleToCloseTimeout"), "{message}");
        request.restore_original = true;
        assert_eq!(refused(request.clone()).await, "Both UpdateMask and RestoreOriginal are provided");
        request.restore_original = false;
        request.update_mask = None;
        assert_eq!(refused(request.clone()).await, "UpdateMask is not provided");
        request.activity_options = None;
        assert_eq!(refused(request).await, "ActivityOptions are not provided");
        let negative = ActivityOptions { heartbeat_timeout: Some(seconds(-1)), ..none };
        refused(update_request(bed, negative, &["heartbeat_timeout"])).await;
    }

    async fn the_newer_forms_name_one_activity(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        let pause = PauseActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        rpc!(bed, pause_activity_execution, pause.clone()).expect("a pause");
        assert!(pending(bed).await.paused);
        let nameless = PauseActivityExecutionRequest { activity_id: String::new(), ..pause };
        let error = rpc!(bed, pause_activity_execution, nameless).expect_err("no id");
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "activity ID is required"));
        let update = UpdateActivityExecutionOptionsRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            activity_id: "a".to_owned(),
            activity_options: Some(ActivityOptions { heartbeat_timeout: Some(seconds(7)), ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["heartbeat_timeout".to_owned()] }),
            ..Default::default()
        };
        rpc!(bed, update_activity_execution_options, update).expect("an update");
        let unpause = UnpauseActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        rpc!(bed, unpause_activity_execution, unpause).expect("the end of a pause");
        let task = bed.activity_task().await;
        assert_eq!(pending(bed).await.activity_options.and_then(|o| o.heartbeat_timeout), Some(seconds(7)));
        let reset = ResetActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            activity_id: "a".to_owned(),
            restore_original_options: true,
            ..Default::default()
        };
        rpc!(bed, reset_activity_execution, reset).expect("a reset");
        assert!(beat(bed, &task, "on").await.activity_reset);
        assert_eq!(pending(bed).await.activity_options.and_then(|o| o.heartbeat_timeout), Some(seconds(0)));
    }

    async fn a_closed_workflow_has_no_activities_to_pause(bed: &Bed) {
        scheduled(bed, millis(50)).await;
        bed.signal("w", "stop").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let error = rpc!(bed, pause_activity, pause_request(bed, "late")).expect_err("closed");
        assert_eq!((error.code(), error.message()), (Code::NotFound, "workflow execution already completed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_the_engine() {
    let bed = Bed::embedded().await;
    scheduled(&bed, millis(50)).await;
    pause(&bed).await;
    let before = pending(&bed).await;
    let bed = crate::restart::restarted(bed).await;
    assert_eq!(pending(&bed).await, before);
    assert_no_activity_task(&bed).await;
    unpause(&bed).await;
    assert_eq!(bed.activity_task().await.attempt, 1);
}
