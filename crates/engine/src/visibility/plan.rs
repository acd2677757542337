//! Chooses the way to the rows of a query.

use rusqlite::Connection;

use super::access::{Access, Bounds};
use super::analysis::Analysis;

/// A set of at most this many executions is fetched and sorted; of a larger one the order is followed. About what
/// can be fetched in a hundredth of a second; and where a set is larger, following the order through a million
/// executions meets a page's worth of it in about the same time, if it is spread evenly. Few in tests, so that a dozen
/// executions take every way.
pub(super) const SMALL: i64 = if cfg!(test) { 3 } else { 5_000 };
/// A set of at most this many is fetched and sorted where there is no order within a set to follow: what is met seldom
/// need not be spread evenly.
const MEDIUM: i64 = if cfg!(test) { 5 } else { 20_000 };
/// How far sets are counted to know the smallest: as far as an index counts in a hundredth of a second.
const LARGE: i64 = if cfg!(test) { 8 } else { 100_000 };

/// The way to the rows, in one scope.
#[derive(Debug, PartialEq)]
pub(super) enum Way<'a> {
    /// All executions, in order.
    All,
    /// A large set whose index has the default order within each of its values.
    Ordered(&'a Access),
    /// A small set.
    Small(&'a Access),
}

/// Chooses by asking the indexes how large the sets are, counting no further than `LARGE`.
pub(super) fn choose<'a>(
    conn: &Connection,
    analysis: &'a Analysis,
    scope: i64,
    default_order: bool,
) -> rusqlite::Result<Way<'a>> {
    let accesses = &analysis.accesses;
    // Nothing to choose, nor to gain from sorting: each value's rows are in order.
    if let [only] = accesses.as_slice()
        && default_order
        && only.ordered_values().is_some()
    {
        return Ok(Way::Ordered(only));
    }
    let mut sizes = Vec::with_capacity(accesses.len());
    for access in accesses {
        sizes.push((size(conn, access, scope, &analysis.bounds, LARGE)?, access));
    }
    let least = |(size, _): &&(i64, &Access)| *size;
    let ordered = sizes
        .iter()
        .filter(|(_, access)| access.ordered_values().is_some());
    Ok(
        match (sizes.iter().min_by_key(least), ordered.min_by_key(least)) {
            (Some((size, access)), _) if *size <= SMALL => Way::Small(access),
            (_, Some((_, access))) => Way::Ordered(access),
            (Some((size, access)), None) if *size <= MEDIUM => Way::Small(access),
            _ => Way::All,
        },
    )
}

/// How many executions a set has, counted up to one more than `most`; those that it has twice count twice.
pub(super) fn size(
    conn: &Connection,
    access: &Access,
    scope: i64,
    bounds: &Bounds,
    most: i64,
) -> rusqlite::Result<i64> {
    let mut sql = super::sql::Sql::new("SELECT count(*) FROM (");
    sql.append(&access.keys(scope, bounds))
        .push(" LIMIT ")
        .bind(most.saturating_add(1))
        .push(")");
    conn.prepare_cached(&sql.text)?
        .query_row(rusqlite::params_from_iter(&sql.params), |row| row.get(0))
}
