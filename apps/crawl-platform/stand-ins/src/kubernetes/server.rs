//! The server: TLS, connections that can be cut, and the way of a request.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, connect_info::Connected},
    http::{self, Response, header},
    serve::{IncomingStream, Listener},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    discovery,
    faults::{Failure, Faults, Request},
    kinds::Target,
    logs::Logs,
    rest::{self, Asked, Query},
    status::{Status, json_response},
    store::Store,
    watch,
};

/// Longest body of a request, as of a real server.
const LONGEST_BODY: usize = 3 << 20;

/// What a server needs to answer.
pub(crate) struct Server {
    pub(crate) store: Arc<Store>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) token: String,
    pub(crate) bookmark_every: Duration,
    pub(crate) tls: Tls,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// A certificate for this machine, by an authority of its own.
pub(crate) struct Tls {
    pub(crate) authority: String,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?.pem();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?,
            )?;
        Ok(Self {
            authority: issuer.pem(),
            config: Arc::new(config),
        })
    }
}

/// Serves until its runtime ends.
pub(crate) async fn serve(server: Arc<Server>, listener: TcpListener) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let (ready, connections) = mpsc::channel(64);
    let acceptor = TlsAcceptor::from(Arc::clone(&server.tls.config));
    tokio::spawn(async move {
        // An error here is that of one connection.
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let (acceptor, ready) = (acceptor.clone(), ready.clone());
                tokio::spawn(async move {
                    // Who speaks no TLS, or does not trust it, gets no answer.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = ready.send(stream).await;
                    }
                });
            }
        }
    });
    let handler = move |ConnectInfo(connection): ConnectInfo<Connection>, request: http::Request<Body>| {
        let server = Arc::clone(&server);
        async move { server.handle(&connection, request).await }
    };
    let service = Router::new()
        .fallback(handler)
        .into_make_service_with_connect_info::<Connection>();
    // Ends only with its runtime.
    let _ = axum::serve(Connections { connections, address }, service).await;
}

/// Connections whose TLS is done.
struct Connections {
    connections: mpsc::Receiver<TlsStream<TcpStream>>,
    address: SocketAddr,
}

/// What cuts a connection.
#[derive(Clone, Debug)]
struct Connection(CancellationToken);

impl Listener for Connections {
    type Io = Cuttable;
    type Addr = Connection;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(stream) => {
                let token = CancellationToken::new();
                let cut = Box::pin(token.clone().cancelled_owned());
                (Cuttable { stream, cut }, Connection(token))
            }
            // What accepts them ends with this.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        // Nobody asks for it; the port is known to who bound it.
        let _ = self.address;
        Ok(Connection(CancellationToken::new()))
    }
}

impl Connected<IncomingStream<'_, Connections>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection that can be cut.
struct Cuttable {
    stream: TlsStream<TcpStream>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn is_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_cut(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_cut(context)?;
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Server {
    async fn handle(&self, connection: &Connection, request: http::Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let asked = Request {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
        };
        let text = |name| {
            let value = parts.headers.get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        if !self.token.is_empty()
            && text(header::AUTHORIZATION).strip_prefix("Bearer ") != Some(self.token.as_str())
        {
            return Status::unauthorized().response();
        }
        let failure = self.faults.request(&asked);
        match &failure {
            Some(Failure::Refused(code)) => return Failure::status(*code).response(),
            Some(Failure::Cut) => return cut(connection).await,
            _ => {}
        }
        let body = to_bytes(body, LONGEST_BODY).await.map_err(|error| {
            Status::new(
                413,
                "RequestEntityTooLarge",
                format!("the body cannot be read: {error}"),
            )
        });
        let answer = body.and_then(|body| {
            let media_type = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default();
            self.answer(&asked, text(header::ACCEPT), media_type, &body)
        });
        match failure {
            Some(Failure::DoneButRefused(code)) => return Failure::status(code).response(),
            Some(Failure::DoneButCut) => return cut(connection).await,
            Some(Failure::Slow(by)) => tokio::time::sleep(by).await,
            _ => {}
        }
        answer.unwrap_or_else(|status| status.response())
    }

    fn answer(
        &self,
        request: &Request,
        accept: &str,
        media_type: &str,
        body: &[u8],
    ) -> Result<Response<Body>, Status> {
        if request.method == "GET" {
            if let Some(document) = discovery::document(&request.path) {
                return Ok(json_response(200, &document));
            }
            if ["/healthz", "/livez", "/readyz"].contains(&request.path.as_str()) {
                return Ok(Response::new(Body::from("ok")));
            }
        }
        let parsed = url_query(&request.query);
        let asked = Asked {
            method: &request.method,
            target: &Target::of(&request.path)?,
            query: &parsed,
            accept,
            media_type,
            body,
        };
        if request.method == "GET" && parsed.is_true("watch") {
            return watch::open(&self.store, &self.faults, &asked, self.bookmark_every);
        }
        rest::answer(&self.store, &self.logs, &asked)
    }
}

/// Cuts the connection of a request that gets no answer.
async fn cut(connection: &Connection) -> Response<Body> {
    connection.0.cancel();
    std::future::pending().await
}

fn url_query(query: &str) -> Query {
    let decoded = |text: &str| {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let escaped = match first {
                b'%' => after
                    .get(..2)
                    .and_then(|digits| std::str::from_utf8(digits).ok())
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
                _ => None,
            };
            match (escaped, first) {
                (Some(byte), _) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                (None, b'+') => bytes.push(b' '),
                (None, byte) => bytes.push(*byte),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    Query(
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decoded(name), decoded(value))
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded() {
        let query = url_query("labelSelector=a%3Db%2Cc&watch=1&x=a+b&y=100%");
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert!(query.is_true("watch"));
        assert_eq!((query.get("x"), query.get("y")), (Some("a b"), Some("100%")));
    }
}
