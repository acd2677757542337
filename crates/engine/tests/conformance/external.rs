//! Signals and cancel requests from one execution to another.

use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::{
        CancelExternalWorkflowExecutionFailedCause, SignalExternalWorkflowExecutionFailedCause,
        WorkflowTaskFailedCause,
    },
    workflowservice::v1::{PollWorkflowTaskQueueResponse, TerminateWorkflowExecutionRequest},
};

use crate::bed::{Bed, attributes, both_engines, commands, execution, payloads, queue, rpc, run_of};

/// Starts the execution that the scenarios send to, and lets its first task pass.
async fn target(bed: &Bed, workflow_id: &str) -> WorkflowExecution {
    let mut request = bed.start_request(workflow_id);
    request.task_queue = Some(queue("targets"));
    rpc!(bed, start_workflow_execution, request).expect("a start");
    let task = target_task(bed).await;
    bed.complete(&task, vec![]).await;
    run_of(&task)
}

async fn target_task(bed: &Bed) -> PollWorkflowTaskQueueResponse {
    let task = bed.poll(queue("targets")).await;
    assert!(
        !task.task_token.is_empty(),
        "a workflow task of the target is due"
    );
    task
}

both_engines! {
    async fn an_execution_signals_another(bed: &Bed) {
        let to = target(bed, "t").await;
        let run_id = bed.start("s").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::signal_external(commands::external_signal("t"))]).await;
        bed.task().await;
        let events = bed.history("s").await;
        let initiated = attributes!(events, SignalExternalWorkflowExecutionInitiatedEventAttributes);
        assert_eq!((initiated.workflow_task_completed_event_id, initiated.signal_name.as_str()), (4, "hello"));
        let signaled = attributes!(events, ExternalWorkflowExecutionSignaledEventAttributes);
        assert_eq!(signaled.initiated_event_id, 5);
        assert_eq!(signaled.workflow_execution, Some(execution("t")));
        assert_eq!((signaled.namespace_id, signaled.namespace), (initiated.namespace_id, bed.namespace.clone()));
        let task = target_task(bed).await;
        assert_eq!(run_of(&task), to);
        let received = attributes!(bed.history("t").await, WorkflowExecutionSignaledEventAttributes);
        assert_eq!((received.signal_name.as_str(), received.identity.as_str()), ("hello", "history-service"));
        assert_eq!(received.input, Some(payloads("hello")));
        let sender = WorkflowExecution { workflow_id: "s".to_owned(), run_id };
        assert_eq!(received.external_workflow_execution, Some(sender));
    }

    async fn an_execution_asks_another_to_cancel(bed: &Bed) {
        let to = target(bed, "t").await;
        bed.start("s").await;
        let task = bed.task().await;
        let mut cancel = commands::external_cancel("t");
        cancel.run_id.clone_from(&to.run_id);
        bed.complete(&task, vec![commands::cancel_external(cancel)]).await;
        let task = bed.task().await;
        let events = bed.history("s").await;
        let initiated = attributes!(events, RequestCancelExternalWorkflowExecutionInitiatedEventAttributes);
        assert_eq!((initiated.workflow_execution, initiated.reason.as_str()), (Some(to.clone()), "enough"));
        let requested = attributes!(events, ExternalWorkflowExecutionCancelRequestedEventAttributes);
        assert_eq!((requested.initiated_event_id, requested.workflow_execution), (5, Some(to)));
        let received = attributes!(bed.history("t").await, WorkflowExecutionCancelRequestedEventAttributes);
        assert_eq!((received.cause.as_str(), received.external_initiated_event_id), ("enough", 5));
        assert_eq!(received.external_workflow_execution.expect("a sender").workflow_id, "s");
        // A second request is heard as the first was.
        bed.complete(&task, vec![commands::cancel_external(commands::external_cancel("t"))]).await;
        bed.task().await;
        let types = bed.event_types("s").await;
        let heard = types.iter().filter(|name| **name == "ExternalWorkflowExecutionCancelRequested");
        assert_eq!(heard.count(), 2, "{types:?}");
        let types = bed.event_types("t").await;
        let received = types.iter().filter(|name| **name == "WorkflowExecutionCancelRequested");
        assert_eq!(received.count(), 1, "{types:?}");
    }

    async fn what_is_not_there_gets_no_message(bed: &Bed) {
        bed.start("s").await;
        let task = bed.task().await;
        bed.complete(
            &task,
            vec![
                commands::signal_external(commands::external_signal("nobody")),
                commands::cancel_external(commands::external_cancel("nobody")),
            ],
        )
        .await;
        bed.eventually("both have failed", || async {
            let types = bed.event_types("s").await;
            types.contains(&"RequestCancelExternalWorkflowExecutionFailed").then_some(())?;
            types.contains(&"SignalExternalWorkflowExecutionFailed").then_some(())
        })
        .await;
        let events = bed.history("s").await;
        let signal = attributes!(events, SignalExternalWorkflowExecutionFailedEventAttributes);
        assert_eq!(signal.cause(), SignalExternalWorkflowExecutionFailedCause::ExternalWorkflowExecutionNotFound);
        assert_eq!((signal.initiated_event_id, signal.workflow_task_completed_event_id), (5, 0));
        assert_eq!(signal.workflow_execution, Some(execution("nobody")));
        let cancel = attributes!(events, RequestCancelExternalWorkflowExecutionFailedEventAttributes);
        assert_eq!(cancel.cause(), CancelExternalWorkflowExecutionFailedCause::ExternalWorkflowExecutionNotFound);
        assert_eq!((cancel.initiated_event_id, cancel.workflow_task_completed_event_id), (6, 0));
    }

    async fn an_execution_cannot_message_itself(bed: &Bed) {
        bed.start("s").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::signal_external(commands::external_signal("s"))]).await;
        let task = bed.task().await;
        let signal = attributes!(bed.history("s").await, SignalExternalWorkflowExecutionFailedEventAttributes);
        assert_eq!(signal.cause(), SignalExternalWorkflowExecutionFailedCause::ExternalWorkflowExecutionNotFound);
        bed.complete(&task, vec![commands::cancel_external(commands::external_cancel("s"))]).await;
        bed.task().await;
        let cancel =
            attributes!(bed.history("s").await, RequestCancelExternalWorkflowExecutionFailedEventAttributes);
        assert_eq!(cancel.cause(), CancelExternalWorkflowExecutionFailedCause::ExternalWorkflowExecutionNotFound);
    }

    async fn a_closed_execution_gets_no_signal(bed: &Bed) {
        target(bed, "t").await;
        let request = TerminateWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("t")),
            ..Default::default()
        };
        rpc!(bed, terminate_workflow_execution, request).expect("a termination");
        bed.start("s").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::signal_external(commands::external_signal("t"))]).await;
        let task = bed.task().await;
        let failed = attributes!(bed.history("s").await, SignalExternalWorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.cause(), SignalExternalWorkflowExecutionFailedCause::ExternalWorkflowExecutionNotFound);
        // To cancel what is closed already is no failure.
        bed.complete(&task, vec![commands::cancel_external(commands::external_cancel("t"))]).await;
        bed.task().await;
        let events = bed.history("s").await;
        attributes!(events, ExternalWorkflowExecutionCancelRequestedEventAttributes);
    }

    async fn a_message_may_be_for_children_only(bed: &Bed) {
        target(bed, "t").await;
        bed.start("s").await;
        let task = bed.task().await;
        let mut child = commands::child("c");
        child.task_queue = Some(queue("children"));
        bed.complete(&task, vec![commands::start_child(child)]).await;
        let task = bed.task().await;
        let mut refused = commands::external_signal("t");
        refused.child_workflow_only = true;
        bed.complete(&task, vec![commands::signal_external(refused)]).await;
        let task = bed.task().await;
        let failed = attributes!(bed.history("s").await, SignalExternalWorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.cause(), SignalExternalWorkflowExecutionFailedCause::ExternalWorkflowExecutionNotFound);
        let mut signal = commands::external_signal("c");
        signal.child_workflow_only = true;
        bed.complete(&task, vec![commands::signal_external(signal)]).await;
        let task = bed.task().await;
        let mut cancel = commands::external_cancel("c");
        cancel.child_workflow_only = true;
        bed.complete(&task, vec![commands::cancel_external(cancel)]).await;
        let task = bed.task().await;
        let mut refused = commands::external_cancel("t");
        refused.child_workflow_only = true;
        bed.complete(&task, vec![commands::cancel_external(refused)]).await;
        bed.task().await;
        let events = bed.history("s").await;
        attributes!(events, ExternalWorkflowExecutionSignaledEventAttributes);
        attributes!(events, ExternalWorkflowExecutionCancelRequestedEventAttributes);
        attributes!(events, RequestCancelExternalWorkflowExecutionFailedEventAttributes);
        let types = bed.event_types("c").await;
        assert!(types.contains(&"WorkflowExecutionSignaled"), "{types:?}");
        assert!(types.contains(&"WorkflowExecutionCancelRequested"), "{types:?}");
        let types = bed.event_types("t").await;
        assert!(!types.contains(&"WorkflowExecutionSignaled"), "{types:?}");
        assert!(!types.contains(&"WorkflowExecutionCancelRequested"), "{types:?}");
    }

    async fn a_message_that_lacks_something_fails_the_task(bed: &Bed) {
        let mut no_name = commands::external_signal("t");
        no_name.signal_name.clear();
        let mut bad_run = commands::external_cancel("t");
        bad_run.run_id = "not a uuid".to_owned();
        let signal = WorkflowTaskFailedCause::BadSignalWorkflowExecutionAttributes;
        let cancel = WorkflowTaskFailedCause::BadRequestCancelExternalWorkflowExecutionAttributes;
        let both = vec![
            commands::start_child(commands::child("c")),
            commands::cancel_external(commands::external_cancel("c")),
        ];
        for (index, (cause, bad)) in [
            (signal, vec![commands::signal_external(no_name)]),
            (signal, vec![commands::signal_external(commands::external_signal(""))]),
            (cancel, vec![commands::cancel_external(commands::external_cancel(""))]),
            (cancel, vec![commands::cancel_external(bad_run)]),
            (cancel, both),
        ]
        .into_iter()
        .enumerate()
        {
            let id = format!("s{index}");
            let mut request = bed.start_request(&id);
            request.task_queue = Some(queue(&id));
            rpc!(bed, start_workflow_execution, request).expect("a start");
            let task = bed.poll(queue(&id)).await;
            bed.try_complete(&task, bad).await.expect_err("refused");
            let events = bed.history(&id).await;
            let failed = attributes!(events, WorkflowTaskFailedEventAttributes);
            assert_eq!(failed.cause(), cause);
            assert!(failed.failure.is_some_and(|failure| failure.message.contains("Attributes: ")));
            let types = bed.event_types(&id).await;
            assert!(!types.iter().any(|name| name.contains("Initiated")), "{types:?}");
        }
    }

    async fn a_message_from_the_last_task_is_not_sent(bed: &Bed) {
        target(bed, "t").await;
        bed.start("s").await;
        let task = bed.task().await;
        let signal = commands::signal_external(commands::external_signal("t"));
        bed.complete(&task, vec![signal, commands::complete("done")]).await;
        bed.close_event("s").await;
        bed.signal("t", "last").await;
        bed.eventually("the other signal is there", || async {
            bed.event_types("t").await.contains(&"WorkflowExecutionSignaled").then_some(())
        })
        .await;
        let signaled = attributes!(bed.history("t").await, WorkflowExecutionSignaledEventAttributes);
        assert_eq!(signaled.signal_name, "last");
    }
}
