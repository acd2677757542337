//! The database, on all three kinds of servers.

use std::time::Duration;

use segno_crawl_platform::{
    lifecycle::rules::Correction,
    store::{
        ExportStatus, LogLine, NewRun, Overlap, RecordRow, RunFilter, RunStatus, ScheduleDefinition,
        StopMode, Store, StoreError, TaskReport, TaskStatus, Trigger,
    },
};
use segno_test_support::servers::{MariaDb, Postgres};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::world::crawler;

const NOW: OffsetDateTime = datetime!(2026-11-26 12:00:00.5 UTC);

fn new_run(crawler: Uuid, number: u8) -> NewRun {
    NewRun {
        id: Uuid::from_u128(u128::from(number)),
        crawler,
        trigger: if number.is_multiple_of(2) {
            Trigger::Api
        } else {
            Trigger::Scheduled
        },
        workflow_id: format!("workflow-{number}"),
        request_hash: format!("hash-{number}"),
        processes: 3,
        created_at: NOW + time::Duration::minutes(number.into()),
    }
}

fn correction(
    run: &[segno_crawl_platform::store::Task],
    process: usize,
    from: TaskStatus,
    to: TaskStatus,
) -> Correction {
    Correction {
        task: run[process].id,
        job: run[process].job_name.clone(),
        from,
        to,
        reason: "as the cluster says: ünïcödé '; --".to_owned(),
        started_at: Some(NOW),
        ended_at: None,
    }
}

