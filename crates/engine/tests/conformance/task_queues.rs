//! Task queues: what describes them, the order of a backlog, rate limits, and workers that end.

use std::time::Duration;

use tokio::time::Instant;

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    common::v1::Priority,
    enums::v1::{DescribeTaskQueueMode, RateLimitSource, TaskQueueType},
    taskqueue::v1::{RateLimit, TaskQueueMetadata},
    workflowservice::v1::{update_task_queue_config_request::RateLimitUpdate, *},
};

use crate::bed::{Bed, both_engines, commands, execution, queue, rpc, sticky_queue};

fn describe_request(bed: &Bed) -> DescribeTaskQueueRequest {
    DescribeTaskQueueRequest {
        namespace: bed.namespace.clone(),
        task_queue: Some(queue(&bed.queue)),
        report_stats: true,
        ..Default::default()
    }
}

async fn describe(bed: &Bed, queue_type: TaskQueueType) -> DescribeTaskQueueResponse {
    let request = DescribeTaskQueueRequest {
        task_queue_type: queue_type as i32,
        ..describe_request(bed)
    };
    rpc!(bed, describe_task_queue, request).expect("a description")
}

/// Starts `w` with these activities.
async fn schedule(bed: &Bed, ids: &[(&str, i32)]) {
    bed.start("w").await;
    let task = bed.task().await;
    let activities = ids.iter().map(|(id, priority_key)| {
        let mut activity = commands::activity(id, &bed.queue);
        activity.priority = Some(Priority {
            priority_key: *priority_key,
            ..Default::default()
        });
        commands::schedule(activity)
    });
    bed.complete(&task, activities.collect()).await;
}

/// One poll for an activity, by a worker that asks for at most so many a second.
async fn limited_poll(bed: &Bed, per_second: f64) -> PollActivityTaskQueueResponse {
    let request = PollActivityTaskQueueRequest {
        namespace: bed.namespace.clone(),
        task_queue: Some(queue(&bed.queue)),
        identity: "limited".to_owned(),
        task_queue_metadata: Some(TaskQueueMetadata {
            max_tasks_per_second: Some(per_second),
        }),
        ..Default::default()
    };
    rpc!(bed, poll_activity_task_queue, request).expect("a poll")
}

fn limit_request(bed: &Bed, per_second: Option<f32>) -> UpdateTaskQueueConfigRequest {
    UpdateTaskQueueConfigRequest {
        namespace: bed.namespace.clone(),
        identity: "somebody".to_owned(),
        task_queue: bed.queue.clone(),
        task_queue_type: TaskQueueType::Activity as i32,
        update_queue_rate_limit: Some(RateLimitUpdate {
            rate_limit: per_second.map(|requests_per_second| RateLimit { requests_per_second }),
            reason: "too much".to_owned(),
        }),
        ..Default::default()
    }
}

const MANY: [(&str, i32); 12] = [
    ("1", 0),
    ("2", 0),
    ("3", 0),
    ("4", 0),
    ("5", 0),
    ("6", 0),
    ("7", 0),
    ("8", 0),
    ("9", 0),
    ("10", 0),
    ("11", 0),
    ("12", 0),
];

