//! Workers that report themselves: `RecordWorkerHeartbeat`, `ListWorkers`, `CountWorkers`,
//! `DescribeWorker`.

use temporalio_protos::temporal::api::{
    worker::v1::{WorkerHeartbeat, WorkerInfo, WorkerListInfo},
    workflowservice::v1::{
        CountWorkersRequest, CountWorkersResponse, DescribeWorkerRequest, DescribeWorkerResponse,
        ListWorkersRequest, ListWorkersResponse, RecordWorkerHeartbeatRequest, RecordWorkerHeartbeatResponse,
    },
};

use super::{Service, worker_query::WorkerQuery};
use crate::rpc::RpcError;

/// Workers on a page that does not say how many.
const PAGE: usize = 1_000;

impl Service {
    pub(super) async fn record_worker_heartbeat(
        &self,
        request: RecordWorkerHeartbeatRequest,
    ) -> Result<RecordWorkerHeartbeatResponse, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let now = host.now();
                for heartbeat in request.worker_heartbeat {
                    host.workers.record(namespace, heartbeat, now);
                }
                Ok(())
            })
            .await?;
        Ok(RecordWorkerHeartbeatResponse {})
    }

    #[allow(deprecated, reason = "clients of the first form read the full heartbeats")]
    pub(super) async fn list_workers(
        &self,
        request: ListWorkersRequest,
    ) -> Result<ListWorkersResponse, RpcError> {
        let query = WorkerQuery::parse(&request.query)?;
        let size = usize::try_from(request.page_size)
            .ok()
            .filter(|size| *size > 0)
            .unwrap_or(PAGE)
            .min(PAGE);
        let after = String::from_utf8(request.next_page_token)
            .map_err(|_| RpcError::InvalidArgument("invalid next_page_token".into()))?;
        let mut found: Vec<WorkerHeartbeat> = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let now = host.now();
                let found = host.workers.list(namespace, &after, now);
                Ok(found
                    .filter(|worker| query.matches(worker))
                    .take(size + 1)
                    .cloned()
                    .collect())
            })
            .await?;
        let has_more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| has_more);
        let next_page_token =
            last.map_or_else(Vec::new, |last| last.worker_instance_key.clone().into_bytes());
        Ok(ListWorkersResponse {
            workers: found.iter().map(short).collect(),
            workers_info: found.into_iter().map(full).collect(),
            next_page_token,
        })
    }

    pub(super) async fn count_workers(
        &self,
        request: CountWorkersRequest,
    ) -> Result<CountWorkersResponse, RpcError> {
        let query = WorkerQuery::parse(&request.query)?;
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let now = host.now();
                let found = host.workers.list(namespace, "", now);
                let count = found.filter(|worker| query.matches(worker)).count();
                Ok(CountWorkersResponse {
                    count: i64::try_from(count).unwrap_or(i64::MAX),
                })
            })
            .await
    }

    pub(super) async fn describe_worker(
        &self,
        request: DescribeWorkerRequest,
    ) -> Result<DescribeWorkerResponse, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = request.worker_instance_key;
                let now = host.now();
                let found = host.workers.get(namespace, &key, now).cloned();
                let found = found.ok_or_else(|| RpcError::NotFound(format!("Worker {key} not found")))?;
                Ok(DescribeWorkerResponse {
                    worker_info: Some(full(found)),
                })
            })
            .await
    }
}

fn full(heartbeat: WorkerHeartbeat) -> WorkerInfo {
    WorkerInfo {
        worker_heartbeat: Some(heartbeat),
    }
}

fn short(heartbeat: &WorkerHeartbeat) -> WorkerListInfo {
    let host = heartbeat.host_info.clone().unwrap_or_default();
    WorkerListInfo {
        worker_instance_key: heartbeat.worker_instance_key.clone(),
        worker_identity: heartbeat.worker_identity.clone(),
        task_queue: heartbeat.task_queue.clone(),
        deployment_version: heartbeat.deployment_version.clone(),
        sdk_name: heartbeat.sdk_name.clone(),
        sdk_version: heartbeat.sdk_version.clone(),
        status: heartbeat.status,
        start_time: heartbeat.start_time,
        host_name: host.host_name,
        worker_grouping_key: host.worker_grouping_key,
        process_id: host.process_id,
        plugins: heartbeat.plugins.clone(),
        drivers: heartbeat.drivers.clone(),
    }
}
