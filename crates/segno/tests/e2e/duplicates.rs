//! An event is its source and id: sent again it starts nothing.

use reqwest::StatusCode;
use segno_test_support::Receiver;
use serde_json::json;

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution, order};

on_every_engine!(while_running_and_after, within_a_batch, other_source);

fn config(receiver: &Receiver) -> String {
    format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "order.*"
        actions = [{{ name = "tell", to = "notify", retry = {{ initial = "100ms" }} }}]
        "#,
        receiver.url("/hook")
    )
}

async fn while_running_and_after(engine: TestEngine) {
    let receiver = Receiver::start().await;
    receiver.set_program(|_| segno_test_support::Answer::status(503));
    let app = App::start(&engine, &config(&receiver)).await;
    let first = app.accept(&order("1", 1)).await;
    assert_eq!(first["duplicate"], false);
    receiver.wait_for(1, DEADLINE).await;

    // It still runs: the receiver takes nothing.
    let again = app.accept(&order("1", 999)).await;
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["executions"][0]["duplicate"], true);
    assert_eq!(
        again["executions"][0]["workflow_id"],
        first["executions"][0]["workflow_id"]
    );
    assert_eq!(again["executions"][0]["run_id"], first["executions"][0]["run_id"]);

    receiver.set_program(|_| segno_test_support::Answer::status(200));
    let closed = app.closed(only_execution(&first)).await;
    assert_eq!(closed["status"], "Completed", "{closed:#}");
    let delivered = receiver.requests().len();

    // It is closed.
    let later = app.accept(&order("1", 1)).await;
    assert_eq!(later["duplicate"], true);
    assert_eq!(later["executions"][0]["run_id"], first["executions"][0]["run_id"]);
    let sentinel = app.accept(&order("2", 2)).await;
    app.closed(only_execution(&sentinel)).await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), delivered + 1, "only the sentinel was delivered");
    assert!(
        requests[..delivered]
            .iter()
            .all(|request| request.json()["data"]["total"] == 1)
    );
    app.stop().await;
}

async fn within_a_batch(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    let events = json!([order("1", 1), order("2", 2), order("1", 1)]);
    let reply = json_of(app.send_batch(&events).await, StatusCode::ACCEPTED).await;
    let duplicates: Vec<_> = (0..3)
        .map(|n| reply["events"][n]["duplicate"].as_bool().unwrap())
        .collect();
    assert!(!duplicates[1]);
    assert_ne!(duplicates[0], duplicates[2], "one of the two started it: {reply}");
    app.stop().await;
}

async fn other_source(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    let mut ids = Vec::new();
    // Sources and ids that differ stay apart, whatever slashes and percent signs they have.
    for (source, id) in [
        ("/shop", "1"),
        ("/shop/eu", "1"),
        ("/shop", "eu/1"),
        ("/shop", "eu%2F1"),
    ] {
        let mut event = order(id, 1);
        event["source"] = json!(source);
        let accepted = app.accept(&event).await;
        assert_eq!(accepted["duplicate"], false, "{source} {id}");
        ids.push(only_execution(&accepted).to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
    app.stop().await;
}
