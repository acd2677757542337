//! The EventBridge source: calls at `/eventbridge/NAME`, of two kinds.
//!
//! - **API destinations** of EventBridge post each event in its envelope. They authenticate by a connection: an API key in a
//!   header, or basic authentication.
//! - **`PutEvents`** of AWS's own clients, which are given the URL of this path as their endpoint. Their signatures
//!   (Signature Version 4) are checked where `keys` are configured. Each entry is answered for itself; those that are not
//!   taken now have an error code with which the client's user sends them again, as with AWS.
//!
//! Where any way to authenticate is configured, a call needs one that is: keys are for `PutEvents`, an API key and basic
//! authentication for API destinations.

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use segno_event::Confidential;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    Clock, Codec, Error, Intake, Served, SystemClock,
    answer::{Problem, decode, read_body, take, text},
    source::{Built, origin},
};

mod put_events;
mod sigv4;

/// Largest body. AWS's own limit for the entries of a call is a mebibyte, and escapes make JSON longer.
const MAX_BYTES: usize = 4 << 20;

/// Options of an EventBridge source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The access keys by which `PutEvents` may be signed.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// The API key of an API destination's connection.
    pub api_key: Option<ApiKey>,
    /// The user of an API destination's connection.
    pub basic: Option<Basic>,
    /// How what an API destination posts is read, where an input transformer makes something else of the envelope.
    #[serde(default)]
    pub codec: Codec,
}

/// An access key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its id.
    pub access_key_id: Confidential,
    /// Its secret.
    pub secret_access_key: Confidential,
    /// The token that has to come with it.
    pub session_token: Option<Confidential>,
}

/// An API key in a header.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The header.
    pub header: String,
    /// The key.
    pub value: Confidential,
}

/// A user's name and password.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Confidential,
}

pub(crate) fn build(
    options: Options,
    name: &str,
    _: &Path,
    intake: &Arc<dyn Intake>,
) -> Result<Built, Error> {
    let empty = |text: &Confidential| text.expose().is_empty();
    if options
        .keys
        .iter()
        .any(|key| empty(&key.access_key_id) || empty(&key.secret_access_key))
    {
        return Err(Error("a key of `keys` is empty".to_owned()));
    }
    if options
        .api_key
        .as_ref()
        .is_some_and(|key| key.header.is_empty() || empty(&key.value))
    {
        return Err(Error("`api_key` has an empty header or value".to_owned()));
    }
    let path = format!("/eventbridge/{name}");
    let bridge = Arc::new(Bridge {
        origin: origin(name),
        intake: Arc::clone(intake),
        clock: Arc::new(SystemClock),
        options,
    });
    // AWS's clients append a slash to a path.
    let router = Router::new()
        .route(&path, post(call))
        .route(&format!("{path}/"), post(call))
        .with_state(bridge);
    Ok(Built::Served(Served { router, path }))
}

struct Bridge {
    origin: String,
    intake: Arc<dyn Intake>,
    clock: Arc<dyn Clock>,
    options: Options,
}

async fn call(
    State(bridge): State<Arc<Bridge>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if headers.contains_key(put_events::TARGET) {
        let body = match read_body(body, MAX_BYTES).await {
            Ok(body) => body,
            Err(problem) => return put_events::Failure::too_large(&problem).into_response(),
        };
        let signed = sigv4::Request {
            method: method.as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: &headers,
            body: &body,
        };
        if let Err(failure) = bridge.verify(&signed) {
            tracing::warn!(
                source = bridge.origin,
                reason = failure.message,
                "PutEvents was refused"
            );
            return failure.into_response();
        }
        return put_events::answer(&*bridge.intake, &*bridge.clock, &headers, &body).await;
    }
    match bridge.destination(&headers, body).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(problem) => problem.into_response(),
    }
}

impl Bridge {
    fn is_open(&self) -> bool {
        let options = &self.options;
        options.keys.is_empty() && options.api_key.is_none() && options.basic.is_none()
    }

    fn verify(&self, request: &sigv4::Request<'_>) -> Result<(), put_events::Failure> {
        if self.is_open() {
            return Ok(());
        }
        sigv4::verify(request, &self.options.keys, self.clock.now())
    }

    async fn destination(&self, headers: &HeaderMap, body: Body) -> Result<(), Problem> {
        if !self.is_open() && !self.is_authentic(headers) {
            tracing::warn!(source = self.origin, "a call of an API destination was refused");
            let detail = "the call needs the API key, or the user and password, that the source has";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail));
        }
        let body = read_body(body, MAX_BYTES).await?;
        let id = digest(&[&body]);
        let events = decode(&self.options.codec, &self.origin, headers, (id, body), "call").await?;
        take(&*self.intake, &events).await
    }

    fn is_authentic(&self, headers: &HeaderMap) -> bool {
        let same = |given: Option<&str>, wanted: &str| {
            given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(wanted.as_bytes())))
        };
        let by_key = self
            .options
            .api_key
            .as_ref()
            .is_some_and(|key| same(text(headers, &key.header), key.value.expose()));
        let by_user = self.options.basic.as_ref().is_some_and(|basic| {
            let pair = STANDARD.encode(format!("{}:{}", basic.username, basic.password.expose()));
            let given = text(headers, header::AUTHORIZATION.as_str());
            same(given.and_then(|given| given.strip_prefix("Basic ")), &pair)
        });
        by_key | by_user
    }
}

/// The digest of parts, none of which can run into the next, in hexadecimal.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}
