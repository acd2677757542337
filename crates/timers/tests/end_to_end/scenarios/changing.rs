//! Timers that are moved and cancelled.

use std::time::{Duration, SystemTime};

use segno_test_support::Receiver;
use segno_timers::{Deadline, SegnoTimer};
use serde_json::json;
use temporalio_client::{WorkflowCancelOptions, WorkflowQueryOptions, WorkflowSignalOptions};
use temporalio_common::data_converters::RawValue;

use crate::world::{SOON, World};

pub(crate) async fn moves_the_deadline_without_a_worker(world: World) {
    let (service, receiver) = (world.service().await, Receiver::start().await);
    let id = service
        .create(json!({"hours": 1, "url": receiver.url("/")}))
        .await;
    let (path, deadline) = (format!("/timers/{id}"), format!("/timers/{id}/deadline"));
    let (status, body) = service.put(&deadline, &json!({"hours": 5})).await;
    assert_eq!((status, body), (200, json!({"id": id, "time_left": 5 * 3600})));
    assert!((5 * 3600 - 60..=5 * 3600).contains(&service.time_left(&id).await));
    let (status, body) = service
        .put(&deadline, &json!({"at": "2020-01-01T00:00:00Z"}))
        .await;
    assert_eq!((status, body), (200, json!({"id": id, "time_left": 0})));
    // Overdue, and nobody is at it: it can still be moved.
    let moved = SystemTime::now();
    assert_eq!(service.put(&deadline, &json!({"in": "2s"})).await.0, 200);
    let _worker = world.worker();
    let requests = receiver.wait_for(1, SOON).await;
    assert!(requests[0].at >= moved + Duration::from_secs(2), "it came early");
    service.until(&path, |(_, body)| body["time_left"] == 0).await;
}

pub(crate) async fn moves_the_deadline_both_ways(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let id = service
        .create(json!({"seconds": 6, "url": receiver.url("/")}))
        .await;
    let deadline = format!("/timers/{id}/deadline");
    assert_eq!(service.put(&deadline, &json!({"hours": 1})).await.0, 200);
    let handle = world.client().await.get_workflow_handle::<SegnoTimer>(id.clone());
    let asked = handle
        .query(SegnoTimer::get_deadline, (), WorkflowQueryOptions::default())
        .await
        .unwrap();
    let left = asked.seconds_left(Deadline::now());
    assert!((3590..=3600).contains(&left), "{left}");
    let listed = asked.to_rfc3339();
    service
        .until("/timers", |(_, body)| {
            body["timers"][0]["deadline"] == json!(listed)
        })
        .await;
    // It outlives the deadline it was made with: a later one fires first.
    let other = service
        .create(json!({"seconds": 7, "url": receiver.url("/")}))
        .await;
    let requests = receiver.wait_for(1, SOON).await;
    assert_eq!(requests[0].header("webhook-id"), Some(other.as_str()));
    let sooner = SystemTime::now();
    assert_eq!(service.put(&deadline, &json!({"seconds": 1})).await.0, 200);
    let requests = receiver.wait_for(2, SOON).await;
    assert_eq!(requests[1].header("webhook-id"), Some(id.as_str()));
    assert!(requests[1].at >= sooner + Duration::from_secs(1), "it came early");
}

pub(crate) async fn refuses_to_move_what_fired(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let id = service.create(json!({"url": receiver.url("/")})).await;
    service.deliveries(&id, |body| body["status"] == "fired").await;
    let fired = (409, json!({"message": "Timer already fired", "statusCode": 409}));
    assert_eq!(
        service
            .put(&format!("/timers/{id}/deadline"), &json!({"hours": 1}))
            .await,
        fired
    );
    assert_eq!(service.delete(&format!("/timers/{id}")).await, fired);
    assert_eq!(service.time_left(&id).await, 0);
    // While it is being delivered, too.
    receiver.set_program(|_| segno_test_support::Answer::status(500));
    let id = service.create(json!({"url": receiver.url("/")})).await;
    service
        .deliveries(&id, |body| {
            body["attempts"].as_array().is_some_and(|list| !list.is_empty())
        })
        .await;
    assert_eq!(
        service
            .put(&format!("/timers/{id}/deadline"), &json!({"hours": 1}))
            .await,
        fired
    );
    assert_eq!(service.delete(&format!("/timers/{id}")).await.0, 204);
    let canceled = (409, json!({"message": "Timer canceled", "statusCode": 409}));
    assert_eq!(
        service
            .put(&format!("/timers/{id}/deadline"), &json!({"hours": 1}))
            .await,
        canceled
    );
}