both_engines! {
    async fn a_queue_shows_its_backlog(bed: &Bed) {
        bed.start("v").await;
        bed.start("w").await;
        #[allow(deprecated, reason = "the command line asks in this mode")]
        let request = DescribeTaskQueueRequest {
            api_mode: DescribeTaskQueueMode::Enhanced as i32,
            report_pollers: true,
            ..describe_request(bed)
        };
        #[allow(deprecated, reason = "the command line asks in this mode")]
        let stats = bed.eventually("the backlog is known", || async {
            let described = rpc!(bed, describe_task_queue, request.clone()).expect("a description");
            let unversioned = described.versions_info.get("").expect("the unversioned queue").clone();
            assert_eq!(unversioned.types_info.len(), 2);
            let stats = unversioned.types_info[&(TaskQueueType::Workflow as i32)].stats.expect("stats");
            (stats.approximate_backlog_count == 2).then_some(stats)
        })
        .await;
        assert!(stats.tasks_add_rate > 0.0);
        assert_eq!(stats.tasks_dispatch_rate, 0.0);
        bed.task().await;
        bed.task().await;
        let stats = bed.eventually("the backlog is gone", || async {
            let stats = describe(bed, TaskQueueType::Workflow).await.stats.expect("stats");
            (stats.tasks_dispatch_rate > 0.0).then_some(stats)
        })
        .await;
        assert_eq!(stats.approximate_backlog_count, 0);
    }

    async fn a_queue_shows_who_polls(bed: &Bed) {
        schedule(bed, &[("a", 0)]).await;
        limited_poll(bed, 5.0).await;
        let workflow = describe(bed, TaskQueueType::Workflow).await;
        let identities: Vec<_> = workflow.pollers.iter().map(|poller| poller.identity.as_str()).collect();
        assert_eq!(identities, ["worker"]);
        assert!(workflow.pollers[0].last_access_time.is_some());
        assert_eq!(workflow.pollers[0].rate_per_second, 100_000.0);
        let activity = describe(bed, TaskQueueType::Activity).await;
        assert_eq!(activity.pollers[0].identity, "limited");
        assert_eq!(activity.pollers[0].rate_per_second, 5.0);
        let limit = activity.effective_rate_limit.expect("a limit");
        assert_eq!(limit.requests_per_second, 5.0);
        assert_eq!(limit.rate_limit_source(), RateLimitSource::Worker);
    }

    async fn a_queue_is_described_by_name_alone(bed: &Bed) {
        let nameless = DescribeTaskQueueRequest { task_queue: Some(queue("")), ..describe_request(bed) };
        let error = rpc!(bed, describe_task_queue, nameless).expect_err("no name");
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "missing task queue name"));
        let unused = describe(bed, TaskQueueType::Activity).await;
        assert!(unused.pollers.is_empty());
        assert_eq!(unused.stats.expect("stats").approximate_backlog_count, 0);
        #[allow(deprecated, reason = "what workers without a version go by")]
        let version = unused.versioning_info.expect("versioning").current_version;
        assert_eq!(version, "__unversioned__");
        let request = ListTaskQueuePartitionsRequest {
            namespace: bed.namespace.clone(),
            task_queue: Some(queue(&bed.queue)),
        };
        let partitions = rpc!(bed, list_task_queue_partitions, request).expect("partitions");
        assert_eq!(partitions.activity_task_queue_partitions[0].key, bed.queue);
        assert_eq!(partitions.workflow_task_queue_partitions[0].key, bed.queue);
    }

    async fn a_backlog_is_shown_by_priority(bed: &Bed) {
        schedule(bed, &[("low", 5), ("usual", 0), ("high", 1), ("higher than usual", 2)]).await;
        let described = bed.eventually("all of them wait", || async {
            let described = describe(bed, TaskQueueType::Activity).await;
            (described.stats.is_some_and(|stats| stats.approximate_backlog_count == 4)).then_some(described)
        })
        .await;
        let mut priorities: Vec<_> = described.stats_by_priority_key.keys().copied().collect();
        priorities.sort_unstable();
        assert_eq!(priorities, [1, 2, 3, 5]);
        let mut keys = Vec::new();
        for _ in 0..4 {
            keys.push(bed.activity_task().await.priority.map_or(0, |priority| priority.priority_key));
        }
        keys.sort_unstable();
        assert_eq!(keys, [0, 1, 2, 5]);
    }

    async fn activities_have_their_workflows_priority(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.priority = Some(Priority { priority_key: 4, fairness_key: "tenant".to_owned(), ..Default::default() });
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        let plain = commands::schedule(commands::activity("plain", &bed.queue));
        let mut urgent = commands::activity("urgent", &bed.queue);
        urgent.priority = Some(Priority { priority_key: 2, ..Default::default() });
        bed.complete(&task, vec![plain, commands::schedule(urgent)]).await;
        for _ in 0..2 {
            let task = bed.activity_task().await;
            let priority = task.priority.expect("a priority");
            assert_eq!(priority.priority_key, if task.activity_id == "plain" { 4 } else { 2 });
            assert_eq!(priority.fairness_key, "tenant");
        }
    }

    async fn a_worker_can_limit_the_rate_of_activities(bed: &Bed) {
        schedule(bed, &MANY).await;
        let begun = Instant::now();
        for _ in MANY {
            assert!(!limited_poll(bed, 4.0).await.task_token.is_empty());
        }
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
        assert!(begun.elapsed() <= Duration::from_secs(30), "{:?}", begun.elapsed());
    }

    async fn a_person_can_limit_the_rate_of_activities(bed: &Bed) {
        let answer = rpc!(bed, update_task_queue_config, limit_request(bed, Some(4.0))).expect("an update");
        let limit = answer.config.and_then(|config| config.queue_rate_limit).expect("a limit");
        assert_eq!(limit.rate_limit.map(|rate| rate.requests_per_second), Some(4.0));
        let metadata = limit.metadata.expect("metadata");
        assert_eq!((metadata.reason.as_str(), metadata.update_identity.as_str()), ("too much", "somebody"));
        schedule(bed, &MANY).await;
        let begun = Instant::now();
        for _ in MANY {
            assert!(!limited_poll(bed, 1_000.0).await.task_token.is_empty());
        }
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
        let request = DescribeTaskQueueRequest {
            task_queue_type: TaskQueueType::Activity as i32,
            report_config: true,
            ..describe_request(bed)
        };
        let described = rpc!(bed, describe_task_queue, request.clone()).expect("a description");
        let effective = described.effective_rate_limit.expect("a limit");
        assert_eq!(effective.requests_per_second, 4.0);
        assert_eq!(effective.rate_limit_source(), RateLimitSource::Api);
        assert!(described.config.and_then(|config| config.queue_rate_limit).is_some());

        rpc!(bed, update_task_queue_config, limit_request(bed, None)).expect("an update");
        bed.eventually("the worker's own limit counts again", || async {
            let described = rpc!(bed, describe_task_queue, request.clone()).expect("a description");
            let effective = described.effective_rate_limit.expect("a limit");
            (effective.rate_limit_source() == RateLimitSource::Worker).then_some(())
        })
        .await;
    }

    async fn workflow_queues_have_no_rate_limit(bed: &Bed) {
        let request = UpdateTaskQueueConfigRequest {
            task_queue_type: TaskQueueType::Workflow as i32,
            ..limit_request(bed, Some(4.0))
        };
        let error = rpc!(bed, update_task_queue_config, request).expect_err("not for workflows");
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(error.message(), "Setting rate limit on workflow task queues is not allowed.");
    }

    async fn an_old_backlog_wants_more_polls(bed: &Bed) {
        let workflows = 20;
        for n in 0..workflows {
            bed.start(&format!("w{n}")).await;
        }
        bed.eventually("the backlog has an age", || async {
            let stats = describe(bed, TaskQueueType::Workflow).await.stats.expect("stats");
            let age = stats.approximate_backlog_age.unwrap_or_default();
            (age.seconds > 0 || age.nanos > 300_000_000).then_some(())
        })
        .await;
        // Not every answer says so: suggestions are not made too often.
        let mut suggested = Vec::new();
        for _ in 0..workflows {
            let decision = bed.task().await.poller_scaling_decision;
            suggested.extend(decision.map(|decision| decision.poll_request_delta_suggestion));
        }
        assert_eq!(suggested.first(), Some(&1), "{suggested:?}");
    }

    async fn a_worker_says_which_version_it_is(bed: &Bed) {
        use temporalio_common::protos::temporal::api::{
            deployment::v1::WorkerDeploymentOptions, enums::v1::WorkerVersioningMode,
            history::v1::history_event::Attributes,
        };
        bed.start("w").await;
        let task = bed.task().await;
        let mut completion = bed.completion(&task, vec![]);
        completion.deployment_options = Some(WorkerDeploymentOptions {
            deployment_name: "shop".to_owned(),
            build_id: "7".to_owned(),
            worker_versioning_mode: WorkerVersioningMode::Unversioned as i32,
        });
        rpc!(bed, respond_workflow_task_completed, completion).expect("a completion");
        let completed = bed.history("w").await.into_iter().find_map(|event| match event.attributes {
            Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) => Some(completed),
            _ => None,
        });
        let completed = completed.expect("a completed task");
        assert_eq!((completed.worker_deployment_name.as_str(), completed.deployment_version), ("shop", None));
    }
}

