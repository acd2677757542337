//! By which way a query's rows are reached: what is seldom is found without going through all the rest.

use serde_json::json;

use super::super::analysis::analyse;
use super::super::plan::{Way, choose};
use super::*;

/// Forty executions: all of the keyword `busy`, one of them with another number than the rest; the first two run, the next five
/// have failed, the others have completed.
fn forty() -> (Connection, Registry) {
    let (conn, registry) = database();
    for key in 1..=40 {
        let number = if key == 40 { 7 } else { 0 };
        start(
            &conn,
            key,
            &attributes(&registry, json!({ "KwField": "busy", "IntField": number })),
        );
        match key {
            1 | 2 => {}
            3..8 => close(&conn, key, 3, key * 1_000_000_000),
            _ => close(&conn, key, 2, key * 1_000_000_000),
        }
    }
    (conn, registry)
}

fn way(text: &str) -> String {
    let (conn, registry) = forty();
    let query = Query::parse(text, &registry).unwrap();
    let analysis = analyse(&query, NAMESPACE);
    let way = choose(&conn, &analysis, NAMESPACE, query.order.is_empty()).unwrap();
    let kind = |debug: String| debug.split(['(', '[']).take(2).collect::<Vec<_>>().join(" ");
    match way {
        Way::All => "all".to_owned(),
        Way::Ordered(access) => format!("ordered {}", kind(format!("{access:?}"))),
        Way::Small(access) => format!("small {}", kind(format!("{access:?}"))),
    }
}

#[test]
fn what_begins_so_in_one_of_several_is_looked_up_in_each() {
    let either = |text: &str| format!("(KwField STARTS_WITH '{text}' OR WorkflowId STARTS_WITH '{text}')");
    for condition in [
        either("none"),
        format!("IntField IS NOT NULL AND {}", either("w4")),
    ] {
        assert!(way(&condition).starts_with("small Any"), "{}", way(&condition));
    }
    assert_eq!(way(&either("bu")), "all", "what most of them have is met at once");
    assert_eq!(
        way("KwField = 'none' OR TaskQueue = 'x'"),
        "all",
        "a part that no index knows may be anywhere"
    );
}

#[test]
fn of_two_large_sets_the_smaller_is_followed() {
    assert!(way("KwField = 'busy' AND ExecutionStatus = 'Failed'").starts_with("ordered Statuses"));
    assert!(way("KwField = 'busy' AND ExecutionStatus = 'Completed'").starts_with("ordered Stored"));
}

#[test]
fn the_times_narrow_the_sets() {
    let few = "KwField = 'busy' AND WorkflowType = 'Type' AND ";
    for narrow in [
        "ExecutionStatus = 'Running'",
        "CloseTime > '1970-01-01T00:00:38Z'",
        "StartTime BETWEEN '1970-01-01T00:00:20Z' AND '1970-01-01T00:00:21Z'",
    ] {
        let way = way(&format!("{few}{narrow}"));
        assert!(way.starts_with("small "), "{narrow}: {way}");
    }
}

#[test]
fn large_sets_are_counted_by_status() {
    let (conn, registry) = forty();
    for condition in ["KwField = 'busy'", "KwField IS NOT NULL", "IntField < 7", ""] {
        let query = Query::parse(&format!("{condition} GROUP BY ExecutionStatus"), &registry).unwrap();
        let counted = count(&conn, NAMESPACE, &query).unwrap();
        let completed = if condition == "IntField < 7" { 32 } else { 33 };
        let groups = [("Running", 2), ("Completed", completed), ("Failed", 5)];
        let groups = groups.map(|(status, count)| (status.to_owned(), count)).to_vec();
        assert_eq!(
            (counted.total, counted.groups),
            (completed + 7, groups),
            "{condition}"
        );
    }
}

#[test]
fn a_small_set_is_found_whatever_stands_beside_it() {
    for (condition, expected) in [
        ("WorkflowType STARTS_WITH 'None'", "small TypeRange"),
        ("WorkflowType > 'Typf' AND KwField = 'busy'", "small TypeRange"),
        ("IntField >= 0 AND CloseTime > '1970-01-01T00:00:39Z'", "all"),
        ("IntField >= 0 AND ExecutionStatus = 'Running'", "all"),
        ("IntField > 5 AND KwField = 'busy'", "small StoredRange"),
        (
            "IntField >= 0 AND ExecutionStatus != 'Completed'",
            "ordered Statuses",
        ),
    ] {
        let way = way(condition);
        assert!(way.starts_with(expected), "{condition}: {way}");
    }
}

/// The steps of SQLite's plan for the first page of a list and for the one after it.
fn plans(conn: &Connection, registry: &Registry, text: &str) -> Vec<String> {
    let query = Query::parse(text, registry).unwrap();
    let page = list(conn, NAMESPACE, &query, 1, &[]).unwrap();
    let mut steps = Vec::new();
    for token in [Vec::new(), page.next_page_token] {
        for sql in super::super::list::statements(conn, NAMESPACE, &query, 1, &token).unwrap() {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text)).unwrap();
            let plan = plan.query_map(rusqlite::params_from_iter(&sql.params), |row| row.get(3));
            steps.extend(plan.unwrap().map(|step| step.unwrap()));
        }
    }
    steps
}

