//! `UpdateWorkflowExecution` and `PollWorkflowExecutionUpdate`.

use std::time::Duration;

use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    update::v1::{Request, UpdateRef, WaitPolicy},
    workflowservice::v1::{
        PollWorkflowExecutionUpdateRequest, PollWorkflowExecutionUpdateResponse,
        UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse,
    },
};
use tokio::time::Instant;

use super::{Service, links, message, start};
use crate::{
    core::{UpdateStage, UpdateStatus},
    host::{
        Handle,
        updates::{Progress, Watched},
    },
    limits::Limits,
    rpc::{Call, RpcError},
};

/// The longest that a caller waits for an update to come further; then it is told how far it is.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// What a client asks of a workflow.
#[derive(Clone, Debug)]
pub(super) struct Update {
    pub(super) id: String,
    pub(super) request: Request,
    pub(super) execution: WorkflowExecution,
    /// Where given, the chain of runs must have begun with this one.
    first_run_id: String,
    pub(super) stage: UpdateStage,
}

/// How a wait ended.
pub(super) enum Waited {
    /// The stage is reached, or as far as it was when the time was over.
    Status(UpdateStatus),
    /// The run has closed before a worker answered; another goes on.
    Continued,
}

/// When a wait ends at the latest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    ours: Instant,
    callers: Option<Instant>,
}

impl Deadline {
    pub(super) fn of(call: &Call) -> Self {
        let now = Instant::now();
        Self {
            ours: now + LONGEST_WAIT,
            callers: call.timeout.map(|timeout| now + timeout),
        }
    }
}

/// Has the waiter forgotten when the wait is over.
struct Watching {
    watched: Watched,
    host: Handle,
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.watched.status.stage != UpdateStage::Completed {
            self.watched.progress.close();
            let run = self.watched.run;
            // Fails only when the engine has stopped, and all waiters with it.
            let _ = self.host.tell(move |host| host.update_waiters.forget_gone(run));
        }
    }
}

impl Update {
    /// Reads a request.
    ///
    /// # Errors
    /// When something is missing in it.
    pub(super) fn read(limits: &Limits, request: UpdateWorkflowExecutionRequest) -> Result<Self, RpcError> {
        let stage = wanted_stage(request.wait_policy);
        let execution = request.workflow_execution.unwrap_or_default();
        limits.required_id("WorkflowId", &execution.workflow_id)?;
        let missing = |what: &str| RpcError::InvalidArgument(format!("Update {what} is not set on request."));
        let mut request = request.request.ok_or_else(|| missing("meta"))?;
        let meta = request.meta.as_mut().ok_or_else(|| missing("meta"))?;
        if meta.update_id.len() > limits.id_length {
            return Err(RpcError::InvalidArgument("UpdateId length exceeds limit.".into()));
        }
        if meta.update_id.is_empty() {
            meta.update_id = uuid::Uuid::new_v4().to_string();
        }
        let id = meta.update_id.clone();
        let input = request.input.as_ref().ok_or_else(|| missing("input"))?;
        if input.name.is_empty() {
            return Err(missing("name"));
        }
        start::refuse_unknown(&[(
            "completion callbacks of updates",
            !request.completion_callbacks.is_empty(),
        )])?;
        limits.blob(input.args.as_ref())?;
        if stage == UpdateStage::Admitted {
            // As the real server: what is only admitted may be lost, and nobody would be waiting to notice.
            return Err(RpcError::PermissionDenied(
                "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.".into(),
            ));
        }
        Ok(Self {
            id,
            execution,
            first_run_id: String::new(),
            stage: match stage {
                UpdateStage::Unspecified => UpdateStage::Completed,
                given => given,
            },
            request,
        })
    }

    /// The answer to whoever asked for it.
    pub(super) fn response(
        &self,
        namespace: &str,
        execution: WorkflowExecution,
        status: UpdateStatus,
    ) -> UpdateWorkflowExecutionResponse {
        let outcome = status.outcome.map(|outcome| *outcome);
        let request_id = &self.request.request_id;
        let link = (status.stage >= UpdateStage::Accepted)
            .then(|| links::to_update(namespace, execution.clone(), request_id, outcome.as_ref()));
        UpdateWorkflowExecutionResponse {
            update_ref: Some(reference(execution, &self.id)),
            outcome,
            stage: status.stage as i32,
            link,
        }
    }
}

