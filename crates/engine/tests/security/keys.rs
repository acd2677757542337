//! API keys: who gets in, and into what.

use prost::Message as _;
use segno_test_support::Authority;
use temporalio_client::tonic::{Code, IntoRequest as _, Status};
use temporalio_common::protos::{
    google::rpc,
    temporal::api::{
        errordetails::v1::PermissionDeniedFailure,
        operatorservice::v1::{
            AddSearchAttributesRequest, DeleteNamespaceRequest, ListClustersRequest,
            ListSearchAttributesRequest, operator_service_client::OperatorServiceClient,
        },
        workflowservice::v1::*,
    },
};

use crate::{
    bed::{Port, call, execution, keys, poll, start, tls},
    sdk,
};

const ORDERS: &str = "orders-key-0123456789";
const ALL: &str = "key-of-all-0123456789";
const ADMIN: &str = "key-of-the-admin-0123";
const MANAGER: &str = "key-of-the-manager-01";

/// A port with two namespaces besides `default`, and keys.
async fn port() -> Port {
    let keys = keys(&[
        ("orders", ORDERS, &["orders"], false),
        ("all", ALL, &[], false),
        ("admin", ADMIN, &[], true),
        ("manager", MANAGER, &["orders", "new"], true),
    ]);
    let port = Port::open(|server, _| server.with_api_keys(keys)).await;
    port.register("orders").await;
    port.register("billing").await;
    port
}

