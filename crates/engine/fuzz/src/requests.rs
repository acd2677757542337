//! Requests as they come in: the first byte chooses the method, the rest is the encoded message.

use super::engine::Bed;

/// The methods of the workflow service. A method keeps its place, as the seeds name it by that: a new one comes last.
pub const METHODS: [&str; 80] = [
    "GetSystemInfo",
    "GetClusterInfo",
    "RegisterNamespace",
    "DescribeNamespace",
    "ListNamespaces",
    "UpdateNamespace",
    "DeprecateNamespace",
    "StartWorkflowExecution",
    "SignalWithStartWorkflowExecution",
    "PollWorkflowTaskQueue",
    "RespondWorkflowTaskCompleted",
    "RespondWorkflowTaskFailed",
    "RespondQueryTaskCompleted",
    "ResetStickyTaskQueue",
    "RecordWorkerHeartbeat",
    "ListWorkers",
    "CountWorkers",
    "DescribeWorker",
    "DescribeTaskQueue",
    "ListTaskQueuePartitions",
    "UpdateTaskQueueConfig",
    "ShutdownWorker",
    "PollActivityTaskQueue",
    "RespondActivityTaskCompleted",
    "RespondActivityTaskCompletedById",
    "RespondActivityTaskFailed",
    "RespondActivityTaskFailedById",
    "RespondActivityTaskCanceled",
    "RespondActivityTaskCanceledById",
    "RecordActivityTaskHeartbeat",
    "RecordActivityTaskHeartbeatById",
    "StartActivityExecution",
    "DescribeActivityExecution",
    "PollActivityExecution",
    "ListActivityExecutions",
    "CountActivityExecutions",
    "RequestCancelActivityExecution",
    "TerminateActivityExecution",
    "DeleteActivityExecution",
    "PauseActivity",
    "UnpauseActivity",
    "ResetActivity",
    "UpdateActivityOptions",
    "PauseActivityExecution",
    "UnpauseActivityExecution",
    "ResetActivityExecution",
    "UpdateActivityExecutionOptions",
    "SignalWorkflowExecution",
    "RequestCancelWorkflowExecution",
    "TerminateWorkflowExecution",
    "UpdateWorkflowExecution",
    "PollWorkflowExecutionUpdate",
    "ExecuteMultiOperation",
    "ResetWorkflowExecution",
    "DeleteWorkflowExecution",
    "StartBatchOperation",
    "StopBatchOperation",
    "DescribeBatchOperation",
    "ListBatchOperations",
    "QueryWorkflow",
    "GetWorkflowExecutionHistory",
    "GetWorkflowExecutionHistoryReverse",
    "UpdateWorkflowExecutionOptions",
    "DescribeWorkflowExecution",
    "ListWorkflowExecutions",
    "ListOpenWorkflowExecutions",
    "ListClosedWorkflowExecutions",
    "ListArchivedWorkflowExecutions",
    "ScanWorkflowExecutions",
    "GetSearchAttributes",
    "CountWorkflowExecutions",
    "CreateSchedule",
    "DescribeSchedule",
    "UpdateSchedule",
    "PatchSchedule",
    "ListScheduleMatchingTimes",
    "DeleteSchedule",
    "ListSchedules",
    "CountSchedules",
    "PollNexusTaskQueue",
];

pub fn run(data: &[u8]) {
    let Some((chosen, request)) = data.split_first() else {
        return;
    };
    let mut bed = Bed::new();
    let method = METHODS[usize::from(*chosen) % METHODS.len()];
    // What is asked twice is the same request sent again, or one that finds what the first has left.
    for _ in 0..2 {
        bed.call(method, request.to_vec());
    }
    bed.check();
}
