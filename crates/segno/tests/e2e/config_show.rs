//! `segno config show`: what holds, and who says so; and the environment over the file, the flags over the environment.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{Launch, TestEngine};

on_every_engine!(the_file_then_the_environment_then_flags);

const SECRET: &str = "TOP-SECRET-7f3a";

async fn show(engine: &TestEngine, environment: &[(&str, &str)], more: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_segno"))
        .args(["config", "show", "--config", "segno.toml"])
        .args(more)
        .envs(environment.iter().copied())
        .current_dir(engine.folder())
        .output()
        .await
        .expect("the program runs")
}

async fn the_file_then_the_environment_then_flags(engine: TestEngine) {
    let config = format!(
        r#"
        archive.unmatched = false
        [http]
        listen = "127.0.0.1:1"
        max_event_bytes = 1000
        max_concurrent = 7
        [timers]
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        [sinks.hook.webhook]
        url = "https://user:{SECRET}@example.com/{SECRET}"
        headers = {{ authorization = "{SECRET}" }}
        [[routes]]
        name = "tell"
        on = ["order.*", "return.*"]
        actions = [{{ name = "tell", to = "hook" }}]
        "#
    );
    let mut launch = Launch::up(&engine, &config);
    let environment = [
        ("SEGNO_HTTP_MAX_CONCURRENT", "9"),
        ("SEGNO_HTTP_MAX_EVENT_BYTES", ""),
        ("SEGNO_TELEMETRY_SERVICE", "orders"),
        ("SEGNO_TIMERS_SECRET", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("SEGNO_GRPC", "127.0.0.1:3"),
    ];
    let shown = show(&engine, &environment, &["--http", "127.0.0.1:2", "-o", "json"]).await;
    let said = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    for secret in [SECRET, "whsec_M", "whsec_A"] {
        assert!(!said.contains(secret), "{said}");
    }
    let entries: Vec<Value> = serde_json::from_str(&said).unwrap();
    let entry = |setting: &str| {
        let found: Vec<_> = entries
            .iter()
            .filter(|entry| entry["setting"] == setting)
            .collect();
        assert_eq!(found.len(), 1, "{setting}: {said}");
        (
            found[0]["value"].as_str().unwrap().to_owned(),
            found[0]["origin"].clone(),
        )
    };
    assert_eq!(
        entry("http.listen"),
        ("127.0.0.1:2".to_owned(), json!({"flag": "--http"}))
    );
    assert_eq!(
        entry("engine.grpc.listen"),
        ("127.0.0.1:3".to_owned(), json!({"env": "SEGNO_GRPC"}))
    );
    let (value, origin) = entry("http.max_concurrent");
    assert_eq!(
        (value.as_str(), origin),
        ("9", json!({"env": "SEGNO_HTTP_MAX_CONCURRENT"}))
    );
    let (value, origin) = entry("http.max_event_bytes");
    let line = std::fs::read_to_string(engine.folder().join("segno.toml")).unwrap();
    let line = line
        .lines()
        .position(|line| line.contains("max_event_bytes"))
        .unwrap()
        + 1;
    assert_eq!(
        (value.as_str(), origin),
        ("1000", json!({"file": {"name": "segno.toml", "line": line}}))
    );
    assert_eq!(entry("data"), ("data".to_owned(), json!("default")));
    assert_eq!(entry("telemetry.service").0, "orders");
    assert_eq!(entry("timers.secret").1, json!({"env": "SEGNO_TIMERS_SECRET"}));
    assert_eq!(entry("routes.tell.on").0, r#"["order.*", "return.*"]"#);
    assert!(
        entry("sinks.hook.webhook.url").0.contains("@example.com/"),
        "{said}"
    );

    let table = show(&engine, &environment, &[]).await;
    let table = String::from_utf8(table.stdout).unwrap();
    let line = table
        .lines()
        .find(|line| line.starts_with("http.max_concurrent "))
        .unwrap();
    assert!(line.ends_with("env SEGNO_HTTP_MAX_CONCURRENT"), "{table}");

    // A mistake in a variable is one like any other, for the program that runs too.
    let wrong = show(&engine, &[("SEGNO_HTTP_MAX_CONCURRENT", "0")], &[]).await;
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        !wrong.status.success() && said.contains("SG0006") && said.contains("SEGNO_HTTP_MAX_CONCURRENT"),
        "{said}"
    );
    // What it shows is what runs: an event of 1001 bytes is one too long.
    launch.variable("SEGNO_HTTP_MAX_EVENT_BYTES", "2000");
    let program = launch.start().await;
    let event = |bytes: usize| {
        let event = |data: &str| {
            json!({"specversion": "1.0", "id": bytes.to_string(), "source": "/s", "type": "t", "data": data})
                .to_string()
        };
        event(&"x".repeat(bytes - event("").len()))
    };
    for (bytes, status) in [(1_500, 202), (2_500, 413)] {
        let request = reqwest::Client::new().post(program.url("/events"));
        let request = request
            .header("content-type", "application/cloudevents+json")
            .body(event(bytes));
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{bytes}");
    }
}
