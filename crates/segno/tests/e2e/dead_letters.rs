//! Dead letters: found with all that is known of them, retried, skipped, resolved, told of, and never lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{RequestBuilder, StatusCode};
use segno::{Consumer, ConsumerError, Event};
use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ApplicationFailure, WorkflowContext, WorkflowResult};
use tokio::time::{Instant, sleep};

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution, order};

on_every_engine!(
    listed_with_all_that_is_known,
    a_retry_runs_what_failed_and_a_second_does_nothing,
    a_retry_with_another_payload,
    a_retry_on_the_route_of_now,
    skipped_and_resolved,
    consumers_and_workflows,
    bad_requests,
    told_of,
    workflows_have_deadlines_and_are_told_of,
    kept_on_until_somebody_decides,
    many_at_once,
);

/// Two actions side by side and one after them; `bad` goes where the test lets it fail.
fn config(good: &Receiver, bad: &Receiver) -> String {
    format!(
        r#"
        [sinks]
        good = {{ webhook = {{ url = "{}", allow_private = true }} }}
        bad = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "both"
        on = "order.*"
        actions = [
            {{ name = "first", to = "good" }},
            {{ name = "second", to = "bad", transform = ".data.total", retry = {{ initial = "10ms", max_attempts = 3 }} }},
        ]
        "#,
        good.url("/good"),
        bad.url("/bad")
    )
}

/// A receiver that fails as long as the switch is on.
async fn switched() -> (Receiver, Arc<AtomicBool>) {
    let down = Arc::new(AtomicBool::new(true));
    let switch = down.clone();
    let receiver =
        Receiver::answering(move |_| Answer::status(if switch.load(Ordering::SeqCst) { 500 } else { 200 }))
            .await;
    (receiver, down)
}

fn path(id: &str, verb: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/dead-letters/{id}{verb}")
}

async fn ask(request: RequestBuilder, status: StatusCode) -> Value {
    json_of(request.send().await.expect("an answer"), status).await
}

