//! The statements that all databases share, with `?` for what is bound and `$now` for the database's own time.
//!
//! `sqlx` ties each query to its database by types, and generic code over all of them drags a page of bounds along: so the
//! functions are written once as a macro, and made for each database.

/// The columns of a row, in the order in which they are bound.
macro_rules! columns {
    () => {
        "id, source, type, subject, time, datacontenttype, dataschema, extensions, aggregate_key, data, \
         data_encoding, cipher_key"
    };
}

/// `statements!(Database, "its expression for the time in milliseconds", its way of writing placeholders)`.
macro_rules! statements {
    ($database:ty, $now:literal, $placeholders:path) => {
        use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _};

        use crate::backend::*;

        type Query = sqlx::query::Query<'static, $database, <$database as sqlx::Database>::Arguments>;
        type Connection = <$database as sqlx::Database>::Connection;
        type DbRow = <$database as sqlx::Database>::Row;

        /// A statement of ours: nothing in it comes from outside.
        fn sql(text: &str) -> Query {
            sqlx::query(AssertSqlSafe($placeholders(text)).into_sql_str())
        }

        fn list(count: usize) -> String {
            vec!["?"; count].join(", ")
        }

        /// Makes the tables.
        pub(super) async fn migrate(pool: &sqlx::Pool<$database>) -> Result<(), sqlx::migrate::MigrateError> {
            use sqlx::migrate::{Migration, MigrationType, Migrator};
            let migrations = <$database>::MIGRATIONS.iter().map(|(version, name, script)| {
                let script = script.into_sql_str();
                Migration::new(*version, (*name).into(), MigrationType::Simple, script, false)
            });
            let mut migrator = Migrator::with_migrations(migrations.collect());
            migrator.dangerous_set_table_name("segno_outbox_migrations");
            migrator.run(pool).await
        }

        pub(super) async fn script(pool: &sqlx::Pool<$database>, script: String) -> Result<(), sqlx::Error> {
            sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await?;
            Ok(())
        }

        pub(super) async fn insert(connection: &mut Connection, row: &Row) -> Result<(), sqlx::Error> {
            const INSERT: &str = concat!(
                "INSERT INTO segno_outbox (",
                columns!(),
                ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            );
            sql(INSERT)
                .bind(row.id.clone())
                .bind(row.source.clone())
                .bind(row.ty.clone())
                .bind(row.subject.clone())
                .bind(row.time.clone())
                .bind(row.datacontenttype.clone())
                .bind(row.dataschema.clone())
                .bind(row.extensions.clone())
                .bind(row.key.clone())
                .bind(row.data.clone())
                .bind(row.data_encoding.clone())
                .bind(row.cipher_key.clone())
                .execute(connection)
                .await?;
            Ok(())
        }

        fn pending(row: &DbRow) -> Result<PendingRow, sqlx::Error> {
            Ok(PendingRow {
                position: row.try_get("position")?,
                attempts: row.try_get("attempts")?,
                created_at_ms: row.try_get("created_at_ms")?,
                row: Row {
                    id: row.try_get("id")?,
                    source: row.try_get("source")?,
                    ty: row.try_get("type")?,
                    subject: row.try_get("subject")?,
                    time: row.try_get("time")?,
                    datacontenttype: row.try_get("datacontenttype")?,
                    dataschema: row.try_get("dataschema")?,
                    extensions: row.try_get("extensions")?,
                    key: row.try_get("aggregate_key")?,
                    data: row.try_get("data")?,
                    data_encoding: row.try_get("data_encoding")?,
                    cipher_key: row.try_get("cipher_key")?,
                },
            })
        }

        pub(super) async fn parts(pool: &sqlx::Pool<$database>) -> Result<Vec<i16>, sqlx::Error> {
            const PARTS: &str = concat!(
                "SELECT number FROM segno_outbox_part WHERE EXISTS (SELECT 1 FROM segno_outbox \
                 WHERE part = number AND state = 'pending' AND (retry_at_ms IS NULL OR retry_at_ms <= ",
                $now,
                ")) ORDER BY number"
            );
            let rows = sql(PARTS).fetch_all(pool).await?;
            rows.iter().map(|row| row.try_get("number")).collect()
        }

        /// The next rows of a part: those that are due and whose key waits for none of its rows.
        async fn fetch(
            connection: &mut Connection,
            part: i16,
            limit: i64,
        ) -> Result<Vec<PendingRow>, sqlx::Error> {
            const NEXT: &str = concat!(
                "SELECT position, attempts, created_at_ms, ",
                columns!(),
                " FROM segno_outbox WHERE part = ? AND state = 'pending' \
                 AND (retry_at_ms IS NULL OR retry_at_ms <= ",
                $now,
                ") AND (aggregate_key IS NULL OR aggregate_key NOT IN (\
                 SELECT aggregate_key FROM segno_outbox WHERE part = ? AND state = 'parked' \
                 AND aggregate_key IS NOT NULL \
                 UNION ALL SELECT aggregate_key FROM segno_outbox WHERE part = ? AND state = 'pending' \
                 AND retry_at_ms > ",
                $now,
                " AND aggregate_key IS NOT NULL)) ORDER BY position LIMIT ?"
            );
            let rows = sql(NEXT)
                .bind(part)
                .bind(part)
                .bind(part)
                .bind(limit)
                .fetch_all(connection)
                .await?;
            rows.iter().map(pending).collect()
        }

        pub(super) async fn oldest(
            pool: &sqlx::Pool<$database>,
        ) -> Result<Option<PendingRow>, sqlx::Error> {
            const OLDEST: &str = concat!(
                "SELECT position, attempts, created_at_ms, ",
                columns!(),
                " FROM segno_outbox WHERE state = 'pending' ORDER BY position LIMIT 1"
            );
            let row = sql(OLDEST).fetch_optional(pool).await?;
            row.as_ref().map(pending).transpose()
        }

        const PUBLISHED: &str = concat!(
            "UPDATE segno_outbox SET state = 'published', retry_at_ms = NULL, published_at_ms = ",
            $now,
            " WHERE state = 'pending' AND position IN "
        );

        async fn write(
            connection: &mut Connection,
            settlement: &Settlement,
        ) -> Result<(), sqlx::Error> {
            const PARK: &str = "UPDATE segno_outbox SET state = 'parked', attempts = attempts + 1, \
                retry_at_ms = NULL, last_error = ? WHERE state = 'pending' AND position = ?";
            const RETRY: &str = concat!(
                "UPDATE segno_outbox SET attempts = attempts + 1, last_error = ?, retry_at_ms = ? + ",
                $now,
                " WHERE state = 'pending' AND position = ?"
            );
            for positions in settlement.published.chunks(500) {
                let mut query = sql(&format!("{PUBLISHED} ({})", list(positions.len())));
                for position in positions {
                    query = query.bind(*position);
                }
                query.execute(&mut *connection).await?;
            }
            for failed in &settlement.failed {
                let query = match failed.retry {
                    None => sql(PARK).bind(failed.reason.clone()),
                    Some(after) => sql(RETRY).bind(failed.reason.clone()).bind(millis(after)),
                };
                query.bind(failed.position).execute(&mut *connection).await?;
            }
            Ok(())
        }

        pub(super) async fn mark(pool: &sqlx::Pool<$database>, position: i64) -> Result<(), sqlx::Error> {
            sql(&format!("{PUBLISHED} (?)")).bind(position).execute(pool).await?;
            Ok(())
        }

        /// By primary keys that were read before: a condition would lock gaps that others insert into.
        pub(super) async fn purge(
            pool: &sqlx::Pool<$database>,
            age: Duration,
            limit: i64,
        ) -> Result<u64, sqlx::Error> {
            const DONE: &str = concat!(
                "SELECT position FROM segno_outbox WHERE state IN ('published', 'discarded') \
                 AND published_at_ms <= ",
                $now,
                " - ? LIMIT ?"
            );
            let rows = sql(DONE).bind(millis(age)).bind(limit).fetch_all(pool).await?;
            let positions = rows.iter().map(|row| row.try_get("position"));
            let positions: Vec<i64> = positions.collect::<Result<_, _>>()?;
            let mut deleted = 0;
            for positions in positions.chunks(500) {
                let delete = format!("DELETE FROM segno_outbox WHERE position IN ({})", list(positions.len()));
                let mut query = sql(&delete);
                for position in positions {
                    query = query.bind(*position);
                }
                deleted += query.execute(pool).await?.rows_affected();
            }
            Ok(deleted)
        }

        pub(super) async fn stats(
            pool: &sqlx::Pool<$database>,
            stranded_after: Duration,
        ) -> Result<Stats, sqlx::Error> {
            const STATS: &str = concat!(
                "SELECT (SELECT COUNT(*) FROM segno_outbox WHERE state = 'pending') AS pending, ",
                "(SELECT COUNT(*) FROM segno_outbox WHERE state = 'pending' AND attempts > 0) AS retrying, ",
                "(SELECT COUNT(*) FROM segno_outbox WHERE state = 'parked') AS parked, ",
                "(SELECT COUNT(*) FROM segno_outbox WHERE state = 'pending' AND aggregate_key IN ",
                "(SELECT aggregate_key FROM segno_outbox WHERE state = 'parked')) AS held, ",
                "(SELECT COUNT(*) FROM segno_outbox WHERE state = 'pending' AND created_at_ms <= ",
                $now,
                " - ?) AS stranded, (SELECT ",
                $now,
                " - MIN(created_at_ms) FROM segno_outbox WHERE state = 'pending') AS oldest_ms"
            );
            let row = sql(STATS).bind(millis(stranded_after)).fetch_one(pool).await?;
            let count = |column: &str| -> Result<u64, sqlx::Error> {
                Ok(row.try_get::<i64, _>(column)?.max(0).unsigned_abs())
            };
            // Not `lag`, which is a word of MySQL's own.
            let lag: Option<i64> = row.try_get("oldest_ms")?;
            Ok(Stats {
                pending: count("pending")?,
                retrying: count("retrying")?,
                parked: count("parked")?,
                held: count("held")?,
                stranded: count("stranded")?,
                lag: Duration::from_millis(lag.unwrap_or_default().max(0).unsigned_abs()),
            })
        }

        pub(super) async fn parked(
            pool: &sqlx::Pool<$database>,
            limit: i64,
        ) -> Result<Vec<Parked>, sqlx::Error> {
            const PARKED: &str = "SELECT position, id, source, type, aggregate_key, attempts, last_error \
                FROM segno_outbox WHERE state = 'parked' ORDER BY position LIMIT ?";
            let rows = sql(PARKED).bind(limit).fetch_all(pool).await?;
            let parked = |row: &DbRow| {
                Ok(Parked {
                    position: row.try_get("position")?,
                    id: row.try_get("id")?,
                    source: row.try_get("source")?,
                    ty: row.try_get("type")?,
                    key: row.try_get("aggregate_key")?,
                    attempts: row.try_get::<i32, _>("attempts")?.max(0).unsigned_abs(),
                    reason: row.try_get::<Option<String>, _>("last_error")?.unwrap_or_default(),
                })
            };
            rows.iter().map(parked).collect()
        }

        pub(super) async fn unpark(
            pool: &sqlx::Pool<$database>,
            position: i64,
            state: &'static str,
            note: Option<&str>,
        ) -> Result<bool, sqlx::Error> {
            const UNPARK: &str = concat!(
                "UPDATE segno_outbox SET state = ?, last_error = COALESCE(?, last_error), published_at_ms = ",
                "CASE WHEN ? = 'discarded' THEN ",
                $now,
                " END WHERE state = 'parked' AND position = ?"
            );
            let done = sql(UNPARK)
                .bind(state)
                .bind(note.map(str::to_owned))
                .bind(state)
                .bind(position)
                .execute(pool)
                .await?;
            Ok(done.rows_affected() > 0)
        }
    };
}

