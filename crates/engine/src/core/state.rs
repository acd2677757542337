//! What the engine keeps of one run beside its history. This is also the form on disk: each struct
//! is a protobuf message, so that fields can be added later and old files stay readable.

use temporalio_protos::temporal::api::{
    activity::v1::ActivityExecutionOutcome,
    common::v1::{Link, Memo, Payloads, Priority, RetryPolicy, SearchAttributes, WorkflowExecution},
    failure::v1::Failure,
    history::v1::HistoryEvent,
    workflow::v1::VersioningOverride,
};

use super::{unversioned::UnversionedWorkers, versioning::Versioning};
use crate::clock::Nanos;

/// The mutable state of one run. Times are nanoseconds since the epoch, durations nanoseconds; 0 is "none".
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct RunState {
    #[prost(uint32, tag = "1")]
    pub namespace_key: u32,
    #[prost(string, tag = "2")]
    pub workflow_id: String,
    #[prost(string, tag = "3")]
    pub run_id: String,
    /// First run of the chain (continue-as-new, retry, cron).
    #[prost(string, tag = "4")]
    pub first_run_id: String,
    #[prost(string, tag = "5")]
    pub workflow_type: String,
    #[prost(string, tag = "6")]
    pub task_queue: String,
    /// `WorkflowExecutionStatus`.
    #[prost(int32, tag = "7")]
    pub status: i32,
    /// Id that the next history event gets.
    #[prost(int64, tag = "8")]
    pub next_event_id: i64,
    #[prost(int64, tag = "9")]
    pub start_time: Nanos,
    /// When the first workflow task is due: the start time and the first task's delay.
    #[prost(int64, tag = "10")]
    pub execution_time: Nanos,
    #[prost(int64, tag = "11")]
    pub close_time: Nanos,
    #[prost(int64, tag = "12")]
    pub execution_expiration: Nanos,
    #[prost(int64, tag = "13")]
    pub run_expiration: Nanos,
    #[prost(int64, tag = "14")]
    pub execution_timeout: Nanos,
    #[prost(int64, tag = "15")]
    pub run_timeout: Nanos,
    #[prost(int64, tag = "16")]
    pub task_timeout: Nanos,
    #[prost(message, optional, tag = "17")]
    pub workflow_task: Option<WorkflowTask>,
    /// Id of the `WorkflowTaskStarted` event of the last completed task; 0 before the first.
    #[prost(int64, tag = "18")]
    pub last_started_event_id: i64,
    #[prost(message, repeated, tag = "19")]
    pub activities: Vec<Activity>,
    #[prost(message, repeated, tag = "20")]
    pub timers: Vec<Timer>,
    /// Events that came while a workflow task was running; they get their ids when it ends.
    #[prost(message, repeated, tag = "21")]
    pub buffered: Vec<HistoryEvent>,
    #[prost(bool, tag = "22")]
    pub cancel_requested: bool,
    /// Request ids of signals and cancel requests already taken.
    #[prost(string, repeated, tag = "23")]
    pub request_ids: Vec<String>,
    #[prost(string, tag = "24")]
    pub start_request_id: String,
    #[prost(message, optional, tag = "25")]
    pub memo: Option<Memo>,
    #[prost(message, optional, tag = "26")]
    pub search_attributes: Option<SearchAttributes>,
    #[prost(message, optional, tag = "27")]
    pub retry_policy: Option<RetryPolicy>,
    #[prost(int32, tag = "28")]
    pub attempt: i32,
    #[prost(int64, tag = "29")]
    pub history_size: i64,
    #[prost(int64, tag = "30")]
    pub transition_count: i64,
    /// When the delayed first workflow task is to be scheduled; 0 once it is.
    #[prost(int64, tag = "31")]
    pub first_task_at: Nanos,
    #[prost(message, optional, tag = "33")]
    pub parent: Option<Parent>,
    #[prost(message, optional, tag = "34")]
    pub root: Option<WorkflowExecution>,
    /// Run that goes on after this one closed.
    #[prost(string, tag = "35")]
    pub successor_run_id: String,
    /// The run is no workflow's but one activity's.
    #[prost(message, optional, tag = "80")]
    pub standalone: Option<StandaloneActivity>,
    /// Child executions that have been initiated and have not closed.
    #[prost(message, repeated, tag = "40")]
    pub children: Vec<Child>,
    /// Ids of the events that initiated signals to other executions which are not delivered yet.
    #[prost(int64, repeated, tag = "41")]
    pub outgoing_signals: Vec<i64>,
    /// The same for cancel requests to other executions.
    #[prost(int64, repeated, tag = "42")]
    pub outgoing_cancels: Vec<i64>,
    /// By which the execution goes on after each run; empty: it does not.
    #[prost(string, tag = "43")]
    pub cron_schedule: String,
    /// Signals that the run has taken.
    #[prost(int64, tag = "44")]
    pub signal_count: i64,
    /// Request id of the reset that made this run.
    #[prost(string, tag = "70")]
    pub reset_request_id: String,
    /// When a reset made this run; 0: none did.
    #[prost(int64, tag = "71")]
    pub reset_at: Nanos,
    /// Of a run that a reset made: when the run began whose events it has. 0: `start_time`.
    #[prost(int64, tag = "72")]
    pub original_start_time: Nanos,
    /// The newest run that a reset made from this one.
    #[prost(string, tag = "73")]
    pub reset_run_id: String,
    /// Options that a client changed; none: those of the start.
    #[prost(message, optional, tag = "74")]
    pub options: Option<ChangedOptions>,
    /// The engine's key of the schedule that started the chain; 0: none did.
    #[prost(int64, tag = "60")]
    pub scheduled_by: i64,
    /// What is known of the version of its workers; none: nothing.
    #[prost(message, optional, tag = "100")]
    pub versioning: Option<Versioning>,
    /// The workers without a version that have completed its workflow tasks; none: none has.
    #[prost(message, optional, tag = "101")]
    pub unversioned: Option<UnversionedWorkers>,
    /// Request ids of starts that found this run and were attached to it.
    #[prost(string, repeated, tag = "45")]
    pub attached_request_ids: Vec<String>,
    /// The life of the engine's memory in which the run was last written: a random number, another one with each
    /// opening of the file and after each batch that failed. A worker may have a workflow task that rests on what was
    /// never written; ids that have been given again since do not make it fit.
    #[prost(fixed64, tag = "90")]
    pub life: u64,
    /// Payloads that the history only refers to, kept by SDKs elsewhere: how many, and their bytes.
    #[prost(int64, tag = "46")]
    pub external_payload_count: i64,
    #[prost(int64, tag = "47")]
    pub external_payload_size: i64,
    /// What is wrong with the run's workflow tasks, once they have failed several times in a row, as lists say it.
    #[prost(string, repeated, tag = "48")]
    pub task_problem: Vec<String>,
}

