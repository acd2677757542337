//! The table `schedules`, and what the engine has of it.

use reqwest::{Method, StatusCode};
use segno_crawl_platform::{
    store::{Overlap, ScheduleDefinition},
    sweeper::SweepSettings,
};
use serde_json::json;
use time::{OffsetDateTime, Time, macros::time};
use uuid::Uuid;

use crate::{api::Api, world::eventually};

/// When the engine starts a schedule's next run; none if it has no such schedule.
async fn next_of(api: &Api, schedule: Uuid) -> Option<Time> {
    let client = api.platform.lifecycle().client();
    let handle = client.get_schedule_handle(format!("crawler-schedule/{schedule}"));
    let described = handle.describe(Default::default()).await.ok()?;
    let next = described.future_action_times().into_iter().next()?;
    Some(OffsetDateTime::from(next).time())
}

async fn the_engine_s_schedules_are_those_of_the_table(api: Api) {
    let crawler = api.crawler().await;
    let path = format!("/crawlers/{crawler}");
    let other = json!({"name": "other books", "command": ["crawl-books"], "processes": 3});
    let (status, body) = api.send(Method::PUT, &path, None, other).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let shown = api.get(&path).await;
    assert_eq!(
        (&shown["name"], &shown["processes"]),
        (&json!("other books"), &json!(3))
    );
    assert_eq!(api.get("/crawlers").await, json!([shown]));

    // By the API.
    let at = |hour: u8| json!({"crawlerId": crawler, "cron": format!("0 {hour} 1 1 *"), "timeZone": "Asia/Kathmandu"});
    let mut made = Vec::new();
    for hour in [6, 8] {
        let (status, body) = api.send(Method::POST, "/schedules", None, at(hour)).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        made.push(body["id"].as_str().unwrap().parse::<Uuid>().unwrap());
    }
    let (changed, deleted) = (made[0], made[1]);
    let path = format!("/schedules/{changed}");
    let (status, body) = api.send(Method::PUT, &path, None, at(7)).await;
    assert_eq!(
        (status, &body["cron"]),
        (StatusCode::OK, &json!("0 7 1 1 *")),
        "{body}"
    );
    let (status, body) = api.send(Method::PUT, &path, None, at(25)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    let listed = api.get("/schedules").await;
    let crons: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["cron"])
        .collect();
    assert_eq!(
        crons,
        ["0 7 1 1 *", "0 8 1 1 *"],
        "what is refused changes nothing"
    );
    // Kathmandu is five hours and three quarters ahead of UTC.
    eventually("it is changed on the engine", async || {
        next_of(&api, changed).await == Some(time!(1:15))
    })
    .await;

    // In the table alone, by somebody who has no engine.
    let store = api.platform.lifecycle().store();
    let mut definition = ScheduleDefinition {
        crawler_id: crawler.parse().unwrap(),
        cron: Some("0 9 1 1 *".to_owned()),
        every_seconds: None,
        time_zone: Some("Asia/Kathmandu".to_owned()),
        overlap: Overlap::Skip,
        enabled: true,
    };
    store.put_schedule(changed, &definition).await.unwrap();
    definition.cron = Some("0 10 1 1 *".to_owned());
    let new = store.put_schedule(Uuid::now_v7(), &definition).await.unwrap().id;
    assert!(store.delete_schedule(deleted).await.unwrap());
    let api = api.started_again(SweepSettings::default()).await;
    for (schedule, next) in [
        (changed, Some(time!(3:15))),
        (new, Some(time!(4:15))),
        (deleted, None),
    ] {
        eventually("the engine has it as it is in the table", async || {
            next_of(&api, schedule).await == next
        })
        .await;
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_s_schedules_are_those_of_the_table_on_embedded() {
    the_engine_s_schedules_are_those_of_the_table(Api::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_s_schedules_are_those_of_the_table_on_temporal() {
    the_engine_s_schedules_are_those_of_the_table(Api::temporal().await).await;
}
