//! Whether the configured keys are those of the engine's data.
//!
//! For each key that has ever been configured the engine holds an open execution without a next step, named after the key,
//! with a text in its memo that is encrypted by it. So a process that has another key under that name, or none at all, is
//! told at its start, and not by the first payload that it cannot read.

use std::time::Duration;

use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, WorkflowExecution},
    enums::v1::WorkflowIdReusePolicy,
    workflowservice::v1::{DescribeWorkflowExecutionRequest, ListWorkflowExecutionsRequest},
};

use super::{Keyring, keyring::Failed};
use crate::run::{Start, json_payload};

/// Type of the executions that know a key. No worker has it: none is to run.
const TYPE: &str = "SegnoEncryptionKey";
/// What their ids begin with.
const PREFIX: &str = "segno-encryption-key/";
/// Key of the memo with the text.
const MEMO: &str = "SegnoEncryptionKey";
/// What the text is.
const TEXT: &str = "segno";
/// When their first step is due: never.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// Keys that are looked for.
const PAGE: i32 = 1000;

/// The configured keys are not those of the engine's data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key has other bytes than before.
    #[error(
        "SG0121: the encryption key {0:?} is another one than that which data in this engine is encrypted with; put the \
         right one back, or give the new one a name of its own and keep the old one after it in `encryption.keys`"
    )]
    WrongKey(String),
    /// There are keys, and none is configured.
    #[error(
        "SG0122: data in this engine is encrypted with the key {}, and no key is configured; put it back into \
         `encryption.keys`. If nothing that it has encrypted is needed any more, terminate the execution `{PREFIX}<name>`",
        .0.join(", ")
    )]
    NoKey(Vec<String>),
    /// The engine does not answer.
    #[error("the encryption keys cannot be checked with the engine")]
    Engine(#[source] Status),
    /// The system gives no random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RandomError(Failed);

/// Compares the keys with those that the engine's data is encrypted with, and notes the new ones down.
pub(crate) async fn check(client: &Client, keyring: &Keyring) -> Result<(), Error> {
    for name in keyring.names() {
        one(client, keyring, name).await?;
    }
    let noted = match noted(client).await {
        Ok(noted) => noted,
        // A client that may not list goes on: single payloads say which key they lack.
        Err(status) if status.code() == Code::PermissionDenied => return Ok(()),
        Err(status) => return Err(Error::Engine(status)),
    };
    let missing: Vec<_> = noted
        .into_iter()
        .filter(|noted| keyring.names().all(|name| name != noted))
        .collect();
    match (missing.is_empty(), keyring.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::NoKey(missing)),
        (false, false) => {
            tracing::warn!(
                keys = missing.join(", "),
                "data in the engine may be encrypted with keys that are not configured any more: what is cannot be read, \
                 retried or kept on; terminate the execution segno-encryption-key/<name> once there is none"
            );
            Ok(())
        }
    }
}

async fn one(client: &Client, keyring: &Keyring, name: &str) -> Result<(), Error> {
    let workflow_id = format!("{PREFIX}{name}");
    if let Some(text) = text(client, &workflow_id).await.map_err(Error::Engine)? {
        return judge(keyring, name, text);
    }
    let failed = |error: serde_json::Error| Error::Engine(Status::internal(error.to_string()));
    let plain = json_payload(&TEXT).map_err(failed)?;
    let Some(encrypted) = keyring.encrypt_by(name, &plain) else {
        return Ok(());
    };
    let encrypted = encrypted.map_err(RandomError)?;
    let start = Start {
        workflow_id: workflow_id.clone(),
        ty: TYPE.to_owned(),
        input: json_payload(&()).map_err(failed)?,
        request_id: uuid::Uuid::new_v4().to_string(),
        reuse: WorkflowIdReusePolicy::AllowDuplicate,
        attributes: None,
        memo: [(MEMO.to_owned(), encrypted)].into(),
        delay: Some(NEVER),
    };
    if start.send(client).await.map_err(Error::Engine)?.is_some() {
        return Ok(());
    }
    // Another process was quicker.
    match text(client, &workflow_id).await.map_err(Error::Engine)? {
        Some(text) => judge(keyring, name, text),
        None => Ok(()),
    }
}

/// The text as the engine has it; none where there is no open execution with one.
async fn text(client: &Client, workflow_id: &str) -> Result<Option<Payload>, Status> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: client.namespace(),
        execution: Some(WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            run_id: String::new(),
        }),
    };
    let mut service = client.connection().workflow_service();
    let info = match service.describe_workflow_execution(request.into_request()).await {
        Ok(reply) => reply.into_inner().workflow_execution_info.unwrap_or_default(),
        Err(status) if status.code() == Code::NotFound => return Ok(None),
        Err(status) => return Err(status),
    };
    if info.close_time.is_some() {
        return Ok(None);
    }
    Ok(info.memo.and_then(|mut memo| memo.fields.remove(MEMO)))
}

fn judge(keyring: &Keyring, name: &str, text: Payload) -> Result<(), Error> {
    let plain = keyring.decrypt(text).ok();
    let is_right = plain.and_then(|plain| serde_json::from_slice::<String>(&plain.data).ok());
    match is_right.as_deref() {
        Some(TEXT) => Ok(()),
        _ => Err(Error::WrongKey(name.to_owned())),
    }
}

/// The names of the keys that the engine knows of.
async fn noted(client: &Client) -> Result<Vec<String>, Status> {
    let request = ListWorkflowExecutionsRequest {
        namespace: client.namespace(),
        page_size: PAGE,
        query: format!("WorkflowType = '{TYPE}' AND ExecutionStatus = 'Running'"),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = service.list_workflow_executions(request.into_request()).await?;
    let ids = reply.into_inner().executions.into_iter();
    let ids = ids.filter_map(|info| Some(info.execution?.workflow_id));
    Ok(ids
        .filter_map(|id| id.strip_prefix(PREFIX).map(str::to_owned))
        .collect())
}
