//! Search attributes that the server itself gives an execution: what of it is paused, what is wrong with its tasks.

use temporalio_common::protos::temporal::api::{
    enums::v1::WorkflowTaskFailedCause, workflowservice::v1::RespondWorkflowTaskFailedRequest,
};

use crate::{
    activities::succeed,
    activity_control::{pause, unpause},
    bed::{Bed, both_engines, commands, rpc, seconds},
    visibility::finds,
};

/// The attribute as `w` is described with it.
async fn attribute(bed: &Bed, name: &str) -> Option<String> {
    let info = bed.describe("w").await.workflow_execution_info.expect("its info");
    let attributes = info.search_attributes.unwrap_or_default().indexed_fields;
    let value = attributes.get(name)?;
    assert_eq!(value.metadata["type"], b"KeywordList");
    Some(String::from_utf8(value.data.clone()).expect("text"))
}

both_engines! {
    async fn the_types_of_paused_activities_are_listed(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let activity = commands::activity("a", &bed.queue);
        bed.complete(&task, vec![commands::schedule(activity)]).await;
        pause(bed).await;
        assert_eq!(attribute(bed, "TemporalPauseInfo").await.as_deref(), Some(r#"["property:activityType=Act"]"#));
        finds(bed, "TemporalPauseInfo = 'property:activityType=Act'", &["w"]).await;
        unpause(bed).await;
        assert_eq!(attribute(bed, "TemporalPauseInfo").await, None);
        finds(bed, "TemporalPauseInfo = 'property:activityType=Act'", &[]).await;
    }

    async fn a_task_that_fails_five_times_in_a_row_is_reported_until_one_succeeds(bed: &Bed) {
        bed.start("w").await;
        let cause = |attempt| match attempt {
            1..=5 => WorkflowTaskFailedCause::NonDeterministicError,
            _ => WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure,
        };
        for attempt in 1..=6 {
            assert_eq!(attribute(bed, "TemporalReportedProblems").await.is_some(), attempt > 5, "{attempt}");
            let request = RespondWorkflowTaskFailedRequest {
                namespace: bed.namespace.clone(),
                task_token: bed.task().await.task_token,
                cause: cause(attempt) as i32,
                failure: Some(commands::failure("broken", false)),
                ..Default::default()
            };
            rpc!(bed, respond_workflow_task_failed, request).expect("a failure");
        }
        let said = r#"["category=WorkflowTaskFailed","cause=WorkflowTaskFailedCauseNonDeterministicError"]"#;
        assert_eq!(attribute(bed, "TemporalReportedProblems").await.as_deref(), Some(said));
        finds(bed, "TemporalReportedProblems = 'category=WorkflowTaskFailed'", &["w"]).await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_timer("t", seconds(600))]).await;
        assert_eq!(attribute(bed, "TemporalReportedProblems").await, None);
        finds(bed, "TemporalReportedProblems IS NOT NULL", &[]).await;
    }
}

/// Only ours: the real server says so until another activity is paused or unpaused.
#[tokio::test]
async fn a_paused_activity_that_completes_is_listed_no_more() {
    let bed = &Bed::embedded().await;
    bed.start("w").await;
    let task = bed.task().await;
    let activity = commands::activity("a", &bed.queue);
    bed.complete(&task, vec![commands::schedule(activity)]).await;
    let running = bed.activity_task().await;
    pause(bed).await;
    finds(bed, "TemporalPauseInfo IS NOT NULL", &["w"]).await;
    succeed(bed, &running, "result").await;
    finds(bed, "TemporalPauseInfo IS NOT NULL", &[]).await;
    assert_eq!(attribute(bed, "TemporalPauseInfo").await, None);
}
