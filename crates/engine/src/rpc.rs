//! The generated service traits, what every call carries, and errors as Temporal's clients read them.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use prost::Message;
use temporalio_protos::{
    google::rpc,
    temporal::api::{
        enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope},
        errordetails::v1::{self as details, multi_operation_execution_failure::OperationStatus},
        failure::v1::MultiOperationExecutionAborted,
    },
};
use tonic::{Code, Status, metadata::MetadataValue};

use crate::{
    access::{Called, Caller},
    answer::{Answer as _, WithHistory},
};

include!(concat!(env!("OUT_DIR"), "/services.rs"));

/// What a transport knows about a call beside its message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// How long the caller waits for the answer (`grpc-timeout`); none: for ever.
    pub timeout: Option<Duration>,
    /// The caller lives in this process, and so ends when the engine ends.
    pub in_process: bool,
    /// The caller shows people what it gets, and is no worker.
    pub is_for_people: bool,
    /// The caller looks into the end of each run for the run that follows it.
    pub follows_runs: bool,
    /// Who calls, and what that one may do; none: everything, as in this process.
    pub caller: Option<Caller>,
}

fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(format!("the request cannot be decoded: {error}")))
}

/// The answer to an RPC that this engine does not have.
pub(crate) fn unimplemented(service: &str, rpc: &str) -> Status {
    Status::unimplemented(format!("unknown method {rpc} for service {service}"))
}

/// What an RPC fails with; becomes a gRPC status with the detail message that the SDKs parse.
///
/// Source: `temporal/api/errordetails/v1/message.proto`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RpcError {
    /// A request field breaks a rule.
    #[error("{0}")]
    InvalidArgument(String),
    /// No such execution, activity or task, or it is closed already.
    #[error("{0}")]
    NotFound(String),
    /// No namespace of this name.
    #[error("Namespace {0} is not found.")]
    NamespaceNotFound(String),
    /// A namespace of this name is there already.
    #[error("Namespace {0:?} already exists")]
    NamespaceAlreadyExists(String),
    /// The workflow id is taken, by the rules of its reuse and conflict policies.
    #[error("{message}")]
    AlreadyStarted {
        /// What the caller is told.
        message: String,
        /// Request id of the start that took the id.
        start_request_id: String,
        /// Run that has the id now.
        run_id: String,
        /// First run of that run's chain.
        first_run_id: String,
    },
    /// The activity id is taken, by the rules of its reuse and conflict policies.
    #[error("activity execution already started")]
    ActivityAlreadyStarted {
        /// Request id of the start that took the id.
        start_request_id: String,
        /// Run that has the id now.
        run_id: String,
    },
    /// Something of this name is there already.
    #[error("{0}")]
    AlreadyExists(String),
    /// The query reached the workflow and its handler failed, or there is no such query.
    #[error("{message}")]
    QueryFailed {
        /// The handler's error.
        message: String,
        /// The handler's failure, where the SDK sent one.
        failure: Option<Box<temporalio_protos::temporal::api::failure::v1::Failure>>,
    },
    /// The workflow cannot answer queries yet.
    #[error("{0}")]
    NotReady(String),
    /// The state does not allow it.
    #[error("{0}")]
    FailedPrecondition(String),
    /// No worker took the task in time.
    #[error("{0}")]
    DeadlineExceeded(String),
    /// A limit is reached; try again later.
    #[error("{0}")]
    ResourceExhausted(String),
    /// A limit of the gRPC port, or of the queue behind it, is reached.
    #[error("{message}")]
    Throttled {
        /// What the caller is told.
        message: String,
        /// Which kind of limit.
        cause: ResourceExhaustedCause,
        /// Whose limit.
        scope: ResourceExhaustedScope,
        /// After which time to try again.
        retry_after: Duration,
    },
    /// The operation is not allowed.
    #[error("{0}")]
    PermissionDenied(String),
    /// The caller may not do this.
    #[error("Request unauthorized.")]
    Unauthorized {
        /// Why.
        reason: String,
    },
    /// Nobody knows who calls.
    #[error("{0}")]
    Unauthenticated(String),
    /// Too much of its kind is under way at the same time.
    #[error("{0}")]
    ConcurrentLimit(String),
    /// The operation was given up in favour of a newer state; the client may try it again.
    #[error("{0}")]
    Aborted(String),
    /// An operation of several was not done because another one could not be.
    #[error("Operation was aborted.")]
    OperationAborted,
    /// Operations that were to be done together were not.
    ///
    /// What became of each, in their order; none: it was done.
    #[error("Update-with-Start could not be executed.")]
    MultiOperation(Vec<Option<RpcError>>),
    /// The feature is not in this engine.
    #[error("{0}")]
    Unimplemented(String),
    /// The engine is stopping, or its file cannot be written.
    #[error("{0}")]
    Unavailable(String),
    /// Part of the engine's file is damaged.
    #[error("{0}")]
    DataLoss(String),
    /// The stored data is not as the engine wrote it.
    #[error("{0}")]
    Internal(String),
}