fn poll_of(bed: &Bed, key: &str) -> PollWorkflowTaskQueueRequest {
    PollWorkflowTaskQueueRequest {
        namespace: bed.namespace.clone(),
        task_queue: Some(queue(&bed.queue)),
        identity: "worker".to_owned(),
        worker_instance_key: key.to_owned(),
        ..Default::default()
    }
}

/// The real server does this only where its operator switched it on; ours always does.
#[tokio::test(flavor = "multi_thread")]
async fn the_polls_of_a_worker_that_ends_end_at_once() {
    let bed = Bed::embedded().await;
    let capabilities = crate::namespaces::capabilities(&bed).await;
    assert!(capabilities.worker_poll_complete_on_shutdown);
    let begun = Instant::now();
    let poll = async { rpc!(bed, poll_workflow_task_queue, poll_of(&bed, "ends")).expect("a poll") };
    let sticky = async {
        let mut request = poll_of(&bed, "ends");
        request.task_queue = Some(sticky_queue("own", &bed.queue));
        rpc!(bed, poll_workflow_task_queue, request).expect("a poll")
    };
    let end = async {
        bed.eventually("it polls", || async {
            (describe(&bed, TaskQueueType::Workflow).await.pollers.len() == 1).then_some(())
        })
        .await;
        let request = ShutdownWorkerRequest {
            namespace: bed.namespace.clone(),
            worker_instance_key: "ends".to_owned(),
            sticky_task_queue: "own".to_owned(),
            ..Default::default()
        };
        rpc!(bed, shutdown_worker, request).expect("an end");
    };
    let (ended, ended_sticky, ()) = tokio::join!(poll, sticky, end);
    assert_eq!(ended, PollWorkflowTaskQueueResponse::default());
    assert_eq!(ended_sticky, PollWorkflowTaskQueueResponse::default());
    // One that was on its way meanwhile gets nothing either, although there is a task.
    bed.start("w").await;
    let late = rpc!(bed, poll_workflow_task_queue, poll_of(&bed, "ends")).expect("a poll");
    assert_eq!(late, PollWorkflowTaskQueueResponse::default());
    assert!(begun.elapsed() < Duration::from_secs(20));
    let other = rpc!(bed, poll_workflow_task_queue, poll_of(&bed, "another")).expect("a poll");
    assert_eq!(
        other.workflow_execution.map(|of| of.workflow_id),
        Some(execution("w").workflow_id)
    );
}

