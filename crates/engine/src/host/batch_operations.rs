//! Batch operations: one thing done to many executions, a few with each batch of the host.
//!
//! What is done and how far the operation is are written together, so that after a crash it goes on
//! where it was, and no execution is forgotten or done twice.
#![allow(deprecated, reason = "older clients say it so")]

use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution, enums::v1::BatchOperationState,
    workflowservice::v1::start_batch_operation_request::Operation,
};

use super::Host;
use crate::{
    clock::{Nanos, SECOND},
    rpc::RpcError,
    store::BatchRecord,
    visibility::{self, ActivityAttributes, AttributeTypes, Query, activity_namespace},
};

/// Executions a second where the request does not say, and at most.
const RATE: f64 = 1_000.0;
/// Steps a second, if that many are needed.
const STEPS: f64 = 20.0;
/// Batch operations under way at once in one namespace.
const MAXIMUM_OPEN: usize = 16;

/// An operation that is under way.
#[derive(Debug)]
struct Running {
    namespace: u32,
    job_id: String,
    record: BatchRecord,
    next_at: Nanos,
}

/// All operations that are under way.
#[derive(Debug, Default)]
pub(super) struct BatchOperations(Vec<Running>);

impl BatchOperations {
    /// Those that the file has.
    pub(super) fn new(open: Vec<(u32, String, BatchRecord)>) -> Self {
        let running = |(namespace, job_id, record)| Running {
            namespace,
            job_id,
            record,
            next_at: 0,
        };
        Self(open.into_iter().map(running).collect())
    }

    /// Drops the operations of a namespace that is being deleted.
    pub(super) fn forget_namespace(&mut self, namespace: u32) {
        self.0.retain(|running| running.namespace != namespace);
    }

    /// When the next step is due.
    pub(super) fn next_at(&self) -> Nanos {
        self.0
            .iter()
            .map(|running| running.next_at)
            .min()
            .unwrap_or(Nanos::MAX)
    }
}

impl Host {
    /// Begins a batch operation. `refused`: it has failed already, for its query is wrong.
    ///
    /// # Errors
    /// When there is one of this id, or there are too many.
    pub(crate) fn start_batch_operation(
        &mut self,
        namespace: u32,
        mut record: BatchRecord,
        refused: bool,
    ) -> Result<(), RpcError> {
        let job_id = record
            .request
            .as_ref()
            .map(|request| request.job_id.clone())
            .unwrap_or_default();
        let same = self.store.batch(namespace, &job_id).map_err(super::unreadable)?;
        if same.is_some() {
            return Err(RpcError::AlreadyStarted {
                message: format!("there is a batch operation with the job id {job_id} already"),
                start_request_id: String::new(),
                run_id: String::new(),
                first_run_id: String::new(),
            });
        }
        let open = self
            .batch_operations
            .0
            .iter()
            .filter(|running| running.namespace == namespace);
        if open.count() >= MAXIMUM_OPEN {
            return Err(RpcError::ResourceExhausted(
                "Max concurrent batch operations is reached".into(),
            ));
        }
        record.start_time = self.now();
        record.state = BatchOperationState::Running as i32;
        if refused {
            record.state = BatchOperationState::Failed as i32;
            record.close_time = record.start_time;
        }
        self.store
            .put_batch(namespace, &job_id, &record)
            .map_err(super::unwritable)?;
        if !refused {
            self.batch_operations.0.push(Running {
                namespace,
                job_id,
                record,
                next_at: 0,
            });
        }
        Ok(())
    }