impl RpcError {
    /// The error for a workflow id or run that the engine does not know.
    pub fn workflow_not_found(workflow_id: &str) -> Self {
        Self::NotFound(format!("workflow not found for ID: {workflow_id}"))
    }

    /// The error for an id or run of a standalone activity that the engine does not know.
    pub fn activity_not_found(activity_id: &str) -> Self {
        Self::NotFound(format!("activity not found for ID: {activity_id}"))
    }

    /// The error for an operation that needs a running execution.
    pub fn already_completed() -> Self {
        Self::NotFound("workflow execution already completed".into())
    }
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        let message = error.to_string();
        match error {
            RpcError::InvalidArgument(_) => Status::invalid_argument(message),
            RpcError::NotFound(_) => detailed(
                Code::NotFound,
                message,
                "NotFoundFailure",
                &details::NotFoundFailure::default(),
            ),
            RpcError::NamespaceNotFound(namespace) => detailed(
                Code::NotFound,
                message,
                "NamespaceNotFoundFailure",
                &details::NamespaceNotFoundFailure { namespace },
            ),
            RpcError::NamespaceAlreadyExists(_) => detailed(
                Code::AlreadyExists,
                message,
                "NamespaceAlreadyExistsFailure",
                &details::NamespaceAlreadyExistsFailure {},
            ),
            RpcError::AlreadyStarted {
                start_request_id,
                run_id,
                first_run_id,
                ..
            } => detailed(
                Code::AlreadyExists,
                message,
                "WorkflowExecutionAlreadyStartedFailure",
                &details::WorkflowExecutionAlreadyStartedFailure {
                    start_request_id,
                    run_id,
                    first_execution_run_id: first_run_id,
                },
            ),
            RpcError::ActivityAlreadyStarted {
                start_request_id,
                run_id,
            } => detailed(
                Code::AlreadyExists,
                message,
                "ActivityExecutionAlreadyStartedFailure",
                &details::ActivityExecutionAlreadyStartedFailure {
                    start_request_id,
                    run_id,
                },
            ),
            RpcError::AlreadyExists(_) => Status::already_exists(message),
            RpcError::QueryFailed { failure, .. } => detailed(
                Code::InvalidArgument,
                message,
                "QueryFailedFailure",
                &details::QueryFailedFailure {
                    failure: failure.map(|failure| *failure),
                },
            ),
            RpcError::NotReady(_) => detailed(
                Code::FailedPrecondition,
                message,
                "WorkflowNotReadyFailure",
                &details::WorkflowNotReadyFailure {},
            ),
            RpcError::FailedPrecondition(_) => Status::failed_precondition(message),
            RpcError::DeadlineExceeded(_) => Status::deadline_exceeded(message),
            RpcError::ResourceExhausted(_) => exhausted(
                message,
                ResourceExhaustedCause::Unspecified,
                ResourceExhaustedScope::Unspecified,
                RETRY,
            ),
            RpcError::ConcurrentLimit(_) => exhausted(
                message,
                ResourceExhaustedCause::ConcurrentLimit,
                ResourceExhaustedScope::Namespace,
                RETRY,
            ),
            RpcError::Throttled {
                cause,
                scope,
                retry_after,
                ..
            } => exhausted(message, cause, scope, retry_after),
            RpcError::Unauthenticated(_) => Status::unauthenticated(message),
            RpcError::Unauthorized { reason } => detailed(
                Code::PermissionDenied,
                message,
                "PermissionDeniedFailure",
                &details::PermissionDeniedFailure { reason },
            ),
            RpcError::PermissionDenied(_) => detailed(
                Code::PermissionDenied,
                message,
                "PermissionDeniedFailure",
                &details::PermissionDeniedFailure::default(),
            ),
            RpcError::Aborted(_) => Status::aborted(message),
            RpcError::OperationAborted => with_detail(
                Code::Aborted,
                message,
                "failure.v1.MultiOperationExecutionAborted",
                &MultiOperationExecutionAborted {},
            ),
            RpcError::MultiOperation(errors) => multi_operation(message, errors),
            RpcError::Unimplemented(_) => Status::unimplemented(message),
            RpcError::Unavailable(_) => Status::unavailable(message),
            RpcError::DataLoss(_) => Status::data_loss(message),
            RpcError::Internal(_) => Status::internal(message),
        }
    }
}

