//! Namespaces, what the server says of itself, and RPCs that are not there.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    namespace::v1::namespace_info::Capabilities,
    workflowservice::v1::{
        CreateScheduleRequest, DescribeNamespaceRequest, GetSystemInfoRequest, ListNamespacesRequest,
        RegisterNamespaceRequest,
    },
};

use crate::bed::{Bed, both_engines, rpc, seconds};

/// What the namespace says that it can.
pub(crate) async fn capabilities(bed: &Bed) -> Capabilities {
    let request = DescribeNamespaceRequest {
        namespace: bed.namespace.clone(),
        ..Default::default()
    };
    let described = rpc!(bed, describe_namespace, request).expect("a description");
    described
        .namespace_info
        .and_then(|info| info.capabilities)
        .expect("capabilities")
}

both_engines! {
    async fn a_namespace_is_registered_once(bed: &Bed) {
        let name = format!("ns-{}", uuid::Uuid::new_v4().simple());
        let request = RegisterNamespaceRequest {
            namespace: name.clone(),
            description: "a test's".to_owned(),
            workflow_execution_retention_period: Some(seconds(86_400)),
            ..Default::default()
        };
        rpc!(bed, register_namespace, request.clone()).expect("a namespace");
        let again = rpc!(bed, register_namespace, request).expect_err("it is there");
        assert_eq!(again.code(), Code::AlreadyExists);
        let describe = DescribeNamespaceRequest { namespace: name.clone(), ..Default::default() };
        let described = rpc!(bed, describe_namespace, describe).expect("a description");
        assert_eq!(described.namespace_info.map(|info| info.description), Some("a test's".to_owned()));
        let list = ListNamespacesRequest { page_size: 1_000, ..Default::default() };
        let all = rpc!(bed, list_namespaces, list).expect("a list").namespaces;
        assert!(all.iter().any(|n| n.namespace_info.as_ref().is_some_and(|info| info.name == name)));
    }

    async fn an_unknown_namespace_is_named(bed: &Bed) {
        let describe = DescribeNamespaceRequest { namespace: "nowhere".to_owned(), ..Default::default() };
        let unknown = rpc!(bed, describe_namespace, describe).expect_err("unknown");
        assert_eq!(unknown.code(), Code::NotFound);
        assert_eq!(unknown.message(), "Namespace nowhere is not found.");
    }

    async fn the_server_says_what_it_can(bed: &Bed) {
        let info = rpc!(bed, get_system_info, GetSystemInfoRequest::default()).expect("its info");
        let capabilities = info.capabilities.expect("its capabilities");
        assert!(capabilities.sdk_metadata && capabilities.upsert_memo && capabilities.eager_workflow_start);
    }
}

/// Only ours: the real server has schedules.
#[tokio::test]
async fn what_is_not_there_is_unimplemented_by_name() {
    let bed = Bed::embedded().await;
    let request = CreateScheduleRequest {
        namespace: bed.namespace.clone(),
        ..Default::default()
    };
    let missing = rpc!(bed, create_schedule, request).expect_err("not there");
    assert_eq!(missing.code(), Code::Unimplemented);
    assert!(
        missing.message().contains("CreateSchedule"),
        "{}",
        missing.message()
    );
}
