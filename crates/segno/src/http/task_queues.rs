//! `/task-queues` and `/workers`: what waits for workers, and who they are.

use std::collections::BTreeSet;

use axum::{Json, Router, extract::State, routing::get};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::{TaskQueueType, WorkerStatus},
    worker::v1::{WorkerHeartbeat, WorkerSlotsInfo},
    workflowservice::v1::{ListWorkersRequest, ListWorkflowExecutionsRequest},
};
use utoipa::ToSchema;

use super::{
    executions::problem_of_engine,
    extract::Path,
    problem::{MEDIA_TYPE, Problem},
};
use crate::{run::rfc3339, task_queue, worker::TASK_QUEUE};

/// Executions that are looked at for the names of queues.
const LOOKED_AT: i32 = 1000;
/// Queues that are listed.
const MAX_QUEUES: usize = 100;
/// Queues that are asked about side by side.
const CONCURRENT: usize = 8;
/// Workers that are listed.
const MAX_WORKERS: i32 = 200;

/// The routes of this file.
pub(super) fn router(client: Client) -> Router {
    Router::new()
        .route("/task-queues", get(list))
        .route("/task-queues/{name}", get(show))
        .route("/workers", get(workers))
        .with_state(client)
}

/// Task queues.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskQueueList)]
pub(super) struct List {
    task_queues: Vec<Queue>,
}

/// A task queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskQueue)]
pub(super) struct Queue {
    name: String,
    /// Of its workflow tasks.
    workflow: Side,
    /// Of its activity tasks.
    activity: Side,
}

/// One kind of a queue's tasks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskQueueSide)]
pub(super) struct Side {
    /// How many wait, about.
    backlog: i64,
    /// For how many seconds the first of them has.
    oldest_seconds: f64,
    /// How many come in a second.
    added_per_second: f32,
    /// How many go to workers in a second.
    dispatched_per_second: f32,
    /// Who has asked for them within the last minutes.
    pollers: Vec<Poller>,
}

/// A worker that polls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskQueuePoller)]
pub(super) struct Poller {
    identity: String,
    /// When it asked last (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    last_access: Option<String>,
}

/// The workers that report themselves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkerList)]
pub(super) struct Workers {
    /// Whether the engine tells of them: older ones of a cluster do not.
    supported: bool,
    workers: Vec<Worker>,
}

/// A worker, as it reports itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Worker {
    identity: String,
    task_queue: String,
    /// `Running`, `ShuttingDown` or `Shutdown`.
    #[schema(example = "Running")]
    status: &'static str,
    sdk: String,
    host: String,
    /// Its process, as that names itself.
    process: String,
    /// When it began (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    /// When it was heard of last (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<String>,
    /// What it has room for in workflow tasks.
    workflow: Slots,
    /// What it has room for in activities.
    activity: Slots,
}

/// What a worker has in hand, and room for.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = WorkerSlots)]
pub(super) struct Slots {
    used: i32,
    available: i32,
    processed: i32,
    failed: i32,
}

