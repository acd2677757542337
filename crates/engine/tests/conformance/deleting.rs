//! Deleting executions.

use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    workflowservice::v1::{
        CountWorkflowExecutionsRequest, DeleteWorkflowExecutionRequest, DescribeWorkflowExecutionRequest,
        GetWorkflowExecutionHistoryRequest,
    },
};

use crate::bed::{Bed, both_engines, commands, execution, rpc};

fn run_of(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}

async fn delete(bed: &Bed, of: WorkflowExecution) -> Result<(), Status> {
    let request = DeleteWorkflowExecutionRequest {
        namespace: bed.namespace.clone(),
        workflow_execution: Some(of),
    };
    rpc!(bed, delete_workflow_execution, request).map(drop)
}

async fn describe(bed: &Bed, of: WorkflowExecution) -> Result<(), Status> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: bed.namespace.clone(),
        execution: Some(of),
    };
    rpc!(bed, describe_workflow_execution, request).map(drop)
}

/// Waits until nothing tells of the run any more.
async fn is_gone(bed: &Bed, of: WorkflowExecution) {
    let run = &of;
    bed.eventually("the run is gone", || async move {
        let unknown = describe(bed, run.clone()).await.err()?;
        (unknown.code() == Code::NotFound).then_some(())
    })
    .await;
    bed.eventually("its history is gone", || async move {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: bed.namespace.clone(),
            execution: Some(run.clone()),
            ..Default::default()
        };
        let unknown = rpc!(bed, get_workflow_execution_history, request).err()?;
        (unknown.code() == Code::NotFound).then_some(())
    })
    .await;
}

async fn counted(bed: &Bed) -> i64 {
    let request = CountWorkflowExecutionsRequest {
        namespace: bed.namespace.clone(),
        ..Default::default()
    };
    rpc!(bed, count_workflow_executions, request)
        .expect("a count")
        .count
}

async fn are_listed(bed: &Bed, count: i64) {
    bed.eventually("the list is up to date", || async {
        (counted(bed).await == count).then_some(())
    })
    .await;
}

both_engines! {
    async fn a_closed_workflow_is_deleted(bed: &Bed) {
        bed.start("kept").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let run_id = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        are_listed(bed, 2).await;
        delete(bed, execution("w")).await.expect("a deletion");
        is_gone(bed, run_of("w", &run_id)).await;
        are_listed(bed, 1).await;
        describe(bed, execution("kept")).await.expect("the other one is there");
        let again = delete(bed, run_of("w", &run_id)).await.expect_err("it is gone");
        assert_eq!(again.code(), Code::NotFound);
        bed.start("w").await;
        describe(bed, execution("w")).await.expect("the id can be used again");
    }

    async fn a_running_workflow_ends_and_is_deleted(bed: &Bed) {
        let run_id = bed.start("w").await;
        let held = bed.task().await;
        are_listed(bed, 1).await;
        delete(bed, execution("w")).await.expect("a deletion");
        is_gone(bed, run_of("w", &run_id)).await;
        are_listed(bed, 0).await;
        let late = bed.try_complete(&held, vec![commands::complete("late")]).await.expect_err("it is gone");
        assert_eq!(late.code(), Code::NotFound);
        let late = bed.try_signal("w", "late").await.expect_err("it is gone");
        assert_eq!(late.code(), Code::NotFound);
    }

    async fn an_older_run_does_not_become_current_again(bed: &Bed) {
        let older = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let current = bed.start("w").await;
        are_listed(bed, 2).await;
        delete(bed, execution("w")).await.expect("a deletion");
        is_gone(bed, run_of("w", &current)).await;
        let unknown = describe(bed, execution("w")).await.expect_err("there is no current run");
        assert_eq!(unknown.code(), Code::NotFound);
        describe(bed, run_of("w", &older)).await.expect("the older run is there");
    }

    async fn what_is_not_there_cannot_be_deleted(bed: &Bed) {
        let unknown = delete(bed, execution("nobody")).await.expect_err("unknown");
        assert_eq!(unknown.code(), Code::NotFound);
        let nameless = delete(bed, execution("")).await.expect_err("no id");
        assert_eq!(nameless.message(), "WorkflowId is not set on request.");
    }
}
