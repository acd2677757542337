//! Options of a running execution that clients change.

use prost_types::FieldMask;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    common::v1::Priority,
    history::v1::{WorkflowExecutionOptionsUpdatedEventAttributes, history_event::Attributes},
    workflow::v1::{VersioningOverride, WorkflowExecutionOptions, versioning_override::Override},
    workflowservice::v1::{StartWorkflowExecutionRequest, UpdateWorkflowExecutionOptionsRequest},
};

use crate::bed::{Bed, both_engines, commands, execution, queue, rpc};

async fn update(
    bed: &Bed,
    id: &str,
    path: &str,
    options: WorkflowExecutionOptions,
) -> Result<WorkflowExecutionOptions, Status> {
    let request = UpdateWorkflowExecutionOptionsRequest {
        namespace: bed.namespace.clone(),
        workflow_execution: Some(execution(id)),
        workflow_execution_options: Some(options),
        update_mask: Some(FieldMask {
            paths: vec![path.to_owned()],
        }),
        identity: "operator".to_owned(),
    };
    let updated = rpc!(bed, update_workflow_execution_options, request)?;
    Ok(updated.workflow_execution_options.unwrap_or_default())
}

fn priority(priority_key: i32, fairness_key: &str) -> WorkflowExecutionOptions {
    WorkflowExecutionOptions {
        priority: Some(Priority {
            priority_key,
            fairness_key: fairness_key.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn updates(bed: &Bed) -> Vec<WorkflowExecutionOptionsUpdatedEventAttributes> {
    let events = bed.history("w").await.into_iter();
    events
        .filter_map(|event| match event.attributes {
            Some(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(updated)) => {
                assert!(event.worker_may_ignore);
                Some(updated)
            }
            _ => None,
        })
        .collect()
}

both_engines! {
    async fn wrong_priorities_are_refused(bed: &Bed) {
        let priority = |priority: Priority| StartWorkflowExecutionRequest { priority: Some(priority), ..bed.start_request("w") };
        for (given, message) in [
            (Priority { priority_key: -1, ..Default::default() }, "priority key can't be negative"),
            (Priority { fairness_key: "x".repeat(65), ..Default::default() }, "fairness key length exceeds limit"),
            (Priority { fairness_weight: -1.0, ..Default::default() }, "must be greater than zero"),
        ] {
            let refused = rpc!(bed, start_workflow_execution, priority(given)).expect_err("refused");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
        }
        let all = Priority { priority_key: 5, fairness_key: "tenant".to_owned(), fairness_weight: 2.5 };
        rpc!(bed, start_workflow_execution, priority(all.clone())).expect("a start");
        let info = bed.describe("w").await.workflow_execution_info.expect("info");
        assert_eq!(info.priority, Some(all));
    }

    async fn the_priority_is_changed(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let after = update(bed, "w", "priority", priority(2, "")).await.expect("an update");
        assert_eq!(after, priority(2, ""));
        let after = update(bed, "w", "priority.fairness_key", priority(0, "k")).await.expect("an update");
        assert_eq!(after, priority(2, "k"));
        update(bed, "w", "priority", priority(2, "k")).await.expect("nothing new");
        let told = updates(bed).await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1].priority, priority(2, "k").priority);
        assert_eq!(told[1].identity, "operator");
        assert!(told[1].versioning_override.is_none() && told[1].unset_versioning_override);
        let described = bed.describe("w").await;
        assert_eq!(described.workflow_execution_info.expect("info").priority, priority(2, "k").priority);
        assert!(described.pending_workflow_task.is_none(), "the workflow has nothing to do about it");
    }

    async fn the_version_is_left_to_the_deployment(bed: &Bed) {
        bed.start("w").await;
        let auto = WorkflowExecutionOptions {
            versioning_override: Some(VersioningOverride {
                r#override: Some(Override::AutoUpgrade(true)),
                ..Default::default()
            }),
            ..Default::default()
        };
        let after = update(bed, "w", "versioning_override", auto.clone()).await.expect("an update");
        assert_eq!(after, auto);
        let info = bed.describe("w").await.workflow_execution_info.expect("info");
        let told = info.versioning_info.expect("it is told").versioning_override.expect("the override");
        assert_eq!(told.r#override, Some(Override::AutoUpgrade(true)));
        let none = WorkflowExecutionOptions::default();
        let after = update(bed, "w", "versioning_override", none.clone()).await.expect("an update");
        assert_eq!(after, none);
        let told = updates(bed).await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0].versioning_override, auto.versioning_override);
        assert!(!told[0].unset_versioning_override && told[1].unset_versioning_override);
    }

    async fn wrong_changes_are_refused(bed: &Bed) {
        bed.start("w").await;
        let refused = update(bed, "w", "foo", priority(2, "")).await.expect_err("no such option");
        assert_eq!(refused.code(), Code::InvalidArgument);
        let refused = update(bed, "nobody", "priority", priority(2, "")).await.expect_err("unknown");
        assert_eq!(refused.code(), Code::NotFound);
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let refused = update(bed, "w", "priority", priority(2, "")).await.expect_err("closed");
        assert_eq!(refused.code(), Code::NotFound);
        assert!(updates(bed).await.is_empty());
    }
}

/// The workflow ids of the tasks that wait, in the order in which a worker gets them.
async fn order(bed: &Bed, count: usize) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..count {
        let task = bed.task().await;
        order.push(task.workflow_execution.expect("an execution").workflow_id);
    }
    order
}

/// On the real server tasks may be in several partitions, whose order is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_priority_moves_the_tasks_that_wait() {
    let bed = Bed::embedded().await;
    for id in ["a", "b", "c", "d"] {
        bed.start(id).await;
    }
    update(&bed, "c", "priority", priority(1, ""))
        .await
        .expect("an update");
    update(&bed, "a", "priority.priority_key", priority(5, ""))
        .await
        .expect("an update");
    let request = temporalio_common::protos::temporal::api::workflowservice::v1::DescribeTaskQueueRequest {
        namespace: bed.namespace.clone(),
        task_queue: Some(queue(&bed.queue)),
        report_stats: true,
        ..Default::default()
    };
    let stats = rpc!(bed, describe_task_queue, request)
        .expect("a description")
        .stats;
    assert_eq!(
        stats.expect("stats").approximate_backlog_count,
        4,
        "no task is there twice"
    );
    assert_eq!(order(&bed, 4).await, ["c", "b", "d", "a"]);
}

/// A real server shares a backlog out so if its operator switches that on.
#[tokio::test(flavor = "multi_thread")]
async fn keys_share_what_workers_take() {
    let bed = Bed::embedded().await;
    let start = |id: String, fairness_key: &str, fairness_weight: f32| StartWorkflowExecutionRequest {
        priority: Some(Priority {
            fairness_key: fairness_key.to_owned(),
            fairness_weight,
            ..Default::default()
        }),
        ..bed.start_request(&id)
    };
    for n in 0..9 {
        rpc!(
            bed,
            start_workflow_execution,
            start(format!("many-{n}"), "many", 0.0)
        )
        .expect("a start");
    }
    for n in 0..3 {
        rpc!(
            bed,
            start_workflow_execution,
            start(format!("few-{n}"), "few", 0.0)
        )
        .expect("a start");
    }
    let order = order(&bed, 6).await;
    let few = order.iter().filter(|id| id.starts_with("few")).count();
    assert_eq!(few, 3, "{order:?}");
}
