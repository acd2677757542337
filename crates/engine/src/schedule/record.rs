//! What is kept of a schedule. This is also the form on disk, as with runs: protobuf messages, so
//! that fields can be added later and old files stay readable.

use temporalio_protos::temporal::api::{
    common::v1::{Memo, Payloads, SearchAttributes},
    failure::v1::Failure,
    schedule::v1::{Schedule, ScheduleActionResult},
};

use crate::clock::Nanos;

/// A schedule. Times are nanoseconds since the epoch; 0 is "none".
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct ScheduleRecord {
    #[prost(uint32, tag = "1")]
    pub(crate) namespace_key: u32,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    /// Canonical, with defaults written out.
    #[prost(message, optional, tag = "3")]
    pub(crate) schedule: Option<Schedule>,
    #[prost(message, optional, tag = "4")]
    pub(crate) memo: Option<Memo>,
    #[prost(message, optional, tag = "5")]
    pub(crate) search_attributes: Option<SearchAttributes>,
    /// Counts the changes of the schedule, from 1.
    #[prost(int64, tag = "6")]
    pub(crate) conflict_token: i64,
    #[prost(int64, tag = "7")]
    pub(crate) created_at: Nanos,
    #[prost(int64, tag = "8")]
    pub(crate) updated_at: Nanos,
    /// The nominal time up to which the spec's times have been dealt with.
    #[prost(int64, tag = "9")]
    pub(crate) processed: Nanos,
    /// Actions that are due, and not started yet.
    #[prost(message, repeated, tag = "10")]
    pub(crate) buffer: Vec<BufferedStart>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) backfills: Vec<Backfill>,
    /// Executions that stand in the way of the next one.
    #[prost(message, repeated, tag = "12")]
    pub(crate) running: Vec<Running>,
    /// The latest actions, the oldest first.
    #[prost(message, repeated, tag = "13")]
    pub(crate) recent: Vec<ScheduleActionResult>,
    #[prost(message, required, tag = "14")]
    pub(crate) counts: Counts,
    #[prost(message, optional, tag = "15")]
    pub(crate) last_completion_result: Option<Payloads>,
    #[prost(message, optional, tag = "16")]
    pub(crate) continued_failure: Option<Failure>,
    #[prost(string, tag = "17")]
    pub(crate) create_request_id: String,
    /// Ids of the latest updates and patches: one that comes again does nothing.
    #[prost(string, repeated, tag = "18")]
    pub(crate) request_ids: Vec<String>,
    /// The run id under which the schedule is shown as an execution.
    #[prost(string, tag = "19")]
    pub(crate) run_id: String,
    /// A start failed for a reason of the engine's own and is tried again then.
    #[prost(int64, tag = "20")]
    pub(crate) retry_at: Nanos,
}

/// An action that is due.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct BufferedStart {
    #[prost(int64, tag = "1")]
    pub(crate) nominal: Nanos,
    #[prost(int64, tag = "2")]
    pub(crate) actual: Nanos,
    /// `ScheduleOverlapPolicy`; unspecified: the schedule's, as it is when the action's turn comes.
    #[prost(int32, tag = "3")]
    pub(crate) overlap_policy: i32,
    /// By a trigger or a backfill: taken also where the schedule is paused or out of actions.
    #[prost(bool, tag = "4")]
    pub(crate) manual: bool,
}

/// A range of time whose actions are still to be taken.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct Backfill {
    /// The nominal time up to which it is done.
    #[prost(int64, tag = "1")]
    pub(crate) processed: Nanos,
    /// The last time that belongs to it.
    #[prost(int64, tag = "2")]
    pub(crate) end: Nanos,
    #[prost(int32, tag = "3")]
    pub(crate) overlap_policy: i32,
}

/// An execution that the schedule has started.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct Running {
    #[prost(string, tag = "1")]
    pub(crate) workflow_id: String,
    /// The first run of its chain.
    #[prost(string, tag = "2")]
    pub(crate) first_run_id: String,
}

/// What became of the actions.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct Counts {
    #[prost(int64, tag = "1")]
    pub(crate) taken: i64,
    #[prost(int64, tag = "2")]
    pub(crate) missed_catchup_window: i64,
    #[prost(int64, tag = "3")]
    pub(crate) overlap_skipped: i64,
    #[prost(int64, tag = "4")]
    pub(crate) buffer_dropped: i64,
}
