//! Keeps the tables in step with the executions. The caller runs these inside its own transaction.

use std::collections::BTreeMap;

use prost::Message;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value as Json;

use super::analysis::OPEN;
use super::attribute::AttributeId;
use super::payload::IndexedAttributes;
use super::value::index_values;

/// An execution that starts: what [`super::ExecutionRow`] has, borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartedExecution<'a> {
    /// The engine's key of the run.
    pub key: i64,
    /// At least 1.
    pub namespace_key: i64,
    pub workflow_id: &'a str,
    pub run_id: &'a str,
    pub workflow_type: &'a str,
    pub task_queue: &'a str,
    /// An open one of `WorkflowExecutionStatus`: running, or paused.
    pub status: i32,
    pub start_time: i64,
    pub execution_time: i64,
    /// Workflow id and run id.
    pub parent: Option<(&'a str, &'a str)>,
    /// Workflow id and run id; `None` where the execution is its own root.
    pub root: Option<(&'a str, &'a str)>,
    /// An encoded `Memo`.
    pub memo: Option<&'a [u8]>,
    /// It has closed already when it is filed; `status` is then the one in here.
    pub closed: Option<ClosedExecution>,
}

/// What is known of an execution once it closes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClosedExecution {
    /// A closed one of `WorkflowExecutionStatus`.
    pub status: i32,
    pub close_time: i64,
    pub history_length: i64,
    pub history_size_bytes: i64,
    pub state_transition_count: i64,
}

/// Files an execution that starts, in place of what was filed under its key before.
///
/// # Errors
/// Those of the file.
pub fn upsert_start(
    conn: &Connection,
    started: &StartedExecution<'_>,
    attributes: &IndexedAttributes,
) -> rusqlite::Result<()> {
    let filed = Filed::new(started, attributes);
    if insert(conn, started, attributes, &filed)? == 0 {
        delete(conn, started.key)?;
        insert(conn, started, attributes, &filed)?;
    }
    filed.add_values(conn)
}

fn insert(
    conn: &Connection,
    started: &StartedExecution<'_>,
    attributes: &IndexedAttributes,
    filed: &Filed,
) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "INSERT OR IGNORE INTO execution (key, scope, workflow_id, run_id, workflow_type, task_queue, status, \
         start_time, execution_time, order_time, parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, \
         memo, search_attributes, attributes, close_time, history_length, history_size_bytes, state_transition_count) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        started.key,
        filed.scope,
        started.workflow_id,
        started.run_id,
        started.workflow_type,
        started.task_queue,
        started.closed.map_or(started.status, |closed| closed.status),
        started.start_time,
        started.execution_time,
        filed.order_time,
        started.parent.map(|(workflow_id, _)| workflow_id),
        started.parent.map(|(_, run_id)| run_id),
        started.root.map(|(workflow_id, _)| workflow_id),
        started.root.map(|(_, run_id)| run_id),
        started.memo,
        encoded(attributes),
        filed.text()?,
        started.closed.map(|_| filed.order_time),
        started.closed.map(|closed| closed.history_length),
        started.closed.map(|closed| closed.history_size_bytes),
        started.closed.map(|closed| closed.state_transition_count),
    ])
}

/// Files that an open execution closed; `false` if there is no open one under the key. It does not close before it
/// started: a close time before the start is taken as the start.
///
/// # Errors
/// Those of the file.
pub fn update_close(conn: &Connection, key: i64, closed: &ClosedExecution) -> rusqlite::Result<bool> {
    let filed = conn
        .prepare_cached(
            "UPDATE execution SET status = ?2, close_time = max(?3, start_time), order_time = max(?3, start_time), \
             history_length = ?4, history_size_bytes = ?5, state_transition_count = ?6 \
             WHERE key = ?1 AND close_time IS NULL RETURNING key, scope, order_time, start_time, attributes",
        )?
        .query_row(
            params![
                key,
                closed.status,
                closed.close_time,
                closed.history_length,
                closed.history_size_bytes,
                closed.state_transition_count
            ],
            Filed::read,
        )
        .optional()?;
    let Some(filed) = filed else { return Ok(false) };
    filed.each_value(|attribute, value| {
        conn.prepare_cached(
            "UPDATE execution_attribute SET order_time = ?1 WHERE scope = ?2 AND attribute = ?3 AND value = ?4 \
             AND order_time = ?5 AND start_time = ?6 AND key = ?7",
        )?
        .execute(params![filed.order_time, filed.scope, attribute, value, OPEN, filed.start_time, key])
    })?;
    Ok(true)
}

/// Files another status of an open execution (paused, running again); `false` if there is no open one.
///
/// # Errors
/// Those of the file.
pub fn update_open_status(conn: &Connection, key: i64, status: i32) -> rusqlite::Result<bool> {
    let updated = conn
        .prepare_cached("UPDATE execution SET status = ?2 WHERE key = ?1 AND close_time IS NULL")?
        .execute(params![key, status])?;
    Ok(updated > 0)
}

