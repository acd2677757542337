//! Lists and counts, over built-in and custom search attributes.

use std::collections::HashMap;

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    command::v1::{
        Command, UpsertWorkflowSearchAttributesCommandAttributes, command::Attributes as CommandAttributes,
    },
    common::v1::{Payload, SearchAttributes},
    enums::v1::{CommandType, IndexedValueType, WorkflowExecutionStatus},
    history::v1::history_event::Attributes,
    operatorservice::v1::AddSearchAttributesRequest,
    workflowservice::v1::{CountWorkflowExecutionsRequest, ListWorkflowExecutionsRequest},
};

use crate::bed::{Bed, both_engines, commands, rpc};

async fn list(bed: &Bed, query: &str) -> Result<Vec<String>, temporalio_client::tonic::Status> {
    let request = ListWorkflowExecutionsRequest {
        namespace: bed.namespace.clone(),
        query: query.to_owned(),
        ..Default::default()
    };
    let found = rpc!(bed, list_workflow_executions, request)?;
    let mut ids: Vec<_> = found
        .executions
        .into_iter()
        .filter_map(|info| info.execution)
        .map(|e| e.workflow_id)
        .collect();
    ids.sort();
    Ok(ids)
}

/// Waits until the list is this: the real server's is behind by moments.
pub(crate) async fn finds(bed: &Bed, query: &str, ids: &[&str]) {
    bed.eventually(&format!("{query} finds {ids:?}"), || async move {
        (list(bed, query).await.ok()? == ids).then_some(())
    })
    .await;
}

pub(crate) async fn add_attribute(bed: &Bed, name: &str, value_type: IndexedValueType) {
    let request = AddSearchAttributesRequest {
        namespace: bed.namespace.clone(),
        search_attributes: [(name.to_owned(), value_type as i32)].into(),
    };
    let mut service = bed.client.connection().operator_service();
    let request = temporalio_client::tonic::IntoRequest::into_request(request);
    service
        .add_search_attributes(request)
        .await
        .expect("an attribute");
    bed.eventually("the attribute is known", || async {
        list(bed, &format!("{name} IS NULL")).await.ok().map(drop)
    })
    .await;
}

pub(crate) fn attributes(name: &str, json: &str) -> Option<SearchAttributes> {
    let metadata: HashMap<_, _> = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    let payload = Payload {
        metadata,
        data: json.as_bytes().to_vec(),
        ..Default::default()
    };
    Some(SearchAttributes {
        indexed_fields: [(name.to_owned(), payload)].into(),
    })
}

