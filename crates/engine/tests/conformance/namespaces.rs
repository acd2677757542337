//! Namespaces, what the server says of itself, and RPCs that are not there.
#![allow(deprecated, reason = "older clients call it")]

use std::collections::HashSet;

use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_common::protos::temporal::api::{
    enums::v1::NamespaceState,
    namespace::v1::{NamespaceConfig, UpdateNamespaceInfo, namespace_info::Capabilities},
    operatorservice::v1::{DeleteNamespaceRequest, ListClustersRequest},
    workflowservice::v1::{
        CreateWorkflowRuleRequest, DeprecateNamespaceRequest, DescribeNamespaceRequest,
        GetClusterInfoRequest, GetSystemInfoRequest, ListNamespacesRequest, ListWorkflowExecutionsRequest,
        RegisterNamespaceRequest, UpdateNamespaceRequest,
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

/// A namespace of the test's own, usable: the real server takes a moment.
pub(crate) async fn registered(bed: &Bed) -> String {
    let name = format!("ns-{}", uuid::Uuid::new_v4().simple());
    let request = RegisterNamespaceRequest {
        namespace: name.clone(),
        workflow_execution_retention_period: Some(seconds(86_400)),
        ..Default::default()
    };
    rpc!(bed, register_namespace, request).expect("a namespace");
    bed.eventually("the namespace is known", || async {
        let describe = DescribeNamespaceRequest {
            namespace: name.clone(),
            ..Default::default()
        };
        rpc!(bed, describe_namespace, describe).ok().map(drop)
    })
    .await;
    name
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

    async fn a_namespace_is_changed(bed: &Bed) {
        let name = registered(bed).await;
        let update = |update_info: Option<UpdateNamespaceInfo>, retention: Option<i64>| UpdateNamespaceRequest {
            namespace: name.clone(),
            update_info,
            config: retention.map(|retention| NamespaceConfig {
                workflow_execution_retention_ttl: Some(seconds(retention)),
                ..Default::default()
            }),
            ..Default::default()
        };
        let data = |key: &str| [(key.to_owned(), "value".to_owned())].into();
        let info = UpdateNamespaceInfo {
            description: "another".to_owned(),
            owner_email: "owner@example.com".to_owned(),
            data: data("a"),
            ..Default::default()
        };
        rpc!(bed, update_namespace, update(Some(info), None)).expect("an update");
        let more = UpdateNamespaceInfo { data: data("b"), ..Default::default() };
        let updated = rpc!(bed, update_namespace, update(Some(more), Some(7_200))).expect("an update");
        let info = updated.namespace_info.expect("its info");
        assert_eq!((info.description.as_str(), info.owner_email.as_str()), ("another", "owner@example.com"));
        assert_eq!(info.data.len(), 2, "data is merged");
        assert_eq!(info.state(), NamespaceState::Registered);
        assert_eq!(updated.config.expect("its configuration").workflow_execution_retention_ttl, Some(seconds(7_200)));

        for wrong in [10, -10] {
            let refused = rpc!(bed, update_namespace, update(None, Some(wrong))).expect_err("too short");
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert_eq!(refused.message(), "A valid retention period is not set on request.");
        }
        let promote = UpdateNamespaceRequest { promote_namespace: true, ..update(None, None) };
        let refused = rpc!(bed, update_namespace, promote).expect_err("there is one cluster");
        assert_eq!(refused.code(), Code::InvalidArgument);
        let unknown = UpdateNamespaceRequest { namespace: "nowhere".to_owned(), ..update(None, None) };
        assert_eq!(rpc!(bed, update_namespace, unknown).expect_err("unknown").code(), Code::NotFound);

        let deprecate = DeprecateNamespaceRequest { namespace: name.clone(), ..Default::default() };
        rpc!(bed, deprecate_namespace, deprecate).expect("a deprecation");
        let describe = DescribeNamespaceRequest { namespace: name.clone(), ..Default::default() };
        let described = rpc!(bed, describe_namespace, describe).expect("a description");
        let info = described.namespace_info.expect("its info");
        assert_eq!(info.state(), NamespaceState::Deprecated);
        assert_eq!(info.data.len(), 2);
    }

    async fn a_retention_is_needed(bed: &Bed) {
        for retention in [None, Some(seconds(5)), Some(seconds(-5))] {
            let request = RegisterNamespaceRequest {
                namespace: format!("ns-{}", uuid::Uuid::new_v4().simple()),
                workflow_execution_retention_period: retention,
                ..Default::default()
            };
            let refused = rpc!(bed, register_namespace, request).expect_err("too short");
            assert_eq!(refused.message(), "A valid retention period is not set on request.");
        }
    }

    async fn namespaces_come_in_pages(bed: &Bed) {
        let mut names = HashSet::from([registered(bed).await, registered(bed).await, registered(bed).await]);
        let mut next_page_token = Vec::new();
        loop {
            let request = ListNamespacesRequest { page_size: 2, next_page_token, ..Default::default() };
            let page = rpc!(bed, list_namespaces, request).expect("a page");
            assert!(page.namespaces.len() <= 2);
            for namespace in page.namespaces {
                names.remove(&namespace.namespace_info.expect("its info").name);
            }
            next_page_token = page.next_page_token;
            if next_page_token.is_empty() {
                break;
            }
        }
        assert!(names.is_empty(), "not listed: {names:?}");
    }

    async fn a_deleted_namespace_is_unknown(bed: &Bed) {
        let name = registered(bed).await;
        let mut operator = bed.client.connection().operator_service();
        let delete = |name: &str| {
            DeleteNamespaceRequest { namespace: name.to_owned(), ..Default::default() }.into_request()
        };
        let deleted = operator.delete_namespace(delete(&name)).await.expect("a deletion").into_inner();
        assert!(deleted.deleted_namespace.starts_with(&format!("{name}-deleted-")), "{deleted:?}");
        bed.eventually("the name is unknown", || async {
            let describe = DescribeNamespaceRequest { namespace: name.clone(), ..Default::default() };
            (rpc!(bed, describe_namespace, describe).err()?.code() == Code::NotFound).then_some(())
        })
        .await;
        let unknown = operator.delete_namespace(delete("nowhere")).await.expect_err("unknown");
        assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "Namespace nowhere is not found."));
        let system = operator.delete_namespace(delete("temporal-system")).await.expect_err("the system's");
        assert_eq!((system.code(), system.message()), (Code::FailedPrecondition, "unable to delete system namespace"));
        assert_eq!(operator.delete_namespace(delete("")).await.expect_err("no name").code(), Code::InvalidArgument);
    }

    async fn the_server_is_its_own_cluster(bed: &Bed) {
        let info = rpc!(bed, get_cluster_info, GetClusterInfoRequest::default()).expect("its info");
        let mut operator = bed.client.connection().operator_service();
        let clusters = operator.list_clusters(ListClustersRequest::default().into_request()).await;
        let clusters = clusters.expect("a list").into_inner().clusters;
        assert_eq!(clusters.len(), 1);
        assert_eq!((&clusters[0].cluster_name, &clusters[0].cluster_id), (&info.cluster_name, &info.cluster_id));
        assert!(clusters[0].is_connection_enabled);
        assert!(info.supported_clients.contains_key("temporal-go"), "{info:?}");
    }

    async fn a_request_without_a_namespace_is_told_so(bed: &Bed) {
        let refused = rpc!(bed, list_workflow_executions, ListWorkflowExecutionsRequest::default());
        let refused = refused.expect_err("no namespace");
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "Namespace is empty."));
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
    let request = CreateWorkflowRuleRequest {
        namespace: bed.namespace.clone(),
        ..Default::default()
    };
    let missing = rpc!(bed, create_workflow_rule, request).expect_err("not there");
    assert_eq!(missing.code(), Code::Unimplemented);
    assert!(
        missing.message().contains("CreateWorkflowRule"),
        "{}",
        missing.message()
    );
}
