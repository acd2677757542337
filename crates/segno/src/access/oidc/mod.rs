//! Signing in at an OpenID Connect provider: the authorization code flow with PKCE, and tokens of its that programs send.
//!
//! ```text
//! browser ── GET /session/oidc ──▶ here: state, nonce, verifier kept; a cookie binds them to this browser
//!    │  303 to the provider ◀───────┘
//!    ├── signs in there
//!    └── GET /session/oidc/callback?code&state ──▶ here ── code, verifier ──▶ provider
//!                                  session cookie ◀──┘ ◀── id token: signature, issuer, audience, time, nonce
//! ```

mod crypto;
mod pending;
mod provider;
mod token;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use url::Url;

use super::{
    Who,
    sessions::{NoRandomness, random},
    tokens::hash,
};
use crate::config::Oidc as Config;
pub(crate) use pending::PATIENCE;
use pending::{Pending, Waiting};
use provider::{Provider, fetch};

/// Where the provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/session/oidc/callback";

/// Between two looks at a provider that has not answered yet.
const GREETING: Duration = Duration::from_secs(3);

/// Somebody could not sign in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The provider is away, or not what it should be.
    #[error("the provider cannot be asked: {0}")]
    Provider(String),
    /// A token is not good.
    #[error("the provider's token is not good: {0}")]
    Token(String),
    /// The browser comes back with what it was not sent with.
    #[error("this sign-in was not begun in this browser, or too long ago: begin again")]
    NotBegun,
    /// The provider has not let the person in.
    #[error("the provider has not let you in: {0}")]
    Refused(String),
    /// Somebody whom no role is for.
    #[error("{0} has no role here: `roles` of [http.oidc] says who has which")]
    NoRole(String),
    /// The system is out of randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// A provider, and those who are signing in there.
pub(crate) struct Oidc {
    config: Config,
    provider: Provider,
    pending: Pending,
}

/// Where to send a browser, and the text that binds it.
pub(crate) struct Begun {
    pub(crate) location: Url,
    pub(crate) binding: String,
}

/// What a browser comes back with.
#[derive(Debug, Deserialize)]
pub(crate) struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Oidc {
    pub(crate) fn new(config: Config) -> Result<Self, reqwest::Error> {
        Ok(Self {
            provider: Provider::new(config.issuer.clone())?,
            config,
            pending: Pending::default(),
        })
    }

    /// Asks the provider until it has answered once, so that the log says from the start whether people can sign in.
    pub(crate) async fn greet(&self) {
        let issuer = &self.config.issuer;
        let mut is_said = false;
        loop {
            match self.provider.metadata().await {
                Ok(_) => {
                    tracing::info!(%issuer, "people can sign in at the provider");
                    return;
                }
                Err(error) if !is_said => {
                    is_said = true;
                    tracing::warn!(%error, %issuer, "nobody can sign in at the provider yet: it is asked until it answers");
                }
                Err(_) => {}
            }
            tokio::time::sleep(GREETING).await;
        }
    }

    /// The provider's host, as a page calls it.
    pub(crate) fn name(&self) -> &str {
        self.config.issuer.host_str().unwrap_or_default()
    }

    /// Where browsers reach this Segno, if that is configured.
    pub(crate) fn url(&self) -> Option<&Url> {
        self.config.url.as_ref()
    }

    /// Begins to sign somebody in, who is reached at `base` and wants to see `next`.
    pub(crate) async fn begin(&self, base: &Url, next: &str) -> Result<Begun, Error> {
        let metadata = self.provider.metadata().await?;
        let mut callback = base.clone();
        let path = format!("{}{CALLBACK}", callback.path().trim_end_matches('/'));
        callback.set_path(&path);
        let (state, nonce, verifier, binding) = (random()?, random()?, random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(hash(verifier.as_bytes()));
        let mut location = metadata.authorization_endpoint;
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", callback.as_str())
            .append_pair("scope", &self.config.scopes.join(" "))
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let waiting = Waiting::new(&binding, nonce, verifier, callback, next.to_owned());
        self.pending.put(&state, waiting);
        Ok(Begun { location, binding })
    }

    /// Ends it: who this is, and the page that was wanted. `binding` is what the browser was given.
    pub(crate) async fn end(&self, back: Back, binding: &str) -> Result<(Who, String), Error> {
        let state = back.state.as_deref().unwrap_or_default();
        let waiting = self.pending.take(state, binding).ok_or(Error::NotBegun)?;
        if let Some(error) = back.error {
            let name = error.chars().filter(|c| c.is_ascii_graphic()).take(64);
            return Err(Error::Refused(name.collect()));
        }
        let code = back.code.ok_or(Error::NotBegun)?;
        let metadata = self.provider.metadata().await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", waiting.callback.as_str()),
            ("client_id", self.config.client_id.as_str()),
            ("code_verifier", waiting.verifier.as_str()),
        ];
        let mut request = self.provider.http().post(metadata.token_endpoint.clone());
        if let Some(secret) = &self.config.client_secret {
            let methods = &metadata.token_endpoint_auth_methods_supported;
            let has = |method: &str| methods.iter().any(|known| known == method);
            // `client_secret_basic` is what a provider takes that says nothing (Discovery, section 3).
            if methods.is_empty() || has("client_secret_basic") {
                let encode =
                    |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encode(&self.config.client_id), Some(encode(secret.expose())));
            } else {
                form.push(("client_secret", secret.expose()));
            }
        }
        let tokens: Tokens = fetch(request.form(&form)).await.map_err(Error::Provider)?;
        let claims = self.verify(&tokens.id_token, &self.config.client_id).await?;
        let text = |claim: &str| claims.get(claim).and_then(|value| value.as_str());
        if text("nonce") != Some(waiting.nonce.as_str()) {
            return Err(Error::Token("it is of another sign-in".to_owned()));
        }
        if text("azp").is_some_and(|party| party != self.config.client_id) {
            return Err(Error::Token("it is for another program".to_owned()));
        }
        Ok((token::who(&self.config, &claims)?, waiting.next))
    }

    /// Whose token of the provider's this is, which a program sends; none if it does not look like one.
    pub(crate) async fn who(&self, token: &str) -> Option<Result<Who, Error>> {
        token::header(token)?;
        let claims = self.verify(token, &self.config.audience).await;
        Some(claims.and_then(|claims| token::who(&self.config, &claims)))
    }

    async fn verify(&self, text: &str, audience: &str) -> Result<token::Claims, Error> {
        let header = token::header(text).ok_or_else(|| Error::Token("it is none".to_owned()))?;
        let issuer = self.provider.metadata().await?;
        let keys = self
            .provider
            .keys(|keys| token::is_signer_missing(keys, &header))
            .await?;
        token::verify(text, &header, &keys, issuer.issuer(), audience)
    }
}
