//! The gRPC sink, against a server of tonic's that has the messages as Rust types.
#![cfg(feature = "grpc")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    future::{self, Future, Ready},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use prost::Message;
use segno_sinks::{Delivered, Delivery, Failure, Sinks};
use segno_test_support::{Authority, Cut, Pair, free_port, write_file};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    codegen::http,
    metadata::MetadataMap,
    server::{Grpc, NamedService, UnaryService},
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

const PROTO: &str = r#"
    syntax = "proto3";
    package shop.v1;
    import "google/protobuf/timestamp.proto";

    service Orders {
        rpc Place(Order) returns (Placed);
        rpc Watch(Order) returns (stream Placed);
    }
    message Order {
        string order_id = 1;
        int64 total = 2;
        repeated Line lines = 3;
        map<string, Line> gifts = 4;
        google.protobuf.Timestamp placed_at = 5;
        Kind kind = 6;
        bytes proof = 7;
    }
    message Line { string sku = 1; uint32 count = 2; Line inner = 3; }
    enum Kind { UNKNOWN = 0; EXPRESS = 1; }
    message Placed { string id = 1; }
"#;

/// The same as Rust types, by hand: the sink and the server share nothing but the bytes.
#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(int64, tag = "2")]
    total: i64,
    #[prost(message, repeated, tag = "3")]
    lines: Vec<Line>,
    #[prost(map = "string, message", tag = "4")]
    gifts: HashMap<String, Line>,
    #[prost(message, tag = "5")]
    placed_at: Option<Timestamp>,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(bytes = "vec", tag = "7")]
    proof: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(string, tag = "1")]
    sku: String,
    #[prost(uint32, tag = "2")]
    count: u32,
    #[prost(message, optional, boxed, tag = "3")]
    inner: Option<Box<Line>>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Placed {
    #[prost(string, tag = "1")]
    id: String,
}

type Answer = Arc<dyn Fn(&Order) -> Result<Placed, Status> + Send + Sync>;

#[derive(Clone)]
struct Orders {
    answer: Answer,
    calls: Arc<Mutex<Vec<(MetadataMap, Order)>>>,
}

impl NamedService for Orders {
    const NAME: &'static str = "shop.v1.Orders";
}

impl UnaryService<Order> for Orders {
    type Response = Placed;
    type Future = Ready<Result<Response<Placed>, Status>>;

    fn call(&mut self, request: Request<Order>) -> Self::Future {
        let (metadata, _, order) = request.into_parts();
        let answer = (self.answer)(&order);
        self.calls.lock().unwrap().push((metadata, order));
        future::ready(answer.map(Response::new))
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
        assert_eq!(request.uri().path(), "/shop.v1.Orders/Place");
        let service = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(service, request).await) })
    }
}

struct Running {
    port: u16,
    service: Orders,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    async fn start(answer: impl Fn(&Order) -> Result<Placed, Status> + Send + Sync + 'static) -> Self {
        Self::with(None, answer).await
    }

    async fn with(
        tls: Option<Pair>,
        answer: impl Fn(&Order) -> Result<Placed, Status> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Orders {
            answer: Arc::new(answer),
            calls: Arc::default(),
        };
        let mut server = Server::builder();
        if let Some(pair) = tls {
            let identity = Identity::from_pem(pair.certificate, pair.key);
            server = server
                .tls_config(ServerTlsConfig::new().identity(identity))
                .unwrap();
        }
        let serve = server
            .add_service(service.clone())
            .serve_with_incoming(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { serve.await.unwrap() });
        Self { port, service, task }
    }

    fn calls(&self) -> Vec<(MetadataMap, Order)> {
        self.service.calls.lock().unwrap().clone()
    }
}

fn descriptors() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let proto = write_file(folder.path(), "orders.proto", PROTO);
    let set = protox::compile([proto], [folder.path()]).unwrap();
    fs::write(folder.path().join("orders.pb"), set.encode_to_vec()).unwrap();
    folder
}

fn sinks(folder: &Path, port: u16, more: &str) -> Sinks {
    let options = format!(
        "[call.grpc]\nendpoint = \"http://127.0.0.1:{port}\"\ndescriptors = \"orders.pb\"\nmethod = \"shop.v1.Orders/Place\"\n{more}"
    );
    Sinks::new(toml::from_str(&options).unwrap(), folder).unwrap()
}

async fn deliver(sinks: &Sinks, payload: &Value) -> Result<Delivered, Failure> {
    sinks
        .deliver("call", Delivery::new("orders/shop/1/tell/0", payload))
        .await
}

