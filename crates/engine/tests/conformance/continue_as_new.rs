//! What goes on in the next run of a chain, and what does not: continue-as-new and retries.

use temporalio_common::protos::temporal::api::{
    command::v1::{
        Command, ContinueAsNewWorkflowExecutionCommandAttributes, ModifyWorkflowPropertiesCommandAttributes,
        command::Attributes,
    },
    common::v1::{Header, Memo, RetryPolicy},
    enums::v1::{CommandType, ContinueAsNewInitiator, RetryState, WorkflowTaskFailedCause},
    history::v1::WorkflowExecutionStartedEventAttributes,
    workflowservice::v1::{
        PollWorkflowTaskQueueResponse, SignalWithStartWorkflowExecutionRequest, StartWorkflowExecutionRequest,
    },
};

use crate::bed::{Bed, attributes, both_engines, commands, millis, payloads, rpc, run_of, seconds};

fn begun(task: &PollWorkflowTaskQueueResponse) -> WorkflowExecutionStartedEventAttributes {
    let events = task.history.clone().expect("a history").events;
    attributes!(events, WorkflowExecutionStartedEventAttributes)
}

fn continue_as_new(attributes: ContinueAsNewWorkflowExecutionCommandAttributes) -> Command {
    Command {
        command_type: CommandType::ContinueAsNewWorkflowExecution as i32,
        attributes: Some(Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(
            attributes,
        )),
        ..Default::default()
    }
}

fn memo(text: &str) -> Memo {
    Memo {
        fields: [("note".to_owned(), payloads(text).payloads[0].clone())].into(),
    }
}

fn modify_memo(text: &str) -> Command {
    Command {
        command_type: CommandType::ModifyWorkflowProperties as i32,
        attributes: Some(Attributes::ModifyWorkflowPropertiesCommandAttributes(
            ModifyWorkflowPropertiesCommandAttributes {
                upserted_memo: Some(memo(text)),
            },
        )),
        ..Default::default()
    }
}

/// `nanos` as the wait of a first task.
fn wait_of(run: &WorkflowExecutionStartedEventAttributes) -> i64 {
    let wait = run.first_workflow_task_backoff.unwrap_or_default();
    wait.seconds * 1_000_000_000 + i64::from(wait.nanos)
}

fn retried(mut request: StartWorkflowExecutionRequest, attempts: i32) -> StartWorkflowExecutionRequest {
    request.retry_policy = Some(RetryPolicy {
        initial_interval: Some(millis(1_200)),
        backoff_coefficient: 1.0,
        maximum_attempts: attempts,
        non_retryable_error_types: vec!["Hopeless".to_owned()],
        ..Default::default()
    });
    request
}

