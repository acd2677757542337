//! Operations over many executions while the process that carries them out is killed: all of it is done, and nothing twice.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{DEADLINE, Launch, Program, TestEngine, json_of, order};

async fn post(program: &Program, path: &str, body: &Value) -> Value {
    let request = reqwest::Client::new().post(program.url(path)).json(body);
    json_of(request.send().await.expect("an answer"), StatusCode::ACCEPTED).await
}

async fn send(program: &Program, events: &[Value]) {
    for batch in events.chunks(100) {
        let response = reqwest::Client::new()
            .post(program.url("/events"))
            .header("content-type", "application/cloudevents-batch+json")
            .body(json!(batch).to_string())
            .send()
            .await
            .expect("an answer");
        json_of(response, StatusCode::ACCEPTED).await;
    }
}

/// Waits until something holds of what is served at this path.
async fn until(program: &Program, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + DEADLINE * 2;
    loop {
        let found: Value = match reqwest::get(program.url(path)).await {
            Ok(response) => response.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        };
        if holds(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{path}: {found:#}\n{}", program.log());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_of_dead_letters() {
    const COUNT: usize = 200;
    let down = Arc::new(AtomicBool::new(true));
    let switch = down.clone();
    let receiver =
        Receiver::answering(move |_| Answer::status(if switch.load(Ordering::SeqCst) { 410 } else { 200 }))
            .await;
    let engine = TestEngine::embedded();
    let config = format!(
        "[sinks]\nhook = {{ webhook = {{ url = \"{}\", allow_private = true }} }}\n\
         [[routes]]\nname = \"all\"\non = \"*\"\nactions = [{{ name = \"tell\", to = \"hook\" }}]\n",
        receiver.url("/hook")
    );
    let mut launch = Launch::up(&engine, &config);
    let program = launch.start().await;
    let events: Vec<_> = (0..COUNT).map(|n| order(&n.to_string(), 1)).collect();
    send(&program, &events).await;
    let letters = |count: usize| {
        move |page: &Value| {
            page["dead_letters"]
                .as_array()
                .is_some_and(|letters| letters.len() == count)
        }
    };
    until(&program, "/dead-letters?page_size=500", letters(COUNT)).await;
    down.store(false, Ordering::SeqCst);
    let before = receiver.requests().len();
    let bulk = json!({ "id": "b", "action": "retry", "per_second": 100 });
    post(&program, "/dead-letters/bulk", &bulk).await;
    receiver.wait_for(before + COUNT / 4, DEADLINE).await;
    program.kill().await;
    assert!(
        receiver.requests().len() < before + COUNT,
        "it was killed in the middle"
    );

    let program = launch.start().await;
    let done = until(&program, "/dead-letters/bulk/b", |bulk| bulk["state"] == "done").await;
    assert_eq!(
        done["progress"],
        json!({ "decided": COUNT, "already": 0, "failed": 0 })
    );
    until(&program, "/dead-letters?page_size=500", letters(0)).await;
    for n in 0..COUNT {
        let execution = program.closed(&format!("all//shop/{n}")).await;
        assert_eq!(execution["status"], "Completed", "{execution:#}");
    }
    let delivered: HashSet<_> = receiver.requests()[before..]
        .iter()
        .map(|request| request.header("webhook-id").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(delivered.len(), COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay() {
    const COUNT: usize = 500;
    let receiver = Receiver::start().await;
    let engine = TestEngine::embedded();
    let route = |name: &str| {
        format!(
            "[sinks]\nhook = {{ webhook = {{ url = \"{}\", allow_private = true }} }}\n\
             [[routes]]\nname = \"{name}\"\non = \"{name}.*\"\n\
             actions = [{{ name = \"tell\", to = \"hook\", transform = \".data.total\" }}]\n",
            receiver.url("/hook")
        )
    };
    let program = Launch::up(&engine, &route("other")).start().await;
    for n in 0..COUNT {
        send(&program, &[order(&n.to_string(), n as u32)]).await;
    }
    program.kill().await;

    let mut launch = Launch::up(&engine, &route("order"));
    let mut program = launch.start().await;
    let dry = json!({ "routes": ["order"], "dry_run": true });
    let request = reqwest::Client::new().post(program.url("/replays")).json(&dry);
    let dry = json_of(request.send().await.expect("an answer"), StatusCode::OK).await;
    assert_eq!(
        (&dry["would_run"], &dry["new"]),
        (&json!(COUNT), &json!(COUNT)),
        "{dry:#}"
    );
    let replay = json!({ "id": "r", "routes": ["order"], "one_by_one": true });
    post(&program, "/replays", &replay).await;
    for quarter in 1..=2 {
        receiver.wait_for(COUNT / 4 * quarter, DEADLINE * 2).await;
        program.kill().await;
        program = launch.start().await;
    }
    let done = until(&program, "/replays/r", |replay| replay["state"] == "done").await;
    assert_eq!(done["progress"]["executions"], dry["would_run"]);
    // Each in its turn; a crash may repeat a delivery, under the same key, before the next one begins.
    let mut payloads: Vec<_> = receiver
        .requests()
        .iter()
        .map(|r| r.json().as_u64().unwrap_or_default())
        .collect();
    payloads.dedup();
    assert_eq!(payloads, (0..COUNT as u64).collect::<Vec<_>>());
}
