//! What queries select: the answers of the real server to the same queries over the same executions.

use serde_json::json;

use super::*;

/// `w1` and `w2` are open, `w3` and `w4` terminated, as they were on the real server.
fn asked() -> (Connection, Registry) {
    let (conn, registry) = database();
    let given = [
        json!({"KwField": "alpha one", "IntField": 5, "TextField": "The quick brown Fox", "KlField": ["a", "b"],
               "DtField": "2026-01-02T03:04:05.123456789Z"}),
        json!({"KwField": "beta", "DblField": 2.5, "BoolField": true, "TextField": "lazy dog-house fox_trot"}),
        json!({"BoolField": false, "IntField": -7}),
        json!({}),
    ];
    for (key, given) in (1..).zip(given) {
        let (workflow_id, run_id) = (format!("w{key}"), format!("r{key}"));
        let (ty, queue) = if key < 3 { ("TypeA", "q1") } else { ("TypeB", "q2") };
        let started = StartedExecution {
            key,
            namespace_key: NAMESPACE,
            workflow_id: &workflow_id,
            run_id: &run_id,
            workflow_type: ty,
            task_queue: queue,
            status: 1,
            start_time: 1_800_000_000_000_000_000 + key,
            execution_time: 1_800_000_000_000_000_000 + key,
            ..StartedExecution::default()
        };
        upsert_start(&conn, &started, &attributes(&registry, given)).unwrap();
        if key > 2 {
            close(&conn, key, 5, 1_800_000_000_054_000_000 + key);
        }
    }
    (conn, registry)
}

