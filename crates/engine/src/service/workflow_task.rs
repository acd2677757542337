//! How workers answer workflow tasks.

use temporalio_protos::temporal::api::enums::v1::{
    QueryResultType, VersioningBehavior, WorkerVersioningMode,
};
use temporalio_protos::temporal::api::workflowservice::v1::{
    PollWorkflowTaskQueueResponse, ResetStickyTaskQueueRequest, ResetStickyTaskQueueResponse,
    RespondQueryTaskCompletedRequest, RespondQueryTaskCompletedResponse, RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse, RespondWorkflowTaskFailedRequest,
    RespondWorkflowTaskFailedResponse,
};

use super::{Service, oversize};
use crate::{
    clock::nanos,
    core::{Completion, Outcome, StartedTask, Sticky, Version, WorkerVersion},
    host::{
        Host,
        matching::{QueueId, QueueKind},
    },
    rpc::{Call, RpcError},
    token::TaskToken,
};

/// What an unset sticky time-out means: 5 s, as the SDKs' default.
const STICKY_TIMEOUT: i64 = 5 * crate::clock::SECOND;

impl Service {
    pub(super) async fn workflow_task_completed(
        &self,
        request: RespondWorkflowTaskCompletedRequest,
        call: Call,
    ) -> Result<RespondWorkflowTaskCompletedResponse, RpcError> {
        let token = TaskToken::parse(&request.task_token)?;
        check_version(&request)?;
        if request.intermediate_page || request.page_number != 0 {
            // Workers send pages only to namespaces that say so, which is off by default on the real server too.
            return Err(RpcError::FailedPrecondition(format!(
                "workflow task completion pagination is disabled for this namespace {}",
                request.namespace
            )));
        }
        // A refused completion changes the run, so its error travels as a value: past the commit.
        self.host
            .call(move |host| Ok(complete(host, &token, request, call.in_process)))
            .await?
    }

    pub(super) async fn workflow_task_failed(
        &self,
        mut request: RespondWorkflowTaskFailedRequest,
    ) -> Result<RespondWorkflowTaskFailedResponse, RpcError> {
        let token = TaskToken::parse(&request.task_token)?;
        let failure = request
            .failure
            .take()
            .map(|given| oversize::in_place_of(&self.limits, &given).unwrap_or(given));
        self.host
            .call(move |host| {
                let cause = request.cause();
                token.check_namespace(host, &request.namespace)?;
                check_token(host, &token)?;
                host.change(token.run, |run, now| {
                    run.fail_workflow_task(
                        now,
                        token.started_event_id,
                        token.attempt,
                        cause,
                        failure,
                        &request.identity,
                    )
                })
            })
            .await?;
        Ok(RespondWorkflowTaskFailedResponse {})
    }

    pub(super) async fn query_task_completed(
        &self,
        request: RespondQueryTaskCompletedRequest,
    ) -> Result<RespondQueryTaskCompletedResponse, RpcError> {
        let token = TaskToken::parse(&request.task_token)?;
        let answer = match request.completed_type() {
            QueryResultType::Failed => Err(RpcError::QueryFailed {
                message: request.error_message,
                failure: request.failure.map(Box::new),
            }),
            _ if oversize::is_too_large(&self.limits, request.query_result.as_ref()) => {
                Err(RpcError::QueryFailed {
                    message: "Blob data size exceeds limit.".into(),
                    failure: None,
                })
            }
            _ => Ok(request.query_result),
        };
        self.host
            .call(move |host| {
                token.check_namespace(host, &request.namespace)?;
                if host.answer_query(token.run, token.query, answer) {
                    return Ok(());
                }
                Err(RpcError::NotFound(
                    "query task not found, or already expired".into(),
                ))
            })
            .await?;
        Ok(RespondQueryTaskCompletedResponse {})
    }

    pub(super) async fn reset_sticky(
        &self,
        request: ResetStickyTaskQueueRequest,
    ) -> Result<ResetStickyTaskQueueResponse, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find(namespace, &request.execution.unwrap_or_default())?;
                host.change(key, |run, _| {
                    run.check_running()?;
                    run.leave_its_worker();
                    Ok(())
                })
            })
            .await?;
        Ok(ResetStickyTaskQueueResponse {})
    }
}

/// The longest build id of a worker without a version, in bytes, as the real server's default.
const BUILD_ID: usize = 255;

/// Checks what a worker says of its version.
#[allow(deprecated, reason = "workers without a version name their build so")]
fn check_version(request: &RespondWorkflowTaskCompletedRequest) -> Result<(), RpcError> {
    let stamp = request.worker_version_stamp.as_ref();
    if stamp.is_some_and(|stamp| stamp.build_id.len() > BUILD_ID) {
        return Err(RpcError::InvalidArgument(
            "Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID.".into(),
        ));
    }
    let options = request.deployment_options.as_ref();
    let options =
        options.filter(|options| options.worker_versioning_mode() == WorkerVersioningMode::Versioned);
    match options {
        Some(options) if options.deployment_name.is_empty() != options.build_id.is_empty() => {
            Err(RpcError::InvalidArgument(
                "Deployment name and build id must be set together.".into(),
            ))
        }
        Some(options) if !options.build_id.is_empty() => Ok(()),
        _ if request.versioning_behavior() == VersioningBehavior::Unspecified => Ok(()),
        _ => Err(RpcError::InvalidArgument(
            "versioning behavior cannot be specified without deployment options being set with versioned mode"
                .into(),
        )),
    }
}

