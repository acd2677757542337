//! Executions that started before a time, in the default order.
//!
//! That order is by the time of closing, and an execution may have closed long after it started: so whoever follows it
//! from its end goes through all that started later. Instead, those that took about as long as each other are gone
//! through together: those that started before the time closed soon after it, for their kind. What comes of all kinds is
//! merged.

use rusqlite::Connection;

use super::access::Bounds;
use super::analysis::OPEN;
use super::sql::Sql;
use super::tables::exists;

/// The hexadecimal digits of the nanoseconds that executions of a kind took: as in `durations.sql`.
const DIGITS: std::ops::RangeInclusive<u32> = 5..=16;
const DIGITS_SQL: &str = "max(5, length(format('%x', order_time - start_time)))";

/// Where in the default order they are looked for.
pub(super) struct Part<'a> {
    pub(super) scope: i64,
    /// With a latest start.
    pub(super) bounds: &'a Bounds,
    /// The least `order_time`.
    pub(super) low: i64,
    /// `order_time` and `start_time` of the place that they come after.
    pub(super) place: Option<(i64, i64)>,
}

/// Whether the file has the index of how long executions took.
pub(super) fn are_indexed(conn: &Connection) -> rusqlite::Result<bool> {
    exists(conn, "index", "execution_by_duration")
}

/// Whether the file has the index of executions that closed before they were to begin.
pub(super) fn closed_early_are_indexed(conn: &Connection) -> rusqlite::Result<bool> {
    exists(conn, "index", "execution_closed_early")
}

impl Part<'_> {
    /// A query of `order_time, start_time, key` of all of them in the default order, and perhaps of some more with the
    /// times of the place. SQLite merges its parts as they are read.
    pub(super) fn rows(&self) -> Sql {
        let mut sql = Sql::default();
        let latest = self.bounds.start.greatest().unwrap_or(i64::MAX);
        let high = self
            .bounds
            .high
            .min(self.place.map_or(OPEN, |(order_time, _)| order_time));
        if high == OPEN {
            let until = self.place.map_or(latest, |(_, start)| latest.min(start));
            select(&mut sql, "execution_by_order", self.scope);
            // As text, for the other index is used only by conditions from which its own visibly follows.
            sql.push(" AND order_time = 9223372036854775807 AND start_time <= ")
                .bind(until);
            self.bounds.start.push_to(&mut sql, "start_time");
            sql.push(" UNION ALL ");
        }
        for digits in DIGITS {
            // The longest of so many digits. What seems to have taken less than nothing has the most.
            let longest = 16_i64.checked_pow(digits).unwrap_or(i64::MAX);
            if digits > *DIGITS.start() {
                sql.push(" UNION ALL ");
            }
            select(&mut sql, "execution_by_duration", self.scope);
            sql.push(" AND ")
                .push(DIGITS_SQL)
                .push(" = ")
                .bind(i64::from(digits));
            // The index is entered at the first of two bounds, so this one stands before its own condition.
            sql.push(" AND order_time <= ")
                .bind(high.min(OPEN - 1).min(latest.saturating_add(longest)));
            sql.push(" AND order_time < 9223372036854775807 AND order_time >= ")
                .bind(self.low);
            self.bounds.start.push_to(&mut sql, "start_time");
        }
        sql
    }
}

fn select(sql: &mut Sql, index: &str, scope: i64) {
    sql.push("SELECT order_time, start_time, key FROM execution INDEXED BY ")
        .push(index)
        .push(" WHERE scope = ")
        .bind(scope);
}
