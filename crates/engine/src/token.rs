//! Task tokens and page tokens: opaque to clients, good across a restart of the engine.

use prost::Message;
use temporalio_protos::temporal::api::common::v1::WorkflowExecution;

use crate::{clock::Nanos, core::RunKey, host::Host, rpc::RpcError};

/// Names the workflow task or activity attempt that a worker has.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct TaskToken {
    #[prost(int64, tag = "1")]
    pub(crate) run: RunKey,
    #[prost(int32, tag = "2")]
    pub(crate) attempt: i32,
    /// Of a workflow task: its started event.
    #[prost(int64, tag = "3")]
    pub(crate) started_event_id: i64,
    /// Of an activity: its scheduled event.
    #[prost(int64, tag = "4")]
    pub(crate) scheduled_event_id: i64,
    /// Of a query that went by itself.
    #[prost(uint64, tag = "5")]
    pub(crate) query: u64,
    /// When a speculative workflow task was started: one that was discarded leaves its ids to the next.
    #[prost(int64, tag = "50")]
    pub(crate) speculative_at: Nanos,
    /// Of a workflow task: the life of memory in which its run was last changed, see `RunState::life`.
    #[prost(fixed64, tag = "51")]
    pub(crate) life: u64,
}

/// What a watcher of a standalone activity has seen of it.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct ActivityToken {
    #[prost(int64, tag = "1")]
    pub(crate) run: RunKey,
    #[prost(int64, tag = "2")]
    pub(crate) transition_count: i64,
}

/// Where a reader of a history is.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct HistoryToken {
    #[prost(int64, tag = "1")]
    pub(crate) run: RunKey,
    /// The next event to be read.
    #[prost(int64, tag = "2")]
    pub(crate) next_event_id: i64,
    /// The reader is a worker: the unwritten events of its task belong to the history, and it ends
    /// with this event. 0: any other reader.
    #[prost(int64, tag = "3")]
    pub(crate) until: i64,
}

impl TaskToken {
    /// Reads the token of a request.
    pub(crate) fn parse(token: &[u8]) -> Result<Self, RpcError> {
        if token.is_empty() {
            return Err(RpcError::InvalidArgument("Task token not set on request.".into()));
        }
        Self::decode(token).map_err(|_| RpcError::InvalidArgument("Error deserializing task token.".into()))
    }

    /// Fails unless the task is of the namespace that the request names. One that names none means the
    /// task's.
    pub(crate) fn check_namespace(&self, host: &mut Host, namespace: &str) -> Result<(), RpcError> {
        if namespace.is_empty() {
            return Ok(());
        }
        let named = host.namespaces.key_of(namespace)?;
        if host.run(self.run)?.state.namespace_key == named {
            return Ok(());
        }
        Err(RpcError::InvalidArgument(
            "Operation requested with a token from a different namespace.".into(),
        ))
    }
}

impl HistoryToken {
    /// Fails unless the token is of the execution that the request names, in this namespace.
    pub(crate) fn check(
        &self,
        host: &mut Host,
        namespace: &str,
        execution: &WorkflowExecution,
    ) -> Result<(), RpcError> {
        let WorkflowExecution { workflow_id, run_id } = execution;
        if workflow_id.is_empty() {
            return Err(RpcError::InvalidArgument(
                "Execution is not set on request.".into(),
            ));
        }
        let named = host.namespaces.key_of(namespace)?;
        let state = &host.run(self.run)?.state;
        if !run_id.is_empty() && *run_id != state.run_id {
            return Err(RpcError::InvalidArgument(
                "RunId in the request does not match the NextPageToken.".into(),
            ));
        }
        if state.namespace_key != named || *workflow_id != state.workflow_id {
            return Err(RpcError::NotFound(format!(
                "workflow execution not found for workflow ID {workflow_id:?} and run ID {:?}",
                state.run_id
            )));
        }
        Ok(())
    }
}

/// Reads a page token, or the like, that a client sent back.
pub(crate) fn parse<T: Message + Default>(token: &[u8], what: &str) -> Result<T, RpcError> {
    T::decode(token).map_err(|_| RpcError::InvalidArgument(format!("Invalid {what}.")))
}
