//! How workers, and others by activity id, answer activity tasks.

use temporalio_protos::temporal::api::{
    common::v1::{Payloads, WorkflowExecution},
    failure::v1::{Failure, failure::FailureInfo},
    workflowservice::v1::{
        RecordActivityTaskHeartbeatByIdRequest, RecordActivityTaskHeartbeatByIdResponse,
        RecordActivityTaskHeartbeatRequest, RecordActivityTaskHeartbeatResponse,
        RespondActivityTaskCanceledByIdRequest, RespondActivityTaskCanceledByIdResponse,
        RespondActivityTaskCanceledRequest, RespondActivityTaskCanceledResponse,
        RespondActivityTaskCompletedByIdRequest, RespondActivityTaskCompletedByIdResponse,
        RespondActivityTaskCompletedRequest, RespondActivityTaskCompletedResponse,
        RespondActivityTaskFailedByIdRequest, RespondActivityTaskFailedByIdResponse,
        RespondActivityTaskFailedRequest, RespondActivityTaskFailedResponse,
    },
};

use super::{Service, oversize};
use crate::{
    core::{HeartbeatAnswer, RunKey, STANDALONE_EVENT},
    host::Host,
    limits::Limits,
    rpc::RpcError,
    token::TaskToken,
};

/// Which activity a request is about.
enum Target {
    /// By the token that came with the task, in the namespace that the request names.
    Token(TaskToken, String),
    /// By its ids; `run_id` may be empty.
    Id {
        namespace: String,
        workflow_id: String,
        run_id: String,
        activity_id: String,
    },
}

/// What the request says of it.
enum Report {
    Completed(Option<Payloads>),
    Failed {
        failure: Box<Failure>,
        last_heartbeat_details: Option<Payloads>,
    },
    Canceled(Option<Payloads>),
    Heartbeat(Option<Payloads>),
}

impl Report {
    /// A failed attempt, and what of the failure had to be replaced.
    fn failed(
        limits: &Limits,
        failure: Option<Failure>,
        mut last_heartbeat_details: Option<Payloads>,
    ) -> (Self, Vec<Failure>) {
        let mut failure = failure.unwrap_or_default();
        let mut replaced = Vec::new();
        if oversize::is_too_large(limits, last_heartbeat_details.as_ref()) {
            last_heartbeat_details = None;
            replaced.push(oversize::failure("Heartbeat details exceed size limit."));
        }
        if let Some(told) = oversize::in_place_of(limits, &failure) {
            replaced.push(told.clone());
            failure = told;
        }
        let report = Self::Failed {
            failure: Box::new(failure),
            last_heartbeat_details,
        };
        (report, replaced)
    }

    /// The report as it can be kept: one with too much in it is that of a failure.
    fn bounded(self, limits: &Limits) -> Self {
        let (payloads, what) = match &self {
            Self::Completed(result) => (result, "Complete result exceeds size limit."),
            Self::Canceled(details) => (details, "Cancel details exceed size limit."),
            Self::Heartbeat(details) => (details, "Heartbeat details exceed size limit."),
            Self::Failed { .. } => return self,
        };
        if !oversize::is_too_large(limits, payloads.as_ref()) {
            return self;
        }
        Self::Failed {
            failure: Box::new(oversize::failure(what)),
            last_heartbeat_details: None,
        }
    }
}

/// The activity of a report: run, scheduled event, attempt (0: whichever is running).
struct Located {
    run: RunKey,
    scheduled_event_id: i64,
    attempt: i32,
}

impl Target {
    fn token(bytes: &[u8], namespace: String) -> Result<Self, RpcError> {
        Ok(Self::Token(TaskToken::parse(bytes)?, namespace))
    }

    fn locate(self, host: &mut Host) -> Result<Located, RpcError> {
        match self {
            Self::Token(token, namespace) => {
                token.check_namespace(host, &namespace)?;
                Ok(Located {
                    run: token.run,
                    scheduled_event_id: token.scheduled_event_id,
                    attempt: token.attempt,
                })
            }
            Self::Id {
                namespace,
                workflow_id,
                run_id,
                activity_id,
            } => {
                if activity_id.is_empty() {
                    return Err(RpcError::InvalidArgument(
                        "ActivityId is not set on request.".into(),
                    ));
                }
                let namespace = host.namespaces.key_of(&namespace)?;
                if workflow_id.is_empty() {
                    return Ok(Located {
                        run: host.find_activity(namespace, &activity_id, &run_id)?,
                        scheduled_event_id: STANDALONE_EVENT,
                        attempt: 0,
                    });
                }
                let run = host.find(namespace, &WorkflowExecution { workflow_id, run_id })?;
                let activity = host.run(run)?.activity_by_id(&activity_id);
                let activity = activity
                    .ok_or_else(|| RpcError::NotFound(format!("cannot find pending activity with ActivityID {activity_id}, check workflow execution history for more details")))?;
                Ok(Located {
                    run,
                    scheduled_event_id: activity.scheduled_event_id,
                    attempt: 0,
                })
            }
        }
    }
}

