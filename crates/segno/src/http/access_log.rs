//! One line a request, without anything of its body or query.

use axum::{extract::Request, middleware::Next, response::Response};
use tokio::time::Instant;

/// Logs method, path, status and duration of every request; the health probes only when debugging.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let start = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let ms = start.elapsed().as_secs_f64() * 1000.0;
    if matches!(path.as_str(), "/livez" | "/readyz") {
        tracing::debug!(target: "segno::access", %method, path, status, ms, "request");
    } else {
        tracing::info!(target: "segno::access", %method, path, status, ms, "request");
    }
    response
}
