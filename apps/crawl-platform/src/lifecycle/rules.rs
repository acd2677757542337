//! The decisions of a run's life, pure: what follows from what is wanted and what is the case.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    cluster::{JobName, JobState, Phase},
    store::{RunStatus, Summary, TaskStatus},
};

/// From which age of a run on its tasks are reconciled how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Intervals(Vec<Interval>);

/// One step of [`Intervals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The age, in seconds since the run's job has started.
    pub from_seconds: f64_seconds::Seconds,
    /// Seconds between two reconciliations.
    pub every_seconds: f64_seconds::Seconds,
}

/// Seconds with a fraction in JSON and TOML, whole milliseconds here.
pub mod f64_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Serialize};

    /// A time span in whole milliseconds, written as seconds.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(try_from = "f64", into = "f64")]
    pub struct Seconds(Duration);

    impl Seconds {
        /// So many milliseconds.
        pub const fn from_millis(millis: u64) -> Self {
            Self(Duration::from_millis(millis))
        }

        /// So many seconds.
        pub const fn new(seconds: u64) -> Self {
            Self(Duration::from_secs(seconds))
        }

        /// The time span.
        pub const fn get(self) -> Duration {
            self.0
        }
    }

    impl TryFrom<f64> for Seconds {
        type Error = &'static str;

        fn try_from(seconds: f64) -> Result<Self, Self::Error> {
            // A year: more is a slip, and far less than what a Duration takes.
            if (0.0..=31_536_000.0).contains(&seconds) {
                Ok(Self(Duration::from_millis((seconds * 1000.0).round() as u64)))
            } else {
                Err("a number of seconds from 0 to 31536000")
            }
        }
    }

    impl From<Seconds> for f64 {
        fn from(seconds: Seconds) -> Self {
            seconds.0.as_secs_f64()
        }
    }
}

use f64_seconds::Seconds;

impl Default for Intervals {
    /// Every minute at first, every 15 once the run is 3 hours old; 2, 3, 5, 8 in between.
    fn default() -> Self {
        let step = |from: u64, every: u64| Interval {
            from_seconds: Seconds::new(from * 60),
            every_seconds: Seconds::new(every * 60),
        };
        Self(vec![
            step(0, 1),
            step(5, 2),
            step(15, 3),
            step(30, 5),
            step(60, 8),
            step(180, 15),
        ])
    }
}

/// Intervals are not in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the intervals begin at age 0, each at a greater age than the one before, and none is shorter than 0.01 s"
)]
pub struct InvalidIntervals;

impl Intervals {
    /// Intervals in the order of the run's age, the first from age 0.
    ///
    /// # Errors
    ///
    /// [`InvalidIntervals`].
    pub fn new(steps: Vec<Interval>) -> Result<Self, InvalidIntervals> {
        let intervals = Self(steps);
        intervals.check()?;
        Ok(intervals)
    }

    /// Whether they are in order.
    ///
    /// # Errors
    ///
    /// [`InvalidIntervals`].
    pub fn check(&self) -> Result<(), InvalidIntervals> {
        let steps = &self.0;
        let begins = steps
            .first()
            .is_some_and(|first| first.from_seconds.get().is_zero());
        let ordered = steps
            .windows(2)
            .all(|pair| pair[0].from_seconds < pair[1].from_seconds);
        let long = steps
            .iter()
            .all(|step| step.every_seconds.get() >= Duration::from_millis(10));
        if begins && ordered && long {
            Ok(())
        } else {
            Err(InvalidIntervals)
        }
    }

    /// The same interval at every age.
    pub fn every(every: Duration) -> Self {
        Self(vec![Interval {
            from_seconds: Seconds::new(0),
            every_seconds: Seconds::from_millis(u64::try_from(every.as_millis()).unwrap_or(60_000).max(10)),
        }])
    }

    /// How long it is until the tasks of a run of this age are reconciled again.
    pub fn next(&self, age: Duration) -> Duration {
        let step = self.0.iter().rev().find(|step| step.from_seconds.get() <= age);
        step.or(self.0.first())
            .map_or(Duration::from_secs(60), |step| step.every_seconds.get())
    }
}

/// What reconciliation knows of a task that is not done: the desired state, and who is looked for on the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveTask {
    /// Its id.
    pub id: Uuid,
    /// Its number in the run.
    pub process: u32,
    /// Its job.
    pub job: JobName,
    /// The status that the database has.
    pub status: TaskStatus,
    /// Since when its job is not seen.
    #[serde(with = "time::serde::rfc3339::option")]
    pub missing_since: Option<OffsetDateTime>,
}

/// A change that brings the database in line with the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The task.
    pub task: Uuid,
    /// Its job.
    pub job: JobName,
    /// The status that the database is to have at that time: else nothing is changed.
    pub from: TaskStatus,
    /// What it becomes.
    pub to: TaskStatus,
    /// Why, for people.
    pub reason: String,
    /// When its process started, if that is known.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When its process ended, if that is known.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

/// What follows from one look at the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What is to be changed.
    pub corrections: Vec<Correction>,
    /// Tasks whose job was seen before and is not there now: it may be gone, or the look may have missed it.
    pub missing: Vec<Uuid>,
    /// Tasks whose job is there again.
    pub found: Vec<Uuid>,
}

/// How a comparison judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// When the cluster was looked at.
    pub now: OffsetDateTime,
    /// How long a job may be missing until it counts as gone.
    pub lost_after: Duration,
    /// Whether the run is being stopped.
    pub stopping: bool,
}

