//! The beginning of a run: by a client's request, or as the successor of a run that closed.

use temporalio_protos::temporal::api::{
    common::v1::{
        Header, Link, Memo, Payloads, Priority, RetryPolicy, SearchAttributes, WorkflowExecution,
        WorkflowType,
    },
    enums::v1::{ContinueAsNewInitiator, WorkflowExecutionStatus},
    failure::v1::Failure,
    history::v1::WorkflowExecutionStartedEventAttributes,
    sdk::v1::UserMetadata,
    update::v1::Request,
    workflow::v1::{OnConflictOptions, ResetPoints},
};

use super::{
    events::Events,
    message::Signal,
    run::{Run, RunKey},
    state::{Parent, RunState},
    versioning::{Inherited, Version},
    workflow_task::normal_queue,
};
use crate::clock::{Nanos, SECOND, duration, duration_opt, timestamp_opt};

/// Time-out of a workflow task where the start names none.
const DEFAULT_TASK_TIMEOUT: Nanos = 10 * SECOND;
/// The longest time-out of a workflow task.
const MAXIMUM_TASK_TIMEOUT: Nanos = 120 * SECOND;

/// A run id that nobody has. They sort by when they were made, as those of starts do on the real server (UUID version 7,
/// RFC 9562).
pub fn new_run_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// All that a new run begins with. Durations are nanoseconds, 0 for none.
#[derive(Clone, Debug, Default)]
pub struct NewRun {
    pub namespace_key: u32,
    pub workflow_id: String,
    pub run_id: String,
    pub workflow_type: String,
    pub task_queue: String,
    pub input: Option<Payloads>,
    pub header: Option<Header>,
    pub memo: Option<Memo>,
    pub search_attributes: Option<SearchAttributes>,
    pub execution_timeout: Nanos,
    pub run_timeout: Nanos,
    pub task_timeout: Nanos,
    pub retry_policy: Option<RetryPolicy>,
    pub identity: String,
    pub request_id: String,
    /// How long the first workflow task waits.
    pub first_task_delay: Nanos,
    /// Where the start came from.
    pub links: Vec<Link>,
    /// What is attached to the run that is found running in this one's place.
    pub on_conflict: Option<OnConflictOptions>,
    /// By which the execution goes on after each run; empty: it does not.
    pub cron_schedule: String,
    pub user_metadata: Option<UserMetadata>,
    pub priority: Option<Priority>,
    pub continued: Option<Continued>,
    pub last_completion_result: Option<Payloads>,
    pub continued_failure: Option<Failure>,
    /// A signal that is there before the first workflow task.
    pub first_signal: Option<Signal>,
    /// The first workflow task goes to whoever starts the run.
    pub eager: bool,
    /// An update, by its id, that goes along with the first workflow task.
    pub first_update: Option<(String, Request)>,
    /// The engine's key of the schedule that starts it; 0: none does.
    pub scheduled_by: i64,
    /// What it has of the run that starts it, and what its client says, of its version.
    pub inherited: Option<Box<Inherited>>,
    /// The version of the worker that starts it and wants the first workflow task.
    pub eager_version: Option<Version>,
    /// `ContinueAsNewVersioningBehavior`: how the command that continues as new wants it to begin.
    pub first_behavior: i32,
    /// The execution whose child this is.
    pub parent: Option<Box<ParentOf>>,
    /// The points that the runs before it in its chain can be reset to, by builds.
    pub reset_points: Option<ResetPoints>,
}

/// Where a child's run belongs.
#[derive(Clone, Debug)]
pub struct ParentOf {
    pub parent: Parent,
    /// The execution at the top: the parent of the parent, and so on.
    pub root: Option<WorkflowExecution>,
}

/// What a run takes over from the one before it in its chain.
#[derive(Clone, Debug)]
pub struct Continued {
    pub run_id: String,
    pub first_run_id: String,
    pub initiator: ContinueAsNewInitiator,
    /// Attempt by the workflow's retry policy, from 1.
    pub attempt: i32,
    /// When the whole chain must have ended; 0: never.
    pub execution_expiration: Nanos,
}