/// The methods of [`Backend`](super::Backend) that are the statements above.
macro_rules! shared_methods {
    ($database:ty) => {
        async fn migrate(pool: &Pool<Self>) -> Result<(), sqlx::migrate::MigrateError> {
            migrate(pool).await
        }

        async fn script(pool: &Pool<Self>, text: String) -> Result<(), sqlx::Error> {
            script(pool, text).await
        }

        async fn insert(connection: &mut Connection, row: &Row) -> Result<(), sqlx::Error> {
            insert(connection, row).await
        }

        async fn parts(pool: &Pool<Self>) -> Result<Vec<i16>, sqlx::Error> {
            parts(pool).await
        }

        async fn oldest(pool: &Pool<Self>) -> Result<Option<PendingRow>, sqlx::Error> {
            oldest(pool).await
        }

        async fn mark(pool: &Pool<Self>, position: i64) -> Result<(), sqlx::Error> {
            mark(pool, position).await
        }

        async fn purge(pool: &Pool<Self>, age: Duration, limit: i64) -> Result<u64, sqlx::Error> {
            purge(pool, age, limit).await
        }

        async fn stats(pool: &Pool<Self>, stranded_after: Duration) -> Result<Stats, sqlx::Error> {
            stats(pool, stranded_after).await
        }

        async fn parked(pool: &Pool<Self>, limit: i64) -> Result<Vec<Parked>, sqlx::Error> {
            parked(pool, limit).await
        }

        async fn unpark(
            pool: &Pool<Self>,
            position: i64,
            state: &'static str,
            note: Option<&str>,
        ) -> Result<bool, sqlx::Error> {
            unpark(pool, position, state, note).await
        }
    };
}

