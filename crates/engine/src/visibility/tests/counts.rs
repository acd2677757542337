//! The counts that the file keeps: exact whatever happens, and asked instead of the executions.

use serde_json::json;

use super::super::audit::audit;
use super::super::counts::{answer, are_kept, can_answer};
use super::super::statuses::ByStatus;
use super::super::tables::prepare;
use super::*;

/// What the executions themselves say, by scope, type and status.
fn counted(conn: &Connection) -> Vec<(i64, String, i64, i64)> {
    rows(
        conn,
        "SELECT scope, workflow_type, status, count(*) FROM execution GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )
}

/// What the file keeps.
fn kept(conn: &Connection) -> Vec<(i64, String, i64, i64)> {
    rows(conn, "SELECT * FROM execution_count ORDER BY 1, 2, 3")
}

fn rows(conn: &Connection, sql: &str) -> Vec<(i64, String, i64, i64)> {
    let mut statement = conn.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// A file of before counts were kept.
fn without_counts(conn: &Connection) {
    conn.execute_batch(
        "DROP TRIGGER execution_is_counted; DROP TRIGGER execution_is_counted_no_more; \
         DROP TRIGGER execution_is_counted_anew; DROP TABLE execution_count;",
    )
    .unwrap();
}

#[test]
fn each_change_of_an_execution_is_counted() {
    let (conn, registry) = database();
    let none = IndexedAttributes::default();
    let divided = attributes(&registry, json!({ "TemporalNamespaceDivision": "d" }));
    let check = |after: &str, all: i64| {
        assert_eq!(kept(&conn), counted(&conn), "{after}");
        let sum: i64 = kept(&conn).iter().map(|(.., count)| count).sum();
        assert_eq!(sum, all, "{after}");
    };
    check("nothing", 0);
    (1..=5).for_each(|key| start(&conn, key, &none));
    check("starts", 5);
    close(&conn, 1, 2, 9_000_000_000);
    close(&conn, 2, 3, 9_000_000_000);
    check("closes", 5);
    assert!(update_open_status(&conn, 3, 8).unwrap());
    check("a pause", 5);
    assert!(replace_attributes(&conn, 4, &divided).unwrap());
    check("a move to a division", 5);
    assert!(replace_memo(&conn, 4, None).unwrap());
    start(&conn, 1, &none);
    check("a start that is filed twice", 5);
    assert!(delete(&conn, 2).unwrap());
    assert!(!delete(&conn, 2).unwrap());
    check("a deletion", 4);
    for key in [1, 3, 4, 5] {
        delete(&conn, key).unwrap();
    }
    check("the last deletion", 0);
    assert_eq!(kept(&conn), [], "no row stays with nothing");
}

#[test]
fn what_is_rolled_back_was_not_counted() {
    let (conn, _) = database();
    start(&conn, 1, &IndexedAttributes::default());
    let before = kept(&conn);
    let batch = conn.unchecked_transaction().unwrap();
    (2..=3).for_each(|key| start(&batch, key, &IndexedAttributes::default()));
    close(&batch, 1, 3, 9_000_000_000);
    delete(&batch, 2).unwrap();
    assert_ne!(kept(&batch), before);
    batch.rollback().unwrap();
    assert_eq!(kept(&conn), before);
    assert_eq!(counted(&conn), before);
}

#[test]
fn a_file_of_before_is_counted_once() {
    let (conn, _) = database();
    for key in 1..=9 {
        start(&conn, key, &IndexedAttributes::default());
        if key > 3 {
            close(&conn, key, if key > 7 { 3 } else { 2 }, 20_000_000_000);
        }
    }
    let before = kept(&conn);
    without_counts(&conn);
    assert!(!are_kept(&conn).unwrap());
    prepare(&conn).unwrap();
    assert!(are_kept(&conn).unwrap());
    assert_eq!(kept(&conn), before);
    delete(&conn, 9).unwrap();
    prepare(&conn).unwrap();
    assert_eq!(kept(&conn), counted(&conn));
}

#[test]
fn a_file_that_takes_no_counts_is_used_without() {
    let (conn, registry) = database();
    (1..=4).for_each(|key| start(&conn, key, &IndexedAttributes::default()));
    close(&conn, 4, 3, 9_000_000_000);
    without_counts(&conn);
    // As on a full disk: what is there can be read, and nothing written.
    conn.pragma_update(None, "query_only", true).unwrap();
    prepare(&conn).unwrap();
    assert!(!are_kept(&conn).unwrap());
    let query = Query::parse("GROUP BY ExecutionStatus", &registry).unwrap();
    let found = count(&conn, NAMESPACE, &query).unwrap();
    assert_eq!(found.total, 4);
    assert_eq!(
        found.groups,
        [("Running".to_owned(), 3), ("Failed".to_owned(), 1)]
    );
    conn.pragma_update(None, "query_only", false).unwrap();
    prepare(&conn).unwrap();
    assert_eq!(kept(&conn), counted(&conn), "another time it can");
}

#[test]
fn what_is_asked_of_types_and_statuses_goes_through_no_executions() {
    let (conn, registry) = database();
    (1..=6).for_each(|key| start(&conn, key, &IndexedAttributes::default()));
    close(&conn, 5, 3, 9_000_000_000);
    close(&conn, 6, 2, 9_000_000_000);
    // Were the executions gone through, these would be found.
    conn.execute(
        "UPDATE execution_count SET count = count + 100 WHERE status = 3",
        [],
    )
    .unwrap();
    for (text, expected) in [
        ("", 106),
        ("ExecutionStatus = 'Failed'", 101),
        ("ExecutionStatus != 'Failed'", 5),
        ("ExecutionStatus IN ('Failed', 'Completed')", 102),
        ("WorkflowType = 'Type' AND NOT ExecutionStatus = 'Running'", 102),
        ("WorkflowType STARTS_WITH 'Ty'", 106),
        ("WorkflowType = 'Other' OR ExecutionStatus = 'Completed'", 1),
    ] {
        let query = Query::parse(text, &registry).unwrap();
        assert!(can_answer(&query), "{text}");
        let by_status: ByStatus = answer(&conn, &query, NAMESPACE).unwrap();
        assert_eq!(by_status.iter().sum::<i64>(), expected, "{text}");
        assert_eq!(count(&conn, NAMESPACE, &query).unwrap().total, expected, "{text}");
    }
    for text in [
        "KwField IS NULL",
        "StartTime > '1970-01-01T00:00:00Z'",
        "WorkflowId = 'w1'",
    ] {
        let query = Query::parse(text, &registry).unwrap();
        assert!(!can_answer(&query), "{text}");
    }
}

/// What the simulator relies on.
#[test]
fn the_audit_sees_what_does_not_agree() {
    let (conn, registry) = database();
    let value = attributes(&registry, json!({ "TemporalNamespaceDivision": "d" }));
    (1..=3).for_each(|key| start(&conn, key, &value));
    close(&conn, 2, 3, 9_000_000_000);
    assert_eq!(audit(&conn).unwrap(), Vec::<String>::new());
    for wrong in [
        "UPDATE execution_count SET count = count + 1",
        "DELETE FROM execution_count",
        "INSERT INTO execution_count VALUES (1, 'Nobody', 1, 1)",
        "UPDATE execution_attribute SET order_time = 7 WHERE key = 1",
        "INSERT INTO execution_attribute SELECT scope, attribute, value, order_time, start_time, 77 \
         FROM execution_attribute LIMIT 1",
    ] {
        let all = conn.unchecked_transaction().unwrap();
        conn.execute_batch(wrong).unwrap();
        assert!(!audit(&conn).unwrap().is_empty(), "{wrong}");
        all.rollback().unwrap();
    }
}
