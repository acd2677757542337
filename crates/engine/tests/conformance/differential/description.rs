//! A run as it is described, without what may differ from engine to engine. What is left out is left out here, with why:
//! everything else that a description says must be the same on both.

use temporalio_common::protos::temporal::api::{
    workflow::v1::{PendingActivityInfo, WorkflowExecutionInfo},
    workflowservice::v1::DescribeWorkflowExecutionResponse,
};

use super::transcript::mask;

/// The lines of a description.
pub(super) fn lines(mut described: DescribeWorkflowExecutionResponse, namespace: &str) -> Vec<String> {
    let mut info = described.workflow_execution_info.take().unwrap_or_default();
    let is_open = info.close_time.is_none();
    leave_out(&mut info);
    let mut extended = described.workflow_extended_info.take().unwrap_or_default();
    // The real server names the requests that it made itself, for children and for runs that follow.
    extended.request_id_infos.clear();
    // It says of a run that may go on for ever that it ends in the year 1.
    extended.run_expiration_time.take_if(|at| at.seconds <= 0);
    let config = described.execution_config.unwrap_or_default();
    let mut lines = vec![
        format!("{info:?}"),
        // Not by the message's own names, one of which may be that of the namespace.
        format!(
            "{:?} execution {:?} run {:?} task {:?} {:?}",
            config.task_queue,
            config.workflow_execution_timeout,
            config.workflow_run_timeout,
            config.default_workflow_task_timeout,
            config.user_metadata
        ),
        format!("{extended:?}"),
    ];
    if is_open {
        // It still tells what was pending when a run closed.
        let mut activities = described.pending_activities;
        activities.sort_by(|a, b| a.activity_id.cmp(&b.activity_id));
        lines.extend(activities.into_iter().map(activity));
        let mut children = described.pending_children;
        children.sort_by_key(|child| child.initiated_id);
        lines.extend(children.iter().map(|child| format!("{child:?}")));
        lines.extend(described.pending_workflow_task.map(|task| format!("{task:?}")));
    }
    lines
        .iter()
        // A time-out of 0 and none say the same.
        .map(|line| line.replace("Some(Duration { seconds: 0, nanos: 0 })", "None"))
        .map(|line| mask(&line, namespace))
        .collect()
}

fn leave_out(info: &mut WorkflowExecutionInfo) {
    // Each engine encodes and counts in its own way.
    info.history_size_bytes = 0;
    info.state_transition_count = 0;
    info.execution_duration = None;
    // Only the real server says when a point's run is deleted.
    for point in info
        .auto_reset_points
        .iter_mut()
        .flat_map(|points| &mut points.points)
    {
        point.expire_time = None;
        // It holds a point for lost whose run has children.
        point.resettable = true;
    }
}

fn activity(mut activity: PendingActivityInfo) -> String {
    // Measured from the failure, and not taken from the policy.
    activity.current_retry_interval = None;
    // A short back-off may be over by now, or not yet.
    activity.next_attempt_schedule_time = None;
    let policy = activity
        .activity_options
        .as_mut()
        .and_then(|options| options.retry_policy.as_mut());
    if let Some(policy) = policy {
        // The real server forgets them here.
        policy.non_retryable_error_types.clear();
    }
    format!("{activity:?}")
}
