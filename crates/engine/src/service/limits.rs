//! What a request may hold at most: the checks, in the real server's words.

use prost::Message;
use temporalio_protos::temporal::api::{
    common::v1::{Memo, Payloads, WorkflowType},
    taskqueue::v1::TaskQueue,
};

use crate::{limits::Limits, rpc::RpcError};

impl Limits {
    /// Checks an id or name that may be empty.
    pub(super) fn id(&self, what: &str, id: &str) -> Result<(), RpcError> {
        if id.len() > self.id_length {
            // Clients are used to these words: a workflow id has its own.
            return Err(RpcError::InvalidArgument(match what {
                "WorkflowId" => format!(
                    "{what} exceeds maximum allowed length ({}/{})",
                    id.len(),
                    self.id_length
                ),
                _ => format!("{what} length exceeds limit."),
            }));
        }
        Ok(())
    }

    /// Checks an id or name that must be there.
    pub(super) fn required_id(&self, what: &str, value: &str) -> Result<(), RpcError> {
        if value.is_empty() {
            return Err(RpcError::InvalidArgument(format!(
                "{what} is not set on request."
            )));
        }
        self.id(what, value)
    }

    /// Checks the payloads of one field.
    pub(super) fn blob(&self, payloads: Option<&Payloads>) -> Result<(), RpcError> {
        let size = payloads.map_or(0, Message::encoded_len);
        check(size, self.blob_size, self.blob_warning, "Blob data")
    }

    /// Checks a memo.
    pub(super) fn memo(&self, memo: Option<&Memo>) -> Result<(), RpcError> {
        let size = memo.map_or(0, Message::encoded_len);
        check(size, self.memo_size, self.memo_warning, "Memo")
    }

    /// Checks a part of a request that is kept whole.
    pub(super) fn message(&self, message: &impl Message, what: &str) -> Result<(), RpcError> {
        check(message.encoded_len(), self.blob_size, self.blob_warning, what)
    }

    /// The name of a required workflow type.
    pub(super) fn workflow_type(&self, given: Option<WorkflowType>) -> Result<String, RpcError> {
        let name = given.unwrap_or_default().name;
        self.required_id("WorkflowType", &name)?;
        Ok(name)
    }

    /// The name of a required task queue.
    pub(super) fn task_queue(&self, given: Option<TaskQueue>) -> Result<String, RpcError> {
        let invalid = |message: &str| Err(RpcError::InvalidArgument(message.into()));
        let Some(TaskQueue { name, .. }) = given else {
            return invalid("taskQueue is not set");
        };
        if name.is_empty() {
            return invalid("missing task queue name");
        }
        if name.len() > self.id_length {
            return invalid("taskQueue length exceeds limit");
        }
        Ok(name)
    }
}

fn check(bytes: usize, most: usize, warning: usize, what: &str) -> Result<(), RpcError> {
    if bytes > most {
        return Err(RpcError::InvalidArgument(format!("{what} size exceeds limit.")));
    }
    if bytes > warning {
        tracing::warn!(bytes, "{what} is large: histories and messages are made for less");
    }
    Ok(())
}
