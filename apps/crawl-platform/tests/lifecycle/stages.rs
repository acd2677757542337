//! The four stages of a run that goes well, or not.

use futures::StreamExt as _;
use segno_crawl_platform::{
    cluster::Phase,
    lifecycle::Stage,
    notifier::Notice,
    store::{ExportStatus, RunStatus, TaskStatus, Trigger},
};
use temporalio_client::WorkflowFetchHistoryOptions;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use uuid::Uuid;

use crate::{
    on_every_engine,
    world::{World, crawler, eventually},
};

/// The activities that a history tells of, each name once, in the order of their first.
async fn activities(world: &World, workflow_id: &str) -> Vec<String> {
    let handle = world
        .client()
        .get_workflow_handle::<temporalio_client::UntypedWorkflow>(workflow_id);
    let mut history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    let mut names = Vec::new();
    while let Some(event) = history.next().await {
        let event = event.unwrap();
        if let Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) = &event.attributes {
            let name = scheduled.activity_type.as_ref().unwrap().name.clone();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

on_every_engine! {
    async fn a_run_goes_through_its_stages(world: World) {
        world.cluster.jobs_begin(Phase::Pending);
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let asked = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap();
        let (run, job) = (asked.run, world.job(asked.run, 0));
        eventually("the job is deployed", async || !world.cluster.made().is_empty()).await;
        let record = world.until(run, "there", |run| run.workflow_id.is_some()).await;
        assert_eq!(record.status, RunStatus::Initializing);
        eventually("the query tells of its deployment", async || {
            let view = world.lifecycle.view(&record).await;
            view.is_some_and(|view| (view.stage, view.run_id) == (Stage::Deployment, Some(run)))
        })
        .await;

        world.cluster.set(&job, Phase::Running);
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.leave_output(run, 0, 30, 30).await;
        eventually("its statistics are told", async || {
            let task = &world.store.tasks(run).await.unwrap()[0];
            (task.records, task.status) == (Some(30), TaskStatus::Running)
        })
        .await;
        world.cluster.set(&job, Phase::Succeeded);
        let record = world.ended(run).await;

        assert_eq!((record.status, record.reason), (RunStatus::Completed, None));
        assert_eq!(record.export_status, Some(ExportStatus::Delivered));
        assert_eq!((record.records, record.metadata_count), (Some(30), Some(30)));
        assert_eq!(world.store.count_records(run).await.unwrap(), 30);
        assert_eq!(world.store.records(run, 29, 9).await.unwrap()[0].data, "{\"n\":29}");
        let archive = world.folder.path().join("archives").join(format!("{run}.zip"));
        let mut archive = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
        assert_eq!(std::io::read_to_string(archive.by_name("0/page.html").unwrap()).unwrap(), "<p>a page</p>");
        assert_eq!(world.front_ends.told(run), [Notice::ReportRunStarted]);
        let task = &world.store.tasks(run).await.unwrap()[0];
        assert_eq!(task.status, TaskStatus::Succeeded);
        let steps: Vec<_> = world.store.corrections(run).await.unwrap().into_iter().map(|it| (it.from, it.to)).collect();
        assert_eq!(steps, [(TaskStatus::Pending, TaskStatus::Running), (TaskStatus::Running, TaskStatus::Succeeded)]);
        for (ty, count) in [
            ("CrawlerRunStartedEvent", 1),
            ("CrawlerSummaryCalculatedEvent", 1),
            ("ReportDeliveryInitiatedEvent", 1),
            ("ReportRunFailedEvent", 0),
            ("ReportRunStoppedEvent", 0),
            ("DataDeliveryFailedEvent", 0),
        ] {
            assert_eq!(world.door.count(ty), count, "{ty}");
        }
        assert!(world.door.count("HistoryStatsAddedEvent") > 0);
        assert_eq!(
            activities(&world, &asked.workflow_id).await,
            [
                "create_history_id", "add_workflow_id", "run_onetime_crawler", "get_main_job_status",
                "update_run_started", "signal_pusher_started", "get_active_running_tasks",
                "get_history_statuses_to_sync", "get_bulk_task_history_data", "reconcile_tasks", "sync_statuses",
                "count_alive_tasks", "update_run_status", "initiate_export_signal", "export_supporting_files",
            ]
        );
        world.stop().await;
    }

    async fn one_task_of_several_fails_and_so_does_the_run(world: World) {
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(3)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Manual, None).await.unwrap().run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        for (process, phase) in [(0, Phase::Succeeded), (1, Phase::Failed), (2, Phase::Succeeded)] {
            world.cluster.set(&world.job(run, process), phase);
        }
        let record = world.ended(run).await;
        assert_eq!(record.status, RunStatus::Failed);
        assert_eq!(record.reason.as_deref(), Some("1 of 3 tasks have failed"));
        let failed = &world.store.tasks(run).await.unwrap()[1];
        assert_eq!(failed.status, TaskStatus::Failed);
        assert_eq!(failed.exit_code, Some(1));
        assert_eq!(failed.failure.as_deref(), Some("exit status 1"));
        assert!(failed.log_tail.as_ref().unwrap().contains("lines of crawl-"), "{failed:?}");
        assert_eq!(record.export_status, None, "a failed run is not exported");
        assert_eq!(world.door.count("ReportRunFailedEvent"), 1);
        world.stop().await;
    }

    async fn records_that_do_not_match_their_count_are_not_delivered(world: World) {
        let id = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        world.leave_output(run, 0, 29, 30).await;
        world.cluster.set(&world.job(run, 0), Phase::Succeeded);
        let record = world.ended(run).await;
        assert_eq!(record.status, RunStatus::Completed);
        assert_eq!(record.export_status, Some(ExportStatus::Failed));
        assert_eq!(
            record.export_reason.as_deref(),
            Some("process 0 has counted 30 records, and 29 are stored")
        );
        assert_eq!(world.store.count_records(run).await.unwrap(), 0);
        assert_eq!(world.door.count("DataDeliveryFailedEvent"), 1);
        assert_eq!(world.door.count("ReportDeliveryInitiatedEvent"), 0);
        world.stop().await;
    }

    async fn not_more_tasks_are_deployed_at_once_than_may_be(world: World) {
        let mut definition = crawler(4);
        definition.parallel = Some(2);
        let id = world.store.put_crawler(Uuid::new_v4(), &definition).await.unwrap().id;
        let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
        world.until(run, "processing", |run| run.status == RunStatus::Processing).await;
        for process in 0..4 {
            eventually("its job is deployed", async || {
                world.cluster.made().contains(&world.job(run, process))
            })
            .await;
            let running = world.cluster.jobs().iter().filter(|job| !job.phase.has_ended()).count();
            assert!(running <= 2, "{running} run at once");
            world.leave_output(run, process, 1, 1).await;
            world.cluster.set(&world.job(run, process), Phase::Succeeded);
        }
        let record = world.ended(run).await;
        assert_eq!((record.status, record.records), (RunStatus::Completed, Some(4)));
        assert_eq!(world.cluster.made().len(), 4);
        world.stop().await;
    }
}
