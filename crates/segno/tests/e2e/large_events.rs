//! Events up to the limit, and the messages between worker and engine that they must not burst.

use reqwest::StatusCode;
use segno_test_support::Receiver;
use serde_json::{Value, json};

use crate::support::{App, TestEngine, json_of, only_execution};

on_every_engine!(one_mebibyte_through_several_actions, too_large_for_an_execution);

fn config(receiver: &Receiver) -> String {
    let url = receiver.url("/hook");
    let actions: Vec<_> = (0..6)
        .map(|n| {
            format!(
                r#"{{ name = "a{n}", to = "notify", transform = "{{n: {n}, size: (.data.text | length)}}" }}"#
            )
        })
        .collect();
    format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{url}", allow_private = true }} }}

        [[routes]]
        name = "large"
        on = "large"
        actions = [{}, {{ name = "whole", weight = 200, to = "notify" }}]

        [[routes]]
        name = "numbers"
        on = "numbers"
        actions = [{{ name = "whole", to = "notify" }}]
        "#,
        actions.join(", ")
    )
}

async fn one_mebibyte_through_several_actions(engine: TestEngine) {
    const LIMIT: usize = 1 << 20;
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    let event = |length: usize| {
        json!({
            "specversion": "1.0", "id": "1", "source": "/s", "type": "large", "data": {"text": "x".repeat(length)},
        })
    };
    let around = event(0).to_string().len();
    let largest = event(LIMIT - around);
    assert_eq!(largest.to_string().len(), LIMIT);
    let execution = app.closed(only_execution(&app.accept(&largest).await)).await;
    assert_eq!(execution["status"], "Completed", "{:#}", execution["failure"]);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 7);
    let mut sizes: Vec<_> = requests[..6]
        .iter()
        .map(|r| (r.json()["n"].as_u64(), r.json()["size"].as_u64()))
        .collect();
    sizes.sort_unstable();
    assert_eq!(
        sizes,
        (0..6)
            .map(|n| (Some(n), Some((LIMIT - around) as u64)))
            .collect::<Vec<_>>()
    );
    assert_eq!(requests[6].json(), largest);

    let problem = json_of(
        app.send(&event(LIMIT - around + 1)).await,
        StatusCode::PAYLOAD_TOO_LARGE,
    )
    .await;
    assert_eq!(problem["code"], "too-large");
    app.stop().await;
}

async fn too_large_for_an_execution(engine: TestEngine) {
    // Numbers that are far longer written out than sent.
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    let numbers = vec!["1e15"; 200_000].join(",");
    let body =
        format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"numbers","data":[{numbers}]}}"#);
    let request = app
        .post("/events")
        .header("content-type", "application/cloudevents+json")
        .body(body);
    let problem: Value = json_of(request.send().await.unwrap(), StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(problem["code"], "too-large");
    app.stop().await;
}
