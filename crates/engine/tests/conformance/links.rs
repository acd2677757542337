//! Links to where a start came from, and callbacks, which nothing is configured for.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    common::v1::{
        Callback, Link, callback,
        link::{Variant, WorkflowEvent, workflow_event::Reference},
    },
    enums::v1::{EventType, WorkflowIdConflictPolicy},
    workflow::v1::OnConflictOptions,
    workflowservice::v1::StartWorkflowExecutionRequest,
};

use crate::bed::{Bed, both_engines, rpc};

fn link(event: WorkflowEvent) -> Link {
    Link {
        variant: Some(Variant::WorkflowEvent(event)),
    }
}

fn to(bed: &Bed, workflow_id: &str) -> WorkflowEvent {
    WorkflowEvent {
        namespace: bed.namespace.clone(),
        workflow_id: workflow_id.to_owned(),
        run_id: "run".to_owned(),
        ..Default::default()
    }
}

both_engines! {
    async fn a_start_keeps_its_links(bed: &Bed) {
        let links = vec![link(to(bed, "from"))];
        let request = StartWorkflowExecutionRequest { links: links.clone(), ..bed.start_request("w") };
        let started = rpc!(bed, start_workflow_execution, request).expect("a start");
        assert_eq!(bed.history("w").await[0].links, links);
        let Some(Variant::WorkflowEvent(event)) = started.link.expect("a link").variant else { panic!("another link") };
        assert_eq!((event.namespace, event.workflow_id, event.run_id), (bed.namespace.clone(), "w".to_owned(), started.run_id));
        let Some(Reference::EventRef(event)) = event.reference else { panic!("another reference") };
        assert_eq!((event.event_id, event.event_type()), (1, EventType::WorkflowExecutionStarted));
        // A start that finds it and attaches its request to it is told of the event that says so.
        let request = StartWorkflowExecutionRequest {
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::UseExisting as i32,
            on_conflict_options: Some(OnConflictOptions { attach_request_id: true, ..Default::default() }),
            ..bed.start_request("w")
        };
        let request_id = request.request_id.clone();
        let found = rpc!(bed, start_workflow_execution, request).expect("the same run");
        let Some(Variant::WorkflowEvent(event)) = found.link.expect("a link").variant else { panic!("another link") };
        let Some(Reference::RequestIdRef(reference)) = event.reference else { panic!("another reference") };
        assert_eq!((reference.request_id, reference.event_type), (request_id, EventType::WorkflowExecutionOptionsUpdated as i32));
    }

    async fn wrong_links_are_refused(bed: &Bed) {
        for (links, message) in [
            (vec![link(to(bed, "x")); 11], "cannot attach more than 10 links per request, got 11"),
            (vec![Link::default()], "unsupported link variant"),
            (vec![link(WorkflowEvent { namespace: String::new(), ..to(bed, "x") })], "workflow event link must not have an empty namespace field"),
            (vec![link(WorkflowEvent { run_id: String::new(), ..to(bed, "x") })], "workflow event link must not have an empty run ID field"),
        ] {
            let request = StartWorkflowExecutionRequest { links, ..bed.start_request("w") };
            let refused = rpc!(bed, start_workflow_execution, request).expect_err("refused");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
        }
        let request = StartWorkflowExecutionRequest { links: vec![link(to(bed, &"x".repeat(5_000)))], ..bed.start_request("w") };
        let refused = rpc!(bed, start_workflow_execution, request).expect_err("refused");
        assert!(refused.message().starts_with("link exceeds allowed size of 4000, got 5"), "{}", refused.message());
    }

    async fn callbacks_need_an_address_that_is_configured(bed: &Bed) {
        let too_long = format!("http://a/{}", "x".repeat(1_000));
        for (url, message) in [
            ("http://localhost:1/x", "invalid url: url does not match any configured callback address: http://localhost:1/x"),
            ("https://example.com/", "invalid url: url does not match any configured callback address: https://example.com/"),
            ("ftp://x", "invalid url: unknown scheme: ftp://x"),
            (too_long.as_str(), "invalid url: url length longer than max length allowed of 1000"),
        ] {
            let callback = Callback {
                variant: Some(callback::Variant::Nexus(callback::Nexus { url: url.to_owned(), ..Default::default() })),
                ..Default::default()
            };
            let request = StartWorkflowExecutionRequest { completion_callbacks: vec![callback], ..bed.start_request("w") };
            let refused = rpc!(bed, start_workflow_execution, request).expect_err("refused");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
        }
        let request = StartWorkflowExecutionRequest { completion_callbacks: vec![Callback::default()], ..bed.start_request("w") };
        let refused = rpc!(bed, start_workflow_execution, request).expect_err("refused");
        assert_eq!((refused.code(), refused.message()), (Code::Unimplemented, "unknown callback variant: <nil>"));
    }
}