#[test]
fn the_real_servers_answers_are_ours() {
    let (conn, registry) = asked();
    for (query, expected) in [
        ("", &[2, 1, 4, 3][..]),
        ("KwField = 'alpha one'", &[1]),
        ("IntField = 5.5", &[]),
        ("IntField = 5.0", &[1]),
        ("IntField != 5", &[3]),
        ("IntField NOT IN (5)", &[3]),
        ("IntField = - 7", &[3]),
        ("IntField BETWEEN 1 AND 10.5", &[1]),
        ("IntField IN (5, -7)", &[1, 3]),
        ("IntField > .5", &[1]),
        ("IntField = 99999999999999999999", &[]),
        ("DblField = 2", &[]),
        ("DblField >= 2", &[2]),
        ("DblField BETWEEN 1 AND 3", &[2]),
        ("BoolField = true", &[2]),
        ("BoolField != true", &[3]),
        ("BoolField > true", &[]),
        ("DtField > 5", &[1]),
        ("DtField > '2026-01-01T00:00:00+02:00'", &[1]),
        ("KlField = 'a'", &[1]),
        ("KlField != 'a'", &[2, 4, 3]),
        ("KlField IN ('a','z')", &[1]),
        ("KlField NOT IN ('a','z')", &[2, 4, 3]),
        ("KlField IS NULL", &[2, 4, 3]),
        ("TextField = 'quick'", &[1]),
        ("TextField = 'FOX'", &[2, 1]),
        ("TextField = 'quick dog'", &[2, 1]),
        ("TextField = 'fox_trot'", &[2]),
        ("TextField = 'qui'", &[]),
        ("TextField = 'qu*'", &[]),
        ("TextField = '!!!'", &[]),
        ("TextField != 'fox'", &[4, 3]),
        ("TextField IS NULL", &[4, 3]),
        ("WorkflowType = \"TypeA\"", &[2, 1]),
        ("`WorkflowType` = 'TypeA'", &[2, 1]),
        ("WorkflowType <> 'TypeA'", &[4, 3]),
        ("WorkflowType starts_with 'TypeB'", &[4, 3]),
        ("WorkflowType STARTS_WITH 'Type%'", &[]),
        ("WorkflowType NOT STARTS_WITH 'TypeB'", &[2, 1]),
        ("WorkflowType STARTS_WITH ''", &[2, 1, 4, 3]),
        ("WorkflowType NOT BETWEEN 'TypeA' AND 'TypeA'", &[4, 3]),
        ("WorkflowType BETWEEN 'TypeB' AND 'TypeA'", &[]),
        ("NOT (WorkflowType = 'TypeA' or IntField = 5)", &[3]),
        ("NOT IntField = 5", &[3]),
        ("NOT NOT KwField = 'alpha one'", &[1]),
        ("WorkflowType = 'TypeA' && KwField = 'beta'", &[2]),
        ("WorkflowType = 'TypeA' || KwField = 'beta'", &[2, 1]),
        (
            "WorkflowId = 'a' OR WorkflowId = 'w1' AND WorkflowType = 'TypeB'",
            &[],
        ),
        ("WorkflowId = 'w1' -- comment", &[1]),
        ("KwField IS NOT null", &[2, 1]),
        ("ExecutionStatus = 'Running'", &[2, 1]),
        ("ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_RUNNING'", &[2, 1]),
        ("ExecutionStatus = 5", &[4, 3]),
        ("ExecutionStatus != 'Running'", &[4, 3]),
        ("ExecutionStatus > 'Running'", &[4, 3]),
        ("ExecutionStatus IN ('Running', 5)", &[2, 1, 4, 3]),
        (
            "ExecutionStatus BETWEEN 'Running' AND 'Terminated'",
            &[2, 1, 4, 3],
        ),
        ("ExecutionStatus = 'Paused'", &[]),
        ("ExecutionStatus IS NULL", &[]),
        ("StartTime > '2026-01-01T00:00:00Z'", &[2, 1, 4, 3]),
        ("StartTime < '2026-01-01T00:00:00Z'", &[]),
        ("StartTime > 0", &[2, 1, 4, 3]),
        ("CloseTime IS NULL", &[2, 1]),
        ("CloseTime != '2026-01-01T00:00:00Z'", &[4, 3]),
        ("NOT CloseTime > '2026-01-01T00:00:00Z'", &[]),
        ("ExecutionDuration BETWEEN '1ms' AND '1h'", &[4, 3]),
        ("ExecutionDuration < '00:01:00'", &[4, 3]),
        ("ExecutionDuration < '5'", &[]),
        ("ExecutionDuration IS NULL", &[2, 1]),
        ("HistoryLength > 2", &[4, 3]),
        ("HistorySizeBytes IS NULL", &[2, 1]),
        ("StateTransitionCount IS NULL", &[2, 1]),
        ("ParentWorkflowId IS NULL", &[2, 1, 4, 3]),
        ("ParentWorkflowId != 'x'", &[]),
        ("RootWorkflowId = 'w1'", &[1]),
        ("RootWorkflowId != 'w1' AND WorkflowType = 'TypeA'", &[2]),
        ("TaskQueue STARTS_WITH 'q'", &[2, 1, 4, 3]),
        ("TemporalNamespaceDivision IS NULL", &[2, 1, 4, 3]),
        ("TemporalNamespaceDivision = 'x' OR WorkflowId = 'w1'", &[1]),
        ("BuildIds IS NULL", &[2, 1, 4, 3]),
        ("TemporalScheduledStartTime > '2020-01-01T00:00:00Z'", &[]),
        ("ScheduleId = 'x'", &[]),
        ("GROUP BY ExecutionStatus", &[2, 1, 4, 3]),
    ] {
        assert_eq!(keys(&conn, &registry, query, 100), expected, "{query}");
        assert_eq!(
            keys(&conn, &registry, query, 1),
            expected,
            "{query}, page by page"
        );
        if !query.starts_with("GROUP") {
            let parsed = Query::parse(query, &registry).unwrap();
            let total = count(&conn, NAMESPACE, &parsed).unwrap().total;
            assert_eq!(total, expected.len() as i64, "count of {query}");
        }
    }
}

