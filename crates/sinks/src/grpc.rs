//! The gRPC sink: one unary call for each payload, of a method that is known by its descriptor alone.
//!
//! The payload becomes the method's request by [protobuf's JSON mapping]; a field that the message has not is a permanent
//! failure, with its path. The idempotency key goes along as the metadata `idempotency-key`. What the server answers is not
//! looked at, apart from its status.
//!
//! `protoc --include_imports --descriptor_set_out=orders.pb orders.proto` makes the file of descriptors; `buf build -o
//! orders.pb` does too.
//!
//! [protobuf's JSON mapping]: https://protobuf.dev/programming-guides/json/

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::MessageDescriptor;
use tonic::{
    Request,
    client::Grpc as Client,
    codegen::http::uri::PathAndQuery,
    metadata::{MetadataMap, MetadataValue},
    transport::Channel,
};

use crate::{Delivered, Delivery, Failure, Sink, Trace, signature::message_id};

mod codec;
mod connect;
mod message;
mod options;
mod status;

pub use connect::ConnectError;
pub use options::{Endpoint, EndpointError, Metadata, MethodError, MethodName, Options};

/// How long a call may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The sink these options describe; relative paths are taken from `base`.
pub(crate) fn build(options: Options, _: &str, base: &Path) -> Result<Arc<dyn Sink>, ConnectError> {
    Ok(Arc::new(Grpc::new(options, base)?))
}

/// A gRPC sink.
#[derive(Debug)]
pub struct Grpc {
    /// The message that the method takes.
    input: MessageDescriptor,
    path: PathAndQuery,
    metadata: MetadataMap,
    timeout: Duration,
    channel: Channel,
}

impl Grpc {
    /// The sink these options describe; relative paths are taken from `base`. It reads the descriptors and connects to nothing.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(options: Options, base: &Path) -> Result<Self, ConnectError> {
        let method = connect::method(&base.join(&options.descriptors), &options.method)?;
        Ok(Self {
            input: method.input(),
            path: options.method.path(),
            channel: connect::channel(&options, base)?,
            metadata: options.metadata.into_map(),
            timeout: options.timeout.unwrap_or(TIMEOUT),
        })
    }
}

#[async_trait]
impl Sink for Grpc {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let message = message::message(&self.input, delivery.payload)?;
        let mut request = Request::new(Bytes::from(message.encode_to_vec()));
        request.set_timeout(self.timeout);
        *request.metadata_mut() = merged(request.metadata(), &self.metadata);
        let key: MetadataValue<_> = message_id(delivery.key)
            .parse()
            .map_err(|_| Failure::permanent("the idempotency key cannot stand in metadata"))?;
        request.metadata_mut().insert("idempotency-key", key);
        for (name, value) in delivery.trace.into_iter().flat_map(Trace::headers) {
            if let Ok(value) = value.parse::<MetadataValue<_>>()
                && !request.metadata().contains_key(name)
            {
                request.metadata_mut().insert(name, value);
            }
        }
        let mut client = Client::new(self.channel.clone());
        let call = async {
            client
                .ready()
                .await
                .map_err(|error| status::unreachable(&error))?;
            let answer = client.unary(request, self.path.clone(), codec::Raw).await;
            answer.map_err(|status| status::explain(&status))
        };
        // The deadline that the server is told of does not hold for the time before it is reached.
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map(|_| Delivered { status: None }),
            Err(_) => Err(Failure::retryable(format!("no answer within {:?}", self.timeout))),
        }
    }
}

/// The deadline, and what the options add.
fn merged(own: &MetadataMap, more: &MetadataMap) -> MetadataMap {
    let mut headers = own.clone().into_headers();
    headers.extend(more.clone().into_headers());
    MetadataMap::from_headers(headers)
}
