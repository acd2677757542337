//! Retention per route: what is done of a route is deleted sooner than the engine would do it by itself.
//!
//! An engine's retention is that of a whole namespace. So a schedule starts a workflow again and again, whose activity looks
//! for what has been done for longer than its route keeps it, and has the engine delete that. What is open and what is a
//! dead letter it leaves alone.

mod sweep;

use std::time::Duration;

use segno_routing::Routes;
use temporalio_client::{
    Client, NamespacedClient,
    schedules::{CreateScheduleOptions, DeleteScheduleOptions, ScheduleAction, ScheduleError, ScheduleSpec},
    tonic::{Code, IntoRequest},
};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;

pub(crate) use sweep::{RetentionActivities, RetentionWorkflow};

use crate::worker::TASK_QUEUE;

/// Type of the workflow.
const TYPE: &str = "SegnoRetention";
/// Id of the schedule and, with a time after it, of its executions.
const ID: &str = "@retention";
/// The longest time between two sweeps.
const RARELY: Duration = Duration::from_secs(60 * 60);
/// The shortest.
const OFTEN: Duration = Duration::from_secs(1);

/// Has the engine start the sweep again and again, if a route has a time of its own; else no more.
pub(crate) async fn schedule(client: &Client, routes: &Routes) -> Result<(), ScheduleError> {
    let shortest = routes.iter().filter_map(|route| route.timing.retention).min();
    let handle = client.get_schedule_handle(ID);
    let Some(shortest) = shortest else {
        return match handle.delete(DeleteScheduleOptions::default()).await {
            Err(ScheduleError::Rpc(status)) if status.code() == Code::NotFound => Ok(()),
            other => other,
        };
    };
    let spec = move || ScheduleSpec::from_interval(interval(shortest));
    let action = ScheduleAction::StartWorkflow {
        workflow_type: TYPE.to_owned(),
        task_queue: TASK_QUEUE.to_owned(),
        workflow_id: ID.to_owned(),
        input: None,
    };
    let options = CreateScheduleOptions::builder()
        .action(action)
        .spec(spec())
        .build();
    match client.create_schedule(ID, options).await {
        Ok(_) => return Ok(()),
        Err(ScheduleError::Rpc(status)) if status.code() == Code::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let change = move |update: &mut temporalio_client::schedules::ScheduleUpdate| {
        update.set_spec(spec());
    };
    handle.update(change, Default::default()).await
}

/// How often the sweep comes by.
fn interval(shortest: Duration) -> Duration {
    (shortest / 12).clamp(OFTEN, RARELY)
}

/// Says in the log of which routes the time is longer than that of the namespace, which holds for them all the same.
pub(crate) async fn warn_of_longer(client: &Client, routes: &Routes) {
    let longest = routes.iter().filter_map(|route| route.timing.retention).max();
    let Some(longest) = longest else { return };
    let request = DescribeNamespaceRequest {
        namespace: client.namespace(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let Ok(reply) = service.describe_namespace(request.into_request()).await else {
        return;
    };
    let config = reply.into_inner().config.unwrap_or_default();
    let namespace = config
        .workflow_execution_retention_ttl
        .and_then(|retention| Duration::try_from(retention).ok())
        .filter(|retention| !retention.is_zero() && *retention < longest);
    let Some(namespace) = namespace else { return };
    for route in routes.iter() {
        if let Some(retention) = route.timing.retention.filter(|retention| *retention > namespace) {
            tracing::warn!(
                route = route.name,
                retention = %humantime::format_duration(retention),
                namespace = %humantime::format_duration(namespace),
                "the retention of a route is longer than that of the engine's namespace, which deletes what is done sooner"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_by_often_enough_for_the_shortest_time() {
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(interval(Duration::from_secs(1)), OFTEN);
        assert_eq!(interval(day / 12), Duration::from_secs(10 * 60));
        assert_eq!(interval(day * 7), RARELY);
    }
}
