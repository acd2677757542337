//! Deployments that fail, are refused, or wait.

use std::time::Duration;

use segno_crawl_platform::{
    cluster::{JobName, Phase},
    store::{RunStatus, Trigger},
};
use uuid::Uuid;

use crate::{
    on_every_engine,
    world::{World, crawler, eventually},
};

on_every_engine! {
    async fn a_job_that_does_not_start_is_deployed_again_for_the_same_record(world: World) {
        world.cluster.jobs_begin(Phase::Pending);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
        for attempt in 1..=2 {
            let job = JobName::of(run, 0, attempt);
            eventually("it is deployed", async || world.cluster.made().contains(&job)).await;
            world.cluster.break_before_start(&job, "ImagePullBackOff");
        }
        let job = JobName::of(run, 0, 3);
        eventually("it is deployed", async || world.cluster.made().contains(&job)).await;
        world.cluster.set(&job, Phase::Running);
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.leave_output(run, 0, 1, 1).await;
        world.cluster.set(&job, Phase::Succeeded);
        assert_eq!(world.ended(run).await.status, RunStatus::Completed);
        let deployments = world.store.deployments(run).await.unwrap();
        let outcomes: Vec<_> = deployments.iter().map(|it| it.outcome.as_deref().unwrap()).collect();
        assert_eq!(outcomes, ["ImagePullBackOff", "ImagePullBackOff", "deployed"]);
        world.stop().await;
    }

    async fn a_run_that_cannot_be_deployed_has_failed(world: World) {
        world.cluster.refuse(9);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(2)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
        let record = world.ended(run).await;
        assert_eq!(record.status, RunStatus::Failed);
        let reason = record.reason.unwrap();
        assert!(reason.starts_with("deployed 3 times in vain:"), "{reason}");
        assert!(reason.ends_with("the image is not allowed"), "{reason}");
        assert_eq!(world.cluster.made(), []);
        assert_eq!(world.store.deployments(run).await.unwrap().len(), 3);
        assert_eq!(world.door.count("ReportRunFailedEvent"), 1);
        assert_eq!(world.door.count("ReportRunStoppedEvent"), 0);
        world.stop().await;
    }

    async fn a_cluster_that_is_not_reached_holds_a_run_up_and_no_more(world: World) {
        world.cluster.fail(5);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.cluster.fail(3);
        world.leave_output(run, 0, 1, 1).await;
        world.cluster.set(&world.job(run, 0), Phase::Succeeded);
        assert_eq!(world.ended(run).await.status, RunStatus::Completed);
        assert_eq!(world.cluster.made().len(), 1, "it was deployed once");
        world.stop().await;
    }

    async fn saturation_is_reported_with_the_scheduler_s_reason(world: World) {
        world.cluster.jobs_begin(Phase::Pending);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
        let job = world.job(run, 0);
        eventually("it is deployed", async || world.cluster.made().contains(&job)).await;
        let said = "0/3 nodes are available: 3 Insufficient cpu";
        world.cluster.saturate(&job, said, Duration::from_secs(3600));
        let record = world.until(run, "saturated", |run| run.saturation.is_some()).await;
        assert_eq!(record.saturation.unwrap(), format!("Unschedulable: {said}"));
        eventually("an incident is told of", async || world.door.count("CrawlerIncidentEvent") == 1).await;
        let record = world.store.run(run).await.unwrap();
        eventually("the query tells of it", async || {
            world.lifecycle.view(&record).await.is_some_and(|view| view.saturation.is_some())
        })
        .await;

        world.cluster.set(&job, Phase::Running);
        let record = world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        assert_eq!(record.saturation, None);
        assert!(record.saturated_at.is_some());
        world.leave_output(run, 0, 1, 1).await;
        world.cluster.set(&job, Phase::Succeeded);
        assert_eq!(world.ended(run).await.status, RunStatus::Completed);
        assert_eq!(world.door.count("CrawlerIncidentEvent"), 1);
        world.stop().await;
    }

    async fn a_request_that_is_sent_again_begins_nothing(world: World) {
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let first = world.lifecycle.begin(id, Trigger::Api, Some("key")).await.unwrap();
        let again = world.lifecycle.begin(id, Trigger::Api, Some("key")).await.unwrap();
        assert_eq!((first.run, first.duplicate, again.duplicate), (again.run, false, true));
        world.until(first.run, "there", |run| run.status == RunStatus::Processing).await;
        let other = world.lifecycle.begin(id, Trigger::Manual, Some("key")).await;
        assert!(matches!(other, Err(segno_crawl_platform::lifecycle::LifecycleError::KeyReused)));
        world.cluster.set(&world.job(first.run, 0), Phase::Failed);
        world.ended(first.run).await;
        let late = world.lifecycle.begin(id, Trigger::Api, Some("key")).await.unwrap();
        assert_eq!((late.run, late.duplicate), (first.run, true));
        assert_eq!(world.cluster.made().len(), 1);
        world.stop().await;
    }
}
