//! Jobs and what becomes of them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// Longest name of a job: that of a label's value and of a DNS label.
const LONGEST_NAME: usize = 63;

/// The name of a job: a DNS label (RFC 1123), so lower-case letters, digits and hyphens, at most 63 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobName(String);

/// A text is no name of a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of a job: it takes 1 to {LONGEST_NAME} of a-z, 0-9 and '-', with none of '-' at its ends"
)]
pub struct InvalidJobName(String);

impl JobName {
    /// The name of a run's job: the same for the same run, process and attempt, so that a deployment that is tried again
    /// finds its job there. Processes are numbered from 0, the main one; attempts from 1.
    pub fn of(run: Uuid, process: u32, attempt: u32) -> Self {
        Self(format!("crawl-{}-{process}-{attempt}", run.simple()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobName {
    type Err = InvalidJobName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(inside)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if fits {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidJobName(name.to_owned()))
        }
    }
}

impl TryFrom<String> for JobName {
    type Error = InvalidJobName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<JobName> for String {
    fn from(name: JobName) -> Self {
        name.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is to be run: one process, in one pod, once. A job is never started again by the cluster: whether it is tried again
/// is the run's decision, under another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub name: JobName,
    /// The run that it belongs to; the value of [`RUN_LABEL`](super::RUN_LABEL).
    pub run: Uuid,
    /// The task of the run that it carries out; the value of [`TASK_LABEL`](super::TASK_LABEL).
    pub task: Uuid,
    /// The image of its container. Local processes have none and do not look at it.
    #[serde(default)]
    pub image: Option<String>,
    /// What is run; if empty, the image's own entry point, or as a local process this program.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment variables, in addition to those of the image, or of this process.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Labels in addition to the platform's own.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a deployment did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The id that the cluster gave the job: another job of the same name has another one.
    pub id: String,
    /// Whether it was made now; false if it was there.
    pub created: bool,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its process has not started: see [`JobState::pending`].
    Pending,
    /// Its process runs.
    Running,
    /// Its process has ended with exit status 0.
    Succeeded,
    /// Its process has ended otherwise, or never will start.
    Failed,
}

impl Phase {
    /// Whether it stays so.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// Why a job has not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// One word: `Unschedulable`, `ImagePullBackOff`, `ContainerCreating` …
    pub reason: String,
    /// What the scheduler, or the node, says; may be empty.
    pub message: String,
    /// Whether the cluster has no room for it, or does not find a node that fits.
    pub unschedulable: bool,
}

/// The pod of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its name; of a local process, its process id.
    pub name: String,
    /// The machine that it is on, once that is decided.
    pub node: Option<String>,
    /// How often its container was started again.
    pub restarts: u32,
}

/// What a cluster says about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// Its name.
    pub name: JobName,
    /// The id that the cluster gave it.
    pub id: String,
    /// The run on its label; None if it has none that can be read.
    pub run: Option<Uuid>,
    /// The task on its label; None if it has none that can be read.
    pub task: Option<Uuid>,
    /// How far it has come.
    pub phase: Phase,
    /// Why it has not started; only of [`Phase::Pending`].
    pub pending: Option<Pending>,
    /// Whether it was told to end and has not yet.
    pub stopping: bool,
    /// Its pod, if one was made and is not gone.
    pub pod: Option<Pod>,
    /// The exit status of its process, if it has ended by itself; 128 and the signal's number if a signal ended it.
    pub exit_code: Option<i32>,
    /// Why it failed, in words: `OOMKilled`, `DeadlineExceeded: …`, `exit status 3`; only of [`Phase::Failed`].
    pub failure: Option<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its process started.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When its process ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

/// A job may have changed: a hint to look at its run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The job's name.
    pub job: JobName,
    /// Its run.
    pub run: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_s_jobs_have_names_that_fit() {
        let name = JobName::of(Uuid::max(), 9_999, 999);
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(name.as_str(), "crawl-ffffffffffffffffffffffffffffffff-9999-999");
    }

    #[test]
    fn what_is_no_dns_label_is_no_name() {
        let long = "a".repeat(64);
        for name in ["", "-a", "a-", "A", "a.b", "a_b", "ä", long.as_str()] {
            assert_eq!(name.parse::<JobName>(), Err(InvalidJobName(name.to_owned())));
        }
        assert!("a".repeat(63).parse::<JobName>().is_ok());
    }
}
