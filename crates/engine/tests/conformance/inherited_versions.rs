//! The version with which a run begins that no client starts: a child's or a schedule's override, and the ramping version
//! for what continues as new.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, command::Attributes},
    enums::v1::{
        ContinueAsNewVersioningBehavior, ScheduleOverlapPolicy,
        StartChildWorkflowExecutionFailedCause as Cause, VersioningBehavior as Behavior,
    },
    history::v1::history_event,
    schedule::v1::{SchedulePatch, TriggerImmediatelyRequest, schedule_action},
    workflow::v1::{
        VersioningOverride,
        versioning_override::{Override, PinnedOverride, PinnedOverrideBehavior},
    },
    workflowservice::v1::*,
};

use crate::{
    bed::{Bed, attributes, both_engines, commands, rpc},
    deployments::{
        DEPLOYMENT, complete, knows_of_ramp, make_current, pinned, polled, task_for, try_complete, versioning,
    },
    schedules::{create, create_request, idle, patch},
};

/// A command that starts a child with this override.
fn child(id: &str, given: VersioningOverride) -> Command {
    let mut child = commands::child(id);
    child.versioning_override = Some(given);
    commands::start_child(child)
}

/// Makes a version the ramping one, which no workflow id goes to by itself.
async fn make_ramping(bed: &Bed, build_id: &str) {
    let request = SetWorkerDeploymentRampingVersionRequest {
        namespace: bed.namespace.clone(),
        deployment_name: DEPLOYMENT.to_owned(),
        build_id: build_id.to_owned(),
        percentage: 0.0,
        identity: "operator".to_owned(),
        ..Default::default()
    };
    rpc!(bed, set_worker_deployment_ramping_version, request).expect("a ramp");
    knows_of_ramp(bed, build_id).await;
}

both_engines! {
    async fn a_child_begins_with_the_version_that_it_is_given(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        bed.start("w").await;
        let task = task_for(bed, "1").await;
        complete(bed, &task, vec![child("c", pinned("2"))], "1", Behavior::Pinned).await;
        let task = task_for(bed, "2").await;
        let initiated = attributes!(bed.history("w").await, StartChildWorkflowExecutionInitiatedEventAttributes);
        assert_eq!(initiated.versioning_override, Some(pinned("2")));
        let started = attributes!(bed.history("c").await, WorkflowExecutionStartedEventAttributes);
        assert_eq!(started.versioning_override, Some(pinned("2")));
        complete(bed, &task, vec![], "2", Behavior::AutoUpgrade).await;
        assert!(versioning(bed, "c").await.versioning_override.is_some());
        bed.signal("c", "s").await;
        task_for(bed, "2").await;
    }

    async fn a_child_with_a_version_that_is_none_does_not_start(bed: &Bed) {
        polled(bed, &["1"]).await;
        make_current(bed, "1").await;
        bed.start("w").await;
        let task = task_for(bed, "1").await;
        let nothing = VersioningOverride {
            r#override: Some(Override::Pinned(PinnedOverride {
                behavior: PinnedOverrideBehavior::Pinned as i32,
                version: None,
            })),
            ..Default::default()
        };
        let refused = try_complete(bed, &task, vec![child("c", nothing)], "1", Behavior::Pinned).await.expect_err("no version");
        assert_eq!(refused.message(), "BadStartChildExecutionAttributes: must provide version if override is pinned.");
        // One that it could be is looked for where the child starts.
        let task = task_for(bed, "1").await;
        complete(bed, &task, vec![child("d", pinned("9")), child("e", pinned(""))], "1", Behavior::Pinned).await;
        let failed = bed.eventually("neither has started", || async {
            let events = bed.history("w").await.into_iter();
            let failed: Vec<_> = events.filter_map(|event| match event.attributes {
                Some(history_event::Attributes::StartChildWorkflowExecutionFailedEventAttributes(failed)) => {
                    Some((failed.workflow_id.clone(), failed.cause()))
                }
                _ => None,
            }).collect();
            (failed.len() == 2).then_some(failed)
        }).await;
        assert!(failed.iter().all(|(_, cause)| *cause == Cause::InvalidVersioningOverride), "{failed:?}");
    }

    async fn what_continues_as_new_can_begin_with_the_ramping_version(bed: &Bed) {
        polled(bed, &["1", "2"]).await;
        make_current(bed, "1").await;
        bed.start("w").await;
        let task = task_for(bed, "1").await;
        complete(bed, &task, vec![], "1", Behavior::Pinned).await;
        make_ramping(bed, "2").await;
        bed.signal("w", "s").await;
        let task = task_for(bed, "1").await;
        let mut again = commands::continue_as_new("again");
        if let Some(Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(attributes)) = &mut again.attributes {
            attributes.initial_versioning_behavior = ContinueAsNewVersioningBehavior::UseRampingVersion as i32;
        }
        complete(bed, &task, vec![again], "1", Behavior::Pinned).await;
        let task = task_for(bed, "2").await;
        complete(bed, &task, vec![], "2", Behavior::AutoUpgrade).await;
        // From then on it goes where all do.
        bed.signal("w", "s").await;
        let task = task_for(bed, "1").await;
        complete(bed, &task, vec![commands::complete("done")], "1", Behavior::AutoUpgrade).await;
    }
}

/// The real server takes no notice of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_schedule_starts_begins_with_the_version_that_it_says() {
    let bed = &Bed::embedded().await;
    polled(bed, &["1", "2"]).await;
    make_current(bed, "1").await;
    let with = |given| {
        let mut schedule = idle(bed, ScheduleOverlapPolicy::AllowAll);
        let action = schedule.action.as_mut().and_then(|action| action.action.as_mut());
        if let Some(schedule_action::Action::StartWorkflow(workflow)) = action {
            workflow.versioning_override = Some(given);
        }
        schedule
    };
    create(bed, "s", with(pinned("2"))).await;
    let trigger = SchedulePatch {
        trigger_immediately: Some(TriggerImmediatelyRequest::default()),
        ..Default::default()
    };
    patch(bed, "s", trigger).await;
    let task = task_for(bed, "2").await;
    let id = task
        .workflow_execution
        .as_ref()
        .expect("an execution")
        .workflow_id
        .clone();
    let started = attributes!(bed.history(&id).await, WorkflowExecutionStartedEventAttributes);
    assert_eq!(started.versioning_override, Some(pinned("2")));
    complete(
        bed,
        &task,
        vec![commands::complete("done")],
        "2",
        Behavior::Pinned,
    )
    .await;
    let request = create_request(bed, "t", with(VersioningOverride::default()));
    let refused = rpc!(bed, create_schedule, request).expect_err("no override");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, "override behavior is required")
    );
}
