//! The service's HTTP API.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use url::Url;

use crate::{
    Confidential, Delivered, Failure,
    batch::Outcome,
    webhook::{Method, Reply, Request, Sender},
};

use super::{BuildError, Options, TIMEOUT, event::Event, sign};

/// One app of the service.
#[derive(Debug)]
pub(super) struct Api {
    sender: Sender,
    headers: HeaderMap,
    /// Without a path.
    service: Url,
    app_id: String,
    key: String,
    secret: Confidential,
    timeout: Duration,
}

/// Where the service is.
pub(super) fn service(options: &Options) -> Result<Url, BuildError> {
    match (&options.url, &options.cluster) {
        (Some(_), Some(_)) => Err(BuildError::Both),
        (Some(url), None) => Ok(url.as_url().clone()),
        (None, cluster) => {
            let cluster = cluster.as_deref().unwrap_or("mt1");
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            let wrong = || BuildError::Cluster(cluster.to_owned());
            if cluster.is_empty() || !cluster.bytes().all(fits) {
                return Err(wrong());
            }
            Url::parse(&format!("https://api-{cluster}.pusher.com")).map_err(|_| wrong())
        }
    }
}

impl Api {
    pub(super) fn new(options: &Options) -> Result<Self, BuildError> {
        let json = HeaderValue::from_static("application/json");
        Ok(Self {
            sender: Sender::new(options.allow_private)?,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
            service: service(options)?,
            app_id: options.app_id.clone(),
            key: options.key.clone(),
            secret: options.secret.clone(),
            timeout: options.timeout.unwrap_or(TIMEOUT),
        })
    }

    /// Sends events: those to one channel together, the others each alone.
    pub(super) async fn send(&self, events: Vec<Event>) -> Vec<Outcome> {
        let together: Vec<_> = events.iter().filter(|event| event.channels.len() == 1).collect();
        let shared = match &together[..] {
            [] | [_] => None,
            [first, ..] => {
                let batch: Vec<_> = together.iter().map(|event| event.in_batch()).collect();
                Some(
                    self.post("batch_events", &first.id, &json!({ "batch": batch }))
                        .await,
                )
            }
        };
        let mut outcomes = Vec::with_capacity(events.len());
        for event in &events {
            outcomes.push(match &shared {
                // Of a batch that is refused, one event is at fault, and no answer says which.
                Some(Ok(_) | Err(Failure::Retryable { .. })) if event.channels.len() == 1 => {
                    shared.clone().unwrap_or(Ok(Delivered { status: None }))
                }
                _ => self.post("events", &event.id, &event.alone()).await,
            });
        }
        outcomes
    }

    async fn post(&self, what: &str, id: &str, body: &Value) -> Outcome {
        let body = body.to_string().into_bytes();
        let mut url = self.service.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["apps", &self.app_id, what]);
        }
        let query = sign::query(&self.key, self.secret.expose(), url.path(), &body, now());
        url.query_pairs_mut().clear().extend_pairs(query);
        let request = Request {
            method: &Method::default(),
            url: &url,
            headers: &self.headers,
            body: Bytes::from(body),
            id,
            secrets: &[],
            timeout: self.timeout,
        };
        judge(&self.sender.exchange(request).await?)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the service compares it with its own clock"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// What an answer means.
fn judge(reply: &Reply) -> Outcome {
    let code = inner(&reply.body).unwrap_or(reply.status);
    let status = Some(code.as_u16());
    if code.is_success() {
        return Ok(Delivered { status });
    }
    let hint = match code {
        StatusCode::UNAUTHORIZED => ": it does not know this key, secret or clock",
        StatusCode::FORBIDDEN => ": the app is disabled or over its quota",
        StatusCode::PAYLOAD_TOO_LARGE => ": the event is too large",
        _ => "",
    };
    let reason = format!("the service answered {code}{hint}");
    let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    if code.is_client_error() && !may_pass.contains(&code) {
        return Err(Failure::Permanent { reason, status });
    }
    Err(Failure::Retryable {
        reason,
        status,
        retry_after: reply.retry_after,
    })
}

/// The status inside of an answer: some servers of the protocol answer 200 to everything, with `error` and `code` in the
/// body.
fn inner(body: &[u8]) -> Option<StatusCode> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.get("error")?;
    let code = body.get("code")?.as_u64()?;
    StatusCode::from_u16(u16::try_from(code).ok()?).ok()
}
