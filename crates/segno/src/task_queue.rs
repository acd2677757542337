//! What an engine tells of a task queue.

use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::TaskQueueType,
    taskqueue::v1::{PollerInfo, TaskQueue, TaskQueueStats},
    workflowservice::v1::DescribeTaskQueueRequest,
};

/// How many tasks of one kind wait in a queue, and who asks for them.
pub(crate) async fn describe(
    client: &Client,
    name: &str,
    kind: TaskQueueType,
) -> Result<(TaskQueueStats, Vec<PollerInfo>), Status> {
    let request = DescribeTaskQueueRequest {
        namespace: client.namespace(),
        task_queue: Some(TaskQueue {
            name: name.to_owned(),
            ..Default::default()
        }),
        task_queue_type: kind.into(),
        report_stats: true,
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = service
        .describe_task_queue(request.into_request())
        .await?
        .into_inner();
    Ok((reply.stats.unwrap_or_default(), reply.pollers))
}
