//! What the platform's database holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::names::named;
use crate::cluster::{JobName, Phase};

named! {
    /// How far a run has come.
    pub enum RunStatus {
        /// Its job is being deployed, or has not started.
        Initializing = "INITIALIZING",
        /// Its job has started.
        Processing = "PROCESSING",
        /// All of its tasks have succeeded.
        Completed = "COMPLETED",
        /// It could not be deployed, a task has failed, or somebody has stopped it: see the reason.
        Failed = "FAILED",
    }
}

impl RunStatus {
    /// Whether it stays so.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

named! {
    /// How far a task has come.
    pub enum TaskStatus {
        /// It waits to be deployed.
        Queued = "QUEUED",
        /// Its job is deployed and has not started.
        Pending = "PENDING",
        /// Its job runs.
        Running = "RUNNING",
        /// Its job has ended well.
        Succeeded = "SUCCEEDED",
        /// Its job has ended badly, or is gone.
        Failed = "FAILED",
        /// It was stopped, or never deployed as the run was stopped.
        Cancelled = "CANCELLED",
    }
}

impl TaskStatus {
    /// Those of tasks that are not done.
    pub const ALIVE: [Self; 3] = [Self::Queued, Self::Pending, Self::Running];

    /// Whether the task is not done.
    pub fn is_alive(self) -> bool {
        Self::ALIVE.contains(&self)
    }
}

impl From<Phase> for TaskStatus {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Running => Self::Running,
            Phase::Succeeded => Self::Succeeded,
            Phase::Failed => Self::Failed,
        }
    }
}

named! {
    /// What asked for a run.
    pub enum Trigger {
        /// A schedule.
        Scheduled = "scheduled",
        /// A person.
        Manual = "manual",
        /// A program.
        Api = "api",
    }
}

named! {
    /// How a run is to be stopped.
    pub enum StopMode {
        /// Its processes are told, and killed if they have not ended in time.
        Graceful = "graceful",
        /// Its pods are deleted at once.
        Force = "force",
    }
}

named! {
    /// What has become of a run's export.
    pub enum ExportStatus {
        /// It has begun.
        Initiated = "INITIATED",
        /// All records were delivered, as many as the crawler has counted.
        Delivered = "DELIVERED",
        /// Nothing was delivered: see the reason.
        Failed = "FAILED",
    }
}

named! {
    /// Where the records of a crawler's runs are delivered.
    pub enum ExportTo {
        /// As rows of the table `records` of the platform's database.
        Database = "database",
        /// As an event to Amazon EventBridge, which says where they lie.
        Eventbridge = "eventbridge",
    }
}

/// A crawler: what is run, and what is done with its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CrawlerDefinition {
    /// What people call it; 1 to 200 characters.
    pub name: String,
    /// The project that it works for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The report that its records make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_id: Option<String>,
    /// The image of its containers; not needed for local processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What is run; if empty, the image's own entry point, or as a local process the platform's program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How many processes a run has, 1 to 1,000. Each knows its number from `CRAWL_PROCESS` and theirs from
    /// `CRAWL_PROCESSES`.
    #[serde(default = "one")]
    pub processes: u32,
    /// How many of them are deployed at once; if absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// Where the records go.
    #[serde(default = "to_database")]
    pub export: ExportTo,
}

fn one() -> u32 {
    1
}

fn to_database() -> ExportTo {
    ExportTo::Database
}

/// Most processes of a run.
pub const MOST_PROCESSES: u32 = 1_000;

impl CrawlerDefinition {
    /// All that is wrong with it, each with its field.
    ///
    /// # Errors
    ///
    /// The mistakes, if there are any.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut mistakes = Vec::new();
        if self.name.trim().is_empty() || self.name.chars().count() > 200 {
            mistakes.push("name: give it 1 to 200 characters".to_owned());
        }
        if !(1..=MOST_PROCESSES).contains(&self.processes) {
            mistakes.push(format!("processes: a run has 1 to {MOST_PROCESSES}"));
        }
        if self.parallel == Some(0) {
            mistakes.push("parallel: at least 1, or leave it out to deploy all at once".to_owned());
        }
        for name in self.env.keys() {
            if name.is_empty() || name.contains(['=', '\0']) {
                mistakes.push(format!("env: {name:?} is no name of a variable"));
            }
        }
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes)
        }
    }
}

/// A crawler with its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Crawler {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    #[serde(flatten)]
    pub definition: CrawlerDefinition,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

named! {
    /// What a schedule does while the run before has not ended.
    pub enum Overlap {
        /// Leaves this time out.
        Skip = "skip",
        /// Starts one run when the one before has ended.
        BufferOne = "buffer_one",
        /// Starts all of them one after the other.
        BufferAll = "buffer_all",
        /// Cancels the run before.
        CancelOther = "cancel_other",
        /// Terminates the run before: its jobs are then the sweeper's.
        TerminateOther = "terminate_other",
        /// Starts it beside the others.
        AllowAll = "allow_all",
    }
}