/// [`Backend::claim`](super::Backend::claim) and its like for databases that skip locked rows: the relay's transaction holds
/// the part, so a relay that dies gives it back at once, and one that is only cut off does when the session's time-out ends.
#[cfg(any(feature = "mysql", feature = "postgres"))]
macro_rules! locking_methods {
    () => {
        async fn claim(
            pool: &Pool<Self>,
            part: i16,
            claimant: &Claimant,
            limit: i64,
        ) -> Result<Option<Claim<Self>>, sqlx::Error> {
            const LOCK: &str = "SELECT number FROM segno_outbox_part WHERE number = ? FOR UPDATE SKIP LOCKED";
            let mut tx = pool.begin().await?;
            let timeout = idle_timeout(claimant.lease);
            sqlx::raw_sql(AssertSqlSafe(timeout))
                .execute(&mut *tx)
                .await?;
            if sql(LOCK)
                .bind(part)
                .fetch_optional(&mut *tx)
                .await?
                .is_none()
            {
                tx.rollback().await?;
                return Ok(None);
            }
            let rows = fetch(&mut tx, part, limit).await?;
            Ok(Some(Claim {
                part,
                rows,
                held: Some(tx),
            }))
        }

        async fn settle(
            pool: &Pool<Self>,
            claim: Claim<Self>,
            _: &Claimant,
            settlement: &Settlement,
        ) -> Result<bool, sqlx::Error> {
            let mut tx = match claim.held {
                Some(tx) => tx,
                None => pool.begin().await?,
            };
            write(&mut tx, settlement).await?;
            tx.commit().await?;
            Ok(true)
        }

        async fn release(_: &Pool<Self>, _: &Claimant) -> Result<(), sqlx::Error> {
            Ok(())
        }
    };
}
