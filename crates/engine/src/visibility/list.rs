//! Runs list queries, page by page.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::access::{Access, status_index};
use super::analysis::{Analysis, OPEN, analyse};
use super::duration;
use super::error::Error;
use super::filter::Query;
use super::order::{after, order_by};
use super::plan::{Way, choose};
use super::row::{COLUMN_COUNT, COLUMNS, ExecutionRow};
use super::sql::{Sql, field_sql, never_null};
use super::token::Place;

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub executions: Vec<ExecutionRow>,
    /// Empty after the last page.
    pub next_page_token: Vec<u8>,
}

/// The executions that `query` selects, at most `page_size` of them (at least 1), after the place of `page_token`
/// (empty: from the beginning). Pages follow the order itself, so that an execution which stays where it is in the
/// order is on exactly one page, whatever starts and closes meanwhile.
///
/// # Errors
/// A token that is not of such a query, and those of the file.
pub fn list(
    conn: &Connection,
    namespace_key: i64,
    query: &Query,
    page_size: usize,
    page_token: &[u8],
) -> Result<Page, Error> {
    let page_size = page_size.clamp(1, 100_000);
    let mut rows = Vec::new();
    for sql in statements(conn, namespace_key, query, page_size, page_token)? {
        let mut statement = conn.prepare_cached(&sql.text)?;
        let mut found = statement.query(params_from_iter(&sql.params))?;
        while let Some(row) = found.next()? {
            let execution = ExecutionRow::read(row)?;
            let mut place: Vec<Value> = if query.order.is_empty() {
                let order_time = execution.close_time.unwrap_or(OPEN);
                vec![order_time.into(), execution.start_time.into()]
            } else {
                let values = COLUMN_COUNT..COLUMN_COUNT + query.order.len();
                values.map(|index| row.get(index)).collect::<Result<_, _>>()?
            };
            place.push(execution.key.into());
            rows.push((Place(place), execution));
        }
    }
    // Each statement gives its rows in order, but there may be several.
    rows.sort_by(|(a, _), (b, _)| super::order::compare(&query.order, a, b));
    rows.dedup_by_key(|(_, execution)| execution.key);
    let more = rows.len() > page_size;
    rows.truncate(page_size);
    let next_page_token = match rows.last() {
        Some((place, _)) if more => place.encode(),
        _ => Vec::new(),
    };
    Ok(Page {
        executions: rows.into_iter().map(|(_, execution)| execution).collect(),
        next_page_token,
    })
}

/// The statements that such a page is read with.
pub(super) fn statements(
    conn: &Connection,
    namespace_key: i64,
    query: &Query,
    page_size: usize,
    page_token: &[u8],
) -> Result<Vec<Sql>, Error> {
    let analysis = analyse(query, namespace_key);
    let default_order = query.order.is_empty();
    let place = Place::decode(page_token, if default_order { 3 } else { query.order.len() + 1 })?;
    let mut statements = Vec::new();
    for scope in &analysis.scopes {
        let list = List {
            query,
            analysis: &analysis,
            scope: *scope,
            place: place.as_ref(),
            limit: page_size + 1,
            by_duration: analysis.bounds.start.greatest().is_some() && duration::are_indexed(conn)?,
            by_close: analysis.begins > i64::MIN && duration::closed_early_are_indexed(conn)?,
        };
        statements.extend(list.statements(&choose(conn, &analysis, *scope, default_order)?));
    }
    Ok(statements)
}

struct List<'a> {
    query: &'a Query,
    analysis: &'a Analysis,
    scope: i64,
    place: Option<&'a Place>,
    limit: usize,
    /// Whether there is a latest start, and the index that it is looked up in: a file of an earlier version may not have it.
    by_duration: bool,
    /// Whether none asked for begins before a time, and there is the index of those that closed before they were to.
    by_close: bool,
}

