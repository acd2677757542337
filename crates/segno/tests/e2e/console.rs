//! The console in a real browser: what people do with it, on every engine.

mod execution;
mod journeys;
mod live;
mod looks;
mod operations;
#[cfg(feature = "outbox")]
mod replay;
mod sign_in;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use segno::Builder;
use segno_test_support::{Answer, Receiver, servers::Browser};
use serde_json::json;

use crate::support::{App, TestEngine, json_of};

/// A console that is looked at.
struct Console {
    app: App,
    browser: Browser,
    /// Where the sink `shop` delivers to.
    receiver: Receiver,
    /// Whether it fails.
    down: Arc<AtomicBool>,
}

impl Console {
    /// Routes with a filter, an order by key, a schedule that never comes by itself, and a sink that fails while it is `down`.
    async fn open(engine: &TestEngine) -> Self {
        Self::open_with(engine, "").await
    }

    /// The same with this at the end of the configuration.
    async fn open_with(engine: &TestEngine, more: &str) -> Self {
        Self::open_as(engine, more, |builder| builder).await
    }

    /// The same at an address.
    async fn open_at(engine: &TestEngine, more: &str, http: SocketAddr) -> Self {
        Self::open_as(engine, more, |builder| builder.http(http)).await
    }

    /// The same of a program with more to it.
    async fn open_as(engine: &TestEngine, more: &str, with: impl FnOnce(Builder) -> Builder) -> Self {
        let down = Arc::new(AtomicBool::new(false));
        let switch = down.clone();
        let receiver = Receiver::answering(move |_| {
            Answer::status(if switch.load(Ordering::SeqCst) { 400 } else { 200 })
        })
        .await;
        let config = format!(
            r#"
            [timers]
            allow_private = true

            [sinks]
            shop = {{ webhook = {{ url = "{}", allow_private = true }} }}
            log = {{ file = {{ path = "{}" }} }}

            [[routes]]
            name = "orders"
            on = "order.*"
            actions = [{{ name = "tell", to = "shop", transform = "{{ id: .data.id, total: .data.total }}", retry = {{ initial = "10ms", max_attempts = 2 }} }}]

            [[routes]]
            name = "large"
            on = "order.placed"
            when = "event.data.total > 1000"
            actions = [{{ name = "write", to = "log" }}]

            [[routes]]
            name = "ordered"
            on = "note.*"
            order = {{ by = "subject" }}
            actions = [{{ name = "write", to = "shop", retry = {{ initial = "10ms", max_attempts = 2 }} }}]

            [[routes]]
            name = "yearly"
            schedule = {{ cron = "0 0 1 1 *", type = "year.begun" }}
            actions = [{{ name = "write", to = "log" }}]

            {more}
            "#,
            receiver.url("/shop"),
            engine.folder().join("log.jsonl").display(),
        );
        let app = App::start_with(engine, &config, with).await;
        let browser = Browser::start().await;
        Self {
            app,
            browser,
            receiver,
            down,
        }
    }

    async fn goto(&self, path: &str) {
        self.browser.goto(&self.app.url(&format!("/console{path}"))).await;
    }

    fn fails(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The list of executions that a query finds, once it has so many: a cluster's lists follow with a delay.
    async fn listed(&self, query: &str, count: usize) -> Vec<serde_json::Value> {
        let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
        loop {
            let request = self.app.get("/executions").query(&[("query", query)]);
            let page = json_of(request.send().await.unwrap(), reqwest::StatusCode::OK).await;
            let executions = page["executions"].as_array().unwrap().clone();
            if executions.len() == count {
                return executions;
            }
            assert!(tokio::time::Instant::now() < deadline, "{page:#}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Nothing in it went wrong: no script threw, and the policy had nothing to refuse.
    async fn close(self) {
        let log = self.browser.log().await;
        let wrong: Vec<_> = log
            .iter()
            .filter(|entry| entry["source"] != "network" && entry["level"] == "SEVERE")
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        drop(self.browser);
        self.app.stop().await;
    }

    /// What a person sees first of an order.
    async fn order(&self, id: &str, total: u32) -> serde_json::Value {
        self.app
            .accept(&json!({
                "specversion": "1.0", "id": id, "source": "/shop", "type": "order.placed", "subject": "customer-7",
                "data": { "id": id, "total": total },
            }))
            .await
    }
}
