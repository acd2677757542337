//! What a worker with Nexus handlers and a workflow that calls Nexus meet where no endpoint has been made. The engine has
//! none at all; the real server has none until somebody makes one.

use std::time::Duration;

use temporalio_client::tonic::{Request, Response};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, ScheduleNexusOperationCommandAttributes, command::Attributes},
    enums::v1::{CommandType, TaskQueueType, WorkflowTaskFailedCause},
    operatorservice::v1::ListNexusEndpointsRequest,
    workflowservice::v1::*,
};

use crate::bed::{Bed, attributes, both_engines, queue, rpc};

both_engines! {
    async fn a_poll_for_nexus_tasks_waits_and_is_seen(bed: &Bed) {
        let mut request = Request::new(PollNexusTaskQueueRequest {
            namespace: bed.namespace.clone(),
            task_queue: Some(queue(&bed.queue)),
            identity: "handler".to_owned(),
            ..Default::default()
        });
        request.set_timeout(Duration::from_secs(4));
        let waits = async { rpc!(bed, poll_nexus_task_queue, request).expect("no error") };
        let is_seen = bed.eventually("the queue of this type shows who polls it", || async {
            let described = rpc!(bed, describe_task_queue, DescribeTaskQueueRequest {
                namespace: bed.namespace.clone(),
                task_queue: Some(queue(&bed.queue)),
                task_queue_type: TaskQueueType::Nexus as i32,
                ..Default::default()
            });
            let pollers = described.expect("a description").pollers;
            pollers.iter().any(|poller| poller.identity == "handler").then_some(())
        });
        let (task, ()) = tokio::join!(waits, is_seen);
        assert_eq!(task, PollNexusTaskQueueResponse::default());
    }

    async fn no_workflow_task_calls_an_endpoint_that_is_not_there(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let call = Command {
            command_type: CommandType::ScheduleNexusOperation as i32,
            attributes: Some(Attributes::ScheduleNexusOperationCommandAttributes(
                ScheduleNexusOperationCommandAttributes {
                    endpoint: "nowhere".to_owned(),
                    service: "service".to_owned(),
                    operation: "operation".to_owned(),
                    ..Default::default()
                },
            )),
            ..Default::default()
        };
        let refused = bed.try_complete(&task, vec![call]).await.expect_err("a refusal");
        let begins = "BadScheduleNexusOperationAttributes: endpoint \"nowhere\" not found";
        assert!(refused.message().starts_with(begins), "{refused:?}");
        let failed = attributes!(bed.history("w").await, WorkflowTaskFailedEventAttributes);
        assert_eq!(failed.cause(), WorkflowTaskFailedCause::BadScheduleNexusOperationAttributes);
    }

    async fn there_are_no_endpoints(bed: &Bed) {
        let mut operator = bed.client.connection().operator_service();
        let listed = operator.list_nexus_endpoints(Request::new(ListNexusEndpointsRequest::default())).await;
        assert_eq!(listed.map(Response::into_inner).expect("a list").endpoints, []);
    }
}
