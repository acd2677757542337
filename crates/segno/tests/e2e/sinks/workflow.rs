use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions, WorkflowStartOptions};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{SyncWorkflowContext, WorkflowContext, WorkflowResult};

use super::{TestEngine, completed, fails, route};
use crate::support::{App, Launch, only_execution, order};

on_every_engine!(
    started_once,
    signalled_or_started,
    signalled_once_by_whatever_is_repeated,
    signalled_once_by_what_was_killed,
);

/// Collects what it is signalled until something is the last of it.
#[workflow]
#[derive(Default)]
struct Basket {
    items: Vec<Value>,
}

#[workflow_methods]
impl Basket {
    #[run(name = "Basket")]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<Value>> {
        let is_full = |basket: &Self| basket.items.iter().any(|item| item["last"] == true);
        ctx.wait_condition(is_full).await?;
        Ok(ctx.state(|basket| basket.items.iter().map(|item| item["item"].clone()).collect()))
    }

    #[signal(name = "add")]
    fn add(&mut self, _: &mut SyncWorkflowContext<Self>, item: Value) {
        self.items.push(item);
    }
}

/// Answers with its input.
#[workflow]
#[derive(Default)]
struct Echo;

#[workflow_methods]
impl Echo {
    #[run(name = "Echo")]
    async fn run(_: &mut WorkflowContext<Self>, input: Value) -> WorkflowResult<Value> {
        Ok(input)
    }
}

async fn start(engine: &TestEngine, options: &str, transform: &str) -> App {
    let config = format!("[sinks.target.workflow]\n{options}\n{}", route(transform));
    App::start_with(engine, &config, |builder| {
        builder.workflow::<Basket>().workflow::<Echo>()
    })
    .await
}

async fn started_once(engine: TestEngine) {
    let app = start(
        &engine,
        "type = \"Echo\"\nid = \"{{ payload.id or '' }}\"",
        "if .id == \"none\" then {} elif .data.total > 9 then {id: \"large\", text: (\"x\" * .data.total)} \
        else {id: \"echo\", of: .data} end",
    )
    .await;
    completed(&app, only_execution(&app.accept(&order("1", 5)).await)).await;
    let echo = app.closed("echo").await;
    assert_eq!(echo["type"], "Echo");
    assert_eq!(
        echo["result"],
        json!({ "id": "echo", "of": { "id": "1", "total": 5 } })
    );
    // The same id again: it is found, and counts.
    completed(&app, only_execution(&app.accept(&order("2", 5)).await)).await;
    assert_eq!(app.closed("echo").await["run_id"], echo["run_id"]);
    // What it never takes: no id, more than a payload may have, more than a request may have.
    for (event, says) in [
        (order("none", 5), "the `id` of the workflow is empty"),
        (order("3", 3 << 20), "the engine answered"),
        (order("6", 6 << 20), "the engine answered"),
    ] {
        let (message, attempts) = fails(&app, &event).await;
        assert!(message.contains(says), "{message}");
        assert_eq!(attempts, 1, "{message}");
    }
    app.stop().await;
}

async fn signalled_or_started(engine: TestEngine) {
    let app = start(
        &engine,
        "type = \"Basket\"\nid = \"basket-{{ event.subject }}\"\nsignal = \"add\"",
        "{item: .id, last: (.data.total == 0)}",
    )
    .await;
    let add = async |id, total| {
        completed(&app, only_execution(&app.accept(&order(id, total)).await)).await;
    };
    add("a", 1).await;
    add("b", 1).await;
    add("c", 0).await;
    let basket = app.closed("basket-customer-7").await;
    assert_eq!(basket["type"], "Basket");
    assert_eq!(basket["result"], json!(["a", "b", "c"]));
    // The next signal begins it anew.
    add("d", 0).await;
    let again = app
        .until("basket-customer-7", |next| {
            next["run_id"] != basket["run_id"] && next["status"] != "Running"
        })
        .await;
    assert_eq!(again["result"], json!(["d"]));
    app.stop().await;
}

