//! The webhook source: calls of other services at `/webhooks/NAME`.
//!
//! The signature is checked over the body as it came, before anything of it is read; with several secrets any of them may
//! have signed, so that they can be rotated. The event's id is that of the delivery, so what a service delivers again is the same
//! event. Answered with 202 when the event is durable; anything else makes the service deliver again.
//!
//! | scheme | signed is | delivery id | event, unless `codec` says otherwise |
//! |---|---|---|---|
//! | `standard` | [Standard Webhooks](https://www.standardwebhooks.com): id, time and body | `webhook-id` | `type`, `timestamp` and `data` of the body |
//! | `github` | the body | `X-GitHub-Delivery` | type `github.` and `X-GitHub-Event`; `ping` is answered and is no event |
//! | `stripe` | time and body | the body's `id` | type `stripe.` and the body's `type` |
//! | `{ hmac = … }` | the body | `id_header`, else a digest of the body | as the codec `auto` has it |
//! | `{ token = … }` | nothing: a secret in a header is compared | likewise | likewise |

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use segno_event::Confidential;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    Clock, Codec, Error, Intake, Served, SystemClock,
    answer::{Problem, decode, read_body, take, text},
    codec::{Mapping, object},
    source::{Built, origin},
};

mod signature;

pub use signature::{Algorithm, Encoding, Hmac, Scheme, Token};
use signature::{Keys, Refusal};

/// Largest body, unless told otherwise; no event may be larger than this.
const MAX_BYTES: usize = 1 << 20;

/// Options of a webhook source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// How the sender signs.
    pub scheme: Scheme,
    /// The secrets, any of which may have signed.
    pub secrets: Vec<Confidential>,
    /// How a delivery is read.
    pub codec: Option<Codec>,
    /// The header with the delivery's id, of `hmac` and `token`.
    pub id_header: Option<String>,
    /// How old a signature may be, or how far ahead, where it is of a time. Five minutes, unless told otherwise.
    #[serde(default = "tolerance", deserialize_with = "crate::duration::read")]
    pub tolerance: Duration,
    /// Largest body, in bytes.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
}

fn tolerance() -> Duration {
    Duration::from_secs(300)
}

fn max_bytes() -> usize {
    MAX_BYTES
}

/// From a delivery of Standard Webhooks to an event.
const STANDARD: &str = r#".body | {type, data} + (if .timestamp then {time: .timestamp} else {} end)"#;
/// From a delivery of GitHub to an event.
const GITHUB: &str = r#". as $in | {
    type: ("github." + $in.headers["x-github-event"]),
    data: $in.body
} + (if $in.body.repository.html_url then {source: $in.body.repository.html_url} else {} end)
  + (if $in.body.action then {action: $in.body.action} else {} end)"#;
/// From a delivery of Stripe to an event.
const STRIPE: &str = r#".body | {id, type: ("stripe." + .type), time: (.created | todate), data: .}
    + (if .data.object.id then {subject: .data.object.id} else {} end)"#;

pub(crate) fn build(
    options: Options,
    name: &str,
    _: &Path,
    intake: &Arc<dyn Intake>,
) -> Result<Built, Error> {
    build_at(options, name, intake, Arc::new(SystemClock))
}

fn build_at(
    options: Options,
    name: &str,
    intake: &Arc<dyn Intake>,
    clock: Arc<dyn Clock>,
) -> Result<Built, Error> {
    if !(1..=MAX_BYTES).contains(&options.max_bytes) {
        return Err(Error(format!("`max_bytes` is from 1 to {MAX_BYTES}")));
    }
    let keys = Keys::new(&options.scheme, &options.secrets)?;
    let ours = match options.scheme {
        Scheme::Standard => Some(STANDARD),
        Scheme::Github => Some(GITHUB),
        Scheme::Stripe => Some(STRIPE),
        Scheme::Hmac(_) | Scheme::Token(_) => None,
    };
    let by_scheme = options.codec.is_none() && ours.is_some();
    let codec = match (options.codec.clone(), ours) {
        (Some(codec), _) => codec,
        (None, Some(mapping)) => {
            Codec::Map(Mapping::compile(mapping).map_err(|error| Error(error.to_string()))?)
        }
        (None, None) => Codec::Auto,
    };
    let path = format!("/webhooks/{name}");
    let webhook = Arc::new(Webhook {
        origin: origin(name),
        keys,
        codec,
        by_scheme,
        intake: Arc::clone(intake),
        clock,
        options,
    });
    let router = Router::new().route(&path, post(call)).with_state(webhook);
    Ok(Built::Served(Served { router, path }))
}

struct Webhook {
    origin: String,
    keys: Keys,
    codec: Codec,
    /// The codec is that of the scheme, for which a body is always a JSON object.
    by_scheme: bool,
    intake: Arc<dyn Intake>,
    clock: Arc<dyn Clock>,
    options: Options,
}

async fn call(
    State(webhook): State<Arc<Webhook>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read_body(body, webhook.options.max_bytes).await?;
    if let Err(refusal) = webhook.verify(&headers, &body) {
        tracing::warn!(source = webhook.origin, reason = %refusal, "a webhook was refused");
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "bad-signature",
            refusal.to_string(),
        ));
    }
    if webhook.is_ping(&headers) {
        return Ok((StatusCode::OK, Json(json!({"ping": true}))).into_response());
    }
    let id = webhook.id(&headers, &body);
    let count = webhook.take(&headers, &body, id).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"events": count}))).into_response())
}

impl Webhook {
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        self.keys.verify(
            &self.options.scheme,
            headers,
            body,
            self.clock.now(),
            self.options.tolerance,
        )
    }

    fn is_ping(&self, headers: &HeaderMap) -> bool {
        matches!(self.options.scheme, Scheme::Github) && text(headers, "x-github-event") == Some("ping")
    }

    /// The delivery's id. Of a body that comes without one a digest of it: the same body is then the same event.
    fn id(&self, headers: &HeaderMap, body: &[u8]) -> String {
        let header = match &self.options.scheme {
            Scheme::Standard => Some("webhook-id"),
            Scheme::Github => Some("x-github-delivery"),
            Scheme::Stripe => None,
            Scheme::Hmac(_) | Scheme::Token(_) => self.options.id_header.as_deref(),
        };
        let given = header
            .and_then(|name| text(headers, name))
            .filter(|id| !id.is_empty());
        given.map_or_else(
            || format!("sha256-{}", hex::encode(Sha256::digest(body))),
            str::to_owned,
        )
    }

    async fn take(&self, headers: &HeaderMap, body: &Bytes, id: String) -> Result<usize, Problem> {
        // A mapping takes any text, and would only say that the text is no object.
        if self.by_scheme
            && let Err(malformed) = object(body)
        {
            tracing::warn!(source = self.origin, reason = %malformed, "a webhook is no event");
            let status = StatusCode::BAD_REQUEST;
            return Err(Problem::new(status, "invalid-event", malformed.to_string()));
        }
        let events = decode(&self.codec, &self.origin, headers, (id, body.clone()), "webhook").await?;
        take(&*self.intake, &events).await?;
        Ok(events.len())
    }
}

#[cfg(test)]
mod tests;
