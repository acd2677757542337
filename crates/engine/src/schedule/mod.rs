//! Schedules: when a workflow is to be started again and again, and what becomes of each time.
//!
//! Pure, as the core is: the time comes in, nothing here reads a clock, a file or a random number
//! (time zones are looked up by name once, when a spec is compiled). The host keeps one
//! [`Scheduler`] a schedule, gives it what happens, and carries out the effects it asks for.
//!
//! | file | what |
//! |---|---|
//! | `field` | one field of a calendar: `*/5`, `mon-fri`, … |
//! | `cron` | cron strings |
//! | `duration` | lengths of time as text: `1h30m`, `2d` |
//! | `canonical` | a spec as it is kept and shown: structured calendars and intervals alone |
//! | `calendar` | a structured calendar, ready to be matched |
//! | `zone` | time zones, as stretches of one offset each |
//! | `spec` | a compiled spec: its next time |
//! | `record` | what is kept of a schedule: its form on disk |
//! | `overlap` | what is started, skipped, buffered while another runs |
//! | `scheduler` | what happens to a schedule when something comes in |
//! | `action` | the run that an action starts |
//! | `info` | a schedule as clients see it |

mod action;
pub(crate) mod calendar;
pub mod canonical;
pub mod cron;
pub(crate) mod duration;
pub mod field;
mod info;
mod overlap;
mod record;
mod scheduler;
mod spec;
pub(crate) mod steps;
#[cfg(test)]
mod tests;
pub(crate) mod zone;

pub(crate) use action::{identity, new_run};
pub(crate) use record::{BufferedStart, Running, ScheduleRecord};
pub(crate) use scheduler::{Closed, Effect, Replacement, Scheduler};
pub use spec::{Spec, Time};

/// What the workflow ids of schedules begin with, where a schedule is shown as an execution and in
/// errors, as on the real server.
pub(crate) const WORKFLOW_ID_PREFIX: &str = "temporal-sys-scheduler:";
/// The type of that execution.
pub(crate) const WORKFLOW_TYPE: &str = "temporal-sys-scheduler-workflow";
/// Its task queue.
pub(crate) const TASK_QUEUE: &str = "temporal-sys-per-ns-tq";
/// The namespace division of all schedules.
pub(crate) const DIVISION: &str = "TemporalScheduler";

/// Why a spec cannot be taken, in the words of the real server; INVALID_ARGUMENT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(pub(crate) String);

impl SpecError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