/// A status whose `grpc-status-details-bin` carries `detail`.
fn detailed(code: Code, message: String, name: &str, detail: &impl Message) -> Status {
    with_detail(code, message, &format!("errordetails.v1.{name}"), detail)
}

/// The same for a detail of any package of the API.
fn with_detail(code: Code, message: String, name: &str, detail: &impl Message) -> Status {
    with_details(code, message, vec![any(&format!("temporal.api.{name}"), detail)])
}

fn with_details(code: Code, message: String, details: Vec<prost_types::Any>) -> Status {
    let status = rpc::Status {
        code: code as i32,
        message: message.clone(),
        details,
    };
    Status::with_details(code, message, status.encode_to_vec().into())
}

fn any(name: &str, detail: &impl Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: detail.encode_to_vec(),
    }
}

/// The time after which to try again, where a limit does not say.
const RETRY: Duration = Duration::from_secs(1);

/// `google.rpc.RetryInfo`, which the protocol's crate does not have.
///
/// Source: `google/rpc/error_details.proto`.
#[derive(Clone, PartialEq, ::prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

/// The status of a limit that is reached. Temporal's own detail comes first, where the SDKs look for it. When to try
/// again is said twice: as a detail, and as the metadata by which gRPC clients with a retry policy go. (The SDKs go by
/// the code alone, and wait longer after this one than after others.)
fn exhausted(
    message: String,
    cause: ResourceExhaustedCause,
    scope: ResourceExhaustedScope,
    retry_after: Duration,
) -> Status {
    let failure = details::ResourceExhaustedFailure {
        cause: cause as i32,
        scope: scope as i32,
    };
    let retry = RetryInfo {
        retry_delay: Some(prost_types::Duration {
            seconds: i64::try_from(retry_after.as_secs()).unwrap_or(i64::MAX),
            nanos: retry_after.subsec_nanos().cast_signed(),
        }),
    };
    let details = vec![
        any("temporal.api.errordetails.v1.ResourceExhaustedFailure", &failure),
        any("google.rpc.RetryInfo", &retry),
    ];
    let mut status = with_details(Code::ResourceExhausted, message, details);
    let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
    status
        .metadata_mut()
        .insert("grpc-retry-pushback-ms", MetadataValue::from(millis.max(1)));
    status
}

/// The status of several operations: the code is that of the first that failed by itself.
fn multi_operation(message: String, errors: Vec<Option<RpcError>>) -> Status {
    let is_cause = |error: &&RpcError| **error != RpcError::OperationAborted;
    let cause = errors.iter().flatten().find(is_cause).cloned();
    let code = cause.map_or(Code::Aborted, |error| Status::from(error).code());
    let statuses = errors.into_iter().map(|error| match error {
        None => OperationStatus::default(),
        Some(error) => {
            let status = Status::from(error);
            let details = rpc::Status::decode(status.details()).map(|status| status.details);
            OperationStatus {
                code: status.code() as i32,
                message: status.message().to_owned(),
                details: details.unwrap_or_default(),
            }
        }
    });
    let failure = details::MultiOperationExecutionFailure {
        statuses: statuses.collect(),
    };
    detailed(code, message, "MultiOperationExecutionFailure", &failure)
}
