//! How Segno connects to NATS: what the source and the sink have in common.

mod credentials;

use std::{path::PathBuf, time::Duration};

use async_nats::{ConnectOptions, ServerAddr};
use segno_event::Confidential;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The servers to connect to, as whom, and whom to trust.
#[derive(Debug)]
pub struct Login {
    /// The servers; one of their URLs may have a name and a password, or a token in place of the name.
    pub servers: Vec<ServerAddr>,
    /// A file with the authorities (PEM) that the servers are trusted by, in place of the machine's. With it nothing is sent
    /// without TLS.
    pub ca: Option<PathBuf>,
    /// A token.
    pub token: Option<Confidential>,
    /// The seed of an NKey.
    pub nkey: Option<Confidential>,
    /// A file with a user's JWT and seed, as `nsc` makes it.
    pub credentials: Option<PathBuf>,
}

impl Login {
    /// The options of a connection that signs in with all of it. Files are read whenever the connection is made.
    pub fn options(&self) -> ConnectOptions {
        let options = match &self.credentials {
            Some(path) => credentials::signing_in(path.clone()),
            None => ConnectOptions::new(),
        };
        let mut options = options.name("segno").connection_timeout(CONNECT);
        if let Some(path) = &self.ca {
            options = options.add_root_certificates(path.clone()).require_tls(true);
        }
        // The library leaves out what the URLs say of it; a name alone is a token.
        // <https://docs.nats.io/using-nats/developer/connecting/userpass>
        if let Some(user) = self.servers.iter().find_map(ServerAddr::username) {
            options = match self.servers.iter().find_map(ServerAddr::password) {
                Some(password) => options.user_and_password(decoded(user), decoded(password)),
                None => options.token(decoded(user)),
            };
        }
        if let Some(token) = &self.token {
            options = options.token(token.expose().to_owned());
        }
        if let Some(seed) = &self.nkey {
            options = options.nkey(seed.expose().to_owned());
        }
        options
    }
}

/// The servers of a list of URLs with commas between them, such as `nats://user:password@host:4222`; None if one of them is no
/// such URL.
pub fn servers(urls: &Confidential) -> Option<Vec<ServerAddr>> {
    let urls = urls.expose().split(',');
    urls.map(|url| url.trim().parse().ok()).collect()
}

/// A part of a URL, without its percent signs.
fn decoded(text: &str) -> String {
    // As the value of a form, in which these two would mean something else.
    let form = format!("text={}", text.replace('+', "%2B").replace('&', "%26"));
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
