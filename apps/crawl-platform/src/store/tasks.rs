//! Tasks: their desired state, and what brings it in line with the observed one.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    RunStatus, Store, StoreError, Task, TaskStatus,
    db::{Row, Statement, Step, Value, placeholders},
};
use crate::{
    cluster::JobName,
    lifecycle::rules::{ActiveTask, Correction},
};

/// Debugging information of a task, as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TaskReport {
    /// The task.
    pub task: Uuid,
    /// The id that the cluster gave its job.
    pub job_id: Option<String>,
    /// Its pod, or its process id.
    pub pod: Option<String>,
    /// The machine.
    pub node: Option<String>,
    /// How often its container was started again.
    pub restarts: u32,
    /// The exit status of its process.
    pub exit_code: Option<i32>,
    /// Why it has failed.
    pub failure: Option<String>,
    /// The last that it wrote, if it has failed.
    pub log_tail: Option<String>,
    /// Pages that it has fetched so far.
    pub pages: Option<u64>,
    /// Records that it has written so far.
    pub records: Option<u64>,
    /// Pages that it could not fetch so far.
    pub errors: Option<u64>,
}

/// What became of corrections.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Applied {
    /// How many were made.
    pub made: u32,
    /// How many were not, as the status was another one by then, or the correction was made before.
    pub left: u32,
}

/// The columns that [`task`] reads.
const COLUMNS: &str = "id, run_id, process_number, job_name, job_id, status, missing_since, pod, node, restarts, \
    exit_code, failure, log_tail, pages, records, errors, created_at, deployed_at, started_at, ended_at";

fn task(row: &Row) -> Result<Task, StoreError> {
    let unsigned = |column| -> Result<_, StoreError> {
        Ok(row
            .maybe_int(column)?
            .map(|number| u64::try_from(number).unwrap_or(0)))
    };
    Ok(Task {
        id: row.id(0)?,
        run_id: row.id(1)?,
        process: u32::try_from(row.int(2)?).unwrap_or(0),
        job_name: row.parsed(3)?,
        job_id: row.maybe_text(4)?,
        status: row.parsed(5)?,
        missing_since: row.maybe_time(6)?,
        pod: row.maybe_text(7)?,
        node: row.maybe_text(8)?,
        restarts: u32::try_from(row.int(9)?).unwrap_or(0),
        exit_code: row.maybe_int(10)?.and_then(|code| i32::try_from(code).ok()),
        failure: row.maybe_text(11)?,
        log_tail: row.maybe_text(12)?,
        pages: unsigned(13)?,
        records: unsigned(14)?,
        errors: unsigned(15)?,
        created_at: row.time(16)?,
        deployed_at: row.maybe_time(17)?,
        started_at: row.maybe_time(18)?,
        ended_at: row.maybe_time(19)?,
    })
}

fn names(statuses: &[TaskStatus]) -> impl Iterator<Item = Value> + '_ {
    statuses.iter().map(|status| Value::from(*status))
}