/// Lists task queues: Segno's own, and those of the executions that run.
#[utoipa::path(
    get, path = "/task-queues", tag = "task queues",
    responses(
        (status = 200, description = "The queues.", body = List),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn list(State(client): State<Client>) -> Result<Json<List>, Problem> {
    let names = names(&client).await.map_err(problem_of_engine)?;
    let task_queues = stream::iter(names.into_iter().map(|name| queue(&client, name)))
        .buffered(CONCURRENT)
        .try_collect()
        .await
        .map_err(problem_of_engine)?;
    Ok(Json(List { task_queues }))
}

/// Shows a task queue; one that nobody uses is empty.
#[utoipa::path(
    get, path = "/task-queues/{name}", tag = "task queues",
    params(("name" = String, Path, description = "Name of the queue, percent-encoded.")),
    responses(
        (status = 200, description = "The queue.", body = Queue),
        (status = 400, description = "The name is none.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn show(
    State(client): State<Client>,
    Path(name): Path<String>,
) -> Result<Json<Queue>, Problem> {
    queue(&client, name).await.map(Json).map_err(problem_of_engine)
}

/// Lists the workers that report themselves to the engine.
#[utoipa::path(
    get, path = "/workers", tag = "task queues",
    responses(
        (status = 200, description = "The workers.", body = Workers),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn workers(State(client): State<Client>) -> Result<Json<Workers>, Problem> {
    let request = ListWorkersRequest {
        namespace: client.namespace(),
        page_size: MAX_WORKERS,
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    match service.list_workers(request.into_request()).await {
        Ok(reply) => {
            #[expect(deprecated, reason = "what took its place leaves out heartbeats and slots")]
            let told = reply.into_inner().workers_info;
            let workers = told
                .into_iter()
                .filter_map(|info| info.worker_heartbeat)
                .map(Worker::of);
            Ok(Json(Workers {
                supported: true,
                workers: workers.collect(),
            }))
        }
        Err(status) if matches!(status.code(), Code::Unimplemented | Code::PermissionDenied) => {
            Ok(Json(Workers {
                supported: false,
                workers: Vec::new(),
            }))
        }
        Err(status) => Err(problem_of_engine(status)),
    }
}

impl Worker {
    fn of(heartbeat: WorkerHeartbeat) -> Self {
        let status = match heartbeat.status() {
            WorkerStatus::Running => "Running",
            WorkerStatus::ShuttingDown => "ShuttingDown",
            WorkerStatus::Shutdown => "Shutdown",
            WorkerStatus::Unspecified => "Unspecified",
        };
        let host = heartbeat.host_info.unwrap_or_default();
        Self {
            identity: heartbeat.worker_identity,
            task_queue: heartbeat.task_queue,
            status,
            sdk: format!("{} {}", heartbeat.sdk_name, heartbeat.sdk_version),
            host: host.host_name,
            process: host.process_id,
            started: heartbeat.start_time.and_then(rfc3339),
            heartbeat: heartbeat.heartbeat_time.and_then(rfc3339),
            workflow: Slots::of(heartbeat.workflow_task_slots_info),
            activity: Slots::of(heartbeat.activity_task_slots_info),
        }
    }
}

impl Slots {
    fn of(info: Option<WorkerSlotsInfo>) -> Self {
        let info = info.unwrap_or_default();
        Self {
            used: info.current_used_slots,
            available: info.current_available_slots,
            processed: info.total_processed_tasks,
            failed: info.total_failed_tasks,
        }
    }
}

/// No engine lists the names of its queues. Segno's own is known, and others are those of what runs.
async fn names(client: &Client) -> Result<BTreeSet<String>, Status> {
    let request = ListWorkflowExecutionsRequest {
        namespace: client.namespace(),
        page_size: LOOKED_AT,
        query: "ExecutionStatus = 'Running'".to_owned(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = service
        .list_workflow_executions(request.into_request())
        .await?
        .into_inner();
    let mut names = BTreeSet::from([TASK_QUEUE.to_owned()]);
    for info in reply.executions {
        if names.len() < MAX_QUEUES && !info.task_queue.is_empty() {
            names.insert(info.task_queue);
        }
    }
    Ok(names)
}

async fn queue(client: &Client, name: String) -> Result<Queue, Status> {
    let (workflow, activity) = tokio::try_join!(
        side(client, &name, TaskQueueType::Workflow),
        side(client, &name, TaskQueueType::Activity)
    )?;
    Ok(Queue {
        name,
        workflow,
        activity,
    })
}

async fn side(client: &Client, name: &str, kind: TaskQueueType) -> Result<Side, Status> {
    let (stats, pollers) = task_queue::describe(client, name, kind).await?;
    let oldest = stats.approximate_backlog_age;
    let oldest = oldest.and_then(|age| std::time::Duration::try_from(age).ok());
    let pollers = pollers.into_iter().map(|poller| Poller {
        identity: poller.identity,
        last_access: poller.last_access_time.and_then(rfc3339),
    });
    Ok(Side {
        backlog: stats.approximate_backlog_count,
        oldest_seconds: oldest.unwrap_or_default().as_secs_f64(),
        added_per_second: stats.tasks_add_rate,
        dispatched_per_second: stats.tasks_dispatch_rate,
        pollers: pollers.collect(),
    })
}
