//! `DescribeWorkflowExecution`.

use std::collections::HashMap;

use temporalio_protos::temporal::api::{
    common::v1::{ActivityType, WorkflowType},
    enums::v1::{EventType, PendingActivityState, PendingWorkflowTaskState},
    history::v1::{HistoryEvent, history_event::Attributes},
    workflow::v1::{
        PendingActivityInfo, PendingChildExecutionInfo, PendingWorkflowTaskInfo, RequestIdInfo,
        WorkflowExecutionConfig, WorkflowExecutionExtendedInfo, WorkflowExecutionInfo,
    },
    workflowservice::v1::{DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse},
};

use temporalio_protos::temporal::api::workflow::v1::pending_activity_info::{
    PauseInfo,
    pause_info::{Manual, PausedBy},
};

use super::Service;
use crate::{
    clock::{duration, duration_opt, timestamp, timestamp_opt},
    core::{Activity, Child, Run, normal_queue, options_of},
    host::delivery::execution,
    rpc::RpcError,
};

impl Service {
    pub(super) async fn describe_workflow(
        &self,
        request: DescribeWorkflowExecutionRequest,
    ) -> Result<DescribeWorkflowExecutionResponse, RpcError> {
        let wanted = request.execution.unwrap_or_default();
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find(namespace, &wanted)?;
                describe(host.run(key)?)
            })
            .await
    }
}

fn describe(run: &Run) -> Result<DescribeWorkflowExecutionResponse, RpcError> {
    let state = &run.state;
    let user_metadata = run.history.first().and_then(|event| event.user_metadata);
    Ok(DescribeWorkflowExecutionResponse {
        execution_config: Some(WorkflowExecutionConfig {
            task_queue: Some(normal_queue(&state.task_queue)),
            workflow_execution_timeout: duration_opt(state.execution_timeout),
            workflow_run_timeout: duration_opt(state.run_timeout),
            default_workflow_task_timeout: Some(duration(state.task_timeout)),
            user_metadata,
        }),
        workflow_execution_info: Some(info(run)),
        pending_activities: state.activities.iter().map(pending_activity).collect(),
        pending_children: state
            .children
            .iter()
            .map(|child| pending_child(run, child))
            .collect(),
        pending_workflow_task: pending_task(run),
        workflow_extended_info: Some(WorkflowExecutionExtendedInfo {
            execution_expiration_time: timestamp_opt(state.execution_expiration),
            run_expiration_time: timestamp_opt(state.run_expiration),
            cancel_requested: state.cancel_requested,
            original_start_time: timestamp_opt(match state.original_start_time {
                0 => state.start_time,
                before_reset => before_reset,
            }),
            last_reset_time: timestamp_opt(state.reset_at),
            reset_run_id: state.reset_run_id.clone(),
            request_id_infos: request_ids(run),
            ..Default::default()
        }),
        ..Default::default()
    })
}

#[allow(
    deprecated,
    reason = "workers without a version are told by the deprecated field"
)]
fn info(run: &Run) -> WorkflowExecutionInfo {
    let state = &run.state;
    let options = run.options();
    let execution_duration =
        (state.close_time != 0).then(|| duration((state.close_time - state.execution_time).max(0)));
    WorkflowExecutionInfo {
        execution: Some(execution(run)),
        r#type: Some(WorkflowType {
            name: state.workflow_type.clone(),
        }),
        start_time: Some(timestamp(state.start_time)),
        close_time: timestamp_opt(state.close_time),
        status: state.status,
        history_length: history_length(run),
        execution_time: Some(timestamp(state.execution_time)),
        memo: Some(state.memo.clone().unwrap_or_default()),
        search_attributes: Some(state.all_search_attributes().unwrap_or_default()),
        task_queue: state.task_queue.clone(),
        state_transition_count: state.transition_count,
        history_size_bytes: state.history_size,
        execution_duration,
        parent_namespace_id: state
            .parent
            .as_ref()
            .map(|parent| parent.namespace_id.clone())
            .unwrap_or_default(),
        parent_execution: state.parent.as_ref().and_then(|parent| parent.execution.clone()),
        root_execution: state.root.clone(),
        first_run_id: state.first_run_id.clone(),
        auto_reset_points: Some(run.reset_points()),
        most_recent_worker_version_stamp: run.last_stamp(),
        versioning_info: state.versioning_info(),
        priority: options.priority,
        external_payload_count: state.external_payload_count,
        external_payload_size_bytes: state.external_payload_size,
        worker_deployment_name: state
            .versioning
            .as_ref()
            .map(|known| known.deployment.clone())
            .unwrap_or_default(),
        ..Default::default()
    }
}

