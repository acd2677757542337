//! The tables after writes.

use serde_json::json;

use super::*;

fn value_rows(conn: &Connection) -> i64 {
    conn.query_row("SELECT count(*) FROM execution_attribute", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn an_execution_is_found_by_its_attributes_all_its_life() {
    let (conn, registry) = database();
    start(
        &conn,
        1,
        &attributes(
            &registry,
            json!({"KlField": ["a", "b", "a"], "TextField": "one two one"}),
        ),
    );
    assert_eq!(value_rows(&conn), 4);
    let found = |text: &str| keys(&conn, &registry, text, 10);
    assert_eq!(found("KlField = 'b' AND CloseTime IS NULL"), [1]);
    close(&conn, 1, 3, 5_000_000_000);
    assert_eq!(found("KlField = 'b' AND ExecutionStatus = 'Failed'"), [1]);
    assert_eq!(found("TextField = 'two'"), [1]);
    assert!(replace_attributes(&conn, 1, &attributes(&registry, json!({"KwField": "c"}))).unwrap());
    assert_eq!(found("KlField = 'b'"), NONE);
    assert_eq!(found("KwField = 'c'"), [1]);
    assert_eq!(value_rows(&conn), 1);
    assert!(delete(&conn, 1).unwrap());
    assert_eq!(value_rows(&conn), 0);
    assert_eq!(found(""), NONE);
}

#[test]
fn closing_happens_once_and_not_before_the_start() {
    let (conn, registry) = database();
    start(&conn, 7, &IndexedAttributes::default());
    close(&conn, 7, 2, 1);
    let again = ClosedExecution {
        status: 3,
        close_time: 99,
        ..ClosedExecution::default()
    };
    assert!(!update_close(&conn, 7, &again).unwrap());
    let page = list(&conn, NAMESPACE, &Query::parse("", &registry).unwrap(), 10, &[]).unwrap();
    let row = &page.executions[0];
    assert_eq!((row.status, row.close_time), (2, Some(7_000_000_000)));
    assert_eq!(row.history_length, Some(11));
}

#[test]
fn a_start_filed_twice_replaces_the_first() {
    let (conn, registry) = database();
    start(&conn, 1, &attributes(&registry, json!({"KwField": "a"})));
    close(&conn, 1, 2, 9_000_000_000);
    start(&conn, 1, &attributes(&registry, json!({"KwField": "b"})));
    assert_eq!(value_rows(&conn), 1);
    assert_eq!(
        keys(
            &conn,
            &registry,
            "KwField = 'b' AND ExecutionStatus = 'Running'",
            10
        ),
        [1]
    );
}

#[test]
fn writes_to_what_is_not_filed_say_so() {
    let (conn, _) = database();
    assert!(!update_close(&conn, 1, &ClosedExecution::default()).unwrap());
    assert!(!replace_attributes(&conn, 1, &IndexedAttributes::default()).unwrap());
    assert!(!replace_memo(&conn, 1, None).unwrap());
    assert!(!update_open_status(&conn, 1, 8).unwrap());
    assert!(!delete(&conn, 1).unwrap());
}

#[test]
fn a_namespace_sees_its_own() {
    let (conn, registry) = database();
    start(&conn, 1, &attributes(&registry, json!({"BuildIds": ["b"]})));
    let other = Registry::load(&conn, 2, "other").unwrap();
    let query = Query::parse("BuildIds = 'b'", &other).unwrap();
    assert_eq!(list(&conn, 2, &query, 10, &[]).unwrap(), Page::default());
    assert!(Query::parse("KwField = 'a'", &other).is_err());
}

#[test]
fn the_message_has_what_the_real_server_lists() {
    let (conn, registry) = database();
    let started = StartedExecution {
        key: 1,
        namespace_key: NAMESPACE,
        workflow_id: "child",
        run_id: "r",
        workflow_type: "Type",
        task_queue: "queue",
        status: 1,
        start_time: 1_500_000_000,
        execution_time: 2_500_000_000,
        parent: Some(("parent", "p")),
        root: Some(("root", "q")),
        memo: None,
        closed: None,
    };
    upsert_start(&conn, &started, &attributes(&registry, json!({"KwField": "a"}))).unwrap();
    close(&conn, 1, 2, 4_000_000_001);
    assert_eq!(
        keys(
            &conn,
            &registry,
            "ParentWorkflowId = 'parent' AND RootWorkflowId = 'root'",
            1
        ),
        [1]
    );
    let page = list(&conn, NAMESPACE, &Query::default(), 10, &[]).unwrap();
    let info = page.executions[0].info().unwrap();
    assert_eq!(info.parent_execution.unwrap().workflow_id, "parent");
    assert_eq!(info.root_execution.unwrap().run_id, "q");
    let time = info.start_time.unwrap();
    assert_eq!((time.seconds, time.nanos), (1, 500_000_000));
    let duration = info.execution_duration.unwrap();
    assert_eq!((duration.seconds, duration.nanos), (1, 500_000_001));
    assert_eq!(
        info.search_attributes.unwrap().indexed_fields["KwField"].data,
        b"\"a\""
    );
    assert_eq!(info.memo, Some(Default::default()));
    assert!(replace_memo(&conn, 1, Some(b"\xff")).unwrap());
    let page = list(&conn, NAMESPACE, &Query::default(), 10, &[]).unwrap();
    assert!(page.executions[0].info().is_err());
}

#[test]
fn pages_go_on_while_executions_start_and_close() {
    let (conn, registry) = database();
    let none = IndexedAttributes::default();
    (1..=20).for_each(|key| start(&conn, key, &none));
    (1..=10).for_each(|key| close(&conn, key, 2, 100_000_000_000 + key));
    let query = Query::parse("WorkflowType = 'Type'", &registry).unwrap();
    let first = list(&conn, NAMESPACE, &query, 15, &[]).unwrap();
    start(&conn, 30, &none);
    close(&conn, 15, 2, 200_000_000_000);
    delete(&conn, 6).unwrap();
    let second = list(&conn, NAMESPACE, &query, 15, &first.next_page_token).unwrap();
    let listed = |page: &Page| page.executions.iter().map(|row| row.key).collect::<Vec<_>>();
    assert_eq!(
        listed(&first),
        [20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6]
    );
    // 15 closed last of all and so moved to a place before the first page ended: it is not met again.
    assert_eq!(listed(&second), [5, 4, 3, 2, 1]);
    assert!(second.next_page_token.is_empty());
    assert!(matches!(
        list(&conn, NAMESPACE, &query, 5, b"nonsense"),
        Err(Error::PageToken)
    ));
}