#[tokio::test]
async fn a_payload_is_the_message_it_says() {
    let folder = descriptors();
    let server = Running::start(|_| Ok(Placed { id: "x".into() })).await;
    let more = "metadata = { Authorization = \"Bearer T0KEN\", trace-bin = \"AAEC\" }\ntimeout = \"20s\"";
    let sinks = sinks(folder.path(), server.port, more);
    let payload = json!({
        "orderId": "7",
        "total": "9007199254740993",
        "lines": [{ "sku": "a", "count": 2, "inner": { "sku": "b" } }],
        "gifts": { "ann": { "sku": "c" } },
        "placed_at": "1994-11-06T08:49:37.5Z",
        "kind": "EXPRESS",
        "proof": "AP8=",
    });
    assert_eq!(deliver(&sinks, &payload).await, Ok(Delivered { status: None }));
    let calls = server.calls();
    let [(metadata, order)] = &calls[..] else {
        panic!("one call")
    };
    let line = |sku: &str| Line {
        sku: sku.into(),
        ..Line::default()
    };
    let expected = Order {
        order_id: "7".into(),
        total: 9_007_199_254_740_993,
        lines: vec![Line {
            sku: "a".into(),
            count: 2,
            inner: Some(Box::new(line("b"))),
        }],
        gifts: HashMap::from([("ann".into(), line("c"))]),
        placed_at: Some(Timestamp {
            seconds: 784_111_777,
            nanos: 500_000_000,
        }),
        kind: 1,
        proof: vec![0, 255],
    };
    assert_eq!(order, &expected);
    assert_eq!(metadata.get("idempotency-key").unwrap(), "orders/shop/1/tell/0");
    assert_eq!(metadata.get("authorization").unwrap(), "Bearer T0KEN");
    assert_eq!(
        metadata
            .get_bin("trace-bin")
            .unwrap()
            .to_bytes()
            .unwrap()
            .as_ref(),
        [0, 1, 2]
    );
    assert!(metadata.contains_key("grpc-timeout"));
}

#[tokio::test]
async fn what_is_no_message_is_permanent_and_says_where() {
    let folder = descriptors();
    let sinks = sinks(folder.path(), free_port(), "");
    for (payload, path) in [
        (
            json!({ "orderID": "7" }),
            "$.orderID: shop.v1.Order has no such field",
        ),
        (
            json!({ "lines": [{}, { "inner": { "skuu": 1 } }] }),
            "$.lines[1].inner.skuu: shop.v1.Line has no such field",
        ),
        (
            json!({ "gifts": { "ann": { "count": -1 } } }),
            "$.gifts.ann.count: ",
        ),
        (json!({ "total": "many" }), "$.total: "),
        (json!({ "lines": {} }), "$.lines: "),
        (json!({ "placedAt": "yesterday" }), "$.placedAt: "),
        (json!({ "kind": "SLOW" }), "$.kind: "),
        (json!([]), "$: "),
    ] {
        let failure = deliver(&sinks, &payload).await.unwrap_err();
        assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
        let begin = format!("the payload is no shop.v1.Order: {path}");
        assert!(failure.to_string().starts_with(&begin), "{failure}");
    }
}

#[tokio::test]
async fn codes_are_told_apart() {
    let folder = descriptors();
    let server = Running::start(|order| Err(Status::new(Code::from(order.kind), "because"))).await;
    let sinks = sinks(folder.path(), server.port, "");
    for code in 1..=16 {
        let failure = deliver(&sinks, &json!({ "kind": code })).await.unwrap_err();
        let again = [
            Code::Aborted,
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Internal,
            Code::ResourceExhausted,
            Code::Unavailable,
            Code::Unknown,
        ];
        let retryable = matches!(failure, Failure::Retryable { .. });
        assert_eq!(retryable, again.contains(&Code::from(code)), "{failure:?}");
        assert!(failure.to_string().ends_with(": because"), "{failure}");
    }
    assert!(
        server
            .calls()
            .iter()
            .all(|(metadata, _)| metadata.contains_key("idempotency-key"))
    );
}

#[tokio::test]
async fn a_busy_server_says_how_long_to_wait() {
    // google.rpc.Status { details: [Any { RetryInfo { retry_delay: 2.5 s } }] }
    let delay = Timestamp {
        seconds: 2,
        nanos: 500_000_000,
    };
    let field =
        |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let info = field(1, &delay.encode_to_vec());
    let any = [
        field(1, b"type.googleapis.com/google.rpc.RetryInfo"),
        field(2, &info),
    ]
    .concat();
    let details = field(3, &any);
    let folder = descriptors();
    let server = Running::start(move |_| {
        Err(Status::with_details(
            Code::ResourceExhausted,
            "slowly",
            details.clone().into(),
        ))
    })
    .await;
    let failure = deliver(&sinks(folder.path(), server.port, ""), &json!({}))
        .await
        .unwrap_err();
    let expected = Failure::Retryable {
        reason: "the server answered RESOURCE_EXHAUSTED: slowly".into(),
        status: None,
        retry_after: Some(Duration::from_millis(2_500)),
    };
    assert_eq!(failure, expected);
}

