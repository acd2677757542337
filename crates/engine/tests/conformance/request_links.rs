//! Links: where what is asked of an execution comes from. And what a request says where it says nothing.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    common::v1::{
        Link,
        link::{
            BatchJob, Variant, WorkflowEvent,
            workflow_event::{EventReference, Reference, RequestIdReference},
        },
    },
    enums::v1::{EventType, UpdateWorkflowExecutionLifecycleStage as Stage, WorkflowIdConflictPolicy},
    workflowservice::v1::*,
};

use crate::{
    bed::{Bed, attributes, both_engines, execution, queue, rpc},
    update_messages::{
        acceptance, complete, completion, idle, message_of, rejection, response, unplaced, update,
    },
};

/// A link to an event of a workflow.
fn to_event(namespace: &str, workflow_id: &str, run_id: &str) -> Link {
    Link {
        variant: Some(Variant::WorkflowEvent(WorkflowEvent {
            namespace: namespace.to_owned(),
            workflow_id: workflow_id.to_owned(),
            run_id: run_id.to_owned(),
            reference: None,
        })),
    }
}

fn signal(bed: &Bed, links: Vec<Link>) -> SignalWorkflowExecutionRequest {
    SignalWorkflowExecutionRequest {
        namespace: bed.namespace.clone(),
        workflow_execution: Some(execution("w")),
        signal_name: "s".to_owned(),
        links,
        ..Default::default()
    }
}

fn signal_with_start(bed: &Bed) -> SignalWithStartWorkflowExecutionRequest {
    let start = bed.start_request("w");
    SignalWithStartWorkflowExecutionRequest {
        namespace: start.namespace,
        workflow_id: start.workflow_id,
        workflow_type: start.workflow_type,
        task_queue: start.task_queue,
        signal_name: "s".to_owned(),
        ..Default::default()
    }
}

