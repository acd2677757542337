//! Child workflows: how they start, what their parent hears, and what becomes of them when it closes.

use temporalio_common::protos::temporal::api::{
    common::v1::{Memo, RetryPolicy, WorkflowExecution},
    enums::v1::{
        EventType, ParentClosePolicy, RetryState, StartChildWorkflowExecutionFailedCause,
        WorkflowExecutionStatus, WorkflowIdReusePolicy, WorkflowTaskFailedCause,
    },
    history::v1::HistoryEvent,
    workflowservice::v1::*,
};

use crate::bed::{
    Bed, attributes, both_engines, commands, execution, millis, payloads, queue, rpc, run_of, seconds,
};

/// The queue that the scenarios' children are on, so that a poll is the parent's or the child's.
const CHILD_QUEUE: &str = "children";

fn child(
    workflow_id: &str,
) -> temporalio_common::protos::temporal::api::command::v1::StartChildWorkflowExecutionCommandAttributes {
    let mut child = commands::child(workflow_id);
    child.task_queue = Some(queue(CHILD_QUEUE));
    child
}

async fn child_task(bed: &Bed) -> PollWorkflowTaskQueueResponse {
    let task = bed.poll(queue(CHILD_QUEUE)).await;
    assert!(!task.task_token.is_empty(), "a workflow task of a child is due");
    task
}

/// Starts `p`, whose first task starts this child; answers the child's first task.
async fn parent_and_child(
    bed: &Bed,
    child: temporalio_common::protos::temporal::api::command::v1::StartChildWorkflowExecutionCommandAttributes,
) -> PollWorkflowTaskQueueResponse {
    bed.start("p").await;
    let task = bed.task().await;
    bed.complete(&task, vec![commands::start_child(child)]).await;
    let task = bed.task().await;
    bed.complete(&task, vec![]).await;
    child_task(bed).await
}

async fn terminate(bed: &Bed, workflow_id: &str) {
    let request = TerminateWorkflowExecutionRequest {
        namespace: bed.namespace.clone(),
        workflow_execution: Some(execution(workflow_id)),
        reason: "enough".to_owned(),
        ..Default::default()
    };
    rpc!(bed, terminate_workflow_execution, request).expect("a termination");
}

/// Waits until the execution is closed, and answers how.
async fn closed(bed: &Bed, workflow_id: &str) -> EventType {
    bed.close_event(workflow_id).await.event_type()
}

async fn status(bed: &Bed, workflow_id: &str) -> WorkflowExecutionStatus {
    let description = bed.describe(workflow_id).await;
    description.workflow_execution_info.expect("info").status()
}

fn event_of(events: &[HistoryEvent], event_type: EventType) -> &HistoryEvent {
    events
        .iter()
        .find(|event| event.event_type() == event_type)
        .expect("the event")
}

