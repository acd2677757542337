//! `GET /metrics`: what happens is counted, under the names that are written down.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution, order};

on_every_engine!(
    what_happens_is_counted,
    the_names_are_those_that_are_written_down,
    what_is_held_up_is_seen,
);

#[cfg(feature = "integrations")]
mod integrations {
    use super::sources_are_counted;
    on_every_engine!(sources_are_counted);
}

/// What `/metrics` says: samples by name and labels as written.
pub(crate) struct Scrape {
    pub(crate) text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    pub(crate) async fn of(url: &str) -> Self {
        let response = reqwest::get(url).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let ty = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(ty.starts_with("text/plain; version=0.0.4"), "{ty}");
        let text = response.text().await.expect("text");
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').expect("a sample");
                (name.to_owned(), value.parse().expect("a number"))
            })
            .collect();
        Self { text, samples }
    }

    /// The sample of this name and these labels, as they are written (sorted by name).
    pub(crate) fn get(&self, sample: &str) -> Option<f64> {
        self.samples.get(sample).copied()
    }
}

/// Asks until this sample has this value.
pub(crate) async fn until(url: &str, sample: &str, value: f64) -> Scrape {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let scrape = Scrape::of(url).await;
        if scrape.get(sample) == Some(value) {
            return scrape;
        }
        assert!(
            Instant::now() < deadline,
            "{sample} is {:?} and not {value}:\n{}",
            scrape.get(sample),
            scrape.text
        );
        sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn what_happens_is_counted(engine: TestEngine) {
    let good = Receiver::start().await;
    let bad = Receiver::answering(|_| Answer::status(410)).await;
    let config = format!(
        r#"
        [sinks.good]
        webhook = {{ url = "{}", allow_private = true }}
        limits.breaker = {{ failures = 3 }}
        [sinks.bad.webhook]
        url = "{}"
        allow_private = true
        [[routes]]
        name = "tell"
        on = "order.placed"
        actions = [{{ name = "tell", to = "good" }}]
        [[routes]]
        name = "fail"
        on = "order.failed"
        actions = [{{ name = "tell", to = "bad", retry = {{ max_attempts = 1 }} }}]
        "#,
        good.url("/good"),
        bad.url("/bad"),
    );
    let app = App::start(&engine, &config).await;
    let accepted = app.accept(&order("1", 1)).await;
    app.closed(only_execution(&accepted)).await;
    app.accept(&order("1", 1)).await;
    let mut failing = order("2", 1);
    failing["type"] = json!("order.failed");
    let accepted = app.accept(&failing).await;
    app.closed(only_execution(&accepted)).await;
    let mut nobodys = order("3", 1);
    nobodys["type"] = json!("nobody.knows");
    app.accept(&nobodys).await;
    let url = app.url("/metrics");
    let scrape = until(&url, r#"segno_failed_executions{route="fail"}"#, 1.0).await;
    for (sample, value) in [
        (
            r#"segno_events_total{kind="http",outcome="accepted",source=""}"#,
            2.0,
        ),
        (
            r#"segno_events_total{kind="http",outcome="duplicate",source=""}"#,
            1.0,
        ),
        (
            r#"segno_events_total{kind="http",outcome="unrouted",source=""}"#,
            1.0,
        ),
        (r#"segno_intake_duration_seconds_count{kind="http"}"#, 4.0),
        (r#"segno_route_matches_total{route="tell"}"#, 2.0),
        (
            r#"segno_executions_started_total{outcome="started",route="tell"}"#,
            1.0,
        ),
        (
            r#"segno_executions_started_total{outcome="duplicate",route="tell"}"#,
            1.0,
        ),
        (
            r#"segno_executions_closed_total{outcome="done",route="tell"}"#,
            1.0,
        ),
        (
            r#"segno_executions_closed_total{outcome="failed",route="fail"}"#,
            1.0,
        ),
        (r#"segno_dead_letters_total{route="fail"}"#, 1.0),
        (r#"segno_executions_running{route="tell"}"#, 0.0),
        (r#"segno_deliveries_total{outcome="ok",sink="good"}"#, 1.0),
        (r#"segno_deliveries_total{outcome="permanent",sink="bad"}"#, 1.0),
        (
            r#"segno_action_attempts_total{outcome="ok",route="tell",sink="good"}"#,
            1.0,
        ),
        (
            r#"segno_action_attempts_total{outcome="permanent",route="fail",sink="bad"}"#,
            1.0,
        ),
        (r#"segno_delivery_duration_seconds_count{sink="good"}"#, 1.0),
        (r#"segno_accepted_to_delivered_seconds_count{route="tell"}"#, 1.0),
        (r#"segno_sink_breaker_open{sink="good"}"#, 0.0),
        (
            r#"segno_http_requests_total{method="POST",route="/events",status="202"}"#,
            4.0,
        ),
        ("segno_ready", 1.0),
        ("segno_metrics_sample_success", 1.0),
        (r#"segno_task_queue_backlog{type="activity"}"#, 0.0),
    ] {
        assert_eq!(scrape.get(sample), Some(value), "{sample}:\n{}", scrape.text);
    }
    // An execution's start is not after its delivery, and neither is long ago.
    let since = scrape
        .get(r#"segno_accepted_to_delivered_seconds_sum{route="tell"}"#)
        .unwrap();
    assert!((0.0..DEADLINE.as_secs_f64()).contains(&since), "{since}");
    assert!(scrape.get("process_resident_memory_bytes").unwrap() > 1e6);
    assert!(scrape.get("process_cpu_seconds_total").unwrap() > 0.0);
    until(&url, "segno_dead_letters", 1.0).await;
    // Those of the engine in this process, where it is.
    for (sample, least) in [
        ("segno_engine_requests_total", 10.0),
        (r#"segno_engine_batches_total{outcome="written"}"#, 1.0),
        ("segno_engine_write_seconds_total", 1e-6),
        ("segno_engine_executions_in_memory", 1.0),
    ] {
        let seen = scrape.get(sample);
        assert_eq!(seen.is_some(), engine.is_embedded(), "{sample}:\n{}", scrape.text);
        assert!(seen.is_none_or(|seen| seen >= least), "{sample}: {seen:?}");
    }
    // Nothing of an event, no id.
    assert!(!scrape.text.contains("customer-7"), "{}", scrape.text);
    app.stop().await;
}

async fn the_names_are_those_that_are_written_down(engine: TestEngine) {
    let document = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md"));
    let listed: BTreeMap<_, _> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect();
            let labels = cells[3]
                .split(',')
                .map(|label| label.trim().trim_matches('`').to_owned());
            let labels: BTreeSet<_> = labels.filter(|label| !label.is_empty()).collect();
            (cells[1].to_owned(), (cells[2].to_owned(), labels))
        })
        .collect();
    let app = App::start(&engine, "").await;
    app.accept(&order("1", 1)).await;
    let scrape = Scrape::of(&app.url("/metrics")).await;
    let served: BTreeMap<_, _> = scrape
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let kinds: BTreeMap<_, _> = listed
        .iter()
        .map(|(name, (kind, _))| (name.clone(), kind.clone()))
        .collect();
    assert_eq!(served, kinds, "what is served, and what docs/metrics.md lists");
    for sample in scrape.samples.keys() {
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| listed.get(name.strip_suffix(suffix)?))
            .or_else(|| listed.get(name));
        let (_, known) = family.unwrap_or_else(|| panic!("{sample} is not listed"));
        let labels = labels
            .trim_end_matches('}')
            .split("\",")
            .filter(|label| !label.is_empty());
        for label in labels.map(|label| label.split('=').next().unwrap()) {
            assert!(label == "le" || known.contains(label), "{sample}: {label}");
        }
    }
    app.stop().await;
}

async fn what_is_held_up_is_seen(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let config = format!(
        r#"
        [sinks.there.webhook]
        url = "{}"
        allow_private = true
        [[routes]]
        name = "tell"
        on = "order.placed"
        actions = [{{ name = "tell", to = "there" }}]
        "#,
        receiver.url("/there"),
    );
    let app = App::start(&engine, &config).await;
    let url = app.url("/metrics");
    json_of(
        app.post("/sinks/there/pause").send().await.unwrap(),
        StatusCode::OK,
    )
    .await;
    let accepted = app.accept(&order("1", 1)).await;
    let scrape = until(&url, r#"segno_executions_held{kind="sink",name="there"}"#, 1.0).await;
    assert_eq!(scrape.get(r#"segno_paused{kind="sink",name="there"}"#), Some(1.0));
    assert_eq!(scrape.get(r#"segno_executions_running{route="tell"}"#), Some(1.0));
    json_of(
        app.post("/sinks/there/resume").send().await.unwrap(),
        StatusCode::OK,
    )
    .await;
    app.closed(only_execution(&accepted)).await;
    let scrape = until(&url, r#"segno_executions_running{route="tell"}"#, 0.0).await;
    assert_eq!(
        scrape.get(r#"segno_paused{kind="sink",name="there"}"#),
        None,
        "{}",
        scrape.text
    );
    app.stop().await;
}

#[cfg(feature = "integrations")]
async fn sources_are_counted(engine: TestEngine) {
    use redis::AsyncCommands;

    let server = segno_test_support::servers::Redis::start().await;
    let config = format!(
        r#"
        sinks.out.file = {{ path = "out.jsonl" }}
        sources.in.redis = {{ url = {:?}, stream = "events" }}
        [[routes]]
        name = "all"
        on = "order.*"
        actions = [{{ name = "write", to = "out" }}]
        "#,
        server.url()
    );
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for body in [order("1", 1).to_string(), "no event".to_owned()] {
        let _: String = connection
            .xadd("events", "*", &[("payload", body)])
            .await
            .unwrap();
    }
    let app = App::start(&engine, &config).await;
    let url = app.url("/metrics");
    until(
        &url,
        r#"segno_events_total{kind="source",outcome="accepted",source="in"}"#,
        1.0,
    )
    .await;
    let scrape = until(&url, r#"segno_source_rejected_messages_total{source="in"}"#, 1.0).await;
    assert_eq!(
        scrape.get(r#"segno_source_up{source="in"}"#),
        Some(1.0),
        "{}",
        scrape.text
    );
    assert_eq!(
        scrape.get(r#"segno_source_failures_total{source="in"}"#),
        Some(0.0)
    );
    until(&url, r#"segno_source_lag_messages{source="in"}"#, 0.0).await;
    app.stop().await;
}
