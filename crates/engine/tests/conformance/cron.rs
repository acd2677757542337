//! Workflows by a cron schedule.

use temporalio_client::tonic::{Request, metadata::MetadataValue};
use temporalio_common::protos::temporal::api::{
    common::v1::{RetryPolicy, WorkflowExecution},
    enums::v1::{
        ContinueAsNewInitiator, EventType, HistoryEventFilterType, RetryState, WorkflowExecutionStatus,
    },
    history::v1::{HistoryEvent, WorkflowExecutionStartedEventAttributes},
    workflowservice::v1::*,
};

use crate::bed::{
    Bed, attributes, both_engines, commands, execution, millis, payloads, queue, rpc, run_of, seconds,
};

fn begun(task: &PollWorkflowTaskQueueResponse) -> WorkflowExecutionStartedEventAttributes {
    let events = task.history.clone().expect("a history").events;
    attributes!(events, WorkflowExecutionStartedEventAttributes)
}

async fn start(bed: &Bed, schedule: &str) -> String {
    let mut request = bed.start_request("w");
    request.cron_schedule = schedule.to_owned();
    rpc!(bed, start_workflow_execution, request)
        .expect("a start")
        .run_id
}

/// The end of a run as a client is told of it that has these features.
async fn shown_end(bed: &Bed, run_id: &str, features: &'static str) -> HistoryEvent {
    let mut request = Request::new(GetWorkflowExecutionHistoryRequest {
        namespace: bed.namespace.clone(),
        execution: Some(WorkflowExecution {
            workflow_id: "w".to_owned(),
            run_id: run_id.to_owned(),
        }),
        wait_new_event: true,
        history_event_filter_type: HistoryEventFilterType::CloseEvent as i32,
        ..Default::default()
    });
    if !features.is_empty() {
        let features = MetadataValue::from_static(features);
        request.metadata_mut().insert("supported-features", features);
    }
    let page = rpc!(bed, get_workflow_execution_history, request).expect("a history");
    page.history.expect("a history").events.pop().expect("an event")
}

