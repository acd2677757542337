//! Traces: one for each event, from where it came from to its sinks, also when the process is killed in between.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value as AnyValue,
    trace::v1::{Span, status::StatusCode as SpanStatus},
};
use parking_lot::Mutex;
use prost::Message;
use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use tokio::{sync::watch, time::timeout};
use tonic::{Request, Response, Status};

use crate::support::{DEADLINE, Launch, Program, TestEngine, json_of, order};

on_every_engine!(
    one_trace_from_the_caller_to_the_sink,
    the_trace_goes_on_after_a_kill,
    what_came_without_a_trace_has_its_own,
);

#[cfg(feature = "integrations")]
mod by_message {
    use super::from_one_message_to_the_next;

    on_every_engine!(from_one_message_to_the_next);
}

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A collector that keeps what it gets: the official service over gRPC, and the same messages over HTTP.
#[derive(Clone)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    count: watch::Sender<usize>,
    address: SocketAddr,
}

impl Collector {
    async fn new() -> (Self, tokio::net::TcpListener) {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let collector = Self {
            spans: Arc::default(),
            count: watch::channel(0).0,
            address: listener.local_addr().unwrap(),
        };
        (collector, listener)
    }

    async fn grpc() -> Self {
        let (collector, listener) = Self::new().await;
        let service = TraceServiceServer::new(collector.clone());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        collector
    }

