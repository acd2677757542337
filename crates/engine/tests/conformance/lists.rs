//! The lists of older clients: by filters in place of a query.
#![allow(deprecated, reason = "older clients call it")]

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::WorkflowExecutionStatus,
    filter::v1::{StartTimeFilter, StatusFilter, WorkflowExecutionFilter, WorkflowTypeFilter},
    workflow::v1::WorkflowExecutionInfo,
    workflowservice::v1::{
        GetSearchAttributesRequest, ListArchivedWorkflowExecutionsRequest,
        ListClosedWorkflowExecutionsRequest, ListOpenWorkflowExecutionsRequest,
        ScanWorkflowExecutionsRequest, list_closed_workflow_executions_request::Filters as Closed,
        list_open_workflow_executions_request::Filters as Open,
    },
};

use crate::bed::{Bed, both_engines, commands, rpc};

fn ids(found: Vec<WorkflowExecutionInfo>) -> Vec<String> {
    let mut ids: Vec<_> = found
        .into_iter()
        .filter_map(|info| info.execution)
        .map(|execution| execution.workflow_id)
        .collect();
    ids.sort();
    ids
}

fn times(earliest: i64, latest: i64) -> Option<StartTimeFilter> {
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    Some(StartTimeFilter {
        earliest_time: time(earliest),
        latest_time: time(latest),
    })
}

const END_OF_TIME: i64 = 4_000_000_000;

async fn open(bed: &Bed, filter: Option<StartTimeFilter>, filters: Option<Open>) -> Vec<String> {
    let request = ListOpenWorkflowExecutionsRequest {
        namespace: bed.namespace.clone(),
        start_time_filter: filter,
        filters,
        ..Default::default()
    };
    ids(rpc!(bed, list_open_workflow_executions, request)
        .expect("a list")
        .executions)
}

async fn closed(bed: &Bed, filter: Option<StartTimeFilter>, filters: Option<Closed>) -> Vec<String> {
    let request = ListClosedWorkflowExecutionsRequest {
        namespace: bed.namespace.clone(),
        start_time_filter: filter,
        filters,
        ..Default::default()
    };
    ids(rpc!(bed, list_closed_workflow_executions, request)
        .expect("a list")
        .executions)
}

/// Two open workflows and one that has completed, all listed.
async fn three(bed: &Bed) {
    bed.start("closed").await;
    let task = bed.task().await;
    bed.complete(&task, vec![commands::complete("done")]).await;
    for id in ["other", "open"] {
        bed.start(id).await;
    }
    bed.eventually("the lists are up to date", || async {
        (open(bed, None, None).await.len() == 2 && closed(bed, None, None).await.len() == 1).then_some(())
    })
    .await;
}

both_engines! {
    async fn open_workflows_are_listed_by_filters(bed: &Bed) {
        three(bed).await;
        assert_eq!(open(bed, times(1, END_OF_TIME), None).await, ["open", "other"]);
        assert!(open(bed, times(1, 1_000), None).await.is_empty());
        let id = |id: &str| {
            Some(Open::ExecutionFilter(WorkflowExecutionFilter { workflow_id: id.to_owned(), ..Default::default() }))
        };
        assert_eq!(open(bed, None, id("other")).await, ["other"]);
        assert!(open(bed, None, id("closed")).await.is_empty());
        let of_type = |name: &str| Some(Open::TypeFilter(WorkflowTypeFilter { name: name.to_owned() }));
        assert_eq!(open(bed, None, of_type("Test")).await, ["open", "other"]);
        assert!(open(bed, None, of_type("Other")).await.is_empty());
    }

    async fn closed_workflows_are_listed_by_filters(bed: &Bed) {
        three(bed).await;
        assert_eq!(closed(bed, times(1, END_OF_TIME), None).await, ["closed"]);
        assert!(closed(bed, times(1, 1_000), None).await.is_empty());
        let status = |status: WorkflowExecutionStatus| Some(Closed::StatusFilter(StatusFilter { status: status as i32 }));
        assert_eq!(closed(bed, None, status(WorkflowExecutionStatus::Completed)).await, ["closed"]);
        assert!(closed(bed, None, status(WorkflowExecutionStatus::Failed)).await.is_empty());
        let of_type = |name: &str| Some(Closed::TypeFilter(WorkflowTypeFilter { name: name.to_owned() }));
        assert_eq!(closed(bed, None, of_type("Test")).await, ["closed"]);
        let running = ListClosedWorkflowExecutionsRequest {
            namespace: bed.namespace.clone(),
            filters: status(WorkflowExecutionStatus::Running),
            ..Default::default()
        };
        let refused = rpc!(bed, list_closed_workflow_executions, running).expect_err("not closed");
        assert_eq!(refused.message(), "StatusFilter must be specified and must be not Running.");
    }

    async fn the_time_of_closing_counts_for_closed_workflows(bed: &Bed) {
        bed.start("w").await;
        let started = bed.describe("w").await.workflow_execution_info.expect("info").start_time.expect("a time");
        bed.eventually("a second has passed", || async {
            bed.start("clock").await;
            let now = bed.describe("clock").await.workflow_execution_info?.start_time?;
            let terminate = temporalio_common::protos::temporal::api::workflowservice::v1::TerminateWorkflowExecutionRequest {
                namespace: bed.namespace.clone(),
                workflow_execution: Some(crate::bed::execution("clock")),
                ..Default::default()
            };
            rpc!(bed, terminate_workflow_execution, terminate).ok()?;
            (now.seconds > started.seconds + 1).then_some(())
        })
        .await;
        let task = loop {
            let task = bed.task().await;
            if task.workflow_execution.as_ref().is_some_and(|of| of.workflow_id == "w") {
                break task;
            }
        };
        bed.complete(&task, vec![commands::complete("done")]).await;
        let w = |seconds| {
            let filter = WorkflowExecutionFilter { workflow_id: "w".to_owned(), ..Default::default() };
            closed(bed, times(1, seconds), Some(Closed::ExecutionFilter(filter)))
        };
        bed.eventually("it is listed", || async { (w(END_OF_TIME).await == ["w"]).then_some(()) }).await;
        assert!(w(started.seconds + 1).await.is_empty(), "it closed later");
    }

    async fn a_scan_is_a_list(bed: &Bed) {
        three(bed).await;
        let request = ScanWorkflowExecutionsRequest {
            namespace: bed.namespace.clone(),
            query: "ExecutionStatus = 'Completed'".to_owned(),
            ..Default::default()
        };
        assert_eq!(ids(rpc!(bed, scan_workflow_executions, request).expect("a scan").executions), ["closed"]);
    }

    async fn there_is_no_archive(bed: &Bed) {
        let request = ListArchivedWorkflowExecutionsRequest {
            namespace: bed.namespace.clone(),
            query: "WorkflowId = 'w'".to_owned(),
            ..Default::default()
        };
        let refused = rpc!(bed, list_archived_workflow_executions, request).expect_err("no archive");
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::InvalidArgument, "Cluster is not configured for visibility archival.")
        );
    }

    async fn built_in_search_attributes_are_told(bed: &Bed) {
        let keys = rpc!(bed, get_search_attributes, GetSearchAttributesRequest::default()).expect("them").keys;
        for name in ["WorkflowId", "StartTime", "HistoryLength", "TemporalChangeVersion", "RootWorkflowId"] {
            assert!(keys.contains_key(name), "{name}: {keys:?}");
        }
    }
}
