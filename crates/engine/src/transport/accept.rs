//! From a listening socket to connections that HTTP/2 can be spoken on.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    connection::{Connections, Io, Listed, Stream},
    tls::Tls,
};

/// Connections that may wait to be served. Whoever accepts waits then, and the system's own queue fills.
pub(super) const WAITING: usize = 64;
/// After a failure of the system to accept, such as for want of file numbers.
const PAUSE: Duration = Duration::from_millis(100);
/// How often certificates are looked at for a change.
const REFRESH: Duration = Duration::from_secs(10);

/// Accepts connections and hands them on, each with TLS if there is one, until nobody takes them.
///
/// A handshake is made beside the others, so one that is slow delays nobody.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    connections: Arc<Connections>,
    ready: mpsc::Sender<Io>,
) {
    let mut handshakes = JoinSet::new();
    if let Some(tls) = &tls {
        handshakes.spawn(keep_fresh(tls.clone()));
    }
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = handshakes.join_next(), if !handshakes.is_empty() => continue,
        };
        let (stream, listed) = match accepted.and_then(|(stream, peer)| prepare(stream, peer, &connections)) {
            Ok(Some(prepared)) => prepared,
            Ok(None) => continue,
            Err(error) => {
                // A connection that has gone again is no reason to wait; for want of file numbers the next
                // attempt fails as well until one is free.
                if !is_of_one_connection(&error) {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
                continue;
            }
        };
        let Some(tls) = &tls else {
            if ready.send(Io::new(Stream::Plain(stream), listed)).await.is_err() {
                return;
            }
            continue;
        };
        let (acceptor, ready) = (TlsAcceptor::from(tls.config()), ready.clone());
        let most = connections.limits().handshake;
        handshakes.spawn(async move {
            let connection = listed.0.clone();
            let secured = tokio::select! {
                secured = timeout(most, acceptor.accept(stream)) => secured,
                () = connection.closed() => return,
            };
            match secured {
                Ok(Ok(stream)) => {
                    // Fails when the port is closing.
                    let _ = ready.send(Io::new(Stream::Tls(Box::new(stream)), listed)).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(peer = ?connection.peer(), %error, "no TLS with a client");
                }
                Err(_) => tracing::debug!(peer = ?connection.peer(), "a TLS handshake took too long"),
            }
        });
    }
}

fn prepare(
    stream: TcpStream,
    peer: SocketAddr,
    connections: &Arc<Connections>,
) -> io::Result<Option<(TcpStream, Listed)>> {
    let Some(connection) = connections.admit(Some(peer)) else {
        return Ok(None);
    };
    let listed = Listed(connection);
    // Without it a small answer waits for the acknowledgement of the one before, 40 ms where that is delayed.
    stream.set_nodelay(true)?;
    Ok(Some((stream, listed)))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::Interrupted
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotConnected
    )
}

async fn keep_fresh(tls: Arc<Tls>) {
    let mut ticks = tokio::time::interval(REFRESH);
    loop {
        ticks.tick().await;
        let tls = tls.clone();
        // Fails only with the runtime.
        let _ = tokio::task::spawn_blocking(move || tls.refresh()).await;
    }
}
