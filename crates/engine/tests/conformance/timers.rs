//! Timers of workflows, start delays, and time-outs of runs.

use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, WorkflowTaskFailedCause},
    history::v1::history_event::Attributes,
};

use crate::bed::{Bed, both_engines, commands, millis, rpc, seconds};

both_engines! {
    async fn a_timer_fires(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_timer("t", millis(300))]).await;
        let fired = bed.task().await;
        let events = fired.history.as_ref().expect("a history").events.clone();
        let time_of = |event_type: EventType| {
            let event = events.iter().find(|event| event.event_type() == event_type).expect("the event");
            let time = event.event_time.expect("a time");
            time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000
        };
        assert!(time_of(EventType::TimerFired) - time_of(EventType::TimerStarted) >= 300, "not early");
        bed.complete(&fired, vec![commands::complete("done")]).await;
        assert_eq!(
            bed.event_types("w").await[3..],
            [
                "WorkflowTaskCompleted",
                "TimerStarted",
                "TimerFired",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }

    async fn a_canceled_timer_does_not_fire(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let timers = vec![commands::start_timer("long", seconds(600)), commands::start_timer("short", millis(100))];
        bed.complete(&task, timers).await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::cancel_timer("long"), commands::complete("done")]).await;
        let types = bed.event_types("w").await;
        assert_eq!(types.iter().filter(|name| **name == "TimerFired").count(), 1);
        assert_eq!(types[types.len() - 2..], ["TimerCanceled", "WorkflowExecutionCompleted"]);
        let canceled_by = bed.history("w").await.into_iter().find_map(|event| match event.attributes {
            Some(Attributes::TimerCanceledEventAttributes(canceled)) => Some(canceled.identity),
            _ => None,
        });
        assert_eq!(canceled_by.as_deref(), Some("worker"));
    }

    async fn a_timer_id_is_unique_among_the_open(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let twice = vec![commands::start_timer("t", seconds(9)), commands::start_timer("t", seconds(9))];
        bed.try_complete(&task, twice).await.expect_err("refused");
        let failed = bed.history("w").await.into_iter().find_map(|event| match event.attributes {
            Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) => Some(failed.cause()),
            _ => None,
        });
        assert_eq!(failed, Some(WorkflowTaskFailedCause::StartTimerDuplicateId));
    }

    async fn a_run_times_out(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.workflow_run_timeout = Some(seconds(1));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionTimedOut);
    }

    async fn a_signal_does_not_cut_a_delayed_start_short(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.workflow_start_delay = Some(seconds(1));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        assert_eq!(bed.event_types("w").await, ["WorkflowExecutionStarted"]);
        bed.signal("w", "early").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(
            bed.event_types("w").await[..3],
            ["WorkflowExecutionStarted", "WorkflowExecutionSignaled", "WorkflowTaskScheduled"]
        );
    }

    async fn a_delayed_start_begins_when_its_delay_is_over(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.workflow_start_delay = Some(millis(300));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionCompleted);
    }
}
