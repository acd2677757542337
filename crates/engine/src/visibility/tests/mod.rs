//! Tests on whole queries, each against a database in memory.

mod counts;
mod model;
mod payloads;
mod property;
mod queries;
mod ways;
mod wording;
mod writes;

use rusqlite::Connection;
use temporalio_protos::temporal::api::common::v1::{Payload, SearchAttributes};

use super::*;

/// The namespace all tests work in, unless they need two.
const NAMESPACE: i64 = 1;

/// No executions.
const NONE: [i64; 0] = [];

/// The attributes the real server was given when it was asked.
fn database() -> (Connection, Registry) {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(SCHEMA).unwrap();
    let mut registry = Registry::load(&conn, NAMESPACE, "default").unwrap();
    for (name, ty) in [
        ("KwField", AttributeType::Keyword),
        ("KlField", AttributeType::KeywordList),
        ("TextField", AttributeType::Text),
        ("IntField", AttributeType::Int),
        ("DblField", AttributeType::Double),
        ("BoolField", AttributeType::Bool),
        ("DtField", AttributeType::Datetime),
    ] {
        assert!(registry.add(&conn, name, ty).unwrap());
    }
    (conn, registry)
}

fn payload(json: &serde_json::Value) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: json.to_string().into_bytes(),
        ..Payload::default()
    }
}

fn given(json: serde_json::Value) -> SearchAttributes {
    let fields = json.as_object().unwrap();
    SearchAttributes {
        indexed_fields: fields
            .iter()
            .map(|(name, json)| (name.clone(), payload(json)))
            .collect(),
    }
}

fn attributes(registry: &Registry, json: serde_json::Value) -> IndexedAttributes {
    IndexedAttributes::new(&given(json), registry, &crate::limits::Limits::default()).unwrap()
}

/// An execution `w<key>` of type `Type` on queue `queue`, started at `key` seconds.
fn start(conn: &Connection, key: i64, attributes: &IndexedAttributes) {
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
    upsert_start(conn, &started, attributes).unwrap();
}

fn close(conn: &Connection, key: i64, status: i32, close_time: i64) {
    let closed = ClosedExecution {
        status,
        close_time,
        history_length: 11,
        history_size_bytes: 2000,
        state_transition_count: 7,
    };
    assert!(update_close(conn, key, &closed).unwrap());
}

/// The keys of all pages of a list, with every page but the last full.
fn keys(conn: &Connection, registry: &Registry, text: &str, page_size: usize) -> Vec<i64> {
    let query = Query::parse(text, registry).unwrap_or_else(|error| panic!("{text}: {error}"));
    let (mut keys, mut token) = (Vec::new(), Vec::new());
    loop {
        let page = list(conn, NAMESPACE, &query, page_size, &token)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        keys.extend(page.executions.iter().map(|execution| execution.key));
        token = page.next_page_token;
        if token.is_empty() {
            return keys;
        }
        assert_eq!(page.executions.len(), page_size, "{text}");
    }
}
