//! Numbers by status, taken in one pass over the rows: GROUP BY would sort them all.

use rusqlite::Row;

/// How many statuses there are, from 0 on.
pub(super) const STATUSES: usize = 9;

/// A number for each status.
pub(super) type ByStatus = [i64; STATUSES];

/// The columns of such numbers; `sum` makes one of rows of `e`: `count(*)`.
pub(super) fn columns(sum: &str) -> String {
    let column = |status| format!("coalesce({sum} FILTER (WHERE e.status = {status}), 0)");
    (0..STATUSES).map(column).collect::<Vec<_>>().join(", ")
}

/// Reads the columns, from the one with this index on.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<ByStatus> {
    let mut numbers = ByStatus::default();
    for (status, number) in numbers.iter_mut().enumerate() {
        *number = row.get(first + status)?;
    }
    Ok(numbers)
}

/// Adds numbers to numbers.
pub(super) fn add(to: &mut ByStatus, more: &ByStatus) {
    for (to, more) in to.iter_mut().zip(more) {
        *to += more;
    }
}
