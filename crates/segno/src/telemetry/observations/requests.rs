//! Requests are answered.

use std::time::Duration;

use super::NONE;
use crate::telemetry::{Metrics, Observation};

/// A request was answered.
pub(crate) struct RequestServed<'a> {
    pub(crate) method: &'a str,
    /// The route's pattern; none where nothing is served.
    pub(crate) route: Option<&'a str>,
    /// The path as it came, without the query.
    pub(crate) path: &'a str,
    /// The request's id.
    pub(crate) id: &'a str,
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

impl Observation for RequestServed<'_> {
    fn count(&self, metrics: &Metrics) {
        let method = match self.method {
            known @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS") => known,
            // Anybody can make one up.
            _ => "other",
        };
        let route = self.route.unwrap_or("none");
        let status = self.status.to_string();
        metrics
            .http_requests
            .with_label_values(&[method, route, &status])
            .inc();
        metrics
            .http_seconds
            .with_label_values(&[method, route])
            .observe(self.took.as_secs_f64());
    }

    fn log(&self) {
        let Self {
            method,
            path,
            id,
            status,
            ..
        } = self;
        let ms = self.took.as_secs_f64() * 1000.0;
        // What looks at the process all the time would be most of the log.
        if matches!(self.route, Some("/livez" | "/readyz" | "/metrics")) {
            tracing::debug!(target: "segno::access", method, path, id, status, ms, "request");
        } else {
            tracing::info!(target: "segno::access", method, path, id, status, ms, "request");
        }
    }
}

/// A request that is being served, until it is dropped.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn begin() -> Self {
        Metrics::global().http_in_flight.with_label_values(&NONE).inc();
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        Metrics::global().http_in_flight.with_label_values(&NONE).dec();
    }
}
