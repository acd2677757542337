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

use super::Service;
use crate::{
    clock::{Nanos, duration, timestamp, timestamp_opt},
    core::{UNVERSIONED, Version},
    deployment::Routing,
    host::{
        Host,
        backlog::{DEFAULT_PRIORITY, LOWEST_PRIORITY},
        matching::{QueueId, QueueKind},
        task_queue::TaskQueue,
    },
    rpc::RpcError,
};

/// What a poller without a rate of its own is shown with, as the SDKs' default.
const UNLIMITED: f64 = 100_000.0;

impl Service {
    pub(super) async fn describe_task_queue(
        &self,
        request: DescribeTaskQueueRequest,
    ) -> Result<DescribeTaskQueueResponse, RpcError> {
        let kind = request
            .task_queue
            .as_ref()
            .map_or(TaskQueueKind::Unspecified, |queue| queue.kind());
        let name = self.limits.task_queue(request.task_queue.clone())?;
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
        let name = self.limits.task_queue(request.task_queue)?;
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
        self.limits.id("TaskQueue", &request.task_queue)?;
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
                let id = QueueId::new(namespace, QueueKind::Activity, request.task_queue);
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

/// The queue that holds tasks of this type; none where the type is none.
fn queue_id(namespace: u32, name: &str, queue_type: TaskQueueType) -> Option<QueueId> {
    let kind = match queue_type {
        TaskQueueType::Workflow => QueueKind::Workflow,
        TaskQueueType::Activity => QueueKind::Activity,
        TaskQueueType::Nexus => QueueKind::Nexus,
        TaskQueueType::Unspecified => return None,
    };
    Some(QueueId::new(namespace, kind, name.to_owned()))
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
    let parts: Vec<&TaskQueue> = id
        .iter()
        .flat_map(|id| host.queues.parts(id))
        .map(|(_, queue)| queue)
        .collect();
    let queue = id.as_ref().and_then(|id| host.queues.get(id));
    let config = id.as_ref().and_then(|id| host.queues.config(id));
    let limit = queue
        .and_then(TaskQueue::limit)
        .or_else(|| configured_rate(config));
    let mut answer = DescribeTaskQueueResponse {
        pollers: pollers(&parts, now),
        versioning_info: Some(versioning_info(host, namespace, &name, queue_type)),
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
        answer.stats = Some(stats(&parts, None, now));
        answer.stats_by_priority_key = by_priority(&parts, now);
    }
    if request.report_config {
        answer.config = config.cloned();
    }
    if request.include_task_queue_status {
        answer.task_queue_status = Some(TaskQueueStatus {
            backlog_count_hint: count(parts.iter().map(|queue| queue.backlog()).sum()),
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
            let queue: Vec<&TaskQueue> = queue
                .as_ref()
                .and_then(|id| host.queues.get(id))
                .into_iter()
                .collect();
            let pollers = if request.report_pollers {
                pollers(&queue, now)
            } else {
                Vec::new()
            };
            let info = TaskQueueTypeInfo {
                pollers,
                stats: request.report_stats.then(|| stats(&queue, None, now)),
            };
            (queue_type as i32, info)
        })
        .collect();
    let reachability = if request.report_task_reachability {
        BuildIdTaskReachability::Reachable
    } else {
        BuildIdTaskReachability::Unspecified
    };
    // Asked so, it tells of the workers without a version, whose name is the empty one.
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
fn pollers(queues: &[&TaskQueue], now: Nanos) -> Vec<PollerInfo> {
    let mut pollers: Vec<PollerInfo> = queues
        .iter()
        .flat_map(|queue| queue.seen_pollers(now))
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

/// Where tasks of a queue go that are not pinned.
#[allow(deprecated, reason = "older command lines read the deprecated fields")]
fn versioning_info(
    host: &Host,
    namespace: u32,
    name: &str,
    queue_type: TaskQueueType,
) -> TaskQueueVersioningInfo {
    let routing = match queue_id(namespace, name, queue_type) {
        Some(id) => host.deployments.routing(namespace, id.kind, name),
        None => Routing::default(),
    };
    let named = |version: Option<&Version>| version.map_or_else(|| UNVERSIONED.to_owned(), Version::dotted);
    let mut info = TaskQueueVersioningInfo {
        current_version: named(routing.current.as_ref()),
        current_deployment_version: routing.current.as_ref().map(Version::message),
        update_time: timestamp_opt(routing.current_changed_at.max(routing.ramping_changed_at)),
        ..Default::default()
    };
    if let Some((version, percentage)) = &routing.ramping {
        info.ramping_version = named(version.as_ref());
        info.ramping_deployment_version = version.as_ref().map(Version::message);
        info.ramping_version_percentage = *percentage;
    }
    info
}

/// The figures of the queue that workers of one version poll.
pub(super) fn version_queue(
    host: &Host,
    namespace: u32,
    name: &str,
    kind: i32,
    version: &Version,
    now: Nanos,
) -> (Option<TaskQueueStats>, HashMap<i32, TaskQueueStats>) {
    let queue_type = TaskQueueType::try_from(kind).unwrap_or_default();
    let id = queue_id(namespace, name, queue_type).map(|id| id.of_version(Some(version.clone())));
    let queue = id.and_then(|id| host.queues.get(&id));
    let queue = queue.as_slice();
    (Some(stats(queue, None, now)), by_priority(queue, now))
}

/// The figures of each priority key that is in use.
fn by_priority(queues: &[&TaskQueue], now: Nanos) -> HashMap<i32, TaskQueueStats> {
    let in_use = |priority: &i32| {
        *priority == DEFAULT_PRIORITY || queues.iter().any(|queue| queue.backlog.len_of(*priority) > 0)
    };
    (1..=LOWEST_PRIORITY)
        .filter(in_use)
        .map(|priority| (priority, stats(queues, Some(priority), now)))
        .collect()
}

/// The figures of queues together: of one priority key the backlog alone, as rates are counted for all.
fn stats(queues: &[&TaskQueue], priority: Option<i32>, now: Nanos) -> TaskQueueStats {
    let of_all = priority.is_none_or(|priority| priority == DEFAULT_PRIORITY);
    let mut total = TaskQueueStats::default();
    let mut longest = 0;
    for queue in queues {
        let backlog = priority.map_or(queue.backlog.len(), |priority| queue.backlog.len_of(priority));
        total.approximate_backlog_count += count(backlog);
        let age = queue.backlog.oldest(priority).map_or(0, |since| now - since);
        longest = age.max(longest);
        if of_all {
            total.tasks_add_rate += queue.added.per_second(now);
            total.tasks_dispatch_rate += queue.dispatched.per_second(now);
        }
        total.rate_limiting_active |= queue.was_throttled(now);
    }
    total.approximate_backlog_age = Some(duration(longest));
    total
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
