//! The provider: where its endpoints are, and by which keys it signs.

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use reqwest::{Client, RequestBuilder};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::Error;

/// How long the provider may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// How long what it says of itself is good for.
const GOOD_FOR: Duration = Duration::from_secs(60 * 60);
/// The shortest time after which its keys are asked for again, because a token is signed by one that is not known.
const AGAIN: Duration = Duration::from_secs(10);
/// How long it is left alone once it has not answered: callers do not wait for it one after the other.
const ALONE: Duration = Duration::from_secs(2);

/// What a provider says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    #[serde(deserialize_with = "url")]
    pub(super) authorization_endpoint: Url,
    #[serde(deserialize_with = "url")]
    pub(super) token_endpoint: Url,
    #[serde(deserialize_with = "url")]
    jwks_uri: Url,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

/// Its keys (RFC 7517, section 5).
#[derive(Deserialize)]
struct Keys {
    keys: Vec<serde_json::Value>,
}

pub(super) struct Provider {
    http: Client,
    issuer: Url,
    /// Held while it is asked: one asks for all.
    known: Mutex<Knowledge>,
}

/// What it has said, and since when it says nothing.
#[derive(Default)]
struct Knowledge {
    said: Option<Known>,
    /// When it was asked last in vain, and what came of that.
    silent: Option<(Instant, String)>,
}

#[derive(Clone)]
struct Known {
    metadata: Metadata,
    keys: JwkSet,
    at: Instant,
}

impl Provider {
    pub(super) fn new(issuer: Url) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .timeout(TIMEOUT)
            // An answer from elsewhere is not the provider's.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            issuer,
            known: Mutex::default(),
        })
    }

    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    /// What it says of itself.
    pub(super) async fn metadata(&self) -> Result<Metadata, Error> {
        Ok(self.known(GOOD_FOR).await?.metadata)
    }

    /// Its keys; those of just now if `is_missing` says that one is missing among those from before.
    pub(super) async fn keys(&self, is_missing: impl Fn(&JwkSet) -> bool) -> Result<JwkSet, Error> {
        let known = self.known(GOOD_FOR).await?;
        if !is_missing(&known.keys) {
            return Ok(known.keys);
        }
        Ok(self.known(AGAIN).await?.keys)
    }

    /// What is known of it, no older than that.
    async fn known(&self, age: Duration) -> Result<Known, Error> {
        let mut known = self.known.lock().await;
        if let Some(said) = known.said.as_ref().filter(|said| said.at.elapsed() < age) {
            return Ok(said.clone());
        }
        let silent = known.silent.as_ref();
        let error = match silent.filter(|(since, _)| since.elapsed() < ALONE) {
            Some((_, error)) => error.clone(),
            None => match self.ask().await {
                Ok(fresh) => {
                    *known = Knowledge {
                        said: Some(fresh.clone()),
                        silent: None,
                    };
                    return Ok(fresh);
                }
                Err(error) => {
                    tracing::debug!(error, issuer = %self.issuer, "the provider does not answer");
                    known.silent = Some((Instant::now(), error.clone()));
                    error
                }
            },
        };
        // A provider that is away for a while does not shut out those who have its tokens.
        known.said.clone().ok_or(Error::Provider(error))
    }

    async fn ask(&self) -> Result<Known, String> {
        let mut url = self.issuer.clone();
        // After the whole of the issuer's path (section 4.1).
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{path}/.well-known/openid-configuration"));
        let metadata: Metadata = fetch(self.http.get(url)).await?;
        if metadata.issuer.trim_end_matches('/') != self.issuer.as_str().trim_end_matches('/') {
            let said = metadata.issuer;
            return Err(format!("it says that it is {said:?}, and not {}", self.issuer));
        }
        let keys: Keys = fetch(self.http.get(metadata.jwks_uri.clone())).await?;
        // A key of a kind that is not known here is for others.
        let keys = keys.keys.into_iter();
        let keys = keys.filter_map(|key| serde_json::from_value(key).ok()).collect();
        Ok(Known {
            metadata,
            keys: JwkSet { keys },
            at: Instant::now(),
        })
    }
}

impl Metadata {
    /// The issuer, letter by letter as its tokens have it.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// A JSON answer.
///
/// # Errors
/// Why there is none.
pub(super) async fn fetch<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, String> {
    let failed = |error: reqwest::Error| {
        // With what is below it: that nothing listens there, or whose certificate is not trusted.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut below = std::error::Error::source(&error);
        while let Some(error) = below {
            text = format!("{text}: {error}");
            below = error.source();
        }
        text
    };
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("it answers more than is read".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        // Of an error of OAuth 2.0 (RFC 6749, section 5.2) its name; nothing else of an answer, which may be secret.
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let name = error["error"].as_str().unwrap_or_default();
        return Err(format!("it answers {status} {name}").trim_end().to_owned());
    }
    serde_json::from_slice(&body).map_err(|_| "its answer is not what it should be".to_owned())
}