impl Store {
    /// All tasks of a run, by their number.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn tasks(&self, run: Uuid) -> Result<Vec<Task>, StoreError> {
        let select = Statement::new(format!(
            "SELECT {COLUMNS} FROM tasks WHERE run_id = ? ORDER BY process_number"
        ))
        .bind(run);
        self.rows(select).await?.iter().map(task).collect()
    }

    /// A run's task of this number.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] if the run has none.
    pub async fn task_of(&self, run: Uuid, process: u32) -> Result<Task, StoreError> {
        let select = Statement::new(format!(
            "SELECT {COLUMNS} FROM tasks WHERE run_id = ? AND process_number = ?"
        ))
        .bind(run)
        .bind(process);
        let rows = self.rows(select).await?;
        let row = rows.first().ok_or(StoreError::NotFound {
            what: "task of the run",
            id: run,
        })?;
        task(row)
    }

    /// The tasks of a run that are not done, by their number. Found by an index: those that are done cost nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn active_tasks(&self, run: Uuid) -> Result<Vec<ActiveTask>, StoreError> {
        let marks = placeholders(TaskStatus::ALIVE.len());
        let select = Statement::new(format!(
            "SELECT id, process_number, job_name, status, missing_since FROM tasks \
            WHERE run_id = ? AND status IN ({marks}) ORDER BY process_number"
        ))
        .bind(run)
        .bind_all(names(&TaskStatus::ALIVE));
        let rows = self.rows(select).await?;
        rows.iter()
            .map(|row| {
                Ok(ActiveTask {
                    id: row.id(0)?,
                    process: u32::try_from(row.int(1)?).unwrap_or(0),
                    job: row.parsed(2)?,
                    status: row.parsed(3)?,
                    missing_since: row.maybe_time(4)?,
                })
            })
            .collect()
    }

    /// How many tasks of a run are not done.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn count_alive(&self, run: Uuid) -> Result<u64, StoreError> {
        let marks = placeholders(TaskStatus::ALIVE.len());
        let select = Statement::new(format!(
            "SELECT COUNT(*) FROM tasks WHERE run_id = ? AND status IN ({marks})"
        ))
        .bind(run)
        .bind_all(names(&TaskStatus::ALIVE));
        let rows = self.rows(select).await?;
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// A task's job is on the cluster: from `QUEUED` to `PENDING`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_deployed(
        &self,
        task: Uuid,
        job: &JobName,
        job_id: &str,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = Statement::new(
            "UPDATE tasks SET status = ?, job_name = ?, job_id = ?, deployed_at = ?, missing_since = NULL \
            WHERE id = ? AND status = ?",
        )
        .bind(TaskStatus::Pending)
        .bind(job.as_str())
        .bind(job_id)
        .bind(at)
        .bind(task)
        .bind(TaskStatus::Queued);
        Ok(self.execute(update).await? > 0)
    }

    /// A task whose job will not start is to be deployed again under another name: back to `QUEUED`, on the same record.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn requeue(&self, task: Uuid, before: &JobName, next: &JobName) -> Result<bool, StoreError> {
        let update = Statement::new(
            "UPDATE tasks SET status = ?, job_name = ?, job_id = NULL, deployed_at = NULL, missing_since = NULL \
            WHERE id = ? AND job_name = ? AND status IN (?, ?)",
        )
        .bind(TaskStatus::Queued)
        .bind(next.as_str())
        .bind(task)
        .bind(before.as_str())
        .bind(TaskStatus::Queued)
        .bind(TaskStatus::Pending);
        Ok(self.execute(update).await? > 0)
    }

    /// Writes down what was found out about tasks, in one transaction, and that the run was reconciled.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn report(
        &self,
        run: Uuid,
        number: u64,
        reports: &[TaskReport],
        missing: &[Uuid],
        found: &[Uuid],
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let count = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let mut steps: Vec<Step> = reports
            .iter()
            .map(|report| {
                Statement::new(
                    "UPDATE tasks SET job_id = COALESCE(?, job_id), pod = COALESCE(?, pod), node = COALESCE(?, node), \
                    restarts = ?, exit_code = COALESCE(?, exit_code), failure = COALESCE(?, failure), \
                    log_tail = COALESCE(?, log_tail), pages = COALESCE(?, pages), records = COALESCE(?, records), \
                    errors = COALESCE(?, errors) \
                    WHERE id = ?",
                )
                .bind(report.job_id.clone())
                .bind(report.pod.clone())
                .bind(report.node.clone())
                .bind(report.restarts)
                .bind(report.exit_code.map(i64::from))
                .bind(report.failure.clone())
                .bind(report.log_tail.clone())
                .bind(count(report.pages))
                .bind(count(report.records))
                .bind(count(report.errors))
                .bind(report.task)
                .into()
            })
            .collect();
        for (tasks, since) in [(missing, Some(at)), (found, None)] {
            if !tasks.is_empty() {
                let update = format!(
                    "UPDATE tasks SET missing_since = ? WHERE id IN ({})",
                    placeholders(tasks.len())
                );
                steps.push(
                    Statement::new(update)
                        .bind(since)
                        .bind_all(tasks.iter().map(|id| Value::from(*id)))
                        .into(),
                );
            }
        }
        steps.push(
            Statement::new("UPDATE runs SET reconciled = ? WHERE id = ? AND reconciled < ?")
                .bind(number)
                .bind(run)
                .bind(number)
                .into(),
        );
        self.transaction(steps).await.map(drop)
    }

    /// Makes corrections, each with its record, in one transaction. A task that has another status by then is left alone.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn correct(
        &self,
        run: Uuid,
        number: u64,
        corrections: &[Correction],
        at: OffsetDateTime,
    ) -> Result<Applied, StoreError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let steps = corrections
            .iter()
            .map(|correction| {
                // What has ended without a word of when has ended now.
                let ended_at = match correction.to.is_alive() {
                    true => None,
                    false => Some(correction.ended_at.unwrap_or(at)),
                };
                let update = Statement::new(
                    "UPDATE tasks SET status = ?, started_at = COALESCE(started_at, ?), ended_at = ?, \
                    deployed_at = COALESCE(deployed_at, ?), missing_since = NULL \
                    WHERE id = ? AND status = ? AND job_name = ?",
                )
                .bind(correction.to)
                .bind(correction.started_at)
                .bind(ended_at)
                .bind(
                    correction
                        .started_at
                        .or((correction.to != TaskStatus::Cancelled).then_some(at)),
                )
                .bind(correction.task)
                .bind(correction.from)
                .bind(correction.job.as_str());
                let record = self.db.insert(
                    "corrections",
                    [
                        ("run_id", run.into()),
                        ("number", number.into()),
                        ("task_id", correction.task.into()),
                        ("from_status", correction.from.into()),
                        ("to_status", correction.to.into()),
                        ("reason", correction.reason.clone().into()),
                        ("made_at", at.into()),
                    ],
                );
                Step::then(update, vec![record])
            })
            .collect();
        let met = self.transaction(steps).await?;
        let made = met.iter().filter(|rows| **rows > 0).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Applied {
            made: count(made),
            left: count(met.len() - made),
        })
    }

    /// Cancels the tasks of a run that are not deployed; returns how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn cancel_queued(&self, run: Uuid, at: OffsetDateTime) -> Result<u64, StoreError> {
        let update =
            Statement::new("UPDATE tasks SET status = ?, ended_at = ? WHERE run_id = ? AND status = ?")
                .bind(TaskStatus::Cancelled)
                .bind(at)
                .bind(run)
                .bind(TaskStatus::Queued);
        self.execute(update).await
    }

    /// Whether a run is in the database as one that has not ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn status_of(&self, run: Uuid) -> Result<Option<RunStatus>, StoreError> {
        let select = Statement::new("SELECT status FROM runs WHERE id = ?").bind(run);
        self.rows(select)
            .await?
            .first()
            .map(|row| row.parsed(0))
            .transpose()
    }
}