/// The reason in the status of somebody who may not.
fn reason(status: &Status) -> String {
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert_eq!(status.message(), "Request unauthorized.");
    let details = rpc::Status::decode(status.details()).expect("details").details;
    assert_eq!(
        details[0].type_url,
        "type.googleapis.com/temporal.api.errordetails.v1.PermissionDeniedFailure"
    );
    let failure = PermissionDeniedFailure::decode(details[0].value.as_slice());
    failure.expect("a reason").reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_works_with_its_key() {
    let port = port().await;
    let connection = port.plain(Some(ORDERS)).await.expect("a connection");
    sdk::works(connection, "orders").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_works_with_its_key_and_a_client_certificate() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let keys = keys(&[("orders", ORDERS, &["default"], false)]);
    let port = Port::open(|server, folder| {
        server
            .with_tls(tls(folder, &authority, Some(&clients)))
            .with_api_keys(keys)
    })
    .await;
    let identity = clients.client();
    // Both are needed.
    assert!(port.secure(&authority, None, Some(ORDERS)).await.is_err());
    let error = port.secure(&authority, Some(&identity), None).await.err();
    assert!(error.is_some_and(|error| error.contains("Unauthenticated")));
    let connection = port.secure(&authority, Some(&identity), Some(ORDERS)).await;
    sdk::works(connection.expect("a connection"), "default").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_without_a_key() {
    let port = port().await;
    for key in [
        None,
        Some("some-other-key-012345"),
        Some("orders-key-012345678"),
        Some(""),
    ] {
        let raw = port.raw(key).await;
        let refused = [
            call!(raw, get_system_info, GetSystemInfoRequest {}).err(),
            call!(raw, get_cluster_info, GetClusterInfoRequest {}).err(),
            call!(raw, list_namespaces, ListNamespacesRequest::default()).err(),
            call!(raw, start_workflow_execution, start("orders", "w")).err(),
            call!(raw, poll_workflow_task_queue, poll("orders", "queue")).err(),
            // Also of what is not there at all, nobody learns.
            call!(raw, start_workflow_execution, start("nowhere", "w")).err(),
        ];
        for status in refused {
            let status = status.expect("it is refused");
            assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
            assert!(status.message().contains("API key"), "{status:?}");
            assert!(key.is_none_or(|key| key.is_empty() || !status.message().contains(key)));
        }
    }
    let error = port.plain(Some("some-other-key-012345")).await.err();
    assert!(error.is_some_and(|error| error.contains("Unauthenticated")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_headers_are_no_key() {
    let port = port().await;
    for value in [
        ORDERS.to_owned(),
        format!("Basic {ORDERS}"),
        "Bearer".to_owned(),
        format!("Bearer{ORDERS}"),
    ] {
        let raw = port.raw(None).await;
        let mut request = GetSystemInfoRequest {}.into_request();
        let value = value.parse().expect("metadata");
        request.metadata_mut().insert("authorization", value);
        let status = raw
            .service
            .clone()
            .get_system_info(request)
            .await
            .expect_err("no key");
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    }
    // The scheme's name has no case.
    let mut request = GetSystemInfoRequest {}.into_request();
    let value = format!("bearer {ORDERS}").parse().expect("metadata");
    request.metadata_mut().insert("authorization", value);
    let mut service = port.raw(None).await.service;
    service.get_system_info(request).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_for_its_namespaces() {
    let port = port().await;
    let raw = port.raw(Some(ORDERS)).await;
    raw.start("orders", "w").await.expect("its own namespace");
    call!(raw, get_system_info, GetSystemInfoRequest {}).expect("the system");
    for namespace in ["billing", "default", "nowhere", ""] {
        let named = || namespace.to_owned();
        let refused = [
            call!(raw, start_workflow_execution, start(namespace, "w")).err(),
            call!(raw, poll_workflow_task_queue, poll(namespace, "queue")).err(),
            call!(
                raw,
                describe_namespace,
                DescribeNamespaceRequest {
                    namespace: named(),
                    ..Default::default()
                }
            )
            .err(),
            call!(
                raw,
                list_workflow_executions,
                ListWorkflowExecutionsRequest {
                    namespace: named(),
                    ..Default::default()
                }
            )
            .err(),
            call!(
                raw,
                get_workflow_execution_history,
                GetWorkflowExecutionHistoryRequest {
                    namespace: named(),
                    execution: Some(execution("w")),
                    ..Default::default()
                }
            )
            .err(),
            call!(
                raw,
                terminate_workflow_execution,
                TerminateWorkflowExecutionRequest {
                    namespace: named(),
                    workflow_execution: Some(execution("w")),
                    ..Default::default()
                }
            )
            .err(),
            call!(
                raw,
                respond_workflow_task_completed,
                RespondWorkflowTaskCompletedRequest {
                    namespace: named(),
                    ..Default::default()
                }
            )
            .err(),
            call!(
                raw,
                execute_multi_operation,
                ExecuteMultiOperationRequest {
                    namespace: named(),
                    ..Default::default()
                }
            )
            .err(),
            call!(
                raw,
                list_schedules,
                ListSchedulesRequest {
                    namespace: named(),
                    ..Default::default()
                }
            )
            .err(),
        ];
        for status in refused {
            let reason = reason(&status.expect("another namespace"));
            assert!(
                reason.contains("\"orders\"") && reason.contains(&format!("{namespace:?}")),
                "{reason}"
            );
            assert!(!reason.contains(ORDERS), "{reason}");
        }
    }
    // The run of that id in another namespace is as it was.
    port.raw(Some(ALL))
        .await
        .start("billing", "w")
        .await
        .expect("a key for all");
}

/// The namespaces in a list, as far as they matter here.
async fn listed(port: &Port, key: &str) -> Vec<String> {
    let raw = port.raw(Some(key)).await;
    // In pages of one, so that what is left out is left out before the page is cut.
    let (mut names, mut next_page_token) = (Vec::new(), Vec::new());
    loop {
        let request = ListNamespacesRequest {
            page_size: 1,
            next_page_token,
            ..Default::default()
        };
        let page = call!(raw, list_namespaces, request).expect("a list");
        let infos = page
            .namespaces
            .into_iter()
            .filter_map(|namespace| namespace.namespace_info);
        names.extend(infos.map(|info| info.name));
        next_page_token = page.next_page_token;
        if next_page_token.is_empty() {
            return names;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_namespaces_has_those_of_the_key() {
    let port = port().await;
    assert_eq!(listed(&port, ORDERS).await, ["orders"]);
    for key in [ALL, ADMIN] {
        assert_eq!(
            listed(&port, key).await,
            ["temporal-system", "default", "orders", "billing"]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_admins_administrate() {
    let port = port().await;
    let register = |name: &str| RegisterNamespaceRequest {
        namespace: name.to_owned(),
        workflow_execution_retention_period: Some(prost_types::Duration {
            seconds: 86_400,
            nanos: 0,
        }),
        ..Default::default()
    };
    let update = |name: &str| UpdateNamespaceRequest {
        namespace: name.to_owned(),
        ..Default::default()
    };
    for key in [ORDERS, ALL] {
        let raw = port.raw(Some(key)).await;
        let mut operator = OperatorServiceClient::new(channel(&port).await);
        let attributes = AddSearchAttributesRequest {
            namespace: "orders".into(),
            ..Default::default()
        };
        let delete = DeleteNamespaceRequest {
            namespace: "orders".into(),
            ..Default::default()
        };
        let refused = [
            call!(raw, register_namespace, register("new")).err(),
            call!(raw, update_namespace, update("orders")).err(),
            operator
                .add_search_attributes(raw.request(attributes))
                .await
                .err(),
            operator.delete_namespace(raw.request(delete)).await.err(),
            operator
                .list_clusters(raw.request(ListClustersRequest::default()))
                .await
                .err(),
        ];
        for status in refused {
            let reason = reason(&status.expect("it is no admin's key"));
            assert!(reason.contains("administrate"), "{reason}");
        }
        let list = ListSearchAttributesRequest {
            namespace: "orders".into(),
        };
        operator
            .list_search_attributes(raw.request(list))
            .await
            .expect("a list");
    }

    let manager = port.raw(Some(MANAGER)).await;
    call!(manager, register_namespace, register("new")).expect("one of its own");
    call!(manager, update_namespace, update("orders")).expect("one of its own");
    for status in [
        call!(manager, register_namespace, register("other")).err(),
        call!(manager, update_namespace, update("billing")).err(),
    ] {
        assert!(reason(&status.expect("not one of its own")).contains("manager"));
    }
    // Ids of namespaces are not looked up for keys that are not for all of them.
    let mut operator = OperatorServiceClient::new(channel(&port).await);
    let by_id = DeleteNamespaceRequest {
        namespace_id: "1".into(),
        ..Default::default()
    };
    let status = operator
        .delete_namespace(manager.request(by_id))
        .await
        .expect_err("no name");
    reason(&status);

    let admin = port.raw(Some(ADMIN)).await;
    call!(admin, register_namespace, register("other")).expect("any");
    let clusters = operator
        .list_clusters(admin.request(ListClustersRequest::default()))
        .await;
    clusters.expect("a list");
}

async fn channel(port: &Port) -> temporalio_client::tonic::transport::Channel {
    temporalio_client::tonic::transport::Channel::from_shared(format!("http://{}", port.address))
        .expect("an address")
        .connect()
        .await
        .expect("a channel")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_needs_a_key_as_well() {
    use temporalio_common::protos::grpc::health::v1::{HealthCheckRequest, health_client::HealthClient};
    let port = port().await;
    let mut health = HealthClient::new(channel(&port).await);
    let status = health
        .check(HealthCheckRequest::default())
        .await
        .expect_err("no key");
    assert_eq!(status.code(), Code::Unauthenticated);
    let raw = port.raw(Some(ORDERS)).await;
    let answer = health.check(raw.request(HealthCheckRequest::default())).await;
    answer.expect("an answer");
}

/// The engine's own process asks nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_needed_in_the_process() {
    let port = port().await;
    let connection = port.inside().await.connection().clone();
    sdk::works(connection, "billing").await;
}
