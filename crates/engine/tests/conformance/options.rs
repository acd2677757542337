//! Options of a running execution that clients change.

use prost_types::FieldMask;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    common::v1::Priority,
    history::v1::{WorkflowExecutionOptionsUpdatedEventAttributes, history_event::Attributes},
    workflow::v1::{VersioningOverride, WorkflowExecutionOptions, versioning_override::Override},
    workflowservice::v1::UpdateWorkflowExecutionOptionsRequest,
};

use crate::bed::{Bed, both_engines, commands, execution, rpc};

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
