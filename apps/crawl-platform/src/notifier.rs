//! Tells front ends at once: the dialog that waits for a run to start or to stop closes by itself.

mod pusher;

use async_trait::async_trait;
use uuid::Uuid;

pub use pusher::PusherNotifier;

/// What a front end is told about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// It has started.
    ReportRunStarted,
    /// It was stopped.
    ReportRunStopped,
}

impl Notice {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReportRunStarted => "report-run-started",
            Self::ReportRunStopped => "report-run-stopped",
        }
    }
}

/// A front end could not be told.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct NotifyError {
    /// What happened.
    pub message: String,
    /// Whether it may succeed later.
    pub retryable: bool,
}

/// Tells front ends.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Tells those who look at this run.
    ///
    /// # Errors
    ///
    /// [`NotifyError`].
    async fn notify(&self, run: Uuid, notice: Notice) -> Result<(), NotifyError>;
}

/// Tells nobody: where no front end is configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

#[async_trait]
impl Notifier for Silent {
    async fn notify(&self, run: Uuid, notice: Notice) -> Result<(), NotifyError> {
        tracing::debug!(%run, notice = notice.name(), "no front end is configured to be told");
        Ok(())
    }
}
