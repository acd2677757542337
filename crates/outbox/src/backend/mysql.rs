//! MySQL and MariaDB.

use sqlx::MySql;
statements!(
    MySql,
    "(CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))",
    str::to_owned
);

/// Ends the session of a relay that says nothing any more, although its connection seems to be there. The pool's
/// connections keep it; those that are ended by it while they wait are replaced.
fn idle_timeout(lease: Duration) -> String {
    format!("SET SESSION wait_timeout = {}", lease.as_secs().max(1))
}

impl super::sealed::Sealed for MySql {}

impl Backend for MySql {
    const MIGRATIONS: &'static [(i64, &'static str, &'static str)] = &[(
        1,
        "outbox",
        include_str!("../../migrations/mysql/0001_outbox.sql"),
    )];
    const DEBEZIUM: &'static str = include_str!("../../migrations/mysql/debezium.sql");

    shared_methods!(MySql);
    locking_methods!();

    async fn begin(pool: &Pool<Self>) -> Result<Transaction<'static, Self>, sqlx::Error> {
        pool.begin().await
    }

    async fn lock(connection: &mut Connection, keys: &[&str]) -> Result<(), sqlx::Error> {
        // Keys share slots, so the order that counts is that of the slots.
        let numbers = format!(
            "SELECT DISTINCT slot FROM segno_outbox_lock WHERE slot IN ({}) ORDER BY slot FOR UPDATE",
            vec!["(CRC32(?) >> 4) & 1023"; keys.len()].join(", ")
        );
        let mut query = sql(&numbers);
        for key in keys {
            query = query.bind((*key).to_owned());
        }
        query.fetch_all(connection).await?;
        Ok(())
    }

    async fn listen(_: &Pool<Self>, _: &Arc<Notify>) {
        std::future::pending().await
    }
}