impl Service {
    async fn report(
        &self,
        target: Target,
        report: Report,
        identity: String,
    ) -> Result<HeartbeatAnswer, RpcError> {
        let is_heartbeat = matches!(report, Report::Heartbeat(_));
        let report = report.bounded(&self.limits);
        self.host
            .call(move |host| {
                let Located {
                    run,
                    scheduled_event_id: id,
                    attempt,
                } = target.locate(host)?;
                host.change(run, |run, now| match report {
                    Report::Completed(result) => {
                        run.complete_activity(now, id, attempt, result, &identity)?;
                        Ok(HeartbeatAnswer::default())
                    }
                    Report::Failed {
                        failure,
                        last_heartbeat_details,
                    } => {
                        run.fail_activity(now, id, attempt, *failure, last_heartbeat_details, &identity)?;
                        // Whose heartbeat has failed it has nothing more to do.
                        Ok(HeartbeatAnswer {
                            cancel_requested: is_heartbeat,
                            ..Default::default()
                        })
                    }
                    Report::Canceled(details) => {
                        run.cancel_activity(now, id, attempt, details, &identity)?;
                        Ok(HeartbeatAnswer::default())
                    }
                    Report::Heartbeat(details) => run.heartbeat_activity(now, id, attempt, details),
                })
            })
            .await
    }

    pub(super) async fn activity_completed(
        &self,
        request: RespondActivityTaskCompletedRequest,
    ) -> Result<RespondActivityTaskCompletedResponse, RpcError> {
        let target = Target::token(&request.task_token, request.namespace)?;
        self.report(target, Report::Completed(request.result), request.identity)
            .await?;
        Ok(RespondActivityTaskCompletedResponse {})
    }

    pub(super) async fn activity_failed(
        &self,
        request: RespondActivityTaskFailedRequest,
    ) -> Result<RespondActivityTaskFailedResponse, RpcError> {
        let target = Target::token(&request.task_token, request.namespace)?;
        let is_one =
            |failure: &Failure| matches!(failure.failure_info, Some(FailureInfo::ApplicationFailureInfo(_)));
        if !request.failure.as_ref().is_none_or(is_one) {
            return Err(RpcError::InvalidArgument(
                "Failure must have ApplicationFailureInfo.".into(),
            ));
        }
        let (report, failures) =
            Report::failed(&self.limits, request.failure, request.last_heartbeat_details);
        self.report(target, report, request.identity).await?;
        Ok(RespondActivityTaskFailedResponse { failures })
    }

    pub(super) async fn activity_canceled(
        &self,
        request: RespondActivityTaskCanceledRequest,
    ) -> Result<RespondActivityTaskCanceledResponse, RpcError> {
        let target = Target::token(&request.task_token, request.namespace)?;
        self.report(target, Report::Canceled(request.details), request.identity)
            .await?;
        Ok(RespondActivityTaskCanceledResponse {})
    }

    pub(super) async fn activity_heartbeat(
        &self,
        request: RecordActivityTaskHeartbeatRequest,
    ) -> Result<RecordActivityTaskHeartbeatResponse, RpcError> {
        let target = Target::token(&request.task_token, request.namespace)?;
        let answer = self
            .report(target, Report::Heartbeat(request.details), request.identity)
            .await?;
        Ok(RecordActivityTaskHeartbeatResponse {
            cancel_requested: answer.cancel_requested,
            activity_paused: answer.paused,
            activity_reset: answer.reset,
        })
    }

    pub(super) async fn activity_completed_by_id(
        &self,
        request: RespondActivityTaskCompletedByIdRequest,
    ) -> Result<RespondActivityTaskCompletedByIdResponse, RpcError> {
        let target = Target::Id {
            namespace: request.namespace,
            workflow_id: request.workflow_id,
            run_id: request.run_id,
            activity_id: request.activity_id,
        };
        self.report(target, Report::Completed(request.result), request.identity)
            .await?;
        Ok(RespondActivityTaskCompletedByIdResponse {})
    }

    pub(super) async fn activity_failed_by_id(
        &self,
        request: RespondActivityTaskFailedByIdRequest,
    ) -> Result<RespondActivityTaskFailedByIdResponse, RpcError> {
        let target = Target::Id {
            namespace: request.namespace,
            workflow_id: request.workflow_id,
            run_id: request.run_id,
            activity_id: request.activity_id,
        };
        let (report, failures) =
            Report::failed(&self.limits, request.failure, request.last_heartbeat_details);
        self.report(target, report, request.identity).await?;
        Ok(RespondActivityTaskFailedByIdResponse { failures })
    }

    pub(super) async fn activity_canceled_by_id(
        &self,
        request: RespondActivityTaskCanceledByIdRequest,
    ) -> Result<RespondActivityTaskCanceledByIdResponse, RpcError> {
        let target = Target::Id {
            namespace: request.namespace,
            workflow_id: request.workflow_id,
            run_id: request.run_id,
            activity_id: request.activity_id,
        };
        self.report(target, Report::Canceled(request.details), request.identity)
            .await?;
        Ok(RespondActivityTaskCanceledByIdResponse {})
    }

    pub(super) async fn activity_heartbeat_by_id(
        &self,
        request: RecordActivityTaskHeartbeatByIdRequest,
    ) -> Result<RecordActivityTaskHeartbeatByIdResponse, RpcError> {
        let target = Target::Id {
            namespace: request.namespace,
            workflow_id: request.workflow_id,
            run_id: request.run_id,
            activity_id: request.activity_id,
        };
        let answer = self
            .report(target, Report::Heartbeat(request.details), request.identity)
            .await?;
        Ok(RecordActivityTaskHeartbeatByIdResponse {
            cancel_requested: answer.cancel_requested,
            activity_paused: answer.paused,
            activity_reset: answer.reset,
        })
    }
}
