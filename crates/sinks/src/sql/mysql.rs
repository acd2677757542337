//! Rows of MySQL and MariaDB.
//!
//! Both read texts as a column's type. `INSERT IGNORE` would leave out what is there already, and with it every error: values would be
//! cut and rows lost in silence. So a statement is a plain insert, and a row that a unique index refuses is looked for by its key.

use sqlx::{
    AssertSqlSafe, Row as _,
    mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions},
};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};
use tokio::{sync::RwLock, time::timeout};

use super::{
    CONNECTIONS, Target,
    columns::{Cell, Row},
    refusal::{ACQUIRE, STATEMENT, failure, is_about_the_table, is_duplicate},
};
use crate::{
    Delivered, Failure,
    batch::{self, Outcome},
};

/// Whatever the server's own mode: a value that does not fit is refused and not cut.
const STRICT: &str = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')";

const TYPES: &str = "\
SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR) FROM information_schema.columns \
WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";

/// How a column takes its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Json,
    /// Times are written without an offset, and are UTC: sessions are set to it.
    Time,
    Other,
}

#[derive(Debug)]
pub(super) struct MySql {
    pool: MySqlPool,
    target: Target,
    /// The columns' types; looked at when first needed, and again when the table has changed.
    types: RwLock<Option<Vec<Type>>>,
}

impl MySql {
    pub(super) fn new(server: MySqlConnectOptions, target: Target) -> Self {
        let pool = MySqlPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::query(STRICT).execute(connection).await.map(|_| ()) })
            })
            .connect_lazy_with(server);
        Self {
            pool,
            target,
            types: RwLock::new(None),
        }
    }

    async fn types(&self) -> Result<Vec<Type>, Failure> {
        if let Some(types) = &*self.types.read().await {
            return Ok(types.clone());
        }
        let mut types = self.types.write().await;
        if types.is_none() {
            *types = Some(self.look().await?);
        }
        types
            .clone()
            .ok_or_else(|| Failure::retryable("the types of the columns are not known"))
    }

    async fn look(&self) -> Result<Vec<Type>, Failure> {
        let Target {
            table,
            key,
            names,
            create,
            ..
        } = &self.target;
        let told = |error| failure(&error);
        if *create {
            let (table, key) = (table.mysql(), key.mysql());
            let statement = format!(
                "CREATE TABLE IF NOT EXISTS {table} \
                ({key} varchar(255) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, payload json NOT NULL, \
                delivered_at datetime(6) NOT NULL)"
            );
            sqlx::query(AssertSqlSafe(statement))
                .execute(&self.pool)
                .await
                .map_err(told)?;
        }
        let rows = sqlx::query(TYPES)
            .bind(table.schema.as_ref().map(|schema| schema.as_str()))
            .bind(table.name.as_str())
            .fetch_all(&self.pool)
            .await;
        let mut types = std::collections::BTreeMap::new();
        for row in rows.map_err(told)? {
            let name: String = row.try_get(0).map_err(told)?;
            let ty: String = row.try_get(1).map_err(told)?;
            let ty = match ty.to_ascii_lowercase().as_str() {
                "json" => Type::Json,
                "datetime" | "timestamp" => Type::Time,
                _ => Type::Other,
            };
            // Upper and lower case do not count in a column's name.
            types.insert(name.to_lowercase(), ty);
        }
        let table = table.mysql();
        if types.is_empty() {
            return Err(Failure::retryable(format!(
                "there is no table {table} in the database"
            )));
        }
        let of = |name: &super::Name| {
            let name = name.as_str();
            let ty = types.get(&name.to_lowercase()).copied();
            ty.ok_or_else(|| Failure::retryable(format!("the table {table} has no column {name:?}")))
        };
        names.iter().map(of).collect()
    }

    fn statement(&self, rows: &[Row]) -> String {
        let columns: Vec<_> = self.target.names.iter().map(super::Name::mysql).collect();
        let row = |row: &Row| {
            let values = row.0.iter().map(|cell| match cell {
                Cell::Now => "UTC_TIMESTAMP(6)",
                _ => "?",
            });
            format!("({})", values.collect::<Vec<_>>().join(", "))
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        let table = self.target.table.mysql();
        format!(
            "INSERT INTO {table} ({}) VALUES {}",
            columns.join(", "),
            rows.join(", ")
        )
    }

    async fn run(&self, rows: &[Row]) -> Result<Vec<Outcome>, Failure> {
        let types = self.types().await?;
        // Statements differ by the number of rows: they are not worth to be kept.
        let mut insert = sqlx::query(AssertSqlSafe(self.statement(rows))).persistent(false);
        for row in rows {
            for (cell, ty) in row.0.iter().zip(&types) {
                if !matches!(cell, Cell::Now) {
                    insert = insert.bind(text(cell, *ty));
                }
            }
        }
        let error = match insert.execute(&self.pool).await {
            Ok(_) => return Ok(rows.iter().map(|_| Ok(Delivered { status: None })).collect()),
            Err(error) => error,
        };
        if is_about_the_table(&error) {
            *self.types.write().await = None;
        }
        match rows {
            [row] if is_duplicate(&error) => self.duplicate(row, &types).await.map(|outcome| vec![outcome]),
            // Permanent, so that each row goes alone.
            _ => Err(failure(&error)),
        }
    }

    /// What became of a row that a unique index refused: it is there already if its key is.
    async fn duplicate(&self, row: &Row, types: &[Type]) -> Result<Outcome, Failure> {
        let Target {
            table, key, names, ..
        } = &self.target;
        let place = names.iter().position(|name| name == key);
        let value = place.and_then(|n| text(row.0.get(n)?, *types.get(n)?));
        let (table, key) = (table.mysql(), key.mysql());
        // In a column where upper and lower case do not count, another key would be taken for this one.
        let same = match self.target.own_key {
            true => format!(" AND CAST({key} AS BINARY) = CAST(? AS BINARY)"),
            false => String::new(),
        };
        let statement = format!("SELECT 1 FROM {table} WHERE {key} = ?{same} LIMIT 1");
        let mut select = sqlx::query(AssertSqlSafe(statement)).bind(value.clone());
        if self.target.own_key {
            select = select.bind(value);
        }
        let found = select
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| failure(&error))?;
        Ok(match found {
            Some(_) => Ok(Delivered { status: None }),
            None => Err(Failure::permanent(format!(
                "the database refuses the row: it breaks a unique index other than that of {key} (or that one takes \
                upper and lower case for the same)"
            ))),
        })
    }
}

fn text(cell: &Cell, ty: Type) -> Option<String> {
    match cell {
        Cell::Bool(flag) if ty != Type::Json => Some(u8::from(*flag).to_string()),
        Cell::Text(text) | Cell::String(text) if ty == Type::Time => Some(time(text)),
        cell => cell.text(ty == Type::Json),
    }
}

/// A time of RFC 3339 as MySQL reads it, in UTC; any other text as it is.
fn time(text: &str) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    let written = parsed.and_then(|time| time.to_offset(UtcOffset::UTC).format(format).ok());
    written.unwrap_or_else(|| text.to_owned())
}

impl batch::Target for MySql {
    type Item = Row;

    async fn send(&self, rows: &[Row]) -> Result<Vec<Outcome>, Failure> {
        let late = |_| Failure::retryable("the database does not answer");
        timeout(STATEMENT, self.run(rows)).await.map_err(late)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(time("2026-03-01T12:00:00.5+02:00"), "2026-03-01 10:00:00.500000");
        assert_eq!(time("2026-03-01 12:00:00"), "2026-03-01 12:00:00");
        assert_eq!(time("no time"), "no time");
    }
}
