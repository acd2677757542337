//! What commands say for people, and commands that are refused with their workflow task.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, ModifyWorkflowPropertiesCommandAttributes, command::Attributes},
    common::v1::{Memo, Payload, Priority, RetryPolicy},
    enums::v1::{CommandType, EventType, WorkflowTaskFailedCause},
    history::v1::HistoryEvent,
    sdk::v1::{EventGroupMarker, UserMetadata, event_group_marker},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::*,
};

use crate::bed::{
    Bed, attributes, both_engines, commands, execution, millis, payloads, rpc, run_of, seconds,
};

/// A summary with these words.
fn summary(words: &str) -> Option<UserMetadata> {
    Some(UserMetadata {
        summary: Some(payload(words)),
        details: None,
    })
}

fn payload(text: &str) -> Payload {
    payloads(text).payloads.remove(0)
}

fn with(words: &str, command: Command) -> Command {
    Command {
        user_metadata: summary(words),
        ..command
    }
}

/// A group with this name.
fn group(name: &str) -> EventGroupMarker {
    EventGroupMarker {
        variant: Some(event_group_marker::Variant::Label(event_group_marker::Label {
            id: name.to_owned(),
            label: Some(payload(name)),
        })),
    }
}

fn in_group(name: &str, command: Command) -> Command {
    Command {
        event_group_markers: vec![group(name)],
        ..command
    }
}

/// The types of the events with a summary.
fn told(events: &[HistoryEvent]) -> Vec<&'static str> {
    let told = events.iter().filter(|event| event.user_metadata.is_some());
    told.map(|event| crate::bed::name_of(event.event_type()))
        .collect()
}

fn activity(
    id: &str,
) -> temporalio_common::protos::temporal::api::command::v1::ScheduleActivityTaskCommandAttributes {
    commands::activity(id, "tasks")
}

