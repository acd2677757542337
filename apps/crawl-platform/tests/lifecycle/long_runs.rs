//! Runs whose history grows long: their workflow goes on as new, and nobody sees it.

use std::time::Duration;

use segno_crawl_platform::{
    cluster::Phase,
    lifecycle::{
        CrawlerRun, Stage, StopRequest,
        rules::{Intervals, f64_seconds::Seconds},
    },
    store::{RunStatus, Trigger},
};
use temporalio_client::UntypedWorkflow;
use uuid::Uuid;

use crate::{
    on_every_engine,
    world::{World, crawler, eventually, timing},
};

/// The run id of the workflow's latest run.
async fn link(world: &World, workflow_id: &str) -> String {
    let handle = world.client().get_workflow_handle::<UntypedWorkflow>(workflow_id);
    let described = handle.describe(Default::default()).await.unwrap();
    described.run_id().to_owned()
}

async fn goes_on_as_new(world: &World, workflow_id: &str) {
    let before = link(world, workflow_id).await;
    eventually("the workflow goes on as new", async || {
        link(world, workflow_id).await != before
    })
    .await;
}

on_every_engine! {
    async fn a_long_run_goes_on_as_new_and_ends_as_any_other(world: World) {
        let mut world = world;
        let mut short = timing();
        short.intervals = Intervals::every(Duration::from_millis(20));
        short.history_events = 200;
        world.set_timing(short);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(2)).await.unwrap().id;
        let asked = world.lifecycle.begin(id, Trigger::Api, Some("once")).await.unwrap();
        let run = asked.run;
        world.leave_output(run, 0, 1, 1).await;
        world.leave_output(run, 1, 2, 2).await;
        let started = world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        goes_on_as_new(&world, &asked.workflow_id).await;
        let record = world.store.run(run).await.unwrap();
        assert_eq!((record.status, record.started_at), (RunStatus::Processing, started.started_at));
        // What the query tells goes on where it was.
        let reconciled = record.reconciled;
        eventually("it is reconciled further", async || {
            let view = world.lifecycle.view(&record).await;
            view.is_some_and(|view| {
                assert_eq!((view.run_id, view.deployments), (Some(run), 1));
                view.stage == Stage::Reconciliation && view.reconciliations > reconciled && view.alive == 2
            })
        })
        .await;
        // The request that began it is known in whichever link.
        let again = world.lifecycle.begin(id, Trigger::Api, Some("once")).await.unwrap();
        assert_eq!((again.run, again.duplicate), (run, true));

        world.cluster.set(&world.job(run, 0), Phase::Succeeded);
        goes_on_as_new(&world, &asked.workflow_id).await;
        world.cluster.set(&world.job(run, 1), Phase::Succeeded);
        let record = world.ended(run).await;
        assert_eq!((record.status, record.records), (RunStatus::Completed, Some(3)));
        assert_eq!(world.store.count_records(run).await.unwrap(), 3);
        assert_eq!(world.cluster.made().len(), 2, "nothing was deployed twice");
        for ty in ["CrawlerRunStartedEvent", "CrawlerSummaryCalculatedEvent", "ReportDeliveryInitiatedEvent"] {
            assert_eq!(world.door.count(ty), 1, "{ty}");
        }
        assert_eq!(world.front_ends.told(run).len(), 1);
        world.stop().await;
    }

    async fn a_long_run_is_stopped_as_any_other(world: World) {
        let mut world = world;
        let mut short = timing();
        short.intervals = Intervals::every(Duration::from_millis(20));
        short.history_events = 200;
        // Whoever does not obey is waited for, for so long that the workflow goes on as new meanwhile.
        short.status_poll_seconds = Seconds::from_millis(20);
        short.stop_grace_seconds = Seconds::new(3600);
        world.set_timing(short);
        world.cluster.disobey();
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let asked = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap();
        let run = asked.run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        let stop = |force| StopRequest { force, by: "ada".to_owned() };
        world.lifecycle.stop(run, &stop(false)).await.unwrap();
        goes_on_as_new(&world, &asked.workflow_id).await;
        let record = world.store.run(run).await.unwrap();
        // The next run of it may not have begun yet, and tells nothing then.
        eventually("it knows that it is stopped", async || {
            let view = world.lifecycle.view(&record).await;
            view.is_some_and(|view| (view.stage, view.stop) == (Stage::Stopping, Some(stop(false))))
        })
        .await;
        assert!(world.cluster.told().iter().all(|(_, word)| *word == "stop"), "{:?}", world.cluster.told());
        world.lifecycle.stop(run, &stop(true)).await.unwrap();
        let record = world.ended(run).await;
        assert_eq!((record.status, record.stopped_by.as_deref()), (RunStatus::Failed, Some("ada")));
        assert_eq!(world.cluster.told().last().unwrap().1, "kill");
        assert_eq!(world.door.count("ReportRunStoppedEvent"), 1);
        assert_eq!(world.door.count("ReportRunFailedEvent"), 0);
        let handle = world.client().get_workflow_handle::<CrawlerRun>(asked.workflow_id);
        assert_eq!(handle.get_result(Default::default()).await.unwrap().status, RunStatus::Failed);
        world.stop().await;
    }

    async fn going_on_as_new_gives_no_job_more_time_to_end(world: World) {
        let mut world = world;
        let mut short = timing();
        short.intervals = Intervals::every(Duration::from_millis(20));
        short.history_events = 120;
        short.status_poll_seconds = Seconds::from_millis(20);
        // Longer than the workflow takes to go on as new, again and again.
        short.stop_grace_seconds = Seconds::new(4);
        world.set_timing(short);
        world.cluster.disobey();
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let asked = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap();
        let run = asked.run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.lifecycle.stop(run, &StopRequest { force: false, by: "ada".to_owned() }).await.unwrap();
        eventually("it is told to stop", async || !world.cluster.told().is_empty()).await;
        goes_on_as_new(&world, &asked.workflow_id).await;
        assert_eq!(world.cluster.told().len(), 1, "it has time left: {:?}", world.cluster.told());
        assert_eq!(world.ended(run).await.status, RunStatus::Failed);
        let told: Vec<_> = world.cluster.told().into_iter().map(|(_, word)| word).collect();
        assert_eq!(told, ["stop", "kill"], "each once");
        world.stop().await;
    }

    async fn why_a_run_was_not_deployed_is_known_however_long_its_end_takes(world: World) {
        let mut world = world;
        let mut short = timing();
        short.history_events = 200;
        short.status_poll_seconds = Seconds::from_millis(20);
        short.start_limit_seconds = Seconds::from_millis(100);
        short.stop_grace_seconds = Seconds::new(3600);
        world.set_timing(short);
        world.cluster.jobs_begin(Phase::Pending);
        world.cluster.disobey();
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let asked = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap();
        let run = asked.run;
        eventually("its jobs are told to stop", async || !world.cluster.told().is_empty()).await;
        goes_on_as_new(&world, &asked.workflow_id).await;
        world.cluster.set(&world.job(run, 0), Phase::Failed);
        let record = world.ended(run).await;
        assert_eq!(record.status, RunStatus::Failed);
        assert!(record.reason.as_ref().unwrap().starts_with("the job did not start within"), "{record:?}");
        assert_eq!(world.door.count("ReportRunFailedEvent"), 1);
        assert_eq!(world.door.count("ReportRunStoppedEvent"), 0, "nobody has stopped it");
        world.stop().await;
    }
}
