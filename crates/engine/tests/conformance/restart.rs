//! The embedded engine is closed and opened again: everything goes on.

use temporalio_client::Client;
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType, workflowservice::v1::RespondActivityTaskCompletedRequest,
};

use crate::bed::{Bed, commands, millis, payloads, rpc, seconds};

/// The bed with its engine started again.
pub(crate) async fn restarted(mut bed: Bed) -> Bed {
    let engine = bed.engine.take().expect("an embedded engine").restart().await;
    let client: Client = engine.client().await;
    Bed {
        client,
        engine: Some(engine),
        ..bed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_task_is_offered_again() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let bed = restarted(bed).await;
    let task = bed.task().await;
    bed.complete(&task, vec![commands::complete("done")]).await;
    assert_eq!(
        bed.close_event("w").await.event_type(),
        EventType::WorkflowExecutionCompleted
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_task_from_before_can_still_be_completed() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let task = bed.task().await;
    let bed = restarted(bed).await;
    bed.complete(&task, vec![commands::complete("done")]).await;
    assert_eq!(
        bed.close_event("w").await.event_type(),
        EventType::WorkflowExecutionCompleted
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_task_from_before_is_stale_once_something_happened() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let task = bed.task().await;
    bed.signal("w", "kept").await;
    let bed = restarted(bed).await;
    bed.try_complete(&task, vec![commands::complete("late")])
        .await
        .expect_err("stale");
    let task = bed.task().await;
    bed.complete(&task, vec![commands::complete("done")]).await;
    let types = bed.event_types("w").await;
    assert_eq!(
        types
            .iter()
            .filter(|name| **name == "WorkflowExecutionSignaled")
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_fire_and_activities_go_on() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let task = bed.task().await;
    let activity = commands::schedule(commands::activity("a", &bed.queue));
    bed.complete(&task, vec![commands::start_timer("t", millis(300)), activity])
        .await;
    let bed = restarted(bed).await;
    let activity = bed.activity_task().await;
    assert_eq!(activity.attempt, 1);
    let request = RespondActivityTaskCompletedRequest {
        namespace: bed.namespace.clone(),
        task_token: activity.task_token,
        result: Some(payloads("result")),
        ..Default::default()
    };
    rpc!(bed, respond_activity_task_completed, request).expect("a result");
    bed.eventually("the timer fires", || async {
        bed.event_types("w").await.contains(&"TimerFired").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_in_the_ended_process_is_tried_again_at_once() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let task = bed.task().await;
    let mut activity = commands::activity("a", &bed.queue);
    activity.start_to_close_timeout = Some(seconds(3_600));
    bed.complete(&task, vec![commands::schedule(activity)]).await;
    assert_eq!(bed.activity_task().await.attempt, 1);
    let bed = restarted(bed).await;
    assert_eq!(bed.activity_task().await.attempt, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_lists_and_page_tokens_are_as_before() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let task = bed.task().await;
    bed.complete(&task, vec![commands::marker("m"), commands::complete("done")])
        .await;
    let before = bed.history("w").await;
    let described = bed.describe("w").await;
    let bed = restarted(bed).await;
    assert_eq!(bed.history("w").await, before);
    assert_eq!(bed.describe("w").await, described);
}

#[tokio::test]
async fn a_file_has_one_engine_at_a_time() {
    let bed = Bed::embedded().await;
    let engine = bed.engine.as_ref().expect("an engine");
    let options = segno_engine::Options::new(engine.file());
    let refused = segno_engine::Engine::open(options)
        .await
        .expect_err("it is in use");
    assert!(
        matches!(
            refused,
            segno_engine::Error::Store(segno_engine::StoreError::InUse { .. })
        ),
        "{refused:?}"
    );
}
