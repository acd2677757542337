//! Serving the API on its port, with TLS or without.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::connect_info::Connected, serve::IncomingStream};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{access::peer::Peer, listen::Listener, tls::Tls};

/// How long a client may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Clients that do so at the same time; the others wait to be accepted.
const HANDSHAKES: usize = 512;
/// How often it is looked whether certificates have changed.
const LOOK: Duration = Duration::from_secs(10);

/// Serves until `drain`, and then until the requests under way are answered.
pub(crate) async fn serve(
    listener: Listener,
    tls: Option<Tls>,
    router: Router,
    drain: CancellationToken,
) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<Peer>();
    match tls {
        None => {
            axum::serve(Plain(listener), service)
                .with_graceful_shutdown(drain.cancelled_owned())
                .await
        }
        Some(tls) => {
            axum::serve(Encrypted::new(listener, tls), service)
                .with_graceful_shutdown(drain.cancelled_owned())
                .await
        }
    }
}

/// Answers are small and complete: nothing is gained by waiting for more to send.
fn hurry(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
}

/// Connections as they come.
struct Plain(Listener);

impl axum::serve::Listener for Plain {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        // axum's own for TCP goes on after what is wrong with one connection, and pauses when there are no files left.
        let (stream, address) = axum::serve::Listener::accept(self.0.inner_mut()).await;
        hurry(&stream);
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.address())
    }
}

impl Connected<IncomingStream<'_, Plain>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Plain>) -> Self {
        Self {
            address: *stream.remote_addr(),
            is_encrypted: false,
        }
    }
}

/// Connections once TLS is agreed on: a client that takes its time holds up no other.
struct Encrypted {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    _accepting: DropGuard,
}

impl Encrypted {
    fn new(listener: Listener, tls: Tls) -> Self {
        let (ready, receiver) = mpsc::channel(1);
        let (address, stop) = (listener.address(), CancellationToken::new());
        let tls = Arc::new(tls);
        tokio::spawn(stop.clone().run_until_cancelled_owned(refresh(Arc::clone(&tls))));
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(accept(listener, tls, ready)),
        );
        Self {
            address,
            ready: receiver,
            _accepting: stop.drop_guard(),
        }
    }
}

impl axum::serve::Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // Nothing is accepted any more; what is being served goes on.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Encrypted>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Encrypted>) -> Self {
        Self {
            address: *stream.remote_addr(),
            is_encrypted: true,
        }
    }
}

async fn accept(
    mut listener: Listener,
    tls: Arc<Tls>,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (stream, address) = axum::serve::Listener::accept(listener.inner_mut()).await;
        hurry(&stream);
        let (acceptor, ready) = (TlsAcceptor::from(tls.config()), ready.clone());
        tokio::spawn(async move {
            if let Some(stream) = handshake(&acceptor, stream, address).await {
                drop(slot);
                drop(ready.send((stream, address)).await);
            }
        });
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    acceptor: &TlsAcceptor,
    stream: S,
    address: SocketAddr,
) -> Option<TlsStream<S>> {
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "TLS was not agreed on");
            None
        }
        Err(_) => {
            tracing::debug!(%address, "TLS was not agreed on in time");
            None
        }
    }
}

/// Looks after the certificates.
async fn refresh(tls: Arc<Tls>) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let tls = Arc::clone(&tls);
        drop(tokio::task::spawn_blocking(move || tls.refresh()).await);
    }
}
