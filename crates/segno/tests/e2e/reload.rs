//! The configuration taken on again under traffic: nothing is lost, and each event runs as it was planned.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    metrics::{Scrape, until},
    support::{DEADLINE, Launch, TestEngine, json_of},
};

on_every_engine!(
    under_traffic_each_event_runs_as_it_was_planned,
    a_mistake_changes_nothing,
    schedules_and_schemas_come_and_go,
);

/// Writes the configuration anew.
fn write(engine: &TestEngine, config: &str) {
    let text = format!("{}{config}", engine.config());
    std::fs::write(engine.folder().join("segno.toml"), text).unwrap();
}

fn event(id: &str, ty: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": ty, "data": {"n": 1}})
}

async fn post(url: &str, event: &Value) -> reqwest::Result<reqwest::Response> {
    let request = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/cloudevents+json");
    request.body(event.to_string()).send().await
}

async fn reload(url: &str) -> reqwest::Response {
    reqwest::Client::new().post(url).send().await.expect("an answer")
}

async fn under_traffic_each_event_runs_as_it_was_planned(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let broken = Arc::new(AtomicBool::new(true));
    let gone = {
        let broken = Arc::clone(&broken);
        Receiver::answering(move |_| Answer::status(if broken.load(Ordering::SeqCst) { 503 } else { 204 }))
            .await
    };
    let sink =
        |name: &str, url: String| format!("[sinks.{name}.webhook]\nurl = {url:?}\nallow_private = true\n");
    let route = |version: u32, to: &str| {
        format!(
            "[[routes]]\nname = \"tell\"\non = \"order.*\"\n\
             actions = [{{ name = \"tell\", to = \"{to}\", transform = \"{{id, version: {version}}}\" }}]\n"
        )
    };
    let first = [
        sink("a", receiver.url("/a")),
        sink("gone", gone.url("/gone")),
        route(1, "a"),
        "[[routes]]\nname = \"waits\"\non = \"slow.*\"\n\
         actions = [{ name = \"tell\", to = \"gone\", retry = { initial = \"200ms\", max_interval = \"500ms\" } }]\n"
            .to_owned(),
    ]
    .concat();
    let second = [
        sink("a", receiver.url("/a")),
        sink("b", receiver.url("/b")),
        route(2, "b"),
    ]
    .concat();
    let mut launch = Launch::up(&engine, &first);
    let program = launch.start().await;
    let (events, metrics) = (program.url("/events"), program.url("/metrics"));

    let slow = json_of(
        post(&events, &event("slow", "slow.one")).await.unwrap(),
        StatusCode::ACCEPTED,
    )
    .await;
    let slow = slow["events"][0]["executions"][0]["workflow_id"]
        .as_str()
        .unwrap()
        .to_owned();
    gone.wait_for(1, DEADLINE).await;

    // Two callers that do not stop.
    let (next, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let (next, stop, events) = (Arc::clone(&next), Arc::clone(&stop), events.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let answer = post(&events, &event(&format!("{n:06}"), "order.placed"))
                        .await
                        .unwrap();
                    assert_eq!(answer.status(), StatusCode::ACCEPTED);
                }
            })
        })
        .collect();
    let many = |count| {
        let next = Arc::clone(&next);
        async move {
            let until = next.load(Ordering::SeqCst) + count;
            let deadline = Instant::now() + DEADLINE;
            while next.load(Ordering::SeqCst) < until {
                assert!(Instant::now() < deadline, "no traffic");
                sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    };
    many(20).await;
    write(&engine, &second);
    let before = next.load(Ordering::SeqCst);
    program.signal("HUP").await;
    until(&metrics, r#"segno_config_reloads_total{outcome="ok"}"#, 1.0).await;
    // Those that are under way may have been planned before.
    let after = next.load(Ordering::SeqCst);
    many(20).await;
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    let sent = next.load(Ordering::SeqCst);

    let requests = receiver
        .wait_until(DEADLINE, |requests| {
            let ids: std::collections::BTreeSet<_> = requests
                .iter()
                .map(|request| request.json()["id"].to_string())
                .collect();
            ids.len() == sent
        })
        .await;
    let mut plans = BTreeMap::new();
    for request in &requests {
        let payload = request.json();
        let n: usize = payload["id"].as_str().unwrap().parse().unwrap();
        let plan = (
            payload["version"].as_u64().unwrap(),
            request.uri.path().to_owned(),
        );
        let known = plans.entry(n).or_insert_with(|| plan.clone());
        assert_eq!(*known, plan, "an event is planned once");
    }
    let (old, new) = ((1, "/a".to_owned()), (2, "/b".to_owned()));
    for (n, plan) in &plans {
        assert!(*plan == old || *plan == new, "{n}: {plan:?}");
        // Two callers: the last two before may still have been on their way.
        if *n + 2 < before {
            assert_eq!(*plan, old, "{n} of {before}");
        }
        if *n >= after {
            assert_eq!(*plan, new, "{n} of {after}");
        }
    }
    // What waits for a sink that is gone from the configuration gets there.
    broken.store(false, Ordering::SeqCst);
    assert_eq!(program.closed(&slow).await["status"], "Completed");
    let sinks: Value = reqwest::get(program.url("/sinks"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let names: Vec<_> = sinks["sinks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sink| &sink["name"])
        .collect();
    assert_eq!(names, ["a", "b"]);
    // And its route takes nothing more.
    let answer = json_of(
        post(&events, &event("slow-2", "slow.one")).await.unwrap(),
        StatusCode::ACCEPTED,
    )
    .await;
    assert_eq!(answer["events"][0]["message"], "no route matched");

    // What was taken on last holds after a restart too, and a plan of before meets the sink again when it is back.
    program.kill().await;
    let program = launch.start().await;
    let answer = post(&program.url("/events"), &event("999999", "order.placed"))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    receiver
        .wait_until(DEADLINE, |requests| {
            requests
                .iter()
                .any(|request| request.json() == json!({"id": "999999", "version": 2}))
        })
        .await;
}

async fn a_mistake_changes_nothing(engine: TestEngine) {
    let good = "[sinks.out.file]\npath = \"out.jsonl\"\n[[routes]]\nname = \"all\"\non = \"*\"\n\
                actions = [{ name = \"write\", to = \"out\" }]\n";
    let mut launch = Launch::up(&engine, good);
    let program = launch.start().await;
    let (url, metrics) = (program.url("/config/reload"), program.url("/metrics"));
    let answer = json_of(reload(&url).await, StatusCode::OK).await;
    assert_eq!(answer, json!({"routes": [], "sinks": [], "needs_restart": []}));

    write(&engine, &good.replace("to = \"out\"", "to = \"elsewhere\""));
    let problem = json_of(reload(&url).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(problem["code"], "invalid-configuration");
    assert!(
        problem["errors"][0]["rule"]
            .as_str()
            .unwrap()
            .starts_with("SG0015: "),
        "{problem}"
    );
    program.signal("HUP").await;
    let scrape = until(&metrics, r#"segno_config_reloads_total{outcome="refused"}"#, 2.0).await;
    assert_eq!(
        scrape.get("segno_config_last_reload_success"),
        Some(0.0),
        "{}",
        scrape.text
    );
    assert!(program.log().contains("SG0015"), "{}", program.log());

    // A consumer that this program does not have.
    write(
        &engine,
        &good.replace(
            "actions = [{ name = \"write\", to = \"out\" }]",
            "consumer = \"nobody\"",
        ),
    );
    let problem = json_of(reload(&url).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(
        problem["errors"][0]["rule"]
            .as_str()
            .unwrap()
            .starts_with("SG0110: "),
        "{problem}"
    );

    // What takes a restart is told; the rest is taken on.
    let more = format!("http.listen = \"127.0.0.1:1\"\n{good}").replace("on = \"*\"", "on = \"order.*\"");
    write(&engine, &more);
    let answer = json_of(reload(&url).await, StatusCode::OK).await;
    assert_eq!(
        answer,
        json!({"routes": ["all"], "sinks": [], "needs_restart": ["http"]})
    );
    let scrape = Scrape::of(&metrics).await;
    assert_eq!(
        scrape.get("segno_config_last_reload_success"),
        Some(1.0),
        "{}",
        scrape.text
    );
    let taken = post(&program.url("/events"), &event("1", "other")).await.unwrap();
    let taken = json_of(taken, StatusCode::ACCEPTED).await;
    assert_eq!(taken["events"][0]["message"], "no route matched");
}

async fn schedules_and_schemas_come_and_go(engine: TestEngine) {
    let base = "[sinks.out.file]\npath = \"out.jsonl\"\n";
    let route = "[[routes]]\nname = \"often\"\non = \"segno.schedule\"\nschedule = { cron = \"* * * * * * *\" }\n\
                 actions = [{ name = \"write\", to = \"out\" }]\n";
    let mut launch = Launch::up(&engine, base);
    let program = launch.start().await;
    let url = program.url("/config/reload");
    write(
        &engine,
        &format!(
            "{base}{route}[schemas.\"order.placed\"]\nschema = {{ type = \"object\", required = [\"total\"] }}\n"
        ),
    );
    let answer = json_of(reload(&url).await, StatusCode::OK).await;
    assert_eq!(answer["routes"], json!(["often"]));
    let refused = post(&program.url("/events"), &event("1", "order.placed"))
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    // The schedule works.
    let out = engine.folder().join("out.jsonl");
    let deadline = Instant::now() + DEADLINE;
    while !std::fs::read_to_string(&out)
        .unwrap_or_default()
        .contains("/segno/schedules/often")
    {
        assert!(Instant::now() < deadline, "{}", program.log());
        sleep(std::time::Duration::from_millis(50)).await;
    }
    write(&engine, base);
    let answer = json_of(reload(&url).await, StatusCode::OK).await;
    assert_eq!(answer["routes"], json!(["often"]));
    assert!(
        program
            .log()
            .contains("deleted the schedule of a route that is gone"),
        "{}",
        program.log()
    );
    let taken = post(&program.url("/events"), &event("1", "order.placed"))
        .await
        .unwrap();
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
}
