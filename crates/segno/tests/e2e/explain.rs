//! Why an event did not run, what it waits for, and what of it was left out: each cause in the words of `segno explain`.

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use serde_json::Value;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::support::{App, DEADLINE, TestEngine, json_of, order};

on_every_engine!(what_holds_an_event_up_is_told, what_is_left_out_is_told);

/// Routes that hold up every second event, each for a reason of its own, and routes that do not take it at all.
fn holding(receiver: &Receiver) -> String {
    format!(
        r#"
        [sinks]
        away = {{ webhook = {{ url = "{}", allow_private = true }} }}
        log = {{ file = {{ path = "log.jsonl" }} }}

        [[routes]]
        name = "full"
        on = "order.*"
        limits = {{ concurrency = 1 }}
        actions = [{{ name = "tell", to = "away", retry = {{ initial = "100ms", max_interval = "100ms" }} }}]

        [[routes]]
        name = "ordered"
        on = "order.*"
        order = {{ by = "subject" }}
        actions = [{{ name = "tell", to = "away", retry = {{ initial = "100ms", max_interval = "100ms" }} }}]

        [[routes]]
        name = "rated"
        on = "order.*"
        limits = {{ rate = "1/h" }}
        actions = [{{ name = "log", to = "log" }}]

        [[routes]]
        name = "batched"
        on = "order.*"
        batch = {{ size = 10, within = "1h" }}
        actions = [{{ name = "log", to = "log" }}]

        [[routes]]
        name = "quiet"
        on = "order.*"
        debounce = {{ quiet = "1h" }}
        actions = [{{ name = "log", to = "log" }}]

        [[routes]]
        name = "delayed"
        on = "order.*"
        delay = "1h"
        actions = [{{ name = "log", to = "log" }}]

        [[routes]]
        name = "unfit"
        on = ["user.*", "team.created"]
        actions = [{{ name = "log", to = "log" }}]

        [[routes]]
        name = "small"
        on = "order.*"
        when = "event.data.total > 100"
        actions = [{{ name = "log", to = "log" }}]

        [[routes]]
        name = "missing"
        on = "order.*"
        when = "event.data.gift"
        actions = [{{ name = "log", to = "log" }}]

        [[routes]]
        name = "nightly"
        schedule = {{ cron = "0 3 1 1 *", time_zone = "Europe/Berlin" }}
        actions = [{{ name = "log", to = "log" }}]
        "#,
        receiver.url("/away")
    )
}

async fn story(app: &App, id: &str) -> Value {
    let answer = app.get(&format!("/events/%2Fshop/{id}")).send().await;
    json_of(answer.expect("an answer"), StatusCode::OK).await
}

/// How the event stands on a route.
fn on_route<'s>(story: &'s Value, route: &str) -> &'s Value {
    let executions = story["executions"].as_array().expect("a list");
    let found = executions.iter().find(|execution| execution["route"] == route);
    found.unwrap_or(&Value::Null)
}

