//! The gRPC port as its users set it up.

use std::{future::Future, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport;

use super::{
    accept::{self, accept},
    connection::Connections,
    grpc::{self, Port},
    tls::Tls,
};
use crate::{
    Error, Handle,
    access::{ApiKeys, Gate, ServerLimits},
};

/// Bytes that a client may send on one connection before they are read. HTTP/2 calls that send a small frame each use
/// up a budget that h2 derives from this, and a connection over it is closed (`too_many_data_frames`): with the small
/// window of HTTP/2's default, or an adaptive one, which begins with that, some hundred calls at once are too many.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes of one call, likewise.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;

/// The gRPC port of an engine: who may call it, how, and how much.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let engine = segno_engine::Engine::open(segno_engine::Options::new("engine.db")).await?;
/// use segno_engine::{ApiKeys, Grant, Server, Tls};
///
/// let mut keys = ApiKeys::new();
/// let orders = Grant {
///     name: "orders".into(),
///     namespaces: Some(["orders".into()].into()),
///     is_admin: false,
/// };
/// keys.add(&std::env::var("ORDERS_API_KEY")?, orders)?;
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:7233").await?;
/// Server::new()
///     .with_tls(Tls::from_files("server.pem", "server.key", None)?)
///     .with_api_keys(keys)
///     .serve(&engine.handle(), listener, std::future::pending())
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Server {
    tls: Option<Arc<Tls>>,
    keys: ApiKeys,
    limits: ServerLimits,
    allow_unauthenticated: bool,
    allow_plaintext: bool,
}

/// An address that other machines can reach, and what is missing for it to be safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exposure {
    /// Nothing authenticates who calls.
    #[error(
        "{address} can be reached from other machines and nothing here authenticates who calls; listen on a loopback \
         address, or require client certificates or API keys, or allow it expressly if something in front of it does"
    )]
    Unauthenticated {
        /// The address.
        address: SocketAddr,
    },
    /// API keys would cross the network as they are.
    #[error(
        "{address} can be reached from other machines, and without TLS the network sees the API keys; give a \
         certificate and its key, or allow it expressly if something in front of it encrypts"
    )]
    Plaintext {
        /// The address.
        address: SocketAddr,
    },
}

impl Server {
    /// A port for this machine alone: without TLS and API keys, with the usual limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encrypts, and authenticates clients by certificates if `tls` names their authorities.
    pub fn with_tls(self, tls: Tls) -> Self {
        Self {
            tls: Some(Arc::new(tls)),
            ..self
        }
    }

    /// Takes only calls with one of these keys, each for its namespaces. Without any key everybody may call.
    pub fn with_api_keys(self, keys: ApiKeys) -> Self {
        Self { keys, ..self }
    }

    /// Sets what clients may hold.
    pub fn with_limits(self, limits: ServerLimits) -> Self {
        Self { limits, ..self }
    }

    /// Allows an address that other machines can reach although nothing here authenticates who calls.
    pub fn allow_unauthenticated(self, allow: bool) -> Self {
        Self {
            allow_unauthenticated: allow,
            ..self
        }
    }

    /// Allows API keys without TLS on an address that other machines can reach.
    pub fn allow_plaintext(self, allow: bool) -> Self {
        Self {
            allow_plaintext: allow,
            ..self
        }
    }

    /// Whether this may listen on that address.
    ///
    /// API keys without TLS have a permission of their own: who says that something in front authenticates has not
    /// said that it encrypts as well, and a key that was read on its way is good for every other way.
    ///
    /// # Errors
    /// When other machines can reach it and it would not be safe.
    pub fn check(&self, address: SocketAddr) -> Result<(), Exposure> {
        if address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let has_keys = !self.keys.is_empty();
        let is_authenticated = has_keys || self.tls.as_ref().is_some_and(|tls| tls.authenticates_clients());
        if !is_authenticated && !self.allow_unauthenticated {
            return Err(Exposure::Unauthenticated { address });
        }
        if has_keys && self.tls.is_none() && !self.allow_plaintext {
            return Err(Exposure::Plaintext { address });
        }
        Ok(())
    }

    /// Serves the engine's gRPC API on `listener` until `shutdown` resolves and the calls under way have been
    /// answered.
    ///
    /// # Errors
    /// When the address is not safe as [`check`](Self::check) says, or the listener fails.
    pub async fn serve(
        self,
        engine: &Handle,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let address = listener.local_addr().map_err(Error::Listen)?;
        self.check(address)?;
        let Self {
            tls, keys, limits, ..
        } = self;
        let service = engine.service().with_bounded_queue(limits.queued_requests);
        let port = Port::new(service, Gate::new(keys, &limits));
        let connections = Connections::new(limits.clone());
        let (ready, incoming) = mpsc::channel(accept::WAITING);
        let accepting = AbortOnDrop(tokio::spawn(accept(listener, tls, connections.clone(), ready)));
        let _watching = AbortOnDrop(tokio::spawn(Connections::watch(Arc::downgrade(&connections))));
        let stop = async move {
            shutdown.await;
            drop(accepting);
        };
        let server = transport::Server::builder()
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_concurrent_streams(limits.streams)
            .http2_max_header_list_size(limits.header_bytes)
            .http2_keepalive_interval(Some(limits.keepalive_interval))
            .http2_keepalive_timeout(Some(limits.keepalive_timeout));
        grpc::serve(server, port, ReceiverStream::new(incoming), stop).await
    }
}

/// Serves the engine's gRPC API on `listener`, an address of this machine alone, until `shutdown` resolves and the
/// calls under way have been answered. [`Server`] has more to set.
///
/// # Errors
/// When other machines can reach the address, or the listener fails.
pub async fn serve(
    engine: &Handle,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    Server::new().serve(engine, listener, shutdown).await
}

/// A task that ends with what has started it.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Grant;

    #[test]
    fn only_this_machine_reaches_what_is_not_safe() {
        let mut keys = ApiKeys::new();
        let all = Grant {
            name: "all".into(),
            namespaces: None,
            is_admin: true,
        };
        keys.add("0123456789abcdef", all).unwrap();
        let (plain, keyed) = (Server::new(), Server::new().with_api_keys(keys));
        for address in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let address = address.parse().unwrap();
            assert_eq!((plain.check(address), keyed.check(address)), (Ok(()), Ok(())));
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
            let address = address.parse().unwrap();
            assert_eq!(plain.check(address), Err(Exposure::Unauthenticated { address }));
            assert_eq!(keyed.check(address), Err(Exposure::Plaintext { address }));
            assert_eq!(plain.clone().allow_unauthenticated(true).check(address), Ok(()));
            // That nobody has to be authenticated does not mean that keys may be read.
            let keyed = keyed.clone();
            assert!(keyed.clone().allow_unauthenticated(true).check(address).is_err());
            assert_eq!(keyed.allow_plaintext(true).check(address), Ok(()));
        }
    }
}
