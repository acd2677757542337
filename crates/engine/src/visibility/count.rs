//! Runs count queries.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use temporalio_protos::temporal::api::common::v1::Payload;
use temporalio_protos::temporal::api::enums::v1::WorkflowExecutionStatus;

use super::access::Access;
use super::analysis::{Analysis, OPEN, analyse};
use super::attribute::{AttributeType, Field};
use super::builtin::DIVISION;
use super::error::{Error, QueryError};
use super::filter::{Group, Query};
use super::literal::status_name;
use super::plan::{Way, choose};
use super::sql::{Sql, field_sql};

/// How many executions a query selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub total: i64,
    /// With GROUP BY: each value met and its share of the total.
    pub groups: Vec<(String, i64)>,
}

/// Counts the executions that `query` selects.
///
/// # Errors
/// ORDER BY, which the real server refuses in counts, and errors of the file.
pub fn count(conn: &Connection, namespace_key: i64, query: &Query) -> Result<Count, Error> {
    if !query.order.is_empty() {
        return Err(QueryError::NotSupported("'ORDER BY' clause".to_owned()).into());
    }
    let analysis = analyse(query, namespace_key);
    let mut total = 0;
    let mut groups: BTreeMap<(i64, String), i64> = BTreeMap::new();
    for scope in &analysis.scopes {
        let way = choose(conn, &analysis, *scope)?;
        let sql = statement(query, &analysis, *scope, &way);
        let mut statement = conn.prepare_cached(&sql.text)?;
        let mut rows = statement.query(params_from_iter(&sql.params))?;
        while let Some(row) = rows.next()? {
            let count: i64 = row.get(0)?;
            total += count;
            let group = match (query.group, row.get(1)?) {
                (None, _) => continue,
                // By number, as the real server does.
                (Some(Group::Status), Value::Integer(status)) => (status, named(status)),
                (Some(_), Value::Text(text)) => (0, text),
                (Some(_), _) => (0, String::new()),
            };
            *groups.entry(group).or_default() += count;
        }
    }
    Ok(Count {
        total,
        groups: groups
            .into_iter()
            .map(|((_, name), count)| (name, count))
            .collect(),
    })
}

/// A group's value as `AggregationGroup.group_values` has it.
pub fn group_value(value: &str) -> Payload {
    let metadata = [
        ("encoding", "json/plain"),
        ("type", AttributeType::Keyword.name()),
    ];
    Payload {
        metadata: metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect(),
        data: serde_json::Value::from(value).to_string().into_bytes(),
        ..Payload::default()
    }
}

fn named(status: i64) -> String {
    let status = i32::try_from(status)
        .ok()
        .and_then(|status| WorkflowExecutionStatus::try_from(status).ok());
    status.map(status_name).unwrap_or_default()
}

fn statement(query: &Query, analysis: &Analysis, scope: i64, way: &Way<'_>) -> Sql {
    let mut sql = Sql::new("SELECT count(*), ");
    let group = match query.group {
        None => "NULL".to_owned(),
        Some(Group::Status) => "e.status".to_owned(),
        Some(Group::Division) => field_sql(Field::Stored(DIVISION)),
    };
    sql.push(&group).push(" FROM execution e ");
    match way {
        Way::All => {
            sql.push("INDEXED BY execution_by_order WHERE e.scope = ")
                .bind(scope);
        }
        Way::Ordered(Access::Types(types)) => {
            sql.push("INDEXED BY execution_by_type WHERE e.scope = ")
                .bind(scope);
            sql.push(" AND e.workflow_type IN ").bind_list(types);
        }
        Way::Ordered(access) | Way::Small(access) => {
            sql.push("WHERE e.key IN (").append(&access.keys(scope)).push(")");
        }
    }
    if analysis.low > i64::MIN {
        sql.push(" AND e.order_time >= ").bind(analysis.low);
    }
    if analysis.high < OPEN {
        sql.push(" AND e.order_time <= ").bind(analysis.high);
    }
    if let Some(filter) = &query.filter {
        sql.push(" AND (").filter(filter).push(")");
    }
    if query.group.is_some() {
        sql.push(" GROUP BY ").push(&group);
    }
    sql
}
