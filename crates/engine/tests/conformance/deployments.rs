//! Worker deployments: versions that workers report, which of them gets what, and how people change that.

use prost_types::FieldMask;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    command::v1::Command,
    common::v1::Payload,
    deployment::v1::{WorkerDeploymentInfo, WorkerDeploymentOptions, WorkerDeploymentVersion},
    enums::v1::{
        TaskQueueType, VersioningBehavior as Behavior, WorkerDeploymentVersionStatus as VersionStatus,
        WorkerVersioningMode,
    },
    workflow::v1::{
        VersioningOverride, WorkflowExecutionOptions, WorkflowExecutionVersioningInfo,
        versioning_override::{OneTimeOverride, Override, PinnedOverride, PinnedOverrideBehavior},
    },
    workflowservice::v1::*,
};

use crate::bed::{Bed, attributes, both_engines, commands, execution, payloads, queue, rpc};

/// The name of the deployment: apart from those of other tests on the same server by its namespace.
pub(crate) const DEPLOYMENT: &str = "shop";

pub(crate) fn version(build_id: &str) -> WorkerDeploymentVersion {
    WorkerDeploymentVersion {
        deployment_name: DEPLOYMENT.to_owned(),
        build_id: build_id.to_owned(),
    }
}

fn worker(build_id: &str) -> Option<WorkerDeploymentOptions> {
    Some(WorkerDeploymentOptions {
        deployment_name: DEPLOYMENT.to_owned(),
        build_id: build_id.to_owned(),
        worker_versioning_mode: WorkerVersioningMode::Versioned as i32,
    })
}

fn workflow_poll(bed: &Bed, deployment: Option<WorkerDeploymentOptions>) -> PollWorkflowTaskQueueRequest {
    PollWorkflowTaskQueueRequest {
        namespace: bed.namespace.clone(),
        task_queue: Some(queue(&bed.queue)),
        identity: "worker".to_owned(),
        deployment_options: deployment,
        ..Default::default()
    }
}

fn activity_poll(bed: &Bed, deployment: Option<WorkerDeploymentOptions>) -> PollActivityTaskQueueRequest {
    PollActivityTaskQueueRequest {
        namespace: bed.namespace.clone(),
        task_queue: Some(queue(&bed.queue)),
        identity: "worker".to_owned(),
        deployment_options: deployment,
        ..Default::default()
    }
}

/// The next workflow task for workers of this build; empty: for those without a version.
pub(crate) async fn task_for(bed: &Bed, build_id: &str) -> PollWorkflowTaskQueueResponse {
    let deployment = if build_id.is_empty() {
        None
    } else {
        worker(build_id)
    };
    let task = rpc!(bed, poll_workflow_task_queue, workflow_poll(bed, deployment)).expect("a poll");
    assert!(!task.task_token.is_empty(), "a task for {build_id:?}");
    task
}

async fn activity_for(bed: &Bed, build_id: &str) -> PollActivityTaskQueueResponse {
    let task = rpc!(
        bed,
        poll_activity_task_queue,
        activity_poll(bed, worker(build_id))
    )
    .expect("a poll");
    assert!(!task.task_token.is_empty(), "an activity task for {build_id}");
    task
}

/// Workers of these builds have polled for workflows and activities, and the deployment is known.
pub(crate) async fn polled(bed: &Bed, build_ids: &[&str]) {
    for build_id in build_ids {
        let (workflows, activities) = (
            workflow_poll(bed, worker(build_id)),
            activity_poll(bed, worker(build_id)),
        );
        let (one, other) = (bed.client.clone(), bed.client.clone());
        // They find nothing: there is nothing yet.
        let polls = [
            tokio::spawn(async move {
                let mut service = one.connection().workflow_service();
                let poll =
                    service.poll_workflow_task_queue(temporalio_client::tonic::Request::new(workflows));
                let _ = poll.await;
            }),
            tokio::spawn(async move {
                let mut service = other.connection().workflow_service();
                let poll =
                    service.poll_activity_task_queue(temporalio_client::tonic::Request::new(activities));
                let _ = poll.await;
            }),
        ];
        bed.eventually("the version is known with both queues", || async {
            let described = describe_version(bed, build_id).await.ok()?;
            (described.version_task_queues.len() == 2).then_some(())
        })
        .await;
        for poll in polls {
            poll.abort();
        }
    }
}

async fn describe(bed: &Bed) -> Result<DescribeWorkerDeploymentResponse, Status> {
    let request = DescribeWorkerDeploymentRequest {
        namespace: bed.namespace.clone(),
        deployment_name: DEPLOYMENT.to_owned(),
    };
    rpc!(bed, describe_worker_deployment, request)
}

async fn info(bed: &Bed) -> WorkerDeploymentInfo {
    describe(bed)
        .await
        .expect("a description")
        .worker_deployment_info
        .expect("info")
}

pub(crate) async fn describe_version(
    bed: &Bed,
    build_id: &str,
) -> Result<DescribeWorkerDeploymentVersionResponse, Status> {
    let request = DescribeWorkerDeploymentVersionRequest {
        namespace: bed.namespace.clone(),
        deployment_version: Some(version(build_id)),
        ..Default::default()
    };
    rpc!(bed, describe_worker_deployment_version, request)
}

async fn status(bed: &Bed, build_id: &str) -> VersionStatus {
    let described = describe_version(bed, build_id).await.expect("a description");
    described.worker_deployment_version_info.expect("info").status()
}