both_engines! {
    async fn every_command_leaves_its_summary_in_its_event(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let memo = Command {
            command_type: CommandType::ModifyWorkflowProperties as i32,
            attributes: Some(Attributes::ModifyWorkflowPropertiesCommandAttributes(
                ModifyWorkflowPropertiesCommandAttributes {
                    upserted_memo: Some(Memo { fields: [("m".to_owned(), payload("x"))].into() }),
                },
            )),
            ..Default::default()
        };
        bed.complete(&task, vec![
            with("a", commands::schedule(activity("a"))),
            with("t", commands::start_timer("t", seconds(100))),
            with("m", commands::marker("m")),
            with("p", memo),
            with("ct", commands::cancel_timer("t")),
            with("ca", commands::cancel_activity(5)),
        ]).await;
        let task = bed.task().await;
        bed.complete(&task, vec![with("end", commands::cancel_workflow())]).await;
        assert_eq!(told(&bed.history("w").await), [
            "ActivityTaskScheduled",
            "TimerStarted",
            "MarkerRecorded",
            "WorkflowPropertiesModified",
            "TimerCanceled",
            "ActivityTaskCancelRequested",
            "WorkflowExecutionCanceled",
        ]);
        // No worker had the activity, so it is the one that asked.
        let canceled = attributes!(bed.history("w").await, ActivityTaskCanceledEventAttributes);
        let completed = attributes!(bed.history("w").await, WorkflowTaskCompletedEventAttributes);
        assert_eq!(canceled.identity, completed.identity);
    }

    async fn every_command_leaves_its_groups_in_its_event(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![
            in_group("a", commands::schedule(activity("a"))),
            in_group("t", commands::start_timer("t", seconds(100))),
            commands::marker("in none"),
            in_group("m", commands::marker("m")),
            in_group("ct", commands::cancel_timer("t")),
            in_group("on", commands::continue_as_new("again")),
        ]).await;
        let grouped: Vec<_> = bed.history_of(run_of(&task)).await.into_iter().filter_map(|event| {
            let name = crate::bed::name_of(event.event_type());
            let [marker] = <[EventGroupMarker; 1]>::try_from(event.event_group_markers).ok()?;
            Some((name, marker))
        }).collect();
        assert_eq!(grouped, [
            ("ActivityTaskScheduled", group("a")),
            ("TimerStarted", group("t")),
            ("MarkerRecorded", group("m")),
            ("TimerCanceled", group("ct")),
            ("WorkflowExecutionContinuedAsNew", group("on")),
        ]);
        // A group is of one run.
        let task = bed.task().await;
        let events = bed.history_of(run_of(&task)).await;
        assert!(events.iter().all(|event| event.event_group_markers.is_empty()));
    }

    async fn a_summary_is_of_one_run(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.user_metadata = summary("the first");
        request.retry_policy = Some(RetryPolicy { initial_interval: Some(millis(10)), ..Default::default() });
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        let described = bed.describe("w").await.execution_config.expect("a configuration");
        assert_eq!(described.user_metadata, summary("the first"));
        bed.complete(&task, vec![with("why", commands::fail("once"))]).await;
        assert_eq!(told(&bed.history_of(run_of(&task)).await), ["WorkflowExecutionStarted", "WorkflowExecutionFailed"]);
        let task = bed.task().await;
        assert_eq!(told(&bed.history_of(run_of(&task)).await), Vec::<&str>::new());
        bed.complete(&task, vec![with("on", commands::continue_as_new("again"))]).await;
        assert_eq!(told(&bed.history_of(run_of(&task)).await), ["WorkflowExecutionContinuedAsNew"]);
        let task = bed.task().await;
        assert_eq!(told(&bed.history_of(run_of(&task)).await), Vec::<&str>::new());
        assert_eq!(bed.describe("w").await.execution_config.expect("a configuration").user_metadata, None);
        bed.complete(&task, vec![with("done", commands::complete("well"))]).await;
        assert_eq!(told(&bed.history_of(run_of(&task)).await), ["WorkflowExecutionCompleted"]);
    }

    async fn an_activity_has_a_name_a_type_and_a_queue(bed: &Bed) {
        let long = "x".repeat(1_001);
        let mut nameless = activity("");
        nameless.activity_type = None;
        let mut typeless = activity("a");
        typeless.activity_type = None;
        let mut homeless = activity("a");
        homeless.task_queue = Some(TaskQueue::default());
        let mut endless = activity(&long);
        endless.request_eager_execution = false;
        let mut backwards = activity("a");
        backwards.start_to_close_timeout = Some(seconds(-1));
        let mut again = activity("a");
        again.retry_policy = Some(RetryPolicy { maximum_attempts: -1, ..Default::default() });
        let mut urgent = activity("a");
        urgent.priority = Some(Priority { priority_key: -1, ..Default::default() });
        for (index, (attributes, words)) in [
            (nameless, "activityId is not set"),
            (typeless, "activityType is not set"),
            (homeless, "missing task queue name"),
            (endless, "activityId exceeds length limit. Length=1001 Limit=1000"),
            (backwards, "invalid StartToCloseTimeout: negative duration"),
            (again, "MaximumAttempts cannot be negative on retry policy."),
            (urgent, "invalid priorities: priority key can't be negative"),
        ].into_iter().enumerate() {
            let id = format!("w{index}");
            bed.start(&id).await;
            let task = bed.task().await;
            let refused = bed.try_complete(&task, vec![commands::schedule(attributes)]).await.expect_err(words);
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert_eq!(refused.message(), format!("BadScheduleActivityAttributes: {words}"));
            let failed = attributes!(bed.history(&id).await, WorkflowTaskFailedEventAttributes);
            assert_eq!(failed.cause(), WorkflowTaskFailedCause::BadScheduleActivityAttributes);
            let terminate = TerminateWorkflowExecutionRequest {
                namespace: bed.namespace.clone(),
                workflow_execution: Some(execution(&id)),
                ..Default::default()
            };
            rpc!(bed, terminate_workflow_execution, terminate).expect("a termination");
        }
    }

    async fn an_activity_that_has_ended_cannot_be_cancelled(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(activity("a")), commands::schedule(activity("b"))]).await;
        let (first, second) = (bed.activity_task_of("tasks").await, bed.activity_task_of("tasks").await);
        let completed = |task: &PollActivityTaskQueueResponse| RespondActivityTaskCompletedRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token.clone(),
            ..Default::default()
        };
        rpc!(bed, respond_activity_task_completed, completed(&first)).expect("an end");
        let task = bed.task().await;
        // The worker cannot know of the second one's end, so it may ask for its cancellation.
        rpc!(bed, respond_activity_task_completed, completed(&second)).expect("an end");
        let scheduled = if second.activity_id == "b" { 6 } else { 5 };
        bed.complete(&task, vec![commands::cancel_activity(scheduled)]).await;
        let task = bed.task().await;
        let refused = bed.try_complete(&task, vec![commands::cancel_activity(5)]).await.expect_err("it has ended");
        assert!(refused.message().starts_with("BadRequestCancelActivityAttributes: "), "{}", refused.message());
        let failed = attributes!(bed.history("w").await, WorkflowTaskFailedEventAttributes);
        assert_eq!(failed.cause(), WorkflowTaskFailedCause::BadRequestCancelActivityAttributes);
    }

    async fn a_description_counts_the_start_of_a_task(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.priority = Some(Priority { priority_key: 2, ..Default::default() });
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let length = async || bed.describe("w").await.workflow_execution_info.expect("info").history_length;
        assert_eq!(length().await, 2);
        let task = bed.task().await;
        assert_eq!(length().await, 3);
        let mut urgent = activity("b");
        urgent.priority = Some(Priority { priority_key: 4, ..Default::default() });
        bed.complete(&task, vec![commands::schedule(activity("a")), commands::schedule(urgent)]).await;
        assert_eq!(length().await, 6);
        let pending = bed.describe("w").await.pending_activities;
        let own = |id: &str| {
            let found = pending.iter().find(|one| one.activity_id == id).expect("an activity");
            found.priority.clone().map_or(0, |priority| priority.priority_key)
        };
        // What is inherited is the run's, and shown there.
        assert_eq!((own("a"), own("b")), (0, 4));
        let tasks = [bed.activity_task_of("tasks").await, bed.activity_task_of("tasks").await];
        let mut keys: Vec<_> = tasks.into_iter().map(|task| task.priority.expect("a priority").priority_key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [2, 4]);
    }

    async fn cancellation_does_not_wait_for_a_start(bed: &Bed) {
        let cancel = async |id: &str| {
            let request = RequestCancelWorkflowExecutionRequest {
                namespace: bed.namespace.clone(),
                workflow_execution: Some(execution(id)),
                ..Default::default()
            };
            rpc!(bed, request_cancel_workflow_execution, request).expect("a request");
        };
        let mut delayed = bed.start_request("delayed");
        delayed.workflow_start_delay = Some(seconds(1_000));
        rpc!(bed, start_workflow_execution, delayed).expect("a start");
        let mut cron = bed.start_request("cron");
        cron.cron_schedule = "0 0 1 1 *".to_owned();
        rpc!(bed, start_workflow_execution, cron).expect("a start");
        let mut retried = bed.start_request("retried");
        retried.retry_policy = Some(RetryPolicy { initial_interval: Some(seconds(1_000)), ..Default::default() });
        rpc!(bed, start_workflow_execution, retried).expect("a start");
        let task = bed.task().await;
        bed.complete(&task, vec![commands::fail("once")]).await;
        for id in ["delayed", "cron", "retried"] {
            bed.signal(id, "it waits").await;
            assert_eq!(bed.event_types(id).await, ["WorkflowExecutionStarted", "WorkflowExecutionSignaled"]);
            cancel(id).await;
            let task = bed.task().await;
            assert_eq!(run_of(&task).workflow_id, id);
            bed.complete(&task, vec![commands::cancel_workflow()]).await;
            assert_eq!(bed.close_event(id).await.event_type(), EventType::WorkflowExecutionCanceled);
        }
    }
}
