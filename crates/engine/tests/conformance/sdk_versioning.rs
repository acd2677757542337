//! The official SDK's worker with a version of its own.

use temporalio_client::{WorkflowGetResultOptions, WorkflowSignalOptions, WorkflowStartOptions};
use temporalio_common::{
    protos::temporal::api::enums::v1::VersioningBehavior as Behavior,
    worker::{VersioningBehavior, WorkerDeploymentOptions, WorkerDeploymentVersion},
};
use temporalio_sdk::{WorkerOptions, runtime::RuntimeOptions};

use crate::{
    bed::{Bed, both_engines},
    deployments::{DEPLOYMENT, describe_version, make_current, version, versioning},
    sdk::{Counter, Hello, with_worker_of},
};

fn of_version(build_id: &'static str) -> impl FnOnce(&mut WorkerOptions) {
    move |options| {
        let version = WorkerDeploymentVersion::builder()
            .deployment_name(DEPLOYMENT)
            .build_id(build_id)
            .build();
        options.deployment_options = WorkerDeploymentOptions::new(version)
            .use_worker_versioning(true)
            .default_versioning_behavior(VersioningBehavior::Pinned)
            .build();
    }
}

async fn has_polled(bed: &Bed, build_id: &str) {
    bed.eventually("the worker has polled both queues", || async {
        let described = describe_version(bed, build_id).await.ok()?;
        (described.version_task_queues.len() == 2).then_some(())
    })
    .await;
}

fn options(bed: &Bed, id: &str) -> WorkflowStartOptions {
    WorkflowStartOptions::new(bed.queue.clone(), id.to_owned()).build()
}

both_engines! {
    async fn each_worker_gets_what_its_version_is_for(bed: &Bed) {
        with_worker_of(bed, RuntimeOptions::default(), of_version("1"), async {
            has_polled(bed, "1").await;
            make_current(bed, "1").await;
            let old = bed.client.start_workflow(Counter::run, 1, options(bed, "old")).await.expect("a start");
            bed.eventually("it is pinned", || async {
                let info = bed.describe("old").await.workflow_execution_info?.versioning_info?;
                (info.behavior() == Behavior::Pinned).then_some(())
            })
            .await;
            with_worker_of(bed, RuntimeOptions::default(), of_version("2"), async {
                has_polled(bed, "2").await;
                make_current(bed, "2").await;
                let new = bed.client.start_workflow(Hello::run, "Segno".to_owned(), options(bed, "new")).await;
                let result = new.expect("a start").get_result(WorkflowGetResultOptions::default()).await;
                assert_eq!(result.expect("a result"), "Hello, Segno!", "with its activity");
                assert_eq!(versioning(bed, "new").await.deployment_version, Some(version("2")));
                old.signal(Counter::add, 1, WorkflowSignalOptions::default()).await.expect("a signal");
                let result = old.get_result(WorkflowGetResultOptions::default()).await;
                assert_eq!(result.expect("a result"), 1);
                assert_eq!(versioning(bed, "old").await.deployment_version, Some(version("1")));
            })
            .await;
        })
        .await;
    }
}