/// The list, once it is as long as that: a cluster's lists follow with a delay.
async fn listed(app: &App, query: &str, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let page = ask(app.get(&format!("/dead-letters{query}")), StatusCode::OK).await;
        let letters = page["dead_letters"].as_array().expect("a list").clone();
        if letters.len() == count {
            return letters;
        }
        assert!(Instant::now() < deadline, "not {count}: {letters:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Sends an event and waits until it is a dead letter.
async fn fail(app: &App, event: &Value) -> String {
    let accepted = app.accept(event).await;
    let id = only_execution(&accepted).to_owned();
    let execution = app.closed(&id).await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    id
}

async fn listed_with_all_that_is_known(engine: TestEngine) {
    let good = Receiver::start().await;
    let (bad, _down) = switched().await;
    let app = App::start(&engine, &config(&good, &bad)).await;
    for n in 1..=3 {
        fail(&app, &order(&n.to_string(), n)).await;
    }
    let letters = listed(&app, "", 3).await;
    let letter = &letters[0];
    assert_eq!(letter["id"], "both//shop/3", "what failed last comes first");
    assert_eq!(letter["route"], "both");
    assert_eq!(letter["event"]["type"], "order.placed");
    assert_eq!(letter["event"]["subject"], "customer-7");
    assert_eq!(letter["failed"][0]["action"], "second");
    assert_eq!(letter["failed"][0]["attempts"], 3);
    let error = letter["failed"][0]["error"].as_str().unwrap();
    assert!(error.contains("500"), "{error}");
    assert_eq!(letter["failed"].as_array().unwrap().len(), 1);
    assert_eq!(letter["done"], json!(["first"]));
    assert_eq!(letter["failures"], 1);
    assert!(letter["failed_at"].is_string() && letter["started_at"].is_string());

    // One by one, page after page.
    let mut seen = Vec::new();
    let mut query = "/dead-letters?page_size=1".to_owned();
    loop {
        let page = ask(app.get(&query), StatusCode::OK).await;
        seen.extend(
            page["dead_letters"]
                .as_array()
                .unwrap()
                .iter()
                .map(|l| l["id"].clone()),
        );
        let Some(token) = page["next_page_token"].as_str() else {
            break;
        };
        query = format!("/dead-letters?page_size=1&page_token={token}");
    }
    assert_eq!(seen, ["both//shop/3", "both//shop/2", "both//shop/1"]);

    let failed_at = letters[1]["failed_at"].as_str().unwrap();
    for (query, count) in [
        (
            "?route=both&type=order.placed&source=/shop&subject=customer-7".to_owned(),
            3,
        ),
        ("?route=other".to_owned(), 0),
        ("?type=order.paid".to_owned(), 0),
        ("?source=/shop%27s".to_owned(), 0),
        (format!("?since={failed_at}"), 2),
        (format!("?until={failed_at}"), 1),
        ("?query=WorkflowId%20=%20'both//shop/2'".to_owned(), 1),
    ] {
        assert_eq!(listed(&app, &query, count).await.len(), count, "{query}");
    }

    let letter = ask(app.get(&path("both//shop/2", "")), StatusCode::OK).await;
    assert_eq!(letter["cloud_event"], order("2", 2));
    assert_eq!(letter["handler"]["actions"]["stages"][0][1]["to"], "bad");
    app.stop().await;
}

async fn a_retry_runs_what_failed_and_a_second_does_nothing(engine: TestEngine) {
    let good = Receiver::start().await;
    let (bad, down) = switched().await;
    let app = App::start(&engine, &config(&good, &bad)).await;
    let id = fail(&app, &order("1", 7)).await;
    let failed = app.execution(&id).await["run_id"].clone();

    // It fails again, and is a dead letter again.
    let again = ask(app.post(&path(&id, "/retry")), StatusCode::ACCEPTED).await;
    assert_eq!(again["changed"], true, "{again}");
    assert_ne!(again["run_id"], failed);
    let execution = app.closed(&id).await;
    assert_eq!(execution["run_id"], again["run_id"]);
    assert_eq!(execution["status"], "Failed");
    assert!(
        execution["failure"]["message"]
            .as_str()
            .unwrap()
            .starts_with("1 of 2 actions failed"),
        "{execution:#}"
    );
    let letters = listed(&app, "", 1).await;
    assert_eq!(letters[0]["failures"], 2);
    assert_eq!(letters[0]["done"], json!(["first"]));

    // Who has seen the first failure only does not retry the second unawares.
    let stale = json!({ "run_id": failed });
    let nothing = ask(app.post(&path(&id, "/retry")).json(&stale), StatusCode::OK).await;
    assert_eq!(nothing["changed"], false, "{nothing}");

    down.store(false, Ordering::SeqCst);
    let retry = json!({ "by": "ada", "note": "the receiver is back", "run_id": again["run_id"] });
    let retries = futures::future::join_all((0..5).map(|_| {
        let request = app.post(&path(&id, "/retry")).json(&retry);
        async {
            request
                .send()
                .await
                .expect("an answer")
                .json::<Value>()
                .await
                .expect("JSON")
        }
    }))
    .await;
    let runs: std::collections::BTreeSet<_> = retries.iter().map(|r| r["run_id"].as_str().unwrap()).collect();
    assert_eq!(runs.len(), 1, "five clicks, one run: {retries:#?}");
    let execution = app.closed(&id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["result"]["after"]["by"], "ada");
    assert_eq!(execution["result"]["after"]["note"], "the receiver is back");

    let nothing = ask(app.post(&path(&id, "/retry")), StatusCode::OK).await;
    assert_eq!(nothing["changed"], false);
    assert_eq!(nothing["status"], "Completed");
    assert_eq!(
        nothing["message"],
        "it was already retried by ada; the latest run is done"
    );
    listed(&app, "", 0).await;
    ask(app.get(&path(&id, "")), StatusCode::NOT_FOUND).await;

    // What was done was not done again; what failed went out under its key each time.
    assert_eq!(good.requests().len(), 1);
    let requests = bad.requests();
    assert_eq!(requests.len(), 3 + 3 + 1);
    for request in requests {
        assert_eq!(request.header("webhook-id"), Some("both//shop/1/second/0"));
    }
    // The event that comes again is known.
    assert_eq!(app.accept(&order("1", 7)).await["duplicate"], true);
    app.stop().await;
}

async fn a_retry_with_another_payload(engine: TestEngine) {
    let good = Receiver::start().await;
    let (bad, down) = switched().await;
    let app = App::start(&engine, &config(&good, &bad)).await;
    let id = fail(&app, &order("1", 7)).await;
    down.store(false, Ordering::SeqCst);
    let edit = json!({ "data": { "total": 8 } });
    ask(app.post(&path(&id, "/retry")).json(&edit), StatusCode::ACCEPTED).await;
    let execution = app.closed(&id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    let last = bad.requests().pop().unwrap();
    assert_eq!(last.json(), 8);
    // It is another delivery, which a receiver that knows the first must not leave out.
    assert_ne!(last.header("webhook-id"), Some("both//shop/1/second/0"));
    assert_eq!(good.requests().len(), 1, "what was done is done");

    // All of it, on request.
    down.store(true, Ordering::SeqCst);
    let id = fail(&app, &order("2", 7)).await;
    down.store(false, Ordering::SeqCst);
    let mut event = order("2", 9);
    event["type"] = "order.changed".into();
    let edit = json!({ "event": event, "all_actions": true });
    ask(app.post(&path(&id, "/retry")).json(&edit), StatusCode::ACCEPTED).await;
    let execution = app.closed(&id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["event_type"], "order.changed");
    let requests = good.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].json()["type"], "order.changed");
    app.stop().await;
}

async fn a_retry_on_the_route_of_now(engine: TestEngine) {
    let good = Receiver::start().await;
    let (bad, down) = switched().await;
    let broken = config(&good, &bad).replace(".data.total", ".data.total | error");
    let app = App::start(&engine, &broken).await;
    let id = fail(&app, &order("1", 7)).await;
    app.stop().await;

    down.store(false, Ordering::SeqCst);
    let app = App::start(&engine, &config(&good, &bad)).await;
    // As it was, it fails the same way.
    ask(app.post(&path(&id, "/retry")), StatusCode::ACCEPTED).await;
    assert_eq!(app.closed(&id).await["status"], "Failed");
    let now = json!({ "current_route": true });
    ask(app.post(&path(&id, "/retry")).json(&now), StatusCode::ACCEPTED).await;
    let execution = app.closed(&id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(bad.requests().pop().unwrap().json(), 7);
    app.stop().await;
}

async fn skipped_and_resolved(engine: TestEngine) {
    let good = Receiver::start().await;
    let (bad, _down) = switched().await;
    let app = App::start(&engine, &config(&good, &bad)).await;
    let ids = [fail(&app, &order("1", 1)).await, fail(&app, &order("2", 2)).await];
    listed(&app, "", 2).await;
    let tried = bad.requests().len();
    let skip = json!({ "by": "ada", "note": "a test order" });
    ask(
        app.post(&path(&ids[0], "/skip")).json(&skip),
        StatusCode::ACCEPTED,
    )
    .await;
    let problem = ask(app.post(&path(&ids[1], "/resolve")), StatusCode::BAD_REQUEST).await;
    assert!(problem["detail"].as_str().unwrap().contains("note"), "{problem}");
    let resolve = json!({ "note": "booked by hand" });
    ask(
        app.post(&path(&ids[1], "/resolve")).json(&resolve),
        StatusCode::ACCEPTED,
    )
    .await;
    for (id, decision) in ids.iter().zip(["skip", "resolve"]) {
        let execution = app.closed(id).await;
        assert_eq!(execution["status"], "Completed", "{execution:#}");
        assert_eq!(execution["result"]["after"]["decision"], decision);
        assert_eq!(execution["actions"], json!([]));
    }
    listed(&app, "", 0).await;
    assert_eq!(bad.requests().len(), tried, "nothing ran");
    let nothing = ask(app.post(&path(&ids[0], "/retry")), StatusCode::OK).await;
    assert_eq!(
        nothing["message"],
        "it was already skipped by ada; the latest run is done"
    );
    app.stop().await;
}

/// Fails until it is told not to.
#[derive(Clone)]
struct Moody(Arc<AtomicBool>);

impl Consumer for Moody {
    async fn process(&self, _event: &Event) -> Result<(), ConsumerError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(ConsumerError::permanent("not today"));
        }
        Ok(())
    }
}

