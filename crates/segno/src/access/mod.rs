//! Who may use the HTTP API, and what is recorded of it.
//!
//! ```text
//! request ── origin ── guard ──────────────────────── handler
//!                        │ who?   token, session, nobody
//!                        │ may?   the table says what the path asks for
//!                        └ records what is to be changed, and what became of it
//! ```

pub(crate) mod audit;
mod guard;
pub(crate) mod oidc;
pub(crate) mod peer;
pub(crate) mod request_id;
mod role;
pub(crate) mod sessions;
mod table;
mod throttle;
mod tokens;

use std::{net::IpAddr, sync::Arc};

pub use role::{Need, NoRole, Role};
pub use table::TABLE;
#[cfg(test)]
pub(crate) use table::listed;
pub(crate) use table::need;
pub use tokens::TokenError;

pub(crate) use guard::{
    Guard, Signed, cookie, guard, is_secure, set_cookie, slow, unauthenticated, unavailable,
};

use oidc::Oidc;
use sessions::Sessions;
use throttle::Throttle;
use tokens::Tokens;

use crate::config::Http;

/// What the actor is called where nobody signs in.
const LOCAL: &str = "local";

/// Somebody, and their role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    /// The token's name, or the person's as the identity provider has it.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
}

impl Who {
    pub(crate) fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
        }
    }

    /// Whoever reaches a port that nobody signs in to.
    fn local() -> Self {
        Self::new(LOCAL, Role::Admin)
    }
}

/// Who may call, as configured, and who has signed in.
pub(crate) struct Access {
    tokens: Tokens,
    oidc: Option<Oidc>,
    pub(crate) sessions: Sessions,
    failures: Throttle,
}

/// Who may call cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The client that asks the provider cannot be made.
    #[error("the OpenID Connect provider cannot be asked")]
    Client(#[from] reqwest::Error),
}

/// A token that is none.
pub(crate) enum Refused {
    /// Nobody's.
    Wrong,
    /// The provider would know, and does not answer.
    Unavailable(String),
    /// From this address too many were wrong lately: the next is looked at after that time.
    Slow(std::time::Duration),
}

impl Access {
    /// Reads the tokens from where they are. The provider is not asked yet: it may be away when this starts.
    ///
    /// # Errors
    /// When one cannot be read or used.
    pub(crate) fn new(http: &Http) -> Result<Self, AccessError> {
        Ok(Self {
            tokens: Tokens::read(&http.tokens)?,
            oidc: http.oidc.clone().map(Oidc::new).transpose()?,
            sessions: Sessions::default(),
            failures: Throttle::default(),
        })
    }

    /// Whether callers have to say who they are.
    pub(crate) fn is_asked_for(&self) -> bool {
        !self.tokens.is_empty() || self.oidc.is_some()
    }

    /// The provider, where there is one.
    pub(crate) fn oidc(&self) -> Option<&Oidc> {
        self.oidc.as_ref()
    }

    /// Whether there are tokens.
    pub(crate) fn takes_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whose token this is. A right one is taken from any address, at any time: guessing is slowed down, work is not.
    pub(crate) async fn who(&self, token: &str, from: IpAddr) -> Result<Who, Refused> {
        if let Some(who) = self.tokens.who(token) {
            return Ok(who.clone());
        }
        if let Some(oidc) = &self.oidc {
            match oidc.who(token).await {
                Some(Ok(who)) => return Ok(who),
                Some(Err(error @ oidc::Error::Provider(_))) => {
                    return Err(Refused::Unavailable(error.to_string()));
                }
                Some(Err(error)) => tracing::warn!(%error, %from, "a token of the provider's is refused"),
                None => {}
            }
        }
        if let Some(wait) = self.failures.wait(from) {
            return Err(Refused::Slow(wait));
        }
        self.failures.failed(from);
        Err(Refused::Wrong)
    }
}
