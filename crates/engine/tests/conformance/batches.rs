//! Batch operations: one thing done to many executions.
#![allow(deprecated, reason = "older clients say it so")]

use std::collections::HashSet;

use prost_types::FieldMask;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    activity::v1::ActivityOptions,
    batch::v1::{
        BatchOperationCancelActivities, BatchOperationCancellation, BatchOperationDeleteActivities,
        BatchOperationDeletion, BatchOperationReset, BatchOperationSignal, BatchOperationTerminateActivities,
        BatchOperationTermination, BatchOperationUnpauseActivities, BatchOperationUpdateActivityOptions,
        BatchOperationUpdateWorkflowExecutionOptions, batch_operation_unpause_activities,
        batch_operation_update_activity_options,
    },
    common::v1::{Priority, ResetOptions, WorkerVersionStamp, reset_options::Target},
    enums::v1::{BatchOperationState, BatchOperationType, EventType},
    history::v1::history_event::Attributes,
    workflow::v1::WorkflowExecutionOptions,
    workflowservice::v1::{
        CountWorkflowExecutionsRequest, DescribeBatchOperationRequest, DescribeBatchOperationResponse,
        ListBatchOperationsRequest, PauseActivityRequest, RespondWorkflowTaskCompletedRequest,
        StartBatchOperationRequest, StopBatchOperationRequest, pause_activity_request,
        start_batch_operation_request::Operation,
    },
};

use crate::bed::{Bed, both_engines, commands, execution, payloads, rpc, seconds};

fn request(bed: &Bed, operation: Operation) -> StartBatchOperationRequest {
    StartBatchOperationRequest {
        namespace: bed.namespace.clone(),
        visibility_query: "WorkflowType = 'Test'".to_owned(),
        job_id: uuid::Uuid::new_v4().to_string(),
        reason: "a test".to_owned(),
        operation: Some(operation),
        ..Default::default()
    }
}

fn signal(name: &str) -> Operation {
    Operation::SignalOperation(BatchOperationSignal {
        signal: name.to_owned(),
        input: Some(payloads("input")),
        identity: "operator".to_owned(),
        ..Default::default()
    })
}

async fn describe(bed: &Bed, job_id: &str) -> Result<DescribeBatchOperationResponse, Status> {
    let request = DescribeBatchOperationRequest {
        namespace: bed.namespace.clone(),
        job_id: job_id.to_owned(),
    };
    rpc!(bed, describe_batch_operation, request)
}

