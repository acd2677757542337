//! The ends of runs: failure and retry, cancellation, termination, continue-as-new.

use temporalio_common::protos::temporal::api::{
    common::v1::RetryPolicy,
    enums::v1::{ContinueAsNewInitiator, EventType, RetryState},
    history::v1::history_event::Attributes,
    workflowservice::v1::*,
};

use crate::bed::{Bed, both_engines, commands, execution, millis, payloads, rpc};

async fn cancel(bed: &Bed, workflow_id: &str) -> Result<(), temporalio_client::tonic::Status> {
    let request = RequestCancelWorkflowExecutionRequest {
        namespace: bed.namespace.clone(),
        workflow_execution: Some(execution(workflow_id)),
        reason: "enough".to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    rpc!(bed, request_cancel_workflow_execution, request).map(drop)
}

both_engines! {
    async fn a_run_fails(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::fail("broken")]).await;
        let event = bed.close_event("w").await;
        let Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) = event.attributes else {
            panic!("not failed: {event:?}");
        };
        assert_eq!(failed.failure.as_ref().map(|f| f.message.as_str()), Some("broken"));
        assert_eq!(failed.retry_state(), RetryState::RetryPolicyNotSet);
    }

    async fn a_failed_run_is_tried_again_by_its_policy(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.retry_policy = Some(RetryPolicy {
            initial_interval: Some(millis(50)),
            backoff_coefficient: 1.0,
            maximum_attempts: 2,
            ..Default::default()
        });
        let first = rpc!(bed, start_workflow_execution, request).expect("a start").run_id;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::fail("once")]).await;
        let task = bed.task().await;
        let second = task.workflow_execution.clone().expect("an execution").run_id;
        assert_ne!(first, second);
        let events = task.history.clone().expect("a history").events;
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = events[0].attributes.clone() else {
            panic!("no start");
        };
        assert_eq!(started.attempt, 2);
        assert_eq!(started.initiator(), ContinueAsNewInitiator::Retry);
        assert_eq!(started.first_execution_run_id, first);
        assert_eq!(started.continued_execution_run_id, first);
        bed.complete(&task, vec![commands::fail("twice")]).await;
        let event = bed.close_event("w").await;
        let Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) = event.attributes else {
            panic!("not failed: {event:?}");
        };
        assert_eq!(failed.retry_state(), RetryState::MaximumAttemptsReached);
        let old = temporalio_common::protos::temporal::api::common::v1::WorkflowExecution {
            workflow_id: "w".to_owned(),
            run_id: first,
        };
        let old = bed.history_of(old).await;
        let Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) =
            old.last().and_then(|event| event.attributes.clone())
        else {
            panic!("not failed: {old:?}");
        };
        assert_eq!((failed.retry_state(), failed.new_execution_run_id), (RetryState::InProgress, second));
    }

    async fn a_run_is_canceled_when_its_workflow_agrees(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        cancel(bed, "w").await.expect("a request");
        cancel(bed, "w").await.expect("a second request does nothing");
        let task = bed.task().await;
        bed.complete(&task, vec![commands::cancel_workflow()]).await;
        assert_eq!(
            bed.event_types("w").await[4..],
            [
                "WorkflowExecutionCancelRequested",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCanceled",
            ]
        );
        cancel(bed, "w").await.expect("what is closed needs no cancelling");
    }

    async fn a_run_is_terminated_whatever_it_is_at(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.signal("w", "buffered").await;
        let request = TerminateWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            reason: "enough".to_owned(),
            details: Some(payloads("details")),
            identity: "client".to_owned(),
            ..Default::default()
        };
        rpc!(bed, terminate_workflow_execution, request.clone()).expect("a termination");
        assert_eq!(
            bed.event_types("w").await[2..],
            [
                "WorkflowTaskStarted",
                "WorkflowTaskFailed",
                "WorkflowExecutionSignaled",
                "WorkflowExecutionTerminated",
            ]
        );
        let late = bed.try_complete(&task, vec![commands::complete("late")]).await.expect_err("it is closed");
        assert_eq!(late.code(), temporalio_client::tonic::Code::NotFound);
        let again = rpc!(bed, terminate_workflow_execution, request).expect_err("it is closed");
        assert_eq!(again.code(), temporalio_client::tonic::Code::NotFound);
        let signal = bed.try_signal("w", "late").await.expect_err("it is closed");
        assert_eq!(signal.code(), temporalio_client::tonic::Code::NotFound);
    }

    async fn a_run_continues_as_new(bed: &Bed) {
        let first = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::continue_as_new("again")]).await;
        let task = bed.task().await;
        let second = task.workflow_execution.clone().expect("an execution").run_id;
        let events = task.history.clone().expect("a history").events;
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = events[0].attributes.clone() else {
            panic!("no start");
        };
        assert_eq!(started.input, Some(payloads("again")));
        assert_eq!(started.first_execution_run_id, first);
        assert_eq!(started.continued_execution_run_id, first);
        assert_eq!(started.initiator(), ContinueAsNewInitiator::Workflow);
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionCompleted);
        let old = temporalio_common::protos::temporal::api::common::v1::WorkflowExecution {
            workflow_id: "w".to_owned(),
            run_id: first,
        };
        let old = bed.history_of(old).await;
        let Some(Attributes::WorkflowExecutionContinuedAsNewEventAttributes(continued)) =
            old.last().and_then(|event| event.attributes.clone())
        else {
            panic!("not continued: {old:?}");
        };
        assert_eq!(continued.new_execution_run_id, second);
    }
}
