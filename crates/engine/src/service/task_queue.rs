//! `DescribeTaskQueue`, `ListTaskQueuePartitions`, `UpdateTaskQueueConfig`.

use std::collections::HashMap;

use temporalio_protos::temporal::api::{
    enums::v1::{
        BuildIdTaskReachability, DescribeTaskQueueMode, RateLimitSource, TaskQueueKind, TaskQueueType,
    },
    taskqueue::v1::{
        ConfigMetadata, PollerInfo, RateLimitConfig, TaskQueueConfig, TaskQueuePartitionMetadata,
        TaskQueueStats, TaskQueueStatus, TaskQueueTypeInfo, TaskQueueVersionInfo, TaskQueueVersioningInfo,
    },
    workflowservice::v1::{
        DescribeTaskQueueRequest, DescribeTaskQueueResponse, ListTaskQueuePartitionsRequest,
        ListTaskQueuePartitionsResponse, UpdateTaskQueueConfigRequest, UpdateTaskQueueConfigResponse,
        describe_task_queue_response::EffectiveRateLimit,
    },
};

use super::{Service, limits};
use crate::{
    clock::{Nanos, duration, timestamp},
    host::{
        Host,
        backlog::{DEFAULT_PRIORITY, LOWEST_PRIORITY},
        matching::{QueueId, QueueKind, TaskQueue},
    },
    rpc::RpcError,
};

/// What a poller without a rate of its own is shown with, as the SDKs' default.
const UNLIMITED: f64 = 100_000.0;
/// What is shown as the version of workers that have none.
const UNVERSIONED: &str = "__unversioned__";

impl Service {
    pub(super) async fn describe_task_queue(
        &self,
        request: DescribeTaskQueueRequest,
    ) -> Result<DescribeTaskQueueResponse, RpcError> {
        let kind = request
            .task_queue
            .as_ref()
            .map_or(TaskQueueKind::Unspecified, |queue| queue.kind());
        let name = limits::task_queue(request.task_queue.clone())?;
        #[allow(deprecated, reason = "the command line asks in this mode")]
        let is_enhanced = request.api_mode() == DescribeTaskQueueMode::Enhanced;
        if is_enhanced && kind == TaskQueueKind::Sticky {
            return Err(RpcError::InvalidArgument(
                "DescribeTaskQueue ENHANCED mode is not supported for sticky queues".into(),
            ));
        }
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let now = host.now();
                if is_enhanced {
                    return Ok(enhanced(host, namespace, &name, &request, now));
                }
                let queue_type = match request.task_queue_type() {
                    TaskQueueType::Unspecified => TaskQueueType::Workflow,
                    given => given,
                };
                Ok(described(host, namespace, name, queue_type, &request, now))
            })
            .await
    }

    pub(super) async fn list_partitions(
        &self,
        request: ListTaskQueuePartitionsRequest,
    ) -> Result<ListTaskQueuePartitionsResponse, RpcError> {
        let name = limits::task_queue(request.task_queue)?;
        let namespace = request.namespace;
        self.host
            .call(move |host| host.namespaces.key_of(&namespace).map(drop))
            .await?;
        // A queue is one list in one thread's memory, so it is its only partition.
        let partition = TaskQueuePartitionMetadata {
            key: name,
            owner_host_name: "segno".to_owned(),
        };
        Ok(ListTaskQueuePartitionsResponse {
            activity_task_queue_partitions: vec![partition.clone()],
            workflow_task_queue_partitions: vec![partition],
        })
    }

    pub(super) async fn update_task_queue_config(
        &self,
        request: UpdateTaskQueueConfigRequest,
    ) -> Result<UpdateTaskQueueConfigResponse, RpcError> {
        let invalid = |message: &str| Err(RpcError::InvalidArgument(message.to_owned()));
        if request.task_queue.is_empty() {
            return invalid("missing task queue name");
        }
        limits::id("TaskQueue", &request.task_queue)?;
        let limits_queue = request.update_queue_rate_limit.is_some();
        match request.task_queue_type() {
            TaskQueueType::Activity => {}
            TaskQueueType::Workflow if limits_queue => {
                return invalid("Setting rate limit on workflow task queues is not allowed.");
            }
            TaskQueueType::Unspecified => return invalid("TaskQueueType is not set on request."),
            _ => {
                return Err(RpcError::Unimplemented(
                    "this engine does not implement the configuration of other task queues than those of activities"
                        .into(),
                ));
            }
        }
        if request.update_fairness_key_rate_limit_default.is_some()
            || !request.set_fairness_weight_overrides.is_empty()
            || !request.unset_fairness_weight_overrides.is_empty()
        {
            return Err(RpcError::Unimplemented(
                "this engine does not implement fairness keys of task queues".into(),
            ));
        }
        let limit = request.update_queue_rate_limit.as_ref();
        let rate = limit.and_then(|update| update.rate_limit);
        if rate.is_some_and(|rate| !rate.requests_per_second.is_finite() || rate.requests_per_second < 0.0) {
            return invalid("RequestsPerSecond must not be negative.");
        }
        let config = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let id = QueueId {
                    namespace,
                    kind: QueueKind::Activity,
                    name: request.task_queue,
                };
                let mut config = host.queues.config(&id).cloned().unwrap_or_default();
                if let Some(update) = request.update_queue_rate_limit {
                    let now = host.now();
                    config.queue_rate_limit = Some(RateLimitConfig {
                        rate_limit: update.rate_limit,
                        metadata: Some(ConfigMetadata {
                            reason: update.reason,
                            update_identity: request.identity,
                            update_time: Some(timestamp(now)),
                        }),
                    });
                    host.configure_queue(&id, config.clone())?;
                }
                Ok(config)
            })
            .await?;
        Ok(UpdateTaskQueueConfigResponse { config: Some(config) })
    }
}

