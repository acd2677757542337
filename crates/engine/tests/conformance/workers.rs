//! Workers that report themselves.

use std::time::Duration;

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::WorkerStatus,
    worker::v1::{WorkerHeartbeat, WorkerHostInfo},
    workflowservice::v1::*,
};

use temporalio_sdk::runtime::RuntimeOptions;

use crate::bed::{Bed, both_engines, rpc};

pub(crate) fn heartbeat(key: &str, queue: &str, status: WorkerStatus) -> WorkerHeartbeat {
    WorkerHeartbeat {
        worker_instance_key: key.to_owned(),
        worker_identity: format!("worker {key}"),
        task_queue: queue.to_owned(),
        sdk_name: "by-hand".to_owned(),
        sdk_version: "1.2.3".to_owned(),
        status: status as i32,
        host_info: Some(WorkerHostInfo {
            host_name: "machine".to_owned(),
            process_id: "17".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) async fn record(bed: &Bed, heartbeats: Vec<WorkerHeartbeat>) {
    let request = RecordWorkerHeartbeatRequest {
        namespace: bed.namespace.clone(),
        identity: "worker".to_owned(),
        worker_heartbeat: heartbeats,
        ..Default::default()
    };
    rpc!(bed, record_worker_heartbeat, request).expect("a heartbeat");
}

async fn keys(bed: &Bed, query: &str) -> Vec<String> {
    let request = ListWorkersRequest {
        namespace: bed.namespace.clone(),
        query: query.to_owned(),
        ..Default::default()
    };
    let listed = rpc!(bed, list_workers, request).expect("a list");
    let mut keys: Vec<String> = listed
        .workers
        .into_iter()
        .map(|worker| worker.worker_instance_key)
        .collect();
    keys.sort();
    keys
}

both_engines! {
    async fn workers_are_listed_counted_and_described(bed: &Bed) {
        assert!(crate::namespaces::capabilities(bed).await.worker_heartbeats);
        assert_eq!(keys(bed, "").await, [""; 0]);
        record(bed, vec![
            heartbeat("a", "one", WorkerStatus::Running),
            heartbeat("b", "two", WorkerStatus::ShuttingDown),
        ])
        .await;
        assert_eq!(keys(bed, "").await, ["a", "b"]);
        for (query, found) in [
            ("TaskQueue = 'one'", vec!["a"]),
            ("TaskQueue != 'one'", vec!["b"]),
            ("Status = 'ShuttingDown' OR WorkerInstanceKey = 'a'", vec!["a", "b"]),
            ("HostName = 'machine' AND SdkName = 'by-hand' AND TaskQueue STARTS_WITH 't'", vec!["b"]),
            ("(SdkVersion = '1.2.3') AND (WorkerIdentity = 'worker a')", vec!["a"]),
            ("TaskQueue = 'three'", vec![]),
        ] {
            assert_eq!(keys(bed, query).await, found, "{query}");
        }
        let count = CountWorkersRequest {
            namespace: bed.namespace.clone(),
            query: "HostName = 'machine'".to_owned(),
            ..Default::default()
        };
        assert_eq!(rpc!(bed, count_workers, count).expect("a count").count, 2);
        let one = DescribeWorkerRequest {
            namespace: bed.namespace.clone(),
            worker_instance_key: "a".to_owned(),
        };
        let described = rpc!(bed, describe_worker, one).expect("a worker");
        let described = described.worker_info.and_then(|info| info.worker_heartbeat);
        assert_eq!(described, Some(heartbeat("a", "one", WorkerStatus::Running)));
        let list = ListWorkersRequest { namespace: bed.namespace.clone(), ..Default::default() };
        let listed = rpc!(bed, list_workers, list).expect("a list").workers;
        let short = listed.iter().find(|worker| worker.worker_instance_key == "a").expect("the worker");
        assert_eq!((short.host_name.as_str(), short.process_id.as_str()), ("machine", "17"));
    }

    async fn a_worker_that_has_shut_down_is_gone(bed: &Bed) {
        record(bed, vec![heartbeat("a", "one", WorkerStatus::Running)]).await;
        let request = ShutdownWorkerRequest {
            namespace: bed.namespace.clone(),
            worker_instance_key: "a".to_owned(),
            worker_heartbeat: Some(heartbeat("a", "one", WorkerStatus::Shutdown)),
            ..Default::default()
        };
        rpc!(bed, shutdown_worker, request).expect("an end");
        assert_eq!(keys(bed, "").await, [""; 0]);
    }

    async fn a_worker_that_is_shutting_down_is_listed(bed: &Bed) {
        let shut_down = |heartbeat| ShutdownWorkerRequest {
            namespace: bed.namespace.clone(),
            worker_instance_key: "a".to_owned(),
            worker_heartbeat: heartbeat,
            ..Default::default()
        };
        record(bed, vec![heartbeat("a", "one", WorkerStatus::Running)]).await;
        rpc!(bed, shutdown_worker, shut_down(None)).expect("an end");
        assert_eq!(keys(bed, "Status = 'Running'").await, ["a"]);
        let ending = heartbeat("a", "one", WorkerStatus::ShuttingDown);
        rpc!(bed, shutdown_worker, shut_down(Some(ending))).expect("an end");
        assert_eq!(keys(bed, "Status = 'ShuttingDown'").await, ["a"]);
    }

    async fn an_unknown_worker_is_not_found(bed: &Bed) {
        record(bed, vec![heartbeat("a", "one", WorkerStatus::Running)]).await;
        let request = DescribeWorkerRequest {
            namespace: bed.namespace.clone(),
            worker_instance_key: "nobody".to_owned(),
        };
        let error = rpc!(bed, describe_worker, request).expect_err("unknown");
        assert_eq!((error.code(), error.message()), (Code::NotFound, "Worker nobody not found"));
    }

    async fn a_query_that_is_none_is_refused(bed: &Bed) {
        let request = ListWorkersRequest {
            namespace: bed.namespace.clone(),
            query: "TaskQueue bad".to_owned(),
            ..Default::default()
        };
        assert_eq!(rpc!(bed, list_workers, request).expect_err("no query").code(), Code::InvalidArgument);
    }

    async fn an_sdk_worker_reports_itself(bed: &Bed) {
        let every_second = RuntimeOptions::builder().heartbeat_interval(Some(Duration::from_secs(1))).build();
        crate::sdk::with_worker_of(bed, every_second.expect("options"), |_| {}, async {
            let found = bed.eventually("it is listed", || async {
                let found = keys(bed, &format!("TaskQueue = '{}'", bed.queue)).await;
                (!found.is_empty()).then_some(found)
            })
            .await;
            assert_eq!(found.len(), 1);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_in_pages() {
    let bed = Bed::embedded().await;
    let all: Vec<String> = (0..5).map(|n| format!("worker-{n}")).collect();
    let heartbeats = all.iter().map(|key| heartbeat(key, "q", WorkerStatus::Running));
    record(&bed, heartbeats.collect()).await;
    let (mut found, mut token) = (Vec::new(), Vec::new());
    loop {
        let request = ListWorkersRequest {
            namespace: bed.namespace.clone(),
            page_size: 2,
            next_page_token: token,
            ..Default::default()
        };
        let page = rpc!(bed, list_workers, request).expect("a page");
        found.extend(page.workers.into_iter().map(|worker| worker.worker_instance_key));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found, all);
}