/// Compares the tasks that the database holds for active with what the cluster has.
///
/// Only what the cluster says *now* counts: a task's next status does not depend on which changes were heard of before, in
/// which order, or how often.
pub fn compare(active: &[ActiveTask], observed: &[JobState], judgement: Judgement) -> Comparison {
    let mut comparison = Comparison::default();
    for task in active {
        match observed.iter().find(|job| job.name == task.job) {
            Some(job) => {
                if task.missing_since.is_some() {
                    comparison.found.push(task.id);
                }
                let to = settled(job, judgement.stopping);
                if to != task.status {
                    comparison.corrections.push(Correction {
                        task: task.id,
                        job: task.job.clone(),
                        from: task.status,
                        to,
                        reason: said_of(job, to),
                        started_at: job.started_at,
                        ended_at: job.ended_at,
                    });
                }
            }
            // Not deployed: there is nothing to be seen.
            None if task.status == TaskStatus::Queued => {}
            None => {
                let gone = task.missing_since.is_some_and(|since| {
                    judgement.now - since
                        >= time::Duration::try_from(judgement.lost_after).unwrap_or_default()
                });
                if judgement.stopping {
                    comparison
                        .corrections
                        .push(lost(task, TaskStatus::Cancelled, judgement.now));
                } else if gone {
                    comparison
                        .corrections
                        .push(lost(task, TaskStatus::Failed, judgement.now));
                } else if task.missing_since.is_none() {
                    comparison.missing.push(task.id);
                }
            }
        }
    }
    comparison
}

/// The status of a task whose job is this. What ends badly because it was told to end is not failed.
fn settled(job: &JobState, stopping: bool) -> TaskStatus {
    match (job.phase, stopping) {
        (Phase::Failed, true) => TaskStatus::Cancelled,
        (phase, _) => phase.into(),
    }
}

fn said_of(job: &JobState, to: TaskStatus) -> String {
    match to {
        TaskStatus::Queued | TaskStatus::Pending => match &job.pending {
            Some(pending) if pending.message.is_empty() => format!("the job waits: {}", pending.reason),
            Some(pending) => format!("the job waits: {}: {}", pending.reason, pending.message),
            None => "the job waits".to_owned(),
        },
        TaskStatus::Running => "the job runs".to_owned(),
        TaskStatus::Succeeded => "the job has succeeded".to_owned(),
        TaskStatus::Failed => match &job.failure {
            Some(failure) => format!("the job has failed: {failure}"),
            None => "the job has failed".to_owned(),
        },
        TaskStatus::Cancelled => "the job has ended as it was told to".to_owned(),
    }
}

fn lost(task: &ActiveTask, to: TaskStatus, now: OffsetDateTime) -> Correction {
    Correction {
        task: task.id,
        job: task.job.clone(),
        from: task.status,
        to,
        reason: match to {
            TaskStatus::Cancelled => "the job is gone from the cluster as it was told to end".to_owned(),
            _ => "the job is gone from the cluster, and nobody has told it to end".to_owned(),
        },
        started_at: None,
        ended_at: Some(now),
    }
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// `COMPLETED` or `FAILED`.
    pub status: RunStatus,
    /// Why it has failed.
    pub reason: Option<String>,
}

/// How a run ends whose tasks have come to this. One that somebody has stopped has failed, whatever its tasks made of it.
pub fn ending(summary: &Summary, stopped_by: Option<&str>) -> Ending {
    let all = summary.succeeded + summary.failed + summary.cancelled + summary.alive;
    let undone = all - summary.succeeded;
    let reason = match stopped_by {
        Some(by) => Some(format!("stopped by {by}")),
        None if undone == 0 && all > 0 => None,
        None if summary.cancelled + summary.alive == 0 => {
            Some(format!("{} of {all} tasks have failed", summary.failed))
        }
        None => Some(format!(
            "of {all} tasks {} have failed and {} were not done",
            summary.failed,
            undone - summary.failed
        )),
    };
    Ending {
        status: if reason.is_some() {
            RunStatus::Failed
        } else {
            RunStatus::Completed
        },
        reason,
    }
}

/// What to make of the main job while the run waits for it to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MainJob {
    /// It has started, and may even have ended.
    Started,
    /// It waits; if for longer than it should, the scheduler's words.
    Waiting {
        /// Reason and message, if the cluster is saturated.
        saturated: Option<String>,
    },
    /// It will not start: it is gone, or failed before its process ran.
    Broken {
        /// What happened.
        reason: String,
    },
}

/// Judges the main job.
pub fn main_job(job: Option<&JobState>, now: OffsetDateTime, pending_limit: Duration) -> MainJob {
    let Some(job) = job else {
        return MainJob::Broken {
            reason: "the job is gone from the cluster before it has started".to_owned(),
        };
    };
    match job.phase {
        Phase::Running | Phase::Succeeded => MainJob::Started,
        Phase::Failed if job.started_at.is_some() => MainJob::Started,
        Phase::Failed => MainJob::Broken {
            reason: job
                .failure
                .clone()
                .unwrap_or_else(|| "the job has failed before it has started".to_owned()),
        },
        Phase::Pending => {
            let long = now - job.created_at >= time::Duration::try_from(pending_limit).unwrap_or_default();
            MainJob::Waiting {
                saturated: long.then(|| match &job.pending {
                    Some(pending) if pending.message.is_empty() => pending.reason.clone(),
                    Some(pending) => format!("{}: {}", pending.reason, pending.message),
                    None => "the cluster says nothing about why the job waits".to_owned(),
                }),
            }
        }
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
