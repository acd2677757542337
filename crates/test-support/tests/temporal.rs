//! The server really serves: two namespaces do not meet, attributes are there, state survives a restart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use segno_test_support::{Options, TemporalServer, free_port};
use temporalio_client::{
    Client,
    tonic::{Code, IntoRequest},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, SearchAttributes, WorkflowExecution, WorkflowType},
    enums::v1::IndexedValueType,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{DescribeWorkflowExecutionRequest, StartWorkflowExecutionRequest},
};

async fn start(client: &Client, attribute: Option<(&str, &str)>) {
    let search_attributes = attribute.map(|(name, json)| SearchAttributes {
        indexed_fields: [(
            name.to_owned(),
            Payload {
                metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
                data: json.as_bytes().to_vec(),
                ..Default::default()
            },
        )]
        .into(),
    });
    let request = StartWorkflowExecutionRequest {
        namespace: client.options().namespace.clone(),
        workflow_id: "one".to_owned(),
        workflow_type: Some(WorkflowType {
            name: "Any".to_owned(),
        }),
        task_queue: Some(TaskQueue {
            name: "nobody".to_owned(),
            ..Default::default()
        }),
        request_id: "1".to_owned(),
        search_attributes,
        ..Default::default()
    };
    client
        .connection()
        .workflow_service()
        .start_workflow_execution(request.into_request())
        .await
        .unwrap();
}

async fn describe(client: &Client) -> Result<(), Code> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: client.options().namespace.clone(),
        execution: Some(WorkflowExecution {
            workflow_id: "one".to_owned(),
            ..Default::default()
        }),
    };
    let answer = client
        .connection()
        .workflow_service()
        .describe_workflow_execution(request.into_request())
        .await;
    answer.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn namespaces_do_not_meet_and_have_their_attributes() {
    let server = TemporalServer::start().await;
    let mine = server
        .namespace_with(&[("SegnoTestWhen", IndexedValueType::Datetime)])
        .await;
    let mine = server.client(&mine).await;
    let other = server.client(&server.namespace().await).await;
    start(&mine, Some(("SegnoTestWhen", "\"2030-01-01T00:00:00Z\""))).await;
    assert_eq!(describe(&mine).await, Ok(()));
    assert_eq!(describe(&other).await, Err(Code::NotFound));
}

#[tokio::test]
async fn a_server_with_a_file_comes_back_with_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        db: Some(folder.path().join("state.db")),
        port: Some(free_port()),
        ..Options::default()
    };
    let server = TemporalServer::start_with(options.clone()).await;
    let namespace = server.namespace().await;
    start(&server.client(&namespace).await, None).await;
    drop(server);
    let server = TemporalServer::start_with(options).await;
    assert_eq!(describe(&server.client(&namespace).await).await, Ok(()));
}
