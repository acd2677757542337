//! Chooses the way to the rows of a query.

use rusqlite::Connection;

use super::access::{Access, Bounds};
use super::analysis::Analysis;
use super::sql::Sql;

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
    /// All executions between the query's times, in order.
    All,
    /// A large set whose index has the default order within each of its values.
    Ordered(&'a Access),
    /// A small set.
    Small(&'a Access),
}

/// Chooses by asking the indexes how much there is to go through for each set, and no further than matters: a set that is small
/// is found by few looks, whatever the others are.
pub(super) fn choose<'a>(
    conn: &Connection,
    analysis: &'a Analysis,
    scope: i64,
    default_order: bool,
) -> rusqlite::Result<Way<'a>> {
    let accesses = &analysis.accesses;
    let least = |of: &mut dyn Iterator<Item = &'a Access>, most| -> rusqlite::Result<_> {
        let mut least = None;
        for access in of {
            let most = least.map_or(most, |(entries, _)| entries);
            let entries = entries(conn, access, scope, &analysis.bounds, most)?;
            if least.is_none_or(|(least, _)| entries < least) {
                least = Some((entries, access));
            }
        }
        Ok(least)
    };
    let is_followed = |access: &&Access| access.is_ordered() && **access != Access::Times;
    let followed = || accesses.iter().filter(is_followed);
    let small = |least, most| match least {
        Some((entries, access)) if entries <= most => Some(access),
        _ => None,
    };
    let way = match accesses.as_slice() {
        // Nothing to choose, nor to gain from sorting: each value's rows are in order.
        [only] if default_order && only.is_ordered() => Way::Ordered(only),
        _ => match (
            small(least(&mut accesses.iter(), SMALL)?, SMALL),
            followed().count(),
        ) {
            (Some(small), _) => Way::Small(small),
            (None, 0) => small(least(&mut accesses.iter(), MEDIUM)?, MEDIUM).map_or(Way::All, Way::Small),
            (None, 1) => followed().next().map_or(Way::All, Way::Ordered),
            (None, _) => least(&mut followed(), LARGE)?.map_or(Way::All, |(_, access)| Way::Ordered(access)),
        },
    };
    Ok(match way {
        Way::Ordered(Access::Times) => Way::All,
        Way::Small(Access::Times) if default_order => Way::All,
        way => way,
    })
}

/// How many entries an index is gone through for a set, counted up to one more than `most`.
fn entries(
    conn: &Connection,
    access: &Access,
    scope: i64,
    bounds: &Bounds,
    most: i64,
) -> rusqlite::Result<i64> {
    counted(conn, &access.entries(scope, bounds), most)
}

/// How many executions a set has, counted up to one more than `most`; those that it has twice count twice.
pub(super) fn size(
    conn: &Connection,
    access: &Access,
    scope: i64,
    bounds: &Bounds,
    most: i64,
) -> rusqlite::Result<i64> {
    counted(conn, &access.keys(scope, bounds), most)
}

fn counted(conn: &Connection, rows: &Sql, most: i64) -> rusqlite::Result<i64> {
    let mut sql = Sql::new("SELECT count(*) FROM (");
    sql.append(rows)
        .push(" LIMIT ")
        .bind(most.saturating_add(1))
        .push(")");
    conn.prepare_cached(&sql.text)?
        .query_row(rusqlite::params_from_iter(&sql.params), |row| row.get(0))
}
