//! Flow control: order per key with parking, limits, debouncing, batches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use reqwest::StatusCode;
use segno::{
    Consumer, ConsumerError, Event,
    flow::{self, Keys, ListedKey},
};
use serde_json::{Value, json};
use temporalio_client::{NamespacedClient, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::DeleteWorkflowExecutionRequest,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ApplicationFailure, WorkflowContext, WorkflowResult};
use tokio::time::Instant;

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution};

on_every_engine!(
    order_holds_and_a_failure_parks_its_key,
    a_parked_key_goes_on_with_the_event_that_is_tried_again,
    a_parked_key_goes_on_without_the_event_that_is_given_up,
    a_duplicate_waits_once,
    order_goes_on_after_a_restart,
    concurrency_is_limited,
    rates_are_limited,
    the_last_of_several_runs,
    batches_by_size_and_by_time,
    workflows_keep_their_order,
    one_that_waits_can_be_cancelled,
    one_that_waits_can_be_deleted,
    a_paused_key_waits,
    a_full_flow_takes_no_more_for_a_while,
);

/// Keeps what it gets.
#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<(String, Event, Instant)>>>,
    /// Ids of events that it refuses for good.
    poison: Arc<Mutex<BTreeSet<String>>>,
    /// How long it takes over an event.
    takes: Duration,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// Keeps everything until it is opened.
    closed: Arc<Mutex<bool>>,
}

impl Consumer for Recorder {
    async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        if *self.closed.lock() {
            return Err(ConsumerError::retryable("closed").after(Duration::from_millis(50)));
        }
        if self.poison.lock().contains(&event.id) {
            return Err(ConsumerError::permanent("nobody takes this"));
        }
        self.seen
            .lock()
            .push((event.id.clone(), event.clone(), Instant::now()));
        Ok(())
    }
}

impl Recorder {
    fn ids(&self) -> Vec<String> {
        self.seen.lock().iter().map(|(id, _, _)| id.clone()).collect()
    }

    async fn wait_for(&self, n: usize) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let ids = self.ids();
            if ids.len() >= n {
                return ids;
            }
            assert!(Instant::now() < deadline, "not {n} within {DEADLINE:?}: {ids:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn config(line: &str) -> String {
    format!(
        "[[routes]]\nname = \"r\"\non = \"*\"\nconsumer = \"c\"\nretry = {{ initial = \"20ms\" }}\n{line}\n"
    )
}

async fn start(engine: &TestEngine, line: &str, recorder: &Recorder) -> App {
    App::start_with(engine, &config(line), |builder| {
        builder.consumer("c", recorder.clone())
    })
    .await
}

fn event(id: &str, subject: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "t", "subject": subject, "data": {"id": id}})
}

async fn send(app: &App, id: &str, subject: &str) -> String {
    only_execution(&app.accept(&event(id, subject)).await).to_owned()
}

/// Decides about a dead letter; returns the status of the answer.
async fn decide(app: &App, workflow_id: &str, what: &str) -> u16 {
    let mut url = reqwest::Url::parse(&app.url("/dead-letters")).expect("a URL");
    url.path_segments_mut()
        .expect("a path")
        .extend([workflow_id, what]);
    let request = reqwest::Client::new().post(url).json(&json!({}));
    request.send().await.expect("an answer").status().as_u16()
}

