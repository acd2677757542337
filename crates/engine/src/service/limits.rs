//! What a request may hold at most, as the real server's defaults.

use prost::Message;
use temporalio_protos::temporal::api::{
    common::v1::{Memo, Payloads, WorkflowType},
    taskqueue::v1::TaskQueue,
};

use crate::rpc::RpcError;

/// Bytes of one payload field.
pub(super) const BLOB: usize = 2 * 1024 * 1024;
/// Characters of an id or a name.
pub(super) const ID: usize = 1_000;

/// Checks an id or name that may be empty.
pub(super) fn id(what: &str, id: &str) -> Result<(), RpcError> {
    if id.len() > ID {
        return Err(RpcError::InvalidArgument(format!("{what} exceeds length limit.")));
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
    message_size(payloads.map_or(0, Message::encoded_len))
}

/// Checks a memo.
pub(super) fn memo(memo: Option<&Memo>) -> Result<(), RpcError> {
    message_size(memo.map_or(0, Message::encoded_len))
}

fn message_size(bytes: usize) -> Result<(), RpcError> {
    if bytes > BLOB {
        return Err(RpcError::InvalidArgument("Blob data size exceeds limit.".into()));
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
