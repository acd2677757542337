//! Batch operations: start, stop, describe, list.
#![allow(deprecated, reason = "older clients say it so")]

use prost::Message as _;
use temporalio_protos::temporal::api::{
    batch::v1::BatchOperationInfo,
    common::v1::Execution,
    enums::v1::{BatchOperationState, BatchOperationType, ExecutionType},
    workflowservice::v1::{
        DescribeBatchOperationRequest, DescribeBatchOperationResponse, ListBatchOperationsRequest,
        ListBatchOperationsResponse, StartBatchOperationRequest, StartBatchOperationResponse,
        StopBatchOperationRequest, StopBatchOperationResponse, start_batch_operation_request::Operation,
    },
};

use super::Service;
use crate::{
    clock::{timestamp, timestamp_opt},
    core::changes_after_reset,
    host::batch_operations::{batch_query, batch_scope, executions, is_of_activities},
    limits::Limits,
    rpc::RpcError,
    store::{BatchPlace, BatchRecord},
    token, visibility,
};

/// Operations in one page at most.
const PAGE: usize = 100;

impl Service {
    pub(super) async fn start_batch(
        &self,
        request: StartBatchOperationRequest,
    ) -> Result<StartBatchOperationResponse, RpcError> {
        check(&self.limits, &request)?;
        let namespace = request.namespace.clone();
        let (key, registry) = self
            .host
            .call(move |host| {
                let key = host.namespaces.key_of(&namespace)?;
                Ok((key, host.namespaces.registry(key)))
            })
            .await?;
        let mut refused = false;
        let mut total = executions(&request.executions, &request.target_executions).len() as i64;
        if !request.visibility_query.is_empty() {
            let text = batch_query(&request.visibility_query, request.operation.as_ref());
            // A wrong query is no error of the request: the operation itself fails, as on the real server.
            match batch_scope(key, &text, request.operation.as_ref(), &*registry) {
                Ok((scope, query)) => {
                    let counted = self.read(move |file| Ok(visibility::count(file, scope, &query)?));
                    total = counted.await?.total;
                }
                Err(_) => refused = true,
            }
        }
        let record = BatchRecord {
            request: Some(request),
            total,
            ..Default::default()
        };
        self.host
            .call(move |host| host.start_batch_operation(key, record, refused))
            .await?;
        Ok(StartBatchOperationResponse {})
    }

    pub(super) async fn stop_batch(
        &self,
        request: StopBatchOperationRequest,
    ) -> Result<StopBatchOperationResponse, RpcError> {
        self.limits.required_id("JobId", &request.job_id)?;
        self.limits.required_id("Reason", &request.reason)?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                host.stop_batch_operation(namespace, &request.job_id, request.reason)
            })
            .await?;
        Ok(StopBatchOperationResponse {})
    }

    pub(super) async fn describe_batch(
        &self,
        request: DescribeBatchOperationRequest,
    ) -> Result<DescribeBatchOperationResponse, RpcError> {
        self.limits.required_id("JobId", &request.job_id)?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                Ok(described(host.batch_operation(namespace, &request.job_id)?))
            })
            .await
    }

    pub(super) async fn list_batches(
        &self,
        request: ListBatchOperationsRequest,
    ) -> Result<ListBatchOperationsResponse, RpcError> {
        let limit = match usize::try_from(request.page_size) {
            Ok(given) if given > 0 => given.min(PAGE),
            _ => PAGE,
        };
        let place: Option<BatchPlace> = if request.next_page_token.is_empty() {
            None
        } else {
            Some(token::parse(&request.next_page_token, "NextPageToken")?)
        };
        let mut found = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                host.batch_operations(namespace, place.as_ref(), limit + 1)
            })
            .await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next_page_token = match found.last() {
            Some((job_id, record)) if has_more => BatchPlace {
                start_time: record.start_time,
                job_id: job_id.clone(),
            }
            .encode_to_vec(),
            _ => Vec::new(),
        };
        let info = |(job_id, record): (String, BatchRecord)| BatchOperationInfo {
            job_id,
            state: record.state,
            start_time: Some(timestamp(record.start_time)),
            close_time: timestamp_opt(record.close_time),
            operation_type: operation_type(record.request.and_then(|request| request.operation).as_ref())
                as i32,
        };
        Ok(ListBatchOperationsResponse {
            operation_info: found.into_iter().map(info).collect(),
            next_page_token,
        })
    }
}