#[test]
fn no_list_goes_through_all_executions_or_sorts_them_all() {
    let (conn, registry) = forty();
    let (types, times) = ("WorkflowType = 'Type'", "CloseTime > '1970-01-01T00:00:05Z'");
    let (status, attribute) = ("ExecutionStatus = 'Failed'", "KwField = 'busy'");
    let both = |a: &str, b: &str| format!("{a} AND {b}");
    for condition in [
        String::new(),
        types.to_owned(),
        times.to_owned(),
        status.to_owned(),
        attribute.to_owned(),
        "ExecutionStatus = 'Completed'".to_owned(),
        "ExecutionStatus != 'Completed'".to_owned(),
        both(types, status),
        both(types, times),
        both(types, attribute),
        both(status, times),
        both(status, attribute),
        both(attribute, times),
        "StartTime < '1970-01-01T00:00:09Z'".to_owned(),
        "StartTime BETWEEN '1970-01-01T00:00:09Z' AND '1970-01-01T00:00:19Z'".to_owned(),
        "ExecutionTime > '1970-01-01T00:00:09Z'".to_owned(),
        both(&both(types, status), &both(attribute, times)),
    ] {
        let steps = plans(&conn, &registry, &condition);
        let how_many = |beginnings: &[&str]| {
            let is_one = |step: &&String| beginnings.iter().any(|beginning| step.starts_with(beginning));
            steps.iter().filter(is_one).count()
        };
        // What an index gave of a small set is sorted as a subquery, and gone through then.
        assert!(
            how_many(&["SCAN"]) <= how_many(&["CO-ROUTINE", "MATERIALIZE"]),
            "{condition}: {steps:?}"
        );
        assert!(how_many(&["SEARCH"]) > 0, "{condition}: {steps:?}");
    }
    for condition in [
        String::new(),
        types.to_owned(),
        status.to_owned(),
        both(status, attribute),
    ] {
        let steps = plans(&conn, &registry, &condition);
        assert!(
            !steps.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY"),
            "{condition}: {steps:?}"
        );
    }
}

/// The steps that SQLite takes for the first page of a list.
fn steps(conn: &Connection, registry: &Registry, text: &str) -> i32 {
    let query = Query::parse(text, registry).unwrap();
    let mut steps = 0;
    for sql in super::super::list::statements(conn, NAMESPACE, &query, 5, &[]).unwrap() {
        let mut statement = conn.prepare(&sql.text).unwrap();
        let rows = statement.query_map(rusqlite::params_from_iter(&sql.params), |_| Ok(()));
        rows.unwrap().for_each(|row| row.unwrap());
        steps += statement.get_status(rusqlite::StatementStatus::VmStep);
    }
    steps
}

/// Ten that took a second each, another ten that took longer, then as many as are asked for: where the latter do not
/// match, they are not gone through.
#[test]
fn what_started_or_closed_later_is_not_gone_through() {
    for condition in [
        "StartTime < '1970-01-01T00:00:15Z'",
        "StartTime BETWEEN '1970-01-01T00:00:02Z' AND '1970-01-01T00:00:15Z'",
        "ExecutionTime < '1970-01-01T00:00:15Z'",
        "ExecutionTime BETWEEN '1970-01-01T00:00:02Z' AND '1970-01-01T00:00:15Z'",
        "ExecutionTime = '1970-01-01T00:00:12Z'",
    ] {
        let steps = [100, 1_000].map(|later| {
            let (conn, registry) = database();
            for key in 1..=20 + later {
                start(&conn, key, &IndexedAttributes::default());
                let seconds = if (10..20).contains(&key) { 100 } else { 1 };
                close(&conn, key, 2, (key + seconds) * 1_000_000_000);
            }
            let steps = steps(&conn, &registry, condition);
            conn.execute_batch("DROP INDEX execution_by_duration").unwrap();
            (steps, self::steps(&conn, &registry, condition))
        });
        let [(few, few_without), (many, many_without)] = steps;
        assert!(many < few + 100, "{condition}: {steps:?}");
        assert!(many_without > few_without + 4_000, "{condition}: {steps:?}");
    }
}

/// The times of what has closed before it was to begin say nothing of its beginning.
#[test]
fn what_begins_later_is_looked_up_among_what_closed_later() {
    let condition = "ExecutionTime > '1970-01-01T01:00:00Z'";
    let steps = [100, 1_000].map(|earlier| {
        let (conn, registry) = database();
        for key in 1..=earlier {
            start(&conn, key, &IndexedAttributes::default());
            close(&conn, key, 2, (key + 1) * 1_000_000_000);
        }
        let started = StartedExecution {
            key: earlier + 1,
            namespace_key: NAMESPACE,
            workflow_id: "delayed",
            run_id: "run",
            workflow_type: "Type",
            task_queue: "queue",
            status: 1,
            start_time: 1,
            execution_time: 3_601_000_000_000,
            ..StartedExecution::default()
        };
        upsert_start(&conn, &started, &IndexedAttributes::default()).unwrap();
        close(&conn, started.key, 4, 2);
        assert_eq!(keys(&conn, &registry, condition, 10), [started.key]);
        self::steps(&conn, &registry, condition)
    });
    assert!(steps[1] < steps[0] + 100, "{steps:?}");
}
