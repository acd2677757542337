//! Workflow tasks: their order with events from outside, failures, time-outs.

use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, WorkflowTaskFailedCause},
    history::v1::history_event::Attributes,
};

use crate::bed::{Bed, both_engines, commands, rpc, seconds};

both_engines! {
    async fn a_run_begins_and_completes(bed: &Bed) {
        let run_id = bed.start("w").await;
        let task = bed.task().await;
        assert_eq!(task.attempt, 1);
        assert_eq!(task.started_event_id, 3);
        assert_eq!(task.previous_started_event_id, 0);
        assert_eq!(task.workflow_execution.as_ref().map(|e| e.run_id.clone()), Some(run_id));
        assert_eq!(task.history.as_ref().map(|h| h.events.len()), Some(3));
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionCompleted);
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }

    async fn what_comes_during_a_task_follows_its_completion(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.signal("w", "during").await;
        bed.complete(&task, vec![commands::marker("m")]).await;
        let next = bed.task().await;
        assert_eq!(next.previous_started_event_id, 3);
        bed.complete(&next, vec![commands::complete("done")]).await;
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "MarkerRecorded",
                "WorkflowExecutionSignaled",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }

    async fn a_run_does_not_close_over_an_unseen_signal(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.signal("w", "unseen").await;
        let refused = bed.try_complete(&task, vec![commands::complete("too soon")]).await.expect_err("refused");
        assert_eq!(refused.message(), "UnhandledCommand");
        let next = bed.task().await;
        bed.complete(&next, vec![commands::complete("done")]).await;
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskFailed",
                "WorkflowExecutionSignaled",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }

    async fn only_the_first_failure_of_a_task_is_written(bed: &Bed) {
        bed.start("w").await;
        for attempt in 1..=3 {
            let task = bed.task().await;
            assert_eq!(task.attempt, attempt);
            let events = &task.history.as_ref().expect("a history").events;
            assert_eq!(events.last().map(|e| e.event_id), Some(task.started_event_id));
            bed.fail_task(task).await;
        }
        let task = bed.task().await;
        assert_eq!(task.attempt, 4);
        bed.complete(&task, vec![commands::complete("mended")]).await;
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskFailed",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }

    async fn a_task_that_nobody_completes_times_out(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.workflow_task_timeout = Some(seconds(1));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let lost = bed.task().await;
        let again = bed.task().await;
        assert_eq!(again.attempt, 2);
        let stale = bed.try_complete(&lost, vec![commands::complete("late")]).await.expect_err("stale");
        assert_eq!(stale.code(), temporalio_client::tonic::Code::NotFound);
        bed.complete(&again, vec![commands::complete("done")]).await;
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskTimedOut",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }

    async fn a_bad_command_fails_the_task_and_names_the_cause(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut activity = commands::activity("a", &bed.queue);
        activity.start_to_close_timeout = None;
        let refused = bed
            .try_complete(&task, vec![commands::marker("dropped"), commands::schedule(activity)])
            .await
            .expect_err("refused");
        assert_eq!(refused.code(), temporalio_client::tonic::Code::InvalidArgument);
        assert!(refused.message().starts_with("BadScheduleActivityAttributes"), "{}", refused.message());
        let history = bed.history("w").await;
        let failed = history.iter().find(|event| event.event_type() == EventType::WorkflowTaskFailed);
        let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) =
            failed.and_then(|event| event.attributes.clone())
        else {
            panic!("no failure in {history:?}");
        };
        assert_eq!(failed.cause(), WorkflowTaskFailedCause::BadScheduleActivityAttributes);
        assert!(!history.iter().any(|event| event.event_type() == EventType::MarkerRecorded));
    }

    async fn a_completion_can_bring_the_next_task(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.signal("w", "more").await;
        let request = bed.wanting_next(bed.completion(&task, vec![]));
        let answer = rpc!(bed, respond_workflow_task_completed, request).expect("a completion");
        let next = answer.workflow_task.expect("the next task comes along");
        assert_eq!(next.previous_started_event_id, 3);
        let first = next.history.as_ref().and_then(|history| history.events.first());
        assert_eq!(first.map(|event| event.event_id), Some(4), "only what is new");
        bed.complete(&next, vec![commands::complete("done")]).await;
    }
}
