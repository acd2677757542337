//! Runs that their schedule terminates before they have done more than begin.

use std::time::Duration;

use segno_crawl_platform::{
    schedules,
    store::{NewRun, Overlap, Run, RunFilter, RunStatus, ScheduleDefinition, Trigger},
    sweeper::{SweepSettings, sweep},
};
use sqlx::{Connection, SqliteConnection};
use temporalio_client::schedules::ScheduleOverlapPolicy;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    on_every_engine,
    world::{World, crawler, eventually},
};

const REASON: &str = "stopped by its schedule, as the next run was due";

async fn runs(world: &World) -> Vec<Run> {
    let listed = world.store.runs(&RunFilter::default(), None, 10).await;
    listed.unwrap().unwrap().runs
}

on_every_engine! {
    async fn a_run_that_is_terminated_as_it_begins_is_closed_and_not_gone_on_with(world: World) {
        let crawler = world.store.put_crawler(Uuid::new_v4(), &crawler(1)).await.unwrap().id;
        let definition = ScheduleDefinition {
            crawler_id: crawler,
            cron: Some("0 0 29 2 *".to_owned()),
            every_seconds: None,
            time_zone: None,
            overlap: Overlap::TerminateOther,
            enabled: true,
        };
        let schedule = world.store.put_schedule(Uuid::new_v4(), &definition).await.unwrap();
        schedules::put(world.client(), &schedule, world.lifecycle.timing()).await.unwrap();
        let trigger = async || {
            let handle = world.client().get_schedule_handle(format!("crawler-schedule/{}", schedule.id));
            handle.trigger(ScheduleOverlapPolicy::TerminateOther, Default::default()).await.unwrap();
        };
        // Runs come no further than to their record.
        let url = format!("sqlite:{}", world.folder.path().join("platform.db").display());
        let mut database = SqliteConnection::connect(&url).await.unwrap();
        let hold = "CREATE TRIGGER held BEFORE UPDATE OF workflow_id ON runs BEGIN SELECT RAISE(ABORT, 'held'); END";
        sqlx::query(hold).execute(&mut database).await.unwrap();
        trigger().await;
        eventually("the first has its record", async || runs(&world).await.len() == 1).await;
        let first = runs(&world).await.remove(0);
        let since = OffsetDateTime::now_utc().unix_timestamp();
        eventually("a run of another second", async || OffsetDateTime::now_utc().unix_timestamp() > since).await;
        trigger().await;
        eventually("the second has its record", async || runs(&world).await.len() == 2).await;
        let second = runs(&world).await.remove(0);
        assert_ne!(second.id, first.id);
        sqlx::query("DROP TRIGGER held").execute(&mut database).await.unwrap();

        let record = world.ended(first.id).await;
        assert_eq!((record.status, record.reason.as_deref()), (RunStatus::Failed, Some(REASON)));
        assert!(!world.cluster.made().contains(&world.job(first.id, 0)), "nothing was deployed for it");
        let processing = |run: &Run| run.status == RunStatus::Processing;
        world.until(second.id, "processing", processing).await;

        // What the first's activity wrote only when the second had begun is the sweeper's.
        let late = NewRun {
            id: Uuid::new_v4(),
            crawler,
            trigger: Trigger::Scheduled,
            workflow_id: format!("crawler-run/{}-2026-01-01T00:00:00Z", schedule.id),
            request_hash: String::new(),
            processes: 1,
            created_at: world.store.now(),
        };
        world.store.create_run(&late).await.unwrap();
        let settings = SweepSettings { grace: Duration::ZERO, ..SweepSettings::default() };
        let swept = sweep(&world.cluster, &world.lifecycle, settings).await.unwrap();
        assert_eq!(swept.resumed, [late.id]);
        let record = world.ended(late.id).await;
        assert_eq!((record.status, record.reason.as_deref()), (RunStatus::Failed, Some(REASON)));
        assert_eq!(world.cluster.made(), [world.job(second.id, 0)]);
        assert_eq!(world.store.run(second.id).await.unwrap().status, RunStatus::Processing);
        world.stop().await;
    }
}
