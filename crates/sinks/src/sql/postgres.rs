//! Rows of PostgreSQL.
//!
//! The columns of a batch are arrays of texts, and the statement reads each as its column's type. So a statement has as many parameters
//! as columns, however many rows, and whatever PostgreSQL reads from a text a column can be: numbers, times, UUIDs, arrays, enums.

use sqlx::{
    AssertSqlSafe, Row as _,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};
use tokio::{sync::RwLock, time::timeout};

use super::{
    CONNECTIONS, Target,
    columns::{Cell, Row},
    refusal::{ACQUIRE, STATEMENT, failure, is_about_the_table},
};
use crate::{
    Delivered, Failure,
    batch::{self, Outcome},
};

/// The types of a table's columns. Without a length, as a text that is too long would be cut by the cast and not refused by the
/// column: that is what -1 says.
const TYPES: &str = "\
SELECT attname::text, format_type(atttypid, -1) FROM pg_attribute \
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";

#[derive(Debug)]
pub(super) struct Postgres {
    pool: PgPool,
    target: Target,
    /// The statement, and which columns are of JSON; made when first needed, and again when the table has changed.
    insert: RwLock<Option<Insert>>,
}

#[derive(Clone, Debug)]
struct Insert {
    statement: String,
    json: Vec<bool>,
}

impl Postgres {
    pub(super) fn new(server: PgConnectOptions, target: Target) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .connect_lazy_with(server.application_name("segno"));
        Self {
            pool,
            target,
            insert: RwLock::new(None),
        }
    }

    async fn insert(&self, example: &Row) -> Result<Insert, Failure> {
        if let Some(insert) = &*self.insert.read().await {
            return Ok(insert.clone());
        }
        let mut insert = self.insert.write().await;
        if insert.is_none() {
            *insert = Some(self.prepare(example).await?);
        }
        insert
            .clone()
            .ok_or_else(|| Failure::retryable("there is no statement"))
    }

    async fn prepare(&self, example: &Row) -> Result<Insert, Failure> {
        let Target {
            table,
            key,
            names,
            create,
            ..
        } = &self.target;
        let table = table.postgres();
        let key = key.postgres();
        let told = |error| failure(&error);
        if *create {
            let statement = format!(
                "CREATE TABLE IF NOT EXISTS {table} ({key} text PRIMARY KEY, payload jsonb NOT NULL, \
                delivered_at timestamptz NOT NULL)"
            );
            sqlx::query(AssertSqlSafe(statement))
                .execute(&self.pool)
                .await
                .map_err(told)?;
        }
        let rows = sqlx::query(TYPES)
            .persistent(false)
            .bind(&table)
            .fetch_all(&self.pool)
            .await;
        let mut types = std::collections::BTreeMap::new();
        for row in rows.map_err(told)? {
            let name: String = row.try_get(0).map_err(told)?;
            let ty: String = row.try_get(1).map_err(told)?;
            types.insert(name, ty);
        }
        if types.is_empty() {
            return Err(Failure::retryable(format!(
                "there is no table {table} in the database"
            )));
        }
        let (mut columns, mut values, mut arrays, mut json) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (name, cell) in names.iter().zip(&example.0) {
            let Some(ty) = types.get(name.as_str()) else {
                let name = name.as_str();
                return Err(Failure::retryable(format!(
                    "the table {table} has no column {name:?}"
                )));
            };
            columns.push(name.postgres());
            json.push(matches!(ty.as_str(), "json" | "jsonb"));
            if matches!(cell, Cell::Now) {
                values.push("CURRENT_TIMESTAMP".to_owned());
                continue;
            }
            let n = arrays.len() + 1;
            // The type is as PostgreSQL itself writes it, with the quotes that it needs.
            values.push(format!("CAST(v.c{n} AS {ty})"));
            arrays.push(n);
        }
        let parameters: Vec<_> = arrays.iter().map(|n| format!("${n}::text[]")).collect();
        let aliases: Vec<_> = arrays.iter().map(|n| format!("c{n}")).collect();
        let statement = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM UNNEST({}) AS v({}) ON CONFLICT ({key}) DO NOTHING",
            columns.join(", "),
            values.join(", "),
            parameters.join(", "),
            aliases.join(", "),
        );
        Ok(Insert { statement, json })
    }

    async fn run(&self, rows: &[Row]) -> Result<Vec<Outcome>, Failure> {
        let Some(example) = rows.first() else {
            return Ok(Vec::new());
        };
        let Insert { statement, json } = self.insert(example).await?;
        // Not kept on the connection: poolers between give the next statement to another one.
        let mut insert = sqlx::query(AssertSqlSafe(statement)).persistent(false);
        for (n, json) in json.into_iter().enumerate() {
            if matches!(example.0.get(n), Some(Cell::Now)) {
                continue;
            }
            let texts = rows
                .iter()
                .map(|row| row.0.get(n).and_then(|cell| cell.text(json)));
            insert = insert.bind(texts.collect::<Vec<Option<String>>>());
        }
        match insert.execute(&self.pool).await {
            Ok(_) => Ok(rows.iter().map(|_| Ok(Delivered { status: None })).collect()),
            Err(error) => {
                if is_about_the_table(&error) {
                    *self.insert.write().await = None;
                }
                Err(failure(&error))
            }
        }
    }
}

impl batch::Target for Postgres {
    type Item = Row;

    async fn send(&self, rows: &[Row]) -> Result<Vec<Outcome>, Failure> {
        let late = |_| Failure::retryable("the database does not answer");
        timeout(STATEMENT, self.run(rows)).await.map_err(late)?
    }
}
