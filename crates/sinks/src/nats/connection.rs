//! The connection, and publishing down it.

use std::{path::PathBuf, time::Duration};

use async_nats::{
    ConnectOptions, HeaderMap, ServerAddr,
    connection::State,
    jetstream::{
        self, Context,
        context::{PublishError, PublishErrorKind},
    },
};
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::credentials;
use crate::{Confidential, Failure};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an acknowledgement may take.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);
/// Between two attempts to connect again.
const RECONNECT: Duration = Duration::from_millis(250);
/// The stream takes no message as large as this one.
/// <https://github.com/nats-io/nats-server/blob/main/server/errors.json>
const MESSAGE_TOO_LARGE: u64 = 10_054;

/// A connection: made with the first message, and again by itself.
#[derive(Debug)]
pub(super) struct Connection {
    servers: Vec<ServerAddr>,
    login: Login,
    context: OnceCell<Context>,
}

/// Who connects, and whom is trusted.
#[derive(Debug)]
pub(super) struct Login {
    /// The authorities that the servers are trusted by.
    pub(super) ca: Option<PathBuf>,
    pub(super) token: Option<Confidential>,
    pub(super) nkey: Option<Confidential>,
    pub(super) credentials: Option<PathBuf>,
}

impl Connection {
    pub(super) fn new(servers: Vec<ServerAddr>, login: Login) -> Self {
        Self {
            servers,
            login,
            context: OnceCell::new(),
        }
    }

    async fn connect(&self) -> Result<Context, Failure> {
        let options = match &self.login.credentials {
            Some(path) => credentials::signing_in(path.clone()),
            None => ConnectOptions::new(),
        };
        let mut options = options
            .name("segno")
            .connection_timeout(CONNECT)
            .reconnect_delay_callback(|_| RECONNECT);
        if let Some(path) = &self.login.ca {
            options = options.add_root_certificates(path.clone()).require_tls(true);
        }
        if let Some(user) = self.servers.iter().find_map(ServerAddr::username) {
            options = signing_in(options, &self.servers, user);
        }
        if let Some(token) = &self.login.token {
            options = options.token(token.expose().to_owned());
        }
        if let Some(seed) = &self.login.nkey {
            options = options.nkey(seed.expose().to_owned());
        }
        let client = options
            .connect(self.servers.as_slice())
            .await
            .map_err(|error| Failure::retryable(format!("NATS cannot be reached: {error}")))?;
        let mut context = jetstream::new(client);
        context.set_timeout(ACKNOWLEDGE);
        Ok(context)
    }

    /// Publishes, and waits until the stream has the message.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), Failure> {
        let context = self.context.get_or_try_init(|| self.connect()).await?;
        // What is published without a connection waits in the client, and might be sent after it has been given up.
        if context.client().connection_state() != State::Connected {
            return Err(Failure::retryable(
                "NATS cannot be reached: the connection is lost",
            ));
        }
        let told = |error: PublishError| failure(&error, &subject);
        let acknowledged = context.publish_with_headers(subject.clone(), headers, payload);
        acknowledged.await.map_err(told)?.await.map_err(told)?;
        Ok(())
    }
}

/// With the name and password of the servers' URLs, which the library leaves out; a name alone is a token.
/// <https://docs.nats.io/using-nats/developer/connecting/userpass>
fn signing_in(options: ConnectOptions, servers: &[ServerAddr], user: &str) -> ConnectOptions {
    match servers.iter().find_map(ServerAddr::password) {
        Some(password) => options.user_and_password(decoded(user), decoded(password)),
        None => options.token(decoded(user)),
    }
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

fn failure(error: &PublishError, subject: &str) -> Failure {
    let source = std::error::Error::source(error);
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => {
            Failure::permanent("the message is larger than the NATS server takes (its `max_payload`)")
        }
        PublishErrorKind::StreamNotFound => Failure::retryable(format!(
            "no stream of JetStream takes messages of the subject {subject:?}: create one, or JetStream is starting"
        )),
        _ => {
            let refused = source.and_then(|source| source.downcast_ref::<jetstream::Error>());
            if refused.is_some_and(|refused| refused.error_code().0 == MESSAGE_TOO_LARGE) {
                return Failure::permanent(
                    "the message is larger than the stream takes (its `max_msg_size`)",
                );
            }
            let source = source.map(|source| format!(": {source}")).unwrap_or_default();
            Failure::retryable(format!("NATS did not take the message: {}{source}", error.kind()))
        }
    }
}
