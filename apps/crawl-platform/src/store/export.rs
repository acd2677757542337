//! Delivered records, and what became of an export.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    ExportStatus, Store, StoreError,
    db::{Statement, Step},
};

/// Rows that are written in one transaction.
pub(crate) const ROWS: usize = 500;

/// A delivered record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// Its number in the run, from 0.
    pub number: u64,
    /// The record, as JSON.
    pub data: String,
}

impl Store {
    /// Keeps records; those of numbers that are there are left as they are.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn add_records(&self, run: Uuid, rows: &[RecordRow]) -> Result<(), StoreError> {
        for rows in rows.chunks(ROWS) {
            let steps: Vec<Step> = rows
                .iter()
                .map(|row| {
                    let number = i64::try_from(row.number).unwrap_or(i64::MAX);
                    let columns = [
                        ("run_id", run.into()),
                        ("number", number.into()),
                        ("data", row.data.clone().into()),
                    ];
                    self.db.insert("records", columns).into()
                })
                .collect();
            self.transaction(steps).await?;
        }
        Ok(())
    }

    /// How many records of a run are in the database.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn count_records(&self, run: Uuid) -> Result<u64, StoreError> {
        let select = Statement::new("SELECT COUNT(*) FROM records WHERE run_id = ?").bind(run);
        let rows = self.rows(select).await?;
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Records of a run in order, from a number on.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn records(&self, run: Uuid, from: u64, limit: u32) -> Result<Vec<RecordRow>, StoreError> {
        let select = Statement::new(
            "SELECT number, data FROM records WHERE run_id = ? AND number >= ? ORDER BY number LIMIT ?",
        )
        .bind(run)
        .bind(i64::try_from(from).unwrap_or(i64::MAX))
        .bind(limit);
        let rows = self.rows(select).await?;
        rows.iter()
            .map(|row| {
                Ok(RecordRow {
                    number: u64::try_from(row.int(0)?).unwrap_or(0),
                    data: row.text(1)?,
                })
            })
            .collect()
    }

    /// What became of a run's export. What was delivered stays so.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_export(
        &self,
        run: Uuid,
        status: ExportStatus,
        reason: Option<&str>,
        counts: Option<(u64, u64)>,
    ) -> Result<(), StoreError> {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let update = Statement::new(
            "UPDATE runs SET export_status = ?, export_reason = ?, records = COALESCE(?, records), \
            metadata_count = COALESCE(?, metadata_count) \
            WHERE id = ? AND (export_status IS NULL OR export_status <> ?)",
        )
        .bind(status)
        .bind(reason.map(str::to_owned))
        .bind(counts.map(|(records, _)| count(records)))
        .bind(counts.map(|(_, metadata)| count(metadata)))
        .bind(run)
        .bind(ExportStatus::Delivered);
        self.execute(update).await.map(drop)
    }

    /// Where the archive of a run's supporting files lies.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_supporting_file(&self, run: Uuid, location: &str) -> Result<(), StoreError> {
        let update = Statement::new("UPDATE runs SET supporting_file = ? WHERE id = ?")
            .bind(location)
            .bind(run);
        self.execute(update).await.map(drop)
    }

    /// Deletes a run's records that an export before has written, if it was not finished.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn clear_records(&self, run: Uuid) -> Result<(), StoreError> {
        let delete = Statement::new(
            "DELETE FROM records WHERE run_id = ? AND EXISTS \
            (SELECT 1 FROM runs WHERE runs.id = ? AND (export_status IS NULL OR export_status <> ?))",
        )
        .bind(run)
        .bind(run)
        .bind(ExportStatus::Delivered);
        self.execute(delete).await.map(drop)
    }
}

/// Used by lists of runs that have not ended.
pub(super) fn before(at: OffsetDateTime, age: std::time::Duration) -> OffsetDateTime {
    at - time::Duration::try_from(age).unwrap_or_default()
}
