//! Long polls for tasks, and how a worker says that it stops.

use temporalio_protos::temporal::api::{
    deployment::v1::WorkerDeploymentOptions,
    enums::v1::TaskQueueKind,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        PollActivityTaskQueueRequest, PollActivityTaskQueueResponse, PollNexusTaskQueueRequest,
        PollNexusTaskQueueResponse, PollWorkflowTaskQueueRequest, ShutdownWorkerRequest,
        ShutdownWorkerResponse,
    },
};
use tokio::sync::oneshot;

use super::{LONGEST_POLL, Service, poll_time, start::refuse_unknown};
use crate::{
    core::Version,
    host::{
        Handle,
        delivery::WorkflowTaskAnswer,
        matching::{Delivery, Poller, QueueId, QueueKind},
    },
    rpc::{Call, RpcError},
};

/// A poll under way. If it is dropped with a task in it (the caller has gone, or its time is over),
/// the task goes back.
struct Waiting {
    receiver: oneshot::Receiver<Delivery>,
    host: Handle,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(delivery) = self.receiver.try_recv() {
            // Fails only when the engine has stopped: then the task waits for its next start.
            let _ = self.host.tell(move |host| host.take_back(delivery));
        }
    }
}

/// Who polls for what.
struct Poll {
    namespace: String,
    kind: QueueKind,
    name: String,
    identity: String,
    worker_instance_key: String,
    rate: Option<f64>,
    deployment: Option<WorkerDeploymentOptions>,
    /// It is for a queue of the worker's own.
    is_sticky: bool,
}

/// What a worker asks for that wants tasks of its build alone, by the older ways of saying so.
const BUILD_IDS: &str = "worker versioning by build ids";

#[allow(deprecated, reason = "refused by name")]
impl Service {
    pub(super) async fn poll_workflow_task(
        &self,
        request: PollWorkflowTaskQueueRequest,
        call: Call,
    ) -> Result<WorkflowTaskAnswer, RpcError> {
        let capabilities = request.worker_version_capabilities;
        refuse_unknown(&[(BUILD_IDS, capabilities.is_some_and(|given| given.use_versioning))])?;
        let kind = request
            .task_queue
            .as_ref()
            .map_or(TaskQueueKind::Normal, TaskQueue::kind);
        let poll = Poll {
            is_sticky: kind == TaskQueueKind::Sticky,
            namespace: request.namespace,
            kind: QueueKind::Workflow,
            name: self.limits.task_queue(request.task_queue)?,
            identity: request.identity,
            worker_instance_key: request.worker_instance_key,
            rate: None,
            deployment: request.deployment_options,
        };
        match self.poll(poll, &call).await? {
            Some(Delivery::Workflow { task, .. }) => Ok(*task),
            // Empty to the last field: SDKs take anything else for a task.
            _ => Ok(WorkflowTaskAnswer::default()),
        }
    }

    pub(super) async fn poll_activity_task(
        &self,
        request: PollActivityTaskQueueRequest,
        call: Call,
    ) -> Result<PollActivityTaskQueueResponse, RpcError> {
        let capabilities = request.worker_version_capabilities;
        refuse_unknown(&[(BUILD_IDS, capabilities.is_some_and(|given| given.use_versioning))])?;
        let poll = Poll {
            is_sticky: false,
            namespace: request.namespace,
            kind: QueueKind::Activity,
            name: self.limits.task_queue(request.task_queue)?,
            identity: request.identity,
            worker_instance_key: request.worker_instance_key,
            rate: request
                .task_queue_metadata
                .and_then(|metadata| metadata.max_tasks_per_second),
            deployment: request.deployment_options,
        };
        match self.poll(poll, &call).await? {
            Some(Delivery::Activity { task, .. }) => Ok(*task),
            _ => Ok(PollActivityTaskQueueResponse::default()),
        }
    }

    /// Never gets a task: a worker that has Nexus handlers besides workflows and activities works on with these.
    pub(super) async fn poll_nexus_task(
        &self,
        request: PollNexusTaskQueueRequest,
        call: Call,
    ) -> Result<PollNexusTaskQueueResponse, RpcError> {
        let poll = Poll {
            is_sticky: false,
            namespace: request.namespace,
            kind: QueueKind::Nexus,
            name: self.limits.task_queue(request.task_queue)?,
            identity: request.identity,
            worker_instance_key: request.worker_instance_key,
            rate: None,
            deployment: request.deployment_options,
        };
        self.poll(poll, &call).await?;
        Ok(PollNexusTaskQueueResponse::default())
    }

    async fn poll(&self, poll: Poll, call: &Call) -> Result<Option<Delivery>, RpcError> {
        let (reply, receiver) = oneshot::channel();
        let in_process = call.in_process;
        self.host.submit(move |host| {
            let namespace = match host.namespaces.key_of(&poll.namespace) {
                Ok(key) => key,
                Err(error) => return drop(reply.send(Delivery::Refused(error))),
            };
            let version = if poll.is_sticky {
                None
            } else {
                Version::of_worker(poll.deployment.as_ref())
            };
            let id = QueueId::new(namespace, poll.kind, poll.name).of_version(version);
            let poller = Poller {
                identity: poll.identity,
                worker_instance_key: poll.worker_instance_key,
                in_process,
                rate: poll.rate,
                deployment: poll.deployment,
                since: 0,
                reply,
            };
            if let Err(error) = host.poll(&id, poller) {
                tracing::error!(%error, "a poll failed");
            }
        })?;
        let mut waiting = Waiting {
            receiver,
            host: self.host.clone(),
        };
        match tokio::time::timeout(poll_time(call, LONGEST_POLL), &mut waiting.receiver).await {
            Ok(Ok(Delivery::Refused(error))) => Err(error),
            Ok(Ok(delivery)) => Ok(Some(delivery)),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    pub(super) async fn shut_down_worker(
        &self,
        request: ShutdownWorkerRequest,
    ) -> Result<ShutdownWorkerResponse, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                // As with any heartbeat, one that is only shutting down is listed on: it may still have tasks.
                if let Some(heartbeat) = request.worker_heartbeat {
                    let now = host.now();
                    host.workers.record(namespace, heartbeat, now);
                }
                host.shut_down_worker(
                    namespace,
                    &request.sticky_task_queue,
                    &request.worker_instance_key,
                )
            })
            .await?;
        Ok(ShutdownWorkerResponse {})
    }
}
