use std::{
    convert::Infallible,
    fs,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::http,
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use super::{TestEngine, deliver_across_an_outage};

on_every_engine!(orders_are_calls);

const PROTO: &str = "syntax = \"proto3\"; package shop;\n\
    service Orders { rpc Place(Order) returns (Order); }\n\
    message Order { string id = 1; int64 total = 2; }";

#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int64, tag = "2")]
    total: i64,
}

/// Keeps what it is given, with the idempotency keys.
#[derive(Clone, Default)]
struct Orders(Arc<Mutex<Vec<(String, Order)>>>);

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl UnaryService<Order> for Orders {
    type Response = Order;
    type Future = std::future::Ready<Result<Response<Order>, Status>>;

    fn call(&mut self, request: Request<Order>) -> Self::Future {
        let key = request
            .metadata()
            .get("idempotency-key")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let order = request.into_inner();
        self.0.lock().unwrap().push((key, order.clone()));
        std::future::ready(Ok(Response::new(order)))
    }
}

impl tower::Service<http::Request<Body>> for Orders {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(service, request).await) })
    }
}

impl Orders {
    async fn serve(&self, port: u16) -> JoinHandle<()> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let server = Server::builder()
            .add_service(self.clone())
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(async move { server.await.unwrap() })
    }
}

async fn orders_are_calls(engine: TestEngine) {
    let port = segno_test_support::free_port();
    let folder = engine.folder();
    fs::write(folder.join("orders.proto"), PROTO).unwrap();
    let set = protox::compile([folder.join("orders.proto")], [folder]).unwrap();
    fs::write(folder.join("orders.pb"), set.encode_to_vec()).unwrap();
    let sink = format!(
        "grpc = {{ endpoint = \"http://127.0.0.1:{port}\", descriptors = \"orders.pb\", method = \"shop.Orders/Place\" }}"
    );
    let orders = Orders::default();
    let mut server = None;
    deliver_across_an_outage(&engine, &sink, async || server = Some(orders.serve(port).await)).await;
    let mut placed = orders.0.lock().unwrap().clone();
    placed.sort_by_key(|(_, order)| order.total);
    let expected = [1, 2, 3, 4].map(|n| {
        let id = n.to_string();
        (format!("all//shop/{n}/tell/0"), Order { id, total: n })
    });
    assert_eq!(placed, expected);
    server.unwrap().abort();
}
