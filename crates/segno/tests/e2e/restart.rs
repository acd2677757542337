//! What was taken in goes on after a restart.

use segno_test_support::{Answer, Receiver};

use crate::support::{App, DEADLINE, TestEngine, only_execution, order};

on_every_engine!(goes_on, a_sink_that_is_gone_is_waited_for);

async fn goes_on(engine: TestEngine) {
    let receiver = Receiver::answering(|_| Answer::status(503)).await;
    let config = format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "*"
        actions = [
            {{ name = "first", weight = 1, to = "notify", retry = {{ initial = "100ms", max_interval = "200ms" }} }},
            {{ name = "second", weight = 2, to = "notify" }},
        ]
        "#,
        receiver.url("/hook")
    );
    let app = App::start(&engine, &config).await;
    let mut executions = Vec::new();
    for n in 0..5 {
        executions.push(only_execution(&app.accept(&order(&n.to_string(), n)).await).to_owned());
    }
    receiver.wait_for(5, DEADLINE).await;
    app.stop().await;

    receiver.set_program(|_| Answer::status(200));
    let app = App::start(&engine, &config).await;
    for (n, id) in executions.iter().enumerate() {
        let execution = app.closed(id).await;
        assert_eq!(execution["status"], "Completed", "{execution:#}");
        let again = app.accept(&order(&n.to_string(), 0)).await;
        assert_eq!(again["duplicate"], true, "{again}");
    }
    let second = receiver
        .requests()
        .into_iter()
        .filter(|r| r.header("webhook-id").unwrap().contains("/second/"));
    assert_eq!(second.count(), 5);
    app.stop().await;
}

/// What was routed runs as it was routed, whatever the configuration says later: it waits for its sink.
async fn a_sink_that_is_gone_is_waited_for(engine: TestEngine) {
    let receiver = Receiver::answering(|_| Answer::status(503)).await;
    let config = |name: &str| {
        format!(
            r#"
            [sinks]
            {name} = {{ webhook = {{ url = "{}", allow_private = true }} }}

            [[routes]]
            name = "all"
            on = "*"
            actions = [{{ name = "tell", to = "{name}", retry = {{ initial = "100ms", max_interval = "200ms" }} }}]
            "#,
            receiver.url("/hook")
        )
    };
    let app = App::start(&engine, &config("old")).await;
    let id = only_execution(&app.accept(&order("1", 1)).await).to_owned();
    receiver.wait_for(1, DEADLINE).await;
    app.stop().await;
    receiver.set_program(|_| Answer::status(200));

    let app = App::start(&engine, &config("new")).await;
    let waiting = app
        .until(&id, |execution| {
            let failure = &execution["actions"][0]["failure"]["message"];
            failure
                .as_str()
                .is_some_and(|message| message.contains("no sink \"old\""))
        })
        .await;
    assert_eq!(waiting["status"], "Running");
    app.stop().await;

    let app = App::start(&engine, &config("old")).await;
    let execution = app.closed(&id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    app.stop().await;
}
