//! SQLite. Its one writer would wait for as long as a transaction publishes, so a relay holds a lease instead; all relays
//! are on one machine, and the lease goes by its clock.

use sqlx::Sqlite;
statements!(
    Sqlite,
    "(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))",
    str::to_owned
);

impl super::sealed::Sealed for Sqlite {}

impl Backend for Sqlite {
    const MIGRATIONS: &'static [(i64, &'static str, &'static str)] = &[(
        1,
        "outbox",
        include_str!("../../migrations/sqlite/0001_outbox.sql"),
    )];
    const DEBEZIUM: &'static str = include_str!("../../migrations/sqlite/debezium.sql");

    shared_methods!(Sqlite);

    async fn begin(pool: &Pool<Self>) -> Result<Transaction<'static, Self>, sqlx::Error> {
        // One that only becomes a writer on the way may find that it cannot.
        pool.begin_with("BEGIN IMMEDIATE").await
    }

    async fn lock(_: &mut Connection, _: &[&str]) -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn claim(
        pool: &Pool<Self>,
        part: i16,
        claimant: &Claimant,
        limit: i64,
    ) -> Result<Option<Claim<Self>>, sqlx::Error> {
        const LEASE: &str = "UPDATE segno_outbox_part SET owner = ?, \
            leased_until_ms = ? + (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)) \
            WHERE number = ? AND (owner = ? \
            OR leased_until_ms < (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)))";
        let mut tx = Self::begin(pool).await?;
        let leased = sql(LEASE)
            .bind(claimant.id.clone())
            .bind(millis(claimant.lease))
            .bind(part)
            .bind(claimant.id.clone())
            .execute(&mut *tx)
            .await?;
        if leased.rows_affected() == 0 {
            tx.rollback().await?;
            return Ok(None);
        }
        let rows = fetch(&mut tx, part, limit).await?;
        tx.commit().await?;
        Ok(Some(Claim {
            part,
            rows,
            held: None,
        }))
    }

    async fn settle(
        pool: &Pool<Self>,
        claim: Claim<Self>,
        claimant: &Claimant,
        settlement: &Settlement,
    ) -> Result<bool, sqlx::Error> {
        let mut tx = Self::begin(pool).await?;
        let mine = sql("SELECT 1 FROM segno_outbox_part WHERE number = ? AND owner = ?")
            .bind(claim.part)
            .bind(claimant.id.clone())
            .fetch_optional(&mut *tx)
            .await?;
        if mine.is_none() {
            tx.rollback().await?;
            return Ok(false);
        }
        write(&mut tx, settlement).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn release(pool: &Pool<Self>, claimant: &Claimant) -> Result<(), sqlx::Error> {
        sql("UPDATE segno_outbox_part SET owner = NULL, leased_until_ms = 0 WHERE owner = ?")
            .bind(claimant.id.clone())
            .execute(pool)
            .await?;
        Ok(())
    }

    async fn listen(_: &Pool<Self>, _: &Arc<Notify>) {
        std::future::pending().await
    }
}
