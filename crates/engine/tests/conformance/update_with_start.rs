//! Update-with-start: a start and an update as one operation.

use prost::Message as _;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::{
    google::rpc,
    temporal::api::{
        common::v1::link::Variant,
        enums::v1::{
            UpdateWorkflowExecutionLifecycleStage as Stage, WorkflowExecutionStatus,
            WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
        },
        errordetails::v1::{
            MultiOperationExecutionFailure, WorkflowExecutionAlreadyStartedFailure,
            multi_operation_execution_failure::OperationStatus,
        },
        workflowservice::v1::{
            ExecuteMultiOperationRequest, StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
            UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse,
            execute_multi_operation_request::{Operation, operation::Operation as Wanted},
            execute_multi_operation_response::response::Response as Done,
        },
    },
};

use crate::{
    bed::{Bed, both_engines, commands, rpc, seconds},
    update_messages::*,
};

const NOT_EXECUTED: &str = "Update-with-Start could not be executed.";

type Both = (StartWorkflowExecutionResponse, UpdateWorkflowExecutionResponse);

fn together(
    bed: &Bed,
    start: StartWorkflowExecutionRequest,
    update: UpdateWorkflowExecutionRequest,
) -> ExecuteMultiOperationRequest {
    let wanted = [Wanted::StartWorkflow(start), Wanted::UpdateWorkflow(update)];
    ExecuteMultiOperationRequest {
        namespace: bed.namespace.clone(),
        operations: wanted
            .map(|operation| Operation {
                operation: Some(operation),
            })
            .into(),
        resource_id: String::new(),
    }
}

async fn execute(
    bed: &Bed,
    start: StartWorkflowExecutionRequest,
    update: UpdateWorkflowExecutionRequest,
) -> Result<Both, Status> {
    let answer = rpc!(bed, execute_multi_operation, together(bed, start, update))?;
    let done: Vec<_> = answer
        .responses
        .into_iter()
        .map(|response| response.response)
        .collect();
    match <[_; 2]>::try_from(done) {
        Ok(
            [
                Some(Done::StartWorkflow(start)),
                Some(Done::UpdateWorkflow(update)),
            ],
        ) => Ok((start, update)),
        other => panic!("not a start and an update: {other:?}"),
    }
}

fn start(bed: &Bed, conflict: WorkflowIdConflictPolicy) -> StartWorkflowExecutionRequest {
    StartWorkflowExecutionRequest {
        workflow_id_conflict_policy: conflict as i32,
        ..bed.start_request("w")
    }
}

/// What became of each operation.
fn statuses(failed: &Status) -> Vec<OperationStatus> {
    let status = rpc::Status::decode(failed.details()).expect("a status");
    let detail = status.details.first().expect("a detail");
    assert!(
        detail
            .type_url
            .ends_with("temporal.api.errordetails.v1.MultiOperationExecutionFailure")
    );
    MultiOperationExecutionFailure::decode(detail.value.as_slice())
        .expect("a failure")
        .statuses
}

fn assert_aborted(status: &OperationStatus) {
    assert_eq!(
        (Code::from(status.code), status.message.as_str()),
        (Code::Aborted, "Operation was aborted.")
    );
    let name = "type.googleapis.com/temporal.api.failure.v1.MultiOperationExecutionAborted";
    assert_eq!(
        status
            .details
            .iter()
            .map(|detail| detail.type_url.as_str())
            .collect::<Vec<_>>(),
        [name]
    );
}

