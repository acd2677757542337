//! Runs that are stopped.

use segno_crawl_platform::{
    cluster::Phase,
    lifecycle::StopRequest,
    notifier::Notice,
    store::{RunStatus, TaskStatus, Trigger},
};
use uuid::Uuid;

use crate::{
    on_every_engine,
    world::{World, crawler, eventually},
};

fn stop(force: bool) -> StopRequest {
    StopRequest {
        force,
        by: "ada".to_owned(),
    }
}

async fn statuses(world: &World, run: Uuid) -> Vec<TaskStatus> {
    let tasks = world.store.tasks(run).await.unwrap();
    tasks.into_iter().map(|task| task.status).collect()
}

on_every_engine! {
    async fn a_run_is_stopped_gracefully_and_has_failed(world: World) {
        let mut definition = crawler(3);
        definition.parallel = Some(2);
        let id = world.store.put_crawler(Uuid::new_v4(), &definition).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Manual, None).await.unwrap().run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.lifecycle.stop(run, &stop(false)).await.unwrap();
        let record = world.ended(run).await;
        assert_eq!(record.status, RunStatus::Failed);
        assert_eq!(record.reason.as_deref(), Some("stopped by ada"));
        assert_eq!(statuses(&world, run).await, [TaskStatus::Cancelled; 3]);
        let told: Vec<_> = world.cluster.told().into_iter().map(|(_, word)| word).collect();
        assert_eq!(told, ["stop", "stop"], "each active task once, and no pod was deleted");
        assert_eq!(world.cluster.made().len(), 2, "what was queued was not deployed");
        eventually("the front ends are told", async || {
            world.front_ends.told(run).contains(&Notice::ReportRunStopped)
        })
        .await;
        assert_eq!(world.door.count("ReportRunStoppedEvent"), 1);
        assert_eq!(world.door.count("ReportRunFailedEvent"), 0);
        let logs = world.store.logs(run).await.unwrap();
        assert!(logs.iter().any(|line| line.message == "the run was stopped by ada"), "{logs:?}");
        assert!(world.lifecycle.stop(run, &stop(false)).await.is_err(), "it has ended");
        world.stop().await;
    }

    async fn what_does_not_end_in_time_loses_its_pod(world: World) {
        world.cluster.disobey();
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Manual, None).await.unwrap().run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.lifecycle.stop(run, &stop(false)).await.unwrap();
        let record = world.ended(run).await;
        assert_eq!(record.status, RunStatus::Failed);
        let told: Vec<_> = world.cluster.told().into_iter().map(|(_, word)| word).collect();
        assert_eq!(told, ["stop", "kill"]);
        world.stop().await;
    }

    async fn by_force_pods_are_deleted_at_once(world: World) {
        world.cluster.disobey();
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(2)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Manual, None).await.unwrap().run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.lifecycle.stop(run, &stop(true)).await.unwrap();
        let record = world.ended(run).await;
        assert_eq!(record.reason.as_deref(), Some("stopped by ada"));
        let told: Vec<_> = world.cluster.told().into_iter().map(|(_, word)| word).collect();
        assert_eq!(told, ["kill", "kill"]);
        world.stop().await;
    }

    async fn a_run_whose_job_waits_can_be_stopped(world: World) {
        world.cluster.jobs_begin(Phase::Pending);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Manual, None).await.unwrap().run;
        eventually("it is deployed", async || !world.cluster.made().is_empty()).await;
        world.lifecycle.stop(run, &stop(false)).await.unwrap();
        let record = world.ended(run).await;
        assert_eq!((record.status, record.started_at), (RunStatus::Failed, None));
        assert_eq!(statuses(&world, run).await, [TaskStatus::Cancelled]);
        assert_eq!(world.door.count("CrawlerRunStartedEvent"), 0);
        world.stop().await;
    }

    async fn a_run_that_was_never_deployed_can_be_stopped(world: World) {
        world.cluster.fail(u64::MAX);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Manual, None).await.unwrap().run;
        eventually("it is being deployed", async || world.cluster.calls() > 1).await;
        world.lifecycle.stop(run, &stop(false)).await.unwrap();
        let record = world.ended(run).await;
        assert_eq!(record.status, RunStatus::Failed);
        assert_eq!(world.cluster.made(), []);
        world.stop().await;
    }

    async fn a_cancellation_of_the_workflow_stops_the_run(world: World) {
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let asked = world.lifecycle.begin(id, Trigger::Manual, None).await.unwrap();
        let run = asked.run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        let handle = world
            .client()
            .get_workflow_handle::<segno_crawl_platform::lifecycle::CrawlerRun>(asked.workflow_id);
        handle.cancel(Default::default()).await.unwrap();
        let record = world.ended(run).await;
        assert_eq!(record.reason.as_deref(), Some("stopped by a cancellation of its workflow"));
        assert_eq!(statuses(&world, run).await, [TaskStatus::Cancelled]);
        world.stop().await;
    }
}
