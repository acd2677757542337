//! The connection, and publishing down it.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    connection::State,
    jetstream::{
        self, Context,
        context::{PublishError, PublishErrorKind},
    },
};
use bytes::Bytes;
use segno_nats::Login;
use tokio::sync::OnceCell;

use crate::Failure;

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
    login: Login,
    context: OnceCell<Context>,
}

impl Connection {
    pub(super) fn new(login: Login) -> Self {
        Self {
            login,
            context: OnceCell::new(),
        }
    }

    async fn connect(&self) -> Result<Context, Failure> {
        let options = self.login.options().reconnect_delay_callback(|_| RECONNECT);
        let client = options
            .connect(self.login.servers.as_slice())
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