/// All that a store is to do; the database is empty.
async fn behaves(url: &str) {
    let store = Store::open(url).await.unwrap();
    Store::open(url).await.unwrap().close().await;
    store.ping().await.unwrap();

    // Crawlers and schedules.
    let definition = crawler(3);
    let crawler_id = store.put_crawler(Uuid::new_v4(), &definition).await.unwrap().id;
    let mut changed = definition.clone();
    changed.name = "other books".to_owned();
    assert_eq!(
        store.put_crawler(crawler_id, &changed).await.unwrap().definition,
        changed
    );
    assert_eq!(store.crawlers().await.unwrap().len(), 1);
    assert!(matches!(
        store.crawler(Uuid::nil()).await,
        Err(StoreError::NotFound { .. })
    ));
    let schedule = ScheduleDefinition {
        crawler_id,
        cron: Some("0 6 * * *".to_owned()),
        every_seconds: None,
        time_zone: Some("Asia/Kathmandu".to_owned()),
        overlap: Overlap::Skip,
        enabled: true,
    };
    let put = store.put_schedule(Uuid::new_v4(), &schedule).await.unwrap();
    assert_eq!(store.schedules().await.unwrap(), std::slice::from_ref(&put));
    assert!(store.delete_schedule(put.id).await.unwrap());
    assert!(!store.delete_schedule(put.id).await.unwrap());

    // A run is made once, whoever asks and however often.
    let new = new_run(crawler_id, 1);
    let (one, two) = tokio::join!(store.create_run(&new), store.create_run(&new));
    let one = one.unwrap();
    assert_eq!(one, two.unwrap());
    assert_eq!(one.workflow_id.as_deref(), Some("workflow-1"));
    store.set_workflow(new.id, "another").await.unwrap();
    assert_eq!(
        store.run(new.id).await.unwrap().workflow_id.as_deref(),
        Some("another")
    );
    let run = new.id;
    let tasks = store.tasks(run).await.unwrap();
    assert_eq!(tasks.len(), 3);
    assert!(tasks.iter().all(|task| task.status == TaskStatus::Queued));
    assert_eq!(store.request_hash(run).await.unwrap().as_deref(), Some("hash-1"));
    assert!(matches!(
        store.create_run(&new_run(Uuid::nil(), 9)).await,
        Err(StoreError::NotFound { .. })
    ));

    // Deployment, and again for the same record.
    let (first, second) = (&tasks[0].job_name, "crawl-again".parse().unwrap());
    store.begin_deployment(run, 1, first, NOW).await.unwrap();
    store.begin_deployment(run, 1, first, NOW).await.unwrap();
    assert!(
        store
            .set_deployed(tasks[0].id, first, "uid-1", NOW)
            .await
            .unwrap()
    );
    assert!(
        !store
            .set_deployed(tasks[0].id, first, "uid-1", NOW)
            .await
            .unwrap()
    );
    store
        .end_deployment(run, 1, Some("uid-1"), "Evicted", NOW)
        .await
        .unwrap();
    assert!(store.requeue(tasks[0].id, first, &second).await.unwrap());
    assert!(
        !store.requeue(tasks[0].id, first, &second).await.unwrap(),
        "it has another name by now"
    );
    store.begin_deployment(run, 2, &second, NOW).await.unwrap();
    assert!(
        store
            .set_deployed(tasks[0].id, &second, "uid-2", NOW)
            .await
            .unwrap()
    );
    let deployments = store.deployments(run).await.unwrap();
    assert_eq!(deployments.len(), 2);
    assert_eq!(deployments[0].outcome.as_deref(), Some("Evicted"));

    // Reconciliation: each correction once, and only from what it is from.
    store.set_saturation(run, "Unschedulable", NOW).await.unwrap();
    assert!(store.set_started(run, NOW).await.unwrap());
    assert!(!store.set_started(run, NOW).await.unwrap());
    let tasks = store.tasks(run).await.unwrap();
    let corrections = [
        correction(&tasks, 0, TaskStatus::Pending, TaskStatus::Running),
        correction(&tasks, 1, TaskStatus::Running, TaskStatus::Failed),
    ];
    let applied = store.correct(run, 1, &corrections, NOW).await.unwrap();
    assert_eq!((applied.made, applied.left), (1, 1));
    let again = store.correct(run, 1, &corrections, NOW).await.unwrap();
    assert_eq!((again.made, again.left), (0, 2));
    let recorded = store.corrections(run).await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!(
        (recorded[0].from, recorded[0].to),
        (TaskStatus::Pending, TaskStatus::Running)
    );
    assert_eq!(recorded[0].reason, corrections[0].reason);
    let report = TaskReport {
        task: tasks[0].id,
        pod: Some("pod-1".to_owned()),
        restarts: 1,
        log_tail: Some("the end".to_owned()),
        records: Some(7),
        errors: Some(2),
        pages: Some(3),
        ..TaskReport::default()
    };
    store
        .report(run, 2, &[report], &[tasks[1].id], &[tasks[0].id], NOW)
        .await
        .unwrap();
    let active = store.active_tasks(run).await.unwrap();
    assert_eq!(active.len(), 3);
    assert_eq!(
        (active[0].missing_since, active[1].missing_since),
        (None, Some(NOW))
    );
    assert_eq!(store.run(run).await.unwrap().reconciled, 2);
    let summary = store.summary(run).await.unwrap();
    assert_eq!(
        (summary.alive, summary.records, summary.pages, summary.errors),
        (3, 7, 3, 2)
    );

    // A stop: by force outlasts gracefully.
    store.request_stop(run, StopMode::Force, "ada").await.unwrap();
    store.request_stop(run, StopMode::Graceful, "bob").await.unwrap();
    let record = store.run(run).await.unwrap();
    assert_eq!(
        (record.stop_requested, record.stopped_by.as_deref()),
        (Some(StopMode::Force), Some("ada"))
    );
    assert_eq!(store.cancel_queued(run, NOW).await.unwrap(), 2);
    assert_eq!(store.count_alive(run).await.unwrap(), 1);
    let line = LogLine {
        task_id: Some(tasks[0].id),
        level: "warning".to_owned(),
        message: "stopped".to_owned(),
        at: NOW,
    };
    store.add_log(run, "stop", &line).await.unwrap();
    store.add_log(run, "stop", &line).await.unwrap();
    assert_eq!(store.logs(run).await.unwrap(), [line]);

    // The first end is the last.
    assert!(
        store
            .conclude(run, RunStatus::Failed, Some("stopped by ada"), NOW)
            .await
            .unwrap()
    );
    assert!(
        !store
            .conclude(run, RunStatus::Completed, None, NOW)
            .await
            .unwrap()
    );
    let record = store.run(run).await.unwrap();
    assert_eq!(
        (record.status, record.reason.as_deref()),
        (RunStatus::Failed, Some("stopped by ada"))
    );
    assert_eq!((record.saturation, record.saturated_at), (None, Some(NOW)));

    // Records.
    let rows: Vec<_> = (0..1_200)
        .map(|number| RecordRow {
            number,
            data: format!("{{\"n\":{number},\"text\":\"{}\"}}", "ß".repeat(40)),
        })
        .collect();
    store.add_records(run, &rows).await.unwrap();
    store.add_records(run, &rows[..10]).await.unwrap();
    assert_eq!(store.count_records(run).await.unwrap(), 1_200);
    assert_eq!(store.records(run, 1_198, 10).await.unwrap(), rows[1_198..]);
    store
        .set_export(run, ExportStatus::Delivered, None, Some((1_200, 1_200)))
        .await
        .unwrap();
    store
        .set_export(run, ExportStatus::Failed, Some("late"), None)
        .await
        .unwrap();
    assert_eq!(
        store.run(run).await.unwrap().export_status,
        Some(ExportStatus::Delivered)
    );
    store.clear_records(run).await.unwrap();
    assert_eq!(
        store.count_records(run).await.unwrap(),
        1_200,
        "what was delivered stays"
    );

    // Lists.
    for number in 2..=9 {
        store.create_run(&new_run(crawler_id, number)).await.unwrap();
    }
    let open = store
        .open_runs(NOW + time::Duration::hours(1), Duration::from_secs(52 * 60), 10)
        .await
        .unwrap();
    assert_eq!(open.len(), 7, "runs 2 to 8 are that old");
    let all = list(&store, &RunFilter::default()).await;
    assert_eq!(all, (1..=9_u128).rev().collect::<Vec<_>>());
    let filter = RunFilter {
        status: Some(RunStatus::Initializing),
        trigger: Some(Trigger::Api),
        crawler: Some(crawler_id),
        since: Some(NOW + time::Duration::minutes(4)),
        until: Some(NOW + time::Duration::minutes(8)),
    };
    assert_eq!(list(&store, &filter).await, [6, 4]);
    assert!(store.runs(&filter, Some("nonsense"), 3).await.unwrap().is_err());
    let statuses = store.statuses(&[run, Uuid::nil()]).await.unwrap();
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[&run].0, RunStatus::Failed);
    store.close().await;
}

/// The numbers of the runs that a filter finds, over pages of two.
async fn list(store: &Store, filter: &RunFilter) -> Vec<u128> {
    let (mut numbers, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.runs(filter, cursor.as_deref(), 2).await.unwrap().unwrap();
        numbers.extend(page.runs.iter().map(|run| run.id.as_u128()));
        match page.next {
            Some(next) => cursor = Some(next),
            None => return numbers,
        }
    }
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    behaves(&format!("sqlite:{}", folder.path().join("platform.db").display())).await;
}

#[tokio::test]
async fn on_postgresql() {
    let server = Postgres::start().await;
    behaves(&server.url()).await;
}

#[tokio::test]
async fn on_mariadb() {
    let server = MariaDb::start().await;
    behaves(&server.url()).await;
}

#[tokio::test]
async fn another_database_is_refused() {
    assert!(matches!(Store::open("oracle://x").await, Err(StoreError::Scheme)));
}
