//! Front ends that listen on channels of Pusher.

use async_trait::async_trait;
use segno_crawl_clients::{
    Failure,
    pusher::{Event, Pusher},
};
use serde_json::json;
use uuid::Uuid;

use super::{Notice, Notifier, NotifyError};

/// Tells those who listen on `private-run-<id>`: an event of the notice's name.
#[derive(Clone, Debug)]
pub struct PusherNotifier(Pusher);

impl PusherNotifier {
    /// Tells by this client.
    pub fn new(pusher: Pusher) -> Self {
        Self(pusher)
    }
}

#[async_trait]
impl Notifier for PusherNotifier {
    async fn notify(&self, run: Uuid, notice: Notice) -> Result<(), NotifyError> {
        let event = Event::new(
            &format!("private-run-{run}"),
            notice.name(),
            json!({ "run": run }),
        );
        self.0.trigger(&event).await.map_err(|error| NotifyError {
            message: error.to_string(),
            retryable: matches!(error.failure, Failure::Retryable { .. }),
        })
    }
}
