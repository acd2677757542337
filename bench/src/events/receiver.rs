//! A receiver that takes everything and notes when each event came first.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::Result;
use axum::{Json, Router, extract::State, routing::post};
use serde::Deserialize;
use tokio::task::JoinHandle;

type Times = Arc<Mutex<BTreeMap<(String, usize), Instant>>>;

/// A running receiver. Dropping it ends it.
pub(super) struct Receiver {
    url: String,
    times: Times,
    server: JoinHandle<()>,
}

/// The data of an event.
#[derive(Deserialize)]
struct Delivered {
    run: String,
    number: usize,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self> {
        let times = Times::default();
        let router = Router::new()
            .route("/", post(note))
            .with_state(Arc::clone(&times));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let server = tokio::spawn(async move {
            // It ends with its task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, times, server })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// When each event of a run came, by its number.
    pub(super) fn times(&self, run: &str) -> BTreeMap<usize, Instant> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let of_run = times.iter().filter(|((of, _), _)| of == run);
        of_run.map(|((_, number), at)| (*number, *at)).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn note(State(times): State<Times>, Json(delivered): Json<Delivered>) {
    let at = Instant::now();
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    times.entry((delivered.run, delivered.number)).or_insert(at);
}