impl Run {
    /// Begins a run: its first event is written, its first workflow task scheduled or due later.
    pub fn begin(key: RunKey, new: NewRun, now: Nanos) -> Self {
        let continued = new.continued;
        let (first_run_id, attempt, expiration, initiator) = match &continued {
            Some(from) => (
                from.first_run_id.clone(),
                from.attempt,
                from.execution_expiration,
                from.initiator,
            ),
            None => {
                let expiration = if new.execution_timeout == 0 {
                    0
                } else {
                    now.saturating_add(new.execution_timeout)
                };
                // A first run that waits for its schedule counts as started by it.
                let initiator = if new.cron_schedule.is_empty() {
                    ContinueAsNewInitiator::Unspecified
                } else {
                    ContinueAsNewInitiator::CronSchedule
                };
                (new.run_id.clone(), 1, expiration, initiator)
            }
        };
        let run_timeout = bounded_run_timeout(new.run_timeout, new.execution_timeout);
        let task_timeout = bounded_task_timeout(new.task_timeout, run_timeout);
        let first_task_at = if new.first_task_delay > 0 {
            now.saturating_add(new.first_task_delay)
        } else {
            0
        };
        let began = now.max(first_task_at);
        let execution = WorkflowExecution {
            workflow_id: new.workflow_id.clone(),
            run_id: new.run_id.clone(),
        };
        let (parent, root) = match new.parent {
            Some(of) => (Some(of.parent), of.root),
            None => (None, None),
        };
        let root = root.unwrap_or(execution);
        let state = RunState {
            namespace_key: new.namespace_key,
            workflow_id: new.workflow_id.clone(),
            run_id: new.run_id.clone(),
            first_run_id: first_run_id.clone(),
            workflow_type: new.workflow_type.clone(),
            task_queue: new.task_queue.clone(),
            status: WorkflowExecutionStatus::Running as i32,
            next_event_id: 1,
            start_time: now,
            execution_time: began,
            execution_expiration: expiration,
            run_expiration: if run_timeout == 0 {
                0
            } else {
                began.saturating_add(run_timeout)
            },
            execution_timeout: new.execution_timeout,
            run_timeout,
            task_timeout,
            start_request_id: new.request_id,
            memo: new.memo.clone(),
            search_attributes: new.search_attributes.clone(),
            retry_policy: new.retry_policy.clone(),
            cron_schedule: new.cron_schedule.clone(),
            attempt,
            first_task_at,
            parent: parent.clone(),
            root: Some(root.clone()),
            transition_count: 1,
            scheduled_by: new.scheduled_by,
            ..Default::default()
        };
        let mut run = Run {
            stored: 0,
            ..Run::load(key, state, Events::default())
        };
        let mut started = WorkflowExecutionStartedEventAttributes {
            workflow_type: Some(WorkflowType {
                name: new.workflow_type,
            }),
            task_queue: Some(normal_queue(&new.task_queue)),
            input: new.input,
            workflow_execution_timeout: duration_opt(new.execution_timeout),
            // Said of a child in any case, as on the real server.
            workflow_run_timeout: duration_opt(run_timeout).or(parent.as_ref().map(|_| duration(0))),
            workflow_task_timeout: Some(duration(task_timeout)),
            continued_execution_run_id: continued.map(|from| from.run_id).unwrap_or_default(),
            initiator: initiator as i32,
            continued_failure: new.continued_failure,
            last_completion_result: new.last_completion_result,
            original_execution_run_id: new.run_id,
            identity: new.identity,
            first_execution_run_id: first_run_id,
            retry_policy: new.retry_policy,
            attempt,
            workflow_execution_expiration_time: timestamp_opt(expiration),
            cron_schedule: new.cron_schedule,
            first_workflow_task_backoff: Some(duration(new.first_task_delay)),
            memo: new.memo,
            search_attributes: new.search_attributes,
            header: new.header,
            workflow_id: new.workflow_id,
            // A run without a parent is at the top itself.
            root_workflow_execution: parent.as_ref().map(|_| root),
            priority: new.priority,
            eager_execution_accepted: new.eager,
            prev_auto_reset_points: new.reset_points,
            ..Default::default()
        };
        if let Some(inherited) = new.inherited {
            started.versioning_override = inherited.versioning_override;
            started.inherited_pinned_version = inherited.pinned.as_ref().map(Version::message);
            started.inherited_auto_upgrade_info = inherited.auto_upgrade;
            run.state.begin_versioning(&started);
        }
        if let Some(parent) = parent {
            started.parent_workflow_namespace = parent.namespace;
            started.parent_workflow_namespace_id = parent.namespace_id;
            started.parent_workflow_execution = parent.execution;
            started.parent_initiated_event_id = parent.initiated_event_id;
        }
        run.append_start(now, started, new.user_metadata, new.links);
        if let Some(signal) = new.first_signal {
            run.record_signal(now, signal);
        }
        if let Some((id, request)) = new.first_update {
            // A fresh run has room for it.
            let admitted = run.updates().admit(&id, request);
            debug_assert!(admitted.is_ok(), "{admitted:?}");
        }
        run.schedule_workflow_task(now);
        run
    }
}

/// A run's time-out: at most its execution's. 0 means none in both.
pub(super) fn bounded_run_timeout(run: Nanos, execution: Nanos) -> Nanos {
    match (run, execution) {
        (0, execution) => execution,
        (run, 0) => run,
        (run, execution) => run.min(execution),
    }
}

/// A workflow task's time-out: the default where it is not given, and at most the run's.
pub(super) fn bounded_task_timeout(task: Nanos, run: Nanos) -> Nanos {
    let task = match task {
        0 => DEFAULT_TASK_TIMEOUT,
        given => given.min(MAXIMUM_TASK_TIMEOUT),
    };
    if run > 0 { task.min(run) } else { task }
}