/// Fails on small totals.
#[workflow]
#[derive(Default)]
struct Picky;

#[workflow_methods]
impl Picky {
    #[run(name = "Picky")]
    async fn run(_ctx: &mut WorkflowContext<Self>, event: Event) -> WorkflowResult<u64> {
        let event = serde_json::to_value(&event).unwrap();
        match event["data"]["total"].as_u64() {
            Some(total) if total >= 100 => Ok(total),
            _ => Err(ApplicationFailure::non_retryable("too small").into()),
        }
    }
}

async fn consumers_and_workflows(engine: TestEngine) {
    const CONFIG: &str = r#"
        [[routes]]
        name = "consumed"
        on = "order.*"
        consumer = "moody"

        [[routes]]
        name = "worked"
        on = "order.*"
        workflow = "Picky"
        "#;
    let down = Arc::new(AtomicBool::new(true));
    let app = App::start_with(&engine, CONFIG, |builder| {
        builder.consumer("moody", Moody(down.clone())).workflow::<Picky>()
    })
    .await;
    app.accept(&order("1", 1)).await;
    for id in ["consumed//shop/1", "worked//shop/1"] {
        assert_eq!(app.closed(id).await["status"], "Failed");
    }
    listed(&app, "", 2).await;
    let letter = ask(app.get(&path("consumed//shop/1", "")), StatusCode::OK).await;
    assert_eq!(letter["failed"][0]["action"], "moody");
    assert_eq!(letter["failed"][0]["attempts"], 1);
    let letter = ask(app.get(&path("worked//shop/1", "")), StatusCode::OK).await;
    assert_eq!(letter["failed"][0]["action"], "Picky");
    assert!(
        letter["failed"][0]["error"]
            .as_str()
            .unwrap()
            .contains("too small"),
        "{letter:#}"
    );

    down.store(false, Ordering::SeqCst);
    ask(
        app.post(&path("consumed//shop/1", "/retry")),
        StatusCode::ACCEPTED,
    )
    .await;
    assert_eq!(app.closed("consumed//shop/1").await["status"], "Completed");
    let edit = json!({ "data": { "total": 100 } });
    ask(
        app.post(&path("worked//shop/1", "/retry")).json(&edit),
        StatusCode::ACCEPTED,
    )
    .await;
    let execution = app.closed("worked//shop/1").await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(
        (&execution["type"], &execution["result"]),
        (&json!("Picky"), &json!(100))
    );

    app.accept(&order("2", 2)).await;
    assert_eq!(app.closed("worked//shop/2").await["status"], "Failed");
    ask(app.post(&path("worked//shop/2", "/skip")), StatusCode::ACCEPTED).await;
    assert_eq!(app.closed("worked//shop/2").await["status"], "Completed");
    listed(&app, "", 0).await;
    app.stop().await;
}

