//! Events for later, events again and again, and how often each is tried.

use segno_crawl_platform::events::payloads::{HistoryStatsAdded, Payload, ReportRunStopped};
use segno_test_support::Answer;
use serde_json::json;
use std::time::{Duration, Instant};
use temporalio_client::schedules::ScheduleOverlapPolicy;
use time::{OffsetDateTime, macros::datetime};

use crate::world::{Engine, World};

/// Routes as somebody adds them to the configuration.
const ROUTES: &str = r#"
    [[routes]]
    name = "stop-later"
    on = "test.stop"
    workflow = "ReportRunStoppedEventWorkflow"
    delay = "1s"

    [[routes]]
    name = "stop-always"
    workflow = "ReportRunStoppedEventWorkflow"
    schedule = { cron = "@every 1s", type = "ReportRunStoppedEvent", data = { run = "r", report = "rep-always", project = "p-1" } }

    [[routes]]
    name = "stop-then"
    workflow = "ReportRunStoppedEventWorkflow"
    schedule = { cron = "30 9 2 3 * 2041", time_zone = "Asia/Kathmandu", type = "ReportRunStoppedEvent", data = { run = "r", report = "rep-then", project = "p-1" } }
    "#;

async fn scheduled(engine: Engine) {
    let world = World::with(engine, "", ROUTES).await;
    let mut event = serde_json::to_value(ReportRunStopped::example().event("1").unwrap()).unwrap();
    event["type"] = json!("test.stop");
    let begun = Instant::now();
    let execution = world.handle_json(&event).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(world.pushed("private-report-rep-1"), ["report-stop-progress"]);
    // Again and again.
    let requests = world
        .pusher
        .wait_until(Duration::from_secs(60), |requests| {
            requests
                .iter()
                .filter(|request| request.json()["channels"] == json!(["private-report-rep-always"]))
                .count()
                >= 2
        })
        .await;
    assert!(requests.len() >= 3);

    // At one time, which is far away; so its schedule is told that it is now.
    let schedule = world.client().get_schedule_handle("segno-route/stop-then");
    let described = schedule.describe(Default::default()).await.unwrap();
    let times = described.future_action_times();
    let times: Vec<_> = times.into_iter().map(OffsetDateTime::from).collect();
    assert_eq!(times, [datetime!(2041-03-02 3:45 UTC)]);
    schedule
        .trigger(ScheduleOverlapPolicy::AllowAll, Default::default())
        .await
        .unwrap();
    world
        .pusher
        .wait_until(Duration::from_secs(60), |requests| {
            let mut channels = requests.iter().map(|request| request.json()["channels"].take());
            channels.any(|channel| channel == json!(["private-report-rep-then"]))
        })
        .await;
    assert_eq!(world.pushed("private-report-rep-then"), ["report-stop-progress"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduled_on_the_embedded_engine() {
    scheduled(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduled_on_temporal() {
    scheduled(Engine::Temporal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_often_an_event_is_tried_is_set_for_each() {
    let settings = "[events.HistoryStatsAddedEvent]\nmax_attempts = 2\n[events.ReportRunStoppedEvent]\nmax_attempts = 4\n";
    let world = World::with(Engine::Embedded, settings, "").await;
    world.pusher.set_program(|_| Answer::status(503));
    let execution = world.handle("1", &HistoryStatsAdded::example()).await;
    assert_eq!(execution["status"], "Failed");
    assert_eq!(world.pusher.requests().len(), 2);
    let execution = world.handle("1", &ReportRunStopped::example()).await;
    assert_eq!(execution["status"], "Failed");
    let message = execution["failure"]["message"].as_str().unwrap();
    assert!(message.starts_with("pusher_trigger: Pusher, "), "{message}");
    assert_eq!(world.pusher.requests().len(), 6);
    world.stop().await;
}
