//! The query language of lists and counts: what each condition finds, and what is said about wrong ones.

use temporalio_client::tonic::{Code, IntoRequest as _, Status};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, UpsertWorkflowSearchAttributesCommandAttributes, command::Attributes},
    common::v1::{Payload, SearchAttributes},
    enums::v1::{CommandType, IndexedValueType},
    operatorservice::v1::AddSearchAttributesRequest,
    workflowservice::v1::{
        CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse, ListWorkflowExecutionsRequest,
    },
};

use crate::bed::{Bed, both_engines, commands, rpc};

/// Asks again where the real server says that it is asked too often: it takes so many lists a second.
async fn unhurried<T, F: Future<Output = Result<T, Status>>>(ask: impl Fn() -> F) -> Result<T, Status> {
    loop {
        match ask().await {
            Err(status) if status.code() == Code::ResourceExhausted => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            answer => return answer,
        }
    }
}

async fn list(bed: &Bed, query: &str) -> Result<Vec<String>, Status> {
    let request = ListWorkflowExecutionsRequest {
        namespace: bed.namespace.clone(),
        query: query.to_owned(),
        ..Default::default()
    };
    let found = unhurried(|| async { rpc!(bed, list_workflow_executions, request.clone()) })
        .await?
        .executions
        .into_iter();
    let mut ids: Vec<_> = found
        .filter_map(|info| info.execution)
        .map(|execution| execution.workflow_id)
        .collect();
    ids.sort();
    Ok(ids)
}

async fn count(bed: &Bed, query: &str) -> Result<CountWorkflowExecutionsResponse, Status> {
    let request = CountWorkflowExecutionsRequest {
        namespace: bed.namespace.clone(),
        query: query.to_owned(),
    };
    unhurried(|| async { rpc!(bed, count_workflow_executions, request.clone()) }).await
}

fn attributes(values: &[(&str, &str)]) -> SearchAttributes {
    let payload = |json: &str| Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: json.as_bytes().to_vec(),
        ..Default::default()
    };
    let fields = values
        .iter()
        .map(|(name, json)| ((*name).to_owned(), payload(json)));
    SearchAttributes {
        indexed_fields: fields.collect(),
    }
}

async fn start(bed: &Bed, id: &str, values: &[(&str, &str)]) {
    let mut request = bed.start_request(id);
    request.search_attributes = Some(attributes(values));
    rpc!(bed, start_workflow_execution, request).expect("a start");
}

