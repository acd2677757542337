//! One look at the cluster, and what it tells of tasks.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::{
    activities::BulkQuestion,
    rules::{ActiveTask, Comparison, Judgement, compare},
};
use crate::{
    cluster::{Cluster, ClusterError, JobName, JobState},
    output::Outputs,
    store::{TaskReport, TaskStatus},
};

/// Lines of a failed task's log that are kept.
const LOG_LINES: usize = 50;
/// Bytes of the logs of all tasks that fail in one reconciliation: they go through the workflow's history.
const LOG_BYTES: usize = 400_000;
/// Bytes of one task's log.
const LOG_BYTES_OF_ONE: usize = 8_000;
/// How often a log is asked for while the cluster does not give it: a task that has failed is looked at no more.
const LOG_ATTEMPTS: u32 = 3;
/// Before a log is asked for again, at first.
const LOG_PAUSE: Duration = Duration::from_millis(200);
/// How long all logs of one reconciliation may take, within the time that its activity has.
const LOG_TIME: Duration = Duration::from_secs(30);

/// What is to be kept of an active task's job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The task.
    pub task: Uuid,
    /// The id that the cluster gave the job.
    pub id: String,
    /// Its pod.
    pub pod: Option<String>,
    /// The machine.
    pub node: Option<String>,
    /// How often its container was started again.
    pub restarts: u32,
    /// The exit status.
    pub exit_code: Option<i32>,
    /// Why it has failed.
    pub failure: Option<String>,
}

/// One look at the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Look {
    /// What follows for the database.
    pub comparison: Comparison,
    /// What is seen of the active tasks.
    pub seen: Vec<Seen>,
}

impl Look {
    /// What these jobs mean for these tasks.
    pub(crate) fn of(
        tasks: &[ActiveTask],
        observed: &[JobState],
        now: OffsetDateTime,
        lost_after: Duration,
        stopping: bool,
    ) -> Self {
        let judgement = Judgement {
            now,
            lost_after,
            stopping,
        };
        let seen = tasks
            .iter()
            .filter_map(|task| Some((task, observed.iter().find(|job| job.name == task.job)?)))
            .map(|(task, job)| Seen {
                task: task.id,
                id: job.id.clone(),
                pod: job.pod.as_ref().map(|pod| pod.name.clone()),
                node: job.pod.as_ref().and_then(|pod| pod.node.clone()),
                restarts: job.pod.as_ref().map_or(0, |pod| pod.restarts),
                exit_code: job.exit_code,
                failure: job.failure.clone(),
            })
            .collect();
        Self {
            comparison: compare(tasks, observed, judgement),
            seen,
        }
    }
}

impl BulkQuestion {
    /// Gathers the reports. What cannot be found out is left out: debugging information holds nothing up.
    pub(crate) async fn reports(&self, cluster: &dyn Cluster, outputs: &Outputs) -> Vec<TaskReport> {
        let failing = self
            .corrections
            .iter()
            .filter(|correction| correction.to == TaskStatus::Failed);
        let share = (LOG_BYTES / failing.count().max(1)).min(LOG_BYTES_OF_ONE);
        let deadline = Instant::now() + LOG_TIME;
        let mut reports = Vec::new();
        for task in &self.tasks {
            let Some(seen) = self.seen.iter().find(|seen| seen.task == task.id) else {
                continue;
            };
            let fails = self
                .corrections
                .iter()
                .any(|correction| correction.task == task.id && correction.to == TaskStatus::Failed);
            let log_tail = match fails {
                true => match timeout_at(deadline, last_words(cluster, &task.job)).await {
                    Ok(Ok(log)) => Some(end_of(&log, share)),
                    Ok(Err(error)) => Some(format!("(the log cannot be read: {error})")),
                    Err(_) => Some("(the log cannot be read: the cluster takes too long)".to_owned()),
                },
                false => None,
            };
            let stats = outputs.stats(self.run, task.process).await;
            reports.push(TaskReport {
                task: task.id,
                job_id: Some(seen.id.clone()),
                pod: seen.pod.clone(),
                node: seen.node.clone(),
                restarts: seen.restarts,
                exit_code: seen.exit_code,
                failure: seen.failure.clone(),
                log_tail,
                pages: stats.map(|stats| stats.pages),
                records: stats.map(|stats| stats.records),
                errors: stats.map(|stats| stats.errors),
            });
        }
        reports
    }
}

/// The end of a job's log, also where the cluster gives it only when it is asked again.
async fn last_words(cluster: &dyn Cluster, job: &JobName) -> Result<String, ClusterError> {
    let mut pause = LOG_PAUSE;
    for _ in 1..LOG_ATTEMPTS {
        match cluster.log_tail(job, LOG_LINES).await {
            Err(error) if error.is_retryable() => sleep(pause).await,
            settled => return settled,
        }
        pause *= 2;
    }
    cluster.log_tail(job, LOG_LINES).await
}

/// The last `bytes` of a text, from a character's beginning on. Zero bytes, which PostgreSQL does not take, are left out.
fn end_of(text: &str, bytes: usize) -> String {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_s_end_begins_with_a_whole_character() {
        assert_eq!(end_of("aäb", 2), "b");
        assert_eq!(end_of("aäb", 3), "äb");
        assert_eq!(end_of("ab", 9), "ab");
        assert_eq!(end_of("a\0b", 9), "ab");
    }
}