fn set_current(bed: &Bed, build_id: &str) -> SetWorkerDeploymentCurrentVersionRequest {
    SetWorkerDeploymentCurrentVersionRequest {
        namespace: bed.namespace.clone(),
        deployment_name: DEPLOYMENT.to_owned(),
        build_id: build_id.to_owned(),
        identity: "operator".to_owned(),
        ..Default::default()
    }
}

/// Makes it current, and waits until the real server's task queues know.
pub(crate) async fn make_current(bed: &Bed, build_id: &str) {
    let request = set_current(bed, build_id);
    rpc!(bed, set_worker_deployment_current_version, request).expect("a new current version");
    let is_current = |found: &Option<WorkerDeploymentVersion>| match build_id {
        "" => found.is_none(),
        _ => *found == Some(version(build_id)),
    };
    bed.eventually("the task queues know", || async {
        let mut known = true;
        for queue_type in [TaskQueueType::Workflow, TaskQueueType::Activity] {
            let request = DescribeTaskQueueRequest {
                namespace: bed.namespace.clone(),
                task_queue: Some(queue(&bed.queue)),
                task_queue_type: queue_type as i32,
                ..Default::default()
            };
            let described = rpc!(bed, describe_task_queue, request).expect("a description");
            let info = described.versioning_info.expect("versioning info");
            known &= is_current(&info.current_deployment_version);
        }
        known.then_some(())
    })
    .await;
}

/// Waits until the task queue knows that this version is the ramping one.
pub(crate) async fn knows_of_ramp(bed: &Bed, build_id: &str) {
    bed.eventually("the task queue knows", || async {
        let request = DescribeTaskQueueRequest {
            namespace: bed.namespace.clone(),
            task_queue: Some(queue(&bed.queue)),
            task_queue_type: TaskQueueType::Workflow as i32,
            ..Default::default()
        };
        let described = rpc!(bed, describe_task_queue, request).expect("a description");
        (described.versioning_info?.ramping_deployment_version == Some(version(build_id))).then_some(())
    })
    .await;
}

pub(crate) async fn try_complete(
    bed: &Bed,
    task: &PollWorkflowTaskQueueResponse,
    commands: Vec<Command>,
    build_id: &str,
    behavior: Behavior,
) -> Result<RespondWorkflowTaskCompletedResponse, Status> {
    let request = RespondWorkflowTaskCompletedRequest {
        deployment_options: worker(build_id),
        versioning_behavior: behavior as i32,
        ..bed.completion(task, commands)
    };
    rpc!(bed, respond_workflow_task_completed, request)
}

pub(crate) async fn complete(
    bed: &Bed,
    task: &PollWorkflowTaskQueueResponse,
    commands: Vec<Command>,
    build_id: &str,
    behavior: Behavior,
) {
    try_complete(bed, task, commands, build_id, behavior)
        .await
        .expect("a completion");
}

pub(crate) async fn versioning(bed: &Bed, id: &str) -> WorkflowExecutionVersioningInfo {
    let info = bed.describe(id).await.workflow_execution_info.expect("info");
    info.versioning_info.expect("versioning info")
}

/// A search attribute, as JSON.
async fn attribute(bed: &Bed, id: &str, name: &str) -> Option<String> {
    let info = bed.describe(id).await.workflow_execution_info.expect("info");
    let fields = info.search_attributes.unwrap_or_default().indexed_fields;
    let value = fields.get(name)?;
    Some(String::from_utf8_lossy(&value.data).into_owned())
}

async fn listed(bed: &Bed, query: &str) -> Vec<String> {
    let request = ListWorkflowExecutionsRequest {
        namespace: bed.namespace.clone(),
        query: query.to_owned(),
        ..Default::default()
    };
    let listed = rpc!(bed, list_workflow_executions, request).expect("a list");
    let ids = listed.executions.into_iter();
    ids.map(|info| info.execution.expect("an execution").workflow_id)
        .collect()
}

pub(crate) fn pinned(build_id: &str) -> VersioningOverride {
    VersioningOverride {
        r#override: Some(Override::Pinned(PinnedOverride {
            behavior: PinnedOverrideBehavior::Pinned as i32,
            version: Some(version(build_id)),
        })),
        ..Default::default()
    }
}

async fn override_version(
    bed: &Bed,
    id: &str,
    given: Option<VersioningOverride>,
) -> Result<UpdateWorkflowExecutionOptionsResponse, Status> {
    let request = UpdateWorkflowExecutionOptionsRequest {
        namespace: bed.namespace.clone(),
        workflow_execution: Some(execution(id)),
        workflow_execution_options: Some(WorkflowExecutionOptions {
            versioning_override: given,
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["versioning_override".to_owned()],
        }),
        identity: "operator".to_owned(),
    };
    rpc!(bed, update_workflow_execution_options, request)
}

