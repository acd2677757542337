//! A running Segno and the calls that tests make to it.

use std::net::{Ipv4Addr, SocketAddr};

use reqwest::{RequestBuilder, Response, StatusCode};
use segno::{Builder, Running, Segno};
use serde_json::{Value, json};
use temporalio_client::Client;
use tokio::time::{Instant, sleep};

use super::{DEADLINE, TestEngine};

/// Between two looks at an execution.
const POLL: std::time::Duration = std::time::Duration::from_millis(30);

pub(crate) struct App {
    running: Running,
    http: reqwest::Client,
}

impl App {
    /// Starts Segno with this configuration (without `engine`) on free ports.
    pub(crate) async fn start(engine: &TestEngine, config: &str) -> Self {
        Self::start_with(engine, config, |builder| builder).await
    }

    /// The same with consumers and workflows of the test's.
    pub(crate) async fn start_with(
        engine: &TestEngine,
        config: &str,
        with: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = engine.parse(config);
        let builder = Segno::builder()
            .config(config)
            .data(engine.folder().join("data"))
            .http(free)
            .grpc(free);
        let running = with(builder).start().await.expect("segno starts");
        Self {
            running,
            http: reqwest::Client::new(),
        }
    }

    /// The running parts.
    #[cfg(feature = "outbox")]
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// The engine's client.
    pub(crate) fn client(&self) -> &Client {
        self.running.client()
    }

    /// Address of the engine.
    pub(crate) fn engine_address(&self) -> &str {
        self.running.engine_address()
    }

    pub(crate) async fn stop(self) {
        self.running.shutdown().await.expect("segno stops in order");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http_address())
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(self.url(path))
    }

    /// Sends an event in structured mode.
    pub(crate) async fn send(&self, event: &Value) -> Response {
        self.post("/events")
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string())
            .send()
            .await
            .expect("an answer")
    }

    /// Sends a batch.
    pub(crate) async fn send_batch(&self, events: &Value) -> Response {
        self.post("/events")
            .header("content-type", "application/cloudevents-batch+json")
            .body(events.to_string())
            .send()
            .await
            .expect("an answer")
    }

    /// Sends an event that is taken in; returns what became of it.
    pub(crate) async fn accept(&self, event: &Value) -> Value {
        let mut reply = json_of(self.send(event).await, StatusCode::ACCEPTED).await;
        let events = reply["events"].as_array_mut().expect("a list of events");
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// An execution as the API shows it.
    pub(crate) async fn execution(&self, workflow_id: &str) -> Value {
        let mut url = reqwest::Url::parse(&self.url("/executions")).expect("a URL");
        url.path_segments_mut().expect("a path").push(workflow_id);
        json_of(
            self.http.get(url).send().await.expect("an answer"),
            StatusCode::OK,
        )
        .await
    }

    /// Waits until the execution is closed and returns it.
    pub(crate) async fn closed(&self, workflow_id: &str) -> Value {
        self.until(workflow_id, |execution| execution["status"] != "Running")
            .await
    }

    /// Waits until something holds of the execution and returns it.
    pub(crate) async fn until(&self, workflow_id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let execution = self.execution(workflow_id).await;
            if condition(&execution) {
                return execution;
            }
            assert!(
                Instant::now() < deadline,
                "not within {DEADLINE:?}: {execution:#}"
            );
            sleep(POLL).await;
        }
    }
}

/// The answer's JSON; it has to have this status.
pub(crate) async fn json_of(response: Response, status: StatusCode) -> Value {
    let got = response.status();
    let text = response.text().await.expect("the answer's body");
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An event with a total.
pub(crate) fn order(id: &str, total: u32) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/shop", "type": "order.placed", "subject": "customer-7",
        "data": { "id": id, "total": total },
    })
}

/// The only execution of an accepted event.
pub(crate) fn only_execution(accepted: &Value) -> &str {
    let executions = accepted["executions"].as_array().expect("a list of executions");
    assert_eq!(executions.len(), 1, "{accepted}");
    executions[0]["workflow_id"].as_str().expect("an id")
}
