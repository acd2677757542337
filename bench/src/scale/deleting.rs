//! Very many executions are deleted: what others feel of it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use temporalio_client::{Client, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::{
    batch::v1::BatchOperationDeletion,
    workflowservice::v1::{
        CountWorkflowExecutionsRequest, StartBatchOperationRequest, start_batch_operation_request::Operation,
    },
};

use super::calls::{NAMESPACE, start};
use crate::{disk, drive::count, target::Target};

/// How often it is asked whether all are gone.
const ASK: Duration = Duration::from_secs(1);

/// A deletion.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Deletion {
    pub(crate) executions: i64,
    pub(crate) seconds: f64,
    /// Starts that were made one after the other meanwhile.
    pub(crate) starts: usize,
    pub(crate) mean_ms: f64,
    pub(crate) most_ms: f64,
    /// The file and its log, before and after.
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
}

/// Deletes what the query finds, and makes starts meanwhile.
///
/// # Errors
/// When a call fails, or nothing is found.
pub(crate) async fn measure(
    target: &Target,
    client: &Client,
    query: &str,
    limit: Duration,
) -> Result<Deletion> {
    let file = target.file().map(ToOwned::to_owned).unwrap_or_default();
    let executions = found(client, query).await?;
    ensure!(executions > 0, "nothing to delete");
    let bytes_before = disk::settled_bytes(&file)?;
    let began = Instant::now();
    let request = StartBatchOperationRequest {
        namespace: NAMESPACE.to_owned(),
        job_id: "delete".to_owned(),
        reason: "measured".to_owned(),
        visibility_query: query.to_owned(),
        operation: Some(Operation::DeletionOperation(BatchOperationDeletion::default())),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    service.start_batch_operation(request.into_request()).await?;
    let mut took = Vec::new();
    let mut asked = began;
    loop {
        let id = format!("meanwhile-{}", took.len());
        let before = Instant::now();
        start(client, &id, None).await?;
        took.push(before.elapsed());
        if asked.elapsed() > ASK {
            if found(client, query).await? == 0 {
                break;
            }
            ensure!(began.elapsed() < limit, "not all are deleted in {limit:?}");
            asked = Instant::now();
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let (all, most) = (
        took.iter().sum::<Duration>(),
        took.iter().max().copied().unwrap_or_default(),
    );
    let deletion = Deletion {
        executions,
        seconds,
        starts: took.len(),
        mean_ms: all.as_secs_f64() * 1_000.0 / count(took.len()),
        most_ms: most.as_secs_f64() * 1_000.0,
        bytes_before,
        bytes_after: disk::settled_bytes(&file)?,
    };
    eprintln!(
        "  {executions} deleted in {seconds:.0} s; starts meanwhile took {:.1} ms, at most {:.1}",
        deletion.mean_ms, deletion.most_ms
    );
    Ok(deletion)
}

async fn found(client: &Client, query: &str) -> Result<i64> {
    let request = CountWorkflowExecutionsRequest {
        namespace: NAMESPACE.to_owned(),
        query: query.to_owned(),
    };
    let mut service = client.connection().workflow_service();
    let answer = service.count_workflow_executions(request.into_request()).await?;
    Ok(answer.into_inner().count)
}