async fn bad_requests(engine: TestEngine) {
    let good = Receiver::start().await;
    let (bad, _down) = switched().await;
    let app = App::start(&engine, &config(&good, &bad)).await;
    let id = fail(&app, &order("1", 1)).await;
    for (body, status, says) in [
        (
            json!({ "event": { "id": "1" } }),
            StatusCode::UNPROCESSABLE_ENTITY,
            "not a CloudEvent",
        ),
        (
            json!({ "event": order("2", 1) }),
            StatusCode::UNPROCESSABLE_ENTITY,
            "the id \"2\"",
        ),
        (
            json!({ "event": order("1", 1), "data": 1 }),
            StatusCode::UNPROCESSABLE_ENTITY,
            "not both",
        ),
        (
            json!({ "evnt": 1 }),
            StatusCode::BAD_REQUEST,
            "unknown field `evnt`",
        ),
        (json!([]), StatusCode::BAD_REQUEST, "body"),
    ] {
        let problem = ask(app.post(&path(&id, "/retry")).json(&body), status).await;
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    ask(
        app.post(&path("both//shop/none", "/retry")),
        StatusCode::NOT_FOUND,
    )
    .await;
    for (query, says) in [
        ("?since=yesterday", "since"),
        ("?page_size=0", "page_size"),
        ("?page_token=%25", "page_token"),
        ("?rout=a", "rout"),
        ("?query=Nonsense%20=%201", "Nonsense"),
    ] {
        let problem = ask(app.get(&format!("/dead-letters{query}")), StatusCode::BAD_REQUEST).await;
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    assert_eq!(app.execution(&id).await["status"], "Failed", "nothing came of it");
    app.stop().await;
}

async fn told_of(engine: TestEngine) {
    let good = Receiver::start().await;
    let (bad, _down) = switched().await;
    let (ops, ops_down) = switched().await;
    let alert = format!(
        "[dead_letters]\nalert = {{ url = \"{}\", allow_private = true }}\n{}",
        ops.url("/ops"),
        config(&good, &bad)
    );
    let app = App::start(&engine, &alert).await;
    // Nobody hears of it yet, but it is there to be seen.
    let id = fail(&app, &order("1", 1)).await;
    listed(&app, "", 1).await;
    ops.wait_for(1, DEADLINE).await;
    ops_down.store(false, Ordering::SeqCst);
    let heard = ops.wait_for(2, DEADLINE).await.pop().unwrap();
    assert_eq!(heard.status, StatusCode::OK);
    let told = heard.json();
    assert_eq!(told["type"], "dead_letter");
    let letter = &told["dead_letter"];
    assert_eq!((&letter["id"], &letter["route"]), (&json!(id), &json!("both")));
    assert_eq!(letter["event"]["id"], "1");
    assert_eq!(letter["failed"][0]["action"], "second");
    assert_eq!(
        (&letter["failures"], &letter["reminder"]),
        (&json!(1), &json!(false))
    );
    app.stop().await;
}

#[workflow]
#[derive(Default)]
struct Stuck;

#[workflow_methods]
impl Stuck {
    #[run(name = "Stuck")]
    async fn run(ctx: &mut WorkflowContext<Self>, _event: Event) -> WorkflowResult<()> {
        ctx.wait_condition(|_| false).await?;
        Ok(())
    }
}

async fn workflows_have_deadlines_and_are_told_of(engine: TestEngine) {
    let ops = Receiver::start().await;
    let config = format!(
        r#"
        [dead_letters]
        alert = {{ url = "{}", allow_private = true }}

        [[routes]]
        name = "picked"
        on = "order.*"
        workflow = "Picky"

        [[routes]]
        name = "stuck"
        on = "order.*"
        workflow = "Stuck"
        deadline = "3s"
        "#,
        ops.url("/ops")
    );
    let app = App::start_with(&engine, &config, |builder| {
        builder.workflow::<Picky>().workflow::<Stuck>()
    })
    .await;
    app.accept(&order("1", 5)).await;
    let late = app.closed("stuck//shop/1").await;
    assert_eq!(late["status"], "Failed", "{late:#}");
    assert_eq!(
        late["failure"]["message"],
        "1 of 1 actions failed: Stuck: not done within the deadline of 3s"
    );
    assert_ne!(
        app.closed("run:stuck//shop/1").await["status"],
        "Completed",
        "it goes with the execution that started it"
    );
    let picked = app.closed("picked//shop/1").await;
    assert_eq!(picked["status"], "Failed", "{picked:#}");
    let told = ops.wait_for(2, DEADLINE).await;
    let mut told: Vec<_> = told
        .iter()
        .map(|request| {
            let letter = &request.json()["dead_letter"];
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            (text(&letter["id"]), text(&letter["failed"][0]["action"]))
        })
        .collect();
    told.sort();
    let expected = [("picked//shop/1", "Picky"), ("stuck//shop/1", "Stuck")];
    assert_eq!(
        told,
        expected.map(|(id, action)| (id.to_owned(), action.to_owned()))
    );

    // Tried again with data that it takes.
    let retried = app.post(&path("picked//shop/1", "/retry"));
    ask(
        retried.json(&json!({"data": {"total": 200}})),
        StatusCode::ACCEPTED,
    )
    .await;
    app.until("picked//shop/1", |execution| execution["status"] == "Completed")
        .await;
    app.stop().await;
}

async fn kept_on_until_somebody_decides(engine: TestEngine) {
    let good = Receiver::start().await;
    let (bad, _down) = switched().await;
    let ops = Receiver::start().await;
    let kept = format!(
        "[dead_letters]\nrenew_after = \"2s\"\nalert = {{ sink = \"ops\" }}\n{}",
        config(&good, &bad).replace(
            "[sinks]",
            &format!(
                "[sinks]\nops = {{ webhook = {{ url = \"{}\", allow_private = true }} }}",
                ops.url("/ops")
            )
        )
    );
    let app = App::start(&engine, &kept).await;
    let id = fail(&app, &order("1", 1)).await;
    let first = ask(app.get(&path(&id, "")), StatusCode::OK).await;
    // Told of when it failed, and each time that it was kept on.
    let told = ops.wait_for(3, DEADLINE).await;
    let reminders: Vec<_> = told
        .iter()
        .map(|r| r.json()["dead_letter"]["reminder"].clone())
        .collect();
    assert_eq!(reminders[..3], [json!(false), json!(true), json!(true)]);
    assert_eq!(
        told[2].json()["dead_letter"]["failed"][0]["attempts"],
        3,
        "{}",
        told[2].json()
    );

    let letters = listed(&app, "", 1).await;
    assert_ne!(letters[0]["run_id"], first["run_id"]);
    for same in ["failed", "done", "failures", "failed_at", "error"] {
        assert_eq!(letters[0][same], first[same], "{same}");
    }
    assert_eq!(bad.requests().len(), 3, "nothing ran meanwhile");
    // It may be kept on again between a look and a decision.
    ask(app.post(&path(&id, "/skip")), StatusCode::ACCEPTED).await;
    let execution = app.closed(&id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    listed(&app, "", 0).await;
    app.stop().await;
}

async fn many_at_once(engine: TestEngine) {
    const COUNT: u32 = 200;
    let good = Receiver::start().await;
    let (bad, down) = switched().await;
    let one_try = config(&good, &bad).replace("max_attempts = 3", "max_attempts = 1");
    let app = App::start(&engine, &one_try).await;
    let events: Vec<_> = (0..COUNT).map(|n| order(&n.to_string(), n)).collect();
    for batch in events.chunks(50) {
        json_of(app.send_batch(&json!(batch)).await, StatusCode::ACCEPTED).await;
    }
    for n in 0..COUNT {
        app.closed(&format!("both//shop/{n}")).await;
    }
    listed(&app, "?page_size=500", COUNT as usize).await;
    down.store(false, Ordering::SeqCst);
    // One of them somebody has dealt with, and one stays as it is.
    ask(app.post(&path("both//shop/7", "/skip")), StatusCode::ACCEPTED).await;
    let bulk = json!({
        "id": "again", "action": "retry", "by": "ada", "filter": { "query": "WorkflowId != 'both//shop/8'" },
    });
    let begun = ask(app.post("/dead-letters/bulk").json(&bulk), StatusCode::ACCEPTED).await;
    assert_eq!(begun["changed"], true);
    let again = ask(app.post("/dead-letters/bulk").json(&bulk), StatusCode::OK).await;
    assert_eq!(again["changed"], false);
    let deadline = Instant::now() + DEADLINE;
    let done = loop {
        let bulk = ask(app.get("/dead-letters/bulk/again"), StatusCode::OK).await;
        if bulk["state"] == "done" {
            break bulk;
        }
        assert!(Instant::now() < deadline, "{bulk:#}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(
        done["progress"],
        json!({ "decided": COUNT - 2, "already": 0, "failed": 0 })
    );
    for n in (0..COUNT).filter(|n| *n != 8) {
        let execution = app.closed(&format!("both//shop/{n}")).await;
        assert_eq!(execution["status"], "Completed", "{execution:#}");
    }
    let left = listed(&app, "", 1).await;
    assert_eq!(left[0]["id"], "both//shop/8");
    assert_eq!(bad.requests().len() as u32, COUNT + COUNT - 2);
    app.stop().await;
}
