//! Sticky task queues: a worker's next tasks come to it with only what is new, until it goes.

use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    workflowservice::v1::{PollWorkflowTaskQueueRequest, ResetStickyTaskQueueRequest, ShutdownWorkerRequest},
};

use crate::bed::{Bed, both_engines, commands, execution, queue, rpc, sticky_queue};

/// A worker is seen at its own queue, where nothing is for it yet.
pub(crate) async fn be_seen(bed: &Bed) {
    let mut poll = temporalio_client::tonic::Request::new(PollWorkflowTaskQueueRequest {
        namespace: bed.namespace.clone(),
        task_queue: Some(sticky_queue("own", &bed.queue)),
        identity: "worker".to_owned(),
        ..Default::default()
    });
    poll.set_timeout(std::time::Duration::from_secs(3));
    let answer = bed
        .client
        .connection()
        .workflow_service()
        .poll_workflow_task_queue(poll)
        .await;
    assert!(answer.is_ok_and(|answer| answer.into_inner().task_token.is_empty()));
}

both_engines! {
    async fn the_next_task_comes_to_the_same_worker_with_what_is_new(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let own = sticky_queue("own", &bed.queue);
        bed.complete_sticky(&task, vec![], "own").await;
        be_seen(bed).await;
        bed.signal("w", "s").await;
        let next = bed.poll(own).await;
        let events = next.history.clone().expect("a history").events;
        assert_eq!(events.first().map(|event| event.event_id), Some(4));
        assert_eq!(next.workflow_execution_task_queue, Some(queue(&bed.queue)), "the normal queue's name");
        bed.complete(&next, vec![commands::complete("done")]).await;
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionCompleted);
    }

    async fn a_worker_that_does_not_come_loses_its_task(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete_sticky(&task, vec![], "own").await;
        // The worker has been seen, then is not seen any more.
        be_seen(bed).await;
        bed.signal("w", "s").await;
        let task = bed.task().await;
        let events = task.history.clone().expect("a history").events;
        assert_eq!(events.first().map(|event| event.event_id), Some(1), "the whole history");
        let timed_out = events.iter().any(|event| event.event_type() == EventType::WorkflowTaskTimedOut);
        assert!(timed_out, "the sticky task timed out");
    }

    async fn a_reset_run_goes_to_any_worker(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete_sticky(&task, vec![], "own").await;
        let reset = ResetStickyTaskQueueRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
        };
        rpc!(bed, reset_sticky_task_queue, reset).expect("a reset");
        bed.signal("w", "s").await;
        let task = bed.task().await;
        let events = task.history.expect("a history").events;
        assert_eq!(events.first().map(|event| event.event_id), Some(1));
    }

    async fn a_task_that_waits_is_for_any_worker_after_a_reset(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete_sticky(&task, vec![], "own").await;
        be_seen(bed).await;
        bed.signal("w", "s").await;
        let reset = ResetStickyTaskQueueRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
        };
        rpc!(bed, reset_sticky_task_queue, reset).expect("a reset");
        let task = bed.task().await;
        let events = task.history.expect("a history").events;
        assert_eq!(events.first().map(|event| event.event_id), Some(1));
    }

    async fn a_worker_that_shuts_down_leaves_its_tasks(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete_sticky(&task, vec![], "own").await;
        let shutdown = ShutdownWorkerRequest {
            namespace: bed.namespace.clone(),
            sticky_task_queue: "own".to_owned(),
            identity: "worker".to_owned(),
            reason: "test".to_owned(),
            ..Default::default()
        };
        rpc!(bed, shutdown_worker, shutdown).expect("a shutdown");
        bed.signal("w", "s").await;
        let task = bed.task().await;
        let events = task.history.expect("a history").events;
        assert_eq!(events.first().map(|event| event.event_id), Some(1));
    }
}
