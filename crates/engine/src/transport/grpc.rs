//! The gRPC port's services. Messages pass through as bytes; the dispatch decodes them.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut, Bytes};
use http::HeaderMap;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService, UnaryService},
    transport,
};

use super::{
    connection::{Connection, Io, Peer},
    dispatch,
    flow::{Receiving, Room, Sending, is_large},
    follows_runs, is_for_people, timeout,
};
use crate::{Error, access::Gate, rpc::Call, service::Service};

/// What all connections of a port share.
#[derive(Clone, Debug)]
pub(super) struct Port {
    service: Service,
    gate: Arc<Gate>,
}

impl Port {
    pub(super) fn new(service: Service, gate: Gate) -> Self {
        Self {
            service,
            gate: Arc::new(gate),
        }
    }
}

/// Serves `port` on these connections until `stop` resolves.
pub(super) async fn serve(
    mut server: transport::Server,
    port: Port,
    connections: impl Stream<Item = Io>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    server
        .add_service(Endpoint::<Workflow>::new(&port))
        .add_service(Endpoint::<Operator>::new(&port))
        .add_service(Endpoint::<Health>::new(&port))
        .serve_with_incoming_shutdown(connections.map(Ok::<_, Infallible>), stop)
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
    port: Port,
    name: std::marker::PhantomData<N>,
}

impl<N> Endpoint<N> {
    fn new(port: &Port) -> Self {
        Self {
            port: port.clone(),
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
        let port = self.port.clone();
        Box::pin(async move {
            let Some(Peer(connection)) = request.extensions().get::<Peer>().cloned() else {
                return Ok(Status::internal("a call without its connection").into_http());
            };
            // Before anything of the request is read: nobody's messages are kept who may not send them.
            let headers = request.headers();
            let caller = match port.gate.caller(headers, &connection.polls) {
                Ok(caller) => caller,
                Err(error) => return Ok(Status::from(error).into_http()),
            };
            connection.prove();
            if should_refuse_gzip(&request, &connection) {
                return Ok(no_gzip().into_http());
            }
            let method = Method {
                service: port.service,
                path: request.uri().path().to_owned(),
                call: Call {
                    timeout: timeout(headers),
                    in_process: false,
                    is_for_people: is_for_people(headers),
                    follows_runs: follows_runs(headers),
                    caller: Some(caller),
                },
                connection: connection.clone(),
            };
            let mut grpc = Grpc::new(BytesCodec)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(connection.all.limits().message_bytes)
                .max_encoding_message_size(usize::MAX);
            let request = request.map(|body| Body::new(Receiving::new(body, connection.clone())));
            let response = grpc.unary(method, request).await;
            if let Some(status) =
                too_large_unpacked(response.headers(), connection.all.limits().message_bytes)
            {
                return Ok(status.into_http());
            }
            let bytes = response.extensions().get::<Size>().map_or(0, |size| size.0);
            Ok(response.map(|body| Body::new(Sending::new(body, connection, bytes))))
        })
    }
}

/// Bytes of an answer's message, where that is large.
#[derive(Clone, Copy)]
struct Size(usize);

/// Whether to refuse this compressed request so that the client goes on without compression: on the
/// same machine gzip costs more than half of the throughput and saves nothing. The SDKs ask for the
/// system's info first and drop gzip for good where that is refused.
fn should_refuse_gzip(request: &http::Request<Body>, connection: &Connection) -> bool {
    let is_local = connection.peer().is_some_and(|peer| peer.ip().is_loopback());
    let is_gzip = request
        .headers()
        .get("grpc-encoding")
        .is_some_and(|encoding| encoding == "gzip");
    is_local && is_gzip && request.uri().path().ends_with("/GetSystemInfo")
}

fn no_gzip() -> Status {
    Status::unimplemented("grpc: Decompressor is not installed for grpc-encoding \"gzip\"")
}

/// The refusal of a message that is too large once it is unpacked, in the words that the SDKs know.
fn too_large_unpacked(headers: &HeaderMap, most: usize) -> Option<Status> {
    // Only answers without a message have the status among their headers.
    headers.get(Status::GRPC_STATUS)?;
    let status = Status::from_header_map(headers)?;
    let is_it = status.code() == Code::ResourceExhausted
        && status.message().starts_with("Error decompressing: size limit");
    is_it.then(|| {
        Status::resource_exhausted(format!(
            "grpc: received message after decompression larger than max {most}"
        ))
    })
}

/// The called method.
struct Method {
    service: Service,
    path: String,
    call: Call,
    connection: Arc<Connection>,
}

impl UnaryService<Bytes> for Method {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (service, path, call) = (
            self.service.clone(),
            std::mem::take(&mut self.path),
            std::mem::take(&mut self.call),
        );
        let connection = self.connection.clone();
        Box::pin(async move {
            let message = request.into_inner();
            // As large as it is now: it may have come compressed.
            let _room = Room::take(&connection, message.len())?;
            let (name, method) = path
                .trim_start_matches('/')
                .split_once('/')
                .unwrap_or((&path, ""));
            let answer = dispatch(&service, name, method, message, call).await?;
            let size = answer.len();
            let mut response = Response::new(answer);
            if is_large(size) {
                response.extensions_mut().insert(Size(size));
            }
            Ok(response)
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
