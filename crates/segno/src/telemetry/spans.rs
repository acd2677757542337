//! Spans on their way to a collector, by OTLP.
//!
//! Segno makes each span when it is over, with ids that are made of what it is ([`TraceContext::span`]): so nothing has to be
//! kept open, and the span of an execution that went through three processes is the one that all its parts name.
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT` and the other variables of OpenTelemetry are read by its own exporter, and win over the
//! configuration's `[telemetry]`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor},
};
use parking_lot::RwLock;
use serde::Deserialize;

use super::TraceContext;

/// Where a collector is named; any of them is enough.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const DISABLED: &str = "OTEL_SDK_DISABLED";
const SERVICE: &str = "OTEL_SERVICE_NAME";
/// What is under a collector's address where nothing is named there.
const PATH: &str = "v1/traces";
/// How long the last spans may take to be sent when the process ends.
const FLUSH: Duration = Duration::from_secs(3);

/// `[telemetry]`: where traces go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The URL of an OTLP receiver. Without it, and without `OTEL_EXPORTER_OTLP_ENDPOINT`, no span is made.
    #[serde(default, deserialize_with = "url")]
    pub otlp: Option<url::Url>,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: Protocol,
    /// Sent with every request, such as a token.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, segno_sinks::Confidential>,
    /// What the process is called in traces.
    pub service: Option<String>,
}

fn url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<url::Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url: url::Url = text
        .parse()
        .map_err(|_| serde::de::Error::custom("`otlp` is no URL, such as \"http://localhost:4317\""))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(Some(url))
    } else {
        Err(serde::de::Error::custom(
            "`otlp` begins with http:// or https:// and names a host",
        ))
    }
}

/// OTLP over gRPC, or over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// gRPC, commonly on port 4317.
    #[default]
    Grpc,
    /// Protobuf over HTTP, commonly on port 4318.
    Http,
}

/// The collector cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported: {0}")]
pub struct Error(String);

/// The process's, as its metrics are.
static PROCESSOR: RwLock<Option<Arc<BatchSpanProcessor>>> = RwLock::new(None);

/// Whether spans go anywhere: then, and only then, is it worth making them.
pub(crate) fn are_exported() -> bool {
    PROCESSOR.read().is_some()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Exports spans from now on, if the configuration or the environment says where to. Nothing is connected to before the
/// first span.
///
/// # Errors
/// Where what they say cannot be used.
pub(crate) fn start(options: &Options) -> Result<(), Error> {
    let named = ENDPOINTS.iter().any(|name| variable(name).is_some());
    let disabled = variable(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled || (!named && options.otlp.is_none()) {
        return Ok(());
    }
    let endpoint = options.otlp.as_ref().filter(|_| !named);
    let protocol = match PROTOCOLS.iter().find_map(|name| variable(name)).as_deref() {
        Some("grpc") => Protocol::Grpc,
        Some("http/protobuf") => Protocol::Http,
        Some(other) => {
            return Err(Error(format!(
                "the protocol {other:?} is not spoken; `grpc` and `http/protobuf` are"
            )));
        }
        None => options.protocol,
    };
    let failed = |error: &dyn std::fmt::Display| Error(error.to_string());
    let exporter = match protocol {
        Protocol::Grpc => {
            let mut builder = SpanExporter::builder().with_tonic();
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint.as_str());
            }
            let mut headers = http::HeaderMap::new();
            for (name, value) in &options.headers {
                let name: http::HeaderName = name.parse().map_err(|error| failed(&error))?;
                let value = http::HeaderValue::from_str(value.expose()).map_err(|error| failed(&error))?;
                headers.insert(name, value);
            }
            let metadata = temporalio_client::tonic::metadata::MetadataMap::from_headers(headers);
            builder.with_metadata(metadata).build()
        }
        Protocol::Http => {
            let mut builder = SpanExporter::builder().with_http();
            if let Some(endpoint) = endpoint {
                let mut endpoint = endpoint.clone();
                if endpoint.path() == "/" {
                    endpoint.set_path(PATH);
                }
                builder = builder.with_endpoint(endpoint.as_str());
            }
            let headers = options.headers.iter();
            let headers = headers.map(|(name, value)| (name.clone(), value.expose().to_owned()));
            let client = Client {
                client: reqwest::Client::builder()
                    .build()
                    .map_err(|error| failed(&error))?,
                runtime: tokio::runtime::Handle::current(),
            };
            builder
                .with_headers(headers.collect())
                .with_http_client(client)
                .build()
        }
    };
    let mut processor = BatchSpanProcessor::builder(exporter.map_err(|error| failed(&error))?).build();
    let mut resource = Resource::builder();
    if variable(SERVICE).is_none() {
        resource = resource.with_service_name(options.service.clone().unwrap_or_else(|| "segno".to_owned()));
    }
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    processor.set_resource(&resource.with_attribute(version).build());
    *PROCESSOR.write() = Some(Arc::new(processor));
    Ok(())
}

/// Sends what is left, for a short while.
pub(crate) async fn finish() {
    let Some(processor) = PROCESSOR.write().take() else {
        return;
    };
    // It waits for its own thread.
    let done = tokio::task::spawn_blocking(move || processor.shutdown_with_timeout(FLUSH)).await;
    if let Ok(Err(error)) = done {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

/// The exporter's thread is none of the runtime's, which HTTP needs.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let exchange = async move {
            let response = client.execute(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, response.bytes().await?))
        };
        let (status, headers, body) = self.runtime.spawn(exchange).await??;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// A span that is over.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The trace, and the span before.
    pub(crate) context: TraceContext,
    pub(crate) id: [u8; 8],
    pub(crate) name: &'static str,
    pub(crate) kind: SpanKind,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    /// Why it failed, if it did. It holds nothing of the event.
    pub(crate) failed: Option<String>,
    pub(crate) attributes: Vec<KeyValue>,
}

/// Sends it on its way.
pub(crate) fn export(span: Span) {
    let Some(processor) = PROCESSOR.read().clone() else {
        return;
    };
    let Span {
        context,
        id,
        name,
        kind,
        start,
        end,
        failed,
        attributes,
    } = span;
    if !context.sampled {
        return;
    }
    let state = context
        .state
        .as_deref()
        .and_then(|state| state.parse::<TraceState>().ok());
    let trace = TraceId::from_bytes(context.trace);
    processor.on_end(SpanData {
        span_context: SpanContext::new(
            trace,
            SpanId::from_bytes(id),
            TraceFlags::SAMPLED,
            false,
            state.unwrap_or_default(),
        ),
        parent_span_id: context.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: kind == SpanKind::Server || kind == SpanKind::Consumer,
        span_kind: kind,
        name: name.into(),
        start_time: start,
        end_time: end.max(start),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: failed.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("segno")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    });
}

/// An attribute.
pub(crate) fn attribute(name: &'static str, value: impl Into<opentelemetry::Value>) -> KeyValue {
    KeyValue::new(name, value)
}