/// The queue that holds tasks of this type; none where this engine has no such tasks.
fn queue_id(namespace: u32, name: &str, queue_type: TaskQueueType) -> Option<QueueId> {
    let kind = match queue_type {
        TaskQueueType::Workflow => QueueKind::Workflow,
        TaskQueueType::Activity => QueueKind::Activity,
        TaskQueueType::Unspecified | TaskQueueType::Nexus => return None,
    };
    Some(QueueId {
        namespace,
        kind,
        name: name.to_owned(),
    })
}

#[allow(deprecated, reason = "older command lines read the status")]
fn described(
    host: &Host,
    namespace: u32,
    name: String,
    queue_type: TaskQueueType,
    request: &DescribeTaskQueueRequest,
    now: Nanos,
) -> DescribeTaskQueueResponse {
    let id = queue_id(namespace, &name, queue_type);
    let queue = id.as_ref().and_then(|id| host.queues.get(id));
    let config = id.as_ref().and_then(|id| host.queues.config(id));
    let limit = queue
        .and_then(TaskQueue::limit)
        .or_else(|| configured_rate(config));
    let mut answer = DescribeTaskQueueResponse {
        pollers: queue.map(|queue| pollers(queue, now)).unwrap_or_default(),
        versioning_info: Some(TaskQueueVersioningInfo {
            current_version: UNVERSIONED.to_owned(),
            ..Default::default()
        }),
        // Only a limit that holds: the engine has none of its own.
        effective_rate_limit: limit.map(|rate| EffectiveRateLimit {
            requests_per_second: rate as f32,
            rate_limit_source: match configured_rate(config) {
                Some(_) => RateLimitSource::Api,
                None => RateLimitSource::Worker,
            } as i32,
        }),
        ..Default::default()
    };
    if request.report_stats {
        answer.stats = Some(stats(queue, None, now));
        let in_use = |priority: &i32| {
            *priority == DEFAULT_PRIORITY || queue.is_some_and(|queue| queue.backlog.len_of(*priority) > 0)
        };
        answer.stats_by_priority_key = (1..=LOWEST_PRIORITY)
            .filter(in_use)
            .map(|priority| (priority, stats(queue, Some(priority), now)))
            .collect();
    }
    if request.report_config {
        answer.config = config.cloned();
    }
    if request.include_task_queue_status {
        answer.task_queue_status = Some(TaskQueueStatus {
            backlog_count_hint: count(queue.map_or(0, TaskQueue::backlog)),
            rate_per_second: limit.unwrap_or(UNLIMITED),
            ..Default::default()
        });
    }
    answer
}