    async fn http() -> Self {
        let (collector, listener) = Self::new().await;
        let receive = |State(collector): State<Self>, body: Bytes| async move {
            collector.keep(ExportTraceServiceRequest::decode(body).unwrap());
        };
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    fn keep(&self, request: ExportTraceServiceRequest) {
        let mut spans = self.spans.lock();
        for resource in request.resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            assert!(attributes.iter().any(|attribute| attribute.key == "service.name"));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        self.count.send_replace(spans.len());
    }

    /// Waits until a span of this name is there that this holds of, and returns it.
    async fn span(&self, name: &str, holds: impl Fn(&Span) -> bool) -> Span {
        let find = || {
            let spans = self.spans.lock();
            spans
                .iter()
                .find(|span| span.name == name && holds(span))
                .cloned()
        };
        let mut count = self.count.subscribe();
        let met = timeout(DEADLINE, count.wait_for(|_| find().is_some()))
            .await
            .is_ok();
        find()
            .filter(|_| met)
            .unwrap_or_else(|| panic!("no {name}: {:#?}", self.spans.lock()))
    }

    fn config(&self, more: &str, receiver: &Receiver) -> String {
        format!(
            r#"
            [telemetry]
            otlp = "http://{}"
            {more}
            [sinks.there.webhook]
            url = "{}"
            allow_private = true
            [[routes]]
            name = "tell"
            on = "order.placed"
            actions = [{{ name = "first", to = "there", retry = {{ initial = "200ms", max_interval = "500ms" }} }}]
            "#,
            self.address,
            receiver.url("/there"),
        )
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.keep(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> String {
    let value = span.attributes.iter().find(|attribute| attribute.key == name);
    match value.and_then(|attribute| attribute.value.clone()?.value) {
        Some(AnyValue::StringValue(text)) => text,
        Some(AnyValue::IntValue(number)) => number.to_string(),
        other => panic!("{name} is {other:?}: {span:#?}"),
    }
}

fn launch(engine: &TestEngine, config: &str) -> Launch {
    let mut launch = Launch::up(engine, config);
    launch.variable("OTEL_BSP_SCHEDULE_DELAY", "50");
    launch
}

async fn send(program: &Program, id: &str, headers: &[(&str, &str)]) {
    let mut request = reqwest::Client::new()
        .post(program.url("/events"))
        .header("content-type", "application/cloudevents+json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.body(order(id, 1).to_string()).send().await.unwrap();
    json_of(answer, StatusCode::ACCEPTED).await;
}

/// Waits for the four spans of the one event, and checks that each is in the one before.
async fn chain(collector: &Collector, trace: &str, parent: &[u8]) -> [Span; 4] {
    let intake = collector.span("segno intake", |_| true).await;
    let attempt = collector
        .span("segno attempt", |span| attribute(span, "segno.outcome") == "ok")
        .await;
    let action = collector.span("segno action", |_| true).await;
    let execution = collector.span("segno execution", |_| true).await;
    for span in [&intake, &execution, &action, &attempt] {
        assert_eq!(hex(&span.trace_id), trace, "{span:#?}");
        assert_eq!(attribute(span, "cloudevents.event_type"), "order.placed");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:#?}");
    }
    assert_eq!(intake.parent_span_id, parent);
    assert_eq!(execution.parent_span_id, intake.span_id);
    assert_eq!(action.parent_span_id, execution.span_id);
    assert_eq!(attempt.parent_span_id, action.span_id);
    assert_eq!(attribute(&execution, "segno.outcome"), "done");
    assert_eq!(attribute(&execution, "segno.route"), "tell");
    [intake, execution, action, attempt]
}

async fn one_trace_from_the_caller_to_the_sink(engine: TestEngine) {
    let (collector, receiver) = (Collector::grpc().await, Receiver::start().await);
    let program = launch(&engine, &collector.config("", &receiver)).start().await;
    send(
        &program,
        "1",
        &[("traceparent", CALLER), ("tracestate", "vendor=x")],
    )
    .await;
    let [.., attempt] = chain(
        &collector,
        TRACE,
        &[0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7],
    )
    .await;
    let request = &receiver.wait_for(1, DEADLINE).await[0];
    let expected = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
    assert_eq!(request.header("traceparent"), Some(expected.as_str()));
    assert_eq!(request.header("tracestate"), Some("vendor=x"));
    // The event carries on what it came with.
    assert_eq!(request.json()["traceparent"], CALLER);
    assert_eq!(attribute(&attempt, "segno.sink"), "there");
    assert!(
        program.log().contains(&format!("\"trace_id\":\"{TRACE}\"")),
        "{}",
        program.log()
    );
}

async fn the_trace_goes_on_after_a_kill(engine: TestEngine) {
    let (collector, receiver) = (
        Collector::grpc().await,
        Receiver::answering(|_| Answer::status(503)).await,
    );
    let mut launch = launch(&engine, &collector.config("", &receiver));
    let program = launch.start().await;
    send(&program, "1", &[]).await;
    let intake = collector.span("segno intake", |_| true).await;
    let failed = collector
        .span("segno attempt", |span| {
            attribute(span, "segno.outcome") == "retryable"
        })
        .await;
    assert_eq!(failed.status.as_ref().unwrap().code(), SpanStatus::Error);
    program.kill().await;
    receiver.set_program(|_| Answer::status(204));
    let program = launch.start().await;
    let trace = hex(&intake.trace_id);
    let [same, _, action, attempt] = chain(&collector, &trace, &[]).await;
    assert_eq!(same, intake);
    assert_eq!(
        failed.parent_span_id, action.span_id,
        "an attempt of before is in the same action"
    );
    assert_ne!(failed.span_id, attempt.span_id);
    drop(program);
}

async fn what_came_without_a_trace_has_its_own(engine: TestEngine) {
    let (collector, receiver) = (Collector::http().await, Receiver::start().await);
    let mut launch = launch(&engine, &collector.config("protocol = \"http\"", &receiver));
    let program = launch.start().await;
    send(&program, "1", &[]).await;
    let intake = collector.span("segno intake", |_| true).await;
    let [_, execution, ..] = chain(&collector, &hex(&intake.trace_id), &[]).await;
    // Again: the same event, and so the same trace, and no second execution.
    send(&program, "1", &[("traceparent", "nonsense")]).await;
    let again = collector
        .span("segno intake", |span| {
            attribute(span, "segno.outcome") == "duplicate"
        })
        .await;
    assert_eq!(again.trace_id, intake.trace_id);
    // One that is not to be sampled is not, and is passed on as it came.
    let unsampled = CALLER.replace("-01", "-00");
    send(&program, "2", &[("traceparent", &unsampled)]).await;
    let requests = receiver.wait_for(2, DEADLINE).await;
    assert_eq!(requests[1].header("traceparent"), Some(unsampled.as_str()));
    // What is on its way is sent before the process ends.
    send(&program, "3", &[]).await;
    program.signal("INT").await;
    let mut program = program;
    assert!(program.ended().await.success(), "{}", program.log());
    let spans = collector.spans.lock();
    assert!(spans.iter().all(|span| hex(&span.trace_id) != TRACE));
    let third = spans
        .iter()
        .filter(|span| attribute(span, "cloudevents.event_id") == "3");
    assert!(third.count() > 0, "{spans:#?}");
    let executions = spans
        .iter()
        .filter(|span| span.name == "segno execution" && span.trace_id == intake.trace_id);
    assert_eq!(executions.count(), 1);
    drop(execution);
}

/// The trace comes in with a message's headers, and goes out with another's.
#[cfg(feature = "integrations")]
async fn from_one_message_to_the_next(engine: TestEngine) {
    use async_nats::jetstream::{self, stream};

    let server = segno_test_support::servers::Nats::start().await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    for name in ["in", "out"] {
        let stream = stream::Config {
            name: name.to_owned(),
            subjects: vec![name.to_owned()],
            ..stream::Config::default()
        };
        context.create_stream(stream).await.unwrap();
    }
    let collector = Collector::grpc().await;
    let config = format!(
        r#"
        telemetry.otlp = "http://{}"
        sources.from.nats = {{ url = {:?}, stream = "in" }}
        sinks.to.nats = {{ url = {:?}, subject = "out" }}
        [[routes]]
        name = "tell"
        on = "order.placed"
        actions = [{{ name = "first", to = "to" }}]
        "#,
        collector.address,
        server.url(),
        server.url(),
    );
    let program = launch(&engine, &config).start().await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("traceparent", CALLER);
    headers.insert("tracestate", "vendor=x");
    let sent = context
        .publish_with_headers("in", headers, order("1", 1).to_string().into())
        .await;
    sent.unwrap().await.unwrap();
    let [intake, .., attempt] = chain(
        &collector,
        TRACE,
        &[0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7],
    )
    .await;
    assert_eq!(attribute(&intake, "segno.source"), "from");
    let out = context.get_stream("out").await.unwrap();
    let message = out
        .get_raw_message(1)
        .await
        .expect("the message is there before its span");
    let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(
        header("traceparent"),
        Some(format!("00-{TRACE}-{}-01", hex(&attempt.span_id)))
    );
    assert_eq!(header("tracestate").as_deref(), Some("vendor=x"));
    drop(program);
}
