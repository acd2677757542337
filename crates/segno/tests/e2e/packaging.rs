//! What is packaged for Prometheus and Grafana, held against what is served.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Stdio,
};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    metrics::Scrape,
    support::{App, TestEngine, only_execution, order},
};

on_every_engine!(
    alerts_and_dashboard_ask_for_what_there_is,
    prometheus_takes_what_is_served
);

fn path(of: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(of)
}

fn read(of: &str) -> String {
    std::fs::read_to_string(path(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

/// Prometheus' own tool, which `./test` installs.
async fn promtool(arguments: &[&str], input: &str) -> String {
    let program = std::env::var_os("SEGNO_PROMTOOL_BIN").expect("SEGNO_PROMTOOL_BIN: ./test sets it");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let done = child.wait_with_output().await.unwrap();
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(done.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

/// The metrics that an expression asks for, by their families.
fn asked(expression: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expression.split(|c| !word(c));
    words
        .filter(|word| word.starts_with("segno_") || word.starts_with("process_"))
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned())
        .collect()
}

/// Names and types of what is served.
fn served(scrape: &Scrape) -> BTreeMap<String, String> {
    let types = scrape
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| line.split_once(' '))
        .map(|(name, ty)| (name.to_owned(), ty.to_owned()))
        .collect()
}

async fn alerts_and_dashboard_ask_for_what_there_is(engine: TestEngine) {
    let app = App::start(&engine, "").await;
    let served = served(&Scrape::of(&app.url("/metrics")).await);
    let rules = read("packaging/prometheus/alerts.yml");
    // Comments and texts name no metrics by accident.
    let expressions: Vec<_> = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.contains("summary:"))
        .collect();
    let in_alerts = asked(&expressions.join("\n"));
    assert!(in_alerts.len() > 10, "{in_alerts:?}");
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/segno.json")).expect("JSON");
    let mut in_dashboard = BTreeSet::new();
    let mut panels = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let names = asked(target["expr"].as_str().expect("an expression"));
            assert!(!names.is_empty(), "{target}");
            in_dashboard.extend(names);
            panels += 1;
        }
    }
    assert!(panels > 20, "{panels}");
    in_dashboard.extend(asked(
        dashboard["templating"]["list"][1]["query"].as_str().unwrap(),
    ));
    for name in in_alerts.union(&in_dashboard) {
        assert!(served.contains_key(name), "{name} is not served");
    }
    // What is asked for in buckets has them, and the other way round.
    for (text, of) in [(rules.as_str(), "alerts"), (&dashboard.to_string(), "dashboard")] {
        for (name, ty) in &served {
            let buckets = text.contains(&format!("{name}_bucket"));
            assert!(!buckets || ty == "histogram", "{of}: {name} is a {ty}");
        }
    }
    // Every alert has its paragraph.
    let handbook = read("docs/operations.md");
    let alerts: Vec<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    for alert in &alerts {
        assert!(
            handbook.contains(&format!("**{alert}**")),
            "{alert} is not in docs/operations.md"
        );
    }
    let said = promtool(
        &[
            "check",
            "rules",
            path("packaging/prometheus/alerts.yml").to_str().unwrap(),
        ],
        "",
    )
    .await;
    assert!(said.contains(&format!("{} rules found", alerts.len())), "{said}");
    // The configuration that it shows is one, with these rules beside it.
    let block = handbook
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    std::fs::write(&config, block.expect("a block of YAML")).unwrap();
    std::fs::write(folder.path().join("alerts.yml"), &rules).unwrap();
    promtool(&["check", "config", config.to_str().unwrap()], "").await;
    app.stop().await;
}

async fn prometheus_takes_what_is_served(engine: TestEngine) {
    let config = "sinks.out.file.path = \"out.jsonl\"\n[[routes]]\nname = \"all\"\non = \"*\"\n\
                  actions = [{ name = \"write\", to = \"out\" }]\n";
    let app = App::start(&engine, config).await;
    app.closed(only_execution(&app.accept(&order("1", 1)).await))
        .await;
    let scrape = Scrape::of(&app.url("/metrics")).await;
    promtool(&["check", "metrics"], &scrape.text).await;
    app.stop().await;
}