both_engines! {
    async fn only_what_the_command_says_goes_on(bed: &Bed) {
        let mut request = retried(bed.start_request("w"), 5);
        request.memo = Some(memo("first"));
        request.header = Some(Header {
            fields: [("trace".to_owned(), payloads("id").payloads[0].clone())].into(),
        });
        request.workflow_run_timeout = Some(seconds(50));
        request.workflow_task_timeout = Some(seconds(7));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        bed.complete(&task, vec![continue_as_new(ContinueAsNewWorkflowExecutionCommandAttributes::default())]).await;
        let task = bed.task().await;
        let run = begun(&task);
        assert_eq!(run.workflow_type.clone().expect("a type").name, "Test");
        assert_eq!(run.task_queue.clone().expect("a queue").name, bed.queue);
        assert_eq!((run.workflow_run_timeout, run.workflow_task_timeout), (Some(seconds(50)), Some(seconds(7))));
        assert_eq!((run.memo.clone(), run.header.clone()), (None, None));
        assert_eq!((run.retry_policy.clone(), run.input.clone()), (None, None));
        assert_eq!((run.initiator(), run.attempt), (ContinueAsNewInitiator::Workflow, 1));

        let next = ContinueAsNewWorkflowExecutionCommandAttributes {
            memo: Some(memo("second")),
            last_completion_result: Some(payloads("result")),
            workflow_run_timeout: Some(seconds(60)),
            backoff_start_interval: Some(millis(1_500)),
            ..Default::default()
        };
        bed.complete(&task, vec![continue_as_new(next)]).await;
        let old = bed.history_of(run_of(&task)).await;
        let continued = attributes!(old, WorkflowExecutionContinuedAsNewEventAttributes);
        assert_eq!(continued.backoff_start_interval, Some(millis(1_500)));
        assert_eq!(continued.initiator(), ContinueAsNewInitiator::Unspecified);
        let task = bed.task().await;
        let run = begun(&task);
        assert_eq!((run.memo.clone(), run.last_completion_result.clone()), (Some(memo("second")), Some(payloads("result"))));
        assert_eq!((run.workflow_run_timeout, wait_of(&run)), (Some(seconds(60)), 1_500_000_000));
    }

    async fn a_chain_of_short_runs_is_slowed_down(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::continue_as_new("again")]).await;
        let task = bed.task().await;
        let wait = wait_of(&begun(&task));
        assert!(wait > 0 && wait <= 1_000_000_000, "{wait}");
    }

    async fn a_negative_length_is_refused(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let bad = ContinueAsNewWorkflowExecutionCommandAttributes {
            backoff_start_interval: Some(seconds(-1)),
            ..Default::default()
        };
        bed.try_complete(&task, vec![continue_as_new(bad)]).await.expect_err("refused");
        let failed = attributes!(bed.history("w").await, WorkflowTaskFailedEventAttributes);
        assert_eq!(failed.cause(), WorkflowTaskFailedCause::BadContinueAsNewAttributes);
    }

    async fn a_run_with_unseen_signals_cannot_continue_as_new(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.signal("w", "unseen").await;
        let refused = bed.try_complete(&task, vec![commands::continue_as_new("again")]).await;
        assert_eq!(refused.expect_err("unseen").message(), "UnhandledCommand");
        assert_eq!(
            bed.event_types("w").await[2..6],
            ["WorkflowTaskStarted", "WorkflowTaskFailed", "WorkflowExecutionSignaled", "WorkflowTaskScheduled"]
        );
        let task = bed.task().await;
        bed.complete(&task, vec![commands::continue_as_new("again")]).await;
        let task = bed.task().await;
        assert_eq!(begun(&task).input, Some(payloads("again")));
    }

    async fn a_retry_begins_as_the_first_attempt_did(bed: &Bed) {
        let mut request = retried(bed.start_request("w"), 3);
        request.memo = Some(memo("first"));
        request.input = Some(payloads("input"));
        request.workflow_start_delay = Some(millis(100));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        assert_eq!(wait_of(&begun(&task)), 100_000_000);
        bed.complete(&task, vec![modify_memo("changed"), commands::fail("once")]).await;
        let task = bed.task().await;
        let run = begun(&task);
        assert_eq!((run.memo.clone(), run.input.clone()), (Some(memo("first")), Some(payloads("input"))));
        assert_eq!((run.attempt, wait_of(&run)), (2, 1_200_000_000));
        assert_eq!(run.continued_failure.expect("a failure").message, "once");
    }

    async fn a_hopeless_failure_is_not_retried(bed: &Bed) {
        rpc!(bed, start_workflow_execution, retried(bed.start_request("w"), 0)).expect("a start");
        let task = bed.task().await;
        let mut failure = commands::fail("hopeless");
        if let Some(Attributes::FailWorkflowExecutionCommandAttributes(attributes)) = &mut failure.attributes {
            use temporalio_common::protos::temporal::api::failure::v1::failure::FailureInfo;
            let info = attributes.failure.as_mut().and_then(|failure| failure.failure_info.as_mut());
            if let Some(FailureInfo::ApplicationFailureInfo(info)) = info {
                info.r#type = "Hopeless".to_owned();
            }
        }
        bed.complete(&task, vec![failure]).await;
        let failed = attributes!([bed.close_event("w").await], WorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.retry_state(), RetryState::NonRetryableFailure);
        assert_eq!(failed.new_execution_run_id, "");
    }

    async fn no_retry_after_the_end_of_the_execution(bed: &Bed) {
        let mut request = retried(bed.start_request("w"), 0);
        request.workflow_execution_timeout = Some(seconds(1));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        bed.complete(&task, vec![commands::fail("too late")]).await;
        let failed = attributes!([bed.close_event("w").await], WorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.retry_state(), RetryState::Timeout);
    }

    async fn a_delayed_start_waits_for_another_signal_with_start(bed: &Bed) {
        let start = bed.start_request("w");
        let request = SignalWithStartWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            workflow_type: start.workflow_type,
            task_queue: start.task_queue,
            signal_name: "first".to_owned(),
            workflow_start_delay: Some(seconds(3_600)),
            request_id: "one".to_owned(),
            ..Default::default()
        };
        rpc!(bed, signal_with_start_workflow_execution, request.clone()).expect("a start");
        bed.signal("w", "second").await;
        assert_eq!(
            bed.event_types("w").await,
            ["WorkflowExecutionStarted", "WorkflowExecutionSignaled", "WorkflowExecutionSignaled"]
        );
        let again = SignalWithStartWorkflowExecutionRequest { request_id: "two".to_owned(), ..request };
        rpc!(bed, signal_with_start_workflow_execution, again).expect("a signal");
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
    }
}
