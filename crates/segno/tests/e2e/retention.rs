//! Retention per route: what is done goes, and nothing else does.

use std::time::Duration;

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution};

on_every_engine!(what_is_done_goes_and_nothing_else);

async fn what_is_done_goes_and_nothing_else(engine: TestEngine) {
    // Refuses what is bad, and once what is bad at first.
    let receiver = Receiver::answering(|request| {
        Answer::status(if request.json()["data"] == "bad" { 400 } else { 200 })
    })
    .await;
    let config = format!(
        r#"
        [sinks]
        hook = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "short"
        on = ["a", "late"]
        retention = "1s"
        actions = [{{ name = "tell", to = "hook", retry = {{ initial = "10ms", max_attempts = 2 }} }}]

        [[routes]]
        name = "waits"
        on = "late"
        delay = "1h"
        retention = "1s"
        actions = [{{ name = "tell", to = "hook" }}]

        [[routes]]
        name = "long"
        on = "b"
        actions = [{{ name = "tell", to = "hook" }}]
        "#,
        receiver.url("/hook")
    );
    let app = App::start(&engine, &config).await;
    let event = |id: &str, ty: &str, data: &str| json!({ "specversion": "1.0", "id": id, "source": "/s", "type": ty, "data": data });
    let send = async |id: &str, ty: &str, data: &str| {
        only_execution(&app.accept(&event(id, ty, data)).await).to_owned()
    };
    let kept = send("1", "b", "good").await;
    let dead = send("2", "a", "bad").await;
    let mended = send("3", "a", "bad").await;
    app.accept(&event("4", "late", "good")).await;
    let open = "waits//s/4";
    assert_eq!(app.closed(&kept).await["status"], "Completed");
    for id in [&dead, &mended] {
        assert_eq!(app.closed(id).await["status"], "Failed");
    }
    let path = format!("/dead-letters/{}/retry", mended.replace('/', "%2F"));
    let retry = app.post(&path).json(&json!({ "data": "good" }));
    json_of(retry.send().await.unwrap(), StatusCode::ACCEPTED).await;
    let done = send("5", "a", "good").await;

    let status = async |id: &str| {
        let path = format!("/executions/{}", id.replace('/', "%2F"));
        app.get(&path).send().await.unwrap().status()
    };
    let deadline = Instant::now() + DEADLINE;
    for id in [&done, &mended, "short//s/4"] {
        while status(id).await != StatusCode::NOT_FOUND {
            assert!(Instant::now() < deadline, "{id} is still there");
            sleep(Duration::from_millis(100)).await;
        }
    }
    // Several sweeps later than the last of those: the others are there.
    for id in [&kept, &dead, open] {
        assert_eq!(status(id).await, StatusCode::OK, "{id}");
    }
    let letters = app.get("/dead-letters").send().await.unwrap();
    let letters = json_of(letters, StatusCode::OK).await;
    let ids: Vec<_> = letters["dead_letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| &l["id"])
        .collect();
    assert_eq!(ids, [&dead], "{letters:#}");
    app.stop().await;

    // Without a time of a route's own nothing comes by any more.
    let app = App::start(&engine, "").await;
    let schedule = app.get("/schedules/@retention").send().await.unwrap();
    assert_eq!(schedule.status(), StatusCode::NOT_FOUND);
    app.stop().await;
}
