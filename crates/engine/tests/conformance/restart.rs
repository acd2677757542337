//! The embedded engine is closed and opened again: everything goes on.

use temporalio_client::Client;
use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, UpdateWorkflowExecutionLifecycleStage as Stage},
    workflowservice::v1::RespondActivityTaskCompletedRequest,
};

use crate::{
    bed::{Bed, commands, millis, payloads, rpc, seconds},
    update_messages::*,
};

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

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_update_can_be_completed_afterwards() {
    let bed = Bed::embedded().await;
    idle(&bed, "w").await;
    let works = async {
        let task = bed.task().await;
        let message = message_of(&task);
        complete(&bed, completion(&bed, &task, vec![], vec![acceptance(&message)])).await;
        message
    };
    let (updated, message) = tokio::join!(update(&bed, "w", "u", Stage::Accepted), works);
    updated.expect("an update");
    let bed = restarted(bed).await;
    let works = async {
        bed.signal("w", "go").await;
        let task = bed.task().await;
        complete(
            &bed,
            completion(&bed, &task, vec![], vec![response(&message, "afterwards")]),
        )
        .await;
    };
    let (polled, ()) = tokio::join!(poll(&bed, "w", "u", Stage::Completed), works);
    assert_eq!(polled.expect("an outcome").outcome, success("afterwards"));
    let bed = restarted(bed).await;
    let again = update(&bed, "w", "u", Stage::Completed)
        .await
        .expect("the same update");
    assert_eq!(again.outcome, success("afterwards"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admitted_update_comes_again_from_its_client() {
    let bed = Bed::embedded().await;
    idle(&bed, "w").await;
    let before = bed.history("w").await;
    let mut service = bed.client.connection().workflow_service();
    let sent = temporalio_client::tonic::Request::new(request(&bed, "w", "u", Stage::Completed));
    let waiting = tokio::spawn(async move { service.update_workflow_execution(sent).await });
    let task = bed.task().await;
    let message = message_of(&task);
    let bed = restarted(bed).await;
    let lost = waiting.await.expect("no panic").expect_err("the engine stopped");
    assert_eq!(lost.code(), temporalio_client::tonic::Code::Unavailable);
    assert_eq!(bed.history("w").await, before, "nothing of it is written");
    assert!(bed.describe("w").await.pending_workflow_task.is_none());
    poll(&bed, "w", "u", Stage::Unspecified)
        .await
        .expect_err("nothing is known of it");
    let late = rpc!(
        bed,
        respond_workflow_task_completed,
        completion(&bed, &task, vec![], vec![acceptance(&message)])
    );
    late.expect_err("the task went with the process");
    let works = async {
        let task = bed.task().await;
        let message = message_of(&task);
        let answers = vec![acceptance(&message), response(&message, "again")];
        complete(&bed, completion(&bed, &task, vec![], answers)).await;
    };
    let (updated, ()) = tokio::join!(update(&bed, "w", "u", Stage::Completed), works);
    assert_eq!(updated.expect("an outcome").outcome, success("again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_along_with_a_written_task_is_brought_back_by_its_answer() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let mut service = bed.client.connection().workflow_service();
    let sent = temporalio_client::tonic::Request::new(request(&bed, "w", "u", Stage::Completed));
    let waiting = tokio::spawn(async move { service.update_workflow_execution(sent).await });
    bed.eventually("it is admitted", || async {
        poll(&bed, "w", "u", Stage::Unspecified).await.ok()
    })
    .await;
    let task = bed.task().await;
    let message = message_of(&task);
    let bed = restarted(bed).await;
    waiting.await.expect("no panic").expect_err("the engine stopped");
    let answers = vec![acceptance(&message), response(&message, "kept")];
    complete(&bed, completion(&bed, &task, vec![], answers)).await;
    let polled = poll(&bed, "w", "u", Stage::Completed).await.expect("an outcome");
    assert_eq!(polled.outcome, success("kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn children_and_what_they_send_outlive_a_restart() {
    let bed = Bed::embedded().await;
    bed.start("p").await;
    let task = bed.task().await;
    let mut child = commands::child("c");
    child.task_queue = Some(crate::bed::queue("children"));
    bed.complete(&task, vec![commands::start_child(child)]).await;
    let bed = restarted(bed).await;
    let task = bed.task().await;
    assert_eq!(bed.describe("p").await.pending_children.len(), 1);
    bed.complete(&task, vec![]).await;
    let task = bed.poll(crate::bed::queue("children")).await;
    let signal = commands::signal_external(commands::external_signal("p"));
    bed.complete(&task, vec![signal]).await;
    let bed = restarted(bed).await;
    let types = bed.event_types("p").await;
    assert!(types.contains(&"WorkflowExecutionSignaled"), "{types:?}");
    let task = bed.poll(crate::bed::queue("children")).await;
    bed.complete(&task, vec![commands::complete("result")]).await;
    let bed = restarted(bed).await;
    let types = bed.event_types("p").await;
    assert!(types.contains(&"ChildWorkflowExecutionCompleted"), "{types:?}");
    assert_eq!(bed.describe("p").await.pending_children, vec![]);
}
