//! What the stand-ins over HTTP have alike: a port, failures on command, a page with their state.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Control, Fault};

/// Where every stand-in shows its state, as JSON, to everybody.
pub const STATE: &str = "/_stand-in";

/// A server, which ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(address: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // It ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// What one system says for itself.
#[derive(Clone)]
pub(crate) struct Manners {
    pub(crate) control: Control,
    /// Whether a call shows who it is by.
    pub(crate) knows: Arc<dyn Fn(&HeaderMap) -> bool + Send + Sync>,
    /// The status and body for a call that does not.
    pub(crate) stranger: (u16, Value),
    /// An error's body, by status and text.
    pub(crate) error: fn(u16, &str) -> Value,
    /// What is shown of the state.
    pub(crate) state: Arc<dyn Fn() -> Value + Send + Sync>,
}

/// The routes with failures, authentication and the page of the state.
pub(crate) fn with_manners(routes: Router, manners: Manners) -> Router {
    let error = manners.error;
    let shown = manners.clone();
    let page = get(move || {
        let Manners { control, state, .. } = &shown;
        let page = json!({ "calls": control.all_calls(), "state": state() });
        async move { Json(page) }
    });
    routes
        .method_not_allowed_fallback(move || async move { refuse(error, 405, "Method Not Allowed") })
        .layer(axum::middleware::from_fn_with_state(manners, gate))
        .fallback(move || async move { refuse(error, 404, "no such endpoint") })
        .route(STATE, page)
}

fn refuse(error: fn(u16, &str) -> Value, status: u16, text: &str) -> Response {
    answer(status, error(status, text))
}

/// An answer of JSON.
pub(crate) fn answer(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

async fn gate(State(manners): State<Manners>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or_else(
        || request.uri().path().to_owned(),
        |path| path.as_str().to_owned(),
    );
    let fault = manners.control.called(&format!("{} {path}", request.method()));
    let known = (manners.knows)(request.headers());
    let done = match fault {
        Some(fault) if !fault.is_after() => None,
        _ if !known => {
            let (status, body) = manners.stranger;
            return answer(status, body);
        }
        _ => Some(next.run(request).await),
    };
    let error = manners.error;
    match (fault, done) {
        (None, Some(response)) => response,
        (Some(Fault::RateLimited { retry_after }), _) => {
            let mut response = refuse(error, 429, "Too many requests");
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, retry_after.into());
            response
        }
        (Some(Fault::Status(status)), _) => refuse(error, status, "as commanded"),
        (Some(Fault::Silence | Fault::SilenceAfter), _) => std::future::pending().await,
        (Some(Fault::DroppedBefore | Fault::DroppedAfter), _) => {
            // A body that breaks before its first byte closes the connection before anything is sent.
            let broken = futures::stream::once(async { Err::<Bytes, _>(io::Error::other("as commanded")) });
            Response::new(Body::from_stream(broken))
        }
        (Some(Fault::ErrorAfter) | None, _) => refuse(error, 500, "as commanded"),
    }
}