both_engines! {
    async fn a_child_runs_and_its_parent_hears_of_it(bed: &Bed) {
        let parent_run = bed.start("p").await;
        let task = bed.task().await;
        let mut attributes = child("c");
        attributes.memo = Some(Memo {
            fields: [("note".to_owned(), payloads("memo").payloads[0].clone())].into(),
        });
        attributes.workflow_execution_timeout = Some(seconds(600));
        attributes.workflow_run_timeout = Some(seconds(3_600));
        bed.complete(&task, vec![commands::start_child(attributes)]).await;

        let task = bed.task().await;
        let events = bed.history("p").await;
        let initiated = attributes!(events, StartChildWorkflowExecutionInitiatedEventAttributes);
        assert_eq!(initiated.workflow_id, "c");
        assert_eq!(initiated.namespace, bed.namespace);
        assert_eq!(initiated.parent_close_policy(), ParentClosePolicy::Terminate);
        assert_eq!(initiated.workflow_id_reuse_policy(), WorkflowIdReusePolicy::AllowDuplicate);
        assert_eq!(initiated.workflow_run_timeout, Some(seconds(600)));
        assert_eq!(initiated.workflow_task_timeout, Some(seconds(10)));
        assert_eq!(initiated.workflow_task_completed_event_id, 4);
        let started = attributes!(events, ChildWorkflowExecutionStartedEventAttributes);
        assert_eq!(started.initiated_event_id, 5);
        assert_eq!(started.namespace_id, initiated.namespace_id);
        assert_eq!(started.workflow_type, initiated.workflow_type);
        let child_execution = started.workflow_execution.clone().expect("an execution");

        let description = bed.describe("p").await;
        assert_eq!(description.pending_children.len(), 1);
        let pending = &description.pending_children[0];
        assert_eq!((pending.workflow_id.as_str(), pending.workflow_type_name.as_str()), ("c", "Child"));
        assert_eq!((&pending.run_id, pending.initiated_id), (&child_execution.run_id, 5));
        assert_eq!(pending.parent_close_policy(), ParentClosePolicy::Terminate);
        bed.complete(&task, vec![]).await;

        let task = child_task(bed).await;
        assert_eq!(run_of(&task), child_execution);
        let events = task.history.clone().expect("a history").events;
        let begun = attributes!(events, WorkflowExecutionStartedEventAttributes);
        let parent = WorkflowExecution { workflow_id: "p".to_owned(), run_id: parent_run };
        assert_eq!(begun.parent_workflow_execution, Some(parent.clone()));
        assert_eq!(begun.parent_workflow_namespace, bed.namespace);
        assert_eq!(begun.parent_workflow_namespace_id, initiated.namespace_id);
        assert_eq!(begun.parent_initiated_event_id, 5);
        assert_eq!(begun.root_workflow_execution, Some(parent.clone()));
        assert_eq!(begun.first_execution_run_id, child_execution.run_id);
        assert_eq!(begun.input, Some(payloads("c")));
        assert_eq!(begun.identity, "");
        assert!(begun.memo.expect("a memo").fields.contains_key("note"));
        assert_eq!(begun.workflow_run_timeout, Some(seconds(600)));
        let info = bed.describe("c").await.workflow_execution_info.expect("info");
        assert_eq!(info.parent_execution, Some(parent.clone()));
        assert_eq!(info.root_execution, Some(parent));
        assert_eq!(info.parent_namespace_id, initiated.namespace_id);
        bed.complete(&task, vec![commands::complete("result")]).await;

        let task = bed.task().await;
        let events = bed.history("p").await;
        let completed = attributes!(events, ChildWorkflowExecutionCompletedEventAttributes);
        assert_eq!(completed.result, Some(payloads("result")));
        assert_eq!((completed.initiated_event_id, completed.started_event_id), (5, 6));
        assert_eq!(completed.workflow_execution, Some(child_execution));
        assert_eq!(bed.describe("p").await.pending_children, vec![]);
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(
            bed.event_types("p").await,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "StartChildWorkflowExecutionInitiated",
                "ChildWorkflowExecutionStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "ChildWorkflowExecutionCompleted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }

    async fn a_child_takes_over_the_parents_task_queue(bed: &Bed) {
        bed.start("p").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_child(commands::child("c"))]).await;
        let (mut tasks, mut types) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let task = bed.task().await;
            types.push(task.workflow_type.clone().expect("a type").name);
            tasks.push(task);
        }
        types.sort();
        assert_eq!(types, ["Child", "Test"]);
    }

    async fn a_child_fails(bed: &Bed) {
        let task = parent_and_child(bed, child("c")).await;
        bed.complete(&task, vec![commands::fail("broken")]).await;
        bed.task().await;
        let failed = attributes!(bed.history("p").await, ChildWorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.failure.as_ref().map(|f| f.message.as_str()), Some("broken"));
        assert_eq!(failed.retry_state(), RetryState::RetryPolicyNotSet);
        assert_eq!((failed.initiated_event_id, failed.started_event_id), (5, 6));
    }

    async fn a_child_is_canceled(bed: &Bed) {
        let task = parent_and_child(bed, child("c")).await;
        bed.complete(&task, vec![]).await;
        let request = RequestCancelWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("c")),
            request_id: "request".to_owned(),
            ..Default::default()
        };
        rpc!(bed, request_cancel_workflow_execution, request).expect("a request");
        let task = child_task(bed).await;
        bed.complete(&task, vec![commands::cancel_workflow()]).await;
        bed.task().await;
        let canceled = attributes!(bed.history("p").await, ChildWorkflowExecutionCanceledEventAttributes);
        assert_eq!((canceled.initiated_event_id, canceled.started_event_id), (5, 6));
    }

    async fn a_child_is_terminated(bed: &Bed) {
        parent_and_child(bed, child("c")).await;
        terminate(bed, "c").await;
        bed.task().await;
        let terminated = attributes!(bed.history("p").await, ChildWorkflowExecutionTerminatedEventAttributes);
        assert_eq!((terminated.initiated_event_id, terminated.started_event_id), (5, 6));
        assert_eq!(terminated.workflow_type.expect("a type").name, "Child");
    }

    async fn a_child_times_out(bed: &Bed) {
        let mut child = child("c");
        child.workflow_run_timeout = Some(seconds(1));
        parent_and_child(bed, child).await;
        bed.task().await;
        let timed_out = attributes!(bed.history("p").await, ChildWorkflowExecutionTimedOutEventAttributes);
        assert_eq!((timed_out.initiated_event_id, timed_out.started_event_id), (5, 6));
        assert_eq!(timed_out.retry_state(), RetryState::RetryPolicyNotSet);
    }

    async fn a_child_whose_id_is_running_does_not_start(bed: &Bed) {
        let mut other = bed.start_request("c");
        other.task_queue = Some(queue("elsewhere"));
        let run_id = rpc!(bed, start_workflow_execution, other).expect("a start").run_id;
        bed.start("p").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_child(child("c"))]).await;
        bed.task().await;
        let failed = attributes!(bed.history("p").await, StartChildWorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.cause(), StartChildWorkflowExecutionFailedCause::WorkflowAlreadyExists);
        assert_eq!((failed.initiated_event_id, failed.workflow_task_completed_event_id), (5, 0));
        assert_eq!((failed.workflow_id.as_str(), failed.namespace.as_str()), ("c", bed.namespace.as_str()));
        assert_eq!(bed.describe("p").await.pending_children, vec![]);
        let info = bed.describe("c").await.workflow_execution_info.expect("info");
        assert_eq!((info.execution.expect("ids").run_id, info.parent_execution), (run_id, None));
    }

    async fn a_childs_id_is_used_again_by_its_policy(bed: &Bed) {
        let task = parent_and_child(bed, child("c")).await;
        bed.complete(&task, vec![commands::complete("once")]).await;
        let task = bed.task().await;
        let mut refused = child("c");
        refused.set_workflow_id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate);
        bed.complete(&task, vec![commands::start_child(refused)]).await;
        let task = bed.task().await;
        let failed = attributes!(bed.history("p").await, StartChildWorkflowExecutionFailedEventAttributes);
        assert_eq!(failed.cause(), StartChildWorkflowExecutionFailedCause::WorkflowAlreadyExists);
        bed.complete(&task, vec![commands::start_child(child("c"))]).await;
        let task = child_task(bed).await;
        bed.complete(&task, vec![commands::complete("twice")]).await;
    }

    async fn a_childs_chain_is_one_child(bed: &Bed) {
        let mut retried = child("c");
        retried.retry_policy = Some(RetryPolicy {
            initial_interval: Some(millis(50)),
            backoff_coefficient: 1.0,
            maximum_attempts: 3,
            ..Default::default()
        });
        let task = parent_and_child(bed, retried).await;
        let first = run_of(&task);
        bed.complete(&task, vec![commands::fail("once")]).await;
        let task = child_task(bed).await;
        let begun = attributes!(task.history.clone().expect("a history").events, WorkflowExecutionStartedEventAttributes);
        assert_eq!(begun.attempt, 2);
        assert_eq!(begun.parent_workflow_execution.expect("a parent").workflow_id, "p");
        assert_eq!(begun.root_workflow_execution.expect("a root").workflow_id, "p");
        bed.complete(&task, vec![commands::continue_as_new("again")]).await;
        let task = child_task(bed).await;
        let last = run_of(&task);
        assert_ne!(first, last);
        let begun = attributes!(task.history.clone().expect("a history").events, WorkflowExecutionStartedEventAttributes);
        assert_eq!(begun.parent_initiated_event_id, 5);
        assert_eq!(begun.first_execution_run_id, first.run_id);
        assert_eq!(bed.describe("p").await.pending_children[0].run_id, first.run_id);
        bed.complete(&task, vec![commands::complete("result")]).await;
        bed.task().await;
        let events = bed.history("p").await;
        let completed = attributes!(events, ChildWorkflowExecutionCompletedEventAttributes);
        assert_eq!((completed.initiated_event_id, completed.started_event_id), (5, 6));
        assert_eq!(completed.workflow_execution, Some(last));
        let of_child = |event: &&HistoryEvent| event.event_type().as_str_name().contains("CHILD_WORKFLOW");
        assert_eq!(events.iter().filter(of_child).count(), 3, "{events:?}");
    }

    async fn what_a_child_does_during_a_task_is_buffered(bed: &Bed) {
        bed.start("p").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_child(child("c"))]).await;
        let task = bed.task().await;
        let of_child = child_task(bed).await;
        bed.complete(&of_child, vec![commands::complete("result")]).await;
        bed.eventually("the child is closed", || async {
            (status(bed, "c").await == WorkflowExecutionStatus::Completed).then_some(())
        })
        .await;
        bed.signal("p", "after").await;
        bed.eventually("the parent has heard of it", || async {
            bed.describe("p").await.pending_children.is_empty().then_some(())
        })
        .await;
        bed.complete(&task, vec![]).await;
        bed.task().await;
        assert_eq!(
            bed.event_types("p").await[8..11],
            ["WorkflowTaskCompleted", "WorkflowExecutionSignaled", "ChildWorkflowExecutionCompleted"]
        );
    }

    async fn a_parent_cannot_close_on_a_childs_unseen_result(bed: &Bed) {
        bed.start("p").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_child(child("c"))]).await;
        let task = bed.task().await;
        let of_child = child_task(bed).await;
        bed.complete(&of_child, vec![commands::complete("result")]).await;
        bed.eventually("the parent has heard of it", || async {
            bed.describe("p").await.pending_children.is_empty().then_some(())
        })
        .await;
        bed.try_complete(&task, vec![commands::complete("done")]).await.expect_err("unseen");
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let failed = attributes!(bed.history("p").await, WorkflowTaskFailedEventAttributes);
        assert_eq!(failed.cause(), WorkflowTaskFailedCause::UnhandledCommand);
    }

    async fn a_closed_parent_terminates_its_children(bed: &Bed) {
        parent_and_child(bed, child("c")).await;
        bed.signal("p", "close").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let event = bed.close_event("c").await;
        assert_eq!(event.event_type(), EventType::WorkflowExecutionTerminated);
        let terminated = attributes!([event], WorkflowExecutionTerminatedEventAttributes);
        assert_eq!(terminated.reason, "by parent close policy");
        assert_eq!(terminated.identity, "history-service");
    }

    async fn a_closed_parent_asks_its_children_to_cancel(bed: &Bed) {
        let mut child = child("c");
        child.set_parent_close_policy(ParentClosePolicy::RequestCancel);
        let task = parent_and_child(bed, child).await;
        bed.complete(&task, vec![]).await;
        terminate(bed, "p").await;
        let task = child_task(bed).await;
        let events = bed.history("c").await;
        let requested = attributes!(events, WorkflowExecutionCancelRequestedEventAttributes);
        assert_eq!(requested.external_workflow_execution.expect("a sender").workflow_id, "p");
        assert_eq!((requested.external_initiated_event_id, requested.identity.as_str()), (0, "history-service"));
        bed.complete(&task, vec![commands::cancel_workflow()]).await;
        assert_eq!(closed(bed, "c").await, EventType::WorkflowExecutionCanceled);
    }

    async fn a_closed_parent_abandons_its_children(bed: &Bed) {
        let mut child = child("c");
        child.set_parent_close_policy(ParentClosePolicy::Abandon);
        let task = parent_and_child(bed, child).await;
        terminate(bed, "p").await;
        bed.complete(&task, vec![commands::complete("alone")]).await;
        assert_eq!(closed(bed, "c").await, EventType::WorkflowExecutionCompleted);
    }

    async fn termination_goes_down_the_tree(bed: &Bed) {
        let task = parent_and_child(bed, child("c")).await;
        let mut grandchild = child("g");
        grandchild.task_queue = Some(queue("grandchildren"));
        bed.complete(&task, vec![commands::start_child(grandchild)]).await;
        let task = bed.poll(queue("grandchildren")).await;
        let begun = attributes!(task.history.clone().expect("a history").events, WorkflowExecutionStartedEventAttributes);
        assert_eq!(begun.parent_workflow_execution.expect("a parent").workflow_id, "c");
        assert_eq!(begun.root_workflow_execution.expect("a root").workflow_id, "p");
        let task = child_task(bed).await;
        bed.complete(&task, vec![]).await;
        terminate(bed, "p").await;
        assert_eq!(closed(bed, "c").await, EventType::WorkflowExecutionTerminated);
        assert_eq!(closed(bed, "g").await, EventType::WorkflowExecutionTerminated);
    }

    async fn the_policy_follows_the_childs_chain(bed: &Bed) {
        let task = parent_and_child(bed, child("c")).await;
        bed.complete(&task, vec![commands::continue_as_new("again")]).await;
        child_task(bed).await;
        terminate(bed, "p").await;
        assert_eq!(closed(bed, "c").await, EventType::WorkflowExecutionTerminated);
    }

    async fn an_unrelated_execution_with_the_childs_id_is_left_alone(bed: &Bed) {
        let task = parent_and_child(bed, child("c")).await;
        bed.complete(&task, vec![commands::complete("result")]).await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let mut other = bed.start_request("c");
        other.task_queue = Some(queue("elsewhere"));
        rpc!(bed, start_workflow_execution, other).expect("a start");
        terminate(bed, "p").await;
        let task = bed.poll(queue("elsewhere")).await;
        bed.complete(&task, vec![commands::complete("alone")]).await;
        assert_eq!(closed(bed, "c").await, EventType::WorkflowExecutionCompleted);
    }

    async fn a_parent_that_continues_as_new_closes_its_children(bed: &Bed) {
        parent_and_child(bed, child("c")).await;
        bed.signal("p", "go on").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::continue_as_new("again")]).await;
        let task = bed.task().await;
        assert_eq!(bed.describe("p").await.pending_children, vec![]);
        bed.complete(&task, vec![]).await;
        assert_eq!(closed(bed, "c").await, EventType::WorkflowExecutionTerminated);
    }

    async fn a_child_that_is_initiated_by_the_last_task_never_starts(bed: &Bed) {
        bed.start("p").await;
        let task = bed.task().await;
        let mut abandoned = child("c");
        abandoned.set_parent_close_policy(ParentClosePolicy::Abandon);
        bed.complete(&task, vec![commands::start_child(abandoned), commands::complete("done")]).await;
        assert_eq!(
            bed.event_types("p").await[4..],
            ["StartChildWorkflowExecutionInitiated", "WorkflowExecutionCompleted"]
        );
        let request = DescribeWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("c")),
        };
        let none = rpc!(bed, describe_workflow_execution, request).expect_err("no child");
        assert_eq!(none.code(), temporalio_client::tonic::Code::NotFound);
    }

    async fn a_child_that_lacks_something_fails_the_task(bed: &Bed) {
        let mut no_type = child("c");
        no_type.workflow_type = None;
        let mut long_id = child("c");
        long_id.workflow_id = "x".repeat(1_001);
        let mut bad_policy = child("c");
        bad_policy.retry_policy = Some(RetryPolicy { maximum_attempts: -1, ..Default::default() });
        for (index, bad) in [child(""), no_type, long_id, bad_policy].into_iter().enumerate() {
            let id = format!("p{index}");
            bed.start(&id).await;
            let task = bed.task().await;
            let refused = bed.try_complete(&task, vec![commands::start_child(bad)]).await.expect_err("refused");
            assert_eq!(refused.code(), temporalio_client::tonic::Code::InvalidArgument);
            let failed = attributes!(bed.history(&id).await, WorkflowTaskFailedEventAttributes);
            assert_eq!(failed.cause(), WorkflowTaskFailedCause::BadStartChildExecutionAttributes);
            terminate(bed, &id).await;
        }
    }

    async fn a_child_in_another_namespace_is_refused(bed: &Bed) {
        let other = format!("other-{}", uuid::Uuid::new_v4());
        let request = RegisterNamespaceRequest {
            namespace: other.clone(),
            workflow_execution_retention_period: Some(seconds(86_400)),
            ..Default::default()
        };
        rpc!(bed, register_namespace, request).expect("a namespace");
        bed.start("p").await;
        let task = bed.task().await;
        let mut child = child("c");
        #[allow(deprecated)]
        {
            child.namespace = other;
        }
        bed.eventually("the namespace is known everywhere", || async {
            let command = commands::start_child(child.clone());
            let refused = bed.try_complete(&task, vec![command]).await.expect_err("refused");
            (refused.code() == temporalio_client::tonic::Code::InvalidArgument).then_some(())
        })
        .await;
        let failed = attributes!(bed.history("p").await, WorkflowTaskFailedEventAttributes);
        assert_eq!(failed.cause(), WorkflowTaskFailedCause::BadStartChildExecutionAttributes);
    }

    async fn children_are_listed_by_their_parent(bed: &Bed) {
        parent_and_child(bed, child("c")).await;
        bed.eventually("the child is listed", || async {
            let request = ListWorkflowExecutionsRequest {
                namespace: bed.namespace.clone(),
                query: "ParentWorkflowId = 'p' AND RootWorkflowId = 'p'".to_owned(),
                ..Default::default()
            };
            let list = rpc!(bed, list_workflow_executions, request).expect("a list").executions;
            let ids: Vec<_> = list.iter().filter_map(|info| info.execution.clone()).collect();
            (ids.len() == 1 && ids[0].workflow_id == "c").then_some(())
        })
        .await;
    }

    async fn a_childs_summary_and_header_are_carried(bed: &Bed) {
        bed.start("p").await;
        let task = bed.task().await;
        let mut attributes = child("c");
        attributes.header = Some(temporalio_common::protos::temporal::api::common::v1::Header {
            fields: [("trace".to_owned(), payloads("id").payloads[0].clone())].into(),
        });
        let mut command = commands::start_child(attributes);
        command.user_metadata = Some(temporalio_common::protos::temporal::api::sdk::v1::UserMetadata {
            summary: Some(payloads("what for").payloads[0].clone()),
            details: None,
        });
        bed.complete(&task, vec![command]).await;
        let task = child_task(bed).await;
        let events = task.history.clone().expect("a history").events;
        let begun = attributes!(events, WorkflowExecutionStartedEventAttributes);
        assert!(begun.header.expect("a header").fields.contains_key("trace"));
        let summary = |event: &HistoryEvent| event.user_metadata.clone().and_then(|data| data.summary);
        assert_eq!(summary(&events[0]), Some(payloads("what for").payloads[0].clone()));
        bed.task().await;
        let events = bed.history("p").await;
        let initiated = event_of(&events, EventType::StartChildWorkflowExecutionInitiated);
        assert_eq!(summary(initiated), Some(payloads("what for").payloads[0].clone()));
        let started = attributes!(events, ChildWorkflowExecutionStartedEventAttributes);
        assert!(started.header.expect("a header").fields.contains_key("trace"));
    }
}