impl List<'_> {
    /// The statements that together give the rows.
    fn statements(&self, way: &Way<'_>) -> Vec<Sql> {
        let default_order = self.query.order.is_empty();
        match way {
            Way::Ordered(
                access @ (Access::Types(values) | Access::Statuses(values) | Access::Stored(_, values)),
            ) if default_order => values.iter().map(|value| self.ordered(access, value)).collect(),
            Way::Small(access) if default_order && access.has_times() => vec![self.sorted(access)],
            Way::Small(access) => vec![self.among(access)],
            // To be sorted anyhow, the fewer the better; unless an index has the order asked for.
            Way::Ordered(access) if !self.by_start() => vec![self.among(access)],
            Way::Ordered(_) | Way::All if !default_order => vec![self.all(i64::MIN)],
            Way::Ordered(_) | Way::All if self.by_close => {
                vec![self.in_order(self.analysis.begins), self.closed_early()]
            }
            Way::Ordered(_) | Way::All => vec![self.in_order(i64::MIN)],
        }
    }

    /// All with at least this `order_time`, in the default order.
    fn in_order(&self, low: i64) -> Sql {
        if self.by_duration {
            self.started(low)
        } else {
            self.all(low)
        }
    }

    /// Those that started until the latest start.
    fn started(&self, low: i64) -> Sql {
        let part = duration::Part {
            scope: self.scope,
            bounds: &self.analysis.bounds,
            low: low.max(self.analysis.bounds.low),
            place: self.place.and_then(Place::times),
        };
        let mut sql = self.select();
        sql.push(" FROM (").append(&part.rows());
        sql.push(" ORDER BY order_time DESC, start_time DESC, key DESC");
        self.fetch(&mut sql);
        if let Some(place) = self.place {
            sql.push(" AND ");
            after(&mut sql, &self.query.order, "a", place);
        }
        self.filter(&mut sql);
        self.limit(&mut sql);
        sql
    }

    /// Those that closed before they were to begin.
    fn closed_early(&self) -> Sql {
        let mut sql = self.select();
        sql.push(" FROM execution e INDEXED BY execution_closed_early WHERE e.execution_time > e.order_time AND e.scope = ")
            .bind(self.scope);
        self.rest(sql, "e")
    }

    fn by_start(&self) -> bool {
        matches!(self.query.order.as_slice(), [term] if never_null(term.field))
    }

    fn all(&self, low: i64) -> Sql {
        let index = if self.by_start() {
            "execution_by_start"
        } else {
            "execution_by_order"
        };
        let mut sql = self.select();
        sql.push(" FROM execution e INDEXED BY ")
            .push(index)
            .push(" WHERE e.scope = ")
            .bind(self.scope);
        if low > self.analysis.bounds.low {
            sql.push(" AND e.order_time >= ").bind(low);
        }
        self.rest(sql, "e")
    }

    /// The rows of a set, to be sorted.
    fn among(&self, access: &Access) -> Sql {
        let mut sql = self.select();
        sql.push(" FROM execution e WHERE e.key IN (")
            .append(&access.keys(self.scope, &self.analysis.bounds))
            .push(")");
        self.rest(sql, "e")
    }

    /// The rows of a set, whose entries in the index are sorted first: so no more executions are fetched than are looked at
    /// until the page is full.
    fn sorted(&self, access: &Access) -> Sql {
        let mut sql = self.select();
        sql.push(" FROM (SELECT DISTINCT order_time, start_time, key FROM (")
            .append(&access.rows("order_time, start_time, key", self.scope, &self.analysis.bounds))
            .push(") a WHERE 1");
        if let Some(place) = self.place {
            sql.push(" AND ");
            after(&mut sql, &self.query.order, "a", place);
        }
        order_by(&mut sql, &self.query.order, "a");
        self.fetch(&mut sql);
        self.filter(&mut sql);
        self.limit(&mut sql);
        sql
    }

    /// Goes from a subquery of the default order's columns, in order, to the executions.
    fn fetch(&self, sql: &mut Sql) {
        // The limit, which is none, keeps the order from being dropped as one of a subquery.
        sql.push(" LIMIT -1) a CROSS JOIN execution e ON e.key = a.key WHERE 1");
    }

    /// The rows of one value, in the order of its index. What another index says of them is asked before the execution is fetched.
    fn ordered(&self, access: &Access, value: &Value) -> Sql {
        let mut sql = self.select();
        sql.push(" FROM ");
        match access {
            Access::Stored(id, _) => {
                sql.push(
                    "execution_attribute a CROSS JOIN execution e ON e.key = a.key WHERE a.attribute = ",
                );
                sql.bind(id.stored()).push(" AND a.value = ");
            }
            Access::Statuses(_) => {
                let (index, condition) = status_index(value);
                sql.push("execution a INDEXED BY ")
                    .push(index)
                    .push(" CROSS JOIN execution e ON e.key = a.key WHERE a.")
                    .push(condition)
                    .push(" AND a.status = ");
            }
            _ => {
                sql.push(
                    "execution a INDEXED BY execution_by_type CROSS JOIN execution e ON e.key = a.key WHERE ",
                );
                if let Some(statuses) = self.analysis.statuses() {
                    sql.push("a.status IN ").bind_list(&statuses).push(" AND ");
                }
                sql.push("a.workflow_type = ");
            }
        }
        sql.bind(value.clone()).push(" AND a.scope = ").bind(self.scope);
        for other in &self.analysis.accesses {
            if other != access
                && let Some(probe) = other.probe(self.scope)
            {
                sql.push(" AND ").append(&probe);
            }
        }
        self.rest(sql, "a")
    }

    fn select(&self) -> Sql {
        let mut sql = Sql::new("SELECT ");
        sql.push(COLUMNS);
        for term in &self.query.order {
            sql.push(", ").push(&field_sql(term.field));
        }
        sql
    }

    /// Bounds, condition, order and limit; `table` has the columns of the default order.
    fn rest(&self, mut sql: Sql, table: &str) -> Sql {
        if self.analysis.bounds.low > i64::MIN {
            sql.push(" AND ")
                .push(table)
                .push(".order_time >= ")
                .bind(self.analysis.bounds.low);
        }
        let default_order = self.query.order.is_empty();
        if self.analysis.bounds.high < OPEN && !(default_order && self.place.is_some()) {
            sql.push(" AND ")
                .push(table)
                .push(".order_time <= ")
                .bind(self.analysis.bounds.high);
        }
        // Before the execution is fetched: a condition on it says the same.
        if table == "a" {
            self.analysis.bounds.start.push_to(&mut sql, "a.start_time");
        }
        if let Some(place) = self.place {
            sql.push(" AND ");
            after(&mut sql, &self.query.order, table, place);
        }
        self.filter(&mut sql);
        order_by(&mut sql, &self.query.order, table);
        self.limit(&mut sql);
        sql
    }

    fn filter(&self, sql: &mut Sql) {
        if let Some(filter) = &self.query.filter {
            sql.push(" AND (").filter(filter).push(")");
        }
    }

    fn limit(&self, sql: &mut Sql) {
        sql.push(" LIMIT ")
            .bind(i64::try_from(self.limit).unwrap_or(i64::MAX));
    }
}
