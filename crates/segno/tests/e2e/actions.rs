//! What a route's actions do: transforms, order by weight, failures side by side.

use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowCancelOptions};

use crate::support::{App, DEADLINE, TestEngine, only_execution, order};

on_every_engine!(
    several_payloads_or_none,
    order_of_weights,
    one_fails_the_others_go_on,
    files,
    several_routes,
    cancelled,
);

async fn several_payloads_or_none(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let config = format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "mentions"
        on = "comment.created"
        actions = [
            {{ name = "each", to = "notify", transform = ".data.mentions[] | {{to: .}}" }},
            {{ name = "never", to = "notify", transform = "empty" }},
            {{ name = "whole", to = "notify" }},
        ]
        "#,
        receiver.url("/hook")
    );
    let app = App::start(&engine, &config).await;
    let event = json!({
        "specversion": "1.0", "id": "c1", "source": "/forum", "type": "comment.created",
        "data": {"mentions": ["ada", "bob", "eve"]},
    });
    let execution = app.closed(only_execution(&app.accept(&event).await)).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    let requests = receiver.requests();
    let with = |name: &str| -> Vec<(String, Value)> {
        let prefix = format!("mentions//forum/c1/{name}/");
        let of_action = requests.iter().filter_map(|request| {
            let n = request.header("webhook-id")?.strip_prefix(&prefix)?;
            Some((n.to_owned(), request.json()))
        });
        of_action.collect()
    };
    let expected =
        [("0", "ada"), ("1", "bob"), ("2", "eve")].map(|(n, to)| (n.to_owned(), json!({"to": to})));
    assert_eq!(with("each"), expected, "in turn");
    assert_eq!(with("never"), []);
    assert_eq!(
        with("whole"),
        [("0".to_owned(), event)],
        "without a transform the event itself"
    );
    let result = execution["result"]["actions"].as_array().unwrap();
    let delivered: Vec<_> = result
        .iter()
        .map(|action| {
            (
                action["action"].as_str().unwrap(),
                action["delivered"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(delivered, [("each", 3), ("never", 0), ("whole", 1)]);
    app.stop().await;
}

async fn order_of_weights(engine: TestEngine) {
    // The first stage's receiver answers late: the second may not begin before.
    let receiver = Receiver::answering(|request| {
        let late = request.uri.path() == "/first";
        Answer::status(200).after(std::time::Duration::from_millis(if late { 500 } else { 0 }))
    })
    .await;
    let url = |path: &str| receiver.url(path);
    let config = format!(
        r#"
        [sinks]
        first = {{ webhook = {{ url = "{}", allow_private = true }} }}
        second = {{ webhook = {{ url = "{}", allow_private = true }} }}
        last = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "staged"
        on = "order.*"
        actions = [
            {{ name = "c", to = "last" }},
            {{ name = "b1", weight = 20, to = "second" }},
            {{ name = "a", weight = 10, to = "first" }},
            {{ name = "b2", weight = 20, to = "second" }},
        ]
        "#,
        url("/first"),
        url("/second"),
        url("/last")
    );
    let app = App::start(&engine, &config).await;
    let accepted = app.accept(&order("1", 1)).await;
    let execution = app.closed(only_execution(&accepted)).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    let requests = receiver.requests();
    let paths: Vec<_> = requests.iter().map(|request| request.uri.path()).collect();
    assert_eq!(paths, ["/first", "/second", "/second", "/last"]);
    let waited = requests[1].at.duration_since(requests[0].at).unwrap();
    assert!(
        waited >= std::time::Duration::from_millis(500),
        "the first stage was over: {waited:?}"
    );
    app.stop().await;
}

async fn one_fails_the_others_go_on(engine: TestEngine) {
    let receiver = Receiver::answering(|request| {
        Answer::status(if request.uri.path() == "/broken" { 500 } else { 200 })
    })
    .await;
    let config = format!(
        r#"
        [sinks]
        broken = {{ webhook = {{ url = "{}", allow_private = true }} }}
        good = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "mixed"
        on = "order.*"
        actions = [
            {{ name = "fails", weight = 10, to = "broken", retry = {{ initial = "10ms", max_attempts = 2 }} }},
            {{ name = "beside", weight = 10, to = "good" }},
            {{ name = "breaks", weight = 20, to = "good", transform = ".data.total | keys" }},
            {{ name = "after", weight = 30, to = "good" }},
        ]
        "#,
        receiver.url("/broken"),
        receiver.url("/good")
    );
    let app = App::start(&engine, &config).await;
    let accepted = app.accept(&order("1", 1)).await;
    let execution = app.closed(only_execution(&accepted)).await;

    // A dead letter: failed, with each failed action and its cause.
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    assert_eq!(execution["failure"]["type"], "DeadLetter");
    let message = execution["failure"]["message"].as_str().unwrap();
    assert!(message.starts_with("2 of 4 actions failed: fails: "), "{message}");
    assert!(message.contains("500"), "{message}");
    assert!(
        message.contains("breaks: the transform fails on this event"),
        "{message}"
    );
    let actions = execution["actions"].as_array().unwrap();
    let states: Vec<_> = actions
        .iter()
        .map(|a| (a["name"].as_str().unwrap(), a["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [
            ("fails", "failed"),
            ("beside", "completed"),
            ("breaks", "failed"),
            ("after", "completed")
        ]
    );
    assert_eq!(actions[0]["attempts"], 2);
    assert_eq!(actions[2]["attempts"], 1, "a transform's failure is not retried");
    let good = receiver
        .requests()
        .into_iter()
        .filter(|r| r.uri.path() == "/good")
        .count();
    assert_eq!(good, 2);

    // It is listed.
    let query = "ExecutionStatus%20%3D%20%27Failed%27%20AND%20SegnoRoute%20%3D%20%27mixed%27";
    let path = format!("/executions?query={query}");
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let page: Value = app.get(&path).send().await.unwrap().json().await.unwrap();
        if page["executions"].as_array().unwrap().len() == 1 {
            assert_eq!(page["executions"][0]["workflow_id"], execution["workflow_id"]);
            assert_eq!(page["executions"][0]["event_type"], "order.placed");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{page:#}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    app.stop().await;
}

async fn files(engine: TestEngine) {
    let path = engine.folder().join("deliveries.jsonl");
    let config = format!(
        r#"
        [sinks]
        log = {{ file = {{ path = {path:?} }} }}

        [[routes]]
        name = "log"
        on = ["order.*", "comment.*"]
        actions = [{{ name = "log", to = "log", transform = ".data.total" }}]
        "#
    );
    let app = App::start(&engine, &config).await;
    let execution = app
        .closed(only_execution(&app.accept(&order("1", 17)).await))
        .await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    let written = std::fs::read_to_string(&path).unwrap();
    let line: Value = serde_json::from_str(written.trim_end()).unwrap();
    assert_eq!(line["key"], "log//shop/1/log/0");
    assert_eq!(line["payload"], 17);
    app.stop().await;
}

async fn several_routes(engine: TestEngine) {
    let receiver =
        Receiver::answering(|request| Answer::status(if request.uri.path() == "/stuck" { 503 } else { 200 }))
            .await;
    let config = format!(
        r#"
        [sinks]
        stuck = {{ webhook = {{ url = "{}", allow_private = true }} }}
        good = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "stuck"
        on = "order.*"
        actions = [{{ name = "tell", to = "stuck", retry = {{ initial = "100ms", max_interval = "100ms" }} }}]

        [[routes]]
        name = "good"
        on = "*.placed"
        actions = [{{ name = "tell", to = "good" }}]
        "#,
        receiver.url("/stuck"),
        receiver.url("/good")
    );
    let app = App::start(&engine, &config).await;
    let accepted = app.accept(&order("1", 1)).await;
    let executions = accepted["executions"].as_array().unwrap();
    assert_eq!(executions.len(), 2);
    assert_eq!(executions[0]["route"], "stuck");
    assert_eq!(executions[1]["route"], "good");
    // A route that fails holds up no other.
    let good = app.closed(executions[1]["workflow_id"].as_str().unwrap()).await;
    assert_eq!(good["status"], "Completed", "{good:#}");
    let stuck = executions[0]["workflow_id"].as_str().unwrap();
    let stuck = app
        .until(stuck, |execution| {
            execution["actions"][0]["attempts"].as_i64() > Some(1)
        })
        .await;
    assert_eq!(stuck["status"], "Running");
    assert!(
        stuck["actions"][0]["failure"]["message"]
            .as_str()
            .unwrap()
            .contains("503"),
        "{stuck:#}"
    );
    app.stop().await;
}

async fn cancelled(engine: TestEngine) {
    let receiver = Receiver::answering(|_| Answer::status(503)).await;
    let config = format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "*"
        actions = [
            {{ name = "first", weight = 1, to = "notify", retry = {{ initial = "50ms", max_interval = "100ms" }} }},
            {{ name = "second", weight = 2, to = "notify" }},
        ]
        "#,
        receiver.url("/hook")
    );
    let app = App::start(&engine, &config).await;
    let accepted = app.accept(&order("1", 1)).await;
    let id = only_execution(&accepted);
    receiver.wait_for(2, DEADLINE).await;
    let handle = app.client().get_workflow_handle::<UntypedWorkflow>(id);
    handle.cancel(WorkflowCancelOptions::default()).await.unwrap();
    let execution = app.closed(id).await;
    assert_eq!(execution["status"], "Canceled", "{execution:#}");
    assert_eq!(
        execution["actions"].as_array().unwrap().len(),
        1,
        "the second stage is not begun: {execution:#}"
    );
    app.stop().await;
}
