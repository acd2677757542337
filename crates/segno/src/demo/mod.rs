//! `segno demo`: everything in one process, with something to see.

mod receiver;
mod samples;

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use receiver::{Arrival, Receiver};
use reqwest::StatusCode;
use serde_json::{Value, json};
use temporalio_client::WorkflowCountOptions;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{Builder, Error, Running, config::Config, shutdown::Signals};

/// The built-in configuration, with a place holder for the receiver's address.
const CONFIG: &str = include_str!("segno.toml");
/// The timer that the demo sets, in seconds.
const TIMER: u64 = 3;
/// How long everything may take to arrive before the demo says what is missing.
const PATIENCE: Duration = Duration::from_secs(60);

/// The demo could not show what it is to show.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{what}: the API answered {status}: {text}")]
    Refused {
        what: &'static str,
        status: StatusCode,
        text: String,
    },
    #[error("the API cannot be called")]
    Call(#[from] reqwest::Error),
    #[error("{0} of the deliveries did not arrive within {PATIENCE:?}")]
    Missing(usize),
}

/// Reads a configuration's text.
pub(crate) type Configure = Box<dyn FnOnce(&str) -> miette::Result<Config> + Send>;

/// What the demo runs with.
pub(crate) struct Demo {
    /// Everything but the configuration.
    pub(crate) builder: Builder,
    /// Address of its receiver.
    pub(crate) receiver: SocketAddr,
    /// Makes the configuration of the built-in text with the receiver's address filled in.
    pub(crate) configure: Configure,
}

impl Demo {
    /// Starts everything, shows it, and runs until told to stop.
    pub(crate) async fn run(self) -> miette::Result<()> {
        use miette::IntoDiagnostic;
        let mut signals = Signals::new().into_diagnostic()?;
        let (arrivals_tx, arrivals) = unbounded_channel();
        let receiver = Receiver::start(self.receiver, arrivals_tx)
            .await
            .into_diagnostic()?;
        let config = (self.configure)(&CONFIG.replace("RECEIVER", &receiver.address().to_string()))?;
        let running = self.builder.config(config).start().await.into_diagnostic()?;
        introduce(&running, &receiver).await;
        let show = tokio::spawn(show(running.http_address(), receiver.address(), arrivals));
        let done: Result<(), Error> = running.run_until(&mut signals).await;
        show.abort();
        say("");
        say("Stopped. Started again, it goes on where it was.");
        done.into_diagnostic()
    }
}

/// Where everything is, and what is here from earlier runs.
async fn introduce(running: &Running, receiver: &Receiver) {
    let http = reachable(running.http_address());
    let engine = running.engine_address();
    let kind = if running.is_embedded() {
        "in this process"
    } else {
        "a Temporal cluster"
    };
    say(&format!(
        "Segno demo\n\n\
         \x20 executions  http://{http}/\n\
         \x20 API         http://{http}/api-docs\n\
         \x20 engine      {engine} ({kind}; try: temporal workflow list --address {engine})\n\
         \x20 receiver    http://{}/\n",
        receiver.address()
    ));
    let count = async |query: &str| {
        running
            .client()
            .count_workflows(query, WorkflowCountOptions::default())
            .await
            .map_or(0, |n| n.count())
    };
    let (all, open) = (count("").await, count("ExecutionStatus = 'Running'").await);
    if all > 0 {
        say(&format!(
            "{all} executions are here from earlier runs, {open} of them still running.\n"
        ));
    }
}

/// Sends the samples and the timer, and shows what arrives, from this run or an earlier one.
async fn show(http: SocketAddr, receiver: SocketAddr, mut arrivals: UnboundedReceiver<Arrival>) {
    match send(http, receiver).await {
        Ok(mut expected) => {
            let all = expected.len();
            let watched = tokio::time::timeout(PATIENCE, async {
                while !expected.is_empty() {
                    let Some(arrival) = arrivals.recv().await else {
                        return;
                    };
                    tell(&arrival);
                    if arrival.taken {
                        expected.retain(|prefix| !prefix.matches(&arrival));
                    }
                }
            });
            let done = watched.await.is_ok();
            if done {
                say(&format!(
                    "\nAll {all} deliveries arrived. It stays up: send events of your own to http://{}/events.\n\
                     Ctrl-C ends it.",
                    reachable(http)
                ));
            } else {
                say(&format!("\n{}", DemoError::Missing(expected.len())));
            }
        }
        Err(error) => say(&format!("\n{error}")),
    }
    while let Some(arrival) = arrivals.recv().await {
        tell(&arrival);
    }
}

/// A delivery that is to come.
enum Expected {
    /// Under this idempotency key.
    Key(String),
    /// At the path of a timer.
    Timer(String),
}

impl Expected {
    fn matches(&self, arrival: &Arrival) -> bool {
        match self {
            Self::Key(key) => arrival.key == *key,
            Self::Timer(id) => arrival.path.ends_with(id.as_str()),
        }
    }
}

async fn send(http: SocketAddr, receiver: SocketAddr) -> Result<Vec<Expected>, DemoError> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let api = format!("http://{}", reachable(http));
    let mut expected = Vec::new();
    for sample in samples::samples() {
        let what = "an event";
        let response = client
            .post(format!("{api}/events"))
            .header("content-type", "application/cloudevents+json")
            .body(sample.event.to_string())
            .send()
            .await?;
        let reply = read(what, response, StatusCode::ACCEPTED).await?;
        let executions = reply["events"][0]["executions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let routes: Vec<_> = executions
            .iter()
            .filter_map(|execution| execution["route"].as_str())
            .collect();
        let routed = if routes.is_empty() {
            "no route".to_owned()
        } else {
            routes.join(", ")
        };
        let ty = sample.event["type"].as_str().unwrap_or_default();
        say(&format!("sent     {ty:<16} -> {routed:<12} {}", sample.what));
        let action = |route: &str| match route {
            "big-orders" => "tell",
            "mentions" => "each",
            _ => "adjust",
        };
        for execution in &executions {
            let id = execution["workflow_id"].as_str().unwrap_or_default();
            let action = action(execution["route"].as_str().unwrap_or_default());
            expected.extend((0..sample.arrivals).map(|n| Expected::Key(format!("{id}/{action}/{n}"))));
        }
    }
    let body = json!({ "seconds": TIMER, "url": format!("http://{receiver}/timer") });
    let response = client.post(format!("{api}/timers")).json(&body).send().await?;
    let reply = read("a timer", response, StatusCode::OK).await?;
    say(&format!("set      a timer of {TIMER} seconds\n"));
    expected.push(Expected::Timer(
        reply["id"].as_str().unwrap_or_default().to_owned(),
    ));
    Ok(expected)
}

async fn read(
    what: &'static str,
    response: reqwest::Response,
    expected: StatusCode,
) -> Result<Value, DemoError> {
    let status = response.status();
    if status == expected {
        return Ok(response.json().await?);
    }
    Err(DemoError::Refused {
        what,
        status,
        text: response.text().await?,
    })
}

fn tell(arrival: &Arrival) {
    let how = if arrival.taken { "arrived" } else { "refused" };
    let path = format!("/{}", arrival.path.split('/').next().unwrap_or_default());
    // Whatever comes, the terminal gets plain text.
    let body: String = arrival
        .body
        .chars()
        .take(200)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    say(&format!(
        "{how}  at {path:<13} {}",
        if body.is_empty() { "(no body)" } else { &body }
    ));
}

/// An address as a client on this machine reaches it.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// Prints a line. Who does not read any more is not an error.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}
