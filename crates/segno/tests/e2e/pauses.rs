//! Pausing and resuming routes and sinks.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::{Method, StatusCode, Url};
use segno::{Consumer, ConsumerError, Event};
use segno_test_support::Receiver;
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowCancelOptions, WorkflowFetchHistoryOptions};
use temporalio_common::protos::temporal::api::{enums::v1::EventType, history::v1::HistoryEvent};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};
use tokio::time::{Duration, Instant, sleep};

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution, order};

on_every_engine!(
    a_paused_sink_keeps_its_deliveries_through_a_restart,
    a_paused_route_takes_events_in,
    what_was_ordered_runs_in_order,
    a_pause_does_not_count_for_the_deadline,
    one_that_waits_can_be_cancelled,
    what_is_not_there_is_not_paused,
);

async fn call(method: Method, url: &str) -> (StatusCode, Value) {
    let answer = reqwest::Client::new()
        .request(method, url)
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    (status, answer.json().await.expect("JSON"))
}

/// Pauses or resumes; returns whether that changed something.
async fn change(app: &App, path: &str) -> bool {
    let (status, answer) = call(Method::POST, &app.url(path)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["changed"].as_bool().expect("whether it was changed")
}

/// Names of what is paused, of `/routes` or `/sinks`.
async fn paused(app: &App, of: &str) -> Vec<String> {
    let answer = json_of(
        app.get(&format!("/{of}")).send().await.expect("an answer"),
        StatusCode::OK,
    )
    .await;
    let listed = answer[of].as_array().expect("a list");
    let paused = listed.iter().filter(|one| one["paused"].is_string());
    paused
        .map(|one| one["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Waits until this is what the execution waits for.
async fn waits(app: &App, workflow_id: &str, what: &str) {
    app.until(workflow_id, |execution| execution["waits"] == what)
        .await;
}

/// Two actions to two sinks, with a single attempt each: a pause uses up none.
fn two_sinks(receiver: &Receiver) -> String {
    two_sinks_with(receiver, ", retry = { max_attempts = 1 }")
}

/// The same with this at the end of both.
fn two_sinks_with(receiver: &Receiver, retry: &str) -> String {
    format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}
        other = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "*"
        actions = [
            {{ name = "tell", to = "notify"{retry} }},
            {{ name = "also", to = "other"{retry} }},
        ]
        "#,
        receiver.url("/notify"),
        receiver.url("/other"),
    )
}

fn requests(receiver: &Receiver, path: &str) -> usize {
    let all = receiver.requests();
    all.iter().filter(|request| request.uri.path() == path).count()
}

const UNTIL_RESUMED: &str = "it waits until the sink \"notify\" is resumed";

async fn a_paused_sink_keeps_its_deliveries_through_a_restart(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let config = two_sinks(&receiver);
    let app = App::start(&engine, &config).await;
    assert!(change(&app, "/sinks/notify/pause").await);
    assert!(!change(&app, "/sinks/notify/pause").await, "it is");
    let mut executions = Vec::new();
    for n in 0..3 {
        executions.push(only_execution(&app.accept(&order(&n.to_string(), n)).await).to_owned());
    }
    for id in &executions {
        waits(&app, id, UNTIL_RESUMED).await;
    }
    app.stop().await;

    let app = App::start(&engine, &config).await;
    assert_eq!(paused(&app, "sinks").await, ["notify"]);
    assert!(paused(&app, "routes").await.is_empty());
    executions.push(only_execution(&app.accept(&order("3", 3)).await).to_owned());
    waits(&app, &executions[3], UNTIL_RESUMED).await;
    let deadline = Instant::now() + DEADLINE;
    while requests(&receiver, "/other") < 4 {
        assert!(Instant::now() < deadline, "the other action waits for nothing");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(requests(&receiver, "/notify"), 0);
    let story = json_of(
        app.get("/events/%2Fshop/3").send().await.expect("an answer"),
        StatusCode::OK,
    )
    .await;
    assert_eq!(story["executions"][0]["waits"], UNTIL_RESUMED, "{story:#}");
    assert_eq!(story["executions"][0]["state"], UNTIL_RESUMED, "{story:#}");

    assert!(change(&app, "/sinks/notify/resume").await);
    assert!(!change(&app, "/sinks/notify/resume").await);
    for id in &executions {
        let execution = app.closed(id).await;
        assert_eq!(execution["status"], "Completed", "{execution:#}");
        let actions = execution["actions"].as_array().expect("a list");
        assert_eq!(actions.len(), 2, "a pause is no failed action: {execution:#}");
        assert!(actions.iter().all(|action| action["attempts"] == 1));
    }
    assert_eq!(requests(&receiver, "/notify"), 4);
    assert_eq!(requests(&receiver, "/other"), 4);
    assert!(paused(&app, "sinks").await.is_empty());
    app.stop().await;
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Consumer for Seen {
    async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
        self.0.lock().push(event.id.clone());
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct Echo;

#[workflow_methods]
impl Echo {
    #[run(name = "Echo")]
    async fn run(_ctx: &mut WorkflowContext<Self>, event: Event) -> WorkflowResult<String> {
        Ok(event.id)
    }
}

const ROUTES: &str = r#"
    [[routes]]
    name = "consumed"
    on = "order.*"
    consumer = "seen"

    [[routes]]
    name = "echoed"
    on = "order.*"
    workflow = "Echo"
    "#;

async fn start(engine: &TestEngine, config: &str, seen: &Seen) -> App {
    App::start_with(engine, config, |builder| {
        builder.consumer("seen", seen.clone()).workflow::<Echo>()
    })
    .await
}

async fn a_paused_route_takes_events_in(engine: TestEngine) {
    let seen = Seen::default();
    let app = start(&engine, ROUTES, &seen).await;
    assert!(change(&app, "/routes/consumed/pause").await);
    app.accept(&order("1", 1)).await;
    let until = |route: &str| format!("it waits until the route {route:?} is resumed");
    waits(&app, "consumed//shop/1", &until("consumed")).await;
    let other = app.closed("echoed//shop/1").await;
    assert_eq!(other["status"], "Completed", "the other route goes on");
    assert_eq!(other["result"], "1");

    assert!(change(&app, "/routes/echoed/pause").await);
    app.accept(&order("2", 1)).await;
    waits(&app, "echoed//shop/2", &until("echoed")).await;
    waits(&app, "consumed//shop/2", &until("consumed")).await;
    assert!(seen.0.lock().is_empty());
    assert_eq!(paused(&app, "routes").await, ["consumed", "echoed"]);

    assert!(change(&app, "/routes/consumed/resume").await);
    for n in ["1", "2"] {
        let execution = app.closed(&format!("consumed//shop/{n}")).await;
        assert_eq!(execution["status"], "Completed");
    }
    assert_eq!(app.execution("echoed//shop/2").await["status"], "Running");
    assert!(change(&app, "/routes/echoed/resume").await);
    assert_eq!(app.closed("echoed//shop/2").await["status"], "Completed");
    assert_eq!(app.closed("run:echoed//shop/2").await["result"], "2");
    app.stop().await;
}

async fn what_was_ordered_runs_in_order(engine: TestEngine) {
    let config = "[[routes]]\nname = \"r\"\non = \"*\"\nconsumer = \"seen\"\norder = { by = \"subject\" }\n";
    let seen = Seen::default();
    let app = start(&engine, config, &seen).await;
    assert!(change(&app, "/routes/r/pause").await);
    for n in 1..=5 {
        app.accept(&order(&n.to_string(), 1)).await;
    }
    waits(&app, "r//shop/1", "it waits until the route \"r\" is resumed").await;
    waits(
        &app,
        "r//shop/2",
        "it waits for its turn, behind r//shop/1 (key \"customer-7\")",
    )
    .await;
    assert!(change(&app, "/routes/r/resume").await);
    for n in 1..=5 {
        assert_eq!(app.closed(&format!("r//shop/{n}")).await["status"], "Completed");
    }
    assert_eq!(*seen.0.lock(), ["1", "2", "3", "4", "5"]);
    app.stop().await;
}

async fn a_pause_does_not_count_for_the_deadline(engine: TestEngine) {
    let config = "[[routes]]\nname = \"r\"\non = \"*\"\nconsumer = \"seen\"\ndeadline = \"2s\"\n";
    let seen = Seen::default();
    let app = start(&engine, config, &seen).await;
    assert!(change(&app, "/routes/r/pause").await);
    let id = only_execution(&app.accept(&order("1", 1)).await).to_owned();
    waits(&app, &id, "it waits until the route \"r\" is resumed").await;
    // Its timer rings meanwhile.
    let handle = app.client().get_workflow_handle::<UntypedWorkflow>(&id);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
        let history = history.into_events().await.expect("the history");
        let fired = |event: &HistoryEvent| event.event_type() == EventType::TimerFired;
        if history.iter().any(fired) {
            break;
        }
        assert!(Instant::now() < deadline, "the deadline does not come");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(app.execution(&id).await["status"], "Running");
    assert!(change(&app, "/routes/r/resume").await);
    assert_eq!(app.closed(&id).await["status"], "Completed");
    app.stop().await;
}

/// Two processes on one engine: what is paused by the one is paused for the other as soon as it has heard of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_hears_of_it() {
    let engine = TestEngine::temporal().await;
    let receiver = Receiver::start().await;
    let config = two_sinks(&receiver);
    let one = App::start(&engine, &config).await;
    let two = App::start(&engine, &config).await;
    assert!(change(&one, "/sinks/notify/pause").await);
    one.stop().await;
    // Until it has heard, the other delivers.
    let deadline = Instant::now() + DEADLINE;
    let mut n = 0;
    loop {
        n += 1;
        let id = only_execution(&two.accept(&order(&n.to_string(), n)).await).to_owned();
        let execution = two
            .until(&id, |e| e["status"] != "Running" || e["waits"].is_string())
            .await;
        if execution["waits"] == UNTIL_RESUMED {
            break;
        }
        assert!(Instant::now() < deadline, "it never hears of it: {execution:#}");
    }
    let delivered = requests(&receiver, "/notify");
    let id = only_execution(&two.accept(&order("last", 1)).await).to_owned();
    waits(&two, &id, UNTIL_RESUMED).await;
    assert_eq!(requests(&receiver, "/notify"), delivered);

    let three = App::start(&engine, &config).await;
    assert!(change(&three, "/sinks/notify/resume").await);
    assert_eq!(two.closed(&id).await["status"], "Completed");
    three.stop().await;
    two.stop().await;
}

async fn one_that_waits_can_be_cancelled(engine: TestEngine) {
    let seen = Seen::default();
    let app = start(&engine, ROUTES, &seen).await;
    assert!(change(&app, "/routes/consumed/pause").await);
    app.accept(&order("1", 1)).await;
    let id = "consumed//shop/1";
    waits(&app, id, "it waits until the route \"consumed\" is resumed").await;
    let handle = app.client().get_workflow_handle::<UntypedWorkflow>(id);
    handle
        .cancel(WorkflowCancelOptions::default())
        .await
        .expect("it is cancelled");
    assert_eq!(app.closed(id).await["status"], "Canceled");
    assert!(seen.0.lock().is_empty());
    app.stop().await;
}

async fn what_is_not_there_is_not_paused(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &two_sinks(&receiver)).await;
    for path in ["/routes/other/pause", "/sinks/all/pause"] {
        let (status, problem) = call(Method::POST, &app.url(path)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    }
    assert!(!change(&app, "/routes/all/resume").await);
    assert!(!change(&app, "/sinks/gone/resume").await);
    let (_, routes) = call(Method::GET, &app.url("/routes")).await;
    assert_eq!(routes, json!({"routes": [{"name": "all", "configured": true}]}));
    let (_, sinks) = call(Method::GET, &app.url("/sinks")).await;
    let configured = |name: &str| json!({"name": name, "configured": true});
    assert_eq!(
        sinks,
        json!({"sinks": [configured("notify"), configured("other")]})
    );
    app.stop().await;
}

/// The process is killed while a sink is paused, and again as soon as it was resumed: nothing is lost, and nothing is tried
/// before.
#[cfg(feature = "embedded")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_survive_kills() {
    use crate::support::Launch;

    const EVENTS: usize = 20;
    let receiver = Receiver::start().await;
    let engine = TestEngine::embedded();
    // A kill in the middle of an attempt uses it up.
    let mut launch = Launch::up(&engine, &two_sinks_with(&receiver, ""));
    let mut program = launch.start().await;
    let http = reqwest::Client::new();
    let (status, answer) = call(Method::POST, &program.url("/sinks/notify/pause")).await;
    assert_eq!((status, &answer["changed"]), (StatusCode::OK, &json!(true)));
    program.kill().await;

    program = launch.start().await;
    let mut ids = Vec::new();
    for n in 0..EVENTS {
        let sent = http
            .post(program.url("/events"))
            .header("content-type", "application/cloudevents+json")
            .body(order(&n.to_string(), 1).to_string())
            .send()
            .await
            .expect("an answer");
        let answer = json_of(sent, StatusCode::ACCEPTED).await;
        ids.push(only_execution(&answer["events"][0]).to_owned());
        if n == EVENTS / 2 {
            program.kill().await;
            program = launch.start().await;
        }
    }
    let mut query = Url::parse(&program.url("/executions")).expect("a URL");
    query
        .query_pairs_mut()
        .append_pair("query", "SegnoPaused = 'sink/notify'");
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (_, page) = call(Method::GET, query.as_str()).await;
        if page["executions"].as_array().expect("a list").len() == EVENTS {
            break;
        }
        assert!(Instant::now() < deadline, "{page:#}\n{}", program.log());
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(requests(&receiver, "/notify"), 0);

    let (status, answer) = call(Method::POST, &program.url("/sinks/notify/resume")).await;
    assert_eq!((status, &answer["changed"]), (StatusCode::OK, &json!(true)));
    program.kill().await;
    let program = launch.start().await;
    for id in &ids {
        assert_eq!(program.closed(id).await["status"], "Completed", "{id}");
    }
    let told: std::collections::BTreeSet<String> = receiver
        .requests()
        .iter()
        .filter(|request| request.uri.path() == "/notify")
        .map(|request| request.json()["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(told.len(), EVENTS);
    program.kill().await;
}