/// Events of the history as readers see it: the start of a task counts as soon as it is certain.
fn history_length(run: &Run) -> i64 {
    let written = run.state.next_event_id - 1;
    let is_certain = run
        .state
        .workflow_task
        .as_ref()
        .is_some_and(|task| task.scheduled_event_id != 0);
    match &run.started_task {
        Some(started) if is_certain => written.max(started.started_event_id),
        _ => written,
    }
}

/// What a pending activity is at.
pub(super) fn activity_state(activity: &Activity) -> PendingActivityState {
    let is_paused = activity.pause.is_some();
    match &activity.started {
        _ if activity.cancel_requested_event_id != 0 => PendingActivityState::CancelRequested,
        Some(_) if is_paused => PendingActivityState::PauseRequested,
        Some(_) => PendingActivityState::Started,
        None if is_paused => PendingActivityState::Paused,
        None => PendingActivityState::Scheduled,
    }
}

fn pending_activity(activity: &Activity) -> PendingActivityInfo {
    let state = activity_state(activity);
    let policy = activity.retry_policy.clone().unwrap_or_default();
    let is_backing_off = activity.backing_off && activity.pause.is_none();
    let next = is_backing_off.then_some(activity.attempt_at);
    let is_started = activity.started.is_some();
    let pause_info = activity.pause.as_ref().map(|pause| PauseInfo {
        pause_time: Some(timestamp(pause.at)),
        paused_by: Some(PausedBy::Manual(Manual {
            identity: pause.identity.clone(),
            reason: pause.reason.clone(),
        })),
    });
    PendingActivityInfo {
        activity_id: activity.id.clone(),
        activity_type: Some(ActivityType {
            name: activity.activity_type.clone(),
        }),
        state: state as i32,
        heartbeat_details: activity.heartbeat_details.clone(),
        last_heartbeat_time: timestamp_opt(activity.last_heartbeat_at),
        last_started_time: timestamp_opt(if is_started { activity.last_started_at } else { 0 }),
        attempt: activity.attempt,
        maximum_attempts: policy.maximum_attempts,
        scheduled_time: Some(timestamp(activity.attempt_at)),
        expiration_time: timestamp_opt(activity.expiration()),
        last_failure: activity.last_failure.clone(),
        last_worker_identity: activity.last_identity.clone(),
        current_retry_interval: next.map(|at| duration((at - activity.last_attempt_ended_at).max(0))),
        last_attempt_complete_time: timestamp_opt(activity.last_attempt_ended_at),
        next_attempt_schedule_time: next.map(timestamp),
        paused: activity.pause.is_some(),
        pause_info,
        priority: activity.priority.clone(),
        activity_options: Some(options_of(activity)),
        ..Default::default()
    }
}

/// The request ids of starts that this run stands for, each with the event that came of it.
fn request_ids(run: &Run) -> HashMap<String, RequestIdInfo> {
    let mut infos = HashMap::new();
    if !run.state.start_request_id.is_empty() {
        infos.insert(
            run.state.start_request_id.clone(),
            RequestIdInfo {
                event_type: EventType::WorkflowExecutionStarted as i32,
                event_id: 1,
                buffered: false,
            },
        );
    }
    for request_id in &run.state.attached_request_ids {
        let is_it = |event: &HistoryEvent| {
            matches!(&event.attributes, Some(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(a))
                if a.attached_request_id == *request_id)
        };
        let event = run.history.iter().find(is_it);
        infos.insert(
            request_id.clone(),
            RequestIdInfo {
                event_type: EventType::WorkflowExecutionOptionsUpdated as i32,
                event_id: event.as_ref().map_or(0, |event| event.event_id),
                buffered: event.is_none(),
            },
        );
    }
    infos
}

fn pending_child(run: &Run, child: &Child) -> PendingChildExecutionInfo {
    let workflow_type = run
        .child_initiated(child.initiated_event_id)
        .and_then(|initiated| initiated.workflow_type.clone());
    PendingChildExecutionInfo {
        workflow_id: child.workflow_id.clone(),
        run_id: child.run_id.clone(),
        workflow_type_name: workflow_type.unwrap_or_default().name,
        initiated_id: child.initiated_event_id,
        parent_close_policy: child.parent_close_policy,
    }
}

fn pending_task(run: &Run) -> Option<PendingWorkflowTaskInfo> {
    let task = run.state.workflow_task.as_ref()?;
    let (state, started_time) = match &run.started_task {
        Some(started) => (PendingWorkflowTaskState::Started, Some(timestamp(started.at))),
        None => (PendingWorkflowTaskState::Scheduled, None),
    };
    Some(PendingWorkflowTaskInfo {
        state: state as i32,
        scheduled_time: Some(timestamp(task.scheduled_at)),
        original_scheduled_time: Some(timestamp(task.original_scheduled_at)),
        started_time,
        attempt: task.attempt,
    })
}