both_engines! {
    async fn each_request_leaves_its_links_in_its_event(bed: &Bed) {
        let link = |name: &str| vec![to_event(&bed.namespace, name, "some run")];
        let mut start = bed.start_request("w");
        start.links = link("start");
        rpc!(bed, start_workflow_execution, start.clone()).expect("a start");
        rpc!(bed, signal_workflow_execution, signal(bed, link("signal"))).expect("a signal");
        let both = SignalWithStartWorkflowExecutionRequest { links: link("both"), ..signal_with_start(bed) };
        let answer = rpc!(bed, signal_with_start_workflow_execution, both.clone()).expect("a signal");
        assert_eq!((answer.started, answer.first_execution_run_id), (false, answer.run_id));
        let cancel = RequestCancelWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            links: link("cancel"),
            ..Default::default()
        };
        rpc!(bed, request_cancel_workflow_execution, cancel).expect("a request");
        let terminate = TerminateWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            links: link("terminate"),
            ..Default::default()
        };
        rpc!(bed, terminate_workflow_execution, terminate).expect("a termination");
        let found: Vec<_> = bed.history("w").await.into_iter().map(|event| (event.event_type(), event.links)).collect();
        assert_eq!(found, [
            (EventType::WorkflowExecutionStarted, link("start")),
            (EventType::WorkflowTaskScheduled, vec![]),
            (EventType::WorkflowExecutionSignaled, link("signal")),
            (EventType::WorkflowExecutionSignaled, link("both")),
            (EventType::WorkflowExecutionCancelRequested, link("cancel")),
            (EventType::WorkflowExecutionTerminated, link("terminate")),
        ]);
        // Of a start with a signal, both events have them.
        rpc!(bed, signal_with_start_workflow_execution, both).expect("a start");
        let links: Vec<_> = bed.history("w").await.into_iter().map(|event| event.links.len()).collect();
        assert_eq!(links, [1, 1, 0]);
    }

    async fn answers_link_to_what_came_of_the_request(bed: &Bed) {
        let run_id = bed.start("w").await;
        let by_request = |request_id: &str, event_type: EventType| {
            let reference = RequestIdReference { request_id: request_id.to_owned(), event_type: event_type as i32 };
            let Some(Variant::WorkflowEvent(event)) = to_event(&bed.namespace, "w", &run_id).variant else {
                panic!("another link");
            };
            let event = WorkflowEvent { reference: Some(Reference::RequestIdRef(reference)), ..event };
            Some(Link { variant: Some(Variant::WorkflowEvent(event)) })
        };
        let signaled = EventType::WorkflowExecutionSignaled;
        let request = SignalWorkflowExecutionRequest { request_id: "one".to_owned(), ..signal(bed, vec![]) };
        for _ in 0..2 {
            let answer = rpc!(bed, signal_workflow_execution, request.clone()).expect("a signal");
            assert_eq!(answer.link, by_request("one", signaled));
        }
        let start = bed.start_request("w");
        let both = SignalWithStartWorkflowExecutionRequest { request_id: "two".to_owned(), ..signal_with_start(bed) };
        let answer = rpc!(bed, signal_with_start_workflow_execution, both).expect("a signal");
        assert_eq!(answer.signal_link, by_request("two", signaled));
        let existing = StartWorkflowExecutionRequest {
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::UseExisting as i32,
            request_id: "three".to_owned(),
            ..start
        };
        let answer = rpc!(bed, start_workflow_execution, existing).expect("the run that is there");
        let Some(Variant::WorkflowEvent(event)) = answer.link.expect("a link").variant else {
            panic!("another link");
        };
        let started = EventReference { event_id: 1, event_type: EventType::WorkflowExecutionStarted as i32 };
        assert_eq!(event.reference, Some(Reference::EventRef(started)));
    }

    async fn an_updates_answer_links_to_its_acceptance_or_to_the_workflow(bed: &Bed) {
        let run_id = idle(bed, "w").await;
        for (id, is_accepted) in [("yes", true), ("no", false)] {
            let works = async {
                let task = bed.task().await;
                let message = message_of(&task);
                let completed = if is_accepted {
                    completion(bed, &task, vec![], vec![acceptance(&message), response(&message, "done")])
                } else {
                    unplaced(bed, &task, vec![rejection(&message, "not today")])
                };
                complete(bed, completed).await;
            };
            let (answer, ()) = tokio::join!(update(bed, "w", id, Stage::Completed), works);
            match answer.expect("an answer").link.expect("a link").variant.expect("of a kind") {
                Variant::WorkflowEvent(event) => {
                    assert!(is_accepted);
                    let Some(Reference::RequestIdRef(reference)) = event.reference else { panic!("another reference") };
                    assert_eq!(reference.event_type(), EventType::WorkflowExecutionUpdateAccepted);
                    assert_eq!((event.workflow_id.as_str(), &event.run_id), ("w", &run_id));
                }
                Variant::Workflow(workflow) => {
                    assert!(!is_accepted);
                    assert_eq!((workflow.reason.as_str(), &workflow.run_id), ("Update rejected", &run_id));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn a_link_says_all_or_is_refused(bed: &Bed) {
        bed.start("w").await;
        let event = |reference| {
            let Some(Variant::WorkflowEvent(event)) = to_event("n", "w", "r").variant else {
                panic!("another link");
            };
            Link { variant: Some(Variant::WorkflowEvent(WorkflowEvent { reference, ..event })) }
        };
        let numbered = EventReference { event_id: 3, event_type: 0 };
        for (link, words) in [
            (Link::default(), "unsupported link variant"),
            (to_event("", "w", "r"), "empty namespace"),
            (to_event("n", "", "r"), "empty workflow ID"),
            (to_event("n", "w", ""), "empty run ID"),
            (event(Some(Reference::EventRef(numbered))), "unspecified event type and a non-zero event ID"),
            (Link { variant: Some(Variant::BatchJob(BatchJob::default())) }, "empty job ID"),
            (to_event("n", &"w".repeat(5_000), "r"), "exceeds allowed size of 4000"),
        ] {
            let refused = rpc!(bed, signal_workflow_execution, signal(bed, vec![link])).expect_err(words);
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains(words), "{}", refused.message());
        }
        let many = vec![to_event("n", "w", "r"); 11];
        let mut start = bed.start_request("other");
        start.links = many;
        let refused = rpc!(bed, start_workflow_execution, start).expect_err("too many");
        assert_eq!(refused.message(), "cannot attach more than 10 links per request, got 11");
        let enough = vec![to_event("n", "w", "r"); 10];
        rpc!(bed, signal_workflow_execution, signal(bed, enough)).expect("a signal");
    }

    async fn a_termination_without_words_gets_the_servers(bed: &Bed) {
        bed.start("w").await;
        let mut request = TerminateWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            first_execution_run_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let refused = rpc!(bed, terminate_workflow_execution, request.clone()).expect_err("another chain");
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, "workflow execution not found"));
        request.first_execution_run_id.clear();
        rpc!(bed, terminate_workflow_execution, request).expect("a termination");
        let end = attributes!([bed.close_event("w").await], WorkflowExecutionTerminatedEventAttributes);
        assert_eq!((end.identity.as_str(), end.reason.as_str()), ("frontend-service", "terminated by user via frontend"));
    }

    async fn a_run_that_is_not_there_is_named(bed: &Bed) {
        bed.start("w").await;
        let run_id = uuid::Uuid::new_v4().to_string();
        let mut wanted = execution("w");
        wanted.run_id.clone_from(&run_id);
        let request = DescribeWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            execution: Some(wanted),
        };
        let refused = rpc!(bed, describe_workflow_execution, request).expect_err("another run");
        assert_eq!(refused.code(), Code::NotFound);
        assert!(refused.message().contains(&run_id), "{}", refused.message());
    }

    async fn priorities_have_their_bounds(bed: &Bed) {
        use temporalio_common::protos::temporal::api::common::v1::Priority;
        for (priority, words) in [
            (Priority { priority_key: -1, ..Default::default() }, "priority key can't be negative"),
            (Priority { fairness_key: "k".repeat(65), ..Default::default() }, "fairness key length exceeds limit"),
            (Priority { fairness_weight: -1.0, ..Default::default() }, "must be greater than zero"),
        ] {
            let mut request = bed.start_request("w");
            request.priority = Some(priority);
            let refused = rpc!(bed, start_workflow_execution, request).expect_err(words);
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, words));
        }
        let mut request = bed.start_request("w");
        request.priority = Some(Priority { priority_key: 9, fairness_key: "k".repeat(64), fairness_weight: 0.5 });
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let mut reserved = bed.start_request("v");
        reserved.task_queue = Some(queue("/_sys/tasks/1"));
        let refused = rpc!(bed, start_workflow_execution, reserved).expect_err("the server's own");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("reserved prefix"), "{}", refused.message());
    }
}