#[test]
fn counts_are_grouped_by_status() {
    let (conn, registry) = asked();
    let counted = |text: &str| count(&conn, NAMESPACE, &Query::parse(text, &registry).unwrap()).unwrap();
    let groups = vec![("Running".to_owned(), 2), ("Terminated".to_owned(), 2)];
    assert_eq!(counted("GROUP BY ExecutionStatus"), Count { total: 4, groups });
    let groups = vec![("Terminated".to_owned(), 2)];
    assert_eq!(
        counted("WorkflowType = 'TypeB' GROUP BY `ExecutionStatus`"),
        Count { total: 2, groups }
    );
    let groups = vec![(String::new(), 4)];
    assert_eq!(
        counted("GROUP BY TemporalNamespaceDivision"),
        Count { total: 4, groups }
    );
    assert_eq!(group_value("Running").data, b"\"Running\"");
}

#[test]
fn divisions_are_seen_only_when_named() {
    let (conn, registry) = database();
    start(&conn, 1, &IndexedAttributes::default());
    start(
        &conn,
        2,
        &attributes(
            &registry,
            json!({"TemporalNamespaceDivision": "TemporalScheduler"}),
        ),
    );
    assert_eq!(keys(&conn, &registry, "", 10), [1]);
    assert_eq!(keys(&conn, &registry, "WorkflowId = 'w2'", 10), NONE);
    assert_eq!(
        keys(
            &conn,
            &registry,
            "TemporalNamespaceDivision = 'TemporalScheduler'",
            10
        ),
        [2]
    );
    assert_eq!(
        keys(&conn, &registry, "TemporalNamespaceDivision IS NOT NULL", 10),
        [2]
    );
    assert_eq!(keys(&conn, &registry, "NamespaceDivision IS NULL", 10), [1]);
    assert_eq!(
        keys(
            &conn,
            &registry,
            "TemporalNamespaceDivision = 'x' OR WorkflowType = 'Type'",
            1
        ),
        [2, 1]
    );
}

#[test]
fn lists_can_be_ordered_and_what_has_no_value_comes_last() {
    let (conn, registry) = asked();
    for (query, expected) in [
        ("ORDER BY StartTime", [1, 2, 3, 4]),
        ("ORDER BY StartTime DESC", [4, 3, 2, 1]),
        ("ORDER BY CloseTime DESC", [4, 3, 2, 1]),
        ("ORDER BY IntField ASC, StartTime DESC", [3, 1, 4, 2]),
        ("ORDER BY IntField DESC", [1, 3, 4, 2]),
        ("ORDER BY WorkflowType DESC, WorkflowId", [3, 4, 1, 2]),
        ("ORDER BY KwField", [1, 2, 3, 4]),
    ] {
        for page_size in [1, 2, 3, 10] {
            assert_eq!(
                keys(&conn, &registry, query, page_size),
                expected,
                "{query}, {page_size} a page"
            );
        }
    }
}

#[test]
fn values_are_never_sql() {
    let (conn, registry) = asked();
    for text in [
        "x' OR 1=1 --",
        "'; DROP TABLE execution; --",
        "\" OR \"\"=\"",
        "%",
        "_",
        "\\",
        "?1",
        ":a",
    ] {
        let quoted = text.replace('\\', "\\\\").replace('\'', "''");
        for query in [
            format!("WorkflowId = '{quoted}'"),
            format!("KwField = '{quoted}'"),
            format!("KlField IN ('{quoted}')"),
            format!("WorkflowType STARTS_WITH '{quoted}'"),
        ] {
            assert_eq!(keys(&conn, &registry, &query, 10), NONE, "{query}");
        }
    }
    assert_eq!(keys(&conn, &registry, "", 10).len(), 4);
}

#[test]
fn hundreds_of_ids_are_looked_up_each() {
    let (conn, registry) = asked();
    let ids: Vec<_> = (2..302).map(|n| format!("'w{n}'")).collect();
    let text = format!("WorkflowId IN ({})", ids.join(", "));
    let query = Query::parse(&text, &registry).unwrap();
    let analysis = super::analysis::analyse(&query, NAMESPACE);
    let way = super::plan::choose(&conn, &analysis, NAMESPACE, true).unwrap();
    assert!(matches!(way, super::plan::Way::Small(_)), "{way:?}");
    assert_eq!(keys(&conn, &registry, &text, 10), [2, 4, 3]);
}