/// One that has completed, one with other values that runs, and one without values.
async fn three(bed: &Bed) {
    let types = [
        ("K", IndexedValueType::Keyword),
        ("T", IndexedValueType::Text),
        ("I", IndexedValueType::Int),
        ("D", IndexedValueType::Double),
        ("B", IndexedValueType::Bool),
        ("DT", IndexedValueType::Datetime),
        ("KL", IndexedValueType::KeywordList),
    ];
    let request = AddSearchAttributesRequest {
        namespace: bed.namespace.clone(),
        search_attributes: types
            .iter()
            .map(|(name, of)| ((*name).to_owned(), *of as i32))
            .collect(),
    };
    let mut operator = bed.client.connection().operator_service();
    operator
        .add_search_attributes(request.into_request())
        .await
        .expect("attributes");
    for (name, _) in types {
        bed.eventually("the attribute is known", || async move {
            list(bed, &format!("{name} IS NULL")).await.ok().map(drop)
        })
        .await;
    }
    let one = [
        ("K", r#""red""#),
        ("T", r#""The quick brown fox""#),
        ("I", "1"),
        ("D", "1.5"),
        ("B", "true"),
        ("DT", r#""2026-01-01T00:00:00Z""#),
        ("KL", r#"["x","y"]"#),
    ];
    // The real server may take a moment longer to accept what its lists know already.
    bed.eventually("a start with attributes is accepted", || async {
        let mut request = bed.start_request("a");
        request.search_attributes = Some(attributes(&one));
        rpc!(bed, start_workflow_execution, request).ok().map(drop)
    })
    .await;
    // Before the others are started: the real server keeps no order among the tasks of a queue.
    let task = bed.task().await;
    assert_eq!(
        task.workflow_execution.as_ref().map(|of| of.workflow_id.as_str()),
        Some("a")
    );
    bed.complete(&task, vec![commands::complete("done")]).await;
    let two = [
        ("K", r#""blue""#),
        ("T", r#""lazy dog""#),
        ("I", "2"),
        ("D", "2.5"),
        ("B", "false"),
        ("DT", r#""2026-02-01T00:00:00Z""#),
        ("KL", r#"["y"]"#),
    ];
    start(bed, "b", &two).await;
    start(bed, "c", &[]).await;
    bed.eventually("the lists are up to date", || async {
        let all = list(bed, "").await.ok()?;
        let closed = list(bed, "ExecutionStatus = 'Completed'").await.ok()?;
        (all.len() == 3 && closed.len() == 1).then_some(())
    })
    .await;
}

/// Each query and the ids that it finds, one letter each.
const FINDS: &[(&str, &str)] = &[
    ("", "abc"),
    ("K = 'red'", "a"),
    ("K != 'red'", "b"),
    ("K IN ('red', 'blue')", "ab"),
    ("K NOT IN ('red')", "b"),
    ("K IS NULL", "c"),
    ("K IS NOT NULL", "ab"),
    ("K STARTS_WITH 'b'", "b"),
    ("K NOT STARTS_WITH 'b'", "a"),
    ("K BETWEEN 'a' AND 'c'", "b"),
    ("K NOT BETWEEN 'a' AND 'c'", "a"),
    ("NOT K = 'red'", "b"),
    ("NOT (K = 'red' OR K = 'blue')", ""),
    ("K = 'red' or I = 2", "ab"),
    ("K='red' && I=1", "a"),
    ("(K = 'red')", "a"),
    ("K = 'red';", "a"),
    ("`K` = 'red'", "a"),
    ("`WorkflowId` = \"a\"", "a"),
    ("T = 'quick'", "a"),
    ("T = 'fox lazy'", "ab"),
    ("T != 'quick'", "bc"),
    ("KL = 'y'", "ab"),
    ("KL IN ('x')", "a"),
    ("KL != 'x'", "bc"),
    ("KL IS NULL", "c"),
    ("I > 1", "b"),
    ("I BETWEEN 1 AND 2", "ab"),
    ("I = 1 AND D < 2", "a"),
    ("D = 1.5", "a"),
    ("D >= 2", "b"),
    ("B = true", "a"),
    ("B = false", "b"),
    ("B != true", "b"),
    ("DT > '2026-01-15T00:00:00Z'", "b"),
    (
        "DT BETWEEN '2025-12-31T00:00:00Z' AND '2026-01-02T00:00:00Z'",
        "a",
    ),
    ("ExecutionStatus = 'Completed'", "a"),
    ("ExecutionStatus = 2", "a"),
    ("ExecutionStatus != 'Running'", "a"),
    ("ExecutionStatus IN ('Running', 'Completed')", "abc"),
    ("ExecutionDuration > 0", "a"),
    ("ExecutionDuration < '1h'", "a"),
    ("HistoryLength > 0", "a"),
    ("HistoryLength = 5", "a"),
    ("HistorySizeBytes > 0", "a"),
    ("StateTransitionCount > 0", "a"),
    ("TaskQueue = 'queue'", "abc"),
    ("ParentWorkflowId IS NULL", "abc"),
    ("RootWorkflowId = 'a'", "a"),
    ("RootWorkflowId IS NOT NULL", "abc"),
    ("RunId IS NOT NULL", "abc"),
    ("TemporalChangeVersion IS NULL", "abc"),
    ("TemporalNamespaceDivision IS NULL", "abc"),
    ("StartTime < '2099-01-01T00:00:00Z' AND CloseTime IS NULL", "bc"),
    ("CloseTime IS NOT NULL", "a"),
    (
        "WorkflowId STARTS_WITH 'a' AND (ExecutionStatus = 'Running' OR CloseTime > '2020-01-01T00:00:00Z')",
        "a",
    ),
    ("K = 'red' GROUP BY ExecutionStatus", "a"),
];

/// Each wrong query and what is said about it.
const WRONG: &[(&str, &str)] = &[
    ("Nope = 'x'", "invalid search attribute: Nope"),
    ("Memo = 'x'", "invalid search attribute: Memo"),
    (
        "ExecutionStatus = 'completed'",
        "invalid expression: invalid ExecutionStatus value 'completed'",
    ),
    (
        "K = 5",
        "invalid expression: invalid value type for search attribute K of type Keyword: 5 (type: int64)",
    ),
    (
        "I = 'x'",
        "invalid expression: invalid value type for search attribute I of type Int: \"x\" (type: string)",
    ),
    ("DT = 'x'", "invalid expression: unable to parse datetime 'x'"),
    (
        "1 = 1",
        "invalid expression: must be a column name but was *sqlparser.SQLVal",
    ),
    (
        "K = red",
        "operation is not supported: column name on the right side of comparison expression (did you forget to quote \"red\"?)",
    ),
    (
        "K = null",
        "invalid expression: unexpected value type *sqlparser.NullVal",
    ),
    (
        "K LIKE 'r%'",
        "operation is not supported: operator 'LIKE' not supported for Keyword type search attribute 'K'",
    ),
    (
        "ORDER BY T",
        "operation is not supported: unable to sort by search attribute type Text",
    ),
    (
        "WorkflowId = ",
        "malformed SQL query: syntax error at position 40",
    ),
    (
        "K = 'red' AND",
        "malformed SQL query: syntax error at position 41",
    ),
    (
        "K = 'a'; garbage",
        "malformed SQL query: syntax error at position 44 near 'garbage'",
    ),
    ("K = 'a';;", "malformed SQL query: syntax error at position 37"),
    ("K == 'red'", "malformed SQL query: syntax error at position 32"),
    (
        "LIMIT 5",
        "malformed SQL query: syntax error at position 33 near 'limit'",
    ),
    (
        "select * from x",
        "malformed SQL query: syntax error at position 34 near 'select'",
    ),
];

both_engines! {
    async fn conditions_find_what_they_say(bed: &Bed) {
        three(bed).await;
        for (query, letters) in FINDS {
            let ids: Vec<_> = letters.chars().map(String::from).collect();
            assert_eq!(list(bed, query).await.expect(query), ids, "{query}");
        }
        for (query, message) in WRONG {
            let refused = list(bed, query).await.expect_err(query);
            assert_eq!(refused.code(), Code::InvalidArgument, "{query}: {refused:?}");
            assert_eq!(refused.message(), format!("invalid query: {message}"), "{query}");
        }
        for (query, letters) in FINDS.iter().filter(|(query, _)| !query.contains("GROUP BY")) {
            assert_eq!(count(bed, query).await.expect(query).count, letters.len() as i64, "{query}");
        }
        let grouped = count(bed, "GROUP BY ExecutionStatus").await.expect("groups");
        let mut groups: Vec<_> = grouped
            .groups
            .iter()
            .map(|group| (String::from_utf8_lossy(&group.group_values[0].data).into_owned(), group.count))
            .collect();
        groups.sort();
        assert_eq!(groups, [("\"Completed\"".to_owned(), 1), ("\"Running\"".to_owned(), 2)]);
        for (query, message) in [
            ("GROUP BY K", "'GROUP BY' clause is not supported for search attribute K"),
            ("GROUP BY ExecutionStatus, K", "'GROUP BY' clause supports only a single field"),
            ("ORDER BY StartTime", "'ORDER BY' clause"),
        ] {
            let refused = count(bed, query).await.expect_err(query);
            assert_eq!(refused.message(), format!("invalid query: operation is not supported: {message}"), "{query}");
        }
    }

    async fn what_a_workflow_upserts_is_found(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let upsert = UpsertWorkflowSearchAttributesCommandAttributes {
            search_attributes: Some(attributes(&[("TemporalChangeVersion", r#"["change-1","other-2"]"#)])),
        };
        let upsert = Command {
            command_type: CommandType::UpsertWorkflowSearchAttributes as i32,
            attributes: Some(Attributes::UpsertWorkflowSearchAttributesCommandAttributes(upsert)),
            ..Default::default()
        };
        bed.complete(&task, vec![upsert]).await;
        bed.eventually("it is found by its change", || async {
            (list(bed, "TemporalChangeVersion = 'change-1'").await.ok()? == ["w"]).then_some(())
        })
        .await;
        assert!(list(bed, "TemporalChangeVersion = 'change-2'").await.expect("a list").is_empty());
    }
}

/// Only ours: the real server over SQLite does not sort.
#[tokio::test(flavor = "multi_thread")]
async fn lists_can_be_ordered() {
    let bed = Bed::embedded().await;
    three(&bed).await;
    let ordered = |query: &'static str| async {
        let request = ListWorkflowExecutionsRequest {
            namespace: bed.namespace.clone(),
            query: query.to_owned(),
            ..Default::default()
        };
        let found = rpc!(bed, list_workflow_executions, request)
            .expect("a list")
            .executions;
        let ids = found.into_iter().filter_map(|info| info.execution);
        ids.map(|execution| execution.workflow_id).collect::<String>()
    };
    assert_eq!(ordered("ORDER BY WorkflowId").await, "abc");
    assert_eq!(ordered("ORDER BY WorkflowId DESC").await, "cba");
    assert_eq!(ordered("K IS NOT NULL ORDER BY I DESC").await, "ba");
    assert_eq!(
        ordered("ORDER BY K").await,
        "bac",
        "those without a value come last"
    );
}
