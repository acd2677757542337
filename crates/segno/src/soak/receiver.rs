//! Where the events go: it takes most of what comes, and remembers all of it.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::{Error, Options, draw};
use crate::listen;

/// What an event carries: its own number.
#[derive(Deserialize)]
struct Body {
    n: u64,
}

/// A receiver on a loopback port, until it is dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    seed: u64,
    refused: f64,
    dead: f64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Events that it took, and how often.
    taken: HashMap<u64, u32>,
    /// Events that it will never take.
    dead: HashSet<u64>,
    requests: u64,
    refused: u64,
}

impl Receiver {
    pub(super) async fn start(options: &Options) -> Result<Self, Error> {
        let listener = listen::bind((Ipv4Addr::LOCALHOST, 0).into(), "the receiver").await?;
        let address = listener.address();
        let shared = Arc::new(Shared {
            seed: options.seed,
            refused: options.refused,
            dead: options.dead,
            seen: Mutex::default(),
        });
        let router = Router::new().route("/", post(receive)).with_state(shared.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener.into_inner(), router).await {
                tracing::error!(%error, "the receiver stopped");
            }
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many events it has taken.
    pub(super) fn arrived(&self) -> usize {
        self.shared.seen.lock().taken.len()
    }

    /// How many of these it has taken.
    pub(super) fn count_of(&self, events: &HashSet<u64>) -> usize {
        let seen = self.shared.seen.lock();
        events.iter().filter(|n| seen.taken.contains_key(n)).count()
    }

    /// What it has taken, with how often; what it will never take; and how many requests it refused.
    pub(super) fn all(&self) -> (HashMap<u64, u32>, HashSet<u64>, u64) {
        let seen = self.shared.seen.lock();
        (seen.taken.clone(), seen.dead.clone(), seen.refused)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, Json(Body { n }): Json<Body>) -> StatusCode {
    let mut seen = shared.seen.lock();
    seen.requests += 1;
    if draw(shared.seed, "dead", n) < shared.dead {
        seen.dead.insert(n);
        return StatusCode::GONE;
    }
    if draw(shared.seed, "refused", seen.requests) < shared.refused {
        seen.refused += 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    *seen.taken.entry(n).or_default() += 1;
    StatusCode::NO_CONTENT
}
