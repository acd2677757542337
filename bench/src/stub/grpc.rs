//! The stub on a gRPC port: the ceiling of every server that is called over the loopback.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use anyhow::Result;
use prost::bytes::{Buf, BufMut, Bytes};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};

use super::{Stub, rpc};

/// Serves the stub until `shutdown` resolves.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<()> {
    Server::builder()
        .add_service(Port(Stub::default()))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), shutdown)
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Port(Stub);

impl NamedService for Port {
    const NAME: &'static str = "temporal.api.workflowservice.v1.WorkflowService";
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Service<http::Request<Body>> for Port {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let stub = self.0.clone();
        Box::pin(async move {
            if request
                .headers()
                .get("grpc-encoding")
                .is_some_and(|encoding| encoding != "identity")
            {
                // As Segno's engine does on the loopback: the SDK sends nothing compressed from then on.
                let refusal = "grpc: Decompressor is not installed for grpc-encoding \"gzip\"";
                return Ok(Status::unimplemented(refusal).into_http());
            }
            let method = Method {
                stub,
                name: request.uri().path().rsplit('/').next().unwrap_or("").to_owned(),
            };
            Ok(Grpc::new(AsBytes).unary(method, request).await)
        })
    }
}

struct Method {
    stub: Stub,
    name: String,
}

impl UnaryService<Bytes> for Method {
    type Response = Vec<u8>;
    type Future = Boxed<Result<Response<Vec<u8>>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (stub, name) = (self.stub.clone(), std::mem::take(&mut self.name));
        Box::pin(async move {
            let answer = rpc::answer(&stub, &name, request.into_inner()).await?;
            Ok(Response::new(answer))
        })
    }
}

/// Messages pass through as bytes.
#[derive(Clone, Copy)]
struct AsBytes;

impl Codec for AsBytes {
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

impl Encoder for AsBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put_slice(&item);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}
