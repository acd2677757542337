//! Signals, and starts that bring one.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowType,
    workflowservice::v1::{SignalWithStartWorkflowExecutionRequest, SignalWorkflowExecutionRequest},
};

use crate::bed::{Bed, both_engines, commands, execution, queue, rpc};

fn signal_with_start(bed: &Bed, name: &str) -> SignalWithStartWorkflowExecutionRequest {
    SignalWithStartWorkflowExecutionRequest {
        namespace: bed.namespace.clone(),
        workflow_id: "w".to_owned(),
        workflow_type: Some(WorkflowType {
            name: "Test".to_owned(),
        }),
        task_queue: Some(queue(&bed.queue)),
        signal_name: name.to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

both_engines! {
    async fn a_repeated_signal_is_one(bed: &Bed) {
        bed.start("w").await;
        let request = SignalWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            signal_name: "s".to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        rpc!(bed, signal_workflow_execution, request.clone()).expect("a signal");
        rpc!(bed, signal_workflow_execution, request).expect("the same signal");
        let signals = bed.event_types("w").await.into_iter().filter(|name| *name == "WorkflowExecutionSignaled");
        assert_eq!(signals.count(), 1);
    }

    async fn an_unknown_workflow_takes_no_signal(bed: &Bed) {
        let refused = bed.try_signal("nobody", "s").await.expect_err("unknown");
        assert_eq!(refused.code(), Code::NotFound);
    }

    async fn a_start_brings_its_signal_before_the_first_task(bed: &Bed) {
        let answer = rpc!(bed, signal_with_start_workflow_execution, signal_with_start(bed, "s")).expect("a start");
        assert!(answer.started);
        assert_eq!(
            bed.event_types("w").await,
            ["WorkflowExecutionStarted", "WorkflowExecutionSignaled", "WorkflowTaskScheduled"]
        );
    }

    async fn a_running_workflow_just_takes_the_signal(bed: &Bed) {
        let run_id = bed.start("w").await;
        let answer = rpc!(bed, signal_with_start_workflow_execution, signal_with_start(bed, "s")).expect("a signal");
        assert_eq!(answer.run_id, run_id);
        assert!(!answer.started);
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(bed.event_types("w").await[2], "WorkflowExecutionSignaled");
    }
}
