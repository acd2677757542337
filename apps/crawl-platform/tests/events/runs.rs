//! The loop: runs of a crawler, as real processes, tell of themselves by business events, which come in by the front door and
//! set off what they set off.

use std::{path::Path, sync::Arc, time::Duration};

use segno::config::Config;
use segno_crawl_platform::{
    cluster::processes::Processes,
    events,
    lifecycle::{
        StopRequest, Timing,
        rules::{Intervals, f64_seconds::Seconds},
    },
    platform::{Options, Platform},
    site,
    store::{CrawlerDefinition, ExportTo, Trigger},
};
use segno_crawl_stand_ins::services::PROJECTS;
use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::world::StandIns;

/// How long each part of a run may take.
const DEADLINE: Duration = Duration::from_secs(90);

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(30)).await;
    }
}

fn crawler(name: &str, site: &str, pause: u32) -> CrawlerDefinition {
    CrawlerDefinition {
        name: name.to_owned(),
        project_id: Some("p-1".to_owned()),
        report_id: Some("rep-1".to_owned()),
        image: None,
        command: Vec::new(),
        args: Vec::new(),
        env: [
            ("CRAWL_START_URL".to_owned(), site.to_owned()),
            ("CRAWL_PAUSE_MS".to_owned(), pause.to_string()),
        ]
        .into(),
        processes: 1,
        parallel: None,
        export: ExportTo::Database,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_tells_comes_in_by_the_front_door() {
    let folder = tempfile::tempdir().unwrap();
    let (stand_ins, settings) = StandIns::start("").await;
    let settings = events::Settings::parse(&settings, events::registry::types()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, site::router(5)).await });
    let program = env!("CARGO_BIN_EXE_crawl-platform");
    let cluster = Processes::open(folder.path().join("jobs"), program, 2).unwrap();
    let starting = cluster.clone();
    let keeps = tokio::spawn(async move { starting.keep_starting().await });
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::load(&base.join("segno.toml")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let platform = Platform::start(Options {
        config,
        events: Some(events::Options {
            settings,
            base: folder.path().to_owned(),
        }),
        timing: Timing {
            status_poll_seconds: Seconds::from_millis(100),
            intervals: Intervals::every(Duration::from_millis(500)),
            ..Timing::default()
        },
        ..Options::in_folder(folder.path(), Arc::new(cluster))
    })
    .await
    .unwrap();
    let (lifecycle, store) = (platform.lifecycle(), platform.lifecycle().store());

    // A run to its end: the report's page, search and the people who follow runs have what it brought.
    let whole = store
        .put_crawler(Uuid::now_v7(), &crawler("whole", &site, 1))
        .await
        .unwrap();
    let run = lifecycle
        .begin(whole.id, Trigger::Manual, None)
        .await
        .unwrap()
        .run
        .to_string();
    let shown = || {
        stand_ins
            .services
            .report("rep-1")
            .and_then(|report| report.latest_run)
    };
    until("the report's page shows the run's end", || {
        shown().is_some_and(|shown| shown.run_id == run && shown.status == "COMPLETED")
    })
    .await;
    let records = shown().unwrap().records;
    assert!(records >= 5, "{records}");
    until("followers of runs are mailed", || {
        stand_ins.told(&format!("Prices: {records} records")).len() == 3
    })
    .await;
    until("search has it", || {
        let object = stand_ins.algolia.record(PROJECTS, "p-1");
        object.is_some_and(|object| {
            object["last_run"]["run"] == run && object["last_run"]["records"] == json!(records)
        })
    })
    .await;
    until("the front end hears that the data are on their way", || {
        stand_ins
            .pushed("private-report-rep-1")
            .iter()
            .any(|name| name == "delivery-initiated")
    })
    .await;

    // A run that somebody stops: the front end's bar ends.
    let slow = store
        .put_crawler(Uuid::now_v7(), &crawler("slow", &site, 60_000))
        .await
        .unwrap();
    let id = lifecycle.begin(slow.id, Trigger::Manual, None).await.unwrap().run;
    let run = id.to_string();
    until("the page shows that the run works", || {
        shown().is_some_and(|shown| shown.run_id == run && shown.status == "PROCESSING")
    })
    .await;
    let stop = StopRequest {
        force: false,
        by: "carla@shop.example".to_owned(),
    };
    lifecycle.stop(id, &stop).await.unwrap();
    until("the front end's bar ends", || {
        stand_ins
            .pushed("private-report-rep-1")
            .iter()
            .any(|name| name == "report-stop-progress")
    })
    .await;
    until("the page shows that it has failed", || {
        shown().is_some_and(|shown| shown.run_id == run && shown.status == "FAILED")
    })
    .await;

    platform.stop().await.unwrap();
    keeps.abort();
    serving.abort();
}
