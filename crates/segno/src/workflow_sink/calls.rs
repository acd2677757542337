use segno_sinks::{Delivery, Failure, signature};
use serde_json::Value;
use temporalio_client::{Client, NamespacedClient};
use temporalio_common::protos::temporal::api::{
    common::v1::{Header, Payload, Payloads, WorkflowExecution, WorkflowType},
    enums::v1::{WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
    history::v1::{HistoryEvent, history_event::Attributes},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        GetWorkflowExecutionHistoryReverseRequest, SignalWithStartWorkflowExecutionRequest,
        SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest,
    },
};

/// Field of a signal's header with its request's id, by which it is found in a history.
const HEADER: &str = "segno-request-id";

/// What all requests have.
pub(super) struct Prepared {
    namespace: String,
    identity: String,
    request_id: String,
    workflow_id: String,
    task_queue: TaskQueue,
    input: Payloads,
}

impl Prepared {
    pub(super) fn new(
        client: &Client,
        workflow_id: String,
        task_queue: &str,
        delivery: Delivery<'_>,
    ) -> Result<Self, Failure> {
        let input = json(delivery.payload)
            .map_err(|error| Failure::permanent(format!("the payload cannot be written as JSON: {error}")))?;
        Ok(Self {
            namespace: client.namespace(),
            identity: client.identity(),
            request_id: signature::digest(delivery.key),
            workflow_id,
            task_queue: TaskQueue {
                name: task_queue.to_owned(),
                ..Default::default()
            },
            input: Payloads {
                payloads: vec![input],
            },
        })
    }

    pub(super) fn start(&self, ty: &str) -> StartWorkflowExecutionRequest {
        StartWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            identity: self.identity.clone(),
            request_id: self.request_id.clone(),
            workflow_id: self.workflow_id.clone(),
            workflow_type: Some(WorkflowType { name: ty.to_owned() }),
            task_queue: Some(self.task_queue.clone()),
            input: Some(self.input.clone()),
            workflow_id_reuse_policy: WorkflowIdReusePolicy::RejectDuplicate.into(),
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::Fail.into(),
            ..Default::default()
        }
    }

    pub(super) fn signal(&self, signal: &str) -> SignalWorkflowExecutionRequest {
        SignalWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            identity: self.identity.clone(),
            request_id: self.request_id.clone(),
            workflow_execution: Some(self.latest()),
            signal_name: signal.to_owned(),
            input: Some(self.input.clone()),
            header: Some(self.header()),
            ..Default::default()
        }
    }

    /// The workflow starts without input: what it is told comes as the signal.
    pub(super) fn signal_with_start(
        &self,
        ty: &str,
        signal: &str,
    ) -> SignalWithStartWorkflowExecutionRequest {
        SignalWithStartWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            identity: self.identity.clone(),
            request_id: self.request_id.clone(),
            workflow_id: self.workflow_id.clone(),
            workflow_type: Some(WorkflowType { name: ty.to_owned() }),
            task_queue: Some(self.task_queue.clone()),
            signal_name: signal.to_owned(),
            signal_input: Some(self.input.clone()),
            header: Some(self.header()),
            // One that has ended is begun anew by the next signal.
            workflow_id_reuse_policy: WorkflowIdReusePolicy::AllowDuplicate.into(),
            ..Default::default()
        }
    }

    fn header(&self) -> Header {
        let id = of_json(format!("\"{}\"", self.request_id).into_bytes());
        Header {
            fields: [(HEADER.to_owned(), id)].into_iter().collect(),
        }
    }

    /// The history of the latest run, its end first.
    pub(super) fn history(&self, page: Vec<u8>) -> GetWorkflowExecutionHistoryReverseRequest {
        GetWorkflowExecutionHistoryReverseRequest {
            namespace: self.namespace.clone(),
            execution: Some(self.latest()),
            next_page_token: page,
            ..Default::default()
        }
    }

    /// Whether this history event is the signal that this request asks for.
    pub(super) fn made(&self, event: &HistoryEvent) -> bool {
        let Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) = &event.attributes else {
            return false;
        };
        let fields = signal.header.as_ref().map(|header| &header.fields);
        let id = fields.and_then(|fields| serde_json::from_slice::<String>(&fields.get(HEADER)?.data).ok());
        id.is_some_and(|id| id == self.request_id)
    }

    fn latest(&self) -> WorkflowExecution {
        WorkflowExecution {
            workflow_id: self.workflow_id.clone(),
            run_id: String::new(),
        }
    }
}

/// A value as the SDKs' default converters read it.
fn json(value: &Value) -> serde_json::Result<Payload> {
    serde_json::to_vec(value).map(of_json)
}

fn of_json(data: Vec<u8>) -> Payload {
    let encoding = ("encoding".to_owned(), b"json/plain".to_vec());
    Payload {
        metadata: [encoding].into_iter().collect(),
        data,
        ..Default::default()
    }
}
