//! What a request may hold at most, as the real server's defaults.

use prost::Message;
use temporalio_protos::temporal::api::{
    common::v1::{Memo, Payloads, WorkflowType},
    taskqueue::v1::TaskQueue,
};

use crate::{limits::Limits, rpc::RpcError};

/// Characters of an id or a name.
pub(super) const ID: usize = Limits::ID;

/// Checks an id or name that may be empty.
pub(super) fn id(what: &str, id: &str) -> Result<(), RpcError> {
    if id.len() > ID {
        // Clients are used to these words: a workflow id has its own.
        return Err(RpcError::InvalidArgument(match what {
            "WorkflowId" => format!(
                "{what} exceeds maximum allowed length ({}/{})",
                id.len(),
                Limits::ID
            ),
            _ => format!("{what} length exceeds limit."),
        }));
    }
    Ok(())
}

/// Checks an id or name that must be there.
pub(super) fn required_id(what: &str, value: &str) -> Result<(), RpcError> {
    if value.is_empty() {
        return Err(RpcError::InvalidArgument(format!(
            "{what} is not set on request."
        )));
    }
    id(what, value)
}

/// Checks the payloads of one field.
pub(super) fn blob(payloads: Option<&Payloads>) -> Result<(), RpcError> {
    size(payloads.map_or(0, Message::encoded_len), "Blob data")
}

/// Checks a memo.
pub(super) fn memo(memo: Option<&Memo>) -> Result<(), RpcError> {
    size(memo.map_or(0, Message::encoded_len), "Memo")
}

/// Checks a part of a request that is kept whole.
pub(super) fn message(message: &impl Message, what: &str) -> Result<(), RpcError> {
    size(message.encoded_len(), what)
}

fn size(bytes: usize, what: &str) -> Result<(), RpcError> {
    if bytes > Limits::BLOB {
        return Err(RpcError::InvalidArgument(format!("{what} size exceeds limit.")));
    }
    if bytes > Limits::BLOB_WARNING {
        tracing::warn!(bytes, "{what} is large: histories and messages are made for less");
    }
    Ok(())
}

/// The name of a required workflow type.
pub(super) fn workflow_type(given: Option<WorkflowType>) -> Result<String, RpcError> {
    let name = given.unwrap_or_default().name;
    required_id("WorkflowType", &name)?;
    Ok(name)
}

/// The name of a required task queue.
pub(super) fn task_queue(given: Option<TaskQueue>) -> Result<String, RpcError> {
    let name = given.unwrap_or_default().name;
    if name.is_empty() {
        return Err(RpcError::InvalidArgument("missing task queue name".into()));
    }
    id("TaskQueue", &name)?;
    Ok(name)
}