both_engines! {
    async fn a_schedule_that_is_none_is_refused(bed: &Bed) {
        for schedule in ["nonsense", "* * * *", "60 * * * *", "0 0 30 2 *", "TZ=No/Where * * * * *"] {
            let mut request = bed.start_request("w");
            request.cron_schedule = schedule.to_owned();
            let refused = rpc!(bed, start_workflow_execution, request).expect_err("refused");
            assert_eq!(refused.code(), temporalio_client::tonic::Code::InvalidArgument);
            assert!(refused.message().contains("nvalid CronSchedule"), "{}", refused.message());
        }
        let mut request = bed.start_request("w");
        request.cron_schedule = "@hourly".to_owned();
        request.workflow_start_delay = Some(seconds(1));
        let refused = rpc!(bed, start_workflow_execution, request).expect_err("refused");
        assert_eq!(refused.code(), temporalio_client::tonic::Code::InvalidArgument);
        assert!(refused.message().contains("may not be used together"), "{}", refused.message());
    }

    async fn schedules_of_all_kinds_are_taken(bed: &Bed) {
        for (index, schedule) in
            ["*/5 1-4,8 * JAN-MAR/2 mon", "CRON_TZ=Europe/Berlin 0 12 * * *", "TZ=UTC @daily", "@every 1h30m"]
                .into_iter()
                .enumerate()
        {
            let mut request = bed.start_request(&format!("w{index}"));
            request.cron_schedule = schedule.to_owned();
            rpc!(bed, start_workflow_execution, request).expect(schedule);
        }
    }

    async fn a_run_follows_the_other(bed: &Bed) {
        let first = start(bed, "@every 1s").await;
        let info = bed.describe("w").await.workflow_execution_info.expect("info");
        let started = info.start_time.expect("a time");
        let due = info.execution_time.expect("a time");
        assert!((due.seconds, due.nanos) > (started.seconds, started.nanos), "{due:?} is after {started:?}");

        let task = bed.task().await;
        let run = begun(&task);
        assert_eq!((run.cron_schedule.as_str(), run.initiator()), ("@every 1s", ContinueAsNewInitiator::CronSchedule));
        assert_eq!(run.first_workflow_task_backoff, Some(seconds(1)));
        bed.complete(&task, vec![commands::complete("one")]).await;
        let old = bed.history_of(WorkflowExecution { workflow_id: "w".to_owned(), run_id: first.clone() }).await;
        let completed = attributes!(old, WorkflowExecutionCompletedEventAttributes);

        let task = bed.task().await;
        let second = run_of(&task).run_id;
        assert_eq!(completed.new_execution_run_id, second);
        let run = begun(&task);
        assert_eq!((run.cron_schedule.as_str(), run.initiator()), ("@every 1s", ContinueAsNewInitiator::CronSchedule));
        assert_eq!(run.last_completion_result, Some(payloads("one")));
        assert_eq!((&run.continued_execution_run_id, &run.first_execution_run_id), (&first, &first));
        assert_eq!(run.attempt, 1);
        assert!(run.first_workflow_task_backoff.is_some_and(|delay| delay.seconds + i64::from(delay.nanos) > 0));
        bed.complete(&task, vec![commands::fail("broken")]).await;
        let old = bed.history_of(WorkflowExecution { workflow_id: "w".to_owned(), run_id: second }).await;
        let failed = attributes!(old, WorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.retry_state(), RetryState::RetryPolicyNotSet);

        let task = bed.task().await;
        let run = begun(&task);
        assert_eq!(failed.new_execution_run_id, run_of(&task).run_id);
        assert_eq!(run.initiator(), ContinueAsNewInitiator::CronSchedule);
        assert_eq!(run.last_completion_result, Some(payloads("one")));
        assert_eq!(run.continued_failure.expect("a failure").message, "broken");
        bed.complete(&task, vec![commands::complete("two")]).await;
        let task = bed.task().await;
        assert_eq!(begun(&task).last_completion_result, Some(payloads("two")));
        assert_eq!(begun(&task).continued_failure, None);
    }

    async fn retries_come_before_the_schedule(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.cron_schedule = "@every 1s".to_owned();
        request.retry_policy = Some(RetryPolicy {
            initial_interval: Some(millis(10)),
            backoff_coefficient: 1.0,
            maximum_attempts: 2,
            ..Default::default()
        });
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        bed.complete(&task, vec![commands::fail("once")]).await;
        let task = bed.task().await;
        let run = begun(&task);
        assert_eq!((run.initiator(), run.attempt), (ContinueAsNewInitiator::Retry, 2));
        assert_eq!(run.cron_schedule, "@every 1s");
        bed.complete(&task, vec![commands::fail("twice")]).await;
        let old = bed.history_of(run_of(&task)).await;
        let failed = attributes!(old, WorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.retry_state(), RetryState::MaximumAttemptsReached);
        let task = bed.task().await;
        let run = begun(&task);
        assert_eq!((run.initiator(), run.attempt), (ContinueAsNewInitiator::CronSchedule, 1));
        assert_eq!(failed.new_execution_run_id, run_of(&task).run_id);
        assert_eq!(run.continued_failure.expect("a failure").message, "twice");
    }

    async fn a_run_that_times_out_is_followed(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.cron_schedule = "@every 1s".to_owned();
        request.workflow_run_timeout = Some(seconds(1));
        let first = rpc!(bed, start_workflow_execution, request).expect("a start").run_id;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let task = bed.task().await;
        let run = begun(&task);
        assert_eq!(run.initiator(), ContinueAsNewInitiator::CronSchedule);
        assert_eq!(run.continued_failure.expect("a failure").message, "workflow timeout");
        let old = bed.history_of(WorkflowExecution { workflow_id: "w".to_owned(), run_id: first }).await;
        let timed_out = attributes!(old, WorkflowExecutionTimedOutEventAttributes);
        assert_eq!(timed_out.new_execution_run_id, run_of(&task).run_id);
    }

    async fn clients_that_do_not_follow_ends_are_shown_a_continuation(bed: &Bed) {
        let first = start(bed, "@every 1s").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("one")]).await;
        let task = bed.task().await;
        let second = run_of(&task).run_id;
        bed.complete(&task, vec![commands::fail("broken")]).await;
        let third = run_of(&bed.task().await).run_id;

        let shown = shown_end(bed, &first, "").await;
        assert_eq!(shown.event_type(), EventType::WorkflowExecutionContinuedAsNew);
        assert_eq!(shown.event_id, 5);
        let shown = attributes!([shown], WorkflowExecutionContinuedAsNewEventAttributes);
        assert_eq!((&shown.new_execution_run_id, &shown.last_completion_result), (&second, &Some(payloads("one"))));
        let shown = shown_end(bed, &second, "another-feature").await;
        let shown = attributes!([shown], WorkflowExecutionContinuedAsNewEventAttributes);
        #[allow(deprecated, reason = "what old clients read")]
        let message = shown.failure.expect("a failure").message;
        assert_eq!((shown.new_execution_run_id, message.as_str()), (third, "broken"));
        let known = shown_end(bed, &first, "another-feature,follows-next-run-id").await;
        assert_eq!(known.event_type(), EventType::WorkflowExecutionCompleted);
    }

    async fn cancellation_ends_it(bed: &Bed) {
        start(bed, "@every 1s").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::cancel_workflow()]).await;
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionCanceled);
        let info = bed.describe("w").await.workflow_execution_info.expect("info");
        assert_eq!(info.status(), WorkflowExecutionStatus::Canceled);
    }

    async fn termination_ends_it_while_it_waits(bed: &Bed) {
        start(bed, "@hourly").await;
        let request = TerminateWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            ..Default::default()
        };
        rpc!(bed, terminate_workflow_execution, request).expect("a termination");
        let info = bed.describe("w").await.workflow_execution_info.expect("info");
        assert_eq!(info.status(), WorkflowExecutionStatus::Terminated);
        assert_eq!(bed.event_types("w").await, ["WorkflowExecutionStarted", "WorkflowExecutionTerminated"]);
    }

    async fn a_signal_waits_for_the_schedule(bed: &Bed) {
        let start = bed.start_request("w");
        let request = SignalWithStartWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            workflow_type: start.workflow_type,
            task_queue: start.task_queue,
            signal_name: "first".to_owned(),
            cron_schedule: "@hourly".to_owned(),
            request_id: "one".to_owned(),
            ..Default::default()
        };
        rpc!(bed, signal_with_start_workflow_execution, request.clone()).expect("a start");
        let again = SignalWithStartWorkflowExecutionRequest {
            signal_name: "second".to_owned(),
            request_id: "two".to_owned(),
            ..request
        };
        bed.signal("w", "third").await;
        assert_eq!(
            bed.event_types("w").await,
            ["WorkflowExecutionStarted", "WorkflowExecutionSignaled", "WorkflowExecutionSignaled"]
        );
        // Only one that would have started the execution makes it run now.
        rpc!(bed, signal_with_start_workflow_execution, again).expect("a signal");
        assert_eq!(bed.event_types("w").await[3..], ["WorkflowExecutionSignaled", "WorkflowTaskScheduled"]);
    }

    async fn a_scheduled_child_is_one_child(bed: &Bed) {
        bed.start("p").await;
        let task = bed.task().await;
        let mut child = commands::child("c");
        child.task_queue = Some(queue("children"));
        child.cron_schedule = "@every 1s".to_owned();
        bed.complete(&task, vec![commands::start_child(child)]).await;
        let of_parent = bed.task().await;
        bed.complete(&of_parent, vec![]).await;
        let task = bed.poll(queue("children")).await;
        assert_eq!(begun(&task).cron_schedule, "@every 1s");
        bed.complete(&task, vec![commands::complete("once")]).await;
        let task = bed.poll(queue("children")).await;
        assert_eq!(begun(&task).parent_workflow_execution.expect("a parent").workflow_id, "p");
        assert_eq!(begun(&task).last_completion_result, Some(payloads("once")));
        bed.complete(&task, vec![commands::cancel_workflow()]).await;
        bed.task().await;
        let types = bed.event_types("p").await;
        let closed: Vec<_> = types.iter().filter(|name| name.starts_with("ChildWorkflowExecution")).collect();
        assert_eq!(closed, [&"ChildWorkflowExecutionStarted", &"ChildWorkflowExecutionCanceled"]);
    }

    async fn what_continues_as_new_names_its_schedule(bed: &Bed) {
        start(bed, "@every 1s").await;
        let task = bed.task().await;
        let with = |schedule: &str| {
            let mut command = commands::continue_as_new("again");
            use temporalio_common::protos::temporal::api::command::v1::command::Attributes;
            let Some(Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(attributes)) =
                &mut command.attributes
            else {
                panic!("another command");
            };
            attributes.cron_schedule = schedule.to_owned();
            command
        };
        bed.complete(&task, vec![with("@every 2s")]).await;
        let task = bed.task().await;
        assert_eq!(begun(&task).cron_schedule, "@every 2s");
        assert_eq!(begun(&task).initiator(), ContinueAsNewInitiator::Workflow);
        bed.complete(&task, vec![with("")]).await;
        let task = bed.task().await;
        assert_eq!(begun(&task).cron_schedule, "");
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionCompleted);
    }
}
