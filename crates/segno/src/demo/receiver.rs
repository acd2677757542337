//! The demo's receiver: it shows whatever is delivered to it.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use tokio::{sync::mpsc::UnboundedSender, task::JoinHandle};

use crate::{Error, listen};

/// Path of the receiver that refuses the first attempt of each delivery.
const REFUSES_FIRST: &str = "warehouse";

/// Something that came.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// Path it came to, without the leading slash.
    pub(super) path: String,
    /// Its `webhook-id`.
    pub(super) key: String,
    /// Its body.
    pub(super) body: String,
    /// Whether it was taken; else it comes again.
    pub(super) taken: bool,
}

/// A receiver on a loopback port, until it is dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    arrivals: UnboundedSender<Arrival>,
    refused: Arc<Mutex<HashSet<String>>>,
}

impl Receiver {
    /// Listens, and tells `arrivals` of each request.
    pub(super) async fn start(
        address: SocketAddr,
        arrivals: UnboundedSender<Arrival>,
    ) -> Result<Self, Error> {
        let listener = listen::bind(address, "--receiver").await?;
        let address = listener.address();
        let shared = Shared {
            arrivals,
            refused: Arc::default(),
        };
        let router = Router::new()
            .fallback(axum::routing::post(receive))
            .with_state(shared.clone());
        let router = router.route("/{*path}", axum::routing::post(receive).with_state(shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener.into_inner(), router).await {
                tracing::error!(%error, "the receiver stopped");
            }
        });
        Ok(Self { address, server })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(
    State(shared): State<Shared>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let key = headers
        .get("webhook-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let first = || {
        shared
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone())
    };
    let taken = !(path == REFUSES_FIRST && first());
    let body = String::from_utf8_lossy(&body).into_owned();
    // Nobody listens any more only while the demo ends.
    drop(shared.arrivals.send(Arrival {
        path,
        key,
        body,
        taken,
    }));
    if taken {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
