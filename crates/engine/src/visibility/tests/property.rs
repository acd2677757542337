//! Random queries over random executions: the tables must answer as the model does, whatever way is taken.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use temporalio_protos::temporal::api::enums::v1::WorkflowExecutionStatus;

use super::super::status_name;
use super::model::{Condition, Execution, Given, SCALARS, Scalar, sort};
use super::*;

const SECOND: i64 = 1_000_000_000;
/// Few enough to meet again, and with each other's beginnings.
const KEYWORDS: [&str; 6] = ["", "a", "ab", "abé", "b'", "a%"];
const WORDS: [&str; 4] = ["Fox", "dog", "été", "x1"];

fn keyword() -> impl Strategy<Value = String> {
    select(&KEYWORDS[..]).prop_map(str::to_owned)
}

fn double() -> impl Strategy<Value = f64> {
    select(vec![-1e300, -1.5, -0.1, 0.0, 0.1, 0.30000000000000004, 2.0, 1e17])
}

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(select(&WORDS[..]), 1..4).prop_map(|words| words.join(" "))
}

fn given_attributes() -> impl Strategy<Value = Given> {
    (
        prop::option::of(keyword()),
        prop::option::of(-3..4_i64),
        prop::option::of(double()),
        prop::option::of(any::<bool>()),
        prop::option::of(0..8_i64),
        prop::collection::vec(keyword(), 0..3),
        prop::option::of(words()),
    )
        .prop_map(|(keyword, int, double, bool, datetime, list, text)| Given {
            keyword,
            int,
            double,
            bool,
            datetime,
            list,
            text,
        })
}

/// An execution and the attributes it had at first.
fn execution() -> impl Strategy<Value = (Execution, Given)> {
    let ends = prop::option::of((2..8_i32, 0..6_i64));
    let parent = prop::option::of(keyword().prop_filter("an id", |id| !id.is_empty()));
    (
        keyword(),
        keyword(),
        ends,
        0..8_i64,
        prop_oneof![3 => Just(0), 1 => 1..9_i64],
        parent,
        given_attributes(),
        given_attributes(),
    )
        .prop_map(
            |(workflow_id, workflow_type, end, start, delay, parent, first, given)| {
                let status = end.map_or(1, |(status, _)| status);
                let close = end.map(|(_, duration)| start + duration);
                (
                    Execution {
                        key: 0,
                        workflow_id,
                        workflow_type,
                        status,
                        start,
                        delay,
                        close,
                        parent,
                        given,
                    },
                    first,
                )
            },
        )
}

fn value_for(name: &'static str) -> BoxedStrategy<Scalar> {
    match name {
        "ExecutionStatus" => (1..9_i32).prop_map(Scalar::Status).boxed(),
        "StartTime" | "ExecutionTime" | "CloseTime" | "DtField" => (0..14_i64).prop_map(Scalar::Time).boxed(),
        "ExecutionDuration" => (0..6_i64).prop_map(Scalar::Duration).boxed(),
        "IntField" => select(vec![-3.0, -0.5, 0.0, 1.0, 2.5, 3.0])
            .prop_map(Scalar::Number)
            .boxed(),
        "DblField" => double().prop_map(Scalar::Number).boxed(),
        "BoolField" => any::<bool>().prop_map(Scalar::Bool).boxed(),
        _ => keyword().prop_map(Scalar::Text).boxed(),
    }
}

