//! Runs count queries.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter};
use temporalio_protos::temporal::api::common::v1::Payload;
use temporalio_protos::temporal::api::enums::v1::WorkflowExecutionStatus;

use super::access::Access;
use super::analysis::{Analysis, OPEN, analyse};
use super::attribute::{AttributeType, Field};
use super::builtin::DIVISION;
use super::counts;
use super::error::{Error, QueryError};
use super::filter::{Group, Query};
use super::literal::status_name;
use super::plan::{SMALL, Way, choose, size};
use super::sql::{Sql, field_sql};
use super::statuses::{self, ByStatus};

/// The status of an execution that has closed and is in no index of statuses.
const COMPLETED: usize = WorkflowExecutionStatus::Completed as usize;

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
    let mut counted = Count::default();
    let mut by_status = ByStatus::default();
    let mut divisions: BTreeMap<String, i64> = BTreeMap::new();
    let is_kept = counts::can_answer(query) && counts::are_kept(conn)?;
    for scope in &analysis.scopes {
        if is_kept {
            let kept = counts::answer(conn, query, *scope)?;
            counted.total += kept.iter().sum::<i64>();
            if query.group.is_some() {
                statuses::add(&mut by_status, &kept);
            }
            continue;
        }
        if let (Some(Group::Status), Some(access)) = (query.group, &analysis.exact)
            && size(conn, access, *scope, &analysis.bounds, SMALL)? > SMALL
        {
            let of_set = statuses_of(conn, query, access, &analysis, *scope)?;
            counted.total += of_set.iter().sum::<i64>();
            statuses::add(&mut by_status, &of_set);
            continue;
        }
        let way = choose(conn, &analysis, *scope, true)?;
        let sql = statement(query, &analysis, *scope, &way);
        let mut statement = conn.prepare_cached(&sql.text)?;
        let mut rows = statement.query(params_from_iter(&sql.params))?;
        while let Some(row) = rows.next()? {
            let count: i64 = row.get(0)?;
            counted.total += count;
            match query.group {
                None => {}
                Some(Group::Status) => statuses::add(&mut by_status, &statuses::read(row, 1)?),
                Some(Group::Division) => {
                    *divisions
                        .entry(row.get::<_, Option<String>>(1)?.unwrap_or_default())
                        .or_default() += count;
                }
            }
        }
    }
    let named = |(status, count)| {
        i32::try_from(status)
            .ok()
            .map(|status| (status_of(status), count))
    };
    counted.groups.extend(
        by_status
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
            .filter_map(named),
    );
    counted.groups.extend(divisions);
    Ok(counted)
}

/// A large set, which is just what is selected, by status. Most of it has completed as a rule: the index says how many there are
/// in all, and only those that have not are looked at.
fn statuses_of(
    conn: &Connection,
    query: &Query,
    access: &Access,
    analysis: &Analysis,
    scope: i64,
) -> rusqlite::Result<ByStatus> {
    let mut by_status = ByStatus::default();
    let total = size(conn, access, scope, &analysis.bounds, i64::MAX)?;
    for others in [
        "INDEXED BY execution_by_order WHERE e.order_time = 9223372036854775807",
        "INDEXED BY execution_by_status WHERE e.status BETWEEN 3 AND 7",
    ] {
        let mut sql = Sql::new("SELECT ");
        sql.push(&statuses::columns("count(*)"))
            .push(" FROM execution e ")
            .push(others);
        sql.push(" AND e.scope = ").bind(scope);
        if let Some(filter) = &query.filter {
            sql.push(" AND (").filter(filter).push(")");
        }
        let others = conn
            .prepare_cached(&sql.text)?
            .query_row(params_from_iter(&sql.params), |row| statuses::read(row, 0))?;
        statuses::add(&mut by_status, &others);
    }
    let others: i64 = by_status.iter().sum();
    by_status[COMPLETED] += total - others;
    Ok(by_status)
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

fn status_of(status: i32) -> String {
    WorkflowExecutionStatus::try_from(status)
        .map(status_name)
        .unwrap_or_default()
}

fn statement(query: &Query, analysis: &Analysis, scope: i64, way: &Way<'_>) -> Sql {
    let mut sql = Sql::new("SELECT count(*)");
    if let (None, Some(access)) = (query.group, &analysis.exact) {
        sql.push(" FROM (")
            .append(&access.keys(scope, &analysis.bounds))
            .push(")");
        return sql;
    }
    match query.group {
        None => {}
        Some(Group::Status) => {
            sql.push(", ").push(&statuses::columns("count(*)"));
        }
        Some(Group::Division) => {
            sql.push(", ").push(&field_sql(Field::Stored(DIVISION)));
        }
    }
    sql.push(" FROM execution e ");
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
            sql.push("WHERE e.key IN (")
                .append(&access.keys(scope, &analysis.bounds))
                .push(")");
        }
    }
    if analysis.bounds.low > i64::MIN {
        sql.push(" AND e.order_time >= ").bind(analysis.bounds.low);
    }
    if analysis.bounds.high < OPEN {
        sql.push(" AND e.order_time <= ").bind(analysis.bounds.high);
    }
    if let Some(filter) = &query.filter {
        sql.push(" AND (").filter(filter).push(")");
    }
    if query.group == Some(Group::Division) {
        sql.push(" GROUP BY ").push(&field_sql(Field::Stored(DIVISION)));
    }
    sql
}