/// Starts it, and waits for its end. The real server runs one at a time in a namespace.
async fn done(bed: &Bed, request: StartBatchOperationRequest) -> DescribeBatchOperationResponse {
    let job_id = request.job_id.clone();
    let request = &request;
    bed.eventually("the operation starts", || async move {
        match rpc!(bed, start_batch_operation, request.clone()) {
            Ok(_) => Some(()),
            Err(busy) if busy.code() == Code::ResourceExhausted => None,
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
    let job_id = job_id.as_str();
    bed.eventually("the operation ends", || async move {
        let described = describe(bed, job_id).await.ok()?;
        (described.state() != BatchOperationState::Running).then_some(described)
    })
    .await
}

/// Starts workflows and waits until they are listed.
async fn started(bed: &Bed, ids: &[&str]) {
    for id in ids {
        bed.start(id).await;
    }
    are_counted(bed, "", ids.len() as i64).await;
}

async fn are_counted(bed: &Bed, query: &str, count: i64) {
    bed.eventually(&format!("{query} counts {count}"), || async move {
        let request = CountWorkflowExecutionsRequest {
            namespace: bed.namespace.clone(),
            query: query.to_owned(),
        };
        let counted = rpc!(bed, count_workflow_executions, request).expect("a count");
        (counted.count == count).then_some(())
    })
    .await;
}

both_engines! {
    async fn standalone_activities_are_ended_and_deleted(bed: &Bed) {
        use temporalio_common::protos::temporal::api::{
            common::v1::ActivityType,
            enums::v1::ActivityExecutionStatus as Status,
            workflowservice::v1::{
                CountActivityExecutionsRequest, DescribeActivityExecutionRequest, StartActivityExecutionRequest,
            },
        };
        let start = |id: &str, name: &str| StartActivityExecutionRequest {
            namespace: bed.namespace.clone(),
            activity_id: id.to_owned(),
            activity_type: Some(ActivityType { name: name.to_owned() }),
            task_queue: Some(crate::bed::queue("nobody")),
            start_to_close_timeout: Some(seconds(30)),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        for (id, name) in [("a", "One"), ("b", "One"), ("c", "Two")] {
            rpc!(bed, start_activity_execution, start(id, name)).expect("a start");
        }
        let counted = |query: &'static str, count: i64| async move {
            bed.eventually(query, || async {
                let request = CountActivityExecutionsRequest { namespace: bed.namespace.clone(), query: query.to_owned() };
                let counted = rpc!(bed, count_activity_executions, request).expect("a count");
                (counted.count == count).then_some(())
            }).await;
        };
        counted("ExecutionStatus = 'Running'", 3).await;
        let status = |id: &'static str| async move {
            let request = DescribeActivityExecutionRequest {
                namespace: bed.namespace.clone(),
                activity_id: id.to_owned(),
                ..Default::default()
            };
            let described = rpc!(bed, describe_activity_execution, request);
            described.map(|described| described.info.expect("info").status())
        };
        let of = |name: &str, operation: Operation| StartBatchOperationRequest {
            visibility_query: format!("ActivityType = '{name}'"),
            ..request(bed, operation)
        };
        let described = done(bed, of("One", Operation::CancelActivitiesOperation(BatchOperationCancelActivities {
            identity: "operator".to_owned(),
            reason: "enough".to_owned(),
        }))).await;
        assert_eq!(described.operation_type(), BatchOperationType::CancelActivity);
        assert_eq!((described.total_operation_count, described.complete_operation_count), (2, 2));
        assert_eq!(described.identity, "operator");
        for (id, expected) in [("a", Status::Canceled), ("b", Status::Canceled), ("c", Status::Running)] {
            assert_eq!(status(id).await.expect("a description"), expected, "{id}");
        }
        done(bed, of("Two", Operation::TerminateActivitiesOperation(BatchOperationTerminateActivities {
            identity: "operator".to_owned(),
            reason: "enough".to_owned(),
        }))).await;
        assert_eq!(status("c").await.expect("a description"), Status::Terminated);
        counted("ExecutionStatus = 'Running'", 0).await;
        counted("ActivityType = 'One'", 2).await;
        done(bed, of("One", Operation::DeleteActivitiesOperation(BatchOperationDeleteActivities {}))).await;
        for id in ["a", "b"] {
            assert_eq!(status(id).await.expect_err("deleted").code(), Code::NotFound);
        }
        assert_eq!(status("c").await.expect("a description"), Status::Terminated);
    }

    async fn running_workflows_are_signaled(bed: &Bed) {
        started(bed, &["a", "b", "closed"]).await;
        let mut open = HashSet::from(["a", "b", "closed"]);
        while open.contains("closed") {
            let task = bed.task().await;
            let id = task.workflow_execution.as_ref().expect("its ids").workflow_id.clone();
            open.remove(id.as_str());
            let commands = if id == "closed" { vec![commands::complete("done")] } else { vec![] };
            bed.complete(&task, commands).await;
        }
        are_counted(bed, "ExecutionStatus = 'Completed'", 1).await;
        let request = request(bed, signal("go"));
        let described = done(bed, request.clone()).await;
        assert_eq!(described.state(), BatchOperationState::Completed);
        assert_eq!(described.operation_type(), BatchOperationType::SignalWorkflow);
        assert_eq!(described.job_id, request.job_id);
        assert_eq!((described.total_operation_count, described.complete_operation_count), (2, 2));
        assert_eq!(described.failure_operation_count, 0);
        assert_eq!((described.identity.as_str(), described.reason.as_str()), ("operator", "a test"));
        assert_eq!(described.query, request.visibility_query);
        assert!(described.start_time.is_some() && described.close_time.is_some());
        for id in ["a", "b"] {
            let history = bed.history(id).await;
            let signals: Vec<_> = history
                .iter()
                .filter_map(|event| match &event.attributes {
                    Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) => Some(signal),
                    _ => None,
                })
                .collect();
            assert_eq!(signals.len(), 1, "{id}");
            assert_eq!((signals[0].signal_name.as_str(), &signals[0].input), ("go", &Some(payloads("input"))));
        }
        assert!(!bed.event_types("closed").await.contains(&"WorkflowExecutionSignaled"));
    }

    async fn workflows_are_canceled_and_terminated(bed: &Bed) {
        started(bed, &["a", "b", "c"]).await;
        let cancel = Operation::CancellationOperation(BatchOperationCancellation { identity: "operator".to_owned() });
        let described = done(bed, request(bed, cancel)).await;
        assert_eq!(described.complete_operation_count, 3);
        assert_eq!(described.operation_type(), BatchOperationType::CancelWorkflow);
        for id in ["a", "b", "c"] {
            assert!(bed.event_types(id).await.contains(&"WorkflowExecutionCancelRequested"), "{id}");
        }
        let terminate = Operation::TerminationOperation(BatchOperationTermination {
            details: Some(payloads("details")),
            identity: "operator".to_owned(),
        });
        let described = done(bed, request(bed, terminate)).await;
        assert_eq!(described.complete_operation_count, 3);
        for id in ["a", "b", "c"] {
            let end = bed.close_event(id).await;
            let Some(Attributes::WorkflowExecutionTerminatedEventAttributes(end)) = end.attributes else {
                panic!("terminated: {end:?}")
            };
            assert_eq!(end.reason, "a test");
        }
    }

    async fn named_executions_are_enough(bed: &Bed) {
        started(bed, &["a", "b", "other"]).await;
        let terminate = Operation::TerminationOperation(BatchOperationTermination::default());
        let request = StartBatchOperationRequest {
            visibility_query: String::new(),
            executions: vec![execution("a"), execution("nobody"), execution("b")],
            ..request(bed, terminate)
        };
        let described = done(bed, request).await;
        assert_eq!(described.state(), BatchOperationState::Completed);
        // One that is not there needs nothing.
        assert_eq!((described.total_operation_count, described.complete_operation_count), (3, 3));
        let named: Vec<_> = described.executions.iter().map(|named| named.business_id.as_str()).collect();
        assert_eq!(named, ["a", "nobody", "b"]);
        for id in ["a", "b"] {
            assert_eq!(bed.close_event(id).await.event_type(), EventType::WorkflowExecutionTerminated);
        }
        bed.try_signal("other", "s").await.expect("it is running");
    }

    async fn workflows_are_reset(bed: &Bed) {
        started(bed, &["a", "b"]).await;
        for _ in 0..2 {
            let task = bed.task().await;
            bed.complete(&task, vec![commands::marker("m")]).await;
        }
        let reset = Operation::ResetOperation(BatchOperationReset {
            identity: "operator".to_owned(),
            options: Some(ResetOptions { target: Some(Target::FirstWorkflowTask(())), ..Default::default() }),
            ..Default::default()
        });
        let described = done(bed, request(bed, reset)).await;
        assert_eq!((described.complete_operation_count, described.failure_operation_count), (2, 0));
        for id in ["a", "b"] {
            assert_eq!(
                bed.event_types(id).await,
                [
                    "WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed",
                    "WorkflowTaskScheduled"
                ]
            );
        }
    }

    async fn a_reset_to_a_build_goes_back_to_the_run_that_it_worked_on(bed: &Bed) {
        let stamped = |task, commands, build_id: &str| RespondWorkflowTaskCompletedRequest {
            worker_version_stamp: Some(WorkerVersionStamp { build_id: build_id.to_owned(), use_versioning: false }),
            ..bed.completion(task, commands)
        };
        let first = bed.start("w").await;
        let task = bed.task().await;
        let next = stamped(&task, vec![commands::continue_as_new("next")], "one");
        rpc!(bed, respond_workflow_task_completed, next).expect("a completion");
        let task = bed.task().await;
        let done_by_two = stamped(&task, vec![commands::marker("m")], "two");
        rpc!(bed, respond_workflow_task_completed, done_by_two).expect("a completion");
        let second = bed.describe("w").await.workflow_execution_info.expect("its info");
        let points = second.auto_reset_points.expect("points").points;
        let told: Vec<_> = points.iter().map(|point| (point.build_id.as_str(), point.run_id == first)).collect();
        assert_eq!(told, [("one", true), ("two", false)]);
        are_counted(bed, "ExecutionStatus = 'Running'", 1).await;
        let reset = |build_id: &str, current_run_only| StartBatchOperationRequest {
            visibility_query: "ExecutionStatus = 'Running'".to_owned(),
            ..request(bed, Operation::ResetOperation(BatchOperationReset {
                identity: "operator".to_owned(),
                options: Some(ResetOptions {
                    target: Some(Target::BuildId(build_id.to_owned())),
                    current_run_only,
                    ..Default::default()
                }),
                ..Default::default()
            }))
        };
        let refused = done(bed, reset("one", true)).await;
        assert_eq!((refused.complete_operation_count, refused.failure_operation_count), (0, 1));
        let described = done(bed, reset("one", false)).await;
        assert_eq!((described.complete_operation_count, described.failure_operation_count), (1, 0));
        let events = bed.history("w").await;
        let failed = events.iter().find_map(|event| match &event.attributes {
            Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) => Some(failed.base_run_id.clone()),
            _ => None,
        });
        assert_eq!(failed.as_ref(), Some(&first), "it begins as the first run did");
    }

    async fn workflows_are_deleted(bed: &Bed) {
        started(bed, &["a", "b", "c"]).await;
        let delete = Operation::DeletionOperation(BatchOperationDeletion { identity: "operator".to_owned() });
        let described = done(bed, request(bed, delete)).await;
        assert_eq!((described.complete_operation_count, described.failure_operation_count), (3, 0));
        are_counted(bed, "", 0).await;
        for id in ["a", "b", "c"] {
            bed.eventually("it is gone", || async move {
                (bed.try_signal(id, "s").await.err()?.code() == Code::NotFound).then_some(())
            })
            .await;
        }
    }

    async fn options_and_activities_are_changed(bed: &Bed) {
        started(bed, &["w"]).await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", &bed.queue))]).await;
        let pause = PauseActivityRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
            activity: Some(pause_activity_request::Activity::Id("a".to_owned())),
            ..Default::default()
        };
        rpc!(bed, pause_activity, pause).expect("a pause");
        let options = Operation::UpdateActivityOptionsOperation(BatchOperationUpdateActivityOptions {
            activity: Some(batch_operation_update_activity_options::Activity::MatchAll(true)),
            activity_options: Some(ActivityOptions {
                start_to_close_timeout: Some(seconds(77)),
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["start_to_close_timeout".to_owned()] }),
            ..Default::default()
        });
        let described = done(bed, request(bed, options)).await;
        assert_eq!((described.complete_operation_count, described.failure_operation_count), (1, 0));
        let unpause = Operation::UnpauseActivitiesOperation(BatchOperationUnpauseActivities {
            activity: Some(batch_operation_unpause_activities::Activity::Type("Act".to_owned())),
            ..Default::default()
        });
        let described = done(bed, request(bed, unpause)).await;
        assert_eq!((described.complete_operation_count, described.failure_operation_count), (1, 0));
        assert_eq!(described.operation_type(), BatchOperationType::UnpauseActivity);
        assert_eq!(bed.activity_task().await.activity_id, "a");
        let pending = bed.describe("w").await.pending_activities;
        let options = pending[0].activity_options.as_ref().expect("its options");
        assert_eq!(options.start_to_close_timeout, Some(seconds(77)));

        let priority = Priority { priority_key: 4, ..Default::default() };
        let update = Operation::UpdateWorkflowOptionsOperation(BatchOperationUpdateWorkflowExecutionOptions {
            workflow_execution_options: Some(WorkflowExecutionOptions {
                priority: Some(priority.clone()),
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["priority".to_owned()] }),
            ..Default::default()
        });
        let described = done(bed, request(bed, update)).await;
        assert_eq!((described.complete_operation_count, described.failure_operation_count), (1, 0));
        assert_eq!(bed.describe("w").await.workflow_execution_info.expect("info").priority, Some(priority));
    }

    async fn operations_are_listed(bed: &Bed) {
        started(bed, &["a"]).await;
        let mut jobs = HashSet::new();
        for name in ["one", "two", "three"] {
            let request = request(bed, signal(name));
            jobs.insert(request.job_id.clone());
            done(bed, request).await;
        }
        let jobs = &jobs;
        bed.eventually("all are listed", || async move {
            let mut seen = HashSet::new();
            let mut next_page_token = Vec::new();
            loop {
                let request = ListBatchOperationsRequest {
                    namespace: bed.namespace.clone(),
                    page_size: 2,
                    next_page_token,
                };
                let page = rpc!(bed, list_batch_operations, request).expect("a page");
                assert!(page.operation_info.len() <= 2);
                for info in page.operation_info {
                    assert_eq!(info.operation_type(), BatchOperationType::SignalWorkflow);
                    if info.state() == BatchOperationState::Completed {
                        seen.insert(info.job_id);
                    }
                }
                next_page_token = page.next_page_token;
                if next_page_token.is_empty() {
                    break;
                }
            }
            (seen == *jobs).then_some(())
        })
        .await;
    }

    async fn wrong_requests_are_refused(bed: &Bed) {
        let refused = |request: StartBatchOperationRequest| async move {
            let refused = rpc!(bed, start_batch_operation, request).expect_err("wrong");
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
            refused.message().to_owned()
        };
        let right = || request(bed, signal("s"));
        assert_eq!(
            refused(StartBatchOperationRequest { job_id: String::new(), ..right() }).await,
            "JobId is not set on request."
        );
        let required = "must provide required parameters: BatchType,Reason,Namespace, AND one of (Query OR Executions OR TargetExecutions)";
        assert_eq!(refused(StartBatchOperationRequest { reason: String::new(), ..right() }).await, required);
        assert_eq!(refused(StartBatchOperationRequest { visibility_query: String::new(), ..right() }).await, required);
        assert_eq!(refused(StartBatchOperationRequest { operation: None, ..right() }).await, required);
        let both = StartBatchOperationRequest { executions: vec![execution("a")], ..right() };
        assert_eq!(refused(both).await, "visibility query, executions, and target executions are mutually exclusive");
        assert_eq!(refused(request(bed, signal(""))).await, "must provide signal name");
        let unknown = describe(bed, "nothing").await.expect_err("unknown");
        assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "workflow not found for ID: nothing"));
    }

    async fn an_operation_over_a_wrong_query_fails(bed: &Bed) {
        let wrong = StartBatchOperationRequest {
            visibility_query: "Nameless = 'x'".to_owned(),
            ..request(bed, signal("s"))
        };
        let described = done(bed, wrong).await;
        assert_eq!(described.state(), BatchOperationState::Failed);
        let stop = StopBatchOperationRequest {
            namespace: bed.namespace.clone(),
            job_id: described.job_id,
            reason: "late".to_owned(),
            ..Default::default()
        };
        let late = rpc!(bed, stop_batch_operation, stop).expect_err("it has ended");
        assert_eq!((late.code(), late.message()), (Code::NotFound, "workflow execution already completed"));
    }
}