pub(crate) async fn cancels_for_good(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let id = service
        .create(json!({"seconds": 4, "url": receiver.url("/")}))
        .await;
    let path = format!("/timers/{id}");
    assert_eq!(service.delete(&path).await, (204, json!(null)));
    assert_eq!(service.delete(&path).await, (204, json!(null)), "again");
    assert_eq!(service.time_left(&id).await, 0);
    assert_eq!(service.deliveries(&id, |_| true).await["status"], "canceled");
    let later = service
        .create(json!({"seconds": 5, "url": receiver.url("/")}))
        .await;
    let requests = receiver.wait_for(1, SOON).await;
    assert_eq!(requests[0].header("webhook-id"), Some(later.as_str()));
    assert_eq!(receiver.requests().len(), 1, "the cancelled one came");
}

pub(crate) async fn obeys_the_engines_own_cancel(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let id = service
        .create(json!({"hours": 1, "url": receiver.url("/")}))
        .await;
    let handle = world.client().await.get_workflow_handle::<SegnoTimer>(id.clone());
    handle.cancel(WorkflowCancelOptions::default()).await.unwrap();
    service.deliveries(&id, |body| body["status"] == "canceled").await;
    assert_eq!(service.time_left(&id).await, 0);
}

/// On an engine that suggests a new run after this many events.
pub(crate) async fn goes_on_in_a_new_run(world: World, events: u64) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let id = service
        .create(json!({"hours": 1, "url": receiver.url("/")}))
        .await;
    let client = world.client().await;
    let handle = client.get_workflow_handle::<SegnoTimer>(id.clone());
    let converter = client.options().data_converter.payload_converter();
    let hour = Deadline::now().after(Duration::from_secs(3600)).as_millis();
    let first = run(&world, &id).await;
    // Each move is an event at least. The engine cannot begin a new run while signals keep coming, so they
    // end before it is waited for.
    for round in 0..=events / 100 {
        let signals = (0..100).map(|n| {
            let deadline = RawValue::from_value(&(hour + round * 100 + n), converter);
            handle.signal(
                SegnoTimer::set_deadline,
                deadline,
                WorkflowSignalOptions::default(),
            )
        });
        for signalled in futures::future::join_all(signals).await {
            signalled.unwrap();
        }
    }
    let give_up = tokio::time::Instant::now() + SOON;
    while run(&world, &id).await == first {
        assert!(
            tokio::time::Instant::now() < give_up,
            "it is still in its first run"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!((3500..=3620).contains(&service.time_left(&id).await));
    let moved = service
        .put(&format!("/timers/{id}/deadline"), &json!({"seconds": 0}))
        .await;
    assert_eq!(moved.0, 200, "{moved:?}");
    assert_eq!(
        receiver.wait_for(1, SOON).await[0].header("webhook-id"),
        Some(id.as_str())
    );
    service.deliveries(&id, |body| body["status"] == "fired").await;
    let listed = service
        .until("/timers", |(_, body)| body["timers"][0]["status"] == "fired")
        .await;
    assert_eq!(
        listed.1["timers"].as_array().unwrap().len(),
        1,
        "one timer, whatever its runs"
    );
}

/// The id of a timer's latest run.
async fn run(world: &World, id: &str) -> String {
    let handle = world
        .client()
        .await
        .get_workflow_handle::<SegnoTimer>(id.to_owned());
    handle
        .describe(Default::default())
        .await
        .unwrap()
        .run_id()
        .to_owned()
}

pub(crate) async fn waits_for_the_year_9999(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let id = service
        .create(json!({"hours": u64::MAX, "url": receiver.url("/")}))
        .await;
    assert!(service.time_left(&id).await > 7_900 * 365 * 24 * 3600);
    // It is really waiting: its worker answers, and it can be moved.
    let handle = world.client().await.get_workflow_handle::<SegnoTimer>(id.clone());
    let asked = handle
        .query(SegnoTimer::get_deadline, (), WorkflowQueryOptions::default())
        .await
        .unwrap();
    assert_eq!(asked.to_rfc3339(), "9999-12-31T23:59:59.999Z");
    service
        .until("/timers?status=pending", |(_, body)| {
            body["timers"][0]["id"] == json!(id)
        })
        .await;
    assert_eq!(
        service
            .put(&format!("/timers/{id}/deadline"), &json!({"seconds": 0}))
            .await
            .0,
        200
    );
    assert_eq!(receiver.wait_for(1, SOON).await.len(), 1);
}
