//! The sink that starts or signals workflows on the engine that Segno itself runs on.

mod calls;
mod options;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use self::{calls::Prepared, options::Call};
use async_trait::async_trait;
use segno_sinks::{Delivered, Delivery, Failure, Limits, Sink, Sinks};
use temporalio_client::{
    Client,
    tonic::{Code, IntoRequest, Status},
};

use crate::encryption::{open, seal};

pub use options::WorkflowSink;

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
    /// The request's id is made of the idempotency key: a running workflow knows a repeated request by it. A workflow that
    /// exists already when it is to be started has been started before, by this delivery or by one to the same id.
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let client = self.client.0.get();
        let client = client.ok_or_else(|| Failure::retryable("the engine is not there yet"))?;
        let workflow_id = self.sink.id.render(delivery)?;
        if workflow_id.is_empty() {
            return Err(Failure::permanent(
                "the `id` of the workflow is empty for this payload",
            ));
        }
        let call = Prepared::new(client, workflow_id, &self.sink.task_queue, delivery)?;
        let done = match &self.sink.call {
            Call::Start { ty } => start(client, &call, ty).await,
            Call::Signal { signal } => match signal_once(client, &call, signal).await {
                Ok(Signalled::Yes) => Ok(()),
                Ok(Signalled::NoneRuns(status)) | Err(status) => Err(status),
            },
            // The signal alone first: only then is it known whether a run that has ended had this one.
            Call::SignalWithStart { ty, signal } => match signal_once(client, &call, signal).await {
                Ok(Signalled::Yes) => Ok(()),
                Ok(Signalled::NoneRuns(_)) => signal_with_start(client, &call, ty, signal).await,
                Err(status) => Err(status),
            },
        };
        done.map_err(|status| explain(&status))?;
        Ok(Delivered { status: None })
    }
}

async fn start(client: &Client, call: &Prepared, ty: &str) -> Result<(), Status> {
    let request = seal(client, call.start(ty)).await?;
    let mut service = client.connection().workflow_service();
    match service.start_workflow_execution(request.into_request()).await {
        Err(status) if status.code() == Code::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// What became of a signal.
enum Signalled {
    /// It is in the workflow's history.
    Yes,
    /// No run of this workflow goes on, and the latest did not have this signal; the engine's answer.
    NoneRuns(Status),
}

/// Signals the latest run. The engine keeps the ids of requests for a run that goes on. A run may have ended by this very
/// signal while the answer was lost: of one that has ended, the history says it.
async fn signal_once(client: &Client, call: &Prepared, signal: &str) -> Result<Signalled, Status> {
    let request = seal(client, call.signal(signal)).await?;
    let mut service = client.connection().workflow_service();
    let answer = service.signal_workflow_execution(request.into_request()).await;
    match answer {
        Ok(_) => Ok(Signalled::Yes),
        Err(status) if status.code() == Code::NotFound => match has_signal(client, call).await? {
            true => Ok(Signalled::Yes),
            false => Ok(Signalled::NoneRuns(status)),
        },
        Err(status) => Err(status),
    }
}

/// Whether the latest run, if there is one, had this signal. What ended it is near its end.
async fn has_signal(client: &Client, call: &Prepared) -> Result<bool, Status> {
    let mut service = client.connection().workflow_service();
    let mut token = Vec::new();
    loop {
        let request = call.history(token).into_request();
        let page = match service.get_workflow_execution_history_reverse(request).await {
            Ok(page) => open(client, page.into_inner()).await,
            Err(status) if status.code() == Code::NotFound => return Ok(false),
            Err(status) => return Err(status),
        };
        let events = page.history.unwrap_or_default().events;
        if events.iter().any(|event| call.made(event)) {
            return Ok(true);
        }
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(false);
        }
    }
}

async fn signal_with_start(client: &Client, call: &Prepared, ty: &str, signal: &str) -> Result<(), Status> {
    let mut service = client.connection().workflow_service();
    let request = seal(client, call.signal_with_start(ty, signal)).await?;
    service
        .signal_with_start_workflow_execution(request.into_request())
        .await
        .map(drop)
}

/// What a refusal means. A payload that the engine does not take stays what it is; all else may pass, or be mended while the
/// event waits. A workflow that is not there to be signalled may yet come: events overtake each other.
fn explain(status: &Status) -> Failure {
    let reason = format!("the engine answered: {}", status.message());
    let is_too_large = match status.code() {
        // What servers in Go say of a message of more bytes than they take; others say it by the code.
        Code::ResourceExhausted => status.message().contains("larger than max"),
        code => matches!(code, Code::InvalidArgument | Code::OutOfRange),
    };
    match is_too_large {
        true => Failure::permanent(reason),
        false => Failure::retryable(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        for (code, message, is_permanent) in [
            (Code::InvalidArgument, "Blob data size exceeds limit.", true),
            (Code::OutOfRange, "decoded message length too large", true),
            (
                Code::ResourceExhausted,
                "grpc: received message larger than max (5 vs. 4)",
                true,
            ),
            (Code::ResourceExhausted, "namespace rate limit exceeded", false),
            (Code::NotFound, "workflow not found for ID: x", false),
            (Code::Unavailable, "", false),
            (Code::DeadlineExceeded, "", false),
            (Code::PermissionDenied, "", false),
            (Code::Unauthenticated, "", false),
        ] {
            let failure = explain(&Status::new(code, message));
            assert_eq!(
                matches!(failure, Failure::Permanent { .. }),
                is_permanent,
                "{code:?} {message}: {failure:?}"
            );
        }
    }
}