#[tokio::test]
async fn a_server_that_is_down_is_called_again_once_it_is_up() {
    let folder = descriptors();
    let server = Running::start(|_| Ok(Placed::default())).await;
    let way = Cut::to(server.port).await;
    let sinks = sinks(folder.path(), way.port(), "");
    for n in 1..=2 {
        way.cut();
        let failure = deliver(&sinks, &json!({})).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        way.mend();
        deliver(&sinks, &json!({})).await.unwrap();
        assert_eq!(server.calls().len(), n);
    }
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_comes_again_under_its_key() {
    let folder = descriptors();
    let server = Running::start(|_| Ok(Placed::default())).await;
    let way = Cut::to(server.port).await;
    let sinks = sinks(folder.path(), way.port(), "");
    deliver(&sinks, &json!({ "orderId": "1" })).await.unwrap();
    way.cut_answers();
    let failure = deliver(&sinks, &json!({ "orderId": "2" })).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    way.mend();
    deliver(&sinks, &json!({ "orderId": "2" })).await.unwrap();
    let calls = server.calls();
    let of_second: Vec<_> = calls.iter().filter(|(_, order)| order.order_id == "2").collect();
    assert!(!of_second.is_empty());
    for (metadata, _) in of_second {
        assert_eq!(metadata.get("idempotency-key").unwrap(), "orders/shop/1/tell/0");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let folder = descriptors();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let failure = deliver(&sinks(folder.path(), port, "timeout = \"200ms\""), &json!({}))
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
}

#[tokio::test]
async fn tls_is_of_an_authority_that_is_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let folder = descriptors();
    write_file(folder.path(), "ours.pem", &ours.pem());
    write_file(folder.path(), "other.pem", &other.pem());
    let server = Running::with(Some(ours.server()), |_| Ok(Placed::default())).await;
    let with = |ca: &str| {
        let options = format!(
            "[call.grpc]\nendpoint = \"https://localhost:{}\"\ndescriptors = \"orders.pb\"\nmethod = \"shop.v1.Orders/Place\"\nca = \"{ca}\"",
            server.port
        );
        Sinks::new(toml::from_str(&options).unwrap(), folder.path()).unwrap()
    };
    let failure = deliver(&with("other.pem"), &json!({})).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    assert!(server.calls().is_empty());
    deliver(&with("ours.pem"), &json!({})).await.unwrap();
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn options_that_cannot_work_are_refused() {
    let folder = descriptors();
    write_file(folder.path(), "none.pb", "no descriptors");
    let good =
        "endpoint = \"http://127.0.0.1:1\"\ndescriptors = \"orders.pb\"\nmethod = \"shop.v1.Orders/Place\"";
    for (from, to, says) in [
        (
            "http://127.0.0.1:1",
            "127.0.0.1:1",
            "an endpoint is http:// or https://",
        ),
        ("http://127.0.0.1:1", "http://me:T0KEN@a", "an endpoint is"),
        ("http://127.0.0.1:1", "http://a/path", "an endpoint is"),
        ("orders.pb", "missing.pb", "missing.pb cannot be read"),
        ("orders.pb", "none.pb", "no set of descriptors"),
        (
            "Orders/Place",
            "Orders/Plaice",
            "they have shop.v1.Orders/Place, shop.v1.Orders/Watch",
        ),
        ("Orders/Place", "Orders.Place", "is no method"),
        ("Orders/Place", "Orders/Watch", "takes or gives streams"),
        (
            "endpoint",
            "metadata = { grpc-timeout = \"1S\" }\nendpoint",
            "set by Segno",
        ),
        ("endpoint", "metadata = { a-bin = \"?\" }\nendpoint", "not base64"),
        (
            "endpoint",
            "metadata = { \"a b\" = \"x\" }\nendpoint",
            "cannot name metadata",
        ),
        ("endpoint", "url", "unknown field `url`"),
    ] {
        let options = format!("[call.grpc]\n{}", good.replacen(from, to, 1));
        let error = match toml::from_str(&options) {
            Err(error) => error.message().to_owned(),
            Ok(options) => Sinks::new(options, folder.path()).unwrap_err().to_string(),
        };
        assert!(
            error.contains(says) && !error.contains("T0KEN"),
            "{options}: {error}"
        );
    }
}