/// When a crawler runs by itself: at the times of a cron expression, or at intervals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScheduleDefinition {
    /// The crawler.
    pub crawler_id: Uuid,
    /// Five fields: minute, hour, day of the month, month, day of the week. Either this or `everySeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Seconds between two runs, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<u64>,
    /// The IANA time zone of `cron`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What happens while the run before has not ended.
    #[serde(default = "skip")]
    pub overlap: Overlap,
    /// Whether it makes runs.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn skip() -> Overlap {
    Overlap::Skip
}

fn yes() -> bool {
    true
}

impl ScheduleDefinition {
    /// All that is wrong with it, each with its field. Cron expressions and time zones are the engine's to judge.
    ///
    /// # Errors
    ///
    /// The mistakes, if there are any.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut mistakes = Vec::new();
        match (&self.cron, self.every_seconds) {
            (Some(_), Some(_)) | (None, None) => {
                mistakes.push("cron, everySeconds: give one of the two".to_owned());
            }
            (Some(cron), None) if cron.split_whitespace().count() != 5 => {
                mistakes.push("cron: five fields, as in \"0 6 * * *\"".to_owned());
            }
            (None, Some(0)) => mistakes.push("everySeconds: at least 1".to_owned()),
            _ => {}
        }
        if self.time_zone.is_some() && self.cron.is_none() {
            mistakes.push("timeZone: an interval has none".to_owned());
        }
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes)
        }
    }
}

/// A schedule with its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    #[serde(flatten)]
    pub definition: ScheduleDefinition,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

/// A run's history record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// The crawler.
    pub crawler_id: Uuid,
    /// What asked for it.
    pub trigger: Trigger,
    /// The workflow that looks after it.
    pub workflow_id: Option<String>,
    /// How far it has come.
    pub status: RunStatus,
    /// Why it has failed.
    pub reason: Option<String>,
    /// How many processes it has.
    pub processes: u32,
    /// Whether and how it was asked to stop.
    pub stop_requested: Option<StopMode>,
    /// Who asked.
    pub stopped_by: Option<String>,
    /// What the cluster's scheduler says while the run's job waits for longer than it should.
    pub saturation: Option<String>,
    /// When that was noticed.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub saturated_at: Option<OffsetDateTime>,
    /// What has become of its export.
    pub export_status: Option<ExportStatus>,
    /// Why that has failed.
    pub export_reason: Option<String>,
    /// How many records it has.
    pub records: Option<u64>,
    /// How many the crawler has counted.
    pub metadata_count: Option<u64>,
    /// Where the archive of its supporting files lies.
    pub supporting_file: Option<String>,
    /// How often its tasks were reconciled.
    pub reconciled: u64,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When its job had started.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<OffsetDateTime>,
    /// When it had ended.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<OffsetDateTime>,
}

/// A task: one process of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its id.
    pub id: Uuid,
    /// Its run.
    pub run_id: Uuid,
    /// Its number in the run, from 0; 0 is the main one.
    pub process: u32,
    /// The name of its job.
    #[schema(value_type = String)]
    pub job_name: JobName,
    /// The id that the cluster gave its job.
    pub job_id: Option<String>,
    /// How far it has come.
    pub status: TaskStatus,
    /// Since when its job is not seen on the cluster.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub missing_since: Option<OffsetDateTime>,
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
    /// Pages that it has fetched.
    pub pages: Option<u64>,
    /// Records that it has written.
    pub records: Option<u64>,
    /// Pages that it could not fetch.
    pub errors: Option<u64>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When its job was deployed.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deployed_at: Option<OffsetDateTime>,
    /// When its process started.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<OffsetDateTime>,
}

/// An attempt to deploy a run's main job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Its number, from 1.
    pub number: u32,
    /// The job.
    #[schema(value_type = String)]
    pub job_name: JobName,
    /// The id that the cluster gave it.
    pub job_id: Option<String>,
    /// What became of it.
    pub outcome: Option<String>,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: OffsetDateTime,
    /// When its outcome was known.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<OffsetDateTime>,
}

/// A change of a task's status that reconciliation made: the desired state follows the observed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CorrectionRecord {
    /// The reconciliation that made it.
    pub number: u64,
    /// The task.
    pub task_id: Uuid,
    /// The status that the database had.
    pub from: TaskStatus,
    /// The status that it has since.
    pub to: TaskStatus,
    /// Why.
    pub reason: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: OffsetDateTime,
}

/// A line about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// The task that it is about.
    pub task_id: Option<Uuid>,
    /// `info`, `warning` or `error`.
    pub level: String,
    /// What happened.
    pub message: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: OffsetDateTime,
}
