//! The HTTP API, fuzzed from its own description by schemathesis: nothing that is sent makes the process fail, what is wrong is
//! refused, and every answer is one that the description has.

use std::process::Stdio;

use segno::access::Role;
use tokio::process::Command;

use crate::{
    access::{client, token, tokens},
    support::{Launch, TestEngine, order},
};

/// The `schemathesis` program; without it the one on `PATH`.
const SCHEMATHESIS: &str = "SEGNO_SCHEMATHESIS_BIN";
/// Seconds that it may make up requests by chance besides. Unless set it makes none: what it tries is the same each time.
const SECONDS: &str = "SEGNO_TEST_FUZZ_SECONDS";

const CONFIG: &str = r#"
[sinks]
log = { file = { path = "log.jsonl" } }

[sources.hooks]
webhook = { scheme = "standard", secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }

[schemas]
"order.placed" = { schema = { properties = { total = { type = "number" } } } }

[[routes]]
name = "orders"
on = "order.*"
order = { by = "subject" }
actions = [{ name = "write", to = "log" }]

[[routes]]
name = "yearly"
schedule = { cron = "0 0 1 1 *", type = "year.begun" }
actions = [{ name = "write", to = "log" }]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_answers_as_its_description_says() {
    let engine = TestEngine::embedded();
    let mut launch = Launch::up(&engine, &format!("{}{CONFIG}", tokens(&engine)));
    let mut program = launch.start().await;
    let admin = token(Role::Admin);
    let sent = client()
        .post(program.url("/events"))
        .bearer_auth(&admin)
        .header("content-type", "application/cloudevents+json")
        .body(order("1", 5).to_string());
    assert!(sent.send().await.unwrap().status().is_success());

    let schemathesis = std::env::var_os(SCHEMATHESIS).unwrap_or_else(|| "schemathesis".into());
    let phases = match std::env::var(SECONDS) {
        Ok(seconds) => vec![
            "--phases=coverage,fuzzing".to_owned(),
            format!("--max-time={seconds}"),
        ],
        Err(_) => vec!["--phases=coverage".to_owned()],
    };
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                  negative_data_rejection";
    let done = Command::new(schemathesis)
        .args(["run", &program.url("/openapi.json"), "--checks", checks])
        .args(["--header", &format!("Authorization: Bearer {admin}")])
        // The same requests each time, and nothing kept for the next.
        .args(["--seed", "1", "--generation-database", "none", "--no-shrink"])
        .args(phases)
        .args([
            "--continue-on-failure",
            "--request-timeout",
            "20",
            "--suppress-health-check",
            "all",
        ])
        // It does not end: news come as long as somebody listens.
        .args(["--exclude-path", "/live", "--no-color", "--warnings", "off"])
        .current_dir(engine.folder())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("schemathesis runs: `./test` installs it");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(!program.has_ended(), "{}", program.log());
    let asked = client().get(program.url("/readyz")).send().await.unwrap();
    assert!(asked.status().is_success());
}