/// Waits until the keys of the route are so.
async fn keys_until(app: &App, which: &Keys, condition: impl Fn(&[ListedKey]) -> bool) -> Vec<ListedKey> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (keys, _) = flow::keys(app.client(), which).await.expect("the keys");
        if condition(&keys) {
            return keys;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {keys:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn parked() -> Keys {
    Keys {
        route: Some("r".to_owned()),
        parked: Some(true),
        page_token: Vec::new(),
    }
}

async fn order_holds_and_a_failure_parks_its_key(engine: TestEngine) {
    let recorder = Recorder::default();
    recorder.poison.lock().insert("a2".to_owned());
    let app = start(&engine, "order = {}", &recorder).await;
    let mut executions = BTreeMap::new();
    for id in ["a1", "a2", "a3", "b1", "a4", "b2"] {
        executions.insert(id, send(&app, id, &id[..1]).await);
    }
    assert_eq!(app.closed(&executions["a2"]).await["status"], "Failed");
    assert_eq!(app.closed(&executions["b2"]).await["status"], "Completed");
    let keys = keys_until(&app, &parked(), |keys| {
        keys.len() == 1 && keys[0].view.waiting == 2
    })
    .await;
    let key = &keys[0].view;
    assert_eq!((keys[0].route.as_str(), key.key.as_str()), ("r", "a"));
    assert_eq!(key.next, [executions["a3"].clone(), executions["a4"].clone()]);
    let behind = key.parked.as_ref().expect("what it is parked behind");
    assert_eq!(behind.by, executions["a2"]);
    assert!(behind.cause.contains("nobody takes this"), "{}", behind.cause);
    assert_eq!(app.execution(&executions["a3"]).await["status"], "Running");

    // Released once, and what waited runs in its order.
    let release = || flow::release(app.client(), "r", "a");
    assert!(release().await.expect("an answer"));
    assert!(!release().await.expect("an answer"), "it was released");
    assert_eq!(app.closed(&executions["a4"]).await["status"], "Completed");
    let order = |key: &str| {
        let mut ids = recorder.ids();
        ids.retain(|id| id.starts_with(key));
        ids
    };
    assert_eq!(order("a"), ["a1", "a3", "a4"]);
    assert_eq!(order("b"), ["b1", "b2"]);
    app.stop().await;
}

async fn a_parked_key_goes_on_with_the_event_that_is_tried_again(engine: TestEngine) {
    let recorder = Recorder::default();
    recorder.poison.lock().insert("a1".to_owned());
    let app = start(&engine, "order = {}", &recorder).await;
    let first = send(&app, "a1", "a").await;
    let second = send(&app, "a2", "a").await;
    keys_until(&app, &parked(), |keys| keys.len() == 1).await;
    assert_eq!(app.closed(&first).await["status"], "Failed");

    // It fails again: the key stays parked.
    let failed = app.execution(&first).await["run_id"].clone();
    assert_eq!(decide(&app, &first, "retry").await, 202);
    let again = app
        .until(&first, |execution| {
            execution["run_id"] != failed && execution["status"] != "Running"
        })
        .await;
    assert_eq!(again["status"], "Failed");
    assert_eq!(app.execution(&second).await["status"], "Running");

    recorder.poison.lock().clear();
    assert_eq!(decide(&app, &first, "retry").await, 202);
    assert_eq!(app.closed(&second).await["status"], "Completed");
    assert_eq!(recorder.ids(), ["a1", "a2"]);
    assert_eq!(
        decide(&app, &first, "retry").await,
        200,
        "there is nothing to try again"
    );
    assert!(!flow::release(app.client(), "r", "a").await.expect("an answer"));
    app.stop().await;
}

async fn a_parked_key_goes_on_without_the_event_that_is_given_up(engine: TestEngine) {
    let recorder = Recorder::default();
    recorder.poison.lock().insert("a1".to_owned());
    let app = start(&engine, "order = {}", &recorder).await;
    let first = send(&app, "a1", "a").await;
    let second = send(&app, "a2", "a").await;
    keys_until(&app, &parked(), |keys| keys.len() == 1).await;
    assert_eq!(app.closed(&first).await["status"], "Failed");
    assert_eq!(decide(&app, &first, "skip").await, 202);
    assert_eq!(app.closed(&second).await["status"], "Completed");
    assert_eq!(decide(&app, &first, "skip").await, 200, "it is done");
    assert_eq!(recorder.ids(), ["a2"]);
    app.stop().await;
}

async fn a_duplicate_waits_once(engine: TestEngine) {
    let recorder = Recorder::default();
    *recorder.closed.lock() = true;
    let app = start(&engine, "order = {}", &recorder).await;
    send(&app, "a1", "a").await;
    send(&app, "a2", "a").await;
    for id in ["a1", "a2"] {
        assert_eq!(app.accept(&event(id, "a")).await["duplicate"], true);
    }
    *recorder.closed.lock() = false;
    let last = send(&app, "a3", "a").await;
    app.closed(&last).await;
    assert_eq!(recorder.ids(), ["a1", "a2", "a3"]);
    // What has closed is not asked for again.
    assert_eq!(app.accept(&event("a1", "a")).await["duplicate"], true);
    let all = Keys {
        route: Some("r".to_owned()),
        ..Keys::default()
    };
    keys_until(&app, &all, <[ListedKey]>::is_empty).await;
    app.stop().await;
}

async fn order_goes_on_after_a_restart(engine: TestEngine) {
    let recorder = Recorder::default();
    *recorder.closed.lock() = true;
    let app = start(&engine, "order = {}", &recorder).await;
    let mut last = String::new();
    for n in 0..20 {
        last = send(&app, &format!("a{n:02}"), "a").await;
    }
    app.stop().await;
    *recorder.closed.lock() = false;
    let app = start(&engine, "order = {}", &recorder).await;
    assert_eq!(app.closed(&last).await["status"], "Completed");
    let ids = recorder.ids();
    assert_eq!(ids.len(), 20);
    assert!(ids.is_sorted(), "{ids:?}");
    app.stop().await;
}

async fn concurrency_is_limited(engine: TestEngine) {
    let recorder = Recorder {
        takes: Duration::from_millis(30),
        ..Recorder::default()
    };
    let app = start(&engine, "limits = { concurrency = 3 }", &recorder).await;
    *recorder.closed.lock() = true;
    let batch: Vec<_> = (0..40).map(|n| event(&n.to_string(), "a")).collect();
    assert_eq!(app.send_batch(&Value::Array(batch)).await.status(), 202);
    // Those that may run are tried again until they are let through, so that they meet.
    let deadline = Instant::now() + DEADLINE;
    while recorder.most.load(Ordering::SeqCst) < 3 {
        assert!(Instant::now() < deadline, "three never run at once");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    *recorder.closed.lock() = false;
    let mut ids = recorder.wait_for(40).await;
    ids.sort_unstable_by_key(|id| id.parse::<u32>().expect("a number"));
    ids.dedup();
    assert_eq!(ids.len(), 40);
    assert_eq!(recorder.most.load(Ordering::SeqCst), 3);
    app.stop().await;
}

async fn rates_are_limited(engine: TestEngine) {
    let recorder = Recorder::default();
    let app = start(&engine, "limits = { rate = \"5/s\", per = \"key\" }", &recorder).await;
    let began = Instant::now();
    let mut batch: Vec<_> = (0..16).map(|n| event(&format!("a{n}"), "a")).collect();
    batch.push(event("b0", "b"));
    assert_eq!(app.send_batch(&Value::Array(batch)).await.status(), 202);
    recorder.wait_for(17).await;
    // Sixteen of them take four spans of a second.
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
    app.stop().await;
}

async fn the_last_of_several_runs(engine: TestEngine) {
    let recorder = Recorder::default();
    let app = start(&engine, "debounce = { quiet = \"1s\", max = \"20s\" }", &recorder).await;
    let batch: Vec<_> = ["a1", "a2", "b1", "a3"].map(|id| event(id, &id[..1])).into();
    assert_eq!(app.send_batch(&Value::Array(batch)).await.status(), 202);
    let mut ids = recorder.wait_for(2).await;
    ids.sort_unstable();
    assert_eq!(ids, ["a3", "b1"]);
    for (superseded, by) in [("a1", "a2"), ("a2", "a3")] {
        let execution = app.closed(&format!("r//shop/{superseded}")).await;
        assert_eq!(execution["status"], "Completed");
        assert_eq!(execution["result"]["superseded_by"], format!("r//shop/{by}"));
    }
    app.stop().await;
}

async fn batches_by_size_and_by_time(engine: TestEngine) {
    let recorder = Recorder::default();
    let app = start(&engine, "batch = { size = 3, within = \"2s\" }", &recorder).await;
    let batch: Vec<_> = (0..7).map(|n| event(&n.to_string(), "a")).collect();
    assert_eq!(app.send_batch(&Value::Array(batch)).await.status(), 202);
    recorder.wait_for(3).await;
    let mut sizes = Vec::new();
    let mut members = Vec::new();
    for (id, event, _) in recorder.seen.lock().clone() {
        assert_eq!(event.ty, "segno.batch");
        assert_eq!(event.source, "segno:batch");
        let event = serde_json::to_value(&event).expect("JSON");
        let list = event["data"].as_array().expect("a list").clone();
        assert_eq!(id, format!("r//shop/{}", list[0]["id"].as_str().expect("an id")));
        sizes.push(list.len());
        members.extend(list.iter().map(|event| event["data"]["id"].clone()));
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 3, 3]);
    members.sort_unstable_by_key(ToString::to_string);
    assert_eq!(members, (0..7).map(|n| json!(n.to_string())).collect::<Vec<_>>());
    let member = app.closed("r//shop/4").await;
    let into = member["result"]["batched_into"]
        .as_str()
        .expect("the batch")
        .to_owned();
    assert_eq!(app.closed(&into).await["status"], "Completed");
    app.stop().await;
}

/// A workflow of the program's own: fails on what is poison.
#[workflow]
#[derive(Default)]
struct Slow;

#[workflow_methods]
impl Slow {
    #[run(name = "Slow")]
    async fn run(ctx: &mut WorkflowContext<Self>, event: Event) -> WorkflowResult<String> {
        ctx.timer(Duration::from_millis(200)).await;
        match event.id.as_str() {
            "a2" => Err(ApplicationFailure::non_retryable("not this one").into()),
            _ => Ok(event.id),
        }
    }
}

async fn workflows_keep_their_order(engine: TestEngine) {
    let config = "[[routes]]\nname = \"r\"\non = \"*\"\nworkflow = \"Slow\"\norder = {}\n";
    let app = App::start_with(&engine, config, |builder| builder.workflow::<Slow>()).await;
    let mut ids = Vec::new();
    for id in ["a1", "a2", "a3"] {
        ids.push(send(&app, id, "a").await);
    }
    assert_eq!(app.closed(&ids[0]).await["status"], "Completed");
    let failed = app.closed(&ids[1]).await;
    assert_eq!(failed["status"], "Failed");
    let message = failed["failure"]["message"].as_str().expect("a message");
    assert!(message.contains("not this one"), "{message}");
    let child = app.execution("run:r//shop/a1").await;
    assert_eq!((&child["type"], &child["result"]), (&json!("Slow"), &json!("a1")));
    keys_until(&app, &parked(), |keys| keys.len() == 1).await;
    assert!(flow::release(app.client(), "r", "a").await.expect("an answer"));
    assert_eq!(app.closed(&ids[2]).await["status"], "Completed");
    app.stop().await;
}

async fn one_that_waits_can_be_cancelled(engine: TestEngine) {
    let recorder = Recorder::default();
    *recorder.closed.lock() = true;
    let app = start(&engine, "order = {}", &recorder).await;
    for id in ["a1", "a2", "a3"] {
        send(&app, id, "a").await;
    }
    let handle = app
        .client()
        .get_workflow_handle::<temporalio_client::UntypedWorkflow>("r//shop/a2");
    handle.cancel(Default::default()).await.expect("cancelled");
    assert_eq!(app.closed("r//shop/a2").await["status"], "Canceled");
    *recorder.closed.lock() = false;
    app.closed("r//shop/a3").await;
    assert_eq!(recorder.ids(), ["a1", "a3"]);
    app.stop().await;
}

async fn one_that_waits_can_be_deleted(engine: TestEngine) {
    let recorder = Recorder::default();
    *recorder.closed.lock() = true;
    let app = start(&engine, "order = {}", &recorder).await;
    let first = send(&app, "1", "a").await;
    let deleted = send(&app, "2", "a").await;
    let third = send(&app, "3", "a").await;
    let request = DeleteWorkflowExecutionRequest {
        namespace: app.client().namespace(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: deleted.clone(),
            run_id: String::new(),
        }),
    };
    let mut service = app.client().connection().workflow_service();
    service
        .delete_workflow_execution(request.into_request())
        .await
        .unwrap();
    let path = format!("/executions/{}", deleted.replace('/', "%2F"));
    let is_gone = async || {
        let deadline = Instant::now() + DEADLINE;
        while app.get(&path).send().await.unwrap().status() != StatusCode::NOT_FOUND {
            assert!(Instant::now() < deadline, "{deleted} is still there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    is_gone().await;

    // Its turn comes and goes.
    *recorder.closed.lock() = false;
    for id in [&first, &third] {
        assert_eq!(app.closed(id).await["status"], "Completed");
    }
    assert_eq!(recorder.ids(), ["1", "3"]);
    // Nothing stands in its place: who sends the event again has it handled.
    is_gone().await;
    let again = app.accept(&event("2", "a")).await;
    assert_eq!(again["duplicate"], false, "{again:#}");
    assert_eq!(app.closed(&deleted).await["status"], "Completed");
    assert_eq!(recorder.ids(), ["1", "3", "2"]);
    app.stop().await;
}

/// Asks the API for a change of a key; returns whether there was one.
async fn change(app: &App, what: &str, key: &str) -> bool {
    let request = app
        .post(&format!("/keys/{what}"))
        .json(&json!({"route": "r", "key": key}));
    let answer = json_of(request.send().await.expect("an answer"), StatusCode::OK).await;
    answer["changed"].as_bool().expect("whether it was changed")
}

async fn a_paused_key_waits(engine: TestEngine) {
    let recorder = Recorder::default();
    let app = start(&engine, "order = {}", &recorder).await;
    assert!(change(&app, "pause", "a").await);
    assert!(!change(&app, "pause", "a").await);
    let mut last = String::new();
    for id in ["a1", "a2", "b1"] {
        last = send(&app, id, &id[..1]).await;
    }
    app.closed(&last).await;
    assert_eq!(recorder.ids(), ["b1"]);
    let waiting = app
        .until("r//shop/a2", |execution| execution["waits"].is_string())
        .await;
    assert_eq!(
        waiting["waits"],
        "it waits until its key is resumed (key \"a\"), with 1 of its key before it"
    );

    // It survives a restart.
    app.stop().await;
    let app = start(&engine, "order = {}", &recorder).await;
    let page = json_of(
        app.get("/keys?route=r").send().await.expect("an answer"),
        StatusCode::OK,
    )
    .await;
    let key = &page["keys"][0];
    assert_eq!(
        (&key["key"], &key["waiting"]),
        (&json!("a"), &json!(2)),
        "{page:#}"
    );
    assert!(key["paused"].is_string(), "{page:#}");
    assert!(change(&app, "resume", "a").await);
    assert!(!change(&app, "resume", "a").await);
    app.closed("r//shop/a2").await;
    assert_eq!(recorder.ids(), ["b1", "a1", "a2"]);
    assert!(!change(&app, "release", "a").await, "it is not parked");

    // What has no keys cannot be paused by one, nor what there is not.
    let request = app
        .post("/keys/pause")
        .json(&json!({"route": "other", "key": "a"}));
    assert_eq!(
        request.send().await.expect("an answer").status(),
        StatusCode::NOT_FOUND
    );
    app.stop().await;
}

async fn a_full_flow_takes_no_more_for_a_while(engine: TestEngine) {
    let recorder = Recorder::default();
    let app = start(&engine, "order = {}\nmax_waiting = 3", &recorder).await;
    let pause = |verb: &str| {
        let request = app.post(&format!("/keys/{verb}"));
        request.json(&json!({"route": "r", "key": "a"})).send()
    };
    assert_eq!(pause("pause").await.expect("an answer").status(), StatusCode::OK);
    // Processes hear of it within a second, so some more come in than should.
    let deadline = Instant::now() + DEADLINE;
    let mut taken = Vec::new();
    let refused = loop {
        let id = format!("a{}", taken.len());
        let answer = app.send(&event(&id, "a")).await;
        if answer.status() != StatusCode::ACCEPTED {
            break answer;
        }
        taken.push(id);
        assert!(Instant::now() < deadline, "{} are taken in", taken.len());
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    assert!(taken.len() >= 3, "{taken:?}");
    assert!(refused.headers().contains_key("retry-after"));
    let problem = json_of(refused, StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(problem["code"], "flow-full", "{problem}");
    assert_eq!(
        problem["detail"],
        "so many events wait on the route \"r\" with the key \"a\" that it takes no more now"
    );
    send(&app, "b1", "b").await;
    recorder.wait_for(1).await;

    assert_eq!(pause("resume").await.expect("an answer").status(), StatusCode::OK);
    let last = event("last", "a");
    loop {
        let answer = app.send(&last).await;
        if answer.status() == StatusCode::ACCEPTED {
            break;
        }
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(Instant::now() < deadline, "it never takes more");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let all = recorder.wait_for(taken.len() + 2).await;
    let of_a: Vec<_> = all.into_iter().filter(|id| id != "b1").collect();
    taken.push("last".to_owned());
    assert_eq!(of_a, taken, "what was taken in runs in its order");
    app.stop().await;
}
