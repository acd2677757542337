//! Publishing to a Segno elsewhere.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url, header::RETRY_AFTER};

use super::{Batch, PublishError, Publisher};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Publishes to the `/events` of a Segno, or of whatever takes CloudEvents over HTTP in batched mode (HTTP protocol
/// binding, 3.3): a batch in one request, and one by one if that is refused.
#[derive(Clone)]
pub struct Http {
    client: Client,
    url: Url,
    outbox: Option<String>,
}

/// The URL may have a password in it.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

impl Http {
    /// Publishes to this URL, such as `http://segno:8080/events`.
    ///
    /// # Errors
    ///
    /// When it is no URL, or TLS cannot be set up.
    pub fn new(url: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self {
            client: Client::builder().timeout(TIMEOUT).build()?,
            url: url.parse()?,
            outbox: None,
        })
    }

    /// The same from the outbox of this name: its events say which row they were in ([`Origin`](crate::Origin)).
    #[must_use]
    pub fn from_outbox(self, name: impl Into<String>) -> Self {
        Self {
            outbox: Some(name.into()),
            ..self
        }
    }

    async fn post(&self, mode: &'static str, body: Vec<u8>) -> Result<(), PublishError> {
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", mode)
            .body(body);
        let response = request.send().await.map_err(|error| {
            let what = if error.is_timeout() {
                "no answer in time"
            } else {
                "no connection"
            };
            PublishError::retryable(what)
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|value| {
            let seconds: u64 = value.to_str().ok()?.parse().ok()?;
            Some(Duration::from_secs(seconds))
        });
        let reason = format!("HTTP {}", status.as_u16());
        if refuses_the_event(status) {
            Err(PublishError::Permanent { reason })
        } else {
            Err(PublishError::Retryable { reason, after })
        }
    }
}

/// Whether another event may be taken where this one was not. 401 and the like are a matter of whoever runs the relay.
fn refuses_the_event(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    )
}

#[async_trait]
impl Publisher for Http {
    async fn publish(&self, batch: &Batch) {
        let events: Vec<_> = batch
            .events()
            .iter()
            .map(|outgoing| outgoing.told(self.outbox.as_deref()))
            .collect();
        let whole = match serde_json::to_vec(&events) {
            Ok(body) => self.post("application/cloudevents-batch+json", body).await,
            Err(error) => Err(PublishError::permanent(format!("an event is no JSON: {error}"))),
        };
        match whole {
            // All or nothing was taken: which one it is about is found by sending them alone.
            Err(PublishError::Permanent { .. }) => {
                batch
                    .each(1, async |outgoing| {
                        let body =
                            serde_json::to_vec(&outgoing.told(self.outbox.as_deref())).map_err(|error| {
                                PublishError::permanent(format!("the event is no JSON: {error}"))
                            })?;
                        self.post("application/cloudevents+json", body).await
                    })
                    .await;
            }
            outcome => {
                for index in 0..events.len() {
                    batch.settle(index, outcome.clone());
                }
            }
        }
    }
}