/// Only ours: the real server's limit is one for all operations.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_operation_goes_on_after_a_restart_and_can_be_stopped() {
    let mut bed = Bed::embedded().await;
    let ids: Vec<_> = (0..30).map(|number| format!("w{number}")).collect();
    for id in &ids {
        bed.start(id).await;
    }
    let slow = StartBatchOperationRequest {
        max_operations_per_second: 10.0,
        ..request(&bed, signal("s"))
    };
    let job_id = slow.job_id.clone();
    rpc!(bed, start_batch_operation, slow).expect("a start");
    bed.eventually("it has begun", || async {
        let described = describe(&bed, &job_id).await.expect("it is there");
        (described.complete_operation_count >= 2).then_some(())
    })
    .await;

    let engine = bed.engine.take().expect("an embedded engine").restart().await;
    bed.client = engine.client().await;
    bed.engine = Some(engine);
    let before = describe(&bed, &job_id).await.expect("it is there");
    assert_eq!(before.state(), BatchOperationState::Running);
    assert_eq!(before.total_operation_count, 30);
    bed.eventually("it goes on", || async {
        let now = describe(&bed, &job_id).await.expect("it is there");
        (now.complete_operation_count > before.complete_operation_count).then_some(())
    })
    .await;
    let stop = StopBatchOperationRequest {
        namespace: bed.namespace.clone(),
        job_id: job_id.clone(),
        reason: "enough".to_owned(),
        identity: "operator".to_owned(),
    };
    rpc!(bed, stop_batch_operation, stop).expect("a stop");
    let stopped = describe(&bed, &job_id).await.expect("it is there");
    assert_eq!(stopped.state(), BatchOperationState::Failed);
    assert!(
        stopped.close_time.is_some() && stopped.complete_operation_count < 30,
        "{stopped:?}"
    );
    let mut signaled = 0;
    for id in &ids {
        let types = bed.event_types(id).await;
        let signals = types
            .iter()
            .filter(|name| **name == "WorkflowExecutionSignaled")
            .count();
        assert!(signals <= 1, "{id} is signaled once");
        signaled += signals as i64;
    }
    assert_eq!(signaled, stopped.complete_operation_count);
}