both_engines! {
    async fn the_first_task_brings_the_update(bed: &Bed) {
        let works = async {
            let task = bed.task().await;
            assert_eq!(task.started_event_id, 3);
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "hello")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
        };
        let start = start(bed, WorkflowIdConflictPolicy::Fail);
        let (done, ()) = tokio::join!(execute(bed, start, request(bed, "w", "u", Stage::Completed)), works);
        let (started, updated) = done.expect("both");
        assert!(started.started);
        assert_eq!(started.status(), WorkflowExecutionStatus::Running);
        assert_eq!(updated.outcome, success("hello"));
        let run = updated.update_ref.and_then(|reference| reference.workflow_execution).expect("a run");
        assert_eq!(run.run_id, started.run_id);
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionUpdateAccepted",
                "WorkflowExecutionUpdateCompleted",
            ]
        );
    }

    async fn a_rejected_update_leaves_the_workflow_started(bed: &Bed) {
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
        };
        let start = start(bed, WorkflowIdConflictPolicy::Fail);
        let (done, ()) = tokio::join!(execute(bed, start, request(bed, "w", "u", Stage::Completed)), works);
        let (started, updated) = done.expect("both");
        assert!(started.started);
        assert_eq!(failure_of(updated.outcome), "no");
        assert_eq!(bed.event_types("w").await.len(), 4);
    }

    async fn a_running_workflow_is_used(bed: &Bed) {
        let run_id = idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "used")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
        };
        let start = start(bed, WorkflowIdConflictPolicy::UseExisting);
        let (done, ()) = tokio::join!(execute(bed, start, request(bed, "w", "u", Stage::Completed)), works);
        let (started, updated) = done.expect("both");
        let Some(Variant::WorkflowEvent(first)) = started.link.and_then(|link| link.variant) else {
            panic!("no link to the run");
        };
        assert_eq!(first.run_id, run_id);
        assert_eq!((started.run_id, started.started), (run_id, false));
        assert_eq!(updated.outcome, success("used"));
    }

    async fn a_running_workflow_is_in_the_way(bed: &Bed) {
        let run_id = idle(bed, "w").await;
        let failed = execute(
            bed,
            start(bed, WorkflowIdConflictPolicy::Fail),
            request(bed, "w", "u", Stage::Completed),
        )
        .await
        .expect_err("it runs");
        assert_eq!(failed.code(), Code::AlreadyExists);
        assert_eq!(failed.message(), NOT_EXECUTED);
        let statuses = statuses(&failed);
        assert_eq!(Code::from(statuses[0].code), Code::AlreadyExists);
        let detail = WorkflowExecutionAlreadyStartedFailure::decode(statuses[0].details[0].value.as_slice());
        assert_eq!(detail.expect("a detail").run_id, run_id);
        assert_aborted(&statuses[1]);
        assert_eq!(bed.event_types("w").await.len(), 4, "nothing has happened");
    }

    async fn a_running_workflow_is_replaced(bed: &Bed) {
        let old = idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "new")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
        };
        let start = start(bed, WorkflowIdConflictPolicy::TerminateExisting);
        let (done, ()) = tokio::join!(execute(bed, start, request(bed, "w", "u", Stage::Completed)), works);
        let (started, updated) = done.expect("both");
        assert!(started.started && started.run_id != old);
        assert_eq!(updated.outcome, success("new"));
    }

    async fn a_known_update_is_found_whatever_the_policy(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            complete(bed, completion(bed, &task, vec![], vec![acceptance(&message)])).await;
            message
        };
        let (updated, message) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an update");
        let accepted = execute(
            bed,
            start(bed, WorkflowIdConflictPolicy::Fail),
            request(bed, "w", "u", Stage::Accepted),
        );
        let (started, updated) = accepted.await.expect("the update that is there");
        assert!(!started.started);
        assert_eq!(updated.stage(), Stage::Accepted);
        bed.signal("w", "end").await;
        let task = bed.task().await;
        let mut request = completion(bed, &task, vec![], vec![response(&message, "known")]);
        request.commands.push(commands::complete("done"));
        complete(bed, request).await;
        // Even of a closed workflow.
        let completed = execute(
            bed,
            start(bed, WorkflowIdConflictPolicy::Fail),
            crate::update_messages::request(bed, "w", "u", Stage::Completed),
        );
        let (started, updated) = completed.await.expect("the outcome that is there");
        assert!(!started.started);
        assert_eq!(started.status(), WorkflowExecutionStatus::Completed);
        assert_eq!(updated.outcome, success("known"));
    }

    async fn a_closed_workflow_makes_room_for_a_new_run(bed: &Bed) {
        let old = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let mut rejected = start(bed, WorkflowIdConflictPolicy::UseExisting);
        rejected.workflow_id_reuse_policy = WorkflowIdReusePolicy::RejectDuplicate as i32;
        let failed = execute(bed, rejected, request(bed, "w", "u", Stage::Completed)).await.expect_err("a duplicate");
        assert_eq!(failed.code(), Code::AlreadyExists);
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "again")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
        };
        let start = start(bed, WorkflowIdConflictPolicy::UseExisting);
        let (done, ()) = tokio::join!(execute(bed, start, request(bed, "w", "u", Stage::Completed)), works);
        let (started, updated) = done.expect("both");
        assert!(started.started && started.run_id != old);
        assert_eq!(updated.outcome, success("again"));
    }

    async fn the_same_request_again_is_the_same_start(bed: &Bed) {
        let start = start(bed, WorkflowIdConflictPolicy::Fail);
        let update = request(bed, "w", "u", Stage::Accepted);
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            complete(bed, completion(bed, &task, vec![], vec![acceptance(&message)])).await;
        };
        let (first, ()) = tokio::join!(execute(bed, start.clone(), update.clone()), works);
        let (again, _) = execute(bed, start, update).await.expect("both");
        assert_eq!(again.run_id, first.expect("both").0.run_id);
    }

    async fn a_workflow_that_closes_first_fails_the_update(bed: &Bed) {
        let works = async {
            let task = bed.task().await;
            bed.complete(&task, vec![commands::complete("done")]).await;
        };
        let start = start(bed, WorkflowIdConflictPolicy::Fail);
        let (done, ()) = tokio::join!(execute(bed, start, request(bed, "w", "u", Stage::Completed)), works);
        let failed = done.expect_err("the update came to nothing");
        assert_eq!(failed.code(), Code::NotFound);
        assert_eq!(failed.message(), NOT_EXECUTED);
        let statuses = statuses(&failed);
        assert_eq!(Code::from(statuses[0].code), Code::Ok);
        assert_eq!(
            (Code::from(statuses[1].code), statuses[1].message.as_str()),
            (Code::NotFound, "workflow update was aborted by closing workflow")
        );
    }

    async fn another_run_is_started_where_the_one_in_use_closes_first(bed: &Bed) {
        let old = idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            bed.complete(&task, vec![commands::complete("done")]).await;
            let task = bed.task().await;
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "by the next")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
        };
        let start = start(bed, WorkflowIdConflictPolicy::UseExisting);
        let (done, ()) = tokio::join!(execute(bed, start, request(bed, "w", "u", Stage::Completed)), works);
        let (started, updated) = done.expect("both");
        assert!(started.started && started.run_id != old);
        assert_eq!(updated.outcome, success("by the next"));
    }

    async fn what_cannot_be_together_is_refused(bed: &Bed) {
        let good = || start(bed, WorkflowIdConflictPolicy::Fail);
        let update = || request(bed, "w", "u", Stage::Completed);
        let mut cron = good();
        cron.cron_schedule = "@hourly".to_owned();
        let mut eager = good();
        eager.request_eager_execution = true;
        let mut delayed = good();
        delayed.workflow_start_delay = Some(seconds(1));
        let mut untyped = good();
        untyped.workflow_type = None;
        for (start, why) in [
            (cron, "CronSchedule is not allowed."),
            (eager, "RequestEagerExecution is not supported."),
            (delayed, "WorkflowStartDelay is not supported."),
            (untyped, "WorkflowType is not set on request."),
        ] {
            let failed = execute(bed, start, update()).await.expect_err(why);
            assert_eq!((failed.code(), failed.message()), (Code::InvalidArgument, NOT_EXECUTED));
            let statuses = statuses(&failed);
            assert_eq!(statuses[0].message, why);
            assert_aborted(&statuses[1]);
        }
        let mut of_run = update();
        of_run.workflow_execution.as_mut().unwrap().run_id = uuid::Uuid::new_v4().to_string();
        let mut of_chain = update();
        of_chain.first_execution_run_id = uuid::Uuid::new_v4().to_string();
        let other_id = request(bed, "other", "u", Stage::Completed);
        for (update, why) in [
            (of_run, "RunId is not allowed."),
            (of_chain, "FirstExecutionRunId is not allowed."),
            (other_id, "WorkflowId is not consistent with previous operation(s)."),
        ] {
            let failed = execute(bed, good(), update).await.expect_err(why);
            assert_eq!(failed.code(), Code::InvalidArgument);
            let statuses = statuses(&failed);
            assert_aborted(&statuses[0]);
            assert_eq!(statuses[1].message, why);
        }
        let mut reversed = together(bed, good(), update());
        reversed.operations.reverse();
        let mut alone = together(bed, good(), update());
        alone.operations.truncate(1);
        for wrong in [reversed, alone] {
            let failed = rpc!(bed, execute_multi_operation, wrong).expect_err("not a start and an update");
            assert_eq!(
                (failed.code(), failed.message()),
                (Code::InvalidArgument, "Operations have to be exactly [Start, Update].")
            );
        }
        let none = bed.query("w", "state").await.expect_err("nothing was started");
        assert_eq!(none.code(), Code::NotFound);
    }
}
