//! Out of an outbox to a bus, and from the bus in: the event tells the whole way.

use reqwest::StatusCode;
use segno_test_support::servers::Redis;
use serde_json::json;

use super::{Consumers, Recorder, emit, event, outbox, ready, sqlite};
use crate::support::{App, DEADLINE, TestEngine, json_of};

on_every_engine!(an_event_over_a_bus_says_which_row_it_was);

async fn an_event_over_a_bus_says_which_row_it_was(engine: TestEngine) {
    let bus = Redis::start().await;
    let (url, pool) = sqlite(engine.folder()).await;
    let redis = bus.url();
    let config = format!(
        r#"
        [outbox.families]
        database = {url:?}
        migrate = true
        to = "bus"
        [sinks.bus]
        redis = {{ url = {redis:?}, stream = "events" }}
        [sources.bus]
        redis = {{ url = {redis:?}, stream = "events" }}
        "#
    );
    let recorder = Recorder::default();
    let consumers = Consumers::new()
        .subscribe("all", ["*"], recorder.clone())
        .unwrap();
    let app = App::start_with(&engine, &config, |builder| builder.consumers(consumers)).await;
    outbox(&app, ready).await;
    emit(&pool, event("1")).await;
    app.running()
        .wait_for(&event("1"), "all", DEADLINE)
        .await
        .unwrap();

    let story = json_of(
        app.get("/events/%2Ffamilies/1").send().await.unwrap(),
        StatusCode::OK,
    )
    .await;
    let origin = &story["origin"];
    assert_eq!(
        (&origin["by"], &origin["name"]),
        (&json!("source"), &json!("bus")),
        "{story:#}"
    );
    let row = &origin["row"];
    assert_eq!(
        (&row["outbox"], &row["position"]),
        (&json!("families"), &json!(1))
    );
    super::in_order(&[&row["written_at"], &row["relayed_at"], &story["accepted_at"]]);
    app.stop().await;
}