/// On the real server a queue has several partitions, each with an order of its own.
#[tokio::test(flavor = "multi_thread")]
async fn urgent_activities_come_first() {
    let bed = Bed::embedded().await;
    let scheduled = [
        ("low", 5),
        ("usual", 0),
        ("high", 1),
        ("higher than usual", 2),
        ("high too", 1),
    ];
    schedule(&bed, &scheduled).await;
    for id in ["high", "high too", "higher than usual", "usual", "low"] {
        assert_eq!(bed.activity_task().await.activity_id, id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_rate_limit_outlives_the_engine() {
    let bed = Bed::embedded().await;
    rpc!(bed, update_task_queue_config, limit_request(&bed, Some(4.0))).expect("an update");
    let bed = crate::restart::restarted(bed).await;
    let effective = describe(&bed, TaskQueueType::Activity).await.effective_rate_limit;
    assert_eq!(effective.map(|limit| limit.requests_per_second), Some(4.0));
}

/// Fairness is not there, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn fairness_of_a_queue_is_refused_by_name() {
    let bed = Bed::embedded().await;
    let request = UpdateTaskQueueConfigRequest {
        update_queue_rate_limit: None,
        set_fairness_weight_overrides: [("tenant".to_owned(), 2.0)].into(),
        ..limit_request(&bed, None)
    };
    let error = rpc!(bed, update_task_queue_config, request).expect_err("not there");
    assert_eq!(error.code(), Code::Unimplemented);
}
