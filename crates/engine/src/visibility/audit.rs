//! Whether the tables of executions say the same as each other. For tests: it reads everything.

use rusqlite::Connection;

/// What is wrong, and a statement that finds it.
const CHECKS: [(&str, &str); 3] = [
    (
        "there are other executions of scope, type, status than are counted",
        "SELECT scope || ', ' || workflow_type || ', ' || status || ': ' || number FROM (
           SELECT scope, workflow_type, status, count(*) AS number FROM execution GROUP BY 1, 2, 3
           EXCEPT SELECT scope, workflow_type, status, count FROM execution_count)",
    ),
    (
        "more of scope, type, status are counted than there are executions",
        "SELECT scope || ', ' || workflow_type || ', ' || status || ': ' || count FROM (
           SELECT scope, workflow_type, status, count FROM execution_count
           EXCEPT SELECT scope, workflow_type, status, count(*) FROM execution GROUP BY 1, 2, 3)",
    ),
    (
        "a value of a search attribute is not filed as its execution is",
        "SELECT a.key || ': ' || a.attribute FROM execution_attribute a LEFT JOIN execution e ON e.key = a.key
         WHERE (e.scope, e.order_time, e.start_time) IS NOT (a.scope, a.order_time, a.start_time)",
    ),
];

/// What differs; empty if nothing does.
///
/// # Errors
/// Those of the file.
pub(crate) fn audit(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    for (what, finds) in CHECKS {
        let mut statement = conn.prepare(finds)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            found.push(format!("{what}: {}", row.get::<_, String>(0)?));
        }
    }
    Ok(found)
}
