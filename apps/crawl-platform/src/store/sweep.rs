//! What the sweeper asks of the database.

use std::{collections::HashMap, time::Duration};

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    RunStatus, Store, StoreError,
    db::{Row, Statement, Value, placeholders},
    export::before,
};

/// Ids in one statement.
const IDS: usize = 500;

/// A run that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRun {
    /// Its id.
    pub id: Uuid,
    /// The workflow that looks after it, if it has said so.
    pub workflow_id: Option<String>,
}

fn open_run(row: &Row) -> Result<OpenRun, StoreError> {
    Ok(OpenRun {
        id: row.id(0)?,
        workflow_id: row.maybe_text(1)?,
    })
}

impl Store {
    /// Runs that have not ended and were asked for longer than `age` ago, the oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open_runs(
        &self,
        now: OffsetDateTime,
        age: Duration,
        limit: u32,
    ) -> Result<Vec<OpenRun>, StoreError> {
        let select = Statement::new(
            "SELECT id, workflow_id FROM runs WHERE status IN (?, ?) AND created_at <= ? \
            ORDER BY created_at, id LIMIT ?",
        )
        .bind(RunStatus::Initializing)
        .bind(RunStatus::Processing)
        .bind(before(now, age))
        .bind(limit);
        let rows = self.rows(select).await?;
        rows.iter().map(open_run).collect()
    }

    /// Runs that have not ended of the workflows that a schedule has started: their ids are `prefix`, a `-` and a time.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open_runs_of(&self, prefix: &str) -> Result<Vec<OpenRun>, StoreError> {
        let select = Statement::new(
            "SELECT id, workflow_id FROM runs WHERE status IN (?, ?) AND workflow_id LIKE ? ORDER BY created_at, id",
        )
        .bind(RunStatus::Initializing)
        .bind(RunStatus::Processing)
        .bind(format!("{prefix}-%"));
        self.rows(select).await?.iter().map(open_run).collect()
    }

    /// The statuses of runs and when they have ended; those that are not there are not in the answer.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn statuses(
        &self,
        runs: &[Uuid],
    ) -> Result<HashMap<Uuid, (RunStatus, Option<OffsetDateTime>)>, StoreError> {
        let mut statuses = HashMap::new();
        for runs in runs.chunks(IDS) {
            let select = Statement::new(format!(
                "SELECT id, status, ended_at FROM runs WHERE id IN ({})",
                placeholders(runs.len())
            ))
            .bind_all(runs.iter().map(|id| Value::from(*id)));
            for row in self.rows(select).await? {
                statuses.insert(row.id(0)?, (row.parsed(1)?, row.maybe_time(2)?));
            }
        }
        Ok(statuses)
    }
}
