//! PostgreSQL.

use sqlx::{Postgres, postgres::PgListener};
statements!(
    Postgres,
    "(CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT))",
    numbered
);

/// `?` as `$1`, `$2`, …: none of our statements has one that is no placeholder.
fn numbered(text: &str) -> String {
    let mut parts = text.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        numbered.push_str(&format!("${}{part}", index + 1));
    }
    numbered
}

/// Ends the session of a relay that says nothing any more, although its connection seems to be there.
fn idle_timeout(lease: Duration) -> String {
    format!(
        "SET LOCAL idle_in_transaction_session_timeout = {}",
        lease.as_millis()
    )
}

impl super::sealed::Sealed for Postgres {}

impl Backend for Postgres {
    const MIGRATIONS: &'static [(i64, &'static str, &'static str)] = &[(
        1,
        "outbox",
        include_str!("../../migrations/postgres/0001_outbox.sql"),
    )];
    const DEBEZIUM: &'static str = include_str!("../../migrations/postgres/debezium.sql");

    shared_methods!(Postgres);
    locking_methods!();

    async fn begin(pool: &Pool<Self>) -> Result<Transaction<'static, Self>, sqlx::Error> {
        pool.begin().await
    }

    async fn lock(connection: &mut Connection, keys: &[&str]) -> Result<(), sqlx::Error> {
        // One statement a key: within one, the order of calls is the planner's.
        for key in keys {
            sql("SELECT pg_advisory_xact_lock(hashtextextended(?, 5350))")
                .bind((*key).to_owned())
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    async fn listen(pool: &Pool<Self>, wake: &Arc<Notify>) {
        const AGAIN: Duration = Duration::from_secs(1);
        loop {
            let listened = async {
                let mut listener = PgListener::connect_with(pool).await?;
                listener.listen("segno_outbox").await?;
                loop {
                    // What came while nobody listened is found by looking.
                    wake.notify_one();
                    listener.try_recv().await?;
                }
            };
            let ended: Result<std::convert::Infallible, sqlx::Error> = listened.await;
            let Err(error) = ended;
            tracing::warn!(%error, "the outbox's notifications are not heard; it is looked at regularly instead");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn placeholders_are_numbered() {
        assert_eq!(
            super::numbered("a = ? AND b IN (?, ?)"),
            "a = $1 AND b IN ($2, $3)"
        );
        assert_eq!(super::numbered("a"), "a");
    }
}
