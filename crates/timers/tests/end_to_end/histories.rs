//! Histories that timers wrote on a real server, kept so that every later version can go on where they
//! stopped: replaying one runs today's workflow code and compares what it does.

use std::{path::PathBuf, time::Duration};

use segno_test_support::{Answer, Receiver};
use segno_timers::SegnoTimer;
use serde_json::json;
use temporalio_client::{WorkflowCancelOptions, WorkflowHistory};
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use crate::{
    on_temporal,
    world::{SOON, Service, World},
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/histories")
        .join(format!("{name}.json"))
}

async fn replay(name: &str) {
    let json = std::fs::read(path(name)).unwrap();
    let options = WorkflowReplayerOptions::new()
        .register_workflow::<SegnoTimer>()
        .unwrap()
        .build();
    let replayer = WorkflowReplayer::new(options).unwrap();
    replayer
        .replay_workflow(WorkflowHistory::from_json(&json).unwrap())
        .await
        .unwrap();
}

macro_rules! replays {
    ($($name:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            replay(stringify!($name)).await;
        })*
    };
}

replays!(fired, moved_twice, gone, canceled, outage_in_delivery);

async fn write(world: &World, service: &Service, id: &str, status: &str, name: &str) {
    service.deliveries(id, |body| body["status"] == status).await;
    let handle = world
        .client()
        .await
        .get_workflow_handle::<SegnoTimer>(id.to_owned());
    let json = handle.fetch_history(Default::default()).to_json().await.unwrap();
    let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
    std::fs::write(path(name), format!("{value:#}\n")).unwrap();
}

/// Writes the histories anew; it takes six minutes, most of them an outage longer than a delivery may last.
/// Do so when there is a new kind of history: the old ones stay as long as executions like them may be open.
#[tokio::test]
#[ignore = "it writes the files that the tests here read"]
async fn record() {
    let (world, _server) = on_temporal::start().await;
    let service = world.service().await;
    let worker = world.worker();
    let receiver = Receiver::start().await;
    let fired = service
        .create(json!({"seconds": 1, "url": receiver.url("/")}))
        .await;
    write(&world, &service, &fired, "fired", "fired").await;
    let moved = service
        .create(json!({"hours": 1, "url": receiver.url("/")}))
        .await;
    for seconds in [50, 1] {
        let path = format!("/timers/{moved}/deadline");
        assert_eq!(service.put(&path, &json!({"seconds": seconds})).await.0, 200);
    }
    write(&world, &service, &moved, "fired", "moved_twice").await;
    let canceled = service
        .create(json!({"hours": 1, "url": receiver.url("/")}))
        .await;
    let handle = world
        .client()
        .await
        .get_workflow_handle::<SegnoTimer>(canceled.clone());
    handle.cancel(WorkflowCancelOptions::default()).await.unwrap();
    write(&world, &service, &canceled, "canceled", "canceled").await;
    receiver.set_program(|_| Answer::status(410));
    let gone = service.create(json!({"url": receiver.url("/")})).await;
    write(&world, &service, &gone, "failed", "gone").await;
    let before = receiver.requests().len();
    receiver.set_program(|_| Answer::status(200).after(SOON * 20));
    let outage = service.create(json!({"url": receiver.url("/")})).await;
    receiver.wait_for(before + 1, SOON).await;
    drop(worker);
    let handle = world
        .client()
        .await
        .get_workflow_handle::<SegnoTimer>(outage.clone());
    let give_up = tokio::time::Instant::now() + Duration::from_secs(330);
    loop {
        let events = handle
            .fetch_history(Default::default())
            .into_events()
            .await
            .unwrap();
        if events
            .iter()
            .any(|event| event.event_type() == EventType::ActivityTaskTimedOut)
        {
            break;
        }
        assert!(
            tokio::time::Instant::now() < give_up,
            "the delivery does not time out"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    receiver.set_program(|_| Answer::status(200));
    let _worker = world.worker();
    write(&world, &service, &outage, "fired", "outage_in_delivery").await;
}
