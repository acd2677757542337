//! What a workflow task carries, and the less usual ways in which it ends.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    command::v1::Command,
    enums::v1::{
        CommandType, EventType, UpdateWorkflowExecutionLifecycleStage as Stage, WorkflowTaskFailedCause,
    },
    failure::v1::{Failure, failure::FailureInfo},
    history::v1::{HistoryEvent, history_event::Attributes},
    taskqueue::v1::StickyExecutionAttributes,
    workflowservice::v1::{ResetStickyTaskQueueRequest, RespondWorkflowTaskFailedRequest},
};

use crate::{
    bed::{Bed, both_engines, commands, execution, millis, rpc, seconds, sticky_queue},
    update_messages::*,
};

/// The cause and the failure of the last failed workflow task.
async fn last_failure(bed: &Bed) -> (WorkflowTaskFailedCause, Failure) {
    let history = bed.history("w").await;
    let failed = history.iter().rev().find_map(|event| match &event.attributes {
        Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) => Some(failed.clone()),
        _ => None,
    });
    let failed = failed.expect("a failed task");
    (failed.cause(), failed.failure.unwrap_or_default())
}

fn without_attributes(command_type: CommandType) -> Command {
    Command {
        command_type: command_type as i32,
        ..Default::default()
    }
}

fn scheduled_attempt(event: &HistoryEvent) -> (i32, i64) {
    match &event.attributes {
        Some(Attributes::WorkflowTaskScheduledEventAttributes(scheduled)) => (
            scheduled.attempt,
            scheduled
                .start_to_close_timeout
                .map_or(0, |timeout| timeout.seconds),
        ),
        other => panic!("not scheduled: {other:?}"),
    }
}

