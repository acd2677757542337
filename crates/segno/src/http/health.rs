//! Liveness and readiness.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use temporalio_client::{Client, NamespacedClient, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use tokio_util::sync::CancellationToken;

use super::problem::Problem;

/// How long the engine may take to answer a probe.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// What readiness depends on.
#[derive(Clone)]
pub(crate) struct Health {
    /// The engine's client.
    pub(crate) client: Client,
    /// Cancelled once the process is to stop.
    pub(crate) stopping: CancellationToken,
    /// Cancelled once the worker runs no more.
    pub(crate) worker_ended: CancellationToken,
}

impl Health {
    /// Whether the process takes work.
    pub(crate) async fn is_ready(&self) -> bool {
        self.check().await.is_ok()
    }

    async fn check(&self) -> Result<(), Problem> {
        let unready = |detail: String| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail)
                .retry_after(Duration::from_secs(1))
        };
        if self.stopping.is_cancelled() {
            return Err(unready("the process is stopping".to_owned()));
        }
        if self.worker_ended.is_cancelled() {
            return Err(unready("the worker is not running".to_owned()));
        }
        let mut service = self.client.connection().workflow_service();
        let request = DescribeNamespaceRequest {
            namespace: self.client.namespace(),
            ..Default::default()
        };
        match tokio::time::timeout(PROBE_DEADLINE, service.describe_namespace(request.into_request())).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(status)) => Err(unready(format!(
                "the engine answers {}: {}",
                status.code(),
                status.message()
            ))),
            Err(_) => Err(unready("the engine does not answer".to_owned())),
        }
    }
}

/// Whether the process lives.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "It lives.")))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether the process takes work: the engine answers, the worker runs, and nobody told it to stop.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "It takes work."),
        (status = 503, description = "It does not; `detail` says why.", body = Problem,
         content_type = super::problem::MEDIA_TYPE),
    )
)]
pub(super) async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    health.check().await.map(|()| "ok\n")
}