/// Options that can be changed while the run is open.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ChangedOptions {
    #[prost(message, optional, tag = "1")]
    pub priority: Option<Priority>,
    #[prost(message, optional, tag = "2")]
    pub versioning_override: Option<VersioningOverride>,
}

/// The pending workflow task. Its start is kept in memory alone until it completes, see [`StartedTask`].
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct WorkflowTask {
    /// Id of its `WorkflowTaskScheduled` event; 0: transient or speculative, the event is written only
    /// if it completes.
    #[prost(int64, tag = "1")]
    pub scheduled_event_id: i64,
    #[prost(int32, tag = "2")]
    pub attempt: i32,
    #[prost(int64, tag = "3")]
    pub scheduled_at: Nanos,
    #[prost(int64, tag = "4")]
    pub original_scheduled_at: Nanos,
    /// For a transient or speculative task: the next event id when it was scheduled. Events since make it a normal one.
    #[prost(int64, tag = "5")]
    pub scheduled_before: i64,
    /// It is there for updates alone and in memory alone: not written unless it changes something.
    #[prost(bool, tag = "50")]
    pub speculative: bool,
}

/// A workflow task in a worker's hands.
///
/// Not on disk: `WorkflowTaskStarted` is written together with how the task ended. After a crash the
/// task is simply scheduled again, and a completion that comes from before the crash still matches,
/// unless anything happened to the run meanwhile, or the task rested on what was not on disk yet.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedTask {
    /// Id of the scheduled event, also where it is only made up (transient, speculative).
    pub scheduled_event_id: i64,
    /// Id that the started event has or will have.
    pub started_event_id: i64,
    pub attempt: i32,
    pub at: Nanos,
    pub identity: String,
    pub request_id: String,
    pub history_size: i64,
    pub suggest_continue_as_new: bool,
    /// Why: `SuggestContinueAsNewReason`.
    pub suggest_reasons: Vec<i32>,
    /// The run stays with its version although new runs would go to another one.
    pub target_changed: bool,
    /// When the task times out.
    pub deadline: Nanos,
    /// What the run's [`life`](RunState::life) is on disk once all that the worker was shown is there.
    pub life: u64,
}

