//! A small file of executions in memory, for what reads lists.

use rusqlite::Connection;
use segno_engine::visibility::{
    AttributeType, ClosedExecution, Error, IndexedAttributes, Registry, SCHEMA, StartedExecution,
    update_close, upsert_start,
};
use temporalio_protos::temporal::api::common::v1::{Payload, SearchAttributes};

pub(crate) const NAMESPACE: i64 = 1;
/// How many executions there are.
pub(crate) const EXECUTIONS: i64 = 12;

/// The executions and the attributes of their namespace: one of each type.
pub(crate) fn database() -> (Connection, Registry) {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    let mut registry = Registry::load(&connection, NAMESPACE, "default").unwrap();
    for (name, ty) in [
        ("K", AttributeType::Keyword),
        ("L", AttributeType::KeywordList),
        ("T", AttributeType::Text),
        ("I", AttributeType::Int),
        ("D", AttributeType::Double),
        ("B", AttributeType::Bool),
        ("W", AttributeType::Datetime),
    ] {
        registry.add(&connection, name, ty).unwrap();
    }
    for key in 1..=EXECUTIONS {
        let fields = [
            ("K", format!("\"k{}\"", key % 3)),
            ("L", format!("[\"a\",\"b{key}\"]")),
            ("T", format!("\"some words {key}\"")),
            ("I", key.to_string()),
            ("D", format!("{key}.5")),
            ("B", (key % 2 == 0).to_string()),
            ("W", "\"2026-01-01T00:00:00Z\"".to_owned()),
        ];
        // Some have none of them.
        let fields = fields.into_iter().take(if key % 4 == 0 { 0 } else { 7 });
        let given = SearchAttributes {
            indexed_fields: fields
                .map(|(name, json)| (name.to_owned(), payload(&json)))
                .collect(),
        };
        let attributes = IndexedAttributes::new(&given, &registry, &segno_engine::Limits::default()).unwrap();
        start(&connection, key, &attributes).unwrap();
        if key % 3 == 0 {
            let closed = ClosedExecution {
                status: 2 + i32::try_from(key % 5).unwrap(),
                close_time: (100 + key) * 1_000_000_000,
                history_length: 3,
                history_size_bytes: 300,
                state_transition_count: 2,
            };
            update_close(&connection, key, &closed).unwrap();
        }
    }
    (connection, registry)
}

pub(crate) fn start(
    connection: &Connection,
    key: i64,
    attributes: &IndexedAttributes,
) -> rusqlite::Result<()> {
    let (workflow_id, run_id) = (format!("w{key}"), format!("r{key}"));
    let started = StartedExecution {
        key,
        namespace_key: NAMESPACE,
        workflow_id: &workflow_id,
        run_id: &run_id,
        workflow_type: "Type",
        task_queue: "queue",
        status: 1,
        start_time: key * 1_000_000_000,
        execution_time: key * 1_000_000_000,
        ..StartedExecution::default()
    };
    upsert_start(connection, &started, attributes)
}

/// The result where the request was taken; none where it was refused. An error of the file is a finding: the request
/// made statements that SQLite does not take.
pub(crate) fn taken<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(found) => Some(found),
        Err(Error::Query(_) | Error::PageToken) => None,
        Err(error) => panic!("the file's error: {error}"),
    }
}

fn payload(json: &str) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: json.as_bytes().to_vec(),
        ..Default::default()
    }
}