    /// Ends a batch operation before it has done everything.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub(crate) fn stop_batch_operation(
        &mut self,
        namespace: u32,
        job_id: &str,
        reason: String,
    ) -> Result<(), RpcError> {
        let mut record = self.batch_operation(namespace, job_id)?;
        if record.close_time != 0 {
            return Err(RpcError::already_completed());
        }
        record.state = BatchOperationState::Failed as i32;
        record.close_time = self.now();
        if let Some(request) = &mut record.request {
            request.reason = reason;
        }
        let is_it = |running: &Running| running.namespace == namespace && running.job_id == job_id;
        self.batch_operations.0.retain(|running| !is_it(running));
        self.store
            .put_batch(namespace, job_id, &record)
            .map_err(super::unwritable)
    }

    /// The batch operation of this id.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn batch_operation(&self, namespace: u32, job_id: &str) -> Result<BatchRecord, RpcError> {
        let found = self.store.batch(namespace, job_id).map_err(super::unreadable)?;
        found.ok_or_else(|| RpcError::workflow_not_found(job_id))
    }

    /// Batch operations of a namespace after `place`, the newest first.
    pub(crate) fn batch_operations(
        &self,
        namespace: u32,
        place: Option<&crate::store::BatchPlace>,
        limit: usize,
    ) -> Result<Vec<(String, BatchRecord)>, RpcError> {
        self.store
            .list_batches(namespace, place, limit)
            .map_err(super::unreadable)
    }

    /// A step of each operation whose time has come.
    pub(super) fn go_on_with_batch_operations(&mut self) {
        if self.batch_operations.0.is_empty() {
            return;
        }
        let now = self.now();
        let (due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batch_operations.0)
            .into_iter()
            .partition(|running| running.next_at <= now);
        self.batch_operations.0 = waiting;
        for mut running in due {
            if let Err(error) = self.batch_step(&mut running, now) {
                tracing::error!(%error, job = running.job_id, "a batch operation has failed");
                running.record.state = BatchOperationState::Failed as i32;
                running.record.close_time = now;
            }
            let written = self
                .store
                .put_batch(running.namespace, &running.job_id, &running.record);
            if let Err(error) = written {
                // Neither is what the step did: the batch fails as a whole.
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a batch operation cannot be written"
                );
            }
            if running.record.close_time == 0 {
                self.batch_operations.0.push(running);
            }
        }
    }

    fn batch_step(&mut self, running: &mut Running, now: Nanos) -> Result<(), RpcError> {
        let record = &mut running.record;
        let Some(request) = record.request.clone() else {
            return Err(RpcError::Internal("a batch operation without its request".into()));
        };
        let rate = match f64::from(request.max_operations_per_second) {
            given if given > 0.0 => given.min(RATE),
            _ => RATE,
        };
        let most = match request.operation {
            // A reset copies a history.
            Some(Operation::ResetOperation(_)) => 5.0,
            _ => rate,
        };
        let count = (rate / STEPS).min(most).max(1.0) as usize;
        running.next_at = now.saturating_add((count as f64 / rate * SECOND as f64) as Nanos);

        let done = usize::try_from(record.completed + record.failed).unwrap_or(0);
        let (executions, is_last) = if request.visibility_query.is_empty() {
            let all = executions(&request.executions, &request.target_executions);
            let next: Vec<_> = all.iter().skip(done).take(count).cloned().collect();
            let is_last = done + next.len() >= all.len();
            (next, is_last)
        } else {
            let query = batch_query(&request.visibility_query, request.operation.as_ref());
            let registry = self.namespaces.registry(running.namespace);
            let (scope, query) =
                batch_scope(running.namespace, &query, request.operation.as_ref(), &*registry)
                    .map_err(|error| RpcError::InvalidArgument(error.to_string()))?;
            self.file_all().map_err(super::unwritable)?;
            let page = visibility::list(self.store.connection(), scope, &query, count, &record.place)
                .map_err(|error| RpcError::Unavailable(error.to_string()))?;
            let found = page.executions.into_iter().map(|row| WorkflowExecution {
                workflow_id: row.workflow_id,
                run_id: row.run_id,
            });
            let is_last = page.next_page_token.is_empty();
            record.place = page.next_page_token;
            (found.collect(), is_last)
        };
        let deletes = matches!(
            request.operation,
            Some(Operation::DeletionOperation(_) | Operation::DeleteActivitiesOperation(_))
        );
        for execution in executions {
            match self.batch_one(running.namespace, &execution, &request) {
                // Deleted a moment ago, and still in the list.
                Err(RpcError::NotFound(_)) if deletes && !request.visibility_query.is_empty() => {}
                // One that is gone or closed meanwhile needs nothing any more.
                Ok(()) | Err(RpcError::NotFound(_)) => record.completed += 1,
                Err(error) => {
                    tracing::debug!(%error, workflow = execution.workflow_id, "a batch operation fails on an execution");
                    record.failed += 1;
                }
            }
        }
        if is_last {
            record.state = BatchOperationState::Completed as i32;
            record.close_time = now;
            record.total = record.completed + record.failed;
        }
        Ok(())
    }
}

/// The executions that a request names.
pub(crate) fn executions(
    executions: &[WorkflowExecution],
    targets: &[temporalio_protos::temporal::api::common::v1::Execution],
) -> Vec<WorkflowExecution> {
    if targets.is_empty() {
        return executions.to_vec();
    }
    let target = |target: &temporalio_protos::temporal::api::common::v1::Execution| WorkflowExecution {
        workflow_id: target.business_id.clone(),
        run_id: target.run_id.clone(),
    };
    targets.iter().map(target).collect()
}

/// The query for what an operation is done to: most are done to running executions alone.
pub(crate) fn batch_query(query: &str, operation: Option<&Operation>) -> String {
    match operation {
        Some(
            Operation::ResetOperation(_)
            | Operation::DeletionOperation(_)
            | Operation::DeleteActivitiesOperation(_),
        )
        | None => query.to_owned(),
        Some(_) => format!("({query}) AND (ExecutionStatus = 'Running')"),
    }
}

/// Whether an operation is done to standalone activities.
pub(crate) fn is_of_activities(operation: Option<&Operation>) -> bool {
    matches!(
        operation,
        Some(
            Operation::CancelActivitiesOperation(_)
                | Operation::TerminateActivitiesOperation(_)
                | Operation::DeleteActivitiesOperation(_)
        )
    )
}

/// Where the executions are listed that an operation is done to, and the query on them.
///
/// # Errors
/// When the query is wrong.
pub(crate) fn batch_scope(
    namespace: u32,
    query: &str,
    operation: Option<&Operation>,
    registry: &dyn AttributeTypes,
) -> Result<(i64, Query), visibility::Error> {
    if is_of_activities(operation) {
        let query = Query::parse(query, &ActivityAttributes(registry))?;
        return Ok((activity_namespace(namespace), query));
    }
    Ok((i64::from(namespace), Query::parse(query, registry)?))
}
