//! Replays: events of before on routes of now, in order, once; and the story of each event.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::{Instant, sleep};

use crate::support::{App, DEADLINE, TestEngine, json_of, order};

on_every_engine!(
    a_late_route_sees_earlier_events,
    a_dry_run_says_what_then_happens,
    only_what_is_asked_for,
    one_by_one_in_order_once,
    paused_and_cancelled,
    bad_replays,
    the_story_of_an_event,
);

fn config(receiver: &Receiver, routes: &str) -> String {
    format!(
        "[sinks]\nhook = {{ webhook = {{ url = \"{}\", allow_private = true }} }}\n{routes}",
        receiver.url("/hook")
    )
}

const EARLY: &str = r#"
    [[routes]]
    name = "early"
    on = "order.*"
    when = "event.data.total > 100"
    actions = [{ name = "tell", to = "hook", transform = "{early: .data.total}", retry = { initial = "10ms", max_attempts = 2 } }]
    "#;

const LATE: &str = r#"
    [[routes]]
    name = "late"
    on = "order.*"
    actions = [{ name = "tell", to = "hook", transform = ".data.total" }]
    "#;

async fn ask(request: RequestBuilder, status: StatusCode) -> Value {
    json_of(request.send().await.expect("an answer"), status).await
}

/// Waits until lists show so many executions of events: a cluster's follow with a delay.
async fn known(app: &App, query: &str, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let url = reqwest::Url::parse_with_params(
            &app.url("/executions"),
            [("query", query), ("page_size", "1000")],
        );
        let page = json_of(reqwest::get(url.unwrap()).await.unwrap(), StatusCode::OK).await;
        let found = page["executions"].as_array().unwrap().clone();
        if found.len() == count {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{query}: {} and not {count}",
            found.len()
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the replay is in this state.
async fn until(app: &App, id: &str, state: &str) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let replay = ask(app.get(&format!("/replays/{id}")), StatusCode::OK).await;
        if replay["state"] == state {
            return replay;
        }
        assert!(Instant::now() < deadline, "not {state}: {replay:#}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn event(source: &str, id: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("/events/{}/{}", encoded(source), encoded(id))
}

async fn a_late_route_sees_earlier_events(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver, EARLY)).await;
    let unmatched = app.accept(&order("1", 7)).await;
    assert_eq!(unmatched["message"], "no route matched");
    assert_eq!(
        (&unmatched["executions"], &unmatched["duplicate"]),
        (&json!([]), &json!(false))
    );
    assert_eq!(app.accept(&order("1", 7)).await["duplicate"], true, "it is kept");
    app.accept(&order("2", 200)).await;
    app.closed("early//shop/2").await;
    app.stop().await;

    let app = App::start(&engine, &config(&receiver, &format!("{EARLY}{LATE}"))).await;
    known(&app, "SegnoEventType = 'order.placed'", 2).await;
    let request = json!({ "id": "late", "routes": ["late"], "by": "ada" });
    let begun = ask(app.post("/replays").json(&request), StatusCode::ACCEPTED).await;
    assert_eq!((&begun["changed"], &begun["id"]), (&json!(true), &json!("late")));
    let done = until(&app, "late", "done").await;
    assert_eq!(
        done["progress"],
        json!({ "events": 2, "not_taken": 0, "executions": 2 })
    );
    for (id, total) in [("1", 7), ("2", 200)] {
        let execution = app.closed(&format!("late//shop/{id}/replay/late")).await;
        assert_eq!(execution["status"], "Completed", "{execution:#}");
        assert!(receiver.requests().iter().any(|request| request.json() == total));
    }
    // A second click begins nothing, and a replay is not replayed.
    let again = ask(app.post("/replays").json(&request), StatusCode::OK).await;
    assert_eq!(
        (&again["changed"], &again["state"]),
        (&json!(false), &json!("done"))
    );
    known(&app, "SegnoReplay = 'late'", 2).await;
    assert_eq!(receiver.requests().len(), 3);

    let story = ask(app.get(&event("/shop", "1")), StatusCode::OK).await;
    assert_eq!(story["event"], order("1", 7));
    let executions = story["executions"].as_array().unwrap();
    assert_eq!(executions.len(), 2, "{story:#}");
    assert_eq!(executions[0]["state"], "kept: no route took it when it came");
    assert_eq!(executions[1]["replay"], "late");
    assert_eq!(executions[1]["state"], "done");
    app.stop().await;
}

