//! Batches to a running Segno.

use std::time::Duration;

use miette::{IntoDiagnostic, WrapErr};
use reqwest::{Client, Response, StatusCode, Url, header};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Credentials, Tally};

/// Most bytes of one request, beyond which it is sent.
pub(super) const BYTES: usize = 1 << 20;
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(60);
/// Pauses between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What became of events that were taken in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// They started something.
    pub(super) new: usize,
    /// They had been taken in before.
    pub(super) known: usize,
    /// No route matched.
    pub(super) unmatched: usize,
}

/// An event and where it came from.
type Placed = (String, Value);

/// What a request came to.
enum Answer {
    Taken(Sent),
    /// Nothing of it is taken, for what is in it.
    Refused(String),
    /// Nothing could be taken for too long.
    Gone(String),
}

/// Sends to one server.
pub(super) struct Sender {
    http: Client,
    url: Url,
    patience: Duration,
}

impl Sender {
    pub(super) fn new(url: &Url, credentials: &Credentials, patience: Duration) -> miette::Result<Self> {
        let http = credentials.client(REQUEST)?;
        let mut base = url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", url.path()));
        }
        let url = base
            .join("events")
            .into_diagnostic()
            .wrap_err("--url is no URL of a server")?;
        Ok(Self { http, url, patience })
    }

    /// Sends a batch. If it is refused, each event by itself, so that the others get in.
    pub(super) async fn send(&self, batch: Vec<Placed>, tally: &mut Tally) {
        match self.request(&batch).await {
            Answer::Taken(sent) => tally.add(sent),
            Answer::Gone(reason) => tally.unsent = Some(reason),
            Answer::Refused(reason) if batch.len() == 1 => {
                batch
                    .into_iter()
                    .for_each(|(at, _)| tally.refuse(at, reason.clone()));
            }
            Answer::Refused(_) => {
                for one in batch {
                    match self.request(std::slice::from_ref(&one)).await {
                        Answer::Taken(sent) => tally.add(sent),
                        Answer::Refused(reason) => tally.refuse(one.0, reason),
                        Answer::Gone(reason) => {
                            tally.unsent = Some(reason);
                            return;
                        }
                    }
                }
            }
        }
    }

    async fn request(&self, batch: &[Placed]) -> Answer {
        let events: Vec<_> = batch.iter().map(|(_, event)| event.to_string()).collect();
        let body = format!("[{}]", events.join(","));
        let deadline = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let sent = self
                .http
                .post(self.url.clone())
                .header(header::CONTENT_TYPE, "application/cloudevents-batch+json")
                .body(body.clone())
                .send()
                .await;
            let (reason, after) = match sent {
                Ok(response) if response.status() == StatusCode::ACCEPTED => match count(response).await {
                    Ok(sent) => return Answer::Taken(sent),
                    Err(reason) => (reason, None),
                },
                Ok(response) if passes(response.status()) => {
                    let after = retry_after(&response);
                    (detail(response).await, after)
                }
                Ok(response) => return Answer::Refused(detail(response).await),
                Err(error) => (
                    format!("{} cannot be reached: {}", self.url, causes(&error)),
                    None,
                ),
            };
            let pause_now = after.unwrap_or(pause);
            if Instant::now() + pause_now > deadline {
                return Answer::Gone(reason);
            }
            sleep(pause_now).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Tally {
    fn add(&mut self, sent: Sent) {
        self.sent.new += sent.new;
        self.sent.known += sent.known;
        self.sent.unmatched += sent.unmatched;
    }
}

/// Whether the same request may be taken later.
fn passes(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        )
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

async fn count(response: Response) -> Result<Sent, String> {
    let reply: Value = response.json().await.map_err(|error| causes(&error))?;
    let mut sent = Sent::default();
    for event in reply["events"].as_array().into_iter().flatten() {
        let started = event["executions"].as_array().map_or(0, Vec::len);
        match (started, event["duplicate"].as_bool()) {
            (0, _) => sent.unmatched += 1,
            (_, Some(true)) => sent.known += 1,
            _ => sent.new += 1,
        }
    }
    Ok(sent)
}

/// What a problem document says, every single mistake included.
async fn detail(response: Response) -> String {
    let status = response.status();
    let problem: Value = response.json().await.unwrap_or_default();
    let mut text = problem["detail"]
        .as_str()
        .map_or_else(|| status.to_string(), str::to_owned);
    for error in problem["errors"].as_array().into_iter().flatten() {
        let rule = error["rule"].as_str().unwrap_or_default();
        match error["attribute"].as_str() {
            Some(attribute) => text.push_str(&format!("; {attribute}: {rule}")),
            None => text.push_str(&format!("; {rule}")),
        }
    }
    text
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
