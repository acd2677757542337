//! Workflows that were terminated, and runs that are gone on with.

use segno_crawl_platform::{
    cluster::{JobName, Phase},
    lifecycle::LifecycleError,
    store::{RunStatus, Trigger},
};
use temporalio_client::WorkflowTerminateOptions;
use uuid::Uuid;

use crate::{
    on_every_engine,
    world::{World, crawler, eventually},
};

async fn terminate(world: &World, workflow_id: &str) {
    let handle = world
        .client()
        .get_workflow_handle::<segno_crawl_platform::lifecycle::CrawlerRun>(workflow_id);
    handle
        .terminate(WorkflowTerminateOptions::builder().reason("a test").build())
        .await
        .unwrap();
}

on_every_engine! {
    async fn a_terminated_run_goes_on_without_a_second_deployment(world: World) {
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(2)).await.unwrap().id;
        let asked = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap();
        let run = asked.run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        eventually("both are deployed", async || world.cluster.made().len() == 2).await;
        assert!(matches!(world.lifecycle.resume(run).await, Err(LifecycleError::LookedAfter(_))));
        terminate(&world, &asked.workflow_id).await;
        // What happens while nobody looks is found later.
        world.leave_output(run, 0, 1, 1).await;
        world.leave_output(run, 1, 1, 1).await;
        world.cluster.set(&world.job(run, 0), Phase::Succeeded);
        world.lifecycle.resume(run).await.unwrap();
        world.cluster.set(&world.job(run, 1), Phase::Succeeded);
        let record = world.ended(run).await;
        assert_eq!((record.status, record.records), (RunStatus::Completed, Some(2)));
        assert_eq!(world.cluster.made().len(), 2, "nothing was deployed twice");
        assert!(matches!(world.lifecycle.resume(run).await, Err(LifecycleError::Ended(_))));
        world.stop().await;
    }

    async fn a_run_that_was_terminated_before_its_job_started_goes_on_with_that_job(world: World) {
        world.cluster.jobs_begin(Phase::Pending);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let asked = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap();
        let run = asked.run;
        let first = JobName::of(run, 0, 1);
        eventually("it is deployed", async || world.cluster.made().contains(&first)).await;
        world.cluster.break_before_start(&first, "Evicted");
        let second = JobName::of(run, 0, 2);
        eventually("it is deployed again", async || world.cluster.made().contains(&second)).await;
        eventually("that is noted", async || {
            world.store.deployments(run).await.unwrap().len() == 2
        })
        .await;
        terminate(&world, &asked.workflow_id).await;
        world.lifecycle.resume(run).await.unwrap();
        world.cluster.set(&second, Phase::Running);
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.leave_output(run, 0, 1, 1).await;
        world.cluster.set(&second, Phase::Succeeded);
        assert_eq!(world.ended(run).await.status, RunStatus::Completed);
        assert_eq!(world.cluster.made(), [first, second]);
        world.stop().await;
    }

    async fn a_run_outlives_the_process(world: World) {
        let mut world = world;
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.restart().await;
        world.leave_output(run, 0, 2, 2).await;
        world.cluster.set(&world.job(run, 0), Phase::Succeeded);
        let record = world.ended(run).await;
        assert_eq!((record.status, record.records), (RunStatus::Completed, Some(2)));
        assert_eq!(world.cluster.made().len(), 1);
        assert_eq!(world.door.count("CrawlerRunStartedEvent"), 1);
        world.stop().await;
    }
}