/// A pending activity.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Activity {
    #[prost(int64, tag = "1")]
    pub scheduled_event_id: i64,
    #[prost(string, tag = "2")]
    pub id: String,
    #[prost(string, tag = "3")]
    pub activity_type: String,
    #[prost(string, tag = "4")]
    pub task_queue: String,
    #[prost(int32, tag = "5")]
    pub attempt: i32,
    #[prost(int64, tag = "6")]
    pub scheduled_at: Nanos,
    /// When the current attempt was or will be handed to the task queue.
    #[prost(int64, tag = "7")]
    pub attempt_at: Nanos,
    /// The current attempt waits for `attempt_at`.
    #[prost(bool, tag = "8")]
    pub backing_off: bool,
    #[prost(message, optional, tag = "9")]
    pub started: Option<StartedActivity>,
    #[prost(int64, tag = "10")]
    pub schedule_to_start: Nanos,
    #[prost(int64, tag = "11")]
    pub schedule_to_close: Nanos,
    #[prost(int64, tag = "12")]
    pub start_to_close: Nanos,
    #[prost(int64, tag = "13")]
    pub heartbeat: Nanos,
    #[prost(message, optional, tag = "14")]
    pub retry_policy: Option<RetryPolicy>,
    #[prost(int64, tag = "15")]
    pub last_heartbeat_at: Nanos,
    #[prost(message, optional, tag = "16")]
    pub heartbeat_details: Option<Payloads>,
    #[prost(message, optional, tag = "17")]
    pub last_failure: Option<Failure>,
    #[prost(string, tag = "18")]
    pub last_identity: String,
    /// Id of the `ActivityTaskCancelRequested` event; 0: not requested.
    #[prost(int64, tag = "19")]
    pub cancel_requested_event_id: i64,
    #[prost(int64, tag = "20")]
    pub last_attempt_ended_at: Nanos,
    #[prost(int64, tag = "21")]
    pub last_started_at: Nanos,
    /// Somebody has paused it: no attempt begins until somebody unpauses it.
    #[prost(message, optional, tag = "30")]
    pub pause: Option<ActivityPause>,
    /// It was reset while an attempt runs; the attempt's worker is told with its heartbeats.
    #[prost(bool, tag = "31")]
    pub was_reset: bool,
    /// The attempt after the running one begins without heartbeat details.
    #[prost(bool, tag = "32")]
    pub forget_heartbeat: bool,
    /// As its options say; what they leave open is the run's.
    #[prost(message, optional, tag = "33")]
    pub priority: Option<Priority>,
}

/// Who has paused an activity, and why.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ActivityPause {
    #[prost(int64, tag = "1")]
    pub at: Nanos,
    #[prost(string, tag = "2")]
    pub identity: String,
    #[prost(string, tag = "3")]
    pub reason: String,
    #[prost(string, tag = "4")]
    pub request_id: String,
}

/// What the engine keeps of a standalone activity beside the activity itself.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StandaloneActivity {
    /// How long after its start the first attempt was due.
    #[prost(int64, tag = "1")]
    pub start_delay: Nanos,
    #[prost(message, repeated, tag = "2")]
    pub links: Vec<Link>,
    #[prost(string, tag = "3")]
    pub cancel_request_id: String,
    #[prost(string, tag = "4")]
    pub cancel_identity: String,
    #[prost(string, tag = "5")]
    pub cancel_reason: String,
    #[prost(string, tag = "6")]
    pub terminate_request_id: String,
    /// Heartbeats of all attempts.
    #[prost(int64, tag = "7")]
    pub heartbeat_count: i64,
    /// The activity as it was when it closed.
    #[prost(message, optional, tag = "8")]
    pub closed: Option<Activity>,
    #[prost(message, optional, tag = "9")]
    pub outcome: Option<ActivityExecutionOutcome>,
    /// The request that last ended a pause; it may come again.
    #[prost(string, tag = "10")]
    pub unpause_request_id: String,
    /// The request that last paused the activity, also after the pause.
    #[prost(string, tag = "11")]
    pub pause_request_id: String,
}

/// An activity attempt in a worker's hands.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StartedActivity {
    #[prost(int64, tag = "1")]
    pub at: Nanos,
    #[prost(string, tag = "2")]
    pub identity: String,
    #[prost(string, tag = "3")]
    pub request_id: String,
    /// The worker is in the engine's process: when the process ends, the attempt has ended too.
    #[prost(bool, tag = "4")]
    pub in_process: bool,
}

/// An open timer.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Timer {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(int64, tag = "2")]
    pub started_event_id: i64,
    #[prost(int64, tag = "3")]
    pub fire_at: Nanos,
}

/// The execution that started this one as its child.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Parent {
    #[prost(uint32, tag = "1")]
    pub namespace_key: u32,
    #[prost(message, optional, tag = "2")]
    pub execution: Option<WorkflowExecution>,
    #[prost(int64, tag = "3")]
    pub initiated_event_id: i64,
    /// The engine's number of the parent's run.
    #[prost(int64, tag = "40")]
    pub run_key: i64,
    /// Name and id of the namespace, as the parent's events have them.
    #[prost(string, tag = "41")]
    pub namespace: String,
    #[prost(string, tag = "42")]
    pub namespace_id: String,
}

/// A child execution: initiated, and perhaps started.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Child {
    #[prost(int64, tag = "1")]
    pub initiated_event_id: i64,
    #[prost(string, tag = "2")]
    pub workflow_id: String,
    /// First run of the child's chain; empty until it has started.
    #[prost(string, tag = "3")]
    pub run_id: String,
    /// Id of the `ChildWorkflowExecutionStarted` event; 0 until it is in the history.
    #[prost(int64, tag = "4")]
    pub started_event_id: i64,
    /// `ParentClosePolicy`.
    #[prost(int32, tag = "5")]
    pub parent_close_policy: i32,
}