/// An action of three payloads fails at its last, and is done again as a whole: its first goes to a workflow that still
/// runs, its second to one that it has ended.
async fn signalled_once_by_whatever_is_repeated(engine: TestEngine) {
    let config = r#"
        [sinks]
        new = { workflow = { type = "Basket", id = "{{ payload.basket }}", signal = "add" } }
        old = { workflow = { id = "{{ payload.basket }}", signal = "add" } }

        [[routes]]
        name = "new"
        on = "order.*"
        actions = [
            { name = "tell", to = "new", transform = '{item: .id, basket: "new-open"}, {item: .id, basket: "new-\(.id)", last: true}, {item: .id, basket: (if .data.total == 1 then "" else "new-open" end), last: true}' },
        ]

        [[routes]]
        name = "old"
        on = "order.*"
        actions = [
            { name = "tell", to = "old", transform = '{item: .id, basket: "open"}, {item: .id, basket: .id, last: true}, {item: .id, basket: "late", last: true}', retry = { initial = "10ms", max_attempts = 2 } },
        ]
        "#;
    let app = App::start_with(&engine, config, |builder| builder.workflow::<Basket>()).await;
    let begin = async |id: &str| {
        let options = WorkflowStartOptions::new("segno", id).build();
        app.client()
            .start_workflow(Basket::run, (), options)
            .await
            .unwrap();
    };
    begin("open").await;
    begin("a").await;
    app.accept(&order("a", 1)).await;
    // What has no id never will; what is not there may come, and is tried again.
    for (id, says, attempts) in [
        ("new//shop/a", "the `id` of the workflow is empty", 1),
        ("old//shop/a", "not found", 2),
    ] {
        let execution = app.closed(id).await;
        assert_eq!(execution["status"], "Failed", "{execution:#}");
        let message = execution["failure"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
        assert_eq!(execution["actions"][0]["attempts"], attempts, "{execution:#}");
    }
    let ended = [app.closed("a").await, app.closed("new-a").await];
    begin("late").await;
    for (id, status) in [("new//shop/a", "Failed"), ("old//shop/a", "Completed")] {
        let first = app.execution(id).await;
        let path: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let retry = app
            .post(&format!("/dead-letters/{path}/retry"))
            .send()
            .await
            .unwrap();
        assert!(retry.status().is_success(), "{retry:?}");
        let again = app
            .until(id, |next| {
                next["run_id"] != first["run_id"] && next["status"] != "Running"
            })
            .await;
        assert_eq!(again["status"], status, "{again:#}");
    }
    assert_eq!(app.closed("late").await["result"], json!(["a"]));
    for basket in ended {
        assert_eq!(basket["result"], json!(["a"]));
        let now = app.execution(basket["workflow_id"].as_str().unwrap()).await;
        assert_eq!(now["run_id"], basket["run_id"], "no run has followed it");
    }
    // What was open goes on, and has had the first order once.
    begin("b").await;
    app.accept(&order("b", 2)).await;
    completed(&app, "new//shop/b").await;
    assert_eq!(app.closed("new-open").await["result"], json!(["a", "b", "b"]));
    app.closed("b").await;
    assert_eq!(signals(&app, "open").await, ["a", "b"]);
    app.stop().await;
}

/// The items that a workflow was signalled, in order.
async fn signals(app: &App, workflow_id: &str) -> Vec<String> {
    let handle = app.client().get_workflow_handle::<UntypedWorkflow>(workflow_id);
    let history = handle
        .fetch_history(WorkflowFetchHistoryOptions::default())
        .into_events()
        .await
        .unwrap();
    let items = history.iter().filter_map(|event| match &event.attributes {
        Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal)) => {
            let payload = &signal.input.as_ref().unwrap().payloads[0];
            let item: Value = serde_json::from_slice(&payload.data).unwrap();
            Some(item["item"].as_str().unwrap().to_owned())
        }
        _ => None,
    });
    items.collect()
}

async fn signalled_once_by_what_was_killed(engine: TestEngine) {
    const ORDERS: u32 = 60;
    // Nobody works on that queue: the signals stay as they came.
    let config = format!(
        "[sinks.target.workflow]\ntype = \"Basket\"\nid = \"basket-{{{{ payload.basket }}}}\"\nsignal = \"add\"\n\
        task_queue = \"baskets\"\n{}",
        route("{item: .id, basket: (.data.total % 3)}, {item: \"\\(.id)-again\", basket: (.data.total % 3)}")
    );
    let mut launch = Launch::up(&engine, &config);
    let program = launch.start().await;
    let events: Vec<_> = (0..ORDERS).map(|n| order(&n.to_string(), n)).collect();
    let accepted = reqwest::Client::new()
        .post(program.url("/events"))
        .header("content-type", "application/cloudevents-batch+json")
        .body(Value::from(events).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    program.kill().await;
    let app = App::start(&engine, &config).await;
    let mut expected: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for n in 0..ORDERS {
        completed(&app, &format!("all//shop/{n}")).await;
        let items = expected.entry(n % 3).or_default();
        items.extend([n.to_string(), format!("{n}-again")]);
    }
    for (basket, mut items) in expected {
        let mut found = signals(&app, &format!("basket-{basket}")).await;
        items.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, items);
    }
    app.stop().await;
}