fn check(limits: &Limits, request: &StartBatchOperationRequest) -> Result<(), RpcError> {
    limits.required_id("JobId", &request.job_id)?;
    let ways = [
        !request.visibility_query.is_empty(),
        !request.executions.is_empty(),
        !request.target_executions.is_empty(),
    ];
    let ways = ways.into_iter().filter(|is_used| *is_used).count();
    if request.reason.is_empty() || request.operation.is_none() || ways == 0 {
        return Err(RpcError::InvalidArgument(
            "must provide required parameters: BatchType,Reason,Namespace, AND one of (Query OR Executions OR TargetExecutions)".into(),
        ));
    }
    if ways > 1 {
        return Err(RpcError::InvalidArgument(
            "visibility query, executions, and target executions are mutually exclusive".into(),
        ));
    }
    let is_of_activities = is_of_activities(request.operation.as_ref());
    let fits = |target: &Execution| (target.r#type() == ExecutionType::Activity) == is_of_activities;
    if !request.target_executions.iter().all(fits) {
        return Err(RpcError::InvalidArgument(
            "the target executions are not of the kind that the operation is for".into(),
        ));
    }
    match &request.operation {
        Some(Operation::SignalOperation(signal)) if signal.signal.is_empty() => {
            Err(RpcError::InvalidArgument("must provide signal name".into()))
        }
        Some(Operation::ResetOperation(reset)) => {
            changes_after_reset(reset.post_reset_operations.clone()).map(drop)
        }
        Some(
            Operation::SignalOperation(_)
            | Operation::TerminationOperation(_)
            | Operation::CancellationOperation(_)
            | Operation::DeletionOperation(_)
            | Operation::UpdateWorkflowOptionsOperation(_)
            | Operation::UnpauseActivitiesOperation(_)
            | Operation::ResetActivitiesOperation(_)
            | Operation::UpdateActivityOptionsOperation(_)
            | Operation::CancelActivitiesOperation(_)
            | Operation::TerminateActivitiesOperation(_)
            | Operation::DeleteActivitiesOperation(_),
        )
        | None => Ok(()),
    }
}

fn operation_type(operation: Option<&Operation>) -> BatchOperationType {
    match operation {
        Some(Operation::TerminationOperation(_)) => BatchOperationType::TerminateWorkflow,
        Some(Operation::CancellationOperation(_)) => BatchOperationType::CancelWorkflow,
        Some(Operation::SignalOperation(_)) => BatchOperationType::SignalWorkflow,
        Some(Operation::DeletionOperation(_)) => BatchOperationType::DeleteWorkflow,
        Some(Operation::ResetOperation(_)) => BatchOperationType::ResetWorkflow,
        Some(Operation::UpdateWorkflowOptionsOperation(_)) => {
            BatchOperationType::UpdateWorkflowExecutionOptions
        }
        Some(Operation::UnpauseActivitiesOperation(_)) => BatchOperationType::UnpauseActivity,
        Some(Operation::ResetActivitiesOperation(_)) => BatchOperationType::ResetActivity,
        Some(Operation::UpdateActivityOptionsOperation(_)) => BatchOperationType::UpdateActivityOptions,
        Some(Operation::CancelActivitiesOperation(_)) => BatchOperationType::CancelActivity,
        Some(Operation::TerminateActivitiesOperation(_)) => BatchOperationType::TerminateActivity,
        Some(Operation::DeleteActivitiesOperation(_)) => BatchOperationType::DeleteActivity,
        None => BatchOperationType::Unspecified,
    }
}

/// Who asked for the operation.
fn identity(operation: Option<&Operation>) -> String {
    let identity = match operation {
        Some(Operation::TerminationOperation(operation)) => &operation.identity,
        Some(Operation::CancellationOperation(operation)) => &operation.identity,
        Some(Operation::SignalOperation(operation)) => &operation.identity,
        Some(Operation::DeletionOperation(operation)) => &operation.identity,
        Some(Operation::ResetOperation(operation)) => &operation.identity,
        Some(Operation::UpdateWorkflowOptionsOperation(operation)) => &operation.identity,
        Some(Operation::UnpauseActivitiesOperation(operation)) => &operation.identity,
        Some(Operation::ResetActivitiesOperation(operation)) => &operation.identity,
        Some(Operation::UpdateActivityOptionsOperation(operation)) => &operation.identity,
        Some(Operation::CancelActivitiesOperation(operation)) => &operation.identity,
        Some(Operation::TerminateActivitiesOperation(operation)) => &operation.identity,
        Some(Operation::DeleteActivitiesOperation(_)) | None => return String::new(),
    };
    identity.clone()
}

fn described(record: BatchRecord) -> DescribeBatchOperationResponse {
    let request = record.request.unwrap_or_default();
    let named = executions(&request.executions, &request.target_executions);
    let kind = match is_of_activities(request.operation.as_ref()) {
        true => ExecutionType::Activity,
        false => ExecutionType::Workflow,
    };
    let named = named.into_iter().map(|execution| Execution {
        r#type: kind as i32,
        business_id: execution.workflow_id,
        run_id: execution.run_id,
    });
    let state = BatchOperationState::try_from(record.state).unwrap_or_default();
    DescribeBatchOperationResponse {
        operation_type: operation_type(request.operation.as_ref()) as i32,
        job_id: request.job_id,
        state: state as i32,
        start_time: Some(timestamp(record.start_time)),
        close_time: timestamp_opt(record.close_time),
        total_operation_count: record.total,
        complete_operation_count: record.completed,
        failure_operation_count: record.failed,
        identity: identity(request.operation.as_ref()),
        reason: request.reason,
        query: request.visibility_query,
        executions: named.collect(),
    }
}
