//! Runs: from their request to their end.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    CorrectionRecord, Deployment, LogLine, Run, RunStatus, StopMode, Store, StoreError, TaskStatus, Trigger,
    db::{Row, Statement, Step},
};
use crate::cluster::JobName;

/// The columns that [`run`] reads.
pub(super) const COLUMNS: &str = "id, crawler_id, requested_by, workflow_id, status, reason, processes, \
    stop_requested, stopped_by, saturation, saturated_at, export_status, export_reason, records, metadata_count, \
    supporting_file, reconciled, created_at, started_at, ended_at";

pub(super) fn run(row: &Row) -> Result<Run, StoreError> {
    let maybe = |column| -> Result<_, StoreError> { row.maybe_text(column) };
    let unsigned = |column| -> Result<_, StoreError> {
        Ok(row
            .maybe_int(column)?
            .map(|number| u64::try_from(number).unwrap_or(0)))
    };
    Ok(Run {
        id: row.id(0)?,
        crawler_id: row.id(1)?,
        trigger: row.parsed(2)?,
        workflow_id: maybe(3)?,
        status: row.parsed(4)?,
        reason: maybe(5)?,
        processes: u32::try_from(row.int(6)?).unwrap_or(1),
        stop_requested: maybe(7)?.and_then(|mode| mode.parse().ok()),
        stopped_by: maybe(8)?,
        saturation: maybe(9)?,
        saturated_at: row.maybe_time(10)?,
        export_status: maybe(11)?.and_then(|status| status.parse().ok()),
        export_reason: maybe(12)?,
        records: unsigned(13)?,
        metadata_count: unsigned(14)?,
        supporting_file: maybe(15)?,
        reconciled: u64::try_from(row.int(16)?).unwrap_or(0),
        created_at: row.time(17)?,
        started_at: row.maybe_time(18)?,
        ended_at: row.maybe_time(19)?,
    })
}

/// A run to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Its id: the same for the same request.
    pub id: Uuid,
    /// The crawler.
    pub crawler: Uuid,
    /// What asks for it.
    pub trigger: Trigger,
    /// The workflow that makes it, and looks after it until another one says so.
    pub workflow_id: String,
    /// A fingerprint of the request, to tell one that is sent again from another one under the same key.
    pub request_hash: String,
    /// How many processes it has.
    pub processes: u32,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
}

/// What the tasks of a run have come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Tasks that have succeeded.
    pub succeeded: u64,
    /// Tasks that have failed.
    pub failed: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
    /// Tasks that are not done.
    pub alive: u64,
    /// Pages that they have fetched.
    pub pages: u64,
    /// Records that they have written.
    pub records: u64,
    /// Pages that they could not fetch.
    pub errors: u64,
}

impl Store {
    /// Keeps a run with its tasks, all of them queued; one of the same id stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] if there is no such crawler.
    pub async fn create_run(&self, new: &NewRun) -> Result<Run, StoreError> {
        self.crawler(new.crawler).await?;
        let insert = self.db.insert(
            "runs",
            [
                ("id", new.id.into()),
                ("crawler_id", new.crawler.into()),
                ("requested_by", new.trigger.into()),
                ("workflow_id", new.workflow_id.clone().into()),
                ("request_hash", new.request_hash.clone().into()),
                ("status", RunStatus::Initializing.into()),
                ("processes", new.processes.into()),
                ("reconciled", 0_i64.into()),
                ("created_at", new.created_at.into()),
            ],
        );
        let tasks = (0..new.processes)
            .map(|process| {
                self.db.insert(
                    "tasks",
                    [
                        ("id", task_id(new.id, process).into()),
                        ("run_id", new.id.into()),
                        ("process_number", process.into()),
                        ("job_name", JobName::of(new.id, process, 1).as_str().into()),
                        ("status", TaskStatus::Queued.into()),
                        ("restarts", 0_i64.into()),
                        ("created_at", new.created_at.into()),
                    ],
                )
            })
            .collect();
        self.transaction(vec![Step::then(insert, tasks)]).await?;
        self.run(new.id).await
    }

