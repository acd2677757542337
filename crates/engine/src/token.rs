//! Task tokens and page tokens: opaque to clients, good across a restart of the engine.

use prost::Message;

use crate::{clock::Nanos, core::RunKey, rpc::RpcError};

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

/// Reads a token that a client sent back.
pub(crate) fn parse<T: Message + Default>(token: &[u8], what: &str) -> Result<T, RpcError> {
    let invalid = |message: String| Err(RpcError::InvalidArgument(message));
    let is_task = what == "TaskToken";
    if token.is_empty() {
        return invalid(match is_task {
            true => "Task token not set on request.".into(),
            false => format!("{what} is not set on request."),
        });
    }
    T::decode(token).or_else(|_| {
        invalid(match is_task {
            true => "Error deserializing task token.".into(),
            false => format!("Invalid {what}."),
        })
    })
}
