//! When timers fire and what they send.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use segno_sinks::{Secret, signature};
use segno_test_support::Receiver;
use segno_timers::{Options, SegnoTimer};
use serde_json::json;
use temporalio_client::{UntypedSignal, WorkflowSignalOptions};
use temporalio_common::data_converters::RawValue;

use crate::world::{SOON, World};

pub(crate) async fn fires_in_time_with_an_empty_request(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let asked = SystemTime::now();
    let id = service
        .create(json!({"seconds": 3, "url": receiver.url("/hook")}))
        .await;
    assert!((1..=3).contains(&service.time_left(&id).await));
    let [request] = &receiver.wait_for(1, SOON).await[..] else {
        panic!("one request")
    };
    assert!(request.at >= asked + Duration::from_secs(3), "it came early");
    assert_eq!(
        (request.method.as_str(), request.uri.to_string()),
        ("POST", format!("/hook/{id}"))
    );
    assert_eq!(
        (request.body.len(), request.header("content-length")),
        (0, Some("0"))
    );
    assert_eq!(request.header("content-type"), None);
    assert_eq!(request.header("webhook-id"), Some(id.as_str()));
    assert!(request.header("webhook-timestamp").is_some());
    assert_eq!(request.header("webhook-signature"), None);
    let fired = service.deliveries(&id, |body| body["status"] == "fired").await;
    let [attempt] = &fired["attempts"].as_array().unwrap()[..] else {
        panic!("one attempt: {fired}")
    };
    assert_eq!(
        (&attempt["attempt"], &attempt["status_code"]),
        (&json!(1), &json!(200))
    );
    assert_eq!(
        (&attempt["error"], &fired["next_attempt_at"]),
        (&json!(null), &json!(null))
    );
    assert!(attempt["at"].as_str().unwrap() >= fired["deadline"].as_str().unwrap());
    assert_eq!(service.time_left(&id).await, 0);
    assert_eq!(receiver.requests().len(), 1);
}

pub(crate) async fn appends_the_id_to_the_path(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let mut called = Vec::new();
    for (path, before, after) in [
        ("", "/", ""),
        ("/a/", "/a/", ""),
        ("/a/b?c=d&e=%2F", "/a/b/", "?c=d&e=%2F"),
        ("/#part", "/", ""),
    ] {
        let id = service.create(json!({"url": receiver.url(path)})).await;
        called.push(format!("{before}{id}{after}"));
    }
    let requests = receiver.wait_for(called.len(), SOON).await;
    let mut came: Vec<_> = requests.iter().map(|request| request.uri.to_string()).collect();
    called.sort();
    came.sort();
    assert_eq!(came, called);
}

pub(crate) async fn sends_what_the_user_gave_and_signs_it(world: World) {
    let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
    let options = Options {
        allow_private: true,
        secret: Some(secret.clone()),
    };
    let (service, receiver) = (world.service().await, Receiver::start().await);
    let _worker = world.worker_with(options);
    let id = service
        .create(json!({
            "url": receiver.url("/hook"), "method": "PUT", "headers": {"X-Team": "a"}, "body": {"n": [1, 2]}
        }))
        .await;
    let [request] = &receiver.wait_for(1, SOON).await[..] else {
        panic!("one request")
    };
    assert_eq!(
        (request.method.as_str(), request.header("x-team")),
        ("PUT", Some("a"))
    );
    assert_eq!(
        (request.json(), request.header("content-type")),
        (json!({"n": [1, 2]}), Some("application/json"))
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let verified = signature::verify(&[secret], &request.headers, &request.body, now, SOON);
    assert_eq!(verified, Ok(id.as_str()));
}

pub(crate) async fn takes_every_way_to_say_when(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let hour = segno_timers::Deadline::now()
        .after(Duration::from_secs(3600))
        .to_rfc3339();
    for when in [
        json!({"hours": 1}),
        json!({"minutes": 59, "seconds": 59}),
        json!({"in": "PT1H"}),
        json!({"in": "3600s"}),
        json!({"at": hour}),
    ] {
        let mut body = when.clone();
        body["url"] = receiver.url("/").into();
        let id = service.create(body).await;
        let left = service.time_left(&id).await;
        assert!((3570..=3600).contains(&left), "{when} leaves {left} s");
    }
    let now = service
        .create(json!({"at": "2020-01-01T00:00:00Z", "url": receiver.url("/")}))
        .await;
    assert_eq!(
        receiver.wait_for(1, SOON).await[0].header("webhook-id"),
        Some(now.as_str())
    );
}

pub(crate) async fn fires_what_is_overdue_when_workers_come_back(world: World) {
    let (service, receiver) = (world.service().await, Receiver::start().await);
    let mut ids = Vec::new();
    for seconds in [0, 1, 1, 2] {
        ids.push(
            service
                .create(json!({"seconds": seconds, "url": receiver.url("/")}))
                .await,
        );
    }
    for id in &ids {
        service
            .until(&format!("/timers/{id}"), |(_, body)| body["time_left"] == 0)
            .await;
        let waiting = service.deliveries(id, |body| body["status"] == "firing").await;
        assert_eq!(waiting["attempts"], json!([]));
    }
    assert_eq!(receiver.requests().len(), 0, "nobody was there to fire");
    let _worker = world.worker();
    let requests = receiver.wait_for(ids.len(), SOON).await;
    let mut came: Vec<_> = requests
        .iter()
        .map(|r| r.header("webhook-id").unwrap().to_owned())
        .collect();
    came.sort();
    ids.sort();
    assert_eq!(came, ids, "each once");
}

pub(crate) async fn survives_wrong_signals(world: World) {
    let (service, receiver) = (world.service().await, Receiver::start().await);
    let id = service
        .create(json!({"hours": 1, "url": receiver.url("/")}))
        .await;
    let client = world.client().await;
    let handle = client.get_workflow_handle::<SegnoTimer>(id.clone());
    let converter = client.options().data_converter.payload_converter();
    for wrong in [
        json!("soon"),
        json!(-1),
        json!(1.5),
        json!(null),
        json!([1]),
        json!({"a": 1}),
    ] {
        handle
            .signal(
                UntypedSignal::new("setDeadline"),
                RawValue::from_value(&wrong, converter),
                WorkflowSignalOptions::default(),
            )
            .await
            .unwrap();
    }
    let nothing = RawValue::new(Vec::new());
    handle
        .signal(UntypedSignal::new("setDeadline"), nothing, Default::default())
        .await
        .unwrap();
    handle
        .signal(UntypedSignal::new("other"), RawValue::empty(), Default::default())
        .await
        .unwrap();
    assert!((3500..=3600).contains(&service.time_left(&id).await));
    let _worker = world.worker();
    assert_eq!(
        service
            .put(&format!("/timers/{id}/deadline"), &json!({"seconds": 0}))
            .await
            .0,
        200
    );
    assert_eq!(
        receiver.wait_for(1, SOON).await[0].header("webhook-id"),
        Some(id.as_str())
    );
}