    /// A run.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] if there is none of this id.
    pub async fn run(&self, id: Uuid) -> Result<Run, StoreError> {
        let run = self.maybe_run(id).await?;
        run.ok_or(StoreError::NotFound { what: "run", id })
    }

    /// A run, if there is one of this id.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn maybe_run(&self, id: Uuid) -> Result<Option<Run>, StoreError> {
        let select = Statement::new(format!("SELECT {COLUMNS} FROM runs WHERE id = ?")).bind(id);
        self.rows(select).await?.first().map(run).transpose()
    }

    /// The fingerprint of the request that a run was made for.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn request_hash(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        let select = Statement::new("SELECT request_hash FROM runs WHERE id = ?").bind(id);
        self.rows(select)
            .await?
            .first()
            .map(|row| row.text(0))
            .transpose()
    }

    /// Says which workflow looks after a run.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_workflow(&self, run: Uuid, workflow_id: &str) -> Result<(), StoreError> {
        let update = Statement::new("UPDATE runs SET workflow_id = ? WHERE id = ?")
            .bind(workflow_id)
            .bind(run);
        self.execute(update).await.map(drop)
    }

    /// A run's first task has started: from `INITIALIZING` to `PROCESSING`. False if it was so before, or has ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_started(&self, run: Uuid, at: OffsetDateTime) -> Result<bool, StoreError> {
        let update = Statement::new(
            "UPDATE runs SET status = ?, started_at = ?, saturation = NULL WHERE id = ? AND status = ?",
        )
        .bind(RunStatus::Processing)
        .bind(at)
        .bind(run)
        .bind(RunStatus::Initializing);
        Ok(self.execute(update).await? > 0)
    }

    /// What the scheduler says while a run's job waits for too long.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_saturation(
        &self,
        run: Uuid,
        reason: &str,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let update = Statement::new(
            "UPDATE runs SET saturation = ?, saturated_at = COALESCE(saturated_at, ?) WHERE id = ? AND status = ?",
        )
        .bind(reason)
        .bind(at)
        .bind(run)
        .bind(RunStatus::Initializing);
        self.execute(update).await.map(drop)
    }

    /// A run has ended. False if it had before: then nothing changes, so that the first word is the last.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn conclude(
        &self,
        run: Uuid,
        status: RunStatus,
        reason: Option<&str>,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = Statement::new(
            "UPDATE runs SET status = ?, reason = ?, ended_at = ? WHERE id = ? AND status IN (?, ?)",
        )
        .bind(status)
        .bind(reason.map(str::to_owned))
        .bind(at)
        .bind(run)
        .bind(RunStatus::Initializing)
        .bind(RunStatus::Processing);
        Ok(self.execute(update).await? > 0)
    }

    /// A run is to be stopped. By force outlasts gracefully, and not the other way round.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn request_stop(&self, run: Uuid, mode: StopMode, by: &str) -> Result<(), StoreError> {
        let update = Statement::new(
            "UPDATE runs SET stop_requested = ?, stopped_by = COALESCE(stopped_by, ?) \
            WHERE id = ? AND (stop_requested IS NULL OR stop_requested <> ?)",
        )
        .bind(mode)
        .bind(by)
        .bind(run)
        .bind(StopMode::Force);
        self.execute(update).await.map(drop)
    }

    /// An attempt to deploy a run's main job begins.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn begin_deployment(
        &self,
        run: Uuid,
        number: u32,
        job: &JobName,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let insert = self.db.insert(
            "deployments",
            [
                ("run_id", run.into()),
                ("number", number.into()),
                ("job_name", job.as_str().into()),
                ("started_at", at.into()),
            ],
        );
        self.execute(insert).await.map(drop)
    }

    /// What became of an attempt to deploy.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn end_deployment(
        &self,
        run: Uuid,
        number: u32,
        job_id: Option<&str>,
        outcome: &str,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let update = Statement::new(
            "UPDATE deployments SET outcome = ?, job_id = COALESCE(?, job_id), ended_at = ? \
            WHERE run_id = ? AND number = ?",
        )
        .bind(outcome)
        .bind(job_id.map(str::to_owned))
        .bind(at)
        .bind(run)
        .bind(number);
        self.execute(update).await.map(drop)
    }

    /// The attempts to deploy a run, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn deployments(&self, run: Uuid) -> Result<Vec<Deployment>, StoreError> {
        let select = Statement::new(
            "SELECT number, job_name, job_id, outcome, started_at, ended_at FROM deployments \
            WHERE run_id = ? ORDER BY number",
        )
        .bind(run);
        let rows = self.rows(select).await?;
        rows.iter()
            .map(|row| {
                Ok(Deployment {
                    number: u32::try_from(row.int(0)?).unwrap_or(0),
                    job_name: row.parsed(1)?,
                    job_id: row.maybe_text(2)?,
                    outcome: row.maybe_text(3)?,
                    started_at: row.time(4)?,
                    ended_at: row.maybe_time(5)?,
                })
            })
            .collect()
    }

    /// What a run's tasks have come to.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn summary(&self, run: Uuid) -> Result<Summary, StoreError> {
        // Counted here: sums of BIGINT have another type in every database.
        let select =
            Statement::new("SELECT status, pages, records, errors FROM tasks WHERE run_id = ?").bind(run);
        let mut summary = Summary::default();
        for row in self.rows(select).await? {
            match row.parsed(0)? {
                TaskStatus::Succeeded => summary.succeeded += 1,
                TaskStatus::Failed => summary.failed += 1,
                TaskStatus::Cancelled => summary.cancelled += 1,
                TaskStatus::Queued | TaskStatus::Pending | TaskStatus::Running => summary.alive += 1,
            }
            let count = |number: Option<i64>| u64::try_from(number.unwrap_or(0)).unwrap_or(0);
            summary.pages += count(row.maybe_int(1)?);
            summary.records += count(row.maybe_int(2)?);
            summary.errors += count(row.maybe_int(3)?);
        }
        Ok(summary)
    }

    /// Adds a line about a run; one of the same id is left as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn add_log(&self, run: Uuid, id: &str, line: &LogLine) -> Result<(), StoreError> {
        let insert = self.db.insert(
            "logs",
            [
                ("id", format!("{run}/{id}").into()),
                ("run_id", run.into()),
                ("task_id", line.task_id.map(|id| id.to_string()).into()),
                ("level", line.level.clone().into()),
                ("message", line.message.clone().into()),
                ("made_at", line.at.into()),
            ],
        );
        self.execute(insert).await.map(drop)
    }

    /// The lines about a run, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn logs(&self, run: Uuid) -> Result<Vec<LogLine>, StoreError> {
        let select = Statement::new(
            "SELECT task_id, level, message, made_at FROM logs WHERE run_id = ? ORDER BY made_at, id LIMIT 1000",
        )
        .bind(run);
        let rows = self.rows(select).await?;
        rows.iter()
            .map(|row| {
                Ok(LogLine {
                    task_id: row.maybe_text(0)?.and_then(|id| id.parse().ok()),
                    level: row.text(1)?,
                    message: row.text(2)?,
                    at: row.time(3)?,
                })
            })
            .collect()
    }

    /// What was corrected in a run, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn corrections(&self, run: Uuid) -> Result<Vec<CorrectionRecord>, StoreError> {
        let select = Statement::new(
            "SELECT number, task_id, from_status, to_status, reason, made_at FROM corrections \
            WHERE run_id = ? ORDER BY made_at, number, task_id",
        )
        .bind(run);
        let rows = self.rows(select).await?;
        rows.iter()
            .map(|row| {
                Ok(CorrectionRecord {
                    number: u64::try_from(row.int(0)?).unwrap_or(0),
                    task_id: row.id(1)?,
                    from: row.parsed(2)?,
                    to: row.parsed(3)?,
                    reason: row.text(4)?,
                    at: row.time(5)?,
                })
            })
            .collect()
    }
}

/// The id of a run's task: the same for the same process.
pub(crate) fn task_id(run: Uuid, process: u32) -> Uuid {
    crate::ids::derived(&["task", &run.to_string(), &process.to_string()])
}
