//! The sink that starts or signals workflows on the engine that Segno itself runs on.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use segno_sinks::{Delivered, Delivery, Failure, Limits, Sink, Sinks, Template};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution, WorkflowType},
    enums::v1::{WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        SignalWithStartWorkflowExecutionRequest, SignalWorkflowExecutionRequest,
        StartWorkflowExecutionRequest,
    },
};

use crate::worker::TASK_QUEUE;

/// `[sinks.NAME.workflow]`: the payload starts a workflow, is signalled to one, or is signalled to one that is started if
/// it does not run.
#[derive(Clone, Debug)]
pub struct WorkflowSink {
    call: Call,
    /// The workflow's id.
    id: Template,
    /// Where a workflow that is started waits for a worker.
    task_queue: String,
}

/// What is asked of the engine.
#[derive(Clone, Debug)]
enum Call {
    Start { ty: String },
    Signal { signal: String },
    SignalWithStart { ty: String, signal: String },
}

impl<'de> Deserialize<'de> for WorkflowSink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename = "workflow")]
        struct Given {
            r#type: Option<String>,
            signal: Option<String>,
            id: Option<Template>,
            task_queue: Option<String>,
        }
        let given = Given::deserialize(deserializer)?;
        let empty = [&given.r#type, &given.signal, &given.task_queue];
        if empty.into_iter().flatten().any(String::is_empty) {
            return Err(de::Error::custom("a type, a signal and a task queue have names"));
        }
        let call = match (given.r#type, given.signal) {
            (Some(ty), None) => Call::Start { ty },
            (None, Some(signal)) => Call::Signal { signal },
            (Some(ty), Some(signal)) => Call::SignalWithStart { ty, signal },
            (None, None) => {
                return Err(de::Error::custom(
                    "give the `type` of the workflow to start, the `signal` to send, or both to start the workflow if it \
                    does not run",
                ));
            }
        };
        let id = match (given.id, &call) {
            (Some(id), _) => id,
            (None, Call::Start { .. }) => "{{ key }}".parse().map_err(de::Error::custom)?,
            (None, _) => return Err(de::Error::custom("which workflow is signalled? give its `id`")),
        };
        if matches!(call, Call::Signal { .. }) && given.task_queue.is_some() {
            return Err(de::Error::custom(
                "a `task_queue` is where a workflow starts, and this one starts none: it has no `type`",
            ));
        }
        Ok(Self {
            call,
            id,
            task_queue: given.task_queue.unwrap_or_else(|| TASK_QUEUE.to_owned()),
        })
    }
}

/// The engine's client, which is there once the engine is. Sinks are made before it, so that what is wrong with them is told
/// first.
#[derive(Clone, Default)]
pub(crate) struct LateClient(Arc<OnceLock<Client>>);

impl LateClient {
    /// Lets the sinks use this client.
    pub(crate) fn set(&self, client: Client) {
        // It is set once.
        let _ = self.0.set(client);
    }
}

/// Adds these sinks to the others.
pub(crate) fn add(
    sinks: Sinks,
    workflows: BTreeMap<String, (WorkflowSink, Limits)>,
    client: &LateClient,
) -> Sinks {
    workflows
        .into_iter()
        .fold(sinks, |sinks, (name, (sink, limits))| {
            let client = client.clone();
            sinks.with(name, Arc::new(Workflow { sink, client }), &limits)
        })
}

struct Workflow {
    sink: WorkflowSink,
    client: LateClient,
}

impl fmt::Debug for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sink.fmt(f)
    }
}