/// The event's story, once this holds of it: a flow says its word a moment after the event was taken in.
async fn story_once(app: &App, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let story = story(app, id).await;
        if holds(&story) {
            return story;
        }
        assert!(Instant::now() < deadline, "{story:#}");
        sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// What `segno explain` prints of the event.
async fn printed(app: &App, id: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_segno"))
        .args(["explain", "--source", "/shop", "--id", id, "--api", &app.url("")])
        .output()
        .await
        .expect("segno runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

async fn what_holds_an_event_up_is_told(engine: TestEngine) {
    let receiver = Receiver::answering(|_| Answer::status(503)).await;
    let app = App::start(&engine, &holding(&receiver)).await;
    app.accept(&order("1", 1)).await;
    // The first one is what the second waits for.
    for route in ["full", "ordered"] {
        app.until(&format!("{route}//shop/1"), |execution| {
            execution["story"][0]["state"] == "running"
        })
        .await;
    }
    app.closed("rated//shop/1").await;
    app.accept(&order("2", 2)).await;

    let waits = [
        ("full", "it waits for one of the 1 that run", ""),
        (
            "ordered",
            "it waits for its turn, behind ordered//shop/1 (key \"customer-7\")",
            "",
        ),
        ("rated", "it waits for the rate, until 2", "Z"),
        (
            "batched",
            "it waits for its batch to be full, or until 2",
            "Z, with 1 of its key before it",
        ),
        (
            "quiet",
            "it waits until 2",
            "Z whether another of its key comes (key \"customer-7\")",
        ),
        ("delayed", "it waits for its delay, until 2", "Z"),
    ];
    let told = story_once(&app, "2", |story| {
        waits.iter().all(|(route, begins, ends)| {
            let waits = on_route(story, route)["waits"].as_str().unwrap_or_default();
            waits.starts_with(begins) && waits.ends_with(ends)
        })
    })
    .await;
    let printed = printed(&app, "2").await;
    for (route, ..) in waits {
        let execution = on_route(&told, route);
        assert_eq!(execution["status"], "Running", "{execution:#}");
        assert_eq!(execution["state"], execution["waits"], "{execution:#}");
        let begins = format!("  {route}//shop/2\n    it waits ");
        assert!(printed.contains(&begins), "{begins}: {printed}");
    }
    let why = |route: &str| {
        let routes = told["routes"].as_array().expect("a list");
        let said = routes
            .iter()
            .find(|said| said["route"] == route)
            .expect("the route");
        assert_eq!(said["takes"], false, "{said:#}");
        said["why"].as_str().expect("why").to_owned()
    };
    for (route, said) in [
        ("unfit", "no pattern fits the event's type: user.*, team.created"),
        ("small", "the filter is false: event.data.total > 100"),
        ("missing", "the filter event.data.gift fails: "),
        (
            "nightly",
            "it takes the events of its schedule alone: 0 3 1 1 * (Europe/Berlin)",
        ),
    ] {
        let why = why(route);
        assert!(why.starts_with(said), "{route}: {why}");
        let line = format!("  route {route}: {said}");
        assert!(printed.contains(&line), "{line}: {printed}");
    }
    app.stop().await;
}

async fn what_is_left_out_is_told(engine: TestEngine) {
    const CONFIG: &str = r#"
        [sinks]
        log = { file = { path = "log.jsonl" } }

        [[routes]]
        name = "choosy"
        on = "order.*"
        actions = [
            { name = "large", to = "log", available = "event.data.total > 100" },
            { name = "any", to = "log" },
        ]

        [[routes]]
        name = "last"
        on = "order.*"
        debounce = { quiet = "1s" }
        actions = [{ name = "log", to = "log" }]

        [[routes]]
        name = "pairs"
        on = "order.*"
        batch = { size = 2, within = "1h" }
        actions = [{ name = "log", to = "log" }]
        "#;
    let app = App::start(&engine, CONFIG).await;
    for n in 1..=2 {
        app.accept(&order(&n.to_string(), n)).await;
    }
    let done = |story: &Value| {
        ["choosy", "last", "pairs"]
            .iter()
            .all(|route| on_route(story, route)["status"] == "Completed")
    };
    let (first, second) = (
        story_once(&app, "1", done).await,
        story_once(&app, "2", done).await,
    );
    let condition = "it is not available for this event: event.data.total > 100";
    let skipped = format!("done; large was skipped: {condition}");
    for story in [&first, &second] {
        assert_eq!(on_route(story, "choosy")["state"], skipped);
    }
    assert_eq!(
        on_route(&first, "last")["state"],
        "superseded by last//shop/2, which ran in its place"
    );
    assert_eq!(on_route(&second, "last")["state"], "done");
    let [batch, other] = [&first, &second].map(|story| {
        let state = on_route(story, "pairs")["state"].as_str().expect("a state");
        let batch = state.strip_prefix("went into the batch ");
        batch.unwrap_or_else(|| panic!("{state}")).to_owned()
    });
    assert_eq!(batch, other);
    assert_eq!(app.closed(&batch).await["status"], "Completed");
    let printed = printed(&app, "1").await;
    for line in [
        format!("    {skipped}\n"),
        format!("      large: skipped, {condition}\n"),
        "      any: completed, 1 attempt(s)\n".to_owned(),
        "    superseded by last//shop/2, which ran in its place\n".to_owned(),
    ] {
        assert!(printed.contains(&line), "{line}: {printed}");
    }
    app.stop().await;
}
