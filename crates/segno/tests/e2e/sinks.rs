//! Events to what sinks deliver to: each waits while its target is away, and is there once when that is back.

use serde_json::Value;

use crate::support::{App, TestEngine, only_execution, order};

mod eventbridge;
mod grpc;
mod mail;
mod nats;
mod object_store;
mod pusher;
mod redis;
mod slack;
mod sns;
mod sql;
mod sqs;
mod workflow;

/// A route that delivers the whole data of each order to the sink `target`, with these options.
fn config(sink: &str) -> String {
    format!("[sinks]\ntarget = {{ {sink} }}\n{}", route(".data"))
}

/// A route that delivers what this makes of each order to the sink `target`.
fn route(transform: &str) -> String {
    format!(
        r#"
        [[routes]]
        name = "all"
        on = "order.*"
        actions = [
            {{ name = "tell", to = "target", transform = '{transform}', retry = {{ initial = "100ms", max_interval = "300ms" }} }},
        ]
        "#
    )
}

/// Delivers an order while the target is away, then three more after `back` has brought it back, and waits for all of them.
async fn deliver_across_an_outage(engine: &TestEngine, sink: &str, back: impl AsyncFnOnce()) {
    let app = App::start(engine, &config(sink)).await;
    let first = only_execution(&app.accept(&order("1", 1)).await).to_owned();
    let failed = |execution: &Value| execution["actions"][0]["failure"]["message"].is_string();
    let waiting = app.until(&first, failed).await;
    assert_eq!(waiting["status"], "Running", "{waiting:#}");
    back().await;
    let mut executions = vec![first];
    for n in 2..=4 {
        let accepted = app.accept(&order(&n.to_string(), n)).await;
        executions.push(only_execution(&accepted).to_owned());
    }
    for id in executions {
        completed(&app, &id).await;
    }
    // What comes again is known, and not delivered again.
    assert_eq!(app.accept(&order("1", 1)).await["duplicate"], true);
    app.stop().await;
}

/// Waits for the execution's end, which is a good one.
async fn completed(app: &App, id: &str) {
    let execution = app.closed(id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
}

/// Sends an order that is not delivered; gives the failure and how many attempts there were.
async fn fails(app: &App, event: &Value) -> (String, u64) {
    let accepted = app.accept(event).await;
    let execution = app.closed(only_execution(&accepted)).await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    let message = execution["failure"]["message"].as_str().expect("a message");
    let attempts = execution["actions"][0]["attempts"].as_u64();
    (message.to_owned(), attempts.expect("a number"))
}

/// The numbers of the orders, sorted.
fn totals<'a>(payloads: impl IntoIterator<Item = &'a Value>) -> Vec<i64> {
    let total = |payload: &Value| payload["total"].as_i64().expect("a total");
    let mut totals: Vec<_> = payloads.into_iter().map(total).collect();
    totals.sort_unstable();
    totals
}

/// How AWS's emulator is reached.
fn aws(endpoint: &str) -> String {
    format!(
        "endpoint = \"{endpoint}\", region = \"us-east-1\", \
        credentials = {{ access_key_id = \"id\", secret_access_key = \"secret\" }}"
    )
}