fn predicate() -> impl Strategy<Value = Condition> {
    let operators = select(vec!["=", "=", "=", "!=", "<", "<=", ">", ">="]);
    let scalars = || select(&SCALARS[..]);
    let texts = select(vec!["WorkflowId", "WorkflowType", "KwField", "ParentWorkflowId"]);
    let nullable = select(vec![
        "CloseTime",
        "KwField",
        "KlField",
        "TextField",
        "BoolField",
        "ParentWorkflowId",
    ]);
    prop_oneof![
        6 => (scalars(), operators).prop_flat_map(|(name, operator)| {
            value_for(name).prop_map(move |value| Condition::Compare(name, operator, value))
        }),
        2 => (scalars(), any::<bool>()).prop_flat_map(|(name, negated)| {
            let values = prop::collection::vec(value_for(name), 1..4);
            values.prop_map(move |values| Condition::In(name, values, negated))
        }),
        2 => (select(&SCALARS[..11]), any::<bool>()).prop_flat_map(|(name, negated)| {
            (value_for(name), value_for(name))
                .prop_map(move |(low, high)| Condition::Between(name, low, high, negated))
        }),
        2 => (texts, keyword(), any::<bool>())
            .prop_map(|(name, prefix, negated)| Condition::StartsWith(name, prefix, negated)),
        1 => (nullable, any::<bool>()).prop_map(|(name, negated)| Condition::Null(name, negated)),
        2 => (prop::collection::vec(keyword(), 1..3), any::<bool>())
            .prop_map(|(values, negated)| Condition::ListHas(values, negated)),
        2 => (words(), any::<bool>()).prop_map(|(words, negated)| Condition::TextHas(words, negated)),
        1 => keyword().prop_map(|id| Condition::Compare("ParentWorkflowId", "=", Scalar::Text(id))),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    predicate().prop_recursive(3, 12, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            3 => parts().prop_map(Condition::All),
            2 => parts().prop_map(Condition::Any),
            1 => inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn order() -> impl Strategy<Value = Vec<(&'static str, bool)>> {
    let term = || (select(&SCALARS[..]), any::<bool>());
    prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(term(), 1..3)]
}

fn json_of(given: &Given) -> serde_json::Value {
    let time = |seconds: i64| format!("1970-01-01T00:00:{seconds:02}Z");
    json!({
        "KwField": given.keyword,
        "IntField": given.int,
        "DblField": given.double,
        "BoolField": given.bool,
        "DtField": given.datetime.map(time),
        "KlField": given.list,
        "TextField": given.text,
    })
}

fn file(conn: &Connection, registry: &Registry, execution: &Execution, first: &Given, close_first: bool) {
    let given = attributes(registry, json_of(&execution.given));
    let started = StartedExecution {
        key: execution.key,
        namespace_key: NAMESPACE,
        workflow_id: &execution.workflow_id,
        run_id: "r",
        workflow_type: &execution.workflow_type,
        task_queue: "q",
        status: 1,
        start_time: execution.start * SECOND,
        execution_time: (execution.start + execution.delay) * SECOND,
        parent: execution.parent.as_deref().map(|id| (id, "r")),
        ..StartedExecution::default()
    };
    upsert_start(conn, &started, &attributes(registry, json_of(first))).unwrap();
    if !close_first {
        assert!(replace_attributes(conn, execution.key, &given).unwrap());
    }
    if let Some(closed) = execution.close {
        close(conn, execution.key, execution.status, closed * SECOND);
    }
    if close_first {
        assert!(replace_attributes(conn, execution.key, &given).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn tables_and_model_agree(
        executions in prop::collection::vec((execution(), any::<bool>()), 0..20),
        condition in condition(),
        order in order(),
        page_size in 1..6_usize,
        is_of_earlier_version in any::<bool>(),
    ) {
        let (conn, registry) = database();
        if is_of_earlier_version {
            conn.execute_batch("DROP INDEX execution_by_duration; DROP INDEX execution_closed_early").unwrap();
        }
        let mut all = Vec::new();
        for (key, ((mut execution, first), close_first)) in (1..).zip(executions) {
            execution.key = key;
            file(&conn, &registry, &execution, &first, close_first);
            all.push(execution);
        }
        let mut expected: Vec<Execution> =
            all.into_iter().filter(|execution| condition.holds(execution) == Some(true)).collect();
        sort(&mut expected, &order);
        let mut by_status = std::collections::BTreeMap::new();
        for execution in &expected {
            *by_status.entry(execution.status).or_insert(0_i64) += 1;
        }
        let expected: Vec<i64> = expected.iter().map(|execution| execution.key).collect();
        let mut text = condition.write();
        let counted = Query::parse(&format!("{text} GROUP BY ExecutionStatus"), &registry).unwrap();
        for (index, (name, descending)) in order.iter().enumerate() {
            text.push_str(if index == 0 { " ORDER BY " } else { ", " });
            text.push_str(name);
            text.push_str(if *descending { " DESC" } else { "" });
        }
        prop_assert_eq!(&keys(&conn, &registry, &text, page_size), &expected, "{}", text);
        let counted = count(&conn, NAMESPACE, &counted).unwrap();
        prop_assert_eq!(counted.total, expected.len() as i64, "{}", text);
        let by_status: Vec<_> = by_status
            .into_iter()
            .map(|(status, count)| (status_name(WorkflowExecutionStatus::try_from(status).unwrap()), count))
            .collect();
        prop_assert_eq!(counted.groups, by_status, "{}", text);
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "[A-Za-z0-9_'\"`\\\\()<>=!,.% é\n-]{0,60}") {
        let (_, registry) = database();
        if let Err(error) = Query::parse(&text, &registry) {
            prop_assert!(error.to_string().starts_with("invalid query: "));
        }
    }

    #[test]
    fn any_page_token_is_taken_or_refused(token in prop::collection::vec(any::<u8>(), 0..40)) {
        let (conn, registry) = database();
        start(&conn, 1, &IndexedAttributes::default());
        for text in ["", "ORDER BY KwField, StartTime"] {
            let query = Query::parse(text, &registry).unwrap();
            match list(&conn, NAMESPACE, &query, 10, &token) {
                Ok(page) => prop_assert!(page.executions.len() <= 1),
                Err(error) => prop_assert!(matches!(error, Error::PageToken)),
            }
        }
    }
}
