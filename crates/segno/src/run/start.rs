//! Starting a run by hand, with the parts that the SDK's client does not let one choose.

use std::{collections::HashMap, time::Duration};

use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::{
    protos::temporal::api::{
        common::v1::{Memo, Payload, Payloads, WorkflowType},
        enums::v1::{WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
        taskqueue::v1::TaskQueue,
        workflowservice::v1::StartWorkflowExecutionRequest,
    },
    search_attributes::SearchAttributes,
};

use crate::{encryption::seal, worker::TASK_QUEUE};

/// A run to be started.
pub(crate) struct Start {
    pub(crate) workflow_id: String,
    /// Workflow type.
    pub(crate) ty: String,
    pub(crate) input: Payload,
    /// The same request made again finds the run that it started.
    pub(crate) request_id: String,
    /// What closed executions of the id allow.
    pub(crate) reuse: WorkflowIdReusePolicy,
    pub(crate) attributes: Option<SearchAttributes>,
    pub(crate) memo: HashMap<String, Payload>,
    /// How long it waits before its first step.
    pub(crate) delay: Option<Duration>,
}

impl Start {
    /// Starts it. Returns the run's id, or none if an execution of the id stands in its way.
    pub(crate) async fn send(self, client: &Client) -> Result<Option<String>, Status> {
        let duration = |duration: Duration| {
            let too_long = |_| Status::invalid_argument("a duration is too long");
            prost_types::Duration::try_from(duration).map_err(too_long)
        };
        let request = StartWorkflowExecutionRequest {
            namespace: client.namespace(),
            workflow_id: self.workflow_id,
            workflow_type: Some(WorkflowType { name: self.ty }),
            task_queue: Some(TaskQueue {
                name: TASK_QUEUE.to_owned(),
                ..Default::default()
            }),
            input: Some(Payloads {
                payloads: vec![self.input],
            }),
            identity: client.identity(),
            request_id: self.request_id,
            workflow_id_reuse_policy: self.reuse.into(),
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::Fail.into(),
            memo: (!self.memo.is_empty()).then_some(Memo { fields: self.memo }),
            search_attributes: self.attributes.map(SearchAttributes::into_proto),
            workflow_start_delay: self.delay.map(duration).transpose()?,
            ..Default::default()
        };
        let request = seal(client, request).await?;
        let mut service = client.connection().workflow_service();
        match service.start_workflow_execution(request.into_request()).await {
            Ok(reply) => Ok(Some(reply.into_inner().run_id)),
            Err(status) if status.code() == Code::AlreadyExists => Ok(None),
            Err(status) => Err(status),
        }
    }
}
