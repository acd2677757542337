//! `segno emit`: files and standard input into a running Segno.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{config, until_written};
use crate::support::{App, Launch, TestEngine, order};

on_every_engine!(files_and_standard_input, a_server_that_comes_late, bad_input);

async fn emit(url: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_segno"))
        .args(["emit", "--url", url, "-o", "json"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .await
        .unwrap();
    child.wait_with_output().await.unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// `config` without a source.
fn routes() -> String {
    let config = config("");
    config.split("[sources.in]").next().unwrap().to_owned()
}

async fn files_and_standard_input(engine: TestEngine) {
    let app = App::start(&engine, &routes()).await;
    let lines: String = (0..40)
        .map(|n| format!("{}\n", order(&n.to_string(), n)))
        .collect();
    let file = engine.folder().join("orders.jsonl");
    std::fs::write(&file, &lines).unwrap();
    let list = json!([order("40", 1), order("41", 2)]).to_string();
    let url = app.url("");
    let file = file.display().to_string();
    let output = emit(&url, &["--batch", "15", &file, "-"], &list).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = report(&output);
    assert_eq!(
        (&said["new"], &said["refused"]),
        (&json!(42), &json!(0)),
        "{said}"
    );
    // The same again starts nothing.
    let again = report(&emit(&url, &["--batch", "15", &file, "-"], &list).await);
    assert_eq!(
        (&again["new"], &again["known"]),
        (&json!(0), &json!(42)),
        "{again}"
    );
    let values = "{\"a\": 1}\n{\"a\": 1}\n";
    let wrapped = report(&emit(&url, &["--type", "row"], values).await);
    assert_eq!(wrapped["new"], 2, "{wrapped}");
    let wrapped = report(&emit(&url, &["--type", "row"], values).await);
    assert_eq!(wrapped["known"], 2, "{wrapped}");
    let mapped = report(
        &emit(
            &url,
            &["--map", "{type: \"row\", id: .n, data: .}"],
            "{\"n\": \"m-1\"}",
        )
        .await,
    );
    assert_eq!(mapped["new"], 1, "{mapped}");
    until_written(&engine, 45).await;
    app.stop().await;
}

async fn a_server_that_comes_late(engine: TestEngine) {
    let mut launch = Launch::up(&engine, &routes());
    let url = format!("http://{}", launch.http);
    let event = order("1", 1).to_string();
    let none = emit(&url, &["--patience", "1s"], &event).await;
    assert_eq!(none.status.code(), Some(3), "{none:?}");
    assert!(
        report(&none)["unsent"]
            .as_str()
            .unwrap()
            .contains("cannot be reached")
    );
    let late = tokio::spawn(async move { emit(&url, &[], &event).await });
    let program = launch.start().await;
    let late = late.await.unwrap();
    assert_eq!(late.status.code(), Some(0), "{late:?}");
    until_written(&engine, 1).await;
    drop(program);
}

async fn bad_input(engine: TestEngine) {
    let app = App::start(&engine, &routes()).await;
    let mut huge = order("huge", 1);
    huge["data"] = "x".repeat(1_100_000).into();
    let input = format!(
        "{}\nnonsense\n{}\n{huge}\n{{\"specversion\": \"1.0\"}}\n{{}}\n",
        order("1", 1),
        order("2", 2)
    );
    let output = emit(&app.url(""), &[], &input).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = report(&output);
    assert_eq!((&said["new"], &said["refused"]), (&json!(2), &json!(4)), "{said}");
    let refusals = said["refusals"].as_array().unwrap();
    let reason = |line: usize| {
        let at = format!("standard input:{line}");
        let found = refusals.iter().find(|refusal| refusal["at"] == at.as_str());
        found.unwrap_or_else(|| panic!("{at}: {said}"))["reason"]
            .as_str()
            .unwrap()
    };
    assert!(reason(2).contains("not JSON"), "{said}");
    assert!(reason(4).contains("longer than"), "{said}");
    assert!(reason(5).contains("id: is required"), "{said}");
    assert!(reason(6).contains("--type"), "{said}");
    until_written(&engine, 2).await;
    app.stop().await;
    let missing = emit("http://127.0.0.1:9", &["/nowhere.json"], "").await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere.json cannot be read"));
}
