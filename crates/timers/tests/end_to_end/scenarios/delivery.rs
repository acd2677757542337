//! Deliveries that do not succeed at once.

use std::time::{Duration, SystemTime};

use segno_test_support::{Answer, Receiver, free_port};
use segno_timers::{Options, SegnoTimer};
use serde_json::{Value, json};
use temporalio_client::{WorkflowGetResultOptions, errors::WorkflowGetResultError};

use crate::world::{SOON, World};

/// Number, status and error of each attempt.
fn attempts(deliveries: &Value) -> Vec<(u64, Value, Value)> {
    let attempts = deliveries["attempts"].as_array().unwrap().iter();
    attempts
        .map(|one| {
            (
                one["attempt"].as_u64().unwrap(),
                one["status_code"].clone(),
                one["error"].clone(),
            )
        })
        .collect()
}

fn answered(number: u64, status: u16, text: &str) -> (u64, Value, Value) {
    (
        number,
        json!(status),
        json!(format!("the receiver answered {status} {text}")),
    )
}

pub(crate) async fn tries_again_with_the_same_id(world: World) {
    let (service, _worker) = (world.service().await, world.worker());
    let receiver = Receiver::sequence([Answer::status(503), Answer::status(302)]).await;
    let id = service.create(json!({"url": receiver.url("/")})).await;
    let waiting = service
        .deliveries(&id, |body| body["attempts"][0]["status_code"] == 503)
        .await;
    assert_eq!(waiting["status"], "firing");
    assert_eq!(attempts(&waiting)[..1], [answered(1, 503, "Service Unavailable")]);
    let fired = service.deliveries(&id, |body| body["status"] == "fired").await;
    let expected = [
        answered(1, 503, "Service Unavailable"),
        answered(2, 302, "Found"),
        (3, json!(200), json!(null)),
    ];
    assert_eq!(attempts(&fired), expected);
    let requests = receiver.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("webhook-id") == Some(&id))
    );
    let pauses: Vec<_> = requests
        .windows(2)
        .map(|two| two[1].at.duration_since(two[0].at).unwrap())
        .collect();
    assert!(
        pauses[0] >= Duration::from_secs(1) && pauses[1] >= Duration::from_secs(2),
        "{pauses:?}"
    );
}

pub(crate) async fn waits_as_long_as_the_receiver_asks(world: World) {
    let (service, _worker) = (world.service().await, world.worker());
    let receiver = Receiver::sequence([Answer::status(429).retry_after("4")]).await;
    let id = service.create(json!({"url": receiver.url("/")})).await;
    let waiting = service
        .deliveries(&id, |body| !body["next_attempt_at"].is_null())
        .await;
    assert_eq!(attempts(&waiting), [answered(1, 429, "Too Many Requests")]);
    let requests = receiver.wait_for(2, SOON).await;
    let pause = requests[1].at.duration_since(requests[0].at).unwrap();
    assert!(pause >= Duration::from_secs(4), "{pause:?}");
}

pub(crate) async fn gives_up_at_once_when_the_receiver_is_gone(world: World) {
    let (service, _worker) = (world.service().await, world.worker());
    let receiver = Receiver::sequence([Answer::status(410)]).await;
    let id = service.create(json!({"url": receiver.url("/")})).await;
    let failed = service.deliveries(&id, |body| body["status"] == "failed").await;
    assert_eq!(attempts(&failed), [answered(1, 410, "Gone")]);
    assert_eq!(receiver.requests().len(), 1);
    let handle = world.client().await.get_workflow_handle::<SegnoTimer>(id.clone());
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    let Err(WorkflowGetResultError::Failed(failure)) = result else {
        panic!("{result:?}")
    };
    let message = &failure.failure().message;
    assert_eq!(
        message,
        "the timer could not be delivered: the receiver answered 410 Gone"
    );
    let (status, body) = service.delete(&format!("/timers/{id}")).await;
    assert_eq!((status, &body["message"]), (409, &json!("Timer already fired")));
}

pub(crate) async fn gives_up_after_five_attempts(world: World) {
    let (service, _worker) = (world.service().await, world.worker());
    let url = format!("http://127.0.0.1:{}/", free_port());
    let began = SystemTime::now();
    let id = service.create(json!({"url": url})).await;
    let failed = service.deliveries(&id, |body| body["status"] == "failed").await;
    let attempts = attempts(&failed);
    assert_eq!(
        attempts.iter().map(|attempt| attempt.0).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    for (_, status, error) in attempts {
        assert_eq!(status, json!(null));
        assert!(
            error
                .as_str()
                .unwrap()
                .starts_with("cannot connect to the receiver"),
            "{error}"
        );
    }
    // 1, 2, 4 and 8 s between them.
    assert!(began.elapsed().unwrap() >= Duration::from_secs(15));
}

pub(crate) async fn delivers_again_when_the_worker_died_in_an_attempt(world: World) {
    let service = world.service().await;
    let receiver = Receiver::sequence([Answer::status(200).after(SOON * 10)]).await;
    let worker = world.worker();
    let id = service.create(json!({"url": receiver.url("/")})).await;
    receiver.wait_for(1, SOON).await;
    drop(worker);
    let _worker = world.worker();
    let requests = receiver.wait_for(2, SOON).await;
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    let fired = service.deliveries(&id, |body| body["status"] == "fired").await;
    assert_eq!(attempts(&fired).last().unwrap(), &(2, json!(200), json!(null)));
}

pub(crate) async fn hands_over_when_the_worker_shuts_down_in_an_attempt(world: World) {
    let service = world.service().await;
    let receiver = Receiver::sequence([Answer::status(200).after(SOON * 10)]).await;
    let worker = world.worker();
    let id = service.create(json!({"url": receiver.url("/")})).await;
    receiver.wait_for(1, SOON).await;
    worker.shut_down().await;
    let _worker = world.worker();
    receiver.wait_for(2, SOON).await;
    let fired = service.deliveries(&id, |body| body["status"] == "fired").await;
    let expected = [(1, json!(null), json!(null)), (2, json!(200), json!(null))];
    assert_eq!(attempts(&fired), expected);
}

pub(crate) async fn refuses_private_addresses_that_a_name_resolves_to(world: World) {
    let (service, receiver) = (world.service().await, Receiver::start().await);
    // As if the name had led elsewhere when the timer was made: the service lets it pass.
    let url = format!("http://localhost:{}/", receiver.address().port());
    let _worker = world.worker_with(Options::default());
    let id = service.create(json!({"url": url})).await;
    let failed = service.deliveries(&id, |body| body["status"] == "failed").await;
    let [(1, Value::Null, error)] = &attempts(&failed)[..] else {
        panic!("one attempt: {failed}")
    };
    assert!(error.as_str().unwrap().contains("loopback"), "{error}");
    assert_eq!(receiver.requests().len(), 0);
}