#[async_trait]
impl Sink for Workflow {
    /// The request's id is made of the idempotency key: the engine knows a repeated request by it. A workflow that exists
    /// already when it is to be started has been started before, by this delivery or by one to the same id.
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let client = self.client.0.get();
        let client = client.ok_or_else(|| Failure::retryable("the engine is not there yet"))?;
        let workflow_id = self.sink.id.render(delivery)?;
        if workflow_id.is_empty() {
            return Err(Failure::permanent(
                "the `id` of the workflow is empty for this payload",
            ));
        }
        let call = Prepared {
            namespace: client.namespace(),
            identity: client.identity(),
            request_id: segno_sinks::signature::digest(delivery.key),
            workflow_id,
            task_queue: TaskQueue {
                name: self.sink.task_queue.clone(),
                ..Default::default()
            },
            input: input(delivery.payload)?,
        };
        let mut service = client.connection().workflow_service();
        let done = match &self.sink.call {
            Call::Start { ty } => {
                let request = call.start(ty);
                let started = service.start_workflow_execution(request.into_request()).await;
                match started {
                    Err(status) if status.code() == Code::AlreadyExists => Ok(()),
                    other => other.map(drop),
                }
            }
            Call::Signal { signal } => {
                let request = call.signal(signal);
                service
                    .signal_workflow_execution(request.into_request())
                    .await
                    .map(drop)
            }
            Call::SignalWithStart { ty, signal } => {
                let request = call.signal_with_start(ty, signal);
                let done = service
                    .signal_with_start_workflow_execution(request.into_request())
                    .await;
                done.map(drop)
            }
        };
        done.map_err(|status| explain(&status))?;
        Ok(Delivered { status: None })
    }
}

/// What all requests have.
struct Prepared {
    namespace: String,
    identity: String,
    request_id: String,
    workflow_id: String,
    task_queue: TaskQueue,
    input: Payloads,
}

impl Prepared {
    fn start(self, ty: &str) -> StartWorkflowExecutionRequest {
        StartWorkflowExecutionRequest {
            namespace: self.namespace,
            identity: self.identity,
            request_id: self.request_id,
            workflow_id: self.workflow_id,
            workflow_type: Some(WorkflowType { name: ty.to_owned() }),
            task_queue: Some(self.task_queue),
            input: Some(self.input),
            workflow_id_reuse_policy: WorkflowIdReusePolicy::RejectDuplicate.into(),
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::Fail.into(),
            ..Default::default()
        }
    }

    fn signal(self, signal: &str) -> SignalWorkflowExecutionRequest {
        SignalWorkflowExecutionRequest {
            namespace: self.namespace,
            identity: self.identity,
            request_id: self.request_id,
            workflow_execution: Some(WorkflowExecution {
                workflow_id: self.workflow_id,
                run_id: String::new(),
            }),
            signal_name: signal.to_owned(),
            input: Some(self.input),
            ..Default::default()
        }
    }

    /// The workflow starts without input: what it is told comes as the signal.
    fn signal_with_start(self, ty: &str, signal: &str) -> SignalWithStartWorkflowExecutionRequest {
        SignalWithStartWorkflowExecutionRequest {
            namespace: self.namespace,
            identity: self.identity,
            request_id: self.request_id,
            workflow_id: self.workflow_id,
            workflow_type: Some(WorkflowType { name: ty.to_owned() }),
            task_queue: Some(self.task_queue),
            signal_name: signal.to_owned(),
            signal_input: Some(self.input),
            // One that has ended is begun anew by the next signal.
            workflow_id_reuse_policy: WorkflowIdReusePolicy::AllowDuplicate.into(),
            ..Default::default()
        }
    }
}

/// The payload as the SDKs' default converters read it.
fn input(payload: &Value) -> Result<Payloads, Failure> {
    let data = serde_json::to_vec(payload)
        .map_err(|error| Failure::permanent(format!("the payload cannot be written as JSON: {error}")))?;
    let json = ("encoding".to_owned(), b"json/plain".to_vec());
    Ok(Payloads {
        payloads: vec![Payload {
            metadata: [json].into_iter().collect(),
            data,
            ..Default::default()
        }],
    })
}

/// What a refusal means. A workflow that is not there to be signalled may yet come: events overtake each other.
fn explain(status: &Status) -> Failure {
    let reason = format!("the engine answered: {}", status.message());
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::OutOfRange
        | Code::Unimplemented => Failure::permanent(reason),
        _ => Failure::retryable(reason),
    }
}