both_engines! {
    async fn executions_are_found_by_what_they_are(bed: &Bed) {
        bed.start("closed").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        bed.start("open").await;
        finds(bed, "", &["closed", "open"]).await;
        finds(bed, "ExecutionStatus = 'Running'", &["open"]).await;
        finds(bed, "ExecutionStatus IN ('Completed', 'Failed') AND WorkflowType = 'Test'", &["closed"]).await;
        finds(bed, "WorkflowId STARTS_WITH 'cl'", &["closed"]).await;
        finds(bed, "CloseTime IS NULL", &["open"]).await;
        finds(bed, "StartTime > '2020-01-01T00:00:00Z' AND NOT WorkflowId = 'open'", &["closed"]).await;
        finds(bed, "WorkflowId BETWEEN 'a' AND 'd' OR TaskQueue = 'elsewhere'", &["closed"]).await;
    }

    async fn executions_are_found_by_custom_attributes(bed: &Bed) {
        add_attribute(bed, "Color", IndexedValueType::Keyword).await;
        add_attribute(bed, "Size", IndexedValueType::Int).await;
        let mut red = bed.start_request("red");
        red.search_attributes = attributes("Color", "\"red\"");
        rpc!(bed, start_workflow_execution, red).expect("a start");
        let mut large = bed.start_request("large");
        large.search_attributes = attributes("Size", "7");
        rpc!(bed, start_workflow_execution, large).expect("a start");
        finds(bed, "Color = 'red'", &["red"]).await;
        finds(bed, "Size > 5", &["large"]).await;
        finds(bed, "Color IS NULL", &["large"]).await;
        let mut wrong = bed.start_request("wrong");
        wrong.search_attributes = attributes("Nameless", "\"x\"");
        let refused = rpc!(bed, start_workflow_execution, wrong).expect_err("unknown");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("Nameless"), "{}", refused.message());
    }

    async fn attributes_that_come_without_their_type_get_it(bed: &Bed) {
        add_attribute(bed, "Label", IndexedValueType::Keyword).await;
        add_attribute(bed, "Size", IndexedValueType::Int).await;
        let mut start = bed.start_request("w");
        start.search_attributes = attributes("Label", "\"big\"");
        rpc!(bed, start_workflow_execution, start).expect("a start");
        let upsert = UpsertWorkflowSearchAttributesCommandAttributes { search_attributes: attributes("Size", "7") };
        let upsert = Command {
            command_type: CommandType::UpsertWorkflowSearchAttributes as i32,
            attributes: Some(CommandAttributes::UpsertWorkflowSearchAttributesCommandAttributes(upsert)),
            ..Default::default()
        };
        let task = bed.task().await;
        bed.complete(&task, vec![upsert]).await;
        let type_in = |attributes: &Option<SearchAttributes>, name: &str| {
            let fields = &attributes.as_ref().expect("attributes").indexed_fields;
            String::from_utf8(fields[name].metadata["type"].clone()).expect("text")
        };
        for event in bed.history("w").await {
            match event.attributes.expect("attributes") {
                Attributes::WorkflowExecutionStartedEventAttributes(started) => {
                    assert_eq!(type_in(&started.search_attributes, "Label"), "Keyword");
                }
                Attributes::UpsertWorkflowSearchAttributesEventAttributes(upserted) => {
                    assert_eq!(type_in(&upserted.search_attributes, "Size"), "Int");
                }
                _ => {}
            }
        }
        let described = bed.describe("w").await.workflow_execution_info.expect("its info").search_attributes;
        assert_eq!((type_in(&described, "Label"), type_in(&described, "Size")), ("Keyword".into(), "Int".into()));
    }

    async fn executions_are_counted(bed: &Bed) {
        for id in ["a", "b", "c"] {
            bed.start(id).await;
        }
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let count = |query: &str| CountWorkflowExecutionsRequest {
            namespace: bed.namespace.clone(),
            query: query.to_owned(),
        };
        bed.eventually("one has completed", || async {
            let counted =
                rpc!(bed, count_workflow_executions, count("ExecutionStatus = 'Completed'")).expect("a count");
            (counted.count == 1).then_some(())
        })
        .await;
        let grouped =
            rpc!(bed, count_workflow_executions, count("GROUP BY ExecutionStatus")).expect("a count by group");
        assert_eq!(grouped.count, 3);
        let mut groups: Vec<_> = grouped
            .groups
            .iter()
            .map(|group| (String::from_utf8_lossy(&group.group_values[0].data).into_owned(), group.count))
            .collect();
        groups.sort();
        assert_eq!(groups, [("\"Completed\"".to_owned(), 1), ("\"Running\"".to_owned(), 2)]);
    }

    async fn a_wrong_query_names_what_is_wrong(bed: &Bed) {
        let refused = list(bed, "Nameless = 'x'").await.expect_err("unknown");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("Nameless"), "{}", refused.message());
        let refused = list(bed, "WorkflowId = ").await.expect_err("incomplete");
        assert_eq!(refused.code(), Code::InvalidArgument);
    }

    async fn pages_follow_each_other(bed: &Bed) {
        for id in ["a", "b", "c", "d", "e"] {
            bed.start(id).await;
        }
        finds(bed, "", &["a", "b", "c", "d", "e"]).await;
        let mut seen = Vec::new();
        let mut next_page_token = Vec::new();
        loop {
            let request = ListWorkflowExecutionsRequest {
                namespace: bed.namespace.clone(),
                page_size: 2,
                next_page_token,
                ..Default::default()
            };
            let page = rpc!(bed, list_workflow_executions, request).expect("a page");
            assert!(page.executions.len() <= 2);
            for info in page.executions {
                assert_eq!(info.status(), WorkflowExecutionStatus::Running);
                seen.extend(info.execution.map(|execution| execution.workflow_id));
            }
            next_page_token = page.next_page_token;
            if next_page_token.is_empty() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    }
}