async fn a_dry_run_says_what_then_happens(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver, EARLY)).await;
    for (id, total) in [("1", 7), ("2", 200), ("3", 300)] {
        app.accept(&order(id, total)).await;
    }
    app.closed("early//shop/3").await;
    app.stop().await;

    // 2 is not taken any more; 3 yields another payload; the late route is new to all.
    let now = EARLY
        .replace("> 100", "> 250")
        .replace("early: .data.total", "early: (.data.total + 1)");
    let app = App::start(&engine, &config(&receiver, &format!("{now}{LATE}"))).await;
    known(&app, "SegnoEventType = 'order.placed'", 3).await;
    let before = receiver.requests().len();
    let mut request = json!({ "id": "r", "routes": ["early", "late"], "dry_run": true });
    let dry = ask(app.post("/replays").json(&request), StatusCode::OK).await;
    let counts =
        ["events", "would_run", "new", "same", "different", "not_taken_now"].map(|count| dry[count].as_u64());
    assert_eq!(counts, [3, 4, 3, 0, 1, 1].map(Some), "{dry:#}");
    let told = dry["executions"].as_array().unwrap();
    let of = |route: &str, id: &str| {
        told.iter()
            .find(|would| would["route"] == route && would["event_id"] == id)
            .unwrap()
    };
    assert_eq!(
        of("early", "3")["differences"],
        json!([{ "difference": "payloads", "action": "tell" }])
    );
    assert_eq!(of("early", "3")["then"], "Completed");
    assert_eq!(of("early", "2")["would_be"], "not_taken_now");
    assert_eq!(of("late", "1")["would_be"], "new");
    assert_eq!(receiver.requests().len(), before, "nothing ran");

    request["dry_run"] = false.into();
    ask(app.post("/replays").json(&request), StatusCode::ACCEPTED).await;
    let done = until(&app, "r", "done").await;
    assert_eq!(done["progress"]["executions"], dry["would_run"]);
    let executions = known(&app, "SegnoReplay = 'r'", 4).await;
    for execution in &executions {
        let closed = app.closed(execution["workflow_id"].as_str().unwrap()).await;
        assert_eq!(closed["status"], "Completed");
    }
    let payloads: Vec<_> = receiver.requests()[before..]
        .iter()
        .map(|request| request.json())
        .collect();
    assert!(
        payloads.contains(&json!({ "early": 301 })) && payloads.len() == 4,
        "{payloads:?}"
    );
    app.stop().await;
}

async fn only_what_is_asked_for(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver, EARLY)).await;
    for (id, source, ty, subject) in [
        ("1", "/shop", "order.placed", "ada"),
        ("2", "/shop", "order.paid", "bob"),
        ("3", "/market", "order.placed", "ada"),
        ("4", "/market", "order.paid", "ada"),
    ] {
        let mut event = order(id, 200);
        event["source"] = source.into();
        event["type"] = ty.into();
        event["subject"] = subject.into();
        app.accept(&event).await;
    }
    app.stop().await;

    let app = App::start(&engine, &config(&receiver, &format!("{EARLY}{LATE}"))).await;
    known(&app, "SegnoEventId IS NOT NULL", 4).await;
    // A time between the second and the third.
    let mut taken_in: Vec<OffsetDateTime> = Vec::new();
    for (source, id) in [("/shop", "2"), ("/market", "3")] {
        let story = ask(app.get(&event(source, id)), StatusCode::OK).await;
        let at = story["accepted_at"].as_str().unwrap();
        taken_in.push(OffsetDateTime::parse(at, &Rfc3339).unwrap());
    }
    let between: OffsetDateTime = taken_in[0] + (taken_in[1] - taken_in[0]) / 2;
    let between = between.format(&Rfc3339).unwrap();
    for (filter, ids) in [
        (json!({}), &["1", "2", "3", "4"][..]),
        (json!({ "type": "order.paid" }), &["2", "4"]),
        (json!({ "source": "/market" }), &["3", "4"]),
        (json!({ "subject": "ada" }), &["1", "3", "4"]),
        (json!({ "query": "WorkflowId = 'early//shop/2'" }), &["2"]),
        (json!({ "from": between }), &["3", "4"]),
        (json!({ "to": between }), &["1", "2"]),
        (
            json!({ "from": between, "type": "order.paid", "subject": "ada" }),
            &["4"],
        ),
    ] {
        let mut request = filter.clone();
        request["routes"] = json!(["late"]);
        request["dry_run"] = true.into();
        let dry = ask(app.post("/replays").json(&request), StatusCode::OK).await;
        let found = dry["executions"].as_array().unwrap().iter();
        let found: Vec<_> = found.map(|would| would["event_id"].as_str().unwrap()).collect();
        assert_eq!(found, ids, "{filter}: {dry:#}");
    }
    let request = json!({ "id": "some", "routes": ["late"], "to": between, "subject": "ada" });
    ask(app.post("/replays").json(&request), StatusCode::ACCEPTED).await;
    let done = until(&app, "some", "done").await;
    assert_eq!(done["progress"]["executions"], 1, "{done:#}");
    let replayed = known(&app, "SegnoReplay = 'some'", 1).await;
    assert_eq!(replayed[0]["workflow_id"], "late//shop/1/replay/some");
    app.stop().await;
}

