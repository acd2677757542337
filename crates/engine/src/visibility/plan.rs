//! Chooses the way to the rows of a query.

use rusqlite::Connection;

use super::access::Access;
use super::analysis::Analysis;

/// A set of at most this many executions is fetched and sorted; of a larger one the order is followed. About what
/// can be fetched in a hundredth of a second; and where a set is larger, following the order through a million
/// executions meets a page's worth of it in about the same time, if it is spread evenly. Few in tests, so that a dozen
/// executions take every way.
const SMALL: i64 = if cfg!(test) { 3 } else { 5000 };

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

/// Chooses by asking the indexes how large the sets are, counting no further than `SMALL`.
pub(super) fn choose<'a>(
    conn: &Connection,
    analysis: &'a Analysis,
    scope: i64,
    default_order: bool,
) -> rusqlite::Result<Way<'a>> {
    let mut least: Option<(i64, &Access)> = None;
    let accesses = &analysis.accesses;
    // Nothing to choose, nor to gain from sorting: each value's rows are in order.
    if let [only] = accesses.as_slice()
        && default_order
        && only.ordered_values().is_some()
    {
        return Ok(Way::Ordered(only));
    }
    for access in accesses {
        let size = size(conn, access, scope)?;
        if least.is_none_or(|(least, _)| size < least) {
            least = Some((size, access));
        }
    }
    Ok(match least {
        Some((size, access)) if size <= SMALL => Way::Small(access),
        _ => accesses
            .iter()
            .find(|access| access.ordered_values().is_some())
            .map_or(Way::All, Way::Ordered),
    })
}

fn size(conn: &Connection, access: &Access, scope: i64) -> rusqlite::Result<i64> {
    let mut sql = super::sql::Sql::new("SELECT count(*) FROM (");
    sql.append(&access.keys(scope))
        .push(" LIMIT ")
        .bind(SMALL + 1)
        .push(")");
    conn.prepare_cached(&sql.text)?
        .query_row(rusqlite::params_from_iter(&sql.params), |row| row.get(0))
}
