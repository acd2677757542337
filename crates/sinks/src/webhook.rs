//! The webhook sink: one signed HTTP request for each payload.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use crate::{Delivered, Delivery, Failure, Sink, Trace, signature::message_id};

mod options;
mod sender;

pub use options::{HeaderError, Headers, Method, Options, Target, TargetError};
#[cfg(any(feature = "pusher", feature = "slack"))]
pub(crate) use sender::Reply;
pub use sender::{Request, Sender, SenderError};

/// The sink these options describe.
pub(crate) fn build(options: Options, _: &str, _: &Path) -> Result<Arc<dyn Sink>, SenderError> {
    Ok(Arc::new(Webhook::new(options)?))
}

/// A webhook sink: sends each payload as a JSON body, `webhook-id` being the idempotency key as
/// [`message_id`] writes it.
#[derive(Debug)]
pub struct Webhook {
    options: Options,
    headers: HeaderMap,
    secrets: Vec<crate::Secret>,
    sender: Sender,
}

impl Webhook {
    /// The sink these options describe.
    ///
    /// # Errors
    ///
    /// [`SenderError`], when the machine gives no TLS or no resolver.
    pub fn new(options: Options) -> Result<Self, SenderError> {
        let sender = Sender::new(options.allow_private)?;
        let mut headers = options.headers.as_map().clone();
        headers
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
        let secrets = options.secret.iter().chain(&options.secrets).cloned().collect();
        Ok(Self {
            options,
            headers,
            secrets,
            sender,
        })
    }
}

#[async_trait]
impl Sink for Webhook {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let body = serde_json::to_vec(delivery.payload)
            .map_err(|error| Failure::permanent(format!("the payload cannot be written as JSON: {error}")))?;
        let mut headers = self.headers.clone();
        for (name, value) in delivery.trace.into_iter().flat_map(Trace::headers) {
            // One that cannot stand in a header is no reason not to deliver; what is configured wins.
            if let Ok(value) = HeaderValue::from_str(value)
                && !headers.contains_key(name)
            {
                headers.insert(name, value);
            }
        }
        let request = Request {
            method: &self.options.method,
            url: self.options.url.as_url(),
            headers: &headers,
            body: Bytes::from(body),
            id: &message_id(delivery.key),
            secrets: &self.secrets,
            timeout: self.options.timeout,
        };
        self.sender.send(request).await
    }
}
