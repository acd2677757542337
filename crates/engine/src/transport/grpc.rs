//! The gRPC port. Messages pass through as bytes; the dispatch decodes them.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut, Bytes};
use tokio::net::TcpListener;
use tokio_stream::{StreamExt as _, wrappers::TcpListenerStream};
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpConnectInfo},
};

use super::{dispatch, follows_runs, is_for_people, timeout};
use crate::{Error, rpc::Call, service::Service};

/// Bytes of one message.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a message that is read, so that who sends too much gets the error that it knows: a worker
/// fails its task then, and would else try it again and again.
const READ_BYTES: usize = 64 * 1024 * 1024;

/// Bytes that a client may send on one connection before they are read. HTTP/2 calls that send a small frame each use
/// up a budget that h2 derives from this, and a connection over it is closed (`too_many_data_frames`): with the small
/// window of HTTP/2's default, or an adaptive one, which begins with that, some hundred calls at once are too many.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes of one call, likewise.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;

/// Serves the engine's gRPC API on `listener` until `shutdown` resolves and the calls under way have
/// been answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    engine: &crate::Handle,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let service = engine.service();
    // On each connection: the server's own setting is for listeners that it opens itself. Without it a
    // small answer waits for the acknowledgement of the one before, 40 ms where that is delayed.
    let incoming = TcpListenerStream::new(listener).map(|accepted| {
        let connection = accepted?;
        connection.set_nodelay(true)?;
        Ok::<_, std::io::Error>(connection)
    });
    Server::builder()
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .add_service(Endpoint::<Workflow>::new(service))
        .add_service(Endpoint::<Operator>::new(service))
        .add_service(Endpoint::<Health>::new(service))
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await
        .map_err(Error::Serve)
}

macro_rules! names {
    ($($name:ident = $full:literal;)*) => {
        $(
            #[derive(Clone, Copy, Debug)]
            struct $name;
            impl NamedService for Endpoint<$name> {
                const NAME: &'static str = $full;
            }
        )*
    };
}

names! {
    Workflow = "temporal.api.workflowservice.v1.WorkflowService";
    Operator = "temporal.api.operatorservice.v1.OperatorService";
    Health = "grpc.health.v1.Health";
}

/// One gRPC service on the port.
#[derive(Clone, Debug)]
struct Endpoint<N> {
    service: Service,
    name: std::marker::PhantomData<N>,
}

impl<N> Endpoint<N> {
    fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
            name: std::marker::PhantomData,
        }
    }
}

impl<N> tower::Service<http::Request<Body>> for Endpoint<N> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.service.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let call = Call {
                timeout: timeout(request.headers()),
                in_process: false,
                is_for_people: is_for_people(request.headers()),
                follows_runs: follows_runs(request.headers()),
            };
            if should_refuse_gzip(&request) {
                return Ok(no_gzip().into_http());
            }
            let method = Method { service, path, call };
            let mut grpc = Grpc::new(BytesCodec)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(READ_BYTES)
                .max_encoding_message_size(usize::MAX);
            Ok(grpc.unary(method, request).await)
        })
    }
}

/// Whether to refuse this compressed request so that the client goes on without compression: on the
/// same machine gzip costs more than half of the throughput and saves nothing. The SDKs ask for the
/// system's info first and drop gzip for good where that is refused.
fn should_refuse_gzip(request: &http::Request<Body>) -> bool {
    let peer = request
        .extensions()
        .get::<TcpConnectInfo>()
        .and_then(TcpConnectInfo::remote_addr);
    let is_local = peer.is_some_and(|peer: SocketAddr| peer.ip().is_loopback());
    let is_gzip = request
        .headers()
        .get("grpc-encoding")
        .is_some_and(|encoding| encoding == "gzip");
    is_local && is_gzip && request.uri().path().ends_with("/GetSystemInfo")
}

fn no_gzip() -> Status {
    Status::unimplemented("grpc: Decompressor is not installed for grpc-encoding \"gzip\"")
}

fn check_size(bytes: usize) -> Result<(), Status> {
    if bytes <= MESSAGE_BYTES {
        return Ok(());
    }
    Err(Status::resource_exhausted(format!(
        "grpc: received message larger than max ({bytes} vs. {MESSAGE_BYTES})"
    )))
}

/// The called method.
struct Method {
    service: Service,
    path: String,
    call: Call,
}

impl UnaryService<Bytes> for Method {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (service, path, call) = (
            self.service.clone(),
            std::mem::take(&mut self.path),
            self.call.clone(),
        );
        Box::pin(async move {
            let request = request.into_inner();
            check_size(request.len())?;
            let (name, method) = path
                .trim_start_matches('/')
                .split_once('/')
                .unwrap_or((&path, ""));
            let answer = dispatch(&service, name, method, request, call).await?;
            Ok(Response::new(answer))
        })
    }
}

/// Messages as bytes.
#[derive(Clone, Copy, Debug)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put_slice(&item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}
