//! Resets: an execution goes on from a point in its history, in a new run.
#![allow(deprecated, reason = "older clients say it so")]

use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    common::v1::{WorkerVersionStamp, WorkflowExecution},
    enums::v1::{
        EventType, PendingActivityState, ResetReapplyExcludeType, ResetReapplyType,
        UpdateAdmittedEventOrigin, UpdateWorkflowExecutionLifecycleStage as Stage, WorkflowExecutionStatus,
        WorkflowTaskFailedCause,
    },
    failure::v1::failure::FailureInfo,
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::{
        PollWorkflowTaskQueueResponse, RequestCancelWorkflowExecutionRequest, ResetWorkflowExecutionRequest,
    },
};

use crate::bed::{Bed, both_engines, commands, execution, millis, name_of, queue, rpc, seconds};
use crate::update_messages as updates;

fn run_of(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}

fn request(bed: &Bed, of: WorkflowExecution, event_id: i64) -> ResetWorkflowExecutionRequest {
    ResetWorkflowExecutionRequest {
        namespace: bed.namespace.clone(),
        workflow_execution: Some(of),
        reason: "once more".to_owned(),
        workflow_task_finish_event_id: event_id,
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

async fn try_reset(bed: &Bed, of: WorkflowExecution, event_id: i64) -> Result<String, Status> {
    rpc!(bed, reset_workflow_execution, request(bed, of, event_id)).map(|reset| reset.run_id)
}

async fn reset(bed: &Bed, of: WorkflowExecution, event_id: i64) -> String {
    try_reset(bed, of, event_id).await.expect("a reset")
}

/// The names of the events, and of signals the signal's name.
fn names(history: &[HistoryEvent]) -> Vec<&str> {
    history
        .iter()
        .map(|event| match &event.attributes {
            Some(Attributes::WorkflowExecutionSignaledEventAttributes(signaled)) => &signaled.signal_name,
            _ => name_of(event.event_type()),
        })
        .collect()
}

/// The next workflow task of this run: others of the queue are left to their time-outs.
async fn task_of(bed: &Bed, run_id: &str) -> PollWorkflowTaskQueueResponse {
    loop {
        let task = bed.task().await;
        if task
            .workflow_execution
            .as_ref()
            .is_some_and(|e| e.run_id == run_id)
        {
            return task;
        }
    }
}

both_engines! {
    async fn options_are_changed_with_the_reset(bed: &Bed) {
        use prost_types::FieldMask;
        use temporalio_common::protos::temporal::api::{
            common::v1::Priority,
            workflow::v1::{
                PostResetOperation, WorkflowExecutionOptions,
                post_reset_operation::{SignalWorkflow, UpdateWorkflowOptions, Variant},
            },
        };
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        bed.signal("w", "later").await;
        let update = |path: &str, priority_key: i32| PostResetOperation {
            variant: Some(Variant::UpdateWorkflowOptions(UpdateWorkflowOptions {
                workflow_execution_options: Some(WorkflowExecutionOptions {
                    priority: Some(Priority { priority_key, ..Default::default() }),
                    ..Default::default()
                }),
                update_mask: Some(FieldMask { paths: vec![path.to_owned()] }),
            })),
        };
        let with = |operations: Vec<PostResetOperation>| ResetWorkflowExecutionRequest {
            post_reset_operations: operations,
            ..request(bed, execution("w"), 4)
        };
        let before = bed.history("w").await;
        let signal = PostResetOperation {
            variant: Some(Variant::SignalWorkflow(SignalWorkflow { signal_name: "s".to_owned(), ..Default::default() })),
        };
        for (operation, message) in [
            (signal, "unsupported post reset operation: *workflow.PostResetOperation_SignalWorkflow_"),
            (PostResetOperation::default(), "unsupported post reset operation: <nil>"),
        ] {
            let refused = rpc!(bed, reset_workflow_execution, with(vec![operation])).expect_err("refused");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
        }
        let refused = rpc!(bed, reset_workflow_execution, with(vec![update("foo", 1)])).expect_err("no such option");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(bed.history("w").await, before, "nothing was reset");
        rpc!(bed, reset_workflow_execution, with(vec![update("priority", 2), update("priority", 3)])).expect("a reset");
        let events = bed.history("w").await;
        assert_eq!(names(&events)[3..], [
            "WorkflowTaskFailed", "later", "WorkflowExecutionOptionsUpdated", "WorkflowExecutionOptionsUpdated", "WorkflowTaskScheduled",
        ]);
        let info = bed.describe("w").await.workflow_execution_info.expect("info");
        assert_eq!(info.priority.expect("a priority").priority_key, 3);
    }

    async fn a_running_workflow_is_reset_to_its_first_task(bed: &Bed) {
        let first = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_timer("t", seconds(100))]).await;
        bed.signal("w", "one").await;
        let task = bed.task().await;
        bed.signal("w", "two").await;
        bed.complete(&task, vec![]).await;
        let before = bed.history("w").await;

        let second = reset(bed, execution("w"), 4).await;
        assert_ne!(first, second);
        let history = bed.history("w").await;
        assert_eq!(
            names(&history),
            [
                "WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed",
                "one", "two", "WorkflowTaskScheduled"
            ]
        );
        assert_eq!(history[..3], before[..3], "the events up to there are the same");
        let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = &history[3].attributes else {
            panic!("a failed task: {:?}", history[3])
        };
        assert_eq!(failed.cause(), WorkflowTaskFailedCause::ResetWorkflow);
        assert_eq!((&failed.base_run_id, &failed.new_run_id), (&first, &second));
        assert_eq!((failed.scheduled_event_id, failed.started_event_id), (2, 3));
        assert_eq!(failed.identity, "history-service");
        let failure = failed.failure.as_ref().expect("a failure");
        assert_eq!(failure.message, "once more");
        assert!(matches!(failure.failure_info, Some(FailureInfo::ResetWorkflowFailureInfo(_))));

        let old = bed.history_of(run_of("w", &first)).await;
        let Some(Attributes::WorkflowExecutionTerminatedEventAttributes(end)) =
            &old.last().expect("an event").attributes
        else {
            panic!("terminated: {old:?}")
        };
        assert_eq!((end.reason.as_str(), end.identity.as_str()), ("once more", "history-resetter"));

        let task = task_of(bed, &second).await;
        assert_eq!(task.attempt, 1);
        assert_eq!(task.previous_started_event_id, 0);
        bed.complete(&task, vec![commands::complete("done")]).await;
        let end = bed.close_event("w").await;
        assert_eq!(end.event_type(), EventType::WorkflowExecutionCompleted);
    }

    async fn what_a_reset_did_is_described(bed: &Bed) {
        let first = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let second = reset(bed, execution("w"), 4).await;

        let described = bed.describe("w").await;
        let info = described.workflow_execution_info.expect("its info");
        assert_eq!(info.execution.expect("its ids").run_id, second);
        assert_eq!(info.status, WorkflowExecutionStatus::Running as i32);
        assert_eq!(info.first_run_id, first);
        assert_eq!(info.root_execution.expect("its root").run_id, second);
        let extended = described.workflow_extended_info.expect("more info");
        assert_eq!(extended.last_reset_time, info.start_time);
        assert_ne!(extended.original_start_time, info.start_time);

        let request = temporalio_common::protos::temporal::api::workflowservice::v1::DescribeWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            execution: Some(run_of("w", &first)),
        };
        let old = rpc!(bed, describe_workflow_execution, request).expect("a description");
        assert_eq!(old.workflow_extended_info.expect("more info").reset_run_id, second);
        let info = old.workflow_execution_info.expect("its info");
        assert_eq!(info.status, WorkflowExecutionStatus::Terminated as i32);
        assert_eq!(info.start_time, extended.original_start_time);
    }

    async fn only_the_end_or_start_of_a_workflow_task_is_a_point(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_timer("t", seconds(100))]).await;
        bed.signal("w", "s").await;
        // Started, task scheduled, started, completed, timer started, signaled, task scheduled.
        for event_id in [0, 1, 2, 5, 6, 7, 8, 100] {
            let refused = try_reset(bed, execution("w"), event_id).await.expect_err("not a point");
            assert_eq!(refused.code(), Code::InvalidArgument, "{event_id}: {refused:?}");
        }
        let refused = try_reset(bed, execution("w"), 100).await.expect_err("not there");
        assert_eq!(refused.message(), "Workflow task finish ID must be > 1 && <= workflow last event ID.");
        let refused = try_reset(bed, execution("w"), 6).await.expect_err("not a point");
        assert_eq!(
            refused.message(),
            "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: 6"
        );
        assert_eq!(bed.describe("w").await.workflow_execution_info.expect("info").history_length, 7, "nothing changed");
        let unknown = try_reset(bed, execution("nobody"), 4).await.expect_err("unknown");
        assert_eq!(unknown.code(), Code::NotFound);
        let mut nameless = request(bed, execution("w"), 4);
        nameless.request_id = String::new();
        let refused = rpc!(bed, reset_workflow_execution, nameless).expect_err("no request id");
        assert_eq!(refused.message(), "RequestId is not set on request.");
    }

    async fn a_task_that_was_not_started_fails_as_well(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        reset(bed, execution("w"), 3).await;
        let history = bed.history("w").await;
        assert_eq!(
            names(&history),
            [
                "WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed",
                "WorkflowTaskScheduled"
            ]
        );
        let Some(Attributes::WorkflowTaskStartedEventAttributes(started)) = &history[2].attributes else {
            panic!("a start: {:?}", history[2])
        };
        assert_eq!((started.scheduled_event_id, started.identity.as_str()), (2, "history-service"));
    }

    async fn what_was_pending_at_the_point_is_pending_again(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let activity = commands::schedule(commands::activity("a", &bed.queue));
        bed.complete(&task, vec![commands::start_timer("t", millis(1_500)), activity]).await;
        let held = bed.activity_task().await;
        bed.signal("w", "wake").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        // Started, task (2-4), timer, activity, signaled, task (8-10).
        let second = reset(bed, execution("w"), 10).await;
        let described = bed.describe("w").await;
        let pending = described.pending_activities.first().expect("a pending activity");
        assert_eq!((pending.activity_id.as_str(), pending.state()), ("a", PendingActivityState::Scheduled));
        assert_eq!(pending.attempt, 1);

        let late = temporalio_common::protos::temporal::api::workflowservice::v1::RespondActivityTaskCompletedRequest {
            namespace: bed.namespace.clone(),
            task_token: held.task_token,
            ..Default::default()
        };
        let late = rpc!(bed, respond_activity_task_completed, late).expect_err("that run has ended");
        assert_eq!(late.code(), Code::NotFound);
        let again = bed.activity_task().await;
        assert_eq!(again.workflow_execution.as_ref().expect("its run").run_id, second);
        let done = temporalio_common::protos::temporal::api::workflowservice::v1::RespondActivityTaskCompletedRequest {
            namespace: bed.namespace.clone(),
            task_token: again.task_token,
            ..Default::default()
        };
        rpc!(bed, respond_activity_task_completed, done).expect("a result");
        bed.eventually("the timer fires in the new run", || async {
            let types = bed.event_types("w").await;
            (types.contains(&"TimerFired") && types.contains(&"ActivityTaskCompleted")).then_some(())
        })
        .await;
    }

    async fn a_child_reports_to_the_new_run(bed: &Bed) {
        let first = bed.start("p").await;
        let task = bed.task().await;
        let mut child = commands::child("c");
        child.task_queue = Some(queue("children"));
        bed.complete(&task, vec![commands::start_child(child)]).await;
        // Told that the child has started: the second task.
        let task = bed.task().await;
        let started_event_id = task.started_event_id;
        bed.complete(&task, vec![]).await;
        let second = reset(bed, execution("p"), started_event_id + 1).await;
        assert_ne!(first, second);
        let described = bed.describe("p").await;
        assert_eq!(described.pending_children.len(), 1, "{described:?}");
        assert_eq!(described.pending_children[0].workflow_id, "c");

        let task = bed.poll(queue("children")).await;
        bed.complete(&task, vec![commands::complete("the child's")]).await;
        bed.eventually("the new run hears of it", || async {
            bed.event_types("p").await.contains(&"ChildWorkflowExecutionCompleted").then_some(())
        })
        .await;
        let task = task_of(bed, &second).await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(bed.close_event("p").await.event_type(), EventType::WorkflowExecutionCompleted);
    }

    async fn a_reset_child_is_still_its_parents(bed: &Bed) {
        bed.start("p").await;
        let task = bed.task().await;
        let mut child = commands::child("c");
        child.task_queue = Some(queue("children"));
        bed.complete(&task, vec![commands::start_child(child)]).await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let task = bed.poll(queue("children")).await;
        bed.complete(&task, vec![commands::marker("m")]).await;
        let second = reset(bed, execution("c"), 4).await;
        let parent = bed.describe("c").await.workflow_execution_info.expect("info").parent_execution;
        assert_eq!(parent.expect("its parent").workflow_id, "p");
        let types = bed.event_types("p").await;
        assert!(!types.contains(&"ChildWorkflowExecutionTerminated"), "{types:?}");
        let task = loop {
            let task = bed.poll(queue("children")).await;
            if task.workflow_execution.as_ref().is_some_and(|of| of.run_id == second) {
                break task;
            }
        };
        bed.complete(&task, vec![commands::complete("again")]).await;
        bed.eventually("the parent hears of the new run's end", || async {
            bed.event_types("p").await.contains(&"ChildWorkflowExecutionCompleted").then_some(())
        })
        .await;
    }

    async fn a_closed_workflow_goes_on(bed: &Bed) {
        let first = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::marker("m"), commands::complete("done")]).await;
        let second = reset(bed, run_of("w", &first), 4).await;
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed",
                "WorkflowTaskScheduled"
            ]
        );
        let old = bed.history_of(run_of("w", &first)).await;
        assert_eq!(old.last().expect("an event").event_type(), EventType::WorkflowExecutionCompleted);
        let task = task_of(bed, &second).await;
        bed.complete(&task, vec![commands::complete("again")]).await;
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionCompleted);
    }

    async fn signals_are_applied_again_unless_excluded(bed: &Bed) {
        let first = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        bed.signal("w", "s").await;
        let cancel = RequestCancelWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            ..Default::default()
        };
        rpc!(bed, request_cancel_workflow_execution, cancel).expect("a cancel request");

        let mut without = request(bed, run_of("w", &first), 4);
        without.reset_reapply_exclude_types = vec![ResetReapplyExcludeType::Signal as i32];
        rpc!(bed, reset_workflow_execution, without).expect("a reset");
        assert!(!names(&bed.history("w").await).contains(&"s"));

        let none = ResetWorkflowExecutionRequest {
            reset_reapply_type: ResetReapplyType::None as i32,
            ..request(bed, run_of("w", &first), 4)
        };
        rpc!(bed, reset_workflow_execution, none).expect("a reset");
        assert!(!names(&bed.history("w").await).contains(&"s"));

        let signals = ResetWorkflowExecutionRequest {
            reset_reapply_type: ResetReapplyType::Signal as i32,
            ..request(bed, run_of("w", &first), 4)
        };
        rpc!(bed, reset_workflow_execution, signals).expect("a reset");
        let history = bed.history("w").await;
        // Cancel requests are not applied again.
        assert_eq!(names(&history)[4..], ["s", "WorkflowTaskScheduled"]);
        let Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) = &history[4].attributes else {
            panic!("a signal: {:?}", history[4])
        };
        assert_eq!(signal.input, Some(crate::bed::payloads("s")));
        assert_eq!(signal.identity, "client");
    }

    async fn an_accepted_update_is_asked_again(bed: &Bed) {
        let first = updates::idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = updates::message_of(&task);
            let answers = vec![updates::acceptance(&message), updates::response(&message, "changed")];
            updates::complete(bed, updates::completion(bed, &task, vec![], answers)).await;
        };
        let (updated, ()) = tokio::join!(updates::update(bed, "w", "u", Stage::Completed), works);
        assert_eq!(updated.expect("an update").stage(), Stage::Completed);

        let second = reset(bed, execution("w"), 4).await;
        let history = bed.history("w").await;
        assert_eq!(names(&history)[3..], ["WorkflowTaskFailed", "WorkflowExecutionUpdateAdmitted", "WorkflowTaskScheduled"]);
        let Some(Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(admitted)) = &history[4].attributes else {
            panic!("an admitted update: {:?}", history[4])
        };
        assert_eq!(admitted.origin(), UpdateAdmittedEventOrigin::Reapply);
        let asked = admitted.request.as_ref().and_then(|request| request.meta.as_ref()).expect("its request");
        assert_eq!(asked.update_id, "u");
        let task = task_of(bed, &second).await;
        assert!(task.messages.is_empty(), "the worker reads it in the history: {:?}", task.messages);
        bed.complete(&task, vec![]).await;

        let mut without = request(bed, run_of("w", &first), 4);
        without.reset_reapply_exclude_types = vec![ResetReapplyExcludeType::Update as i32];
        rpc!(bed, reset_workflow_execution, without).expect("a reset");
        assert!(!names(&bed.history("w").await).contains(&"WorkflowExecutionUpdateAdmitted"));
    }

    async fn a_reset_reaches_back_across_runs(bed: &Bed) {
        let first = bed.start("w").await;
        bed.signal("w", "first").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        bed.signal("w", "late").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::continue_as_new("2")]).await;
        bed.eventually("the next run takes a signal", || async {
            let second = bed.describe("w").await.workflow_execution_info?.execution?.run_id != first;
            if second { bed.try_signal("w", "second").await.ok() } else { None }
        })
        .await;
        // The first run: started, task scheduled, signaled, task started, completed, …
        let third = reset(bed, run_of("w", &first), 5).await;
        let described = bed.describe("w").await.workflow_execution_info.expect("its info");
        assert_eq!(described.execution.expect("its ids").run_id, third);
        assert_eq!(described.first_run_id, first);
        assert_eq!(
            names(&bed.history("w").await),
            [
                "WorkflowExecutionStarted", "WorkflowTaskScheduled", "first", "WorkflowTaskStarted",
                "WorkflowTaskFailed", "late", "second", "WorkflowTaskScheduled"
            ]
        );
    }

    async fn a_reset_takes_the_task_from_its_worker(bed: &Bed) {
        let first = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        bed.signal("w", "one").await;
        let held = bed.task().await;
        bed.signal("w", "buffered").await;
        reset(bed, run_of("w", &first), 4).await;
        assert_eq!(names(&bed.history("w").await)[4..], ["one", "buffered", "WorkflowTaskScheduled"]);
        let late = bed.try_complete(&held, vec![commands::complete("late")]).await.expect_err("it is closed");
        assert_eq!(late.code(), Code::NotFound);
        let old = bed.history_of(run_of("w", &first)).await;
        assert_eq!(names(&old).last(), Some(&"WorkflowExecutionTerminated"));
    }

    async fn the_first_task_of_each_build_is_a_reset_point(bed: &Bed) {
        let run_id = bed.start("w").await;
        for build_id in ["", "one", "one", "two"] {
            bed.signal("w", "wake").await;
            let task = bed.task().await;
            let mut completion = bed.completion(&task, vec![]);
            if !build_id.is_empty() {
                completion.worker_version_stamp =
                    Some(WorkerVersionStamp { build_id: build_id.to_owned(), use_versioning: false });
            }
            rpc!(bed, respond_workflow_task_completed, completion).expect("a completion");
        }
        let described = bed.describe("w").await.workflow_execution_info.expect("its info");
        let points = described.auto_reset_points.expect("points").points;
        let told: Vec<_> =
            points.iter().map(|point| (point.build_id.as_str(), point.first_workflow_task_completed_id)).collect();
        assert_eq!(told, [("", 5), ("one", 9), ("two", 17)]);
        assert!(points.iter().all(|point| point.run_id == run_id && point.resettable && point.create_time.is_some()));
    }
}

/// Only ours: the real server resets once more.
#[tokio::test]
async fn a_repeated_reset_is_one() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let task = bed.task().await;
    bed.complete(&task, vec![]).await;
    let request = request(&bed, execution("w"), 4);
    let one = rpc!(bed, reset_workflow_execution, request.clone()).expect("a reset");
    let same = rpc!(bed, reset_workflow_execution, request).expect("the same reset");
    assert_eq!(one.run_id, same.run_id);
}