/// Files another memo, an encoded `Memo`; `false` if the key is not filed.
///
/// # Errors
/// Those of the file.
pub fn replace_memo(conn: &Connection, key: i64, memo: Option<&[u8]>) -> rusqlite::Result<bool> {
    let updated = conn
        .prepare_cached("UPDATE execution SET memo = ?2 WHERE key = ?1")?
        .execute(params![key, memo])?;
    Ok(updated > 0)
}

/// Files these attributes in place of all the execution had; `false` if the key is not filed.
///
/// # Errors
/// Those of the file.
pub fn replace_attributes(
    conn: &Connection,
    key: i64,
    attributes: &IndexedAttributes,
) -> rusqlite::Result<bool> {
    let before = conn
        .prepare_cached("SELECT key, scope, order_time, start_time, attributes FROM execution WHERE key = ?")?
        .query_row([key], Filed::read)
        .optional()?;
    let Some(before) = before else { return Ok(false) };
    before.remove_values(conn)?;
    let after = Filed {
        scope: scope(before.scope.abs(), attributes),
        values: comparable(attributes),
        ..before
    };
    conn.prepare_cached(
        "UPDATE execution SET scope = ?2, search_attributes = ?3, attributes = ?4 WHERE key = ?1",
    )?
    .execute(params![key, after.scope, encoded(attributes), after.text()?])?;
    after.add_values(conn)?;
    Ok(true)
}

/// Removes an execution; `false` if the key is not filed.
///
/// # Errors
/// Those of the file.
pub fn delete(conn: &Connection, key: i64) -> rusqlite::Result<bool> {
    let filed = conn
        .prepare_cached(
            "DELETE FROM execution WHERE key = ? RETURNING key, scope, order_time, start_time, attributes",
        )?
        .query_row([key], Filed::read)
        .optional()?;
    match filed {
        Some(filed) => filed.remove_values(conn).map(|()| true),
        None => Ok(false),
    }
}

fn scope(namespace_key: i64, attributes: &IndexedAttributes) -> i64 {
    if attributes.in_division() {
        -namespace_key
    } else {
        namespace_key
    }
}

fn encoded(attributes: &IndexedAttributes) -> Option<Vec<u8>> {
    (!attributes.is_empty()).then(|| attributes.message().encode_to_vec())
}

fn comparable(attributes: &IndexedAttributes) -> BTreeMap<String, Json> {
    attributes
        .values()
        .iter()
        .map(|(id, value)| (id.stored().to_string(), value.comparable()))
        .collect()
}

/// An execution's values of attributes and where their rows are in the order.
struct Filed {
    key: i64,
    scope: i64,
    order_time: i64,
    start_time: i64,
    /// By id.
    values: BTreeMap<String, Json>,
}

impl Filed {
    fn new(started: &StartedExecution<'_>, attributes: &IndexedAttributes) -> Filed {
        Filed {
            key: started.key,
            scope: scope(started.namespace_key, attributes),
            order_time: started
                .closed
                .map_or(OPEN, |closed| closed.close_time.max(started.start_time)),
            start_time: started.start_time,
            values: comparable(attributes),
        }
    }

    /// From the columns key, scope, order_time, start_time, attributes.
    fn read(row: &Row<'_>) -> rusqlite::Result<Filed> {
        let values = match row.get_ref(4)?.as_str_or_null()? {
            None => BTreeMap::new(),
            Some(text) => serde_json::from_str(text).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Text, Box::new(error))
            })?,
        };
        Ok(Filed {
            key: row.get(0)?,
            scope: row.get(1)?,
            order_time: row.get(2)?,
            start_time: row.get(3)?,
            values,
        })
    }

    /// The values as kept with the execution.
    fn text(&self) -> rusqlite::Result<Option<String>> {
        let text = (!self.values.is_empty())
            .then(|| serde_json::to_string(&self.values))
            .transpose();
        text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }

    fn each_value(&self, mut act: impl FnMut(i64, Value) -> rusqlite::Result<usize>) -> rusqlite::Result<()> {
        for (name, comparable) in &self.values {
            let Some(id) = name.parse().ok().and_then(AttributeId::from_stored) else {
                continue;
            };
            for value in index_values(id, comparable) {
                act(id.stored(), value)?;
            }
        }
        Ok(())
    }

    fn add_values(&self, conn: &Connection) -> rusqlite::Result<()> {
        self.each_value(|attribute, value| {
            conn.prepare_cached("INSERT INTO execution_attribute VALUES (?, ?, ?, ?, ?, ?)")?
                .execute(params![
                    self.scope,
                    attribute,
                    value,
                    self.order_time,
                    self.start_time,
                    self.key
                ])
        })
    }

    fn remove_values(&self, conn: &Connection) -> rusqlite::Result<()> {
        self.each_value(|attribute, value| {
            conn.prepare_cached(
                "DELETE FROM execution_attribute WHERE scope = ? AND attribute = ? AND value = ? \
                 AND order_time = ? AND start_time = ? AND key = ?",
            )?
            .execute(params![
                self.scope,
                attribute,
                value,
                self.order_time,
                self.start_time,
                self.key
            ])
        })
    }
}
