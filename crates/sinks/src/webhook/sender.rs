//! One signed request and what its answer means.

use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use super::Method;
use crate::{
    Delivered, Failure, Secret,
    guard::{self, Blocked},
    retry_after,
    signature::{self, ID, SIGNATURE, TIMESTAMP},
};

/// How much of an answer is read so that its connection can be used again; longer ones cost theirs.
const READ_AT_MOST: usize = 64 * 1024;
/// How long the reading may take.
const READ_FOR: Duration = Duration::from_secs(1);

/// Sends webhooks over one pool of connections.
///
/// It follows no redirect (a redirect is a failure, as Standard Webhooks has it) and uses no proxy from the
/// environment: behind one, the guard would judge the proxy's address in place of the receiver's.
#[derive(Clone, Debug)]
pub struct Sender {
    client: reqwest::Client,
    allow_private: bool,
}

/// The HTTP client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up")]
pub struct SenderError(#[source] reqwest::Error);

/// One attempt to send one message.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: &'a Method,
    pub url: &'a Url,
    /// Sent along; `content-type` is theirs to set.
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    /// `webhook-id`: the same at every attempt, a different one for every message; visible ASCII without a
    /// full stop (see [`signature::message_id`]).
    pub id: &'a str,
    /// Each of them signs; without any there is no signature.
    pub secrets: &'a [Secret],
    /// How long the attempt may take, up to the head of the answer.
    pub timeout: Duration,
}

impl Sender {
    /// A sender that may reach private addresses, or may not.
    ///
    /// # Errors
    ///
    /// [`SenderError`], when the HTTP client's parts (TLS, resolver) cannot be had.
    pub fn new(allow_private: bool) -> Result<Self, SenderError> {
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("segno/", env!("CARGO_PKG_VERSION")));
        if !allow_private {
            client = client.dns_resolver(std::sync::Arc::new(guard::Resolver));
        }
        Ok(Self {
            client: client.build().map_err(SenderError)?,
            allow_private,
        })
    }

    /// Makes one attempt.
    ///
    /// # Errors
    ///
    /// [`Failure::Permanent`] for 410 Gone, which withdraws the receiver, and for an address that the guard
    /// refuses. All else that is not 2xx is [`Failure::Retryable`], other 4xx too: in practice they often
    /// stand for a receiver that is being deployed or configured, and a retry costs little next to a loss.
    pub async fn send(&self, request: Request<'_>) -> Result<Delivered, Failure> {
        let reply = self.exchange(request).await?;
        judge(reply.status, reply.retry_after)
    }

    /// Makes one attempt and gives back the answer, for those who can tell more from it.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send) without an answer.
    pub(crate) async fn exchange(&self, request: Request<'_>) -> Result<Reply, Failure> {
        // Literal addresses never come to the resolver.
        if !self.allow_private && !matches!(request.url.host(), Some(url::Host::Domain(_))) {
            guard::check_url(request.url).map_err(refused)?;
        }
        let headers = headers(&request, now())?;
        let sending = self
            .client
            .request(request.method.as_http().clone(), request.url.clone())
            .headers(headers)
            .body(request.body)
            .send();
        let response = match tokio::time::timeout(request.timeout, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(explain(&error)),
            Err(_) => {
                return Err(Failure::retryable(format!(
                    "no answer within {:?}",
                    request.timeout
                )));
            }
        };
        Ok(Reply {
            status: response.status(),
            retry_after: asks(response.headers(), now()),
            body: body(response).await,
        })
    }
}

/// An answer, whatever its status.
#[cfg_attr(
    not(any(feature = "pusher", feature = "slack")),
    expect(dead_code, reason = "for these sinks")
)]
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// How long it asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Its beginning, as far as it came in time.
    pub(crate) body: Vec<u8>,
}

/// The time that a message is signed at, and that a `Retry-After` counts from.
#[expect(
    clippy::disallowed_methods,
    reason = "receivers compare it with their own clocks"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The request's headers with those of Standard Webhooks.
fn headers(request: &Request<'_>, now: SystemTime) -> Result<HeaderMap, Failure> {
    let unsuitable = |_| Failure::permanent("the message's id cannot stand in a header");
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let mut headers = request.headers.clone();
    headers.insert(ID, HeaderValue::from_str(request.id).map_err(unsuitable)?);
    headers.insert(TIMESTAMP, timestamp.into());
    if request.body.is_empty() {
        // The HTTP library would say nothing, and some servers insist (411 Length Required).
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if !request.secrets.is_empty() {
        let signatures = signature::sign(request.secrets, request.id, timestamp, &request.body);
        headers.insert(SIGNATURE, HeaderValue::from_str(&signatures).map_err(unsuitable)?);
    }
    Ok(headers)
}

/// What an answer means.
fn judge(status: StatusCode, retry_after: Option<Duration>) -> Result<Delivered, Failure> {
    let code = Some(status.as_u16());
    if status.is_success() {
        return Ok(Delivered { status: code });
    }
    let reason = format!("the receiver answered {status}");
    if status == StatusCode::GONE {
        return Err(Failure::Permanent { reason, status: code });
    }
    Err(Failure::Retryable {
        reason,
        status: code,
        retry_after,
    })
}

/// How long an answer asks to be left alone.
fn asks(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    retry_after::parse(value, now)
}

fn refused(why: Blocked) -> Failure {
    Failure::permanent(format!("the receiver is not on the public internet: {why}"))
}

/// What a request without an answer failed of: the innermost cause, which is the plainest. The outermost
/// would show the URL.
fn explain(error: &reqwest::Error) -> Failure {
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
        if let Some(blocked) = cause.downcast_ref::<Blocked>() {
            return refused(blocked.clone());
        }
    }
    let what = if error.is_connect() {
        "cannot connect to the receiver"
    } else {
        "the request failed"
    };
    if std::ptr::addr_eq(cause, error) {
        return Failure::retryable(what);
    }
    Failure::retryable(format!("{what}: {cause}"))
}

/// The answer's body, or its beginning. Whether it comes to an end changes nothing about the outcome.
async fn body(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    let _ = tokio::time::timeout(READ_FOR, async {
        while let Ok(Some(chunk)) = response.chunk().await {
            if body.len() + chunk.len() > READ_AT_MOST {
                break;
            }
            body.extend_from_slice(&chunk);
        }
    })
    .await;
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_every_status() {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("7"))]);
        let asks = asks(&headers, UNIX_EPOCH);
        for code in 200..600 {
            let status = StatusCode::from_u16(code).unwrap();
            let outcome = judge(status, asks);
            match code {
                200..300 => assert_eq!(outcome, Ok(Delivered { status: Some(code) })),
                410 => {
                    assert!(matches!(
                        outcome,
                        Err(Failure::Permanent {
                            status: Some(410),
                            ..
                        })
                    ));
                }
                _ => assert!(
                    matches!(outcome, Err(Failure::Retryable { status: Some(c), retry_after: Some(wait), .. })
                        if c == code && wait == Duration::from_secs(7)),
                    "{code}"
                ),
            }
        }
    }
}
