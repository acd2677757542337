//! What an execution is at, as the engine describes it beside its history.

use serde::Serialize;
use serde_json::{Map, Value};
use temporalio_common::protos::temporal::api::{
    enums::v1::{PendingActivityState, PendingWorkflowTaskState},
    workflow::v1::{
        PendingActivityInfo, PendingChildExecutionInfo, PendingWorkflowTaskInfo, WorkflowExecutionInfo,
    },
};
use utoipa::ToSchema;

use crate::run::{Failure, memo, rfc3339, search_attributes, value};

/// Where an execution stands in the engine.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = ExecutionStanding)]
pub(super) struct Standing {
    /// The task queue of its workflow tasks.
    task_queue: String,
    /// How many events its history has.
    history_length: i64,
    /// Its history in bytes; 0 where the engine does not say.
    history_bytes: i64,
    /// The execution that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Linked>,
    /// The first execution of the tree that it belongs to; left out where it is that itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<Linked>,
    /// Its search attributes.
    #[schema(value_type = Object)]
    search_attributes: Map<String, Value>,
    /// Its memo.
    #[schema(value_type = Object)]
    memo: Map<String, Value>,
    /// The workflow task that is due or under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_task: Option<WorkflowTask>,
    /// Activities that have not ended.
    activities: Vec<Activity>,
    /// Children that have not ended.
    children: Vec<Child>,
}

/// Another execution.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkedExecution)]
pub(super) struct Linked {
    workflow_id: String,
    run_id: String,
}

/// A workflow task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PendingWorkflowTask)]
pub(super) struct WorkflowTask {
    /// `Scheduled`, or `Started` by a worker.
    #[schema(example = "Scheduled")]
    state: &'static str,
    /// Which attempt it is, from 1: more than one failed where it is more.
    attempt: i32,
    /// When it was put into its queue (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled: Option<String>,
}

/// An activity that has not ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PendingActivity)]
pub(super) struct Activity {
    /// Its id in the run.
    id: String,
    /// Activity type.
    #[serde(rename = "type")]
    ty: String,
    /// `Scheduled`, `Started`, `CancelRequested`, `Paused` or `PauseRequested`.
    #[schema(example = "Scheduled")]
    state: &'static str,
    /// The attempt that runs, or comes next, from 1.
    attempt: i32,
    /// How many attempts it has at most; 0 is no limit.
    max_attempts: i32,
    /// When it was, or will be, put into its queue (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled: Option<String>,
    /// When its latest attempt began (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    /// When its worker was heard of last (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<String>,
    /// What its worker said then.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    progress: Value,
    /// When it is tried again (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
    /// When it is given up (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// Why the latest attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<Failure>,
    /// The worker that had it last.
    #[serde(skip_serializing_if = "String::is_empty")]
    worker: String,
}

/// A child that has not ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PendingChild)]
pub(super) struct Child {
    workflow_id: String,
    run_id: String,
    /// Workflow type.
    #[serde(rename = "type")]
    ty: String,
}

impl Standing {
    pub(super) fn of(
        info: &WorkflowExecutionInfo,
        task: Option<PendingWorkflowTaskInfo>,
        activities: &[PendingActivityInfo],
        children: Vec<PendingChildExecutionInfo>,
    ) -> Self {
        let own = info.execution.clone().unwrap_or_default().workflow_id;
        let linked =
            |execution: &temporalio_common::protos::temporal::api::common::v1::WorkflowExecution| Linked {
                workflow_id: execution.workflow_id.clone(),
                run_id: execution.run_id.clone(),
            };
        let other = |linked: &Linked| !linked.workflow_id.is_empty() && linked.workflow_id != own;
        Self {
            task_queue: info.task_queue.clone(),
            history_length: info.history_length,
            history_bytes: info.history_size_bytes,
            parent: info.parent_execution.as_ref().map(linked).filter(other),
            root: info.root_execution.as_ref().map(linked).filter(other),
            search_attributes: info
                .search_attributes
                .clone()
                .map(search_attributes)
                .unwrap_or_default(),
            memo: info.memo.clone().map(memo).unwrap_or_default(),
            workflow_task: task.map(|task| WorkflowTask {
                state: match task.state() {
                    PendingWorkflowTaskState::Started => "Started",
                    _ => "Scheduled",
                },
                attempt: task.attempt,
                scheduled: task.scheduled_time.and_then(rfc3339),
            }),
            activities: activities.iter().cloned().map(Activity::of).collect(),
            children: children
                .into_iter()
                .map(|child| Child {
                    workflow_id: child.workflow_id,
                    run_id: child.run_id,
                    ty: child.workflow_type_name,
                })
                .collect(),
        }
    }
}

impl Activity {
    fn of(info: PendingActivityInfo) -> Self {
        let running = info.state() == PendingActivityState::Started;
        Self {
            state: match info.state() {
                PendingActivityState::Started => "Started",
                PendingActivityState::CancelRequested => "CancelRequested",
                PendingActivityState::Paused => "Paused",
                PendingActivityState::PauseRequested => "PauseRequested",
                _ => "Scheduled",
            },
            id: info.activity_id,
            ty: info.activity_type.unwrap_or_default().name,
            attempt: info.attempt,
            max_attempts: info.maximum_attempts,
            scheduled: info.scheduled_time.and_then(rfc3339),
            started: info.last_started_time.and_then(rfc3339),
            heartbeat: info.last_heartbeat_time.and_then(rfc3339),
            progress: value(info.heartbeat_details),
            next_attempt: info
                .next_attempt_schedule_time
                .filter(|_| !running)
                .and_then(rfc3339),
            expires: info.expiration_time.and_then(rfc3339),
            last_failure: info.last_failure.map(Failure::of),
            worker: info.last_worker_identity,
        }
    }
}
