//! Logs: they name what they are about, and hold neither secrets nor what events carry.

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};

use crate::support::{DEADLINE, Launch, TestEngine, json_of};

on_every_engine!(logs_name_events_and_hold_nothing_of_them);

/// What must not be read in a log, wherever it stands.
const SECRET: &str = "TOP-SECRET-7f3a";

async fn logs_name_events_and_hold_nothing_of_them(engine: TestEngine) {
    let receiver = Receiver::answering(|request| {
        let status = if request.uri.path().contains("broken") {
            410
        } else {
            204
        };
        Answer::status(status).body(SECRET)
    })
    .await;
    let address = receiver.address();
    let config = format!(
        r#"
        [sinks.good.webhook]
        url = "http://{address}/good/{SECRET}?key={SECRET}"
        headers = {{ authorization = "Bearer {SECRET}" }}
        allow_private = true
        [sinks.broken.webhook]
        url = "http://{address}/broken/{SECRET}"
        allow_private = true
        [schemas."order.checked"]
        schema = {{ type = "object", required = ["total"] }}
        [[routes]]
        name = "tell"
        on = "order.placed"
        actions = [
            {{ name = "good", to = "good" }},
            {{ name = "broken", to = "broken" }},
            {{ name = "wrong", to = "good", transform = ".data.card.number" }},
            {{ name = "asked", to = "good", available = "event.data.card > 7" }},
        ]
        "#
    );
    let mut launch = Launch::up(&engine, &config);
    // The SDK's own words are held back by default, as they are here.
    let levels = "info,segno=debug,segno_sinks=debug,segno_engine=debug,temporalio_sdk_core=error,\
                  temporalio_client=error,temporalio_sdk=error";
    launch.variable("SEGNO_LOG", levels);
    let program = launch.start().await;
    let post = async |event: &Value| {
        let request = reqwest::Client::new().post(program.url("/events"));
        let request = request.header("content-type", "application/cloudevents+json");
        request.body(event.to_string()).send().await.unwrap()
    };
    let event = json!({
        "specversion": "1.0", "id": "log-1", "source": "/shop", "type": "order.placed",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "data": {"card": SECRET},
    });
    let accepted = json_of(post(&event).await, StatusCode::ACCEPTED).await;
    let id = accepted["events"][0]["executions"][0]["workflow_id"]
        .as_str()
        .unwrap();
    receiver.wait_for(2, DEADLINE).await;
    let closed = program.closed(id).await;
    assert_eq!(closed["status"], "Failed");
    // Refused in various ways.
    let misfit = json!({"specversion": "1.0", "id": "log-2", "source": "/shop", "type": "order.checked", "data": {"card": SECRET}});
    assert_eq!(post(&misfit).await.status(), StatusCode::BAD_REQUEST);
    let nonsense = reqwest::Client::new()
        .post(program.url(&format!("/events?token={SECRET}")))
        .header("content-type", "application/cloudevents+json")
        .header("authorization", format!("Bearer {SECRET}"));
    let nonsense = nonsense
        .body(format!("{{\"id\": \"{SECRET}\""))
        .send()
        .await
        .unwrap();
    assert_eq!(nonsense.status(), StatusCode::BAD_REQUEST);

    let log = program.log();
    assert!(
        !log.contains(SECRET),
        "{}",
        log.lines().find(|line| line.contains(SECRET)).unwrap_or_default()
    );
    // Every line is JSON, and what is said of an action names execution, route, event and trace.
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for said in [
        "action begins",
        "action delivered a payload",
        "action's attempt failed",
        "action done",
    ] {
        let line = lines.iter().find(|line| line["message"] == said);
        let line = line.unwrap_or_else(|| panic!("{said:?} is not logged:\n{log}"));
        assert_eq!(line["event"], "log-1", "{line}");
        assert_eq!(line["execution"], id, "{line}");
        assert_eq!(line["route"], "tell", "{line}");
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "{line}");
        assert!(
            line["timestamp"].is_string() && line["level"].is_string(),
            "{line}"
        );
    }
    let failed: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "action's attempt failed" && line["stays"] == true)
        .map(|line| line["action"].as_str().unwrap())
        .collect();
    assert!(
        ["broken", "wrong", "asked"]
            .iter()
            .all(|action| failed.contains(action)),
        "{failed:?}"
    );
}
