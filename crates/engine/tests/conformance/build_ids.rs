//! The builds of workers without a version: search attributes tell which have worked for a run.
#![allow(
    deprecated,
    reason = "workers without a version name their build by the deprecated fields"
)]

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkerVersionStamp,
    deployment::v1::WorkerDeploymentOptions,
    enums::v1::{VersioningBehavior, WorkerVersioningMode},
    workflowservice::v1::*,
};

use crate::bed::{Bed, both_engines, commands, rpc, run_of};

/// Who completes a task.
#[derive(Default)]
struct Worker<'a> {
    build: &'a str,
    checksum: &'a str,
    deployment: Option<WorkerDeploymentOptions>,
}

fn build(id: &str) -> Worker<'_> {
    Worker {
        build: id,
        ..Default::default()
    }
}

fn stamp(build: &str) -> Option<WorkerVersionStamp> {
    (!build.is_empty()).then(|| WorkerVersionStamp {
        build_id: build.to_owned(),
        use_versioning: false,
    })
}

/// A completion by this worker.
fn by(
    worker: Worker<'_>,
    completion: RespondWorkflowTaskCompletedRequest,
) -> RespondWorkflowTaskCompletedRequest {
    RespondWorkflowTaskCompletedRequest {
        worker_version_stamp: stamp(worker.build),
        binary_checksum: worker.checksum.to_owned(),
        deployment_options: worker.deployment,
        ..completion
    }
}

/// Wakes `w` and completes its task by this worker.
async fn work(bed: &Bed, worker: Worker<'_>) -> PollWorkflowTaskQueueResponse {
    bed.signal("w", "s").await;
    let task = bed.task().await;
    let request = by(worker, bed.completion(&task, vec![]));
    rpc!(bed, respond_workflow_task_completed, request).expect("a completion");
    task
}

/// This search attribute of `w`, as JSON.
async fn attribute(bed: &Bed, name: &str) -> Option<String> {
    let info = bed
        .describe("w")
        .await
        .workflow_execution_info
        .expect("an execution");
    let value = info
        .search_attributes
        .unwrap_or_default()
        .indexed_fields
        .remove(name)?;
    assert_eq!(value.metadata["type"], b"KeywordList");
    Some(String::from_utf8(value.data).expect("JSON"))
}

async fn builds(bed: &Bed) -> String {
    attribute(bed, "BuildIds").await.unwrap_or_default()
}

/// What the worker that completed a task of `w` last said of its build.
async fn last_stamp(bed: &Bed) -> Option<WorkerVersionStamp> {
    let info = bed
        .describe("w")
        .await
        .workflow_execution_info
        .expect("an execution");
    info.most_recent_worker_version_stamp
}

both_engines! {
    async fn each_build_is_told_once(bed: &Bed) {
        bed.start("w").await;
        assert_eq!(builds(bed).await, "", "nobody has worked for it");
        work(bed, Worker::default()).await;
        assert_eq!(builds(bed).await, r#"["unversioned"]"#);
        assert_eq!(last_stamp(bed).await, None);
        for (id, told) in [
            ("b", r#"["unversioned","unversioned:b"]"#),
            ("a", r#"["unversioned","unversioned:b","unversioned:a"]"#),
            ("b", r#"["unversioned","unversioned:b","unversioned:a"]"#),
        ] {
            work(bed, build(id)).await;
            assert_eq!(builds(bed).await, told);
            assert_eq!(last_stamp(bed).await, stamp(id));
        }
        assert_eq!(attribute(bed, "BinaryChecksums").await, None);
        work(bed, Worker { checksum: "sum", ..build("c") }).await;
        assert_eq!(attribute(bed, "BinaryChecksums").await.as_deref(), Some(r#"["sum"]"#));
        for query in ["BuildIds = 'unversioned:a'", "BuildIds = 'unversioned'", "BinaryChecksums = 'sum'"] {
            bed.eventually(query, || async {
                let request = ListWorkflowExecutionsRequest {
                    namespace: bed.namespace.clone(),
                    query: query.to_owned(),
                    ..Default::default()
                };
                let found = rpc!(bed, list_workflow_executions, request).expect("a list").executions;
                (found.len() == 1).then_some(())
            }).await;
        }
    }

    async fn the_latest_are_told_as_far_as_they_fit(bed: &Bed) {
        bed.start("w").await;
        for number in 0..60 {
            work(bed, build(&format!("{number:02}{}", "x".repeat(40)))).await;
        }
        let told: Vec<String> = serde_json::from_str(&builds(bed).await).expect("a list");
        assert_eq!(told[0], "unversioned");
        assert_eq!(told[1], format!("unversioned:25{}", "x".repeat(40)));
        assert_eq!(told.len(), 36);
    }

    async fn a_build_id_has_a_longest_length(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let request = by(build(&"x".repeat(256)), bed.completion(&task, vec![]));
        let refused = rpc!(bed, respond_workflow_task_completed, request).expect_err("a refusal");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(
            refused.message(),
            "Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID."
        );
        let request = by(build(&"x".repeat(255)), bed.completion(&task, vec![]));
        rpc!(bed, respond_workflow_task_completed, request).expect("a completion");
    }

    async fn a_reset_forgets_the_builds_after_it(bed: &Bed) {
        bed.start("w").await;
        let before = work(bed, build("a")).await;
        work(bed, build("b")).await;
        let request = ResetWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(run_of(&before)),
            workflow_task_finish_event_id: 8,
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        rpc!(bed, reset_workflow_execution, request).expect("a reset");
        assert_eq!(builds(bed).await, r#"["unversioned","unversioned:a"]"#);
        let task = bed.task().await;
        let request = by(build("c"), bed.completion(&task, vec![commands::continue_as_new("again")]));
        rpc!(bed, respond_workflow_task_completed, request).expect("a completion");
        bed.eventually("the next run", || async {
            (builds(bed).await.is_empty()).then_some(())
        }).await;
        work(bed, build("c")).await;
        assert_eq!(builds(bed).await, r#"["unversioned","unversioned:c"]"#);
    }

    async fn what_is_pinned_later_keeps_the_builds_from_before(bed: &Bed) {
        bed.start("w").await;
        work(bed, build("a")).await;
        let deployment = |mode: WorkerVersioningMode| Some(WorkerDeploymentOptions {
            deployment_name: "shop".to_owned(),
            build_id: "1".to_owned(),
            worker_versioning_mode: mode as i32,
        });
        work(bed, Worker { deployment: deployment(WorkerVersioningMode::Unversioned), ..build("b") }).await;
        assert_eq!(builds(bed).await, r#"["unversioned","unversioned:a","unversioned:b"]"#);
        bed.signal("w", "s").await;
        let task = bed.task().await;
        let worker = Worker { deployment: deployment(WorkerVersioningMode::Versioned), ..Default::default() };
        let request = RespondWorkflowTaskCompletedRequest {
            versioning_behavior: VersioningBehavior::Pinned as i32,
            ..by(worker, bed.completion(&task, vec![]))
        };
        rpc!(bed, respond_workflow_task_completed, request).expect("a completion");
        assert_eq!(builds(bed).await, r#"["pinned:shop:1","unversioned:a","unversioned:b"]"#);
    }
}