both_engines! {
    async fn a_version_is_known_by_its_polls(bed: &Bed) {
        assert_eq!(describe(bed).await.expect_err("nobody has polled").code(), Code::NotFound);
        assert_eq!(describe_version(bed, "1").await.expect_err("nobody has polled").code(), Code::NotFound);
        polled(bed, &["1"]).await;
        let info = info(bed).await;
        assert_eq!(info.name, DEPLOYMENT);
        let [summary] = info.version_summaries.as_slice() else { panic!("{info:?}") };
        assert_eq!(summary.deployment_version, Some(version("1")));
        assert_eq!(summary.status(), VersionStatus::Inactive);
        #[allow(deprecated, reason = "older clients read it")]
        let named = (summary.version.clone(), info.routing_config.clone().expect("routing").current_version);
        assert_eq!(named, ("shop.1".to_owned(), "__unversioned__".to_owned()));
        assert!(info.routing_config.expect("routing").current_deployment_version.is_none());
        let described = describe_version(bed, "1").await.expect("a description");
        let mut queues: Vec<_> = described.version_task_queues.iter().map(|queue| (queue.name.clone(), queue.r#type())).collect();
        queues.sort();
        assert_eq!(queues, [(bed.queue.clone(), TaskQueueType::Workflow), (bed.queue.clone(), TaskQueueType::Activity)]);
        let request = ListWorkerDeploymentsRequest { namespace: bed.namespace.clone(), ..Default::default() };
        let listed = bed.eventually("the deployment is listed", || async {
            let listed = rpc!(bed, list_worker_deployments, request.clone()).expect("a list");
            listed.worker_deployments.into_iter().next()
        }).await;
        assert_eq!(listed.name, DEPLOYMENT);
        assert_eq!(listed.latest_version_summary.expect("a version").deployment_version, Some(version("1")));
    }

    async fn what_is_new_goes_to_the_current_version(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        bed.start("before").await;
        // Without a current version it is for workers without one.
        let task = task_for(bed, "").await;
        bed.complete(&task, vec![]).await;
        make_current(bed, "1").await;
        bed.start("w").await;
        let task = task_for(bed, "1").await;
        let on_its_way = versioning(bed, "w").await;
        let transition = on_its_way.version_transition.expect("a transition");
        assert_eq!(transition.deployment_version, Some(version("1")));
        assert_eq!((on_its_way.behavior, on_its_way.deployment_version), (0, None));
        complete(bed, &task, vec![], "1", Behavior::AutoUpgrade).await;
        let told = versioning(bed, "w").await;
        assert_eq!((told.behavior(), told.deployment_version), (Behavior::AutoUpgrade, Some(version("1"))));
        assert!(told.version_transition.is_none());
        let completed = attributes!(bed.history("w").await, WorkflowTaskCompletedEventAttributes);
        assert_eq!(completed.versioning_behavior(), Behavior::AutoUpgrade);
        assert_eq!(completed.deployment_version, Some(version("1")));
        assert_eq!(completed.worker_deployment_name, DEPLOYMENT);
        // One that had no version goes there as well.
        bed.signal("before", "go on").await;
        let task = task_for(bed, "1").await;
        assert_eq!(task.workflow_execution.as_ref().expect("an execution").workflow_id, "before");
        complete(bed, &task, vec![], "1", Behavior::Pinned).await;
        let info = info(bed).await;
        let summary = info.version_summaries.iter().find(|summary| summary.deployment_version == Some(version("1")));
        let summary = summary.expect("version 1");
        assert_eq!(summary.status(), VersionStatus::Current);
        assert!(summary.current_since_time.is_some() && summary.first_activation_time.is_some());
        assert_eq!(info.last_modifier_identity, "operator");
        assert_eq!(info.routing_config.expect("routing").revision_number, 1);
    }

    async fn pinned_runs_stay_and_the_others_move(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        for (id, behavior) in [("stays", Behavior::Pinned), ("moves", Behavior::AutoUpgrade)] {
            bed.start(id).await;
            let task = task_for(bed, "1").await;
            complete(bed, &task, vec![], "1", behavior).await;
        }
        make_current(bed, "2").await;
        bed.signal("stays", "s").await;
        bed.signal("moves", "s").await;
        let task = task_for(bed, "2").await;
        assert_eq!(task.workflow_execution.as_ref().expect("an execution").workflow_id, "moves");
        let told = versioning(bed, "moves").await;
        assert_eq!(told.deployment_version, Some(version("1")), "it is not there yet");
        assert_eq!(told.version_transition.expect("a transition").deployment_version, Some(version("2")));
        complete(bed, &task, vec![], "2", Behavior::AutoUpgrade).await;
        assert_eq!(versioning(bed, "moves").await.deployment_version, Some(version("2")));
        let task = task_for(bed, "1").await;
        assert_eq!(task.workflow_execution.as_ref().expect("an execution").workflow_id, "stays");
        complete(bed, &task, vec![commands::complete("done")], "1", Behavior::Pinned).await;
        assert_eq!(versioning(bed, "stays").await.deployment_version, Some(version("1")));
        let events = bed.history("stays").await;
        let started: Vec<bool> = events.iter().filter_map(|event| match &event.attributes {
            Some(temporalio_common::protos::temporal::api::history::v1::history_event::Attributes::WorkflowTaskStartedEventAttributes(started)) => Some(started.target_worker_deployment_version_changed),
            _ => None,
        }).collect();
        assert_eq!(started, [false, true], "it is told that new runs go elsewhere");
        assert_eq!(status(bed, "2").await, VersionStatus::Current);
    }

    async fn search_attributes_tell_the_version(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        for (id, behavior) in [("stays", Behavior::Pinned), ("moves", Behavior::AutoUpgrade)] {
            bed.start(id).await;
            let task = task_for(bed, "1").await;
            complete(bed, &task, vec![], "1", behavior).await;
        }
        let of = |id: &'static str, name: &'static str| attribute(bed, id, name);
        assert_eq!(of("stays", "BuildIds").await.as_deref(), Some(r#"["pinned:shop:1"]"#));
        assert_eq!(of("stays", "TemporalWorkflowVersioningBehavior").await.as_deref(), Some(r#""Pinned""#));
        assert_eq!(of("moves", "BuildIds").await, None);
        assert_eq!(of("moves", "TemporalWorkflowVersioningBehavior").await.as_deref(), Some(r#""AutoUpgrade""#));
        for id in ["stays", "moves"] {
            assert_eq!(of(id, "TemporalWorkerDeployment").await.as_deref(), Some(r#""shop""#));
            assert_eq!(of(id, "TemporalWorkerDeploymentVersion").await.as_deref(), Some(r#""shop:1""#));
            assert_eq!(of(id, "TemporalUsedWorkerDeploymentVersions").await.as_deref(), Some(r#"["shop:1"]"#));
        }
        make_current(bed, "2").await;
        bed.signal("moves", "s").await;
        let task = task_for(bed, "2").await;
        complete(bed, &task, vec![], "2", Behavior::AutoUpgrade).await;
        assert_eq!(of("moves", "TemporalUsedWorkerDeploymentVersions").await.as_deref(), Some(r#"["shop:1","shop:2"]"#));
        for (query, ids) in [
            ("TemporalWorkflowVersioningBehavior = 'Pinned'", ["stays"].as_slice()),
            ("TemporalWorkerDeploymentVersion = 'shop:2'", &["moves"]),
            ("BuildIds = 'pinned:shop:1'", &["stays"]),
            ("TemporalWorkerDeployment = 'shop'", &["moves", "stays"]),
            ("TemporalUsedWorkerDeploymentVersions = 'shop:1'", &["moves", "stays"]),
        ] {
            bed.eventually(query, || async {
                let mut found = listed(bed, query).await;
                found.sort();
                (found == ids).then_some(())
            }).await;
        }
    }

    async fn activities_go_with_their_workflow(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        for (id, behavior) in [("stays", Behavior::Pinned), ("moves", Behavior::AutoUpgrade)] {
            bed.start(id).await;
            let task = task_for(bed, "1").await;
            let activity = commands::schedule(commands::activity("a", &bed.queue));
            complete(bed, &task, vec![activity], "1", behavior).await;
        }
        make_current(bed, "2").await;
        let activity = activity_for(bed, "1").await;
        assert_eq!(activity.workflow_execution.expect("an execution").workflow_id, "stays");
        // The other's activity would go to the new version, so its workflow goes first. Only a worker that polls shows.
        let polls = activity_poll(bed, worker("2"));
        let client = bed.client.clone();
        let poll = tokio::spawn(async move {
            let mut service = client.connection().workflow_service();
            let request = temporalio_client::tonic::Request::new(polls);
            service.poll_activity_task_queue(request).await.map(|answer| answer.into_inner())
        });
        let task = task_for(bed, "2").await;
        assert_eq!(task.workflow_execution.as_ref().expect("an execution").workflow_id, "moves");
        complete(bed, &task, vec![], "2", Behavior::AutoUpgrade).await;
        let activity = poll.await.expect("a poll").expect("an activity");
        assert_eq!(activity.workflow_execution.expect("an execution").workflow_id, "moves");
    }

    async fn a_child_of_a_pinned_run_is_pinned(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        bed.start("w").await;
        let task = task_for(bed, "1").await;
        let mut elsewhere = commands::child("elsewhere");
        elsewhere.task_queue = Some(queue("no-workers"));
        let children = vec![commands::start_child(commands::child("c")), commands::start_child(elsewhere)];
        complete(bed, &task, children, "1", Behavior::Pinned).await;
        make_current(bed, "2").await;
        bed.eventually("both children are there", || async {
            let events = bed.event_types("w").await;
            (events.iter().filter(|name| **name == "ChildWorkflowExecutionStarted").count() == 2).then_some(())
        }).await;
        let started = attributes!(bed.history("c").await, WorkflowExecutionStartedEventAttributes);
        assert_eq!(started.inherited_pinned_version, Some(version("1")));
        let told = versioning(bed, "c").await;
        assert_eq!((told.behavior(), told.deployment_version), (Behavior::Pinned, Some(version("1"))));
        let started = attributes!(bed.history("elsewhere").await, WorkflowExecutionStartedEventAttributes);
        assert_eq!(started.inherited_pinned_version, None);
        // Both its parent's next task and its first one are for the old version.
        let mut ids = Vec::new();
        for _ in 0..2 {
            let task = task_for(bed, "1").await;
            let id = task.workflow_execution.as_ref().expect("an execution").workflow_id.clone();
            let commands = if id == "c" { vec![commands::continue_as_new("again")] } else { vec![] };
            complete(bed, &task, commands, "1", Behavior::Pinned).await;
            ids.push(id);
        }
        ids.sort();
        assert_eq!(ids, ["c", "w"]);
        let next = attributes!(bed.history("c").await, WorkflowExecutionStartedEventAttributes);
        assert!(!next.continued_execution_run_id.is_empty());
        assert_eq!(next.inherited_pinned_version, Some(version("1")), "so does the run that continues it");
    }

    async fn an_override_goes_before_the_deployment(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        let refused = rpc!(bed, start_workflow_execution, StartWorkflowExecutionRequest {
            versioning_override: Some(pinned("9")),
            ..bed.start_request("nowhere")
        }).expect_err("no such version");
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(refused.message(), format!("Pinned version 'shop:9' is not present in task queue '{}' of type 'Workflow'", bed.queue));
        rpc!(bed, start_workflow_execution, StartWorkflowExecutionRequest {
            versioning_override: Some(pinned("2")),
            ..bed.start_request("w")
        }).expect("a start");
        let started = attributes!(bed.history("w").await, WorkflowExecutionStartedEventAttributes);
        assert_eq!(started.versioning_override, Some(pinned("2")));
        let task = task_for(bed, "2").await;
        complete(bed, &task, vec![], "2", Behavior::AutoUpgrade).await;
        let told = versioning(bed, "w").await;
        assert_eq!(told.behavior(), Behavior::AutoUpgrade, "what the worker says is kept");
        assert_eq!(told.versioning_override.expect("an override").r#override, pinned("2").r#override);
        assert_eq!(attribute(bed, "w", "TemporalWorkflowVersioningBehavior").await.as_deref(), Some(r#""Pinned""#));
        bed.signal("w", "s").await;
        let task = task_for(bed, "2").await;
        complete(bed, &task, vec![], "2", Behavior::AutoUpgrade).await;
        // Without it, the run goes where the deployment says.
        override_version(bed, "w", None).await.expect("no override any more");
        assert!(versioning(bed, "w").await.versioning_override.is_none());
        bed.signal("w", "s").await;
        let task = task_for(bed, "1").await;
        complete(bed, &task, vec![], "1", Behavior::Pinned).await;
        // A task that waits goes along when the override comes.
        bed.signal("w", "s").await;
        override_version(bed, "w", Some(pinned("2"))).await.expect("an override");
        let task = task_for(bed, "2").await;
        complete(bed, &task, vec![], "2", Behavior::Pinned).await;
        let refused = override_version(bed, "w", Some(pinned("9"))).await.expect_err("no such version");
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }

    async fn an_override_for_one_task_goes_with_it(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        let once = VersioningOverride {
            r#override: Some(Override::OneTime(OneTimeOverride { target_deployment_version: Some(version("2")) })),
            ..Default::default()
        };
        rpc!(bed, start_workflow_execution, StartWorkflowExecutionRequest {
            versioning_override: Some(once),
            ..bed.start_request("w")
        }).expect("a start");
        let task = task_for(bed, "2").await;
        complete(bed, &task, vec![], "2", Behavior::AutoUpgrade).await;
        let told = versioning(bed, "w").await;
        assert_eq!((told.versioning_override, told.deployment_version), (None, Some(version("2"))));
        bed.signal("w", "s").await;
        let task = task_for(bed, "1").await;
        complete(bed, &task, vec![commands::complete("done")], "1", Behavior::AutoUpgrade).await;
    }

    async fn wrong_overrides_are_refused(bed: &Bed) {
        let unpinned = PinnedOverride { version: Some(version("1")), ..Default::default() };
        let nameless = PinnedOverride { behavior: PinnedOverrideBehavior::Pinned as i32, ..Default::default() };
        for (given, message) in [
            (None, "override behavior is required"),
            (Some(Override::Pinned(unpinned)), "must specify pinned override behavior if override is pinned."),
            (Some(Override::Pinned(nameless)), "must provide version if override is pinned."),
        ] {
            let refused = rpc!(bed, start_workflow_execution, StartWorkflowExecutionRequest {
                versioning_override: Some(VersioningOverride { r#override: given, ..Default::default() }),
                ..bed.start_request("w")
            }).expect_err("wrong");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
        }
    }

    async fn a_version_gets_part_of_what_is_new(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        let ramp = |build_id: &str, percentage: f32| SetWorkerDeploymentRampingVersionRequest {
            namespace: bed.namespace.clone(),
            deployment_name: DEPLOYMENT.to_owned(),
            build_id: build_id.to_owned(),
            percentage,
            identity: "operator".to_owned(),
            ..Default::default()
        };
        for (request, code, message) in [
            (ramp("2", 120.0), Code::InvalidArgument, "Percentage must be between 0 and 100 (inclusive)"),
            (ramp("1", 10.0), Code::FailedPrecondition, "requested ramping version shop.1 is already current"),
            (ramp("3", 10.0), Code::NotFound, "build ID '3' not found in Worker Deployment 'shop'"),
        ] {
            let refused = rpc!(bed, set_worker_deployment_ramping_version, request).expect_err("refused");
            assert_eq!((refused.code(), refused.message()), (code, message));
        }
        rpc!(bed, set_worker_deployment_ramping_version, ramp("2", 100.0)).expect("a ramp");
        let routing = info(bed).await.routing_config.expect("routing");
        assert_eq!(routing.ramping_deployment_version, Some(version("2")));
        assert_eq!(routing.ramping_version_percentage, 100.0);
        assert_eq!(status(bed, "2").await, VersionStatus::Ramping);
        knows_of_ramp(bed, "2").await;
        bed.start("w").await;
        let task = task_for(bed, "2").await;
        complete(bed, &task, vec![commands::complete("done")], "2", Behavior::Pinned).await;
        #[allow(deprecated, reason = "older clients read it")]
        let before = rpc!(bed, set_worker_deployment_ramping_version, ramp("", 0.0)).expect("no ramp").previous_percentage;
        assert_eq!(before, 100.0);
        assert!(info(bed).await.routing_config.expect("routing").ramping_deployment_version.is_none());
        assert_eq!(status(bed, "2").await as i32, if bed.engine.is_some() {
            // Ours looks at once whether it is still needed.
            VersionStatus::Drained as i32
        } else {
            VersionStatus::Draining as i32
        });
    }

    async fn a_version_that_lacks_busy_queues_is_refused(bed: &Bed) {
        polled(bed, &["1"]).await;
        make_current(bed, "1").await;
        bed.start("w").await;
        let task = task_for(bed, "1").await;
        let activity = commands::schedule(commands::activity("a", &bed.queue));
        complete(bed, &task, vec![activity], "1", Behavior::Pinned).await;
        let polls = workflow_poll(bed, worker("2"));
        let client = bed.client.clone();
        let poll = tokio::spawn(async move {
            let mut service = client.connection().workflow_service();
            let _ = service.poll_workflow_task_queue(temporalio_client::tonic::Request::new(polls)).await;
        });
        bed.eventually("version 2 is known", || async { describe_version(bed, "2").await.ok() }).await;
        poll.abort();
        let refused = bed.eventually("it is refused", || async {
            rpc!(bed, set_worker_deployment_current_version, set_current(bed, "2")).err()
        }).await;
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("is missing active task queues"), "{}", refused.message());
        let anyway = SetWorkerDeploymentCurrentVersionRequest { ignore_missing_task_queues: true, ..set_current(bed, "2") };
        rpc!(bed, set_worker_deployment_current_version, anyway).expect("a new current version");
        assert_eq!(status(bed, "2").await, VersionStatus::Current);
        assert_eq!(status(bed, "1").await, VersionStatus::Draining, "a run is pinned to it");
    }

    async fn changes_are_checked(bed: &Bed) {
        let refused = rpc!(bed, set_worker_deployment_current_version, set_current(bed, "1")).expect_err("no such deployment");
        assert_eq!(refused.code(), Code::NotFound);
        polled(bed, &["1"]).await;
        let refused = rpc!(bed, set_worker_deployment_current_version, set_current(bed, "2")).expect_err("no such version");
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, "build ID '2' not found in Worker Deployment 'shop'"));
        let before = describe(bed).await.expect("a description").conflict_token;
        make_current(bed, "1").await;
        let stale = SetWorkerDeploymentCurrentVersionRequest { conflict_token: before, ..set_current(bed, "") };
        let refused = rpc!(bed, set_worker_deployment_current_version, stale).expect_err("stale");
        assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "conflict token mismatch"));
        // One that nobody has polled for is made on request.
        let new = SetWorkerDeploymentCurrentVersionRequest { allow_no_pollers: true, ..set_current(bed, "3") };
        let answer = rpc!(bed, set_worker_deployment_current_version, new).expect("a new current version");
        #[allow(deprecated, reason = "older clients read it")]
        let before = answer.previous_deployment_version;
        assert_eq!(before, Some(version("1")));
        assert_eq!(status(bed, "3").await, VersionStatus::Current);
        let manager = |manager: Option<set_worker_deployment_manager_request::NewManagerIdentity>| SetWorkerDeploymentManagerRequest {
            namespace: bed.namespace.clone(),
            deployment_name: DEPLOYMENT.to_owned(),
            new_manager_identity: manager,
            identity: "somebody".to_owned(),
            ..Default::default()
        };
        use set_worker_deployment_manager_request::NewManagerIdentity;
        let request = manager(Some(NewManagerIdentity::ManagerIdentity("boss".to_owned())));
        rpc!(bed, set_worker_deployment_manager, request).expect("a manager");
        assert_eq!(info(bed).await.manager_identity, "boss");
        let refused = rpc!(bed, set_worker_deployment_current_version, set_current(bed, "1")).expect_err("not the manager");
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().starts_with("ManagerIdentity 'boss' is set and does not match user identity 'operator'"), "{}", refused.message());
        rpc!(bed, set_worker_deployment_manager, manager(Some(NewManagerIdentity::Self_(true)))).expect("another manager");
        assert_eq!(info(bed).await.manager_identity, "somebody");
    }

    async fn people_keep_notes_of_versions(bed: &Bed) {
        polled(bed, &["1"]).await;
        let payload = |text: &str| -> Payload { payloads(text).payloads.remove(0) };
        let request = |build_id: &str| UpdateWorkerDeploymentVersionMetadataRequest {
            namespace: bed.namespace.clone(),
            deployment_version: Some(version(build_id)),
            identity: "operator".to_owned(),
            ..Default::default()
        };
        let refused = rpc!(bed, update_worker_deployment_version_metadata, request("1")).expect_err("nothing to change");
        assert_eq!(refused.code(), Code::InvalidArgument);
        let both = UpdateWorkerDeploymentVersionMetadataRequest {
            upsert_entries: [("commit".to_owned(), payload("abc")), ("by".to_owned(), payload("me"))].into(),
            ..request("1")
        };
        let kept = rpc!(bed, update_worker_deployment_version_metadata, both.clone()).expect("metadata");
        assert_eq!(kept.metadata.expect("metadata").entries.len(), 2);
        let one = UpdateWorkerDeploymentVersionMetadataRequest { remove_entries: vec!["by".to_owned()], ..request("1") };
        rpc!(bed, update_worker_deployment_version_metadata, one).expect("metadata");
        let info = describe_version(bed, "1").await.expect("a description").worker_deployment_version_info.expect("info");
        assert_eq!(info.metadata.expect("metadata").entries, [("commit".to_owned(), payload("abc"))].into());
        assert_eq!(info.last_modifier_identity, "operator");
        let nobody = UpdateWorkerDeploymentVersionMetadataRequest { deployment_version: Some(version("9")), ..both };
        let refused = rpc!(bed, update_worker_deployment_version_metadata, nobody).expect_err("no such version");
        assert_eq!(refused.code(), Code::NotFound);
    }

    async fn deployments_are_made_and_deleted(bed: &Bed) {
        let make = |name: &str, request_id: &str| CreateWorkerDeploymentRequest {
            namespace: bed.namespace.clone(),
            deployment_name: name.to_owned(),
            identity: "operator".to_owned(),
            request_id: request_id.to_owned(),
        };
        for (name, message) in [
            ("a.b", "worker deployment name cannot contain '.'"),
            ("a:b", "worker deployment name cannot contain ':'"),
            ("__a", "WorkerDeploymentName cannot start with '__'"),
        ] {
            let refused = rpc!(bed, create_worker_deployment, make(name, "r")).expect_err("a wrong name");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
        }
        rpc!(bed, create_worker_deployment, make(DEPLOYMENT, "r1")).expect("a deployment");
        rpc!(bed, create_worker_deployment, make(DEPLOYMENT, "r1")).expect("the same again");
        let refused = rpc!(bed, create_worker_deployment, make(DEPLOYMENT, "r2")).expect_err("there already");
        assert_eq!(refused.code(), Code::AlreadyExists);
        let make_version = |build_id: &str, request_id: &str| CreateWorkerDeploymentVersionRequest {
            namespace: bed.namespace.clone(),
            deployment_version: Some(version(build_id)),
            identity: "operator".to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        rpc!(bed, create_worker_deployment_version, make_version("1", "v1")).expect("a version");
        let refused = rpc!(bed, create_worker_deployment_version, make_version("1", "v2")).expect_err("there already");
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(status(bed, "1").await, VersionStatus::Created);
        let delete = DeleteWorkerDeploymentRequest {
            namespace: bed.namespace.clone(),
            deployment_name: DEPLOYMENT.to_owned(),
            ..Default::default()
        };
        let refused = rpc!(bed, delete_worker_deployment, delete.clone()).expect_err("it has versions");
        assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "deployment has versions, can't be deleted"));
        let delete_version = |build_id: &str| DeleteWorkerDeploymentVersionRequest {
            namespace: bed.namespace.clone(),
            deployment_version: Some(version(build_id)),
            ..Default::default()
        };
        rpc!(bed, delete_worker_deployment_version, delete_version("1")).expect("no version");
        rpc!(bed, delete_worker_deployment_version, delete_version("1")).expect("the same again");
        rpc!(bed, delete_worker_deployment, delete.clone()).expect("no deployment");
        rpc!(bed, delete_worker_deployment, delete).expect("the same again");
        bed.eventually("it is gone", || async {
            describe(bed).await.err().filter(|error| error.code() == Code::NotFound)
        }).await;
    }

    async fn versions_in_use_are_not_deleted(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        bed.start("w").await;
        let task = task_for(bed, "1").await;
        complete(bed, &task, vec![], "1", Behavior::Pinned).await;
        let delete = |build_id: &str, skip_drainage: bool| DeleteWorkerDeploymentVersionRequest {
            namespace: bed.namespace.clone(),
            deployment_version: Some(version(build_id)),
            skip_drainage,
            ..Default::default()
        };
        let why = |build_id: &'static str, skip: bool| async move {
            let refused = rpc!(bed, delete_worker_deployment_version, delete(build_id, skip)).expect_err("it is needed");
            assert_eq!(refused.code(), Code::FailedPrecondition);
            refused.message().to_owned()
        };
        assert_eq!(why("1", true).await, "version 'shop:1' cannot be deleted since it is current or ramping");
        make_current(bed, "2").await;
        bed.eventually("it is draining", || async {
            (status(bed, "1").await == VersionStatus::Draining).then_some(())
        }).await;
        assert_eq!(why("1", false).await, "version 'shop:1' cannot be deleted since it is draining");
        assert_eq!(why("1", true).await, "version 'shop:1' cannot be deleted since it has active pollers");
    }

    async fn a_behavior_needs_a_version(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let without = RespondWorkflowTaskCompletedRequest {
            versioning_behavior: Behavior::Pinned as i32,
            ..bed.completion(&task, vec![])
        };
        let half = RespondWorkflowTaskCompletedRequest {
            deployment_options: worker(""),
            ..without.clone()
        };
        let mut unversioned = without.clone();
        unversioned.deployment_options = worker("1").map(|options| WorkerDeploymentOptions {
            worker_versioning_mode: WorkerVersioningMode::Unversioned as i32,
            ..options
        });
        let needs = "versioning behavior cannot be specified without deployment options being set with versioned mode";
        for (request, message) in [
            (without, needs),
            (half, "Deployment name and build id must be set together."),
            (unversioned, needs),
        ] {
            let refused = rpc!(bed, respond_workflow_task_completed, request).expect_err("refused");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
        }
        // The task is still the worker's.
        bed.complete(&task, vec![commands::complete("done")]).await;
    }

    async fn older_ways_of_versioning_are_switched_off(bed: &Bed) {
        let (namespace, task_queue) = (bed.namespace.clone(), bed.queue.clone());
        let sets = rpc!(bed, get_worker_build_id_compatibility, GetWorkerBuildIdCompatibilityRequest {
            namespace: namespace.clone(), task_queue: task_queue.clone(), ..Default::default()
        });
        let rules = rpc!(bed, get_worker_versioning_rules, GetWorkerVersioningRulesRequest {
            namespace: namespace.clone(), task_queue: task_queue.clone(),
        });
        let reach = rpc!(bed, get_worker_task_reachability, GetWorkerTaskReachabilityRequest {
            namespace: namespace.clone(), build_ids: vec!["1".to_owned()], task_queues: vec![task_queue], ..Default::default()
        });
        let old = rpc!(bed, list_deployments, ListDeploymentsRequest { namespace, ..Default::default() });
        let disabled = |way: &str| format!("Worker versioning {way}, deprecated) is disabled on this namespace.");
        for (refused, code, message) in [
            (sets.expect_err("off"), Code::PermissionDenied, disabled("v0.1 (Version Set-based")),
            (rules.expect_err("off"), Code::PermissionDenied, disabled("v0.2 (Rules-based")),
            (reach.expect_err("off"), Code::PermissionDenied, disabled("v0.2 (Rules-based")),
            (old.expect_err("off"), Code::Unimplemented, "Deployments are deprecated and no longer supported, use Worker Deployments instead".to_owned()),
        ] {
            assert_eq!((refused.code(), refused.message()), (code, message.as_str()));
        }
    }

    async fn pausing_workflows_is_switched_off(bed: &Bed) {
        bed.start("w").await;
        let refused = rpc!(bed, pause_workflow_execution, PauseWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            request_id: "r".to_owned(),
            ..Default::default()
        }).expect_err("off");
        assert_eq!(refused.code(), Code::Unimplemented);
        assert_eq!(refused.message(), format!("workflow pause is not enabled for namespace: {}", bed.namespace));
        let refused = rpc!(bed, unpause_workflow_execution, UnpauseWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_id: "w".to_owned(),
            request_id: "r".to_owned(),
            ..Default::default()
        }).expect_err("nothing is paused");
        assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "workflow is not paused."));
    }
}

/// All of it is on disk: the routing, the versions of runs, and where their tasks go.
#[tokio::test(flavor = "multi_thread")]
async fn deployments_outlive_a_restart() {
    let bed = Bed::embedded().await;
    polled(&bed, &["1", "2"]).await;
    make_current(&bed, "1").await;
    bed.start("stays").await;
    let task = task_for(&bed, "1").await;
    complete(&bed, &task, vec![], "1", Behavior::Pinned).await;
    bed.start("moves").await;
    let task = task_for(&bed, "1").await;
    complete(&bed, &task, vec![], "1", Behavior::AutoUpgrade).await;
    make_current(&bed, "2").await;
    bed.signal("stays", "s").await;
    bed.signal("moves", "s").await;
    // It is looked at anew each time whether a version is drained.
    let unchecked = |mut info: WorkerDeploymentInfo| {
        for summary in &mut info.version_summaries {
            if let Some(drainage) = &mut summary.drainage_info {
                drainage.last_checked_time = None;
            }
        }
        info
    };
    let before = info(&bed).await;
    let bed = crate::restart::restarted(bed).await;
    assert_eq!(unchecked(info(&bed).await), unchecked(before));
    for (id, build_id) in [("moves", "2"), ("stays", "1")] {
        let task = task_for(&bed, build_id).await;
        assert_eq!(
            task.workflow_execution
                .as_ref()
                .expect("an execution")
                .workflow_id,
            id
        );
        let done = vec![commands::complete("done")];
        complete(&bed, &task, done, build_id, Behavior::Pinned).await;
    }
    // No run is pinned to it any more.
    assert_eq!(status(&bed, "1").await, VersionStatus::Drained);
}

/// A ramp parts workflow ids, always in the same way.
#[tokio::test(flavor = "multi_thread")]
async fn a_ramp_parts_what_is_new() {
    let bed = Bed::embedded().await;
    polled(&bed, &["1", "2"]).await;
    make_current(&bed, "1").await;
    let request = SetWorkerDeploymentRampingVersionRequest {
        namespace: bed.namespace.clone(),
        deployment_name: DEPLOYMENT.to_owned(),
        build_id: "2".to_owned(),
        percentage: 30.0,
        ..Default::default()
    };
    rpc!(bed, set_worker_deployment_ramping_version, request).expect("a ramp");
    for n in 0..200 {
        bed.start(&format!("w{n}")).await;
    }
    let waiting = |build_id: &'static str| {
        let bed = &bed;
        async move {
            let request = DescribeWorkerDeploymentVersionRequest {
                namespace: bed.namespace.clone(),
                deployment_version: Some(version(build_id)),
                report_task_queue_stats: true,
                ..Default::default()
            };
            let described = rpc!(bed, describe_worker_deployment_version, request).expect("a description");
            let stats = described
                .version_task_queues
                .into_iter()
                .filter_map(|queue| queue.stats);
            stats.map(|stats| stats.approximate_backlog_count).sum::<i64>()
        }
    };
    let ramped = waiting("2").await;
    assert!((30..=90).contains(&ramped), "{ramped} of 200");
    assert_eq!(waiting("1").await, 200 - ramped);
    // What waits goes along when the ramp ends.
    let request = SetWorkerDeploymentRampingVersionRequest {
        namespace: bed.namespace.clone(),
        deployment_name: DEPLOYMENT.to_owned(),
        ..Default::default()
    };
    rpc!(bed, set_worker_deployment_ramping_version, request).expect("no ramp");
    assert_eq!((waiting("1").await, waiting("2").await), (200, 0));
}
