//! The Pusher sink: each payload is one event on channels of [Pusher Channels], or of what speaks its protocol.
//!
//! Events that come side by side and go to one channel each are sent as one request, up to ten of them, as the service
//! allows. It has no way to leave out an event that it gets twice: after an answer that was lost, clients may see it twice.
//!
//! [Pusher Channels]: https://pusher.com/docs/channels/library_auth_reference/rest-api/

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;

use crate::{
    Confidential, Delivered, Delivery, Failure, Sink, Template, Templates,
    batch::{Batcher, Size},
    options::checked,
    webhook::{SenderError, Target},
};

mod api;
mod event;
pub mod sign;

use api::Api;
use event::Event;

/// Most events of one request.
const BATCH: usize = 10;
/// Most requests at once, which is far from what the service allows.
const CALLS: usize = 4;
/// How long an attempt may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Options of a Pusher sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Options {
    /// The app's id.
    pub app_id: String,
    /// The app's key.
    pub key: String,
    /// The app's secret.
    pub secret: Confidential,
    /// The service's cluster. Default `mt1`.
    pub cluster: Option<String>,
    /// In place of a cluster, the URL of another service.
    pub url: Option<Target>,
    /// The channels, at most 100, such as `private-order-{{ payload.id }}`.
    pub channels: Templates,
    /// The event's name. Default: the type of the event that it was made of.
    pub event: Option<Template>,
    /// The connection that does not get it, as it is whose doing it was; none if this is empty.
    pub socket_id: Option<Template>,
    /// How long one attempt may take. Default 30 s.
    #[serde(default, deserialize_with = "crate::limits::duration")]
    pub timeout: Option<Duration>,
    /// Whether addresses that are not public may be reached (see [`guard`](crate::guard)). Default no.
    #[serde(default)]
    pub allow_private: bool,
}

checked!(Options);

impl Options {
    fn check(&self) -> Result<(), BuildError> {
        api::service(self).map(drop)
    }
}

/// Why a Pusher sink cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// It would go to two places.
    #[error("a pusher sink has a `cluster` or a `url`, and this one has both")]
    Both,
    /// A cluster is a part of a host name.
    #[error("{0:?} is no name of a cluster")]
    Cluster(String),
    /// The machine gives no TLS or no resolver.
    #[error(transparent)]
    Sender(#[from] SenderError),
}

/// The sink these options describe.
pub(crate) fn build(options: Options, _: &str, _: &Path) -> Result<Arc<dyn Sink>, BuildError> {
    Ok(Arc::new(Pusher::new(options)?))
}

/// A Pusher sink.
#[derive(Debug)]
pub struct Pusher {
    options: Options,
    batcher: Batcher<Event>,
}

impl Pusher {
    /// The sink these options describe.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(options: Options) -> Result<Self, BuildError> {
        let size = Size {
            items: BATCH,
            bytes: BATCH * event::LONGEST_DATA * 2,
            calls: CALLS,
        };
        let api = Arc::new(Api::new(&options)?);
        let batcher = Batcher::new(size, move |events| {
            let api = Arc::clone(&api);
            async move { api.send(events).await }
        });
        Ok(Self { options, batcher })
    }
}

#[async_trait]
impl Sink for Pusher {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        self.batcher.deliver(Event::of(&self.options, delivery)?).await
    }
}