#[allow(deprecated, reason = "workers without deployments name their build so")]
fn complete(
    host: &mut Host,
    token: &TaskToken,
    request: RespondWorkflowTaskCompletedRequest,
    in_process: bool,
) -> Result<RespondWorkflowTaskCompletedResponse, RpcError> {
    let key = token.run;
    token.check_namespace(host, &request.namespace)?;
    let behavior = request.versioning_behavior();
    let sticky = request.sticky_attributes.and_then(|attributes| {
        let queue = attributes
            .worker_task_queue
            .filter(|queue| !queue.name.is_empty())?;
        let timeout = match nanos(attributes.schedule_to_start_timeout.as_ref()) {
            0 => STICKY_TIMEOUT,
            given => given,
        };
        Some(Sticky {
            task_queue: queue.name,
            schedule_to_start: timeout,
        })
    });
    let identity = request.identity;
    #[allow(deprecated, reason = "older SDKs name their version by the deprecated fields")]
    let version = WorkerVersion {
        binary_checksum: request.binary_checksum,
        stamp: request.worker_version_stamp,
        deployment: request.deployment_options,
        behavior,
    };
    let worker = Version::of_worker(version.deployment.as_ref());
    let is_heartbeat = request.force_create_new_workflow_task;
    let completion = Completion {
        started_event_id: token.started_event_id,
        attempt: token.attempt,
        commands: request.commands,
        identity: identity.clone(),
        sticky: sticky.clone(),
        force_new_task: request.force_create_new_workflow_task,
        sdk_metadata: request.sdk_metadata,
        metering_metadata: request.metering_metadata,
        version,
        wants_next_task: request.return_new_workflow_task,
        messages: request.messages,
        can_discard_events: request
            .capabilities
            .is_some_and(|capabilities| capabilities.discard_speculative_workflow_task_with_events),
    };
    let namespace = host.run(key)?.state.namespace_key;
    // The answer may carry the next task, so the run's tasks are offered only after that.
    check_token(host, token)?;
    let outcome = host.complete_workflow_task(key, completion)?;
    let mut response = RespondWorkflowTaskCompletedResponse::default();
    let eager = match outcome {
        Outcome::Applied { eager_activities } => eager_activities,
        Outcome::Discarded {
            reset_history_event_id,
        } => {
            response.reset_history_event_id = reset_history_event_id;
            Vec::new()
        }
        Outcome::Refused(error) => {
            host.settle(key)?;
            host.release_queries(key)?;
            return Err(error);
        }
    };

    for scheduled_event_id in eager {
        let activity = host.run(key)?.activity(scheduled_event_id);
        let Some(queue) = activity.map(|activity| activity.task_queue.clone()) else {
            continue;
        };
        if host.target(key, QueueKind::Activity, &queue)?.0 != worker {
            // It is for workers of another version.
            continue;
        }
        let started = host.start_activity(key, scheduled_event_id, 1, &queue, &identity, in_process)?;
        response.activity_tasks.extend(started.map(|(task, _)| task));
    }
    host.answer_queries(key, request.query_results)?;
    if request.return_new_workflow_task {
        response.workflow_task = next_task(host, key, namespace, sticky, &identity, is_heartbeat)?;
    }
    host.settle(key)?;
    Ok(response)
}

/// Fails for the token of a task that the run does not have any more, although another one may have its ids: it was
/// speculative, or rested on what was lost before it was on disk.
fn check_token(host: &mut Host, token: &TaskToken) -> Result<(), RpcError> {
    let life = host.life_of(token.run)?;
    let run = host.run(token.run)?;
    let is_it = |started: &StartedTask| {
        started.life == token.life && (token.speculative_at == 0 || started.at == token.speculative_at)
    };
    let fits = match &run.started_task {
        Some(started) => is_it(started),
        // Its start was forgotten with the last life; all that it shows may be on disk.
        None => life == token.life && token.speculative_at == 0,
    };
    if fits {
        return Ok(());
    }
    Err(RpcError::NotFound("Workflow task not found.".into()))
}

/// The run's next workflow task, for the worker that completed the last one.
fn next_task(
    host: &mut Host,
    key: i64,
    namespace: u32,
    sticky: Option<Sticky>,
    identity: &str,
    is_heartbeat: bool,
) -> Result<Option<PollWorkflowTaskQueueResponse>, RpcError> {
    let Some(sticky) = sticky else { return Ok(None) };
    let queue = QueueId::new(namespace, QueueKind::Workflow, sticky.task_queue);
    let started = if is_heartbeat {
        host.start_task_after_heartbeat(&queue, key, identity)?
    } else {
        host.start_workflow_task(&queue, key, None, identity)?
    };
    Ok(started.map(|(task, _)| task.whole()))
}
