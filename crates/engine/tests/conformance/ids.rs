//! Workflow ids: what a start does where the id is taken, and requests that come twice.

use prost::Message as _;
use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
    errordetails::v1::WorkflowExecutionAlreadyStartedFailure,
    workflow::v1::OnConflictOptions,
};

use crate::bed::{Bed, both_engines, commands, rpc, run_of};

/// The run id that an AlreadyStarted error names.
fn run_id_in(status: &temporalio_client::tonic::Status) -> String {
    let details = temporalio_common::protos::google::rpc::Status::decode(status.details()).expect("details");
    let any = details.details.first().expect("a detail");
    assert!(
        any.type_url.ends_with("WorkflowExecutionAlreadyStartedFailure"),
        "{}",
        any.type_url
    );
    WorkflowExecutionAlreadyStartedFailure::decode(any.value.as_slice())
        .expect("the detail")
        .run_id
}

async fn finish(bed: &Bed) {
    let task = bed.task().await;
    bed.complete(&task, vec![commands::complete("done")]).await;
}

/// The version of a UUID.
fn version(id: &str) -> Option<usize> {
    uuid::Uuid::try_parse(id).ok().map(|id| id.get_version_num())
}

both_engines! {
    async fn run_ids_of_starts_sort_by_time(bed: &Bed) {
        let parent = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_child(commands::child("child"))]).await;
        let child = loop {
            // The child's, or the parent's that tells of it.
            let task = bed.task().await;
            if run_of(&task).workflow_id == "child" {
                break run_of(&task).run_id;
            }
            bed.complete(&task, vec![]).await;
        };
        for id in [&parent, &child] {
            assert_eq!(version(id), Some(7), "{id}");
        }
        assert!(parent < child, "{parent} {child}");
    }

    async fn a_running_id_is_refused(bed: &Bed) {
        let run_id = bed.start("w").await;
        let refused = rpc!(bed, start_workflow_execution, bed.start_request("w")).expect_err("taken");
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(run_id_in(&refused), run_id);
    }

    async fn the_same_request_twice_is_one_start(bed: &Bed) {
        let request = bed.start_request("w");
        let first = rpc!(bed, start_workflow_execution, request.clone()).expect("a start");
        let second = rpc!(bed, start_workflow_execution, request).expect("the same start");
        assert_eq!(first.run_id, second.run_id);
        assert_eq!(bed.event_types("w").await.len(), 2);
    }

    async fn a_running_id_can_be_used_as_it_is(bed: &Bed) {
        let run_id = bed.start("w").await;
        let mut request = bed.start_request("w");
        request.set_workflow_id_conflict_policy(WorkflowIdConflictPolicy::UseExisting);
        let answer = rpc!(bed, start_workflow_execution, request).expect("the running one");
        assert_eq!(answer.run_id, run_id);
        assert!(!answer.started);
    }

    async fn a_start_can_be_attached_to_what_runs(bed: &Bed) {
        let run_id = bed.start("w").await;
        let mut request = bed.start_request("w");
        request.request_id = "attached".to_owned();
        request.set_workflow_id_conflict_policy(WorkflowIdConflictPolicy::UseExisting);
        request.on_conflict_options = Some(OnConflictOptions {
            attach_request_id: true,
            ..Default::default()
        });
        let answer = rpc!(bed, start_workflow_execution, request.clone()).expect("the existing");
        assert_eq!((&answer.run_id, answer.started), (&run_id, false));
        // The same request again is the same, whatever its policy.
        let answer = rpc!(bed, start_workflow_execution, request.clone()).expect("the existing");
        assert_eq!(answer.run_id, run_id);
        request.set_workflow_id_conflict_policy(WorkflowIdConflictPolicy::Fail);
        request.on_conflict_options = None;
        let answer = rpc!(bed, start_workflow_execution, request).expect("the existing");
        assert_eq!((&answer.run_id, answer.started), (&run_id, false));
        assert_eq!(
            bed.event_types("w").await,
            ["WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowExecutionOptionsUpdated"]
        );
        let updated =
            crate::bed::attributes!(bed.history("w").await, WorkflowExecutionOptionsUpdatedEventAttributes);
        assert_eq!(updated.attached_request_id, "attached");
        let infos = bed.describe("w").await.workflow_extended_info.expect("info").request_id_infos;
        assert_eq!(infos.len(), 2, "{infos:?}");
        let attached = infos.get("attached").expect("it is known");
        assert_eq!((attached.event_type(), attached.event_id), (EventType::WorkflowExecutionOptionsUpdated, 3));
        let of_start = infos.values().find(|info| info.event_id == 1).expect("the start is known");
        assert_eq!(of_start.event_type(), EventType::WorkflowExecutionStarted);
    }

    async fn what_is_attached_during_a_task_is_buffered(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut request = bed.start_request("w");
        request.request_id = "attached".to_owned();
        request.set_workflow_id_conflict_policy(WorkflowIdConflictPolicy::UseExisting);
        request.on_conflict_options = Some(OnConflictOptions {
            attach_request_id: true,
            ..Default::default()
        });
        rpc!(bed, start_workflow_execution, request).expect("the existing");
        let infos = bed.describe("w").await.workflow_extended_info.expect("info").request_id_infos;
        assert!(infos.get("attached").expect("it is known").buffered);
        bed.complete(&task, vec![]).await;
        assert_eq!(
            bed.event_types("w").await[3..5],
            ["WorkflowTaskCompleted", "WorkflowExecutionOptionsUpdated"]
        );
    }

    async fn a_running_id_can_be_terminated_for_the_new(bed: &Bed) {
        let old = bed.start("w").await;
        let mut request = bed.start_request("w");
        request.set_workflow_id_conflict_policy(WorkflowIdConflictPolicy::TerminateExisting);
        let answer = rpc!(bed, start_workflow_execution, request).expect("a new one");
        assert_ne!(answer.run_id, old);
        assert!(answer.started);
        let old = temporalio_common::protos::temporal::api::common::v1::WorkflowExecution {
            workflow_id: "w".to_owned(),
            run_id: old,
        };
        let old = bed.history_of(old).await;
        assert_eq!(old.last().map(|event| event.event_type()), Some(EventType::WorkflowExecutionTerminated));
    }

    async fn a_closed_id_is_free_again(bed: &Bed) {
        let first = bed.start("w").await;
        finish(bed).await;
        assert_ne!(bed.start("w").await, first);
    }

    async fn a_closed_id_can_be_refused(bed: &Bed) {
        let first = bed.start("w").await;
        finish(bed).await;
        let mut request = bed.start_request("w");
        request.set_workflow_id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate);
        let refused = rpc!(bed, start_workflow_execution, request).expect_err("used");
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(run_id_in(&refused), first);
    }

    async fn only_a_failed_id_can_be_tried_again(bed: &Bed) {
        let failed_only = |mut request: temporalio_common::protos::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest| {
            request.set_workflow_id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicateFailedOnly);
            request
        };
        bed.start("failed").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::fail("broken")]).await;
        rpc!(bed, start_workflow_execution, failed_only(bed.start_request("failed"))).expect("it failed");
        finish(bed).await;
        bed.start("fine").await;
        finish(bed).await;
        let refused =
            rpc!(bed, start_workflow_execution, failed_only(bed.start_request("fine"))).expect_err("it did not");
        assert_eq!(refused.code(), Code::AlreadyExists);
    }

    async fn a_start_that_lacks_something_is_refused(bed: &Bed) {
        let mut no_id = bed.start_request("w");
        no_id.workflow_id.clear();
        let mut no_type = bed.start_request("w");
        no_type.workflow_type = None;
        let mut no_queue = bed.start_request("w");
        no_queue.task_queue = None;
        let mut long_id = bed.start_request("w");
        long_id.workflow_id = "x".repeat(1_001);
        for request in [no_id, no_type, no_queue, long_id] {
            let refused = rpc!(bed, start_workflow_execution, request).expect_err("refused");
            assert_eq!(refused.code(), Code::InvalidArgument, "{}", refused.message());
        }
    }
}
