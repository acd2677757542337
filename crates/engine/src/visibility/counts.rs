//! The counts of executions by type and status that the file keeps.

use rusqlite::{Connection, params, params_from_iter};

use super::attribute::{Column, Field};
use super::filter::{Filter, Group, Query};
use super::sql::Sql;
use super::statuses::{self, ByStatus};
use super::tables::exists;

/// The table and the triggers that keep it; for a file without executions.
const COUNTS: &str = include_str!("counts.sql");

/// Without the triggers the table is not kept, and nothing depends on it.
const NO_MORE: &str = "DROP TRIGGER execution_is_counted; DROP TRIGGER execution_is_counted_no_more; \
    DROP TRIGGER execution_is_counted_anew;";

/// Makes the table of counts where there is none: what a file of an earlier version has is counted then, or another time
/// where that cannot be done. Counts that cannot be read (a page of theirs is damaged) are given up, as no execution could
/// be filed that is counted there; the next opening tries to count anew.
///
/// # Errors
/// Those of the file.
pub(super) fn prepare(conn: &Connection, has_no_executions: bool) -> rusqlite::Result<()> {
    let mut are_kept = are_kept(conn)?;
    if are_kept && let Err(error) = read_all(conn) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "what the file has counted of its executions cannot be read, and is given up: counts of them take longer"
        );
        conn.execute_batch(NO_MORE)?;
        are_kept = false;
    }
    if has_no_executions || are_kept {
        return conn.execute_batch(COUNTS);
    }
    if let Err(error) = count_all(conn) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the executions in the file cannot be counted now: counts of them take longer"
        );
    }
    Ok(())
}

fn read_all(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("SELECT total(count) FROM execution_count", [], |_| Ok(()))
}

fn count_all(conn: &Connection) -> rusqlite::Result<()> {
    let all = conn.unchecked_transaction()?;
    all.execute_batch(COUNTS)?;
    all.execute("DELETE FROM execution_count", [])?;
    {
        let mut types = all.prepare(&format!(
            "SELECT e.scope, e.workflow_type, {} FROM execution e INDEXED BY execution_by_type \
             GROUP BY e.scope, e.workflow_type",
            statuses::columns("count(*)")
        ))?;
        let mut types = types.query([])?;
        let mut insert = all.prepare("INSERT INTO execution_count VALUES (?, ?, ?, ?)")?;
        while let Some(row) = types.next()? {
            let (scope, workflow_type): (i64, String) = (row.get(0)?, row.get(1)?);
            for (status, count) in (0_i64..).zip(statuses::read(row, 2)?) {
                if count > 0 {
                    insert.execute(params![scope, workflow_type, status, count])?;
                }
            }
        }
    }
    all.commit()
}

/// Whether the file keeps counts.
pub(super) fn are_kept(conn: &Connection) -> rusqlite::Result<bool> {
    exists(conn, "trigger", "execution_is_counted")
}

/// Whether a query asks for nothing but types and statuses, so that the counts answer it.
pub(super) fn can_answer(query: &Query) -> bool {
    matches!(query.group, None | Some(Group::Status)) && query.filter.as_ref().is_none_or(is_of_counts)
}

/// How many executions such a query finds in a scope, by status.
pub(super) fn answer(conn: &Connection, query: &Query, scope: i64) -> rusqlite::Result<ByStatus> {
    let mut sql = Sql::new("SELECT ");
    // The columns have the names that they have in `execution`.
    sql.push(&statuses::columns("sum(e.count)"))
        .push(" FROM execution_count e WHERE e.scope = ")
        .bind(scope);
    if let Some(filter) = &query.filter {
        sql.push(" AND (").filter(filter).push(")");
    }
    conn.prepare_cached(&sql.text)?
        .query_row(params_from_iter(&sql.params), |row| statuses::read(row, 0))
}

/// Whether a condition is on nothing but type and status.
fn is_of_counts(filter: &Filter) -> bool {
    let is_kept = |field: &Field| {
        matches!(
            field,
            Field::Column(Column::WorkflowType | Column::ExecutionStatus, _)
        )
    };
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts.iter().all(is_of_counts),
        Filter::Not(inner) => is_of_counts(inner),
        Filter::Compare { field, .. }
        | Filter::In { field, .. }
        | Filter::Between { field, .. }
        | Filter::Prefix { field, .. }
        | Filter::Null { field, .. }
        | Filter::Contains { field, .. }
        | Filter::Words { field, .. } => is_kept(field),
        Filter::Never => true,
    }
}
