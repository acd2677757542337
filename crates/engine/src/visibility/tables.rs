//! The tables, made where they are missing, and completed in a file of an earlier version.

use rusqlite::Connection;

use super::counts;

/// The tables of executions.
const TABLES: &str = include_str!("schema.sql");

/// Indexes that a file of an earlier version does not have.
const LATER_INDEXES: &str = include_str!("durations.sql");

/// Makes the tables where there are none. A file of an earlier version has its executions indexed and counted once, which
/// goes through them all. Where that cannot be done (the disk is full, a page is damaged) it is left for another time: lists
/// and counts go through the executions then.
///
/// # Errors
/// Those of the file.
pub(crate) fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    let is_new = !exists(conn, "table", "execution")?;
    conn.execute_batch(TABLES)?;
    if let Err(error) = conn.execute_batch(LATER_INDEXES) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the executions in the file cannot be indexed now: lists by the time of their start take longer"
        );
    }
    counts::prepare(conn, is_new)
}

/// Whether the file has an index, a table or a trigger of this name.
pub(super) fn exists(conn: &Connection, what: &str, name: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = ? AND name = ?")?
        .exists([what, name])
}