async fn one_by_one_in_order_once(engine: TestEngine) {
    const EVENTS: u32 = 60;
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver, EARLY)).await;
    for n in 0..EVENTS {
        app.accept(&order(&n.to_string(), n)).await;
    }
    app.stop().await;
    let app = App::start(&engine, &config(&receiver, LATE)).await;
    known(&app, "SegnoEventType = 'order.placed'", EVENTS as usize).await;
    let request = json!({ "id": "all", "routes": ["late"], "one_by_one": true });
    ask(app.post("/replays").json(&request), StatusCode::ACCEPTED).await;
    let done = until(&app, "all", "done").await;
    assert_eq!(done["progress"]["executions"], EVENTS);
    let payloads: Vec<_> = receiver
        .requests()
        .iter()
        .map(|r| r.json().as_u64().unwrap())
        .collect();
    assert_eq!(payloads, (0..u64::from(EVENTS)).collect::<Vec<_>>());
    app.stop().await;
}

async fn paused_and_cancelled(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver, EARLY)).await;
    for n in 0..20 {
        app.accept(&order(&n.to_string(), n)).await;
    }
    app.stop().await;
    let app = App::start(&engine, &config(&receiver, LATE)).await;
    known(&app, "SegnoEventType = 'order.placed'", 20).await;
    // One every two seconds: it is far from done when it is paused.
    let request = json!({ "id": "slow", "routes": ["late"], "per_second": 0.5 });
    ask(app.post("/replays").json(&request), StatusCode::ACCEPTED).await;
    receiver.wait_for(1, DEADLINE).await;
    ask(app.post("/replays/slow/pause"), StatusCode::ACCEPTED).await;
    until(&app, "slow", "paused").await;
    ask(app.post("/replays/slow/resume"), StatusCode::ACCEPTED).await;
    until(&app, "slow", "running").await;
    ask(app.post("/replays/slow/cancel"), StatusCode::ACCEPTED).await;
    until(&app, "slow", "cancelled").await;
    assert!(receiver.requests().len() < 20);
    app.stop().await;
}

async fn bad_replays(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver, EARLY)).await;
    for (request, says) in [
        (json!({ "routes": [] }), "at least one route"),
        (json!({ "routes": ["erly"] }), "no route \"erly\""),
        (json!({ "routes": ["early"], "from": "noon" }), "`from`"),
        (
            json!({ "routes": ["early"], "query": "Nonsense = 1" }),
            "Nonsense",
        ),
        (json!({ "routes": ["early"], "since": "x" }), "unknown field"),
    ] {
        let problem = ask(app.post("/replays").json(&request), StatusCode::BAD_REQUEST).await;
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    ask(app.get("/replays/none"), StatusCode::NOT_FOUND).await;
    ask(app.post("/replays/none/pause"), StatusCode::NOT_FOUND).await;
    ask(app.get(&event("/shop", "none")), StatusCode::NOT_FOUND).await;
    app.stop().await;
}

async fn the_story_of_an_event(engine: TestEngine) {
    let receiver =
        Receiver::answering(|request| Answer::status(if request.json()["early"] == 300 { 410 } else { 200 }))
            .await;
    let app = App::start(&engine, &config(&receiver, &format!("{EARLY}{LATE}"))).await;
    app.accept(&order("1", 300)).await;
    app.closed("early//shop/1").await;
    app.closed("late//shop/1").await;
    let story = ask(app.get(&event("/shop", "1")), StatusCode::OK).await;
    let of = |story: &Value, route: &str| {
        let executions = story["executions"].as_array().unwrap();
        executions.iter().find(|e| e["route"] == route).unwrap().clone()
    };
    let early = of(&story, "early");
    assert!(
        early["state"]
            .as_str()
            .unwrap()
            .starts_with("a dead letter: 1 of 1 actions failed"),
        "{early:#}"
    );
    assert_eq!(early["dead_letter"]["failed"][0]["attempts"], 1);
    assert_eq!(early["actions"][0]["state"], "failed");
    assert_eq!(of(&story, "late")["state"], "done");

    let id: String = url::form_urlencoded::byte_serialize(b"early//shop/1").collect();
    let note = json!({ "by": "ada", "note": "the receiver is gone" });
    ask(
        app.post(&format!("/dead-letters/{id}/resolve")).json(&note),
        StatusCode::ACCEPTED,
    )
    .await;
    app.closed("early//shop/1").await;
    let deadline = Instant::now() + DEADLINE;
    let early = loop {
        let early = of(&ask(app.get(&event("/shop", "1")), StatusCode::OK).await, "early");
        // The list of a cluster may know the second run before the end of the first.
        if early["runs"].as_array().unwrap().len() == 2 && early["runs"][0]["status"] == "Failed" {
            break early;
        }
        assert!(Instant::now() < deadline, "{early:#}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(early["state"], "resolved by ada: the receiver is gone");
    assert_eq!(early["runs"][1]["after"]["decision"], "resolve");
    assert_eq!(early["dead_letter"], Value::Null);

    // Why an event did not run.
    app.accept(&order("2", 7)).await;
    let story = ask(app.get(&event("/shop", "2")), StatusCode::OK).await;
    let routes = story["routes"].as_array().unwrap();
    assert_eq!(routes[0]["takes"], false);
    assert_eq!(routes[0]["why"], "the filter is false: event.data.total > 100");
    assert_eq!(routes[1]["takes"], true);
    app.stop().await;
}