impl Service {
    pub(super) async fn update_workflow(
        &self,
        request: UpdateWorkflowExecutionRequest,
        call: Call,
    ) -> Result<UpdateWorkflowExecutionResponse, RpcError> {
        let namespace = request.namespace.clone();
        let first_run_id = request.first_execution_run_id.clone();
        let update = Update {
            first_run_id,
            ..Update::read(&self.limits, request)?
        };
        self.update_until(&namespace, &update, Deadline::of(&call)).await
    }

    /// Sends an update to the execution's current run, and to the next one where that closes before a
    /// worker has answered, until it has come as far as the caller wants.
    pub(super) async fn update_until(
        &self,
        namespace: &str,
        update: &Update,
        deadline: Deadline,
    ) -> Result<UpdateWorkflowExecutionResponse, RpcError> {
        loop {
            let (owned, sent) = (namespace.to_owned(), update.clone());
            let watched = self
                .host
                .call(move |host| {
                    let run = message::find(host, &owned, &sent.execution, &sent.first_run_id)?;
                    host.update(run, &sent.id, sent.request)
                })
                .await?;
            let execution = watched.execution.clone();
            if let Waited::Status(status) = self.wait_for_update(watched, update.stage, deadline).await? {
                return Ok(update.response(namespace, execution, status));
            }
        }
    }

    /// Waits until an update has come to `stage`, or the time is over.
    ///
    /// # Errors
    /// When it will not come that far, or the caller's own deadline is the earlier one: telling it less
    /// than it wants then would make clients ask again and again, each time with a new deadline.
    pub(super) async fn wait_for_update(
        &self,
        watched: Watched,
        stage: UpdateStage,
        deadline: Deadline,
    ) -> Result<Waited, RpcError> {
        let mut watching = Watching {
            watched,
            host: self.host.clone(),
        };
        let Watched { status, progress, .. } = &mut watching.watched;
        let until = deadline
            .callers
            .map_or(deadline.ours, |callers| callers.min(deadline.ours));
        while status.stage < stage {
            match tokio::time::timeout_at(until, progress.recv()).await {
                Ok(Some(Progress::At(further))) => *status = further,
                Ok(Some(Progress::Continued)) => return Ok(Waited::Continued),
                Ok(Some(Progress::Failed(error))) => return Err(error),
                Ok(None) => {
                    return Err(RpcError::Unavailable("workflow update was aborted".into()));
                }
                Err(_) if until < deadline.ours => {
                    return Err(RpcError::DeadlineExceeded("context deadline exceeded".into()));
                }
                Err(_) => break,
            }
        }
        Ok(Waited::Status(status.clone()))
    }

    pub(super) async fn poll_update(
        &self,
        request: PollWorkflowExecutionUpdateRequest,
        call: Call,
    ) -> Result<PollWorkflowExecutionUpdateResponse, RpcError> {
        let deadline = Deadline::of(&call);
        let stage = wanted_stage(request.wait_policy);
        let missing = || RpcError::InvalidArgument("UpdateRef is not set on request.".into());
        let wanted = request.update_ref.ok_or_else(missing)?;
        let execution = wanted.workflow_execution.unwrap_or_default();
        let (namespace, id) = (request.namespace, wanted.update_id.clone());
        let watched = self
            .host
            .call(move |host| {
                let run = message::find(host, &namespace, &execution, "")?;
                host.watch_update(run, &id)
            })
            .await?;
        let execution = watched.execution.clone();
        match self.wait_for_update(watched, stage, deadline).await? {
            Waited::Status(status) => Ok(PollWorkflowExecutionUpdateResponse {
                outcome: status.outcome.map(|outcome| *outcome),
                stage: status.stage as i32,
                update_ref: Some(reference(execution, &wanted.update_id)),
            }),
            Waited::Continued => Err(RpcError::NotFound(
                "workflow update was aborted by closing workflow".into(),
            )),
        }
    }
}

fn wanted_stage(policy: Option<WaitPolicy>) -> UpdateStage {
    policy.map_or(UpdateStage::Unspecified, |policy| policy.lifecycle_stage())
}

fn reference(execution: WorkflowExecution, id: &str) -> UpdateRef {
    UpdateRef {
        workflow_execution: Some(execution),
        update_id: id.to_owned(),
    }
}
