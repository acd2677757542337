//! `GET /metrics`.

use axum::{
    extract::State,
    http::{HeaderName, header},
};

use crate::telemetry::{self, Sampler};

/// What there is to measure, for Prometheus.
///
/// All metrics are described in `docs/metrics.md`.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses((status = 200, description = "The metrics, in Prometheus' text format.", body = String,
               content_type = "text/plain; version=0.0.4"))
)]
pub(super) async fn get(State(sampler): State<Sampler>) -> ([(HeaderName, &'static str); 1], String) {
    let text = sampler.metrics().await;
    ([(header::CONTENT_TYPE, telemetry::MEDIA_TYPE)], text)
}