both_engines! {
    async fn completions_come_whole(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let whole = bed.completion(&task, vec![commands::complete("done")]);
        let mut page = whole.clone();
        page.intermediate_page = true;
        let mut last = whole.clone();
        last.page_number = 1;
        for request in [page, last] {
            let refused = rpc!(bed, respond_workflow_task_completed, request).expect_err("a page");
            assert_eq!(refused.code(), Code::FailedPrecondition);
            let message = format!("workflow task completion pagination is disabled for this namespace {}", bed.namespace);
            assert_eq!(refused.message(), message);
        }
        rpc!(bed, respond_workflow_task_completed, whole).expect("a completion");
    }

    async fn a_transient_task_is_in_the_history_for_workers_alone(bed: &Bed) {
        bed.start("w").await;
        bed.fail_task(bed.task().await).await;
        let task = bed.task().await;
        assert_eq!((task.attempt, task.started_event_id), (2, 6));
        let events = task.history.clone().expect("a history").events;
        let ids: Vec<_> = events.iter().map(|event| event.event_id).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
        assert_eq!(scheduled_attempt(&events[4]).0, 2);
        assert_eq!(bed.event_types("w").await.len(), 6);
        bed.complete(&task, vec![]).await;
        let history = bed.history("w").await;
        assert_eq!(history.len(), 7);
        assert_eq!(scheduled_attempt(&history[4]).0, 2, "the attempt that succeeded");
    }

    async fn later_attempts_get_more_time(bed: &Bed) {
        bed.start("w").await;
        let mut times = Vec::new();
        for _ in 0..6 {
            let task = bed.task().await;
            let events = task.history.clone().expect("a history").events;
            let scheduled = events.iter().rev().find(|event| event.event_type() == EventType::WorkflowTaskScheduled);
            times.push(scheduled_attempt(scheduled.expect("its own")).1);
            bed.fail_task(task).await;
        }
        assert_eq!(times[..3], [10, 10, 10]);
        assert!(times[3] > 10 && times[4] > times[3] && times[5] > times[4], "{times:?}");
    }

    async fn no_closing_command_passes_over_unseen_events(bed: &Bed) {
        for (number, close) in [
            commands::complete("done"),
            commands::fail("failed"),
            commands::cancel_workflow(),
            commands::continue_as_new("next"),
        ]
        .into_iter()
        .enumerate()
        {
            let id = number.to_string();
            bed.start(&id).await;
            let task = bed.task().await;
            bed.signal(&id, "unseen").await;
            let refused = bed.try_complete(&task, vec![close.clone()]).await.expect_err("refused");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "UnhandledCommand"));
            let task = bed.task().await;
            assert_eq!(task.attempt, 1);
            bed.complete(&task, vec![close]).await;
            if number == 3 {
                // The next run's first task.
                bed.complete(&bed.task().await, vec![commands::complete("done")]).await;
            }
            bed.close_event(&id).await;
        }
    }

    async fn the_failure_of_a_refused_task_says_why(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let refused = bed.try_complete(&task, vec![commands::cancel_timer("none")]).await.expect_err("refused");
        let (cause, failure) = last_failure(bed).await;
        assert_eq!(cause, WorkflowTaskFailedCause::BadCancelTimerAttributes);
        assert_eq!(failure.message, refused.message());
        let Some(FailureInfo::ServerFailureInfo(info)) = failure.failure_info else {
            panic!("{failure:?}");
        };
        assert!(!info.non_retryable);
    }

    async fn a_bad_command_of_a_later_attempt_waits_for_the_time_out(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.workflow_task_timeout = Some(seconds(2));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let mut began = tokio::time::Instant::now();
        for attempt in 1..=3 {
            let task = bed.task().await;
            assert_eq!(task.attempt, attempt);
            let waited = began.elapsed().as_secs_f64();
            assert_eq!(attempt == 3, waited > 1.0, "{attempt} {waited}");
            began = tokio::time::Instant::now();
            let refused = bed.try_complete(&task, vec![commands::cancel_timer("none")]).await.expect_err("refused");
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().starts_with("BadCancelTimerAttributes"), "{}", refused.message());
        }
        bed.complete(&bed.task().await, vec![commands::complete("mended")]).await;
        let failed = bed.event_types("w").await.into_iter().filter(|name| *name == "WorkflowTaskFailed").count();
        assert_eq!(failed, 1);
    }

    async fn nothing_follows_a_closing_command(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let refused = bed
            .try_complete(&task, vec![commands::complete("done"), commands::marker("after")])
            .await
            .expect_err("refused");
        assert_eq!(
            (refused.code(), refused.message()),
            (
                Code::InvalidArgument,
                "invalid command sequence: [CompleteWorkflowExecution, RecordMarker], command CompleteWorkflowExecution must be the last command."
            )
        );
        assert_eq!(bed.event_types("w").await.len(), 3, "the task goes on");
        bed.complete(&task, vec![commands::marker("before"), commands::complete("done")]).await;
    }

    async fn commands_need_their_attributes(bed: &Bed) {
        for (command_type, cause, name) in [
            (CommandType::ScheduleActivityTask, "BadScheduleActivityAttributes", "ScheduleActivityTask"),
            (CommandType::RequestCancelActivityTask, "BadRequestCancelActivityAttributes", "RequestCancelActivityTask"),
            (CommandType::StartTimer, "BadStartTimerAttributes", "StartTimer"),
            (CommandType::CancelTimer, "BadCancelTimerAttributes", "CancelTimer"),
            (CommandType::RecordMarker, "BadRecordMarkerAttributes", "RecordMarker"),
            (
                CommandType::CompleteWorkflowExecution,
                "BadCompleteWorkflowExecutionAttributes",
                "CompleteWorkflowExecution",
            ),
            (CommandType::FailWorkflowExecution, "BadFailWorkflowExecutionAttributes", "FailWorkflowExecution"),
            (CommandType::CancelWorkflowExecution, "BadCancelWorkflowExecutionAttributes", "CancelWorkflowExecution"),
            (
                CommandType::ContinueAsNewWorkflowExecution,
                "BadContinueAsNewAttributes",
                "ContinueAsNewWorkflowExecution",
            ),
            (
                CommandType::SignalExternalWorkflowExecution,
                "BadSignalWorkflowExecutionAttributes",
                "SignalExternalWorkflowExecution",
            ),
            (
                CommandType::RequestCancelExternalWorkflowExecution,
                "BadRequestCancelExternalWorkflowExecutionAttributes",
                "RequestCancelExternalWorkflowExecution",
            ),
            (CommandType::UpsertWorkflowSearchAttributes, "BadSearchAttributes", "UpsertWorkflowSearchAttributes"),
            (CommandType::ModifyWorkflowProperties, "BadModifyWorkflowPropertiesAttributes", "ModifyWorkflowProperties"),
            (CommandType::ProtocolMessage, "BadUpdateWorkflowExecutionMessage", "ProtocolMessage"),
        ] {
            bed.start(name).await;
            let task = bed.task().await;
            let refused = bed.try_complete(&task, vec![without_attributes(command_type)]).await.expect_err("refused");
            let message = format!("{cause}: {name}CommandAttributes is not set on {name}Command.");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message.as_str()));
            let terminate = temporalio_common::protos::temporal::api::workflowservice::v1::TerminateWorkflowExecutionRequest {
                namespace: bed.namespace.clone(),
                workflow_execution: Some(execution(name)),
                ..Default::default()
            };
            rpc!(bed, terminate_workflow_execution, terminate).expect("an end");
        }
    }

    async fn a_heartbeat_makes_the_next_task_at_once(bed: &Bed) {
        bed.start("w").await;
        let mut task = bed.task().await;
        let since = bed.describe("w").await.pending_workflow_task.expect("a task").original_scheduled_time;
        for _ in 0..2 {
            let mut heartbeat = bed.completion(&task, vec![]);
            heartbeat.force_create_new_workflow_task = true;
            heartbeat.return_new_workflow_task = true;
            heartbeat.sticky_attributes = Some(StickyExecutionAttributes {
                worker_task_queue: Some(sticky_queue("own", &bed.queue)),
                schedule_to_start_timeout: Some(seconds(5)),
            });
            let answer = rpc!(bed, respond_workflow_task_completed, heartbeat).expect("a completion");
            task = answer.workflow_task.expect("the next task");
            assert_eq!(task.attempt, 1);
            let pending = bed.describe("w").await.pending_workflow_task.expect("a task");
            assert_eq!(pending.original_scheduled_time, since, "all the while it is one task");
        }
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(bed.event_types("w").await.len(), 11);
    }

    async fn a_heartbeat_with_commands_begins_anew(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let since = bed.describe("w").await.pending_workflow_task.expect("a task").original_scheduled_time;
        let mut heartbeat = bed.completion(&task, vec![commands::marker("progress")]);
        heartbeat.force_create_new_workflow_task = true;
        rpc!(bed, respond_workflow_task_completed, heartbeat).expect("a completion");
        let pending = bed.describe("w").await.pending_workflow_task.expect("a task");
        assert_ne!(pending.original_scheduled_time, since);
        assert_eq!(bed.task().await.attempt, 1);
    }

    async fn a_worker_whose_queue_was_reset_gets_it_back_with_its_completion(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete_sticky(&task, vec![], "own").await;
        crate::sticky::be_seen(bed).await;
        bed.signal("w", "s").await;
        let task = bed.poll(sticky_queue("own", &bed.queue)).await;
        let reset = ResetStickyTaskQueueRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
        };
        rpc!(bed, reset_sticky_task_queue, reset).expect("a reset");
        bed.complete_sticky(&task, vec![], "own").await;
        crate::sticky::be_seen(bed).await;
        bed.signal("w", "s").await;
        let next = bed.poll(sticky_queue("own", &bed.queue)).await;
        assert!(!next.task_token.is_empty(), "the worker has it again");
    }

    async fn a_stale_task_can_neither_fail_nor_complete(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let late = bed.try_complete(&task, vec![]).await.expect_err("it is done");
        assert_eq!((late.code(), late.message()), (Code::NotFound, "Workflow task not found."));
        let request = RespondWorkflowTaskFailedRequest {
            namespace: bed.namespace.clone(),
            task_token: task.task_token,
            ..Default::default()
        };
        let late = rpc!(bed, respond_workflow_task_failed, request).expect_err("it is done");
        assert_eq!((late.code(), late.message()), (Code::NotFound, "Workflow task not found."));
    }

    async fn an_update_reaches_a_run_before_its_delayed_first_task(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.workflow_start_delay = Some(millis(2_500));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let works = async {
            let task = bed.task().await;
            assert_eq!((task.started_event_id, task.previous_started_event_id), (3, 0), "at once");
            let message = message_of(&task);
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
        assert_eq!(bed.event_types("w").await, ["WorkflowExecutionStarted"]);
        let task = bed.task().await;
        assert_eq!(task.started_event_id, 3);
        bed.complete(&task, vec![commands::complete("done")]).await;
    }
}