#[allow(deprecated, reason = "the command line asks in this mode")]
fn enhanced(
    host: &Host,
    namespace: u32,
    name: &str,
    request: &DescribeTaskQueueRequest,
    now: Nanos,
) -> DescribeTaskQueueResponse {
    let mut types: Vec<TaskQueueType> = request.task_queue_types().collect();
    if types.is_empty() {
        types = vec![TaskQueueType::Workflow, TaskQueueType::Activity];
    }
    let types_info: HashMap<i32, TaskQueueTypeInfo> = types
        .into_iter()
        .map(|queue_type| {
            let queue = queue_id(namespace, name, queue_type);
            let queue = queue.as_ref().and_then(|id| host.queues.get(id));
            let pollers = if request.report_pollers {
                queue.map(|queue| pollers(queue, now)).unwrap_or_default()
            } else {
                Vec::new()
            };
            let info = TaskQueueTypeInfo {
                pollers,
                stats: request.report_stats.then(|| stats(queue, None, now)),
            };
            (queue_type as i32, info)
        })
        .collect();
    let reachability = if request.report_task_reachability {
        BuildIdTaskReachability::Reachable
    } else {
        BuildIdTaskReachability::Unspecified
    };
    // All workers are unversioned to this engine, and that version's name is the empty one.
    let unversioned = TaskQueueVersionInfo {
        types_info,
        task_reachability: reachability as i32,
    };
    DescribeTaskQueueResponse {
        versions_info: HashMap::from([(String::new(), unversioned)]),
        ..Default::default()
    }
}

fn configured_rate(config: Option<&TaskQueueConfig>) -> Option<f64> {
    let rate = config?.queue_rate_limit.as_ref()?.rate_limit?;
    Some(f64::from(rate.requests_per_second))
}

#[allow(deprecated, reason = "the message has a deprecated field")]
fn pollers(queue: &TaskQueue, now: Nanos) -> Vec<PollerInfo> {
    let mut pollers: Vec<PollerInfo> = queue
        .seen_pollers(now)
        .map(|(identity, seen)| PollerInfo {
            last_access_time: Some(timestamp(seen.at)),
            identity: identity.to_owned(),
            rate_per_second: seen.rate.unwrap_or(UNLIMITED),
            deployment_options: seen.deployment.clone(),
            ..Default::default()
        })
        .collect();
    pollers.sort_by(|a, b| a.identity.cmp(&b.identity));
    pollers
}

/// The figures of a queue: of one priority key the backlog alone, as rates are counted for all.
fn stats(queue: Option<&TaskQueue>, priority: Option<i32>, now: Nanos) -> TaskQueueStats {
    let Some(queue) = queue else {
        return TaskQueueStats {
            approximate_backlog_age: Some(duration(0)),
            ..Default::default()
        };
    };
    let backlog = priority.map_or(queue.backlog.len(), |priority| queue.backlog.len_of(priority));
    let age = queue
        .backlog
        .oldest(priority)
        .map_or(0, |since| (now - since).max(0));
    let of_all = priority.is_none_or(|priority| priority == DEFAULT_PRIORITY);
    TaskQueueStats {
        approximate_backlog_count: count(backlog),
        approximate_backlog_age: Some(duration(age)),
        tasks_add_rate: if of_all { queue.added.per_second(now) } else { 0.0 },
        tasks_dispatch_rate: if of_all {
            queue.dispatched.per_second(now)
        } else {
            0.0
        },
        rate_limiting_active: queue.was_throttled(now),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
